//===- FlowGraphs.cpp - Graphs as values of the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FlowValues.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

using EmitError = function_ref<InFlightDiagnostic()>;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

LogicalResult KeepAttr::verify(EmitError emitError, fx::SiteKind,
                               FloatAttr similarity, FloatAttr null,
                               FloatAttr effect) {
  if (!similarity && !null && !effect)
    return emitError() << "asks for nothing that an edge has to reach";
  for (FloatAttr number : {similarity, null, effect})
    if (number && !number.getValue().isFinite())
      return emitError() << "asks for a number that is not finite";
  if (null && (null.getValueAsDouble() < 0 ||
               null.getValueAsDouble() > largestQuantile))
    return emitError() << "a quantile of random directions is 0 to "
                       << largestQuantile << ", got "
                       << null.getValueAsDouble();
  return success();
}

//===----------------------------------------------------------------------===//
// Shared
//===----------------------------------------------------------------------===//

/// Layers that may be left out, both together.
template <typename Op> static LogicalResult verifyLayers(Op op) {
  if (op.getFirstLayer().has_value() != op.getLastLayer().has_value())
    return op.emitOpError("has one layer of a range without the other");
  if (!op.getFirstLayer())
    return success();
  auto first = static_cast<int64_t>(*op.getFirstLayer());
  auto last = static_cast<int64_t>(*op.getLastLayer());
  if (first < 0 || last < first)
    return op.emitOpError("expects layers in ascending order from 0 on, got ")
           << first << " to " << last;
  return success();
}

static LogicalResult verifyKinds(Operation *op, ArrayAttr sites) {
  if (sites.empty())
    return op->emitOpError("names no site");
  llvm::SmallDenseSet<Attribute> seen;
  for (Attribute site : sites) {
    if (!isa<fx::SiteKindAttr>(site))
      return op->emitOpError("expects site kinds, got ") << site;
    if (!seen.insert(site).second)
      return op->emitOpError("names the site ") << site << " twice";
  }
  return success();
}

/// The matching that an op names, or null after an error.
static MatchingOp lookUpMatching(Operation *op, SymbolTableCollection &symbols,
                                 FlatSymbolRefAttr name) {
  auto matching = symbols.lookupNearestSymbolFrom<MatchingOp>(op, name);
  if (!matching)
    op->emitOpError("there is no matching ") << name;
  return matching;
}

/// A product of similarities says something only where 1 is the largest.
static bool multiplies(MatchingOp matching) {
  Similarity kind = matching.getMethod().getSimilarityKind();
  return kind == Similarity::Cosine || kind == Similarity::Pearson;
}

