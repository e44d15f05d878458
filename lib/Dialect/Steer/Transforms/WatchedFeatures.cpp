//===- WatchedFeatures.cpp - Conditions on lists of features ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WatchedFeatures.h"

#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

/// The condition on every feature of a list.
static Attribute conditionOn(ArrayRef<flow::FeatureAttr> features,
                             WatchAttr watch) {
  MLIRContext *context = watch.getContext();
  SmallVector<Attribute> each;
  for (flow::FeatureAttr feature : features)
    each.push_back(WhenAttr::get(context, feature, watch.getAbove(),
                                 watch.getBelow()));
  if (each.size() == 1)
    return each.front();
  auto all = ArrayAttr::get(context, each);
  if (watch.getAll())
    return AllOfAttr::get(context, all);
  return AnyOfAttr::get(context, all);
}

/// Says where the features of a list are watched, for whoever finds something wrong
/// with one of them: as the importer does for those that are written one by one.
static void addPlaces(PolicyOp policy, flow::SelectOp list) {
  auto fused = dyn_cast<FusedLoc>(policy.getLoc());
  if (!fused)
    return;
  // More than these are the nodes of one graph, which stands in one place.
  constexpr size_t most = 1000;
  MLIRContext *context = policy.getContext();
  SmallVector<Location> places(fused.getLocations());
  flow::FeatureList watched = list.getList();
  for (flow::FeatureAttr feature :
       ArrayRef(watched.features).take_front(most))
    places.push_back(NameLoc::get(
        StringAttr::get(context, feature.getCollection().getValue() + ":" +
                                     feature.str()),
        list.getLoc()));
  policy->setLoc(FusedLoc::get(context, places, fused.getMetadata()));
}

static LogicalResult nameWatched(PolicyOp policy) {
  SmallVector<flow::FeatureList> lists;
  for (Value watched : policy.getWatched()) {
    auto select = watched.getDefiningOp<flow::SelectOp>();
    if (!select || !select.isResolved())
      return policy.emitError() << "the features that policy '"
                                << policy.getSymName()
                                << "' watches are not resolved yet";
    if (select.getSelectors().empty())
      return policy.emitError() << "policy '" << policy.getSymName()
                                << "' watches no feature";
    lists.push_back(select.getList());
    addPlaces(policy, select);
  }
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](WatchAttr watch) -> Attribute {
    return conditionOn(lists[watch.getFeatures()].features, watch);
  });
  policy.setWhenAttr(
      cast<ConditionAttrInterface>(replacer.replace(policy.getWhenAttr())));
  policy.getWatchedMutable().clear();
  return success();
}

LogicalResult weir::steer::nameWatched(ModuleOp module) {
  bool failedAny = false;
  for (auto policy : module.getOps<PolicyOp>())
    if (!policy.getWatched().empty())
      failedAny |= failed(::nameWatched(policy));
  return success(!failedAny);
}
