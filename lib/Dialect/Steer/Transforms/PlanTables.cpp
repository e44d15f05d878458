//===- PlanTables.cpp - Makes the tables of a group of policies ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanTables.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

PlanTables::PlanTables(PatchOp patch, OpBuilder &inside, Location loc,
                       ArrayRef<const GateForm *> gates, int64_t plans)
    : patch(patch), inside(inside), outside(patch), loc(loc), gates(gates) {
  SmallVector<int64_t> slots(plans, 0);
  for (auto [i, gate] : llvm::enumerate(gates))
    for (int64_t plan : gate->plans)
      slots[plan] = i + 1;
  Value plan = gates.front()->plan;
  slot = SlotOp::create(outside, loc, plan.getType(), plan, slots);
}

template <typename T>
Value PlanTables::lookup(Type element, ArrayRef<SmallVector<T>> rows, T fill) {
  size_t width = 1;
  for (const SmallVector<T> &row : rows)
    width = std::max(width, row.size());
  SmallVector<T> table(width, fill);
  table.reserve(width * (rows.size() + 1));
  for (const SmallVector<T> &row : rows) {
    llvm::append_range(table, row);
    table.append(width - row.size(), fill);
  }
  auto type = RankedTensorType::get({static_cast<int64_t>(rows.size() + 1),
                                     static_cast<int64_t>(width)},
                                    element);
  return LookupOp::create(outside, loc, slot,
                          DenseElementsAttr::get(type, ArrayRef<T>(table)));
}

Value PlanTables::indices(ArrayRef<SmallVector<int64_t>> rows, int64_t fill) {
  return lookup<int64_t>(inside.getI64Type(), rows, fill);
}

Value PlanTables::numbers(ArrayRef<std::vector<double>> rows, double fill) {
  SmallVector<SmallVector<float>> narrowed;
  for (const std::vector<double> &row : rows)
    narrowed.emplace_back(row.begin(), row.end());
  return lookup<float>(inside.getF32Type(), narrowed,
                       static_cast<float>(fill));
}

Value PlanTables::columns(ArrayRef<ArrayRef<int64_t>> rows) {
  SmallVector<SmallVector<bool>> flags;
  bool padded = false;
  for (ArrayRef<int64_t> row : rows) {
    flags.emplace_back(row.size(), true);
    padded |= row.size() != rows.front().size();
  }
  return padded ? lookup<bool>(inside.getI1Type(), flags, false) : Value();
}

Value PlanTables::knob(ArrayRef<KnobForm> knobs, OpBuilder &builder) {
  const KnobForm &first = knobs.front();
  auto isSame = [&](Value KnobForm::*part) {
    return llvm::all_of(knobs, [&](const KnobForm &knob) {
      return knob.*part == first.*part;
    });
  };
  if (isSame(&KnobForm::value))
    return first.value;
  Value own = first.knob;
  if (!isSame(&KnobForm::knob)) {
    SmallVector<SmallVector<int64_t>> columns;
    for (const KnobForm &knob : knobs)
      columns.push_back({knob.column});
    own = RowKnobOp::create(outside, loc, first.knobs, indices(columns, 0));
  }
  if (RampOp ramp = first.ramp; !ramp)
    return own;
  Value share = this->share(knobs);
  return own ? ProductOp::create(builder, loc, own, share).getResult() : share;
}

Value PlanTables::ids(ArrayRef<MarkersAttr> markers,
                      ArrayAttr (MarkersAttr::*list)() const) {
  SmallVector<SmallVector<int64_t>> rows;
  bool any = false;
  for (MarkersAttr each : markers) {
    ArrayAttr own = each ? (each.*list)() : ArrayAttr();
    rows.push_back(MarkersAttr::idsOf(own));
    any |= static_cast<bool>(own);
  }
  return any ? indices(rows, -2) : Value(); // no token
}

