//===- FlowFeatures.cpp - Features as values of the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FlowValues.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

#include <cmath>

using namespace mlir;
using namespace weir;
using namespace weir::flow;

StringRef flow::givenName(Location location) {
  if (auto fused = dyn_cast<FusedLoc>(location))
    if (!fused.getLocations().empty())
      location = fused.getLocations().front();
  auto named = dyn_cast<NameLoc>(location);
  return named ? named.getName().getValue() : StringRef();
}

LogicalResult flow::verifyOrder(Operation *op) {
  for (Value operand : op->getOperands()) {
    Operation *before = operand.getDefiningOp();
    if (before && before->getBlock() == op->getBlock() &&
        !before->isBeforeInBlock(op)) {
      InFlightDiagnostic diag =
          op->emitOpError("uses a value that is made after it");
      diag.attachNote(before->getLoc()) << "here";
      return diag;
    }
  }
  return success();
}

static SmallVector<Attribute> toAttributes(ArrayRef<FeatureAttr> features) {
  return SmallVector<Attribute>(features.begin(), features.end());
}

//===----------------------------------------------------------------------===//
// SelectOp
//===----------------------------------------------------------------------===//

void SelectOp::build(OpBuilder &builder, OperationState &state,
                     const FeatureList &list) {
  build(builder, state,
        builder.getArrayAttr(toAttributes(list.features)),
        list.weights.empty() ? DenseF64ArrayAttr()
                             : builder.getDenseF64ArrayAttr(list.weights),
        list.hadRepeats ? builder.getUnitAttr() : UnitAttr());
}

LogicalResult SelectOp::verify() {
  for (Attribute selector : getSelectors())
    if (!isa<SelectorAttrInterface>(selector))
      return emitOpError("expects selectors, got ") << selector;
  std::optional<ArrayRef<double>> weights = getWeights();
  if (!weights)
    return success();
  if (weights->size() != getSelectors().size())
    return emitOpError("has ") << weights->size() << " weights for "
                               << getSelectors().size() << " selectors";
  for (double weight : *weights)
    if (!std::isfinite(weight))
      return emitOpError("has a weight that is not finite");
  llvm::SmallDenseSet<Attribute> seen;
  for (Attribute selector : getSelectors())
    if (!isa<FeatureAttr>(selector) || !seen.insert(selector).second)
      return emitOpError("has weights, and ")
             << selector << " is not a single feature that stands there once";
  return success();
}

void SelectOp::setList(const FeatureList &list) {
  setSelectorsAttr(ArrayAttr::get(getContext(), toAttributes(list.features)));
  setHadRepeats(list.hadRepeats);
  setWeightsAttr(list.weights.empty()
                     ? DenseF64ArrayAttr()
                     : DenseF64ArrayAttr::get(getContext(), list.weights));
}

bool SelectOp::isResolved() {
  return llvm::all_of(getSelectors(), llvm::IsaPred<FeatureAttr>);
}

FeatureList SelectOp::getList() {
  FeatureList list;
  list.hadRepeats = getHadRepeats();
  std::optional<ArrayRef<double>> weights = getWeights();
  // Before flow-resolve a feature may be there twice.
  llvm::SmallDenseSet<Attribute> seen;
  for (auto [i, feature] :
       llvm::enumerate(getSelectors().getAsRange<FeatureAttr>())) {
    if (!seen.insert(feature).second) {
      list.hadRepeats = true;
      continue;
    }
    list.features.push_back(feature);
    if (weights)
      list.weights.push_back((*weights)[i]);
  }
  return list;
}

Location SelectOp::getSelectorLoc(unsigned i) {
  auto fused = dyn_cast<FusedLoc>(getLoc());
  if (!fused || fused.getLocations().size() != getSelectors().size() + 1)
    return getLoc();
  return fused.getLocations()[i + 1];
}

void SelectOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getFeatures(), givenName(getLoc()));
}

//===----------------------------------------------------------------------===//
// FollowOp
//===----------------------------------------------------------------------===//

LogicalResult FollowOp::verify() {
  if (static_cast<int64_t>(getMost()) < 1)
    return emitOpError("leads to 1 or more features, got ")
           << static_cast<int64_t>(getMost());
  return verifyOrder(*this);
}