/// Calls `visit` for all walks that a graph is made of, until one fails.
static LogicalResult
forEachWalk(Value graph, function_ref<LogicalResult(WalkOpInterface)> visit) {
  llvm::SetVector<Value> todo;
  todo.insert(graph);
  for (size_t i = 0; i < todo.size(); ++i) {
    Operation *op = todo[i].getDefiningOp();
    if (!op)
      continue;
    if (auto walk = dyn_cast<WalkOpInterface>(op)) {
      if (failed(visit(walk)))
        return failure();
      continue;
    }
    for (Value operand : op->getOperands())
      if (isa<flow::GraphType>(operand.getType()))
        todo.insert(operand);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// GraphOp
//===----------------------------------------------------------------------===//

LogicalResult GraphOp::verify() {
  if (static_cast<int64_t>(getWidth()) < 1)
    return emitOpError("follows each node to 1 or more features, got ")
           << static_cast<int64_t>(getWidth());
  if (failed(verifyLayers(*this)))
    return failure();
  llvm::SmallDenseSet<fx::SiteKind> seen;
  for (auto keep : getKeep().value_or(ArrayAttr::get(getContext(), {}))
                       .getAsRange<KeepAttr>()) {
    if (!seen.insert(keep.getKind()).second)
      return emitOpError("says twice what edges from ")
             << fx::stringifySiteKind(keep.getKind()) << " have to reach";
    if (keep.getEffect() && !getText())
      return emitOpError("asks for effects, and has no text that they were "
                         "measured on");
  }
  return verifyOrder(*this);
}

LogicalResult GraphOp::verifySymbolUses(SymbolTableCollection &symbols) {
  MatchingOp matching = lookUpMatching(*this, symbols, getMatchingAttr());
  if (!matching)
    return failure();
  auto fail = [&](const Twine &what) -> LogicalResult {
    InFlightDiagnostic diag = emitOpError(what);
    diag.attachNote(matching.getLoc()) << "the matching";
    return diag;
  };
  int64_t most = matching.getMethod().getNumBest().value_or(1);
  if (static_cast<int64_t>(getWidth()) > most)
    return fail("follows each node to " + Twine(getWidth()) +
                " features, of which " + getMatchingAttr().getValue() +
                " has " + Twine(most));
  if (getFirstLayer() && (*getFirstLayer() < matching.getFirstLayer() ||
                          *getLastLayer() > matching.getLastLayer()))
    return fail("covers layers that " + getMatchingAttr().getValue() +
                " does not match");
  for (auto keep : getKeep().value_or(ArrayAttr::get(getContext(), {}))
                       .getAsRange<KeepAttr>()) {
    if (!llvm::is_contained(
            matching.getSites(),
            fx::SiteKindAttr::get(getContext(), keep.getKind())))
      return fail("says what edges from " +
                  fx::stringifySiteKind(keep.getKind()) +
                  " have to reach, which " + getMatchingAttr().getValue() +
                  " does not match");
    if (keep.getNull() && matching.getMethod().getSimilarityKind() !=
                              Similarity::Cosine)
      return fail("compares cosines of random directions with similarities "
                  "that are no cosines");
  }
  return success();
}

/// Targets are a set, and thresholds have no order.
LogicalResult GraphOp::canonicalize(GraphOp op, PatternRewriter &rewriter) {
  if (!isCanonical(op.getFrom())) {
    auto set = UnionOp::create(rewriter, op.getFrom().getLoc(),
                               ValueRange{op.getFrom()});
    rewriter.modifyOpInPlace(op, [&] { op.getFromMutable().assign(set); });
    return success();
  }
  ArrayAttr keep = op.getKeepAttr();
  if (!keep)
    return failure();
  SmallVector<Attribute> sorted(keep.begin(), keep.end());
  llvm::sort(sorted, [](Attribute a, Attribute b) {
    return cast<KeepAttr>(a).getKind() < cast<KeepAttr>(b).getKind();
  });
  ArrayAttr canonical =
      sorted.empty() ? ArrayAttr() : rewriter.getArrayAttr(sorted);
  if (canonical == keep)
    return failure();
  rewriter.modifyOpInPlace(op, [&] { op.setKeepAttr(canonical); });
  return success();
}

void GraphOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getGraph(), givenName(getLoc()));
}

//===----------------------------------------------------------------------===//
// PathOp
//===----------------------------------------------------------------------===//

LogicalResult PathOp::verify() {
  if (getFirst() == getLast())
    return emitOpError("leads from a feature to itself");
  if (getFirst().getCollection() != getLast().getCollection())
    return emitOpError("leads from features of ")
           << getFirst().getCollection() << " to those of "
           << getLast().getCollection();
  // Within a layer the residual stream comes last in a model, and is kind 0.
  auto when = [](FeatureAttr feature) {
    return std::pair(feature.getLayer(), -static_cast<int64_t>(feature.getKind()));
  };
  if (when(getFirst()) >= when(getLast()))
    return emitOpError("leads from ") << getFirst().str() << " to "
                                      << getLast().str()
                                      << ", which is not behind it";
  return success();
}

LogicalResult PathOp::verifySymbolUses(SymbolTableCollection &symbols) {
  MatchingOp matching = lookUpMatching(*this, symbols, getMatchingAttr());
  if (!matching)
    return failure();
  if (multiplies(matching))
    return success();
  InFlightDiagnostic diag =
      emitOpError("multiplies similarities, which says something of cosines and "
                  "correlations only");
  diag.attachNote(matching.getLoc()) << "the matching";
  return diag;
}

void PathOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getGraph(), givenName(getLoc()));
}

//===----------------------------------------------------------------------===//
// Algebra
//===----------------------------------------------------------------------===//

static bool isEmpty(Value graph) {
  return static_cast<bool>(graph.getDefiningOp<EmptyGraphOp>());
}

static LogicalResult verifyGraphs(Operation *op) {
  if (op->getNumOperands() == 0)
    return op->emitOpError("combines nothing");
  return verifyOrder(op);
}

/// The operands of an associative op, those of the same op inside included, each
/// once.
template <typename Op> static llvm::SetVector<Value> flattened(Op op) {
  llvm::SetVector<Value> graphs;
  for (Value graph : op.getGraphs()) {
    if (auto inner = graph.getDefiningOp<Op>())
      graphs.insert_range(inner.getGraphs());
    else
      graphs.insert(graph);
  }
  return graphs;
}

template <typename Op>
static LogicalResult replaceGraphs(Op op, ArrayRef<Value> graphs,
                                   PatternRewriter &rewriter) {
  if (llvm::equal(graphs, op.getGraphs()))
    return failure();
  rewriter.modifyOpInPlace(op, [&] { op.getGraphsMutable().assign(graphs); });
  return success();
}

LogicalResult GraphUnionOp::verify() { return verifyGraphs(*this); }
LogicalResult GraphIntersectionOp::verify() { return verifyGraphs(*this); }
LogicalResult GraphDifferenceOp::verify() { return verifyGraphs(*this); }

void EmptyGraphOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getGraph(), givenName(getLoc()));
}
void GraphUnionOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getGraph(), givenName(getLoc()));
}
void GraphIntersectionOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getGraph(), givenName(getLoc()));
}
void GraphDifferenceOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getGraph(), givenName(getLoc()));
}

OpFoldResult GraphUnionOp::fold(FoldAdaptor) {
  return llvm::all_equal(getGraphs()) ? OpFoldResult(getGraphs().front())
                                      : OpFoldResult();
}

LogicalResult GraphUnionOp::canonicalize(GraphUnionOp op,
                                         PatternRewriter &rewriter) {
  llvm::SetVector<Value> graphs = flattened(op);
  graphs.remove_if(isEmpty);
  if (graphs.empty()) {
    rewriter.replaceOpWithNewOp<EmptyGraphOp>(op);
    return success();
  }
  return replaceGraphs(op, graphs.getArrayRef(), rewriter);
}

OpFoldResult GraphIntersectionOp::fold(FoldAdaptor) {
  if (llvm::all_equal(getGraphs()))
    return getGraphs().front();
  // Nothing is shared with nothing.
  for (Value graph : getGraphs())
    if (isEmpty(graph))
      return graph;
  return {};
}

LogicalResult GraphIntersectionOp::canonicalize(GraphIntersectionOp op,
                                                PatternRewriter &rewriter) {
  return replaceGraphs(op, flattened(op).getArrayRef(), rewriter);
}

OpFoldResult GraphDifferenceOp::fold(FoldAdaptor) {
  if (isEmpty(getFrom()) || isEmpty(getWithout()))
    return getFrom();
  return {};
}

LogicalResult GraphDifferenceOp::canonicalize(GraphDifferenceOp op,
                                              PatternRewriter &rewriter) {
  if (op.getFrom() == op.getWithout()) {
    rewriter.replaceOpWithNewOp<EmptyGraphOp>(op);
    return success();
  }
  auto inner = op.getFrom().getDefiningOp<GraphDifferenceOp>();
  if (!inner)
    return failure();
  auto without = GraphUnionOp::create(
      rewriter, op.getLoc(), ValueRange{inner.getWithout(), op.getWithout()});
  rewriter.replaceOpWithNewOp<GraphDifferenceOp>(op, inner.getFrom(), without);
  return success();
}

