//===- FlowMatches.cpp - Matches as values of the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/IR/Flow.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

#define GET_TYPEDEF_CLASSES
#include "weir/Dialect/Flow/IR/FlowTypes.cpp.inc"

void FlowDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "weir/Dialect/Flow/IR/FlowTypes.cpp.inc"
      >();
}

using EmitError = function_ref<InFlightDiagnostic()>;

LogicalResult MapType::verify(EmitError emitError, int64_t source,
                              int64_t target) {
  if (source < 1 || target < 1)
    return emitError() << "a map leads from at least one feature to at least "
                          "one, got "
                       << source << " -> " << target;
  return success();
}

//===----------------------------------------------------------------------===//
// Methods
//===----------------------------------------------------------------------===//

/// The largest k that is computed exactly (matching::maxTopK).
static constexpr int64_t largestK = 256;

LogicalResult TopKAttr::verify(EmitError emitError, int64_t k, Similarity) {
  if (k < 1 || k > largestK)
    return emitError() << "k is 1 to " << largestK << ", got " << k;
  return success();
}

void TopKAttr::collectLinks(ArrayRef<fx::SiteKind> kinds, int64_t first,
                            int64_t last, SmallVectorImpl<Link> &links) const {
  auto has = [&](fx::SiteKind kind) { return llvm::is_contained(kinds, kind); };
  fx::SiteKind residual = fx::SiteKind::Res;
  for (int64_t layer : llvm::seq_inclusive(first, last)) {
    if (!has(residual)) {
      if (layer > first)
        for (fx::SiteKind kind : kinds)
          links.push_back({kind, layer, kind, layer - 1});
      continue;
    }
    if (layer > first)
      links.push_back({residual, layer, residual, layer - 1});
    for (fx::SiteKind kind : {fx::SiteKind::Mlp, fx::SiteKind::Att})
      if (has(kind))
        links.push_back({residual, layer, kind, layer});
  }
}

bool TopKAttr::leadsBackward() const { return true; }

std::optional<int64_t> TopKAttr::getNumBest() const { return getK(); }

StringRef TopKAttr::getNeeds() const {
  return "a match needs two layers, or the residual stream and the MLP or "
         "attention of one";
}

namespace {
/// What both methods take from the declaration and the two dictionaries.
struct Pair {
  Pair(Operation *matching, Operation *source, Operation *target)
      : matching(cast<MatchingOp>(matching)),
        source(cast<DictionaryOp>(source)), target(cast<DictionaryOp>(target)) {}

  static FlatSymbolRefAttr ref(Operation *symbol) {
    return FlatSymbolRefAttr::get(symbol);
  }
  MapType type() {
    return MapType::get(matching.getContext(), source.getFeatures(),
                        target.getFeatures());
  }

  MatchingOp matching;
  DictionaryOp source, target;
};
} // namespace

Operation *TopKAttr::createMatch(OpBuilder &builder, Location loc,
                                 Operation *matching, Operation *source,
                                 Operation *target) const {
  Pair pair(matching, source, target);
  return MatchOp::create(
      builder, loc, pair.type(), Pair::ref(source), Pair::ref(target),
      builder.getI64IntegerAttr(getK()),
      SimilarityAttr::get(builder.getContext(), getSimilarity()),
      pair.matching.getWeightsAttr(), pair.matching.getFoldAttr(),
      pair.matching.getTextAttr(), Pair::ref(matching), ResultAttr());
}

/// The type of maps one after the other.
static MapType composedType(ValueRange maps) {
  auto first = cast<MapType>(maps.front().getType());
  auto last = cast<MapType>(maps.back().getType());
  return MapType::get(first.getContext(), first.getSource(), last.getTarget());
}

Operation *TopKAttr::createCompose(OpBuilder &builder, Location loc,
                                   ValueRange maps) const {
  // A product of similarities says something only where 1 is the largest.
  if (getSimilarity() != Similarity::Cosine &&
      getSimilarity() != Similarity::Pearson)
    return nullptr;
  return ComposeOp::create(builder, loc, composedType(maps), maps,
                           builder.getI64IntegerAttr(getK()), ResultAttr());
}

