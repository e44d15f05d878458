//===- Resolve.cpp - Opens dictionaries and expands selectors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Selections.h"

#include "weir/Dialect/Flow/Transforms/Passes.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Support/Locations.h"

#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/MapVector.h"

namespace weir::flow {
#define GEN_PASS_DEF_FLOWRESOLVEPASS
#include "weir/Dialect/Flow/Transforms/Passes.h.inc"
} // namespace weir::flow

using namespace mlir;
using namespace weir;
using namespace weir::flow;

namespace {

struct FlowResolve : flow::impl::FlowResolvePassBase<FlowResolve> {
  FlowResolve() = default;
  explicit FlowResolve(std::shared_ptr<Resources> resources)
      : resources(std::move(resources)) {}

  void getDependentDialects(DialectRegistry &registry) const override {
    Base::getDependentDialects(registry);
    registerEvaluation(registry);
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    DictionaryStore store(module, *resources);
    if (failed(store.checkModel()))
      return signalPassFailure();

    // Report what is wrong with every list, not only with the first.
    bool failedAny = false;
    for (auto follow : module.getOps<FollowOp>()) {
      follow.emitError("was not followed: run flow-follow before");
      failedAny = true;
    }
    for (auto part : module.getOps<PartOp>()) {
      part.emitError("was not selected: run flow-build-graphs before");
      failedAny = true;
    }
    for (auto select : llvm::make_early_inc_range(module.getOps<SelectOp>()))
      failedAny |= failed(resolve(select, store));
    for (auto user : module.getOps<FeatureUserOpInterface>())
      failedAny |= failed(resolveNamed(user, store));
    for (auto bridge : module.getOps<BridgeOp>())
      for (SiteAttr site : {bridge.getFrom(), bridge.getTo()})
        failedAny |= failed(openAt(bridge.getLoc(), bridge.getCollectionAttr(),
                                   site, store));
    if (failedAny || failed(unify(module, store)) ||
        failed(combine(module, store)))
      signalPassFailure();
  }

  /// What is made of lists, now that these are known and every feature has one
  /// name.
  LogicalResult combine(ModuleOp module, DictionaryStore &store) {
    for (Operation &op : llvm::make_early_inc_range(module.getOps())) {
      auto combine = dyn_cast<CombineOpInterface>(op);
      auto opposed = dyn_cast<OpposedOp>(op);
      if (!combine && !opposed)
        continue;
      // Operands come before their users, and are lists by now.
      SmallVector<FeatureList> operands;
      for (Value operand : op.getOperands()) {
        auto list = operand.getDefiningOp<SelectOp>();
        if (!list)
          return op.emitOpError("combines features that nothing selects");
        operands.push_back(list.getList());
      }
      FailureOr<FeatureList> list = failure();
      if (opposed)
        list = featuresOf(opposed, operands.front(), store);
      else
        list = combine.combine(operands);
      if (failed(list))
        return failure();
      OpBuilder builder(&op);
      auto select = SelectOp::create(builder, op.getLoc(), *list);
      op.getResult(0).replaceAllUsesWith(select.getFeatures());
      op.erase();
    }
    return success();
  }

  /// A dictionary is what it holds, not what it is called: where two collections
  /// have the same one at a site, features of the second become the first's.
  LogicalResult unify(ModuleOp module, DictionaryStore &store) {
    llvm::MapVector<Attribute, SmallVector<DictionaryOp>> bySite;
    // Further decoders go with the dictionary that has them.
    for (auto dictionary : module.getOps<DictionaryOp>())
      if (!dictionary.isFurther())
        bySite[dictionary.getSite()].push_back(dictionary);
    DenseMap<std::pair<Attribute, Attribute>, FlatSymbolRefAttr> same;
    for (auto &[site, dictionaries] : bySite) {
      if (dictionaries.size() < 2)
        continue;
      llvm::MapVector<StringAttr, DictionaryOp> byContent;
      for (DictionaryOp dictionary : dictionaries) {
        auto opened = store.open(dictionary.getSymName());
        if (!opened)
          return dictionary.emitError(llvm::toString(opened.takeError()));
        auto hash = (*opened)->contentHash();
        if (!hash)
          return dictionary.emitError(llvm::toString(hash.takeError()));
        auto [first, isNew] = byContent.insert(
            {StringAttr::get(&getContext(), *hash), dictionary});
        if (isNew)
          continue;
        FlatSymbolRefAttr name = first->second.getCollectionAttr();
        same[{dictionary.getCollectionAttr(), site}] = name;
        InFlightDiagnostic diag = dictionary.emitWarning()
                                  << "has the dictionary that " << name
                                  << " has at "
                                  << dictionary.getSite().getLayer() << "/"
                                  << fx::stringifySiteKind(
                                         dictionary.getSite().getKind())
                                  << ": its features are the same features";
        diag.attachNote(first->second.getLoc()) << "this one";
      }
    }
    if (same.empty())
      return success();
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](FeatureAttr feature) -> std::optional<Attribute> {
      auto found = same.find({feature.getCollection(), feature.getSite()});
      if (found == same.end())
        return std::nullopt;
      return FeatureAttr::get(&getContext(), found->second, feature.getSiteKind(),
                              feature.getSiteLayer(), feature.getIndex());
    });
    replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true);
    for (auto select : module.getOps<SelectOp>())
      select.setList(select.getList());
    return success();
  }

  LogicalResult resolve(SelectOp select, DictionaryStore &store) {
    int64_t isNew = 0;
    auto found = featuresOf(
        select, store,
        [&](Location loc, StringRef features) {
          remark::passed(loc, remark::RemarkOpts::name("SelectedFeatures")
                                  .category(getArgument()))
              << ("selects " + features).str();
        },
        &isNew);
    opened += isNew;
    if (failed(found))
      return failure();
    selected += found->features.size();
    select.setList(*found);
    return success();
  }

  /// Features that an op names by themselves, such as those of a condition.
  LogicalResult resolveNamed(FeatureUserOpInterface user,
                             DictionaryStore &store) {
    SmallVector<FeatureAttr> features;
    user.collectFeatures(features);
    for (FeatureAttr feature : features) {
      Location place = locationOf(
          user.getOperation(),
          (feature.getCollection().getValue() + ":" + feature.str()).str());
      auto dictionary =
          openAt(place, feature.getCollection(), feature.getSite(), store);
      SmallVector<int64_t> indices;
      if (failed(dictionary) ||
          failed(cast<SelectableAttrInterface>(feature).select(
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

  std::shared_ptr<Resources> resources = Resources::create({});
};

} // namespace

std::unique_ptr<Pass>
flow::createFlowResolvePass(std::shared_ptr<Resources> resources) {
  return std::make_unique<FlowResolve>(std::move(resources));
}
