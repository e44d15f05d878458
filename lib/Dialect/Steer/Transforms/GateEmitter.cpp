//===- GateEmitter.cpp - The gates of policies, outside of patches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GateEmitter.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

Value GateEmitter::read(Attribute attribute) {
  auto feature = cast<flow::FeatureAttr>(attribute);
  auto [dictionary, marker] = placeOf(feature);
  // As the condition itself reads it: before the edits of its site.
  return createRead(opBuilder, where, marker.getInput(), dictionary,
                    feature.getIndex());
}

std::pair<flow::DictionaryOp, fx::SiteOp>
GateEmitter::placeOf(flow::FeatureAttr feature) {
  flow::DictionaryOp dictionary = flow::lookupDictionary(symbols, feature);
  if (!dictionary) {
    current.emitError() << "feature " << feature.str()
                        << " has no dictionary that was opened";
    return {};
  }
  fx::SiteOp marker = markers.lookup(dictionary.getReads());
  if (!marker) {
    current.emitError() << "feature " << feature.str() << " is read at "
                        << dictionary.getReads().str() << ", which the model does not have";
    return {};
  }
  return {dictionary, marker};
}

Value GateEmitter::gateOf(PolicyOp policy, ArrayRef<int64_t> plans,
                          bool noPadding) {
  Value &known = gates[policy];
  if (known)
    return known;
  current = policy;
  where = NameLoc::get(policy.getSymNameAttr(), policy.getLoc());
  Value gate =
      inputs.gate(where, plans, policy.getTokensAttr(), noPadding);
  if (auto attribute = policy.getWhenAttr()) {
    SmallVector<flow::FeatureAttr> features;
    attribute.collectFeatures(features);
    // A condition joins whatever it is given.
    for (flow::FeatureAttr feature : features)
      if (!placeOf(feature).second)
        return {};
    Value when = attribute.emit(*this);
    gate = AllOp::create(opBuilder, where,
                         broadcastGateType({gate.getType(), when.getType()},
                                           opBuilder.getI1Type()),
                         ValueRange{gate, when});
  }
  return known = gate;
}
