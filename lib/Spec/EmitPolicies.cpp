//===- EmitPolicies.cpp - Policies as operations of steer ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "weir/Spec/Keywords.h"

using namespace mlir;
using namespace weir;
using namespace weir::spec;

static steer::TokenSet convert(Tokens::Part part) {
  switch (part) {
  case Tokens::Part::All:
    return steer::TokenSet::All;
  case Tokens::Part::Prompt:
    return steer::TokenSet::Prompt;
  case Tokens::Part::Generated:
    return steer::TokenSet::Generated;
  case Tokens::Part::Last:
    return steer::TokenSet::Last;
  case Tokens::Part::Sampled:
    return steer::TokenSet::Sampled;
  }
  llvm_unreachable("covered");
}

steer::ScheduleAttrInterface Emitter::schedule(const Strength &strength) {
  FloatAttr value = number(strength.value);
  switch (strength.schedule) {
  case ScheduleKind::Constant:
    return steer::ConstantAttr::get(context, value);
  case ScheduleKind::Linear:
    return steer::LinearAttr::get(context, value, number(strength.last));
  case ScheduleKind::Exponential:
    return steer::ExponentialAttr::get(
        context, value,
        strength.rate ? number(*strength.rate)
                      : builder.getF64FloatAttr(defaultRate));
  case ScheduleKind::Gaussian:
    return steer::GaussianAttr::get(context, value, number(strength.center),
                                    number(strength.width));
  }
  llvm_unreachable("covered");
}

steer::ActionAttrInterface Emitter::action(const Policy &policy) {
  switch (policy.action->value) {
  case Action::Add:
    return steer::AddAttr::get(
        context, schedule(*policy.strength), policy.normalize,
        policy.strength->text ? builder.getStringAttr(policy.strength->text->value)
                              : StringAttr(),
        {});
  case Action::Set:
    return steer::SetAttr::get(context, number(policy.value));
  case Action::Scale:
    return steer::ScaleAttr::get(context, number(policy.factor));
  case Action::Clamp:
    return steer::ClampAttr::get(context, number(policy.min),
                                 number(policy.max));
  case Action::Ablate:
    return steer::AblateAttr::get(context);
  case Action::Transfer:
    return steer::TransferAttr::get(context);
  case Action::ProjectOut:
    return steer::ProjectOutAttr::get(context);
  case Action::Record:
    if (!policy.values.empty()) {
      SmallVector<flow::SiteAttr> sites;
      for (const SiteRef &site : policy.values)
        sites.push_back(flow::SiteAttr::get(
            context, siteKindOf(site.site.value), site.layer.value));
      return steer::RecordValueAttr::get(context, sites,
                                         policy.after && policy.after->value);
    }
    if (policy.gate)
      return steer::RecordGateAttr::get(
          context, symbol(lookup.policies.find(policy.gate->value)));
    return steer::RecordAttr::get(context, policy.after && policy.after->value);
  case Action::Substitute:
    return steer::SubstituteAttr::get(context, policy.layers->span.first,
                                      policy.layers->span.last,
                                      emitBridge(policy),
                                      number(policy.quantile));
  }
  llvm_unreachable("covered");
}

FlatSymbolRefAttr Emitter::emitBridge(const Policy &policy) {
  int64_t first = policy.layers->span.first - 1, last = policy.layers->span.last;
  const DictionarySet *set = nullptr;
  FlatSymbolRefAttr matching;
  switch (policy.form) {
  case SubstituteForm::Drop:
    return {};
  case SubstituteForm::Permutation:
  case SubstituteForm::Quantile: {
    const Match *match = lookup.matches.find(policy.match->value);
    matching = symbol(match);
    set = lookup.dictionaryOf(*match);
    break;
  }
  case SubstituteForm::EncodeDecodeCurrent:
  case SubstituteForm::EncodeDecodePrevious:
    set = policy.dictionary ? lookup.dictionaries.find(policy.dictionary->value)
                            : &spec.dictionaries.front();
    (policy.form == SubstituteForm::EncodeDecodeCurrent ? first : last) =
        policy.form == SubstituteForm::EncodeDecodeCurrent ? last : first;
    break;
  }
  auto streamAt = [&](int64_t layer) {
    return flow::SiteAttr::get(context, fx::SiteKind::Res, layer);
  };
  // Names in a spec have no dot.
  auto name = builder.getStringAttr(symbols.at(&policy) + ".bridge");
  flow::BridgeOp::create(builder, at(policy.layers->range), name, symbol(set),
                         streamAt(first), streamAt(last), matching, Value());
  return FlatSymbolRefAttr::get(name);
}

steer::LayersAttr Emitter::layers(const Layers &layers) const {
  switch (layers.kind) {
  case Layers::Kind::Own:
    return steer::LayersAttr::get(context, steer::LayersKind::Own, -1, -1);
  case Layers::Kind::Cumulative:
    return steer::LayersAttr::get(context, steer::LayersKind::Cumulative, -1,
                                  -1);
  case Layers::Kind::All:
    return steer::LayersAttr::get(context, steer::LayersKind::All, -1, -1);
  case Layers::Kind::Range:
    return steer::LayersAttr::get(context, steer::LayersKind::Range,
                                  layers.span.first, layers.span.last);
  }
  llvm_unreachable("covered");
}

/// Null for none.
ArrayAttr Emitter::markers(const std::vector<Marker> &markers) {
  SmallVector<Attribute> tokens;
  for (const Marker &marker : markers)
    tokens.push_back(marker.id
                         ? Attribute(builder.getI64IntegerAttr(*marker.id))
                         : Attribute(builder.getStringAttr(marker.text)));
  return tokens.empty() ? ArrayAttr() : builder.getArrayAttr(tokens);
}

