//===- EmitFeatures.cpp - Lists of features as values of flow ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

using namespace mlir;
using namespace weir;
using namespace weir::spec;

flow::FeatureAttr Emitter::feature(const FeatureRef &feature) const {
  return flow::FeatureAttr::get(context, dictionary(feature.site),
                                siteKindOf(feature.site.site.value),
                                feature.site.layer.value, feature.index.value);
}

Attribute Emitter::selector(const Selector &selector) const {
  switch (selector.kind) {
  case Selector::Kind::Feature:
    return feature(selector.feature);
  case Selector::Kind::Antagonists:
    return flow::AntagonistsAttr::get(context, feature(selector.feature),
                                      selector.count);
  case Selector::Kind::WholeSite:
    return flow::WholeSiteAttr::get(context, dictionary(selector.site),
                                    siteKindOf(selector.site.site.value),
                                    selector.site.layer.value);
  case Selector::Kind::Predecessors:
  case Selector::Kind::Successors:
  case Selector::Kind::Named:
  case Selector::Kind::Graph:
  case Selector::Kind::Opposed:
    break;
  }
  llvm_unreachable("an operation of its own");
}

/// The features that a match leads to.
Value Emitter::linked(const Selector &selector, Location location) {
  Location where = at(selector.range);
  auto of = flow::SelectOp::create(
      builder, where, builder.getArrayAttr({feature(selector.feature)}),
      UnitAttr());
  return flow::FollowOp::create(
      builder, location,
      flow::SideAttr::get(context,
                          selector.kind == Selector::Kind::Predecessors
                              ? flow::Side::Predecessors
                              : flow::Side::Successors),
      of, symbol(lookup.matches.find(selector.match->value)),
      builder.getI64IntegerAttr(selector.count), ValueRange());
}

/// Selectors that name features by themselves, in a row, are one list; named
/// lists and what is followed are values of their own.
Value Emitter::features(StringRef name, const Selection &selection,
                        SourceRange range, StrengthWeight weight) {
  // The name is that of the location: it is no part of the value.
  auto named = [&](Location location) -> Location {
    return NameLoc::get(builder.getStringAttr(name), location);
  };
  ArrayRef<Selector> selectors = selection.selectors;
  auto isListed = [](const Selector &selector) {
    return selector.kind == Selector::Kind::Feature ||
           selector.kind == Selector::Kind::Antagonists ||
           selector.kind == Selector::Kind::WholeSite;
  };
  bool isOne = llvm::all_of(selectors, isListed);
  SmallVector<Value> parts;
  while (!selectors.empty()) {
    const Selector &first = selectors.front();
    ArrayRef<Selector> row = selectors.take_while(isListed);
    selectors = selectors.drop_front(std::max<size_t>(row.size(), 1));
    if (first.kind == Selector::Kind::Named) {
      const FeatureList &of = *lookup.features.find(first.name.value);
      parts.push_back(weight == StrengthWeight::None
                          ? list(of)
                          : features(of.name.value, of.selection, first.range,
                                     weight));
      continue;
    }
    if (row.empty()) {
      Location where = at(first.range);
      if (selection.selectors.size() == 1)
        where = named(where);
      if (first.kind == Selector::Kind::Graph)
        parts.push_back(
            graphs.part(first.name, first.part.get(), weight, where));
      else if (first.kind == Selector::Kind::Opposed)
        parts.push_back(graphs.opposed(first, where));
      else
        parts.push_back(linked(first, where));
      continue;
    }
    SmallVector<Attribute> attributes;
    SmallVector<Location> locations = {isOne ? named(at(range)) : at(range)};
    for (const Selector &each : row) {
      attributes.push_back(selector(each));
      locations.push_back(at(each.range));
    }
    parts.push_back(flow::SelectOp::create(
        builder, FusedLoc::get(context, locations),
        builder.getArrayAttr(attributes), UnitAttr()));
  }
  if (parts.size() == 1)
    return parts.front();
  return flow::ListOp::create(builder, named(at(range)), parts);
}

/// Made where it is first needed: a graph may begin at its features.
Value Emitter::list(const FeatureList &list) {
  if (Value known = lists.lookup(&list))
    return known;
  Value value = features(list.name.value, list.selection, list.name.range);
  return lists[&list] = value;
}

/// A named list stands for itself; anything else becomes a list of its own.
Value Emitter::selection(const Selection &selection, const Policy &policy,
                         StringRef key, StrengthWeight weight) {
  return features((policy.name.value + "." + key).str(), selection,
                  selection.range, weight);
}

Value Emitter::acted(const Policy &policy) {
  Value &value = selections[&policy];
  if (value)
    return value;
  StrengthWeight weight = policy.strength && policy.strength->weight
                              ? policy.strength->weight->value
                              : StrengthWeight::None;
  bool replaces = policy.action->value == Action::Substitute;
  if (policy.values.empty() && !replaces)
    return value = selection(policy.on, policy, "on", weight);
  // Values are no features, and neither are layers.
  Location where = at(replaces ? policy.layers->range : policy.valuesRange);
  return value = flow::SelectOp::create(builder, where,
                                        builder.getArrayAttr({}), UnitAttr());
}
