//===- EmitGraphs.cpp - Graphs of a spec as values of flow ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EmitGraphs.h"

#include "weir/Spec/Keywords.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace weir;
using namespace weir::spec;

static fx::SiteKind kindOf(SiteKind kind) {
  return *fx::symbolizeSiteKind(nameOf(kind));
}

Value GraphEmitter::graph(const Graph &graph) {
  if (Value known = made.lookup(&graph))
    return known;
  OpBuilder &builder = context.builder;
  MLIRContext *ir = builder.getContext();
  // The name first, which is the value's, then the parts.
  SmallVector<Location> places;
  auto add = [&](StringRef name, SourceRange range) {
    places.push_back(NameLoc::get(builder.getStringAttr(name),
                                  context.reporter.location(range)));
  };
  add(graph.name.value, graph.name.range);
  if (graph.kind == Graph::Kind::Walk)
    add("from", graph.from.range);
  if (!graph.keep.empty())
    add("keep", graph.keepRange);
  if (graph.match)
    add("match", graph.match->range);
  if (graph.text)
    add("text", graph.text->range);
  if (graph.kind == Graph::Kind::Path)
    add("path", graph.pathRange);
  // Operands are made before.
  SmallVector<Value> operands;
  for (const Name &name : graph.of)
    operands.push_back(this->graph(*context.lookup.graphs.find(name.value)));
  Location loc = FusedLoc::get(ir, places);

  Value value;
  switch (*graph.kind) {
  case Graph::Kind::Walk:
    value = walk(graph, loc);
    break;
  case Graph::Kind::Union:
    value = flow::GraphUnionOp::create(builder, loc, operands);
    break;
  case Graph::Kind::Intersection:
    value = flow::GraphIntersectionOp::create(builder, loc, operands);
    break;
  case Graph::Kind::Difference: {
    Value without = operands[1];
    if (operands.size() > 2)
      without = flow::GraphUnionOp::create(
          builder, context.reporter.location(graph.name.range),
          ArrayRef(operands).drop_front());
    value = flow::GraphDifferenceOp::create(builder, loc, operands[0], without);
    break;
  }
  case Graph::Kind::Path: {
    const FeatureRef *first = &*graph.first, *last = &*graph.last;
    // The ends may be written in any order.
    auto when = [](const FeatureRef &feature) {
      return std::pair(feature.site.layer.value, feature.site.site.value);
    };
    if (when(*last) < when(*first))
      std::swap(first, last);
    value = flow::PathOp::create(
        builder, loc, context.feature(*first), context.feature(*last),
        context.symbol(context.lookup.matches.find(graph.match->value)),
        graph.text ? builder.getStringAttr(graph.text->value) : StringAttr(),
        ValueRange(), flow::ResultAttr());
    break;
  }
  }
  return made[&graph] = value;
}

Value GraphEmitter::walk(const Graph &graph, Location loc) {
  OpBuilder &builder = context.builder;
  Value from = context.from(graph);
  flow::Direction direction =
      graph.direction == Direction::Backward  ? flow::Direction::Backward
      : graph.direction == Direction::Forward ? flow::Direction::Forward
                                              : flow::Direction::Both;
  auto layer = [&](int64_t LayerRange::*end) {
    return graph.layers ? builder.getI64IntegerAttr(*graph.layers.*end)
                        : IntegerAttr();
  };
  return flow::GraphOp::create(
      builder, loc, flow::DirectionAttr::get(builder.getContext(), direction),
      from, context.symbol(context.lookup.matches.find(graph.match->value)),
      builder.getI64IntegerAttr(graph.width ? graph.width->value : 1),
      layer(&LayerRange::first), layer(&LayerRange::last), keep(graph),
      graph.text ? builder.getStringAttr(graph.text->value) : StringAttr(),
      ValueRange(), flow::ResultAttr());
}

/// What is asked of all sites is asked of each; of one thing that is asked twice, the
/// more holds.
ArrayAttr GraphEmitter::keep(const Graph &graph) {
  if (graph.keep.empty())
    return {};
  struct Least {
    std::optional<double> similarity, null, effect;
  };
  const Match &match = *context.lookup.matches.find(graph.match->value);
  const DictionarySet &set = *context.lookup.dictionaryOf(match);
  llvm::MapVector<fx::SiteKind, Least> least;
  auto ask = [](std::optional<double> &into, const std::optional<Number> &number) {
    if (number)
      into = std::max(into.value_or(number->value), number->value);
  };
  for (const auto &site : context.lookup.sitesOf(match, set))
    for (const Graph::Threshold &threshold : graph.keep)
      if (!threshold.site || threshold.site->value == site.value) {
        Least &into = least[kindOf(site.value)];
        ask(into.similarity, threshold.similarity);
        ask(into.null, threshold.null);
        ask(into.effect, threshold.effect);
      }
  OpBuilder &builder = context.builder;
  auto number = [&](const std::optional<double> &value) {
    return value ? builder.getF64FloatAttr(*value) : FloatAttr();
  };
  SmallVector<std::pair<fx::SiteKind, Least>> ordered = least.takeVector();
  llvm::sort(ordered, [](auto &a, auto &b) { return a.first < b.first; });
  SmallVector<Attribute> attributes;
  for (auto &[kind, asked] : ordered)
    attributes.push_back(flow::KeepAttr::get(
        builder.getContext(), kind, number(asked.similarity), number(asked.null),
        number(asked.effect)));
  return builder.getArrayAttr(attributes);
}

Value GraphEmitter::part(const Name &name, const GraphPart *part,
                         StrengthWeight weight, Location loc) {
  OpBuilder &builder = context.builder;
  MLIRContext *ir = builder.getContext();
  Value graph = this->graph(*context.lookup.graphs.find(name.value));
  ArrayAttr sites;
  IntegerAttr first, last, steps;
  flow::EndsAttr ends;
  if (part && !part->sites.empty()) {
    SmallVector<Attribute> kinds;
    for (const auto &site : part->sites)
      kinds.push_back(fx::SiteKindAttr::get(ir, kindOf(site.value)));
    sites = builder.getArrayAttr(kinds);
  }
  if (part && part->layers) {
    first = builder.getI64IntegerAttr(part->layers->first);
    last = builder.getI64IntegerAttr(part->layers->last);
  }
  if (part && part->steps)
    steps = builder.getI64IntegerAttr(part->steps->value);
  if (part && part->ends != GraphPart::Ends::Any)
    ends = flow::EndsAttr::get(ir, part->ends == GraphPart::Ends::Roots
                                       ? flow::Ends::Roots
                                       : flow::Ends::Leaves);
  flow::WeightAttr by;
  if (weight != StrengthWeight::None)
    by = flow::WeightAttr::get(ir, weight == StrengthWeight::Similarity
                                       ? flow::Weight::Similarity
                                       : flow::Weight::Effect);
  return flow::PartOp::create(builder, loc, graph, sites, first, last, ends,
                              steps, by);
}

Value GraphEmitter::opposed(const Selector &selector, Location loc) {
  Value of = part(selector.name, selector.part.get(), StrengthWeight::None,
                  context.reporter.location(selector.range));
  return flow::OpposedOp::create(
      context.builder, loc, of,
      context.builder.getI64IntegerAttr(selector.count));
}

void GraphEmitter::label(const Label &label) {
  flow::LabelOp::create(context.builder,
                        context.reporter.location(label.feature.range),
                        context.feature(label.feature),
                        context.builder.getStringAttr(label.name.value));
}
