//===- FlowFolding.cpp - Weights with edits inside ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/IR/Flow.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

using EmitError = function_ref<InFlightDiagnostic()>;

/// Each edit is a basis, or one row.
static LogicalResult verifyEdits(EmitError emitError, ArrayAttr edits) {
  for (Attribute edit : edits) {
    auto recipe = dyn_cast<RecipeAttrInterface>(edit);
    if (!recipe || (!isa<BasisAttr>(edit) && recipe.getNumRows() != 1))
      return emitError() << "expects a basis to take out or one row to add, got "
                         << edit;
  }
  return success();
}

/// What a model stores its weights in; nothing packed.
static LogicalResult verifyFoldedType(RankedTensorType type, int64_t rank,
                                      EmitError emitError) {
  if (!type.hasStaticShape() || type.getRank() != rank)
    return emitError() << "the recipe makes a tensor of static shape and rank "
                       << rank;
  if (!isa<FloatType>(type.getElementType()))
    return emitError() << "edits are folded into floating-point numbers, not "
                       << type.getElementType();
  return success();
}

LogicalResult FoldedWeightAttr::verify(EmitError emitError, fx::WeightAttr,
                                       WeightLayout, ArrayAttr reads,
                                       ArrayAttr gives) {
  if (failed(verifyEdits(emitError, reads)) ||
      failed(verifyEdits(emitError, gives)))
    return failure();
  auto isBasis = [](Attribute edit) { return isa<BasisAttr>(edit); };
  if (llvm::none_of(reads, isBasis) && llvm::none_of(gives, isBasis))
    return emitError() << "additions alone leave a weight as it is";
  return success();
}

StringRef FoldedWeightAttr::getConstantName() const { return "folded_weight"; }
int64_t FoldedWeightAttr::getNumRows() const { return -1; }

LogicalResult FoldedWeightAttr::verifyConstantType(RankedTensorType type,
                                                   EmitError emitError) const {
  return verifyFoldedType(type, 2, emitError);
}

LogicalResult FoldedBiasAttr::verify(EmitError emitError, fx::WeightAttr,
                                     WeightLayout, fx::WeightAttr,
                                     ArrayAttr reads, ArrayAttr gives) {
  if (failed(verifyEdits(emitError, reads)))
    return failure();
  return verifyEdits(emitError, gives);
}

StringRef FoldedBiasAttr::getConstantName() const { return "folded_bias"; }
int64_t FoldedBiasAttr::getNumRows() const { return -1; }

LogicalResult FoldedBiasAttr::verifyConstantType(RankedTensorType type,
                                                 EmitError emitError) const {
  return verifyFoldedType(type, 1, emitError);
}