LogicalResult PermutationAttr::verify(EmitError emitError,
                                      Similarity similarity) {
  if (similarity == Similarity::Pearson)
    return emitError() << "an assignment compares weights, not activations";
  return success();
}

void PermutationAttr::collectLinks(ArrayRef<fx::SiteKind> kinds, int64_t first,
                                   int64_t last,
                                   SmallVectorImpl<Link> &links) const {
  for (fx::SiteKind kind : kinds)
    for (int64_t layer = first; layer < last; ++layer)
      links.push_back({kind, layer, kind, layer + 1});
}

bool PermutationAttr::leadsBackward() const { return false; }

std::optional<int64_t> PermutationAttr::getNumBest() const {
  return std::nullopt;
}

StringRef PermutationAttr::getNeeds() const {
  return "a permutation leads from one layer to the next and needs two";
}

Operation *PermutationAttr::createMatch(OpBuilder &builder, Location loc,
                                        Operation *matching, Operation *source,
                                        Operation *target) const {
  Pair pair(matching, source, target);
  return PermutationOp::create(
      builder, loc, pair.type(), Pair::ref(source), Pair::ref(target),
      SimilarityAttr::get(builder.getContext(), getSimilarity()),
      pair.matching.getWeightsAttr(), pair.matching.getFoldAttr(),
      pair.matching.getTextAttr(), Pair::ref(matching), ResultAttr());
}

Operation *PermutationAttr::createCompose(OpBuilder &builder, Location loc,
                                          ValueRange maps) const {
  return ComposeOp::create(builder, loc, composedType(maps), maps,
                           IntegerAttr(), ResultAttr());
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

LogicalResult ResultAttr::verify(EmitError emitError, StringRef hash) {
  StringRef digits = hash;
  if (!digits.consume_front(prefix) || digits.size() != 64 ||
      !llvm::all_of(digits, [](char c) {
        return llvm::isDigit(c) || (c >= 'a' && c <= 'f');
      }))
    return emitError() << "expects \"" << prefix
                       << "\" and 64 hexadecimal digits, got \"" << hash
                       << "\"";
  return success();
}

ResultAttr ResultAttr::forKey(MLIRContext *context, StringRef key) {
  return get(context, (prefix + key).str());
}

StringRef ResultAttr::getKey() const {
  return getHash().drop_front(prefix.size());
}

//===----------------------------------------------------------------------===//
// MatchingOp
//===----------------------------------------------------------------------===//

static SmallVector<fx::SiteKind> kindsOf(ArrayAttr sites) {
  SmallVector<fx::SiteKind> kinds;
  for (auto kind : sites.getAsRange<fx::SiteKindAttr>())
    kinds.push_back(kind.getValue());
  return kinds;
}

/// What matchings and the ops that are made of them have to hold.
static LogicalResult verifyComparison(Operation *op, Similarity similarity,
                                      WeightPart weights, Fold fold,
                                      StringAttr text) {
  if (static_cast<uint32_t>(weights) == 0)
    return op->emitOpError("compares no weights");
  bool needsText =
      similarity == Similarity::Pearson || fold == Fold::MeanActivation;
  if (needsText && !text)
    return op->emitOpError("compares activations, and has no text");
  if (!needsText && text)
    return op->emitOpError("has a text, and compares no activations");
  return success();
}

LogicalResult MatchingOp::verify() {
  if (getSites().empty())
    return emitOpError("matches no site");
  llvm::SmallDenseSet<Attribute> seen;
  for (Attribute site : getSites()) {
    if (!isa<fx::SiteKindAttr>(site))
      return emitOpError("expects site kinds, got ") << site;
    if (!seen.insert(site).second)
      return emitOpError("matches the site ") << site << " twice";
  }
  auto first = static_cast<int64_t>(getFirstLayer());
  auto last = static_cast<int64_t>(getLastLayer());
  if (first < 0 || last < first)
    return emitOpError("expects layers in ascending order from 0 on, got ")
           << first << " to " << last;
  return verifyComparison(*this, getMethod().getSimilarityKind(), getWeights(),
                          getFold(), getTextAttr());
}

LogicalResult MatchingOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (!symbols.lookupNearestSymbolFrom<CollectionOp>(*this,
                                                     getCollectionAttr()))
    return emitOpError("there are no dictionaries ") << getCollectionAttr();
  return success();
}

