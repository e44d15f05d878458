//===- Selections.cpp - Features of selectors, with opened dictionaries ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Selections.h"

#include "weir/Dictionary/Rows.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

static std::string listOf(SiteAttr site, ArrayRef<int64_t> indices) {
  constexpr size_t shown = 16;
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(indices.take_front(shown), os, [&](int64_t index) {
    os << site.str() << "/" << index;
  });
  if (indices.size() > shown)
    os << " and " << indices.size() - shown << " more";
  return text;
}

FailureOr<FeatureList> flow::featuresOf(SelectOp select, DictionaryStore &store,
                                        SelectionObserver observer,
                                        int64_t *opened) {
  MLIRContext *context = select.getContext();
  llvm::SetVector<FeatureAttr> found;
  bool failedAny = false;
  FeatureList result;
  result.hadRepeats = select.getHadRepeats();
  for (auto [i, attribute] : llvm::enumerate(select.getSelectors())) {
    auto selector = cast<SelectorAttrInterface>(attribute);
    FlatSymbolRefAttr collection = selector.getCollectionRef();
    auto site = SiteAttr::get(context, selector.getSiteKind(),
                              selector.getSiteLayer());
    Location loc = select.getSelectorLoc(i);
    SmallVector<int64_t> indices;
    bool isNew = false;
    auto declared = store.declare(loc, collection, site, &isNew);
    if (opened)
      *opened += isNew;
    if (failed(declared) ||
        failed(cast<SelectableAttrInterface>(attribute).select(
            *declared->second, [&] { return emitError(loc); }, indices))) {
      failedAny = true;
      continue;
    }
    if (observer && !isa<FeatureAttr>(attribute))
      observer(loc, listOf(site, indices));
    for (int64_t index : indices)
      result.hadRepeats |=
          !found.insert(FeatureAttr::get(context, collection, site.getKind(),
                                         site.getLayer(), index));
  }
  if (failedAny)
    return failure();
  result.features = llvm::to_vector(found.getArrayRef());
  // Features with weights stand there once each.
  if (std::optional<ArrayRef<double>> weights = select.getWeights())
    result.weights.assign(weights->begin(), weights->end());
  return result;
}

FailureOr<FeatureList> flow::featuresOf(OpposedOp op, const FeatureList &of,
                                        DictionaryStore &store) {
  llvm::SetVector<FeatureAttr> found;
  for (FeatureAttr feature : of.features) {
    auto declared = store.declare(op.getLoc(), feature.getCollection(),
                                  feature.getSite());
    if (failed(declared))
      return failure();
    int64_t features = declared->second->info().features;
    if (feature.getIndex() >= features)
      return emitError(op.getLoc())
             << "feature " << describe(feature, op)
             << " is out of range: the dictionary has features 0 to "
             << features - 1;
    auto opposed =
        antagonists(*declared->second, feature.getIndex(), op.getMost());
    if (!opposed)
      return emitError(op.getLoc()) << llvm::toString(opposed.takeError());
    for (const Antagonist &antagonist : *opposed)
      found.insert(FeatureAttr::get(op.getContext(), feature.getCollection(),
                                    feature.getKind(), feature.getLayer(),
                                    antagonist.feature));
  }
  if (found.empty())
    return emitError(op.getLoc())
           << "none of these features has an antagonist: no feature of their "
              "dictionaries has a negative cosine with one";
  FeatureList result;
  result.features = llvm::to_vector(found.getArrayRef());
  return result;
}
