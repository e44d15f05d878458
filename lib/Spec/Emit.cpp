//===- Emit.cpp - AST to flow and steer ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EmitGraphs.h"
#include "Lookup.h"

#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Spec/Keywords.h"
#include "weir/Spec/Spec.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace weir;
using namespace weir::spec;

static fx::SiteKind convert(SiteKind kind) {
  switch (kind) {
  case SiteKind::Head:
    return fx::SiteKind::Head;
  case SiteKind::Att:
    return fx::SiteKind::Att;
  case SiteKind::Mid:
    return fx::SiteKind::Mid;
  case SiteKind::Mlp:
    return fx::SiteKind::Mlp;
  case SiteKind::Res:
    return fx::SiteKind::Res;
  }
  llvm_unreachable("covered");
}

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

namespace {
/// Makes operations of a spec that passed its checks.
class Emitter {
public:
  Emitter(const Spec &spec, const Reporter &reporter)
      : spec(spec), reporter(reporter), lookup(spec),
        builder(reporter.getContext()), context(reporter.getContext()),
        graphs({lookup, reporter, builder,
                [this](const void *entry) { return symbol(entry); },
                [this](const FeatureRef &ref) { return feature(ref); },
                [this](const Graph &graph) {
                  return features(graph.name.value + ".from", graph.from,
                                  graph.from.range);
                }}) {}

  OwningOpRef<ModuleOp> emit();

private:
  using Part = std::pair<std::string, SourceRange>;

  Location at(SourceRange range) const { return reporter.location(range); }
  /// The place of a name and those of named parts.
  Location at(SourceRange range, ArrayRef<Part> parts) const;

  /// Gives every entry of a section a symbol of its own.
  template <typename Entries>
  void nameSection(const Entries &entries, StringRef section);
  FlatSymbolRefAttr symbol(const void *entry) const {
    return FlatSymbolRefAttr::get(context, symbols.at(entry));
  }
  FlatSymbolRefAttr dictionary(const SiteRef &site) const {
    return symbol(lookup.dictionaryOf(site));
  }
  FloatAttr number(const Number &value) {
    return builder.getF64FloatAttr(value.value);
  }
  FloatAttr number(const std::optional<Number> &value) {
    return value ? number(*value) : FloatAttr();
  }

  flow::FeatureAttr feature(const FeatureRef &feature) const;
  Attribute selector(const Selector &selector) const;
  Value linked(const Selector &selector, Location location);
  /// With a weight, graphs in named lists have it as well.
  Value features(StringRef name, const Selection &selection, SourceRange range,
                 StrengthWeight weight = StrengthWeight::None);
  Value list(const FeatureList &list);
  Value selection(const Selection &selection, const Policy &policy,
                  StringRef key, StrengthWeight weight = StrengthWeight::None);
  /// What a policy acts on: one value, whoever asks for it first.
  Value acted(const Policy &policy);
  steer::ScheduleAttrInterface schedule(const Strength &strength);
  steer::ActionAttrInterface action(const Policy &policy);
  steer::LayersAttr layers(const Layers &layers) const;
  steer::TokensAttr tokens(const Tokens &tokens);
  ArrayAttr markers(const std::vector<Marker> &markers);
  steer::ConditionAttrInterface condition(const Condition &condition);
  void conditionParts(const Condition &condition,
                      SmallVectorImpl<Part> &parts) const;

  void emitModel();
  void emitDictionary(const DictionarySet &set);
  void emitMatch(const Match &match);
  void emitKnob(const Knob &knob);
  void emitPolicy(const Policy &policy);
  /// The dictionaries of a substitution, and what leads from one to the other;
  /// null for a form that has none.
  FlatSymbolRefAttr emitBridge(const Policy &policy);
  void emitPlan(const Plan &plan);

  const Spec &spec;
  const Reporter &reporter;
  Lookup lookup;
  OpBuilder builder;
  MLIRContext *context;
  llvm::DenseMap<const void *, std::string> symbols;
  llvm::DenseMap<const FeatureList *, Value> lists;
  llvm::DenseMap<const Policy *, Value> selections; ///< of policies, see `acted`
  llvm::StringSet<> taken;
  GraphEmitter graphs;
  SmallVector<Value> watched; ///< by the condition that is being made
};
} // namespace

Location Emitter::at(SourceRange range, ArrayRef<Part> parts) const {
  SmallVector<Location> all = {at(range)};
  for (const auto &[name, where] : parts)
    all.push_back(NameLoc::get(StringAttr::get(context, name), at(where)));
  return FusedLoc::get(context, all);
}