//===----------------------------------------------------------------------===//
// PartOp
//===----------------------------------------------------------------------===//

LogicalResult PartOp::verify() {
  if (getSites() && failed(verifyKinds(*this, *getSites())))
    return failure();
  if (failed(verifyLayers(*this)))
    return failure();
  if (getSteps() && static_cast<int64_t>(*getSteps()) < 0)
    return emitOpError("goes 0 or more steps, got ")
           << static_cast<int64_t>(*getSteps());
  return verifyOrder(*this);
}

LogicalResult PartOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (!getWeight())
    return success();
  return forEachWalk(getGraph(), [&](WalkOpInterface walk) -> LogicalResult {
    if (*getWeight() == Weight::Effect) {
      if (walk.getTextRef())
        return success();
      InFlightDiagnostic diag = emitOpError("is weighted by effects, and its graph "
                                            "has no text that they were measured "
                                            "on");
      diag.attachNote(walk->getLoc()) << "the graph";
      return diag;
    }
    auto matching = symbols.lookupNearestSymbolFrom<MatchingOp>(
        walk, walk.getMatchingRef());
    // Without a matching, the graph itself has an error.
    if (!matching || multiplies(matching))
      return success();
    InFlightDiagnostic diag =
        emitOpError("is weighted by products of similarities, which say something "
                    "of cosines and correlations only");
    diag.attachNote(matching.getLoc()) << "the matching";
    return diag;
  });
}

LogicalResult PartOp::canonicalize(PartOp op, PatternRewriter &rewriter) {
  if (isEmpty(op.getGraph())) {
    rewriter.replaceOpWithNewOp<SelectOp>(op, FeatureList());
    return success();
  }
  ArrayAttr sites = op.getSitesAttr();
  if (!sites)
    return failure();
  SmallVector<Attribute> sorted(sites.begin(), sites.end());
  llvm::sort(sorted, [](Attribute a, Attribute b) {
    return cast<fx::SiteKindAttr>(a).getValue() <
           cast<fx::SiteKindAttr>(b).getValue();
  });
  ArrayAttr canonical = rewriter.getArrayAttr(sorted);
  if (canonical == sites)
    return failure();
  rewriter.modifyOpInPlace(op, [&] { op.setSitesAttr(canonical); });
  return success();
}

void PartOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getFeatures(), givenName(getLoc()));
}

//===----------------------------------------------------------------------===//
// OpposedOp
//===----------------------------------------------------------------------===//

LogicalResult OpposedOp::verify() {
  if (static_cast<int64_t>(getMost()) < 1)
    return emitOpError("the number of antagonists is 1 or more, got ")
           << static_cast<int64_t>(getMost());
  return verifyOrder(*this);
}

void OpposedOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getFeatures(), givenName(getLoc()));
}

//===----------------------------------------------------------------------===//
// LabelOp
//===----------------------------------------------------------------------===//

LogicalResult LabelOp::verify() {
  if (getName().empty())
    return emitOpError("has an empty name for feature ") << getFeature().str();
  return success();
}

/// The module around an operation, or the operation itself.
static ModuleOp moduleAround(Operation *scope) {
  if (auto module = dyn_cast<ModuleOp>(scope))
    return module;
  return scope->getParentOfType<ModuleOp>();
}

std::string flow::describe(FeatureAttr feature, Operation *scope) {
  std::string text = feature.str();
  if (ModuleOp module = moduleAround(scope))
    for (auto label : module.getOps<LabelOp>())
      if (label.getFeature() == feature)
        return (text + " (" + label.getName() + ")").str();
  return text;
}

llvm::DenseMap<Attribute, StringRef> flow::labelsOf(Operation *scope) {
  llvm::DenseMap<Attribute, StringRef> labels;
  if (ModuleOp module = moduleAround(scope))
    for (auto label : module.getOps<LabelOp>())
      labels[label.getFeature()] = label.getName();
  return labels;
}
