//===- Follow.cpp - From links to the features they lead to ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/Transforms/Passes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/STLExtras.h"

#include <tuple>

namespace weir::flow {
#define GEN_PASS_DEF_FLOWFOLLOWPASS
#include "weir/Dialect/Flow/Transforms/Passes.h.inc"
} // namespace weir::flow

using namespace mlir;
using namespace weir;
using namespace weir::flow;

namespace {

struct Candidate {
  double similarity;
  size_t link; ///< position among the matching's links
  FeatureAttr feature;
};

struct FlowFollow : flow::impl::FlowFollowPassBase<FlowFollow> {
  FlowFollow() = default;
  explicit FlowFollow(std::shared_ptr<Resources> resources)
      : resources(std::move(resources)) {}

  void runOnOperation() override {
    ModuleOp module = getOperation();
    loaded.clear();
    llvm::DenseMap<Value, FeatureList> known;
    bool failedAny = false;
    // Operands come before their users.
    for (Operation &op : llvm::make_early_inc_range(module.getOps())) {
      if (auto select = dyn_cast<SelectOp>(op)) {
        if (select.isResolved())
          known[select.getFeatures()] = select.getList();
      } else if (auto combine = dyn_cast<CombineOpInterface>(op)) {
        SmallVector<FeatureList> operands;
        for (Value operand : op.getOperands())
          if (auto list = known.find(operand); list != known.end())
            operands.push_back(list->second);
        if (operands.size() == op.getNumOperands())
          known[op.getResult(0)] = combine.combine(operands);
      } else if (auto follow = dyn_cast<FollowOp>(op)) {
        auto list = known.find(follow.getOf());
        if (list == known.end()) {
          emitError(follow.getLoc())
              << "follows features that are not known yet: only single "
                 "features can be followed";
          failedAny = true;
          continue;
        }
        auto found = this->follow(follow, list->second);
        if (failed(found)) {
          failedAny = true;
          continue;
        }
        OpBuilder builder(follow);
        auto select = SelectOp::create(builder, follow.getLoc(), *found);
        known[select.getFeatures()] = std::move(*found);
        follow.getFeatures().replaceAllUsesWith(select.getFeatures());
        follow.erase();
      }
    }
    if (failedAny)
      signalPassFailure();
  }

private:
  FailureOr<FeatureList> follow(FollowOp op, const FeatureList &from) {
    SmallVector<FeatureList> lists;
    for (FeatureAttr feature : from.features) {
      auto found = follow(op, feature);
      if (failed(found))
        return failure();
      numFollowed += found->size();
      lists.push_back({std::move(*found), false, {}});
    }
    FeatureList all = joined(lists);
    all.hadRepeats |= from.hadRepeats;
    return all;
  }

  /// What is linked to one feature, the most similar first.
  FailureOr<SmallVector<FeatureAttr>> follow(FollowOp op, FeatureAttr feature) {
    Location loc = op.getLoc();
    auto matching =
        getOperation().lookupSymbol<MatchingOp>(op.getMatchingAttr());
    if (failed(checkCollection(matching, feature.getCollection(), loc)))
      return failure();
    SmallVector<Candidate> candidates;
    for (auto [i, link] : llvm::enumerate(
             linksFrom(matching, feature.getSite(), op.getSide())))
      if (failed(collect(op, matching, feature, link, i, candidates)))
        return failure();
    llvm::sort(candidates, [](const Candidate &a, const Candidate &b) {
      return std::tuple(-a.similarity, a.link, a.feature.getIndex()) <
             std::tuple(-b.similarity, b.link, b.feature.getIndex());
    });
    if (candidates.empty()) {
      InFlightDiagnostic diag = emitError(loc)
                                << "feature " << describe(feature, op) << " has no "
                                << stringifySide(op.getSide()) << " by "
                                << op.getMatchingAttr();
      diag.attachNote(matching.getLoc()) << "the match";
      return diag;
    }
    constexpr size_t shown = 16;
    SmallVector<FeatureAttr> found;
    std::string names;
    for (const Candidate &candidate :
         ArrayRef(candidates).take_front(op.getMost())) {
      found.push_back(candidate.feature);
      if (found.size() <= shown)
        names += (names.empty() ? "" : ", ") + describe(candidate.feature, op);
    }
    if (found.size() > shown)
      names += " and " + std::to_string(found.size() - shown) + " more";
    remark::passed(op.getLoc(), remark::RemarkOpts::name("FollowedFeatures")
                                    .category(getArgument()))
        << ("the " + stringifySide(op.getSide()) + " of " +
            describe(feature, op) + " are " + names)
               .str();
    return found;
  }