template <typename Entries>
void Emitter::nameSection(const Entries &entries, StringRef section) {
  for (const auto &entry : entries) {
    std::string name = entry.name.value;
    // Names in a spec have no dot, and those of one section differ.
    if (!taken.insert(name).second)
      name += ("." + section).str();
    taken.insert(name);
    symbols[&entry] = name;
  }
}

OwningOpRef<ModuleOp> Emitter::emit() {
  OwningOpRef<ModuleOp> module = ModuleOp::create(at(spec.model.range));
  builder.setInsertionPointToEnd(module->getBody());
  nameSection(spec.plans, "plan");
  nameSection(spec.knobs, "knob");
  nameSection(spec.policies, "policy");
  nameSection(spec.dictionaries, "dictionary");
  nameSection(spec.matches, "match");

  emitModel();
  for (const DictionarySet &set : spec.dictionaries)
    emitDictionary(set);
  for (const Match &match : spec.matches)
    emitMatch(match);
  for (const Label &label : spec.labels)
    graphs.label(label);
  for (const FeatureList &each : spec.features)
    list(each);
  for (const Graph &graph : spec.graphs)
    graphs.graph(graph);
  for (const Knob &knob : spec.knobs)
    emitKnob(knob);
  for (const Policy &policy : spec.policies)
    emitPolicy(policy);
  for (const Plan &plan : spec.plans)
    emitPlan(plan);
  return module;
}

//===----------------------------------------------------------------------===//
// Features
//===----------------------------------------------------------------------===//

flow::FeatureAttr Emitter::feature(const FeatureRef &feature) const {
  return flow::FeatureAttr::get(context, dictionary(feature.site),
                                convert(feature.site.site.value),
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
                                    convert(selector.site.site.value),
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

//===----------------------------------------------------------------------===//
// Attributes of policies
//===----------------------------------------------------------------------===//

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
            context, convert(site.site.value), site.layer.value));
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

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

void Emitter::emitModel() {
  SmallVector<NamedAttribute> sites;
  for (const Model::Site &site : spec.model.sites)
    sites.push_back(builder.getNamedAttr(
        nameOf(site.kind.value), builder.getStringAttr(site.path.value)));
  SmallVector<Part> parts;
  if (spec.model.program)
    parts.push_back({"program", spec.model.program->range});
  if (!spec.model.sites.empty())
    parts.push_back({"sites", spec.model.sites.front().kind.range});
  steer::ModelOp::create(
      builder, at(spec.model.range, parts),
      spec.model.program ? builder.getStringAttr(spec.model.program->value)
                         : StringAttr(),
      sites.empty() ? DictionaryAttr() : builder.getDictionaryAttr(sites));
}

void Emitter::emitDictionary(const DictionarySet &set) {
  SmallVector<Attribute> sites;
  for (const auto &site : set.sites)
    sites.push_back(fx::SiteKindAttr::get(context, convert(site.value)));
  SmallVector<Part> parts = {{"format", set.format->range}};
  if (set.path)
    parts.push_back({"path", set.path->range});
  parts.push_back({"sites", set.sites.front().range});
  parts.push_back({"layers", set.layers->range});
  fx::SiteKindAttr reads;
  if (set.reads) {
    parts.push_back({"reads", set.reads->range});
    reads = fx::SiteKindAttr::get(
        context, *fx::symbolizeSiteKind(
                     readNames()[static_cast<size_t>(set.reads->value)]));
  }
  auto format = flow::symbolizeFormat(nameOf(set.format->value));
  flow::CollectionOp::create(
      builder, at(set.name.range, parts),
      builder.getStringAttr(symbols.at(&set)),
      flow::FormatAttr::get(context, *format),
      set.path ? builder.getStringAttr(set.path->value) : StringAttr(),
      builder.getArrayAttr(sites), builder.getI64IntegerAttr(set.layers->first),
      builder.getI64IntegerAttr(set.layers->last),
      set.hook && set.hook->value == HookCheck::Ignore ? builder.getUnitAttr()
                                                       : UnitAttr(),
      reads);
}

static flow::Similarity convert(Similarity similarity) {
  switch (similarity) {
  case Similarity::Cosine:
    return flow::Similarity::Cosine;
  case Similarity::Dot:
    return flow::Similarity::Dot;
  case Similarity::MeanSquaredError:
    return flow::Similarity::MeanSquaredError;
  case Similarity::Pearson:
    return flow::Similarity::Pearson;
  }
  llvm_unreachable("covered");
}

