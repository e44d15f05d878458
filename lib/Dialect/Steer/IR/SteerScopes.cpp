//===- SteerScopes.cpp - Scopes of tokens ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Shapes.h"

#include "weir/Dialect/Steer/IR/Steer.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

using EmitError = function_ref<InFlightDiagnostic()>;

//===----------------------------------------------------------------------===//
// #steer.markers
//===----------------------------------------------------------------------===//

static bool isId(Attribute marker) {
  auto id = dyn_cast<IntegerAttr>(marker);
  return id && id.getType().isInteger(64) && id.getInt() >= 0;
}

static bool isMarker(Attribute marker) {
  auto text = dyn_cast<StringAttr>(marker);
  return text ? !text.empty() : isId(marker);
}

LogicalResult MarkersAttr::verify(EmitError emitError, ArrayAttr after,
                                  ArrayAttr until, ArrayAttr opens,
                                  ArrayAttr closes) {
  if (!after && !until && !opens && !closes)
    return emitError() << "expects a marker";
  if (static_cast<bool>(opens) != static_cast<bool>(closes))
    return emitError() << "what opens and what closes belong together";
  for (ArrayAttr list : {after, until, opens, closes})
    if (list && (list.empty() || !llvm::all_of(list, isMarker)))
      return emitError() << "expects markers, which are texts or ids of 64 bits "
                            "from 0 on, got "
                         << list;
  auto share = [](ArrayAttr some, ArrayAttr others) {
    return some && others && llvm::any_of(some, [&](Attribute marker) {
             return llvm::is_contained(others, marker);
           });
  };
  if (share(opens, closes))
    return emitError() << "a marker cannot open and close";
  // Nothing stands behind a marker and in front of the first one.
  if (share(after, until))
    return emitError() << "no token is behind a marker and in front of it";
  if (opens && until && llvm::all_of(opens, [&](Attribute marker) {
        return llvm::is_contained(until, marker);
      }))
    return emitError() << "no token is behind a marker that opens and in front "
                          "of all of them";
  return success();
}

bool MarkersAttr::isResolved() const {
  return llvm::all_of(
      ArrayRef<ArrayAttr>{getAfter(), getUntil(), getOpens(), getCloses()},
      [](ArrayAttr list) { return !list || llvm::all_of(list, isId); });
}

SmallVector<int64_t> MarkersAttr::idsOf(ArrayAttr list) {
  SmallVector<int64_t> ids;
  if (list)
    for (auto id : list.getAsRange<IntegerAttr>())
      ids.push_back(id.getInt());
  return ids;
}

//===----------------------------------------------------------------------===//
// #steer.scope
//===----------------------------------------------------------------------===//

LogicalResult TokensAttr::verify(EmitError emitError, TokenSet,
                                 DenseI64ArrayAttr positions, int64_t from,
                                 int64_t to, int64_t skipFirst, MarkersAttr,
                                 int64_t over, FloatAttr half) {
  if (positions && positions.empty())
    return emitError() << "expects at least one position";
  if (positions &&
      llvm::any_of(positions.asArrayRef(), [](int64_t p) { return p < 0; }))
    return emitError() << "positions are 0 or more";
  if (from < -1 || to < -1 || skipFirst < 0)
    return emitError() << "positions are 0 or more";
  if (to >= 0 && from > to)
    return emitError() << "expects positions in ascending order, got " << from
                       << " to " << to;
  if (to >= 0 && skipFirst > to)
    return emitError() << "skipping the first " << skipFirst
                       << " leaves no position up to " << to;
  if (over < 0)
    return emitError() << "a ramp goes over at least one token, got " << over;
  if (half && !(half.getValueAsDouble() > 0))
    return emitError() << "a decay halves after more than no token";
  return success();
}

bool TokensAttr::isEveryToken() const {
  return getSet() == TokenSet::All && !getPositions() && getFrom() <= 0 &&
         getTo() < 0 && getSkipFirst() == 0 && !getMarkers() && !isRamped();
}

TokensAttr TokensAttr::getPlain() const {
  return get(getContext(), getSet(), getPositions(), getFrom(), getTo(),
             getSkipFirst());
}

int64_t TokensAttr::getFirstPosition() const {
  int64_t first = std::max<int64_t>({getFrom(), getSkipFirst(), 0});
  if (DenseI64ArrayAttr listed = getPositions())
    first = std::max(first, *llvm::min_element(listed.asArrayRef()));
  return first;
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

LogicalResult HistoryOp::verify() {
  if (getIds().getType() != getPositions().getType())
    return emitOpError("expects a position for each id, got ids of type ")
           << getIds().getType() << " and positions of type "
           << getPositions().getType();
  RankedTensorType kept = getKept().getType();
  if (kept.getDimSize(0) < 1 || kept.getDimSize(1) < 2)
    return emitOpError("has no room for a token in ") << kept;
  int64_t rows = getIds().getType().getDimSize(0);
  if (!ShapedType::isDynamic(rows) && rows > kept.getDimSize(0))
    return emitOpError("has ") << rows << " rows, and room for "
                               << kept.getDimSize(0);
  return success();
}

void HistoryOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), &getKeptMutable());
  effects.emplace_back(MemoryEffects::Write::get(), &getKeptMutable());
}

static LogicalResult verifyResolved(Operation *op, MarkersAttr markers) {
  if (markers.isResolved())
    return success();
  return op->emitOpError("has a marker that is text; 'steer-resolve-markers' "
                         "makes ids of them");
}

LogicalResult MarkedOp::verify() { return verifyResolved(*this, getMarkers()); }

LogicalResult RampOp::verify() {
  if (!getScope().isRamped())
    return emitOpError("has a scope that gives every token the whole edit");
  MarkersAttr markers = getScope().getMarkers();
  // What ends a scope does not say where it begins.
  bool looksBack = markers && (markers.getAfter() || markers.getOpens());
  if (looksBack && !getHistory())
    return emitOpError("begins at a marker and has no history to look for it");
  if (getHistory() && getPositions().getType().getRank() != 2)
    return emitOpError("has the history of rows for tokens that are flattened");
  return markers ? verifyResolved(*this, markers) : success();
}

LogicalResult RowMarkedOp::verify() {
  if (!getAfter() && !getUntil() && !getOpens() && !getCloses())
    return emitOpError("looks for no marker");
  if (static_cast<bool>(getOpens()) != static_cast<bool>(getCloses()))
    return emitOpError("has what opens or what closes without the other");
  return success();
}

LogicalResult RowRampOp::verify() {
  if (!getOver() && !getHalf())
    return emitOpError("gives every token the whole edit");
  if (static_cast<bool>(getHistory()) != (getAfter() || getOpens()))
    return emitOpError(getHistory() ? "has a history and no marker to look for"
                                    : "begins at a marker and has no history to "
                                      "look for it");
  for (Value number : ValueRange(getOperands()).drop_front(2))
    if (number != getHistory() && number != getAfter() &&
        number != getOpens() && lastSize(number) != 1)
      return emitOpError("has ") << lastSize(number) << " numbers a row";
  return success();
}
