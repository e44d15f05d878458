//===- Matches.cpp - What the passes over matches share ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/Transforms/Matches.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

LogicalResult flow::checkCollection(MatchingOp matching, LinkedAttr linked,
                                    Location loc) {
  if (linked.getOf().getCollection() == matching.getCollectionAttr())
    return success();
  InFlightDiagnostic diag = emitError(loc)
                            << linked.getMatching() << " matches features of "
                            << matching.getCollectionAttr() << ", not of "
                            << linked.getOf().getCollection();
  diag.attachNote(matching.getLoc()) << "the match";
  return diag;
}

void flow::collectLinksOf(MatchingOp matching, LinkedAttr linked,
                          SmallVectorImpl<Link> &links) {
  bool fromSource = matching.getMethod().leadsBackward() ==
                    (linked.getSide() == Side::Predecessors);
  FeatureAttr feature = linked.getOf();
  for (const Link &link : matching.getLinks()) {
    bool touches = fromSource ? link.sourceKind == feature.getKind() &&
                                    link.sourceLayer == feature.getLayer()
                              : link.targetKind == feature.getKind() &&
                                    link.targetLayer == feature.getLayer();
    if (touches)
      links.push_back(link);
  }
}

bool flow::comparesActivations(PairOpInterface op) {
  return op.getSimilarityKind() == Similarity::Pearson;
}

bool flow::needsActivations(PairOpInterface op) {
  return comparesActivations(op) || op.getFoldKind() == Fold::MeanActivation;
}

llvm::Expected<matching::MatchOptions>
flow::matchOptionsOf(PairOpInterface op) {
  matching::MatchOptions options;
  if (auto k = op.getNumBest())
    options.k = *k;
  else
    options.method = matching::Method::Permutation;
  switch (op.getSimilarityKind()) {
  case Similarity::Cosine:
    options.similarity = matching::Similarity::Cosine;
    break;
  case Similarity::Dot:
    options.similarity = matching::Similarity::Dot;
    break;
  case Similarity::MeanSquaredError:
    options.similarity = matching::Similarity::MeanSquaredError;
    break;
  case Similarity::Pearson:
    return llvm::createStringError("compares activations, which needs the "
                                   "model and is done by weirc only");
  }
  auto has = [&](WeightPart part) {
    return bitEnumContainsAny(op.getWeightParts(), part);
  };
  options.decoder = has(WeightPart::Decoder);
  options.encoder = has(WeightPart::Encoder);
  options.encoderBias = has(WeightPart::EncoderBias);
  switch (op.getFoldKind()) {
  case Fold::None:
    break;
  case Fold::Threshold:
    options.fold = matching::Fold::Threshold;
    break;
  case Fold::DecoderNorm:
    options.fold = matching::Fold::DecoderNorm;
    break;
  case Fold::MeanActivation:
    options.fold = matching::Fold::MeanActivation;
    break;
  }
  return options;
}
