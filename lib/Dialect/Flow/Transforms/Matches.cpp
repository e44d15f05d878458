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

LogicalResult flow::checkCollection(MatchingOp matching,
                                    FlatSymbolRefAttr collection, Location loc) {
  if (collection == matching.getCollectionAttr())
    return success();
  InFlightDiagnostic diag = emitError(loc)
                            << FlatSymbolRefAttr::get(matching)
                            << " matches features of "
                            << matching.getCollectionAttr() << ", not of "
                            << collection;
  diag.attachNote(matching.getLoc()) << "the match";
  return diag;
}

SiteAttr FollowedLink::end(MLIRContext *context) const {
  return forward ? SiteAttr::get(context, link.targetKind, link.targetLayer)
                 : SiteAttr::get(context, link.sourceKind, link.sourceLayer);
}

SmallVector<FollowedLink> flow::linksFrom(MatchingOp matching, SiteAttr site,
                                          Side side) {
  bool forward = matching.getMethod().leadsBackward() ==
                 (side == Side::Predecessors);
  SmallVector<FollowedLink> links;
  for (const Link &link : matching.getLinks()) {
    bool touches = forward ? link.sourceKind == site.getKind() &&
                                 link.sourceLayer == site.getLayer()
                           : link.targetKind == site.getKind() &&
                                 link.targetLayer == site.getLayer();
    if (touches)
      links.push_back({link, forward});
  }
  return links;
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
