//===- PackedWeights.h - Weights in blocks as numbers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RESOURCES_PACKEDWEIGHTS_H
#define WEIR_LIB_RESOURCES_PACKEDWEIGHTS_H

#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Program/Tensor.h"

namespace weir::flow {

/// How the calls of a program that take a weight in blocks (Blocks.h) say that it
/// is packed: the name of the type, empty for a weight that is none of these.
llvm::StringRef packedType(fx::ProgramOp program, fx::WeightAttr weight);

/// The numbers [rows, width] f32 that bytes [rows, bytes of a row] stand for, in
/// memory of their own. Errors: an unknown type, bytes that are no whole blocks, a
/// processor without the kernels.
llvm::Expected<TensorView> unpackedWeight(const TensorView &blocks,
                                          llvm::StringRef type);

} // namespace weir::flow

#endif // WEIR_LIB_RESOURCES_PACKEDWEIGHTS_H