LogicalResult FollowOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (!symbols.lookupNearestSymbolFrom<MatchingOp>(*this, getMatchingAttr()))
    return emitOpError("there is no matching ") << getMatchingAttr();
  return success();
}

void FollowOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getFeatures(), givenName(getLoc()));
}

//===----------------------------------------------------------------------===//
// Lists and sets
//===----------------------------------------------------------------------===//

/// By layer, kind of site, collection and index.
static bool comesBefore(FeatureAttr a, FeatureAttr b) {
  auto key = [](FeatureAttr feature) {
    return std::tuple(feature.getLayer(), feature.getKind(),
                      feature.getCollection().getValue(), feature.getIndex());
  };
  return key(a) < key(b);
}

static FeatureList canonical(SmallVector<FeatureAttr> features) {
  llvm::sort(features, comesBefore);
  features.erase(llvm::unique(features), features.end());
  return {std::move(features), false, {}};
}

/// The same with weights, if any list has some: the largest that a feature has.
static FeatureList canonical(SmallVector<FeatureAttr> features,
                             ArrayRef<FeatureList> lists) {
  FeatureList result = canonical(std::move(features));
  if (llvm::all_of(lists, [](auto &list) { return list.weights.empty(); }))
    return result;
  llvm::DenseMap<FeatureAttr, double> weights;
  for (const FeatureList &list : lists)
    for (auto [i, feature] : llvm::enumerate(list.features)) {
      auto [known, isNew] = weights.try_emplace(feature, list.weightOf(i));
      if (!isNew)
        known->second = std::max(known->second, list.weightOf(i));
    }
  for (FeatureAttr feature : result.features)
    result.weights.push_back(weights.lookup(feature));
  return result;
}

static bool isEmpty(Value value) {
  auto select = value.getDefiningOp<SelectOp>();
  return select && select.getSelectors().empty();
}

bool flow::isCanonical(Value value) {
  if (value.getDefiningOp<UnionOp>() || value.getDefiningOp<IntersectionOp>() ||
      value.getDefiningOp<DifferenceOp>())
    return true;
  auto select = value.getDefiningOp<SelectOp>();
  if (value.getDefiningOp<PartOp>())
    return true;
  if (!select || !select.isResolved() || select.getHadRepeats())
    return false;
  FeatureAttr before;
  for (auto feature : select.getSelectors().getAsRange<FeatureAttr>()) {
    // Two collections may turn out to have one dictionary at a site.
    if (before && (!comesBefore(before, feature) ||
                   (before.getSite() == feature.getSite() &&
                    before.getCollection() != feature.getCollection())))
      return false;
    before = feature;
  }
  return true;
}

static Value createEmpty(OpBuilder &builder, Location loc) {
  return SelectOp::create(builder, loc, FeatureList());
}

/// The operands of an associative op, those of the same op inside included.
template <typename Op> static SmallVector<Value> flattened(Op op) {
  SmallVector<Value> sets;
  for (Value set : op.getSets()) {
    if (auto inner = set.getDefiningOp<Op>())
      llvm::append_range(sets, inner.getSets());
    else
      sets.push_back(set);
  }
  return sets;
}

template <typename Op>
static LogicalResult replaceSets(Op op, ArrayRef<Value> sets,
                                 PatternRewriter &rewriter) {
  if (llvm::equal(sets, op.getSets()))
    return failure();
  rewriter.modifyOpInPlace(op, [&] { op.getSetsMutable().assign(sets); });
  return success();
}

static LogicalResult verifySets(Operation *op) {
  if (op->getNumOperands() == 0)
    return op->emitOpError("combines nothing");
  return verifyOrder(op);
}

LogicalResult ListOp::verify() { return verifySets(*this); }
LogicalResult UnionOp::verify() { return verifySets(*this); }
LogicalResult IntersectionOp::verify() { return verifySets(*this); }
LogicalResult DifferenceOp::verify() { return verifySets(*this); }

FeatureList flow::joined(ArrayRef<FeatureList> lists) {
  llvm::SetVector<FeatureAttr> all;
  SmallVector<double> weights;
  bool repeats = false, weighted = false;
  for (const FeatureList &list : lists) {
    repeats |= list.hadRepeats;
    weighted |= !list.weights.empty();
    for (auto [i, feature] : llvm::enumerate(list.features)) {
      if (all.insert(feature))
        weights.push_back(list.weightOf(i));
      else
        repeats = true;
    }
  }
  if (!weighted)
    weights.clear();
  return {llvm::to_vector(all.getArrayRef()), repeats, std::move(weights)};
}

