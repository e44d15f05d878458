//===- FlowBridges.cpp - Dictionaries that stand for blocks ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/IR/Flow.h"

#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

LogicalResult BridgeOp::verify() {
  if (getFrom().getKind() != getTo().getKind())
    return emitOpError("leads from ")
           << getFrom().str() << " to " << getTo().str()
           << ", which are sites of two kinds";
  bool isLater = getFrom().getLayer() < getTo().getLayer();
  if (getMatchingAttr() && !isLater)
    return emitOpError("leads from ") << getFrom().str() << " to "
                                      << getTo().str()
                                      << ", which is no later layer";
  if (!getMatchingAttr() && getFrom() != getTo())
    return emitOpError("leads from ")
           << getFrom().str() << " to " << getTo().str()
           << " without a matching; one dictionary has one place";
  if (getMap() && !getMatchingAttr())
    return emitOpError("has a map of no matching");
  return success();
}

LogicalResult BridgeOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (!symbols.lookupNearestSymbolFrom<CollectionOp>(*this, getCollectionAttr()))
    return emitOpError("there is no collection ") << getCollectionAttr();
  if (getMatchingAttr() &&
      !symbols.lookupNearestSymbolFrom<MatchingOp>(*this, getMatchingAttr()))
    return emitOpError("there is no matching ") << getMatchingAttr();
  return success();
}