/// Which share of an edit a token gets. All forms have a ramp, of scopes that
/// begin in the same ways.
Value PlanTables::share(ArrayRef<KnobForm> knobs) {
  RampOp like = knobs.front().ramp;
  if (llvm::all_of(knobs,
                   [&](const KnobForm &knob) { return knob.ramp == like; }))
    return like.getResult();
  // So far in front that another beginning is always later.
  constexpr int64_t none = -(int64_t(1) << 40);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  SmallVector<SmallVector<int64_t>> from, first;
  std::vector<std::vector<double>> over, half;
  SmallVector<MarkersAttr> markers;
  bool anyFirst = false, anyOver = false, anyHalf = false;
  for (const KnobForm &knob : knobs) {
    RampOp ramp = knob.ramp;
    TokensAttr scope = ramp.getScope();
    TokenBounds bounds = TokenBounds::of(scope);
    from.push_back({scope.getFirstPosition()});
    first.push_back({bounds.first == TokenBounds::least ? none : bounds.first});
    over.push_back({static_cast<double>(std::max<int64_t>(scope.getOver(), 1))});
    half.push_back({scope.getHalf() ? scope.getHalf().getValueAsDouble() : infinity});
    markers.push_back(scope.getMarkers());
    anyFirst |= bounds.first != TokenBounds::least;
    anyOver |= scope.getOver() != 0;
    anyHalf |= static_cast<bool>(scope.getHalf());
  }
  Value after = ids(markers, &MarkersAttr::getAfter),
        opens = ids(markers, &MarkersAttr::getOpens);
  Value begins = indices(from, 0), relative = anyFirst ? indices(first, none) : Value();
  return RowRampOp::create(outside, loc, like.getPositions(),
                           like.getPromptLength(),
                           after || opens ? like.getHistory() : Value(), begins,
                           relative, after, opens,
                           anyOver ? numbers(over, 1.0) : Value(),
                           anyHalf ? numbers(half, infinity) : Value());
}

std::pair<SmallVector<int64_t>, Value>
PlanTables::features(ArrayRef<ArrayRef<int64_t>> rows) {
  SmallVector<int64_t> all;
  llvm::DenseMap<int64_t, int64_t> placeOf;
  SmallVector<SmallVector<int64_t>> places;
  for (ArrayRef<int64_t> row : rows) {
    SmallVector<int64_t> &own = places.emplace_back();
    for (int64_t feature : row) {
      auto [place, isNew] = placeOf.try_emplace(feature, all.size());
      if (isNew)
        all.push_back(feature);
      own.push_back(place->second);
    }
  }
  return {all, indices(places, 0)};
}

Value PlanTables::read(const ReadForm &form, ArrayRef<int64_t> features,
                       Value rows) {
  ReadOp like = form.op;
  // What does not read this site's value stands before the patch, so that sites
  // with the same condition share it.
  OpBuilder &builder = like.getInput() == patch.getValue() ? inside : outside;
  return RowReadOp::create(builder, loc, like.getInput(), rows,
                           like.getDictionaryAttr(),
                           builder.getDenseI64ArrayAttr(features),
                           like.getActivationAttr(),
                           like.getNormalizationAttr(),
                           like.getDictionarySizeAttr(), like.getGatherAttr());
}

std::pair<flow::RecipeAttrInterface, Value>
PlanTables::directions(ArrayRef<Attribute> recipes, Value *columns) {
  // Single rows of one dictionary are rows of one recipe.
  auto first = dyn_cast<flow::RowsAttr>(recipes.front());
  bool sameRows = first && llvm::all_of(recipes, [&](Attribute recipe) {
    auto rows = dyn_cast<flow::RowsAttr>(recipe);
    return rows && rows.getPart() == first.getPart() &&
           rows.getDictionary() == first.getDictionary() &&
           !rows.getFeatures().empty();
  });
  if (sameRows) {
    SmallVector<ArrayRef<int64_t>> rows;
    for (Attribute recipe : recipes)
      rows.push_back(cast<flow::RowsAttr>(recipe).getFeatures());
    if (columns)
      *columns = this->columns(rows);
    auto [all, places] = features(rows);
    return {flow::RowsAttr::get(patch.getContext(), first.getPart(),
                                first.getDictionary(), all),
            places};
  }

  SmallVector<Attribute> parts;
  llvm::DenseMap<Attribute, int64_t> placeOf;
  SmallVector<SmallVector<int64_t>> places;
  int64_t total = 0;
  for (Attribute recipe : recipes) {
    int64_t count = cast<flow::RecipeAttrInterface>(recipe).getNumRows();
    auto [place, isNew] = placeOf.try_emplace(recipe, total);
    if (isNew) {
      parts.push_back(recipe);
      total += count;
    }
    SmallVector<int64_t> &own = places.emplace_back();
    llvm::append_range(own, llvm::seq(place->second, place->second + count));
  }
  if (columns) {
    SmallVector<ArrayRef<int64_t>> rows(places.begin(), places.end());
    *columns = this->columns(rows);
  }
  Attribute whole =
      parts.size() == 1
          ? parts.front()
          : flow::ConcatAttr::get(patch.getContext(),
                                  inside.getArrayAttr(parts));
  return {cast<flow::RecipeAttrInterface>(whole), indices(places, 0)};
}

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

Value PlanTables::bound(int64_t TokenBounds::*which, int64_t none) {
  SmallVector<SmallVector<int64_t>> rows;
  bool any = false;
  for (const GateForm *gate : gates) {
    rows.push_back({gate->bounds.*which});
    any |= rows.back().front() != none;
  }
  return any ? indices(rows, none) : Value();
}

