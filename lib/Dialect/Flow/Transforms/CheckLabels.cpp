//===- CheckLabels.cpp - Names of features that are there ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/Transforms/Passes.h"
#include "weir/Resources/DictionaryStore.h"

namespace weir::flow {
#define GEN_PASS_DEF_FLOWCHECKLABELSPASS
#include "weir/Dialect/Flow/Transforms/Passes.h.inc"
} // namespace weir::flow

using namespace mlir;
using namespace weir;
using namespace weir::flow;

namespace {

struct FlowCheckLabels : flow::impl::FlowCheckLabelsPassBase<FlowCheckLabels> {
  using Base::Base;
  FlowCheckLabels() = default;
  FlowCheckLabels(FlowCheckLabelsPassOptions options,
                  std::shared_ptr<Resources> resources)
      : Base(std::move(options)), resources(std::move(resources)) {}

  void getDependentDialects(DialectRegistry &registry) const override {
    Base::getDependentDialects(registry);
    registerEvaluation(registry);
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (module.getOps<LabelOp>().empty())
      return markAllAnalysesPreserved();
    DictionaryStore store(module, *resources);
    if (failed(store.checkModel()))
      return signalPassFailure();
    DenseMap<Attribute, CollectionOp> collections;
    for (auto collection : module.getOps<CollectionOp>())
      collections[FlatSymbolRefAttr::get(collection.getSymNameAttr())] = collection;
    DenseSet<std::pair<Attribute, Attribute>> unreadable;
    for (auto label : module.getOps<LabelOp>()) {
      FeatureAttr feature = label.getFeature();
      std::pair<Attribute, Attribute> place = {feature.getCollection(),
                                               feature.getSite()};
      CollectionOp collection = collections.lookup(feature.getCollection());
      if (!collection || unreadable.contains(place))
        continue;
      auto opened = store.open(collection, feature.getSite());
      if (!opened) {
        unreadable.insert(place);
        std::string problem = llvm::toString(opened.takeError());
        if (!quiet)
          label.emitWarning()
              << "cannot tell whether the dictionary has the feature "
              << feature.str() << ", which has a name: " << problem;
        continue;
      }
      SmallVector<int64_t> indices;
      if (failed(cast<SelectableAttrInterface>(feature).select(
              **opened, [&] { return emitError(label.getLoc()); }, indices)))
        signalPassFailure();
    }
    markAllAnalysesPreserved();
  }

private:
  std::shared_ptr<Resources> resources = Resources::create({});
};

} // namespace

std::unique_ptr<Pass>
flow::createFlowCheckLabelsPass(FlowCheckLabelsPassOptions options,
                                std::shared_ptr<Resources> resources) {
  return std::make_unique<FlowCheckLabels>(std::move(options),
                                           std::move(resources));
}