static flow::WeightPart convert(WeightPart part) {
  switch (part) {
  case WeightPart::Decoder:
    return flow::WeightPart::Decoder;
  case WeightPart::Encoder:
    return flow::WeightPart::Encoder;
  case WeightPart::EncoderBias:
    return flow::WeightPart::EncoderBias;
  }
  llvm_unreachable("covered");
}

static flow::Fold convert(Folding folding) {
  switch (folding) {
  case Folding::None:
    return flow::Fold::None;
  case Folding::Threshold:
    return flow::Fold::Threshold;
  case Folding::MeanActivation:
    return flow::Fold::MeanActivation;
  case Folding::DecoderNorm:
    return flow::Fold::DecoderNorm;
  }
  llvm_unreachable("covered");
}

/// What is not written: all sites and layers of the dictionary; the cosine for
/// top_k and the mean squared error for permutations, as in the papers; decoder
/// rows.
void Emitter::emitMatch(const Match &match) {
  const DictionarySet &set = *lookup.dictionaryOf(match);
  SmallVector<Attribute> sites;
  for (const auto &site : match.sites.empty() ? set.sites : match.sites)
    sites.push_back(fx::SiteKindAttr::get(context, convert(site.value)));
  const LayerRange &layers = match.layers ? *match.layers : *set.layers;
  flow::WeightPart weights = match.weights.empty() ? flow::WeightPart::Decoder
                                                   : flow::WeightPart{};
  for (const auto &part : match.weights)
    weights = weights | convert(part.value);
  bool isTopK = match.method.value == MatchMethod::TopK;
  flow::Similarity similarity =
      match.similarity ? convert(match.similarity->value)
      : isTopK         ? flow::Similarity::Cosine
                       : flow::Similarity::MeanSquaredError;
  flow::MethodAttrInterface method;
  if (isTopK)
    method = flow::TopKAttr::get(context, match.k, similarity);
  else
    method = flow::PermutationAttr::get(context, similarity);

  SmallVector<Part> parts = {{"method", match.method.range}};
  if (match.layers)
    parts.push_back({"layers", match.layers->range});
  if (match.text)
    parts.push_back({"text", match.text->range});
  flow::MatchingOp::create(
      builder, at(match.name.range, parts),
      builder.getStringAttr(symbols.at(&match)), symbol(&set),
      builder.getArrayAttr(sites), builder.getI64IntegerAttr(layers.first),
      builder.getI64IntegerAttr(layers.last), method,
      flow::WeightPartAttr::get(context, weights),
      flow::FoldAttr::get(context, match.fold ? convert(match.fold->value)
                                              : flow::Fold::None),
      match.text ? builder.getStringAttr(match.text->value) : StringAttr());
}

void Emitter::emitKnob(const Knob &knob) {
  SmallVector<Part> parts = {{"default", knob.defaultValue.range}};
  if (knob.bounds)
    parts.push_back({"range", knob.bounds->first.range});
  steer::KnobOp::create(
      builder, at(knob.name.range, parts),
      builder.getStringAttr(symbols.at(&knob)), number(knob.defaultValue),
      knob.bounds ? number(knob.bounds->first) : FloatAttr(),
      knob.bounds ? number(knob.bounds->second) : FloatAttr());
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

void Emitter::emitPlan(const Plan &plan) {
  SmallVector<Attribute> policies;
  SmallVector<Part> parts;
  for (const Name &name : plan.policies) {
    policies.push_back(symbol(lookup.policies.find(name.value)));
    parts.push_back({name.value, name.range});
  }
  steer::PlanOp::create(builder, at(plan.name.range, parts),
                        builder.getStringAttr(symbols.at(&plan)),
                        builder.getArrayAttr(policies));
}

//===----------------------------------------------------------------------===//
// The whole way
//===----------------------------------------------------------------------===//

OwningOpRef<ModuleOp> weir::importSpec(llvm::SourceMgr &sourceMgr,
                                       MLIRContext *context,
                                       const SpecOptions &options) {
  context->loadDialect<flow::FlowDialect, steer::SteerDialect>();
  const llvm::MemoryBuffer *buffer =
      sourceMgr.getMemoryBuffer(sourceMgr.getMainFileID());
  SourceFile file(buffer->getBufferIdentifier(), buffer->getBuffer());
  Reporter reporter(file, context);
  Spec spec = parseSpec(file, reporter, options);
  checkSpec(spec, reporter);
  if (reporter.failed())
    return nullptr;
  reporter.flush();
  OwningOpRef<ModuleOp> module = Emitter(spec, reporter).emit();
  if (failed(verify(*module)))
    return nullptr;
  return module;
}