Value PlanTables::tokens() {
  auto found = llvm::find_if(
      gates, [](const GateForm *gate) { return !gate->tokens.empty(); });
  if (found == gates.end())
    return {};
  const GateForm &first = **found;
  TokensOp like = first.tokens.front();
  // The list of positions is the same attribute where it is the same.
  auto same = [&](const GateForm *gate) {
    const TokenBounds &a = gate->bounds, &b = first.bounds;
    return std::tie(a.from, a.to, a.first, a.last, a.listed) ==
           std::tie(b.from, b.to, b.first, b.last, b.listed);
  };
  if (first.tokens.size() == 1 && llvm::all_of(gates, same))
    return like.getResult();
  Value listed;
  if (first.bounds.listed) {
    SmallVector<SmallVector<int64_t>> rows;
    for (const GateForm *gate : gates)
      rows.emplace_back(gate->bounds.listed.asArrayRef());
    listed = indices(rows, -2); // no position, and not that of padding
  }
  Value from = bound(&TokenBounds::from, TokenBounds::least),
        to = bound(&TokenBounds::to, TokenBounds::most),
        begin = bound(&TokenBounds::first, TokenBounds::least),
        end = bound(&TokenBounds::last, TokenBounds::most);
  return RowTokensOp::create(outside, loc, like.getPositions(),
                             like.getPromptLength(), from, to, begin, end,
                             listed);
}

Value PlanTables::marked() {
  MarkedOp like = gates.front()->marked;
  if (!like || llvm::all_of(gates, [&](const GateForm *gate) {
        return gate->marked == like;
      }))
    return like ? like.getResult() : Value();
  SmallVector<MarkersAttr> markers;
  for (const GateForm *gate : gates) {
    MarkedOp marked = gate->marked;
    markers.push_back(marked.getMarkers());
  }
  Value after = ids(markers, &MarkersAttr::getAfter),
        until = ids(markers, &MarkersAttr::getUntil),
        opens = ids(markers, &MarkersAttr::getOpens),
        closes = ids(markers, &MarkersAttr::getCloses);
  return RowMarkedOp::create(outside, loc, like.getPositions(),
                             like.getHistory(), after, until, opens, closes);
}

Value PlanTables::compare(unsigned index) {
  const Comparison &first = gates.front()->comparisons[index];
  if (llvm::all_of(gates, [&](const GateForm *gate) {
        return gate->comparisons[index].value == first.value;
      }))
    return first.value;
  SmallVector<ArrayRef<int64_t>> rows;
  std::vector<std::vector<double>> above, below;
  for (const GateForm *gate : gates) {
    const Comparison &own = gate->comparisons[index];
    rows.push_back(own.read.features);
    above.push_back({own.above.value_or(0)});
    below.push_back({own.below.value_or(0)});
  }
  auto [features, places] = this->features(rows);
  Value f = read(first.read, features, places);
  Value least = first.above ? numbers(above, 0) : Value(),
        most = first.below ? numbers(below, 0) : Value();
  ReadOp like = first.read.op;
  OpBuilder &builder = like.getInput() == patch.getValue() ? inside : outside;
  return RowCompareOp::create(builder, loc, f, least, most);
}

static Value join(OpBuilder &builder, Location loc, bool all,
                  ArrayRef<Value> parts) {
  if (parts.size() == 1)
    return parts.front();
  Type type = broadcastGateType(
      llvm::map_to_vector(parts, [](Value part) { return part.getType(); }),
      builder.getI1Type());
  if (all)
    return AllOp::create(builder, loc, type, parts);
  return AnyOp::create(builder, loc, type, parts);
}

Value PlanTables::condition(unsigned &next, unsigned &comparison) {
  const GateForm::Node &node = gates.front()->condition[next++];
  switch (node.kind) {
  case GateForm::Node::Plain:
    return node.value;
  case GateForm::Node::Compare:
    return compare(comparison++);
  case GateForm::Node::All:
  case GateForm::Node::Any:
    break;
  }
  SmallVector<Value> parts;
  for (unsigned i = 0; i < node.count; ++i)
    parts.push_back(condition(next, comparison));
  return join(inside, loc, node.kind == GateForm::Node::All, parts);
}

Value PlanTables::gate() {
  if (gateValue)
    return gateValue;
  SmallVector<SmallVector<bool>> hasOne(gates.size(), {true});
  SmallVector<Value> parts = {
      lookup<bool>(inside.getI1Type(), hasOne, false)};
  if (Value scope = tokens())
    parts.push_back(scope);
  if (Value behind = marked())
    parts.push_back(behind);
  unsigned next = 0, comparison = 0;
  for (unsigned i = 0; i < gates.front()->trees; ++i)
    parts.push_back(condition(next, comparison));
  return gateValue = join(inside, loc, true, parts);
}