SmallVector<Link> MatchingOp::getLinks() {
  SmallVector<Link> links;
  getMethod().collectLinks(kindsOf(getSites()), getFirstLayer(),
                           getLastLayer(), links);
  return links;
}

//===----------------------------------------------------------------------===//
// MatchOp and PermutationOp
//===----------------------------------------------------------------------===//

/// Both dictionaries are there and have as many features as the map says.
template <typename Op>
static LogicalResult verifyDictionaries(Op op, SymbolTableCollection &symbols) {
  auto type = cast<MapType>(op.getMap().getType());
  for (auto [ref, features] :
       {std::pair(op.getSourceAttr(), type.getSource()),
        std::pair(op.getTargetAttr(), type.getTarget())}) {
    auto dictionary =
        symbols.lookupNearestSymbolFrom<DictionaryOp>(op, ref);
    if (!dictionary)
      return op.emitOpError("there is no dictionary ") << ref;
    if (static_cast<int64_t>(dictionary.getFeatures()) != features) {
      InFlightDiagnostic diag = op.emitOpError("has a map of ")
                                << features << " features for " << ref
                                << ", which has " << dictionary.getFeatures();
      diag.attachNote(dictionary.getLoc()) << "the dictionary";
      return diag;
    }
  }
  if (auto matching = op.getMatchingAttr())
    if (!symbols.lookupNearestSymbolFrom<MatchingOp>(op, matching))
      return op.emitOpError("there is no matching ") << matching;
  return success();
}

LogicalResult MatchOp::verify() {
  if (failed(verifyComparison(*this, getSimilarity(), getWeights(), getFold(),
                              getTextAttr())))
    return failure();
  auto k = static_cast<int64_t>(getK());
  if (k < 1 || k > largestK)
    return emitOpError("k is 1 to ") << largestK << ", got " << k;
  if (k > getMap().getType().getTarget())
    return emitOpError("looks for ")
           << k << " features of " << getMap().getType().getTarget();
  return success();
}

LogicalResult MatchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyDictionaries(*this, symbols);
}

LogicalResult PermutationOp::verify() {
  if (getSimilarity() == Similarity::Pearson)
    return emitOpError("compares weights, not activations");
  return verifyComparison(*this, getSimilarity(), getWeights(), getFold(),
                          getTextAttr());
}

LogicalResult PermutationOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyDictionaries(*this, symbols);
}

std::optional<int64_t> MatchOp::getNumBest() { return getK(); }

//===----------------------------------------------------------------------===//
// ComposeOp
//===----------------------------------------------------------------------===//

LogicalResult ComposeOp::verify() {
  if (getMaps().empty())
    return emitOpError("composes no map");
  if (auto keep = getKeepAttr(); keep && keep.getInt() < 1)
    return emitOpError("keeps 1 or more pairs of a feature, got ")
           << keep.getInt();
  MapType before;
  for (Value map : getMaps()) {
    auto type = cast<MapType>(map.getType());
    if (before && before.getTarget() != type.getSource())
      return emitOpError("a map to ")
             << before.getTarget() << " features is followed by one from "
             << type.getSource();
    before = type;
  }
  if (getMap().getType() != composedType(getMaps()))
    return emitOpError("leads from ")
           << composedType(getMaps()) << ", not " << getMap().getType();
  return success();
}

OpFoldResult ComposeOp::fold(FoldAdaptor) {
  if (getMaps().size() == 1 && !getKeep())
    return getMaps().front();
  return {};
}

LogicalResult ComposeOp::canonicalize(ComposeOp op, PatternRewriter &rewriter) {
  if (op.getKeep() || op.getResult())
    return failure();
  SmallVector<Value> maps;
  for (Value map : op.getMaps()) {
    auto inner = map.getDefiningOp<ComposeOp>();
    if (inner && !inner.getKeep())
      llvm::append_range(maps, inner.getMaps());
    else
      maps.push_back(map);
  }
  if (maps.size() == op.getMaps().size())
    return failure();
  rewriter.modifyOpInPlace(op, [&] { op.getMapsMutable().assign(maps); });
  return success();
}