FeatureList ListOp::combine(ArrayRef<FeatureList> operands) {
  return joined(operands);
}

OpFoldResult ListOp::fold(FoldAdaptor) {
  return getSets().size() == 1 ? OpFoldResult(getSets().front())
                               : OpFoldResult();
}

LogicalResult ListOp::canonicalize(ListOp op, PatternRewriter &rewriter) {
  SmallVector<Value> sets = flattened(op);
  llvm::erase_if(sets, isEmpty);
  if (sets.empty()) {
    rewriter.replaceOp(op, createEmpty(rewriter, op.getLoc()));
    return success();
  }
  return replaceSets(op, sets, rewriter);
}

FeatureList UnionOp::combine(ArrayRef<FeatureList> operands) {
  SmallVector<FeatureAttr> all;
  for (const FeatureList &list : operands)
    llvm::append_range(all, list.features);
  return canonical(std::move(all), operands);
}

OpFoldResult UnionOp::fold(FoldAdaptor) {
  if (llvm::all_equal(getSets()) && isCanonical(getSets().front()))
    return getSets().front();
  return {};
}

LogicalResult UnionOp::canonicalize(UnionOp op, PatternRewriter &rewriter) {
  SmallVector<Value> sets = flattened(op);
  llvm::erase_if(sets, isEmpty);
  if (sets.empty()) {
    rewriter.replaceOp(op, createEmpty(rewriter, op.getLoc()));
    return success();
  }
  llvm::SetVector<Value> once(sets.begin(), sets.end());
  return replaceSets(op, once.getArrayRef(), rewriter);
}

FeatureList IntersectionOp::combine(ArrayRef<FeatureList> operands) {
  SmallVector<FeatureAttr> shared = operands.front().features;
  for (const FeatureList &list : operands.drop_front()) {
    llvm::DenseSet<FeatureAttr> there(list.features.begin(),
                                      list.features.end());
    llvm::erase_if(shared, [&](FeatureAttr f) { return !there.contains(f); });
  }
  return canonical(std::move(shared), operands);
}

OpFoldResult IntersectionOp::fold(FoldAdaptor) {
  if (llvm::all_equal(getSets()) && isCanonical(getSets().front()))
    return getSets().front();
  // Nothing is shared with nothing.
  for (Value set : getSets())
    if (isEmpty(set))
      return set;
  return {};
}

LogicalResult IntersectionOp::canonicalize(IntersectionOp op,
                                           PatternRewriter &rewriter) {
  SmallVector<Value> sets = flattened(op);
  llvm::SetVector<Value> once(sets.begin(), sets.end());
  // Of one set it is that set in canonical order.
  if (once.size() == 1) {
    rewriter.replaceOpWithNewOp<UnionOp>(op, once.getArrayRef());
    return success();
  }
  return replaceSets(op, once.getArrayRef(), rewriter);
}

FeatureList DifferenceOp::combine(ArrayRef<FeatureList> operands) {
  SmallVector<FeatureAttr> rest = operands[0].features;
  llvm::DenseSet<FeatureAttr> without(operands[1].features.begin(),
                                      operands[1].features.end());
  llvm::erase_if(rest, [&](FeatureAttr f) { return without.contains(f); });
  return canonical(std::move(rest), operands.take_front());
}

OpFoldResult DifferenceOp::fold(FoldAdaptor) {
  if (isEmpty(getFrom()) || (isEmpty(getWithout()) && isCanonical(getFrom())))
    return getFrom();
  return {};
}

LogicalResult DifferenceOp::canonicalize(DifferenceOp op,
                                         PatternRewriter &rewriter) {
  if (op.getFrom() == op.getWithout()) {
    rewriter.replaceOp(op, createEmpty(rewriter, op.getLoc()));
    return success();
  }
  if (!isEmpty(op.getWithout()))
    return failure();
  rewriter.replaceOpWithNewOp<UnionOp>(op, ValueRange{op.getFrom()});
  return success();
}