  /// Adds what one match says of a feature: its own row where the match is
  /// followed in its direction, else the rows that lead to it.
  LogicalResult collect(FollowOp op, MatchingOp matching, FeatureAttr feature,
                        const FollowedLink &followed, size_t position,
                        SmallVectorImpl<Candidate> &candidates) {
    Location loc = op.getLoc();
    FailureOr<const matching::Match *> match = load(op, matching, followed.link);
    if (failed(match))
      return failure();
    int64_t index = feature.getIndex();
    int64_t features = followed.forward ? (*match)->rows : (*match)->columns;
    if (index >= features)
      return emitError(loc) << "feature " << describe(feature, op)
                            << " is out of range: the dictionary has features "
                               "0 to "
                            << features - 1;
    bool anySimilarity = matching.getMethod().getSimilarityKind() ==
                         Similarity::MeanSquaredError;
    SiteAttr end = followed.end(&getContext());
    auto add = [&](int64_t other, double similarity) {
      if (other < 0 || (similarity <= 0 && !anySimilarity))
        return;
      candidates.push_back(
          {similarity, position,
           FeatureAttr::get(&getContext(), feature.getCollection(),
                            end.getKind(), end.getLayer(), other)});
    };
    int64_t k = (*match)->k;
    if (followed.forward) {
      for (int64_t t = index * k; t < (index + 1) * k; ++t)
        add((*match)->indices[t], (*match)->values[t]);
      return success();
    }
    for (auto [t, other] : llvm::enumerate((*match)->indices))
      if (other == index)
        add(t / k, (*match)->values[t]);
    return success();
  }

  /// The result of the map that an op follows for a link, read once.
  FailureOr<const matching::Match *> load(FollowOp op, MatchingOp matching,
                                          const Link &link) {
    auto collection = getOperation().lookupSymbol<CollectionOp>(
        matching.getCollectionAttr());
    auto refOf = [&](fx::SiteKind kind, int64_t layer) {
      return FlatSymbolRefAttr::get(
          &getContext(), collection.dictionaryName(
                             SiteAttr::get(&getContext(), kind, layer)));
    };
    FlatSymbolRefAttr source = refOf(link.sourceKind, link.sourceLayer);
    FlatSymbolRefAttr target = refOf(link.targetKind, link.targetLayer);
    for (Value map : op.getMaps()) {
      auto pair = map.getDefiningOp<PairOpInterface>();
      if (!pair || pair.getSourceRef() != source ||
          pair.getTargetRef() != target)
        continue;
      auto &match = loaded[pair];
      if (match)
        return match.get();
      ResultAttr result =
          cast<ComputedOpInterface>(pair.getOperation()).getComputed();
      if (!result)
        return emitError(op.getLoc())
               << "the match of " << source << " and " << target
               << " was not computed: run flow-match before";
      auto read = readResult(result);
      if (!read)
        return emitError(op.getLoc()) << llvm::toString(read.takeError());
      match = std::make_shared<const matching::Match>(std::move(*read));
      return match.get();
    }
    return emitError(op.getLoc())
           << "there is no match of " << source << " and " << target
           << " to follow: run flow-expand-matchings before";
  }

  llvm::Expected<matching::Match> readResult(ResultAttr result) {
    auto opened = resources->cache();
    if (!opened)
      return opened.takeError();
    auto entry = opened->find(result.getKey());
    if (!entry)
      return entry.takeError();
    if (!*entry)
      return llvm::createStringError("the result " + result.getHash() +
                                     " is not in the cache '" +
                                     opened->folder() + "'");
    return matching::Match::load(**entry);
  }

  std::shared_ptr<Resources> resources = Resources::create({});
  llvm::DenseMap<Operation *, std::shared_ptr<const matching::Match>> loaded;
};

} // namespace

std::unique_ptr<Pass>
flow::createFlowFollowPass(std::shared_ptr<Resources> resources) {
  return std::make_unique<FlowFollow>(std::move(resources));
}
