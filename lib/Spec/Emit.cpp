//===- Emit.cpp - AST to flow and steer ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "weir/Spec/Keywords.h"
#include "weir/Spec/Spec.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace weir;
using namespace weir::spec;

fx::SiteKind spec::siteKindOf(SiteKind kind) {
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
    sites.push_back(fx::SiteKindAttr::get(context, siteKindOf(site.value)));
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
    sites.push_back(fx::SiteKindAttr::get(context, siteKindOf(site.value)));
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