steer::TokensAttr Emitter::tokens(const Tokens &tokens) {
  SmallVector<int64_t> positions;
  for (const Integer &position : tokens.positions)
    positions.push_back(position.value);
  llvm::sort(positions);
  ArrayAttr after = markers(tokens.after), until = markers(tokens.until),
            opens = markers(tokens.opens), closes = markers(tokens.closes);
  steer::MarkersAttr marked;
  if (after || until || opens)
    marked = steer::MarkersAttr::get(context, after, until, opens, closes);
  // A ramp over one token gives every token all of it.
  int64_t over = tokens.over && tokens.over->value > 1 ? tokens.over->value : 0;
  if (tokens.part == Tokens::Part::All && positions.empty() && !tokens.from &&
      !tokens.to && !tokens.skipFirst && !marked && !over && !tokens.half)
    return {};
  return steer::TokensAttr::get(
      context, convert(tokens.part),
      positions.empty() ? DenseI64ArrayAttr()
                        : DenseI64ArrayAttr::get(context, positions),
      tokens.from ? tokens.from->value : -1, tokens.to ? tokens.to->value : -1,
      tokens.skipFirst ? tokens.skipFirst->value : 0, marked, over,
      number(tokens.half));
}

steer::ConditionAttrInterface Emitter::condition(const Condition &condition) {
  if (condition.kind == Condition::Kind::Compare)
    return steer::WhenAttr::get(context, feature(condition.feature),
                                number(condition.above),
                                number(condition.below));
  if (condition.kind == Condition::Kind::Watch) {
    watched.push_back(graphs.part(condition.graph, condition.part.get(),
                                  StrengthWeight::None, at(condition.range)));
    return steer::WatchAttr::get(context, watched.size() - 1,
                                 condition.everyNode, number(condition.above),
                                 number(condition.below));
  }
  SmallVector<Attribute> children;
  for (const Condition &child : condition.children)
    children.push_back(this->condition(child));
  if (condition.kind == Condition::Kind::Any)
    return steer::AnyOfAttr::get(context, builder.getArrayAttr(children));
  return steer::AllOfAttr::get(context, builder.getArrayAttr(children));
}

/// The places of a condition's features.
void Emitter::conditionParts(const Condition &condition,
                             SmallVectorImpl<Part> &parts) const {
  for (const Condition &child : condition.children)
    conditionParts(child, parts);
  if (condition.kind != Condition::Kind::Compare)
    return;
  flow::FeatureAttr attribute = feature(condition.feature);
  parts.push_back(
      {attribute.getCollection().getValue().str() + ":" + attribute.str(),
       condition.feature.range});
}

void Emitter::emitPolicy(const Policy &policy) {
  SmallVector<Part> parts = {
      {"on", policy.gate              ? policy.gate->range
             : !policy.values.empty() ? policy.valuesRange
             : policy.action->value == Action::Substitute
                 ? policy.layers->range
                 : policy.on.range},
      {"do", policy.action->range}};
  if (!policy.to.selectors.empty())
    parts.push_back({"to", policy.to.range});
  if (policy.strength)
    parts.push_back({"strength", policy.strength->range});
  if (policy.strength && policy.strength->text)
    parts.push_back({"text", policy.strength->text->range});
  if (policy.layers)
    parts.push_back({"layers", policy.layers->range});
  if (policy.tokens) {
    parts.push_back({"tokens", policy.tokens->range});
    if (policy.tokens->from)
      parts.push_back({"tokens.from", policy.tokens->from->range});
    if (policy.tokens->skipFirst)
      parts.push_back({"tokens.skip_first", policy.tokens->skipFirst->range});
    if (!policy.tokens->positions.empty())
      parts.push_back({"tokens.positions",
                       llvm::max_element(policy.tokens->positions,
                                         [](const Integer &a, const Integer &b) {
                                           return a.value < b.value;
                                         })
                           ->range});
    // No part of a policy is called like this.
    for (const auto *list : {&policy.tokens->after, &policy.tokens->until,
                             &policy.tokens->opens, &policy.tokens->closes})
      for (const Marker &marker : *list)
        parts.push_back({"token:" + (marker.id ? std::to_string(*marker.id)
                                               : marker.text),
                         marker.range});
  }
  if (policy.when) {
    parts.push_back({"when", policy.when->range});
    conditionParts(*policy.when, parts);
  }
  if (policy.times)
    parts.push_back({"times", policy.times->range});

  Value on = acted(policy.gate ? *lookup.policies.find(policy.gate->value)
                               : policy);
  Value to;
  if (policy.action->value == Action::Transfer)
    to = selection(policy.to, policy, "to");
  watched.clear();
  auto when = policy.when ? condition(*policy.when)
                          : steer::ConditionAttrInterface();
  steer::PolicyOp::create(
      builder, at(policy.name.range, parts),
      builder.getStringAttr(symbols.at(&policy)), action(policy), on, to,
      watched,
      policy.layers && policy.action->value != Action::Substitute
          ? layers(*policy.layers)
          : steer::LayersAttr(),
      policy.tokens ? tokens(*policy.tokens) : steer::TokensAttr(),
      when,
      policy.times ? symbol(lookup.knobs.find(policy.times->value))
                   : FlatSymbolRefAttr(),
      policy.onlyActive ? builder.getUnitAttr() : UnitAttr(),
      policy.preserveNorm ? builder.getUnitAttr() : UnitAttr());
}
