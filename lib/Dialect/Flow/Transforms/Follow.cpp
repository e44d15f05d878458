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
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    loaded.clear();
    bool failedAny = false;
    for (auto features : module.getOps<FeaturesOp>())
      if (llvm::any_of(features.getSelectors(), llvm::IsaPred<LinkedAttr>))
        failedAny |= failed(follow(features));
    if (failedAny)
      signalPassFailure();
  }

private:
  LogicalResult follow(FeaturesOp features) {
    SmallVector<Attribute> selectors;
    // Locations go along with the selectors, see getSelectorLoc.
    SmallVector<Location> locations = {wholeLoc(features)};
    bool failedAny = false;
    for (auto [i, selector] : llvm::enumerate(features.getSelectors())) {
      Location loc = features.getSelectorLoc(i);
      auto linked = dyn_cast<LinkedAttr>(selector);
      if (!linked) {
        selectors.push_back(selector);
        locations.push_back(loc);
        continue;
      }
      SmallVector<FeatureAttr> found;
      failedAny |= failed(follow(linked, loc, found));
      for (FeatureAttr feature : found) {
        selectors.push_back(feature);
        locations.push_back(loc);
        ++numFollowed;
      }
    }
    if (failedAny)
      return failure();
    features.setSelectorsAttr(ArrayAttr::get(&getContext(), selectors));
    features->setLoc(FusedLoc::get(&getContext(), locations));
    return success();
  }

  static Location wholeLoc(FeaturesOp features) {
    auto fused = dyn_cast<FusedLoc>(features.getLoc());
    bool hasParts = fused && fused.getLocations().size() ==
                                 features.getSelectors().size() + 1;
    return hasParts ? fused.getLocations().front() : features.getLoc();
  }

  LogicalResult follow(LinkedAttr linked, Location loc,
                       SmallVectorImpl<FeatureAttr> &found) {
    auto matching =
        getOperation().lookupSymbol<MatchingOp>(linked.getMatching());
    if (!matching)
      return emitError(loc) << "there is no matching " << linked.getMatching();
    if (failed(checkCollection(matching, linked, loc)))
      return failure();
    SmallVector<Link> links;
    collectLinksOf(matching, linked, links);
    bool forward = matching.getMethod().leadsBackward() ==
                   (linked.getSide() == Side::Predecessors);
    SmallVector<Candidate> candidates;
    for (auto [i, link] : llvm::enumerate(links))
      if (failed(collect(matching, linked, link, i, forward, loc, candidates)))
        return failure();
    llvm::sort(candidates, [](const Candidate &a, const Candidate &b) {
      return std::tuple(-a.similarity, a.link, a.feature.getIndex()) <
             std::tuple(-b.similarity, b.link, b.feature.getIndex());
    });
    if (candidates.empty()) {
      InFlightDiagnostic diag =
          emitError(loc) << "feature " << linked.getOf().str() << " has no "
                         << stringifySide(linked.getSide()) << " by "
                         << linked.getMatching();
      diag.attachNote(matching.getLoc()) << "the match";
      return diag;
    }
    constexpr size_t shown = 16;
    std::string names;
    for (const Candidate &candidate :
         ArrayRef(candidates).take_front(linked.getCount())) {
      found.push_back(candidate.feature);
      if (found.size() <= shown)
        names += (names.empty() ? "" : ", ") + candidate.feature.str();
    }
    if (found.size() > shown)
      names += " and " + std::to_string(found.size() - shown) + " more";
    remark::passed(loc, remark::RemarkOpts::name("FollowedFeatures")
                            .category(getArgument()))
        << ("the " + stringifySide(linked.getSide()) + " of " +
            linked.getOf().str() + " are " + names)
               .str();
    return success();
  }

  /// Adds what one match says of a feature: its own row where the match is
  /// followed in its direction, else the rows that lead to it.
  LogicalResult collect(MatchingOp matching, LinkedAttr linked,
                        const Link &link, size_t position, bool forward,
                        Location loc, SmallVectorImpl<Candidate> &candidates) {
    FailureOr<const matching::Match *> match =
        load(matching, link, loc);
    if (failed(match))
      return failure();
    int64_t index = linked.getOf().getIndex();
    int64_t features = forward ? (*match)->rows : (*match)->columns;
    if (index >= features)
      return emitError(loc) << "feature " << linked.getOf().str()
                            << " is out of range: the dictionary has features "
                               "0 to "
                            << features - 1;
    bool anySimilarity = matching.getMethod().getSimilarityKind() ==
                         Similarity::MeanSquaredError;
    auto add = [&](int64_t other, double similarity) {
      if (other < 0 || (similarity <= 0 && !anySimilarity))
        return;
      candidates.push_back(
          {similarity, position,
           FeatureAttr::get(&getContext(), linked.getOf().getCollection(),
                            forward ? link.targetKind : link.sourceKind,
                            forward ? link.targetLayer : link.sourceLayer,
                            other)});
    };
    int64_t k = (*match)->k;
    if (forward) {
      for (int64_t t = index * k; t < (index + 1) * k; ++t)
        add((*match)->indices[t], (*match)->values[t]);
      return success();
    }
    for (auto [t, other] : llvm::enumerate((*match)->indices))
      if (other == index)
        add(t / k, (*match)->values[t]);
    return success();
  }

  /// The result of the op that was made for a link, read once.
  FailureOr<const matching::Match *> load(MatchingOp matching, const Link &link,
                                          Location loc) {
    auto collection = getOperation().lookupSymbol<CollectionOp>(
        matching.getCollectionAttr());
    auto refOf = [&](fx::SiteKind kind, int64_t layer) {
      return FlatSymbolRefAttr::get(
          &getContext(), collection.dictionaryName(
                             SiteAttr::get(&getContext(), kind, layer)));
    };
    FlatSymbolRefAttr source = refOf(link.sourceKind, link.sourceLayer);
    FlatSymbolRefAttr target = refOf(link.targetKind, link.targetLayer);
    for (auto op : getOperation().getOps<PairOpInterface>()) {
      if (op.getMatchingRef() != FlatSymbolRefAttr::get(matching) ||
          op.getSourceRef() != source || op.getTargetRef() != target)
        continue;
      auto &match = loaded[op];
      if (match)
        return match.get();
      ResultAttr result =
          cast<ComputedOpInterface>(op.getOperation()).getComputed();
      if (!result)
        return emitError(loc) << "the match of " << source << " and " << target
                              << " was not computed: run flow-match before";
      auto read = readResult(result);
      if (!read)
        return emitError(loc) << llvm::toString(read.takeError());
      match = std::make_shared<const matching::Match>(std::move(*read));
      return match.get();
    }
    return emitError(loc) << "there is no match of " << source << " and "
                          << target << ": run flow-expand-matchings before";
  }

  llvm::Expected<matching::Match> readResult(ResultAttr result) {
    auto opened = ResultCache::open(cache);
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

  llvm::DenseMap<Operation *, std::shared_ptr<const matching::Match>> loaded;
};

} // namespace
