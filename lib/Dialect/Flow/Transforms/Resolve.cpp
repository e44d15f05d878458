//===- Resolve.cpp - Opens dictionaries and expands selectors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/Transforms/DictionaryStore.h"
#include "weir/Dialect/Flow/Transforms/Passes.h"
#include "weir/Spec/Locations.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/SetVector.h"

namespace weir::flow {
#define GEN_PASS_DEF_FLOWRESOLVEPASS
#include "weir/Dialect/Flow/Transforms/Passes.h.inc"
} // namespace weir::flow

using namespace mlir;
using namespace weir;
using namespace weir::flow;

namespace {

struct FlowResolve : flow::impl::FlowResolvePassBase<FlowResolve> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto archive = openModel(module, model);
    if (failed(archive))
      return signalPassFailure();
    DictionaryStore store(module, base, *archive);

    // Report what is wrong with every set, not only with the first.
    bool failedAny = false;
    for (auto features : llvm::make_early_inc_range(module.getOps<FeaturesOp>()))
      failedAny |= failed(resolve(features, store));
    for (auto user : module.getOps<FeatureUserOpInterface>())
      failedAny |= failed(resolveNamed(user, store));
    if (failedAny)
      signalPassFailure();
  }

  LogicalResult resolve(FeaturesOp features, DictionaryStore &store) {
    llvm::SetVector<Attribute> resolved;
    bool failedAny = false, repeats = features.getHadRepeats();
    for (auto [i, attribute] : llvm::enumerate(features.getSelectors())) {
      if (isa<LinkedAttr>(attribute)) {
        emitError(features.getSelectorLoc(i))
            << "is linked by a match that was not followed: run flow-follow "
               "before";
        failedAny = true;
        continue;
      }
      auto selector = cast<SelectorAttrInterface>(attribute);
      FlatSymbolRefAttr collection = selector.getCollectionRef();
      auto site = SiteAttr::get(&getContext(), selector.getSiteKind(),
                                selector.getSiteLayer());
      Location loc = features.getSelectorLoc(i);
      SmallVector<int64_t> indices;
      FailureOr<std::shared_ptr<const Dictionary>> dictionary =
          openAt(loc, collection, site, store);
      if (failed(dictionary) ||
          failed(selector.select(
              **dictionary, [&] { return emitError(loc); }, indices))) {
        failedAny = true;
        continue;
      }
      for (int64_t index : indices)
        repeats |= !resolved.insert(
            FeatureAttr::get(&getContext(), collection, site.getKind(),
                             site.getLayer(), index));
    }
    if (failedAny)
      return failure();
    selected += resolved.size();
    features.setSelectorsAttr(
        ArrayAttr::get(&getContext(), resolved.getArrayRef()));
    features.setHadRepeats(repeats);
    return success();
  }

  /// Features that an op names by themselves, such as those of a condition.
  LogicalResult resolveNamed(FeatureUserOpInterface user,
                             DictionaryStore &store) {
    SmallVector<FeatureAttr> features;
    user.collectFeatures(features);
    for (FeatureAttr feature : features) {
      Location place = spec::locationOf(
          user.getOperation(),
          (feature.getCollection().getValue() + ":" + feature.str()).str());
      auto dictionary =
          openAt(place, feature.getCollection(), feature.getSite(), store);
      SmallVector<int64_t> indices;
      if (failed(dictionary) ||
          failed(feature.select(
              **dictionary, [&] { return emitError(place); }, indices)))
        return failure();
    }
    return success();
  }

  /// Opens a dictionary and, the first time, adds its op after the collection.
  FailureOr<std::shared_ptr<const Dictionary>>
  openAt(Location loc, FlatSymbolRefAttr collection, SiteAttr site,
         DictionaryStore &store) {
    bool isNew = false;
    auto declared = store.declare(loc, collection, site, &isNew);
    if (failed(declared))
      return failure();
    opened += isNew;
    return declared->second;
  }
};

} // namespace
