//===- Passes.td - Lowering of steer to kernels ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_CONVERSION_STEERTOKERNELS_PASSES_TD
#define WEIR_CONVERSION_STEERTOKERNELS_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertSteerToKernelsPass
    : Pass<"convert-steer-to-kernels", "::mlir::ModuleOp"> {
  let summary = "Lower outlined patches to loops over tokens";
  let description = [{
    Each function that `steer-outline-patches` made becomes a function over
    buffers in the module `@steer.kernels`: a loop over some of the tokens that
    does all edits of a token while its row is at hand. What differs from site to
    site of one shape (rows, numbers, lists of plans) becomes an argument, so that
    equal sites share a function; its name is a hash of its text. The calls in the
    program become `weir.edit`, or `weir.edit_and_read` where activations leave
    the kernel.

    | op | for a token |
    |---|---|
    | `encode` | k products of two rows, with `vector` and `math.fma` |
    | `read` of a TopK dictionary | products with the whole encoder, of which a list of 2 k holds what may stay; nothing of its size is stored |
    | `activate`, `delta`, … | `arith`, a column at a time |
    | `write` | k additions of a row where the coefficient is not zero |
    | `in_plans`, `tokens`, `compare` | comparisons of scalars |

    Sites that read four features or more take their tokens in blocks: which of
    them an edit is meant for, the products of these with all encoder rows, then the
    rest token by token. The loops of the products are marked `weir.jam`, "tokens"
    and "rows": their iterations are independent, and a code generator takes as many
    side by side as its processor has registers for.

    A gate that leaves the kernel, for a record or a count, is 1.0 or 0.0 there, and
    `aten.ne` makes a gate of it again. Values of 16 bits are integers in memory.

    Sums are named: of a row of d numbers, accumulator a (0 or 1) and lane l (0 to
    15) sum the numbers 32 n + 16 a + l in their order, each with one fused
    multiplication and addition; the two accumulators are added, then the upper
    half of the lanes to the lower one until one is left. So a token's numbers do
    not depend on how many tokens there are, on threads, or on the processor.
  }];
  let statistics = [
    Statistic<"sites", "sites", "Sites that call kernels">,
    Statistic<"kernels", "kernels", "Kernels made, one a shape of site">,
  ];
  let dependentDialects = [
    "::weir::fx::FXDialect", "::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"];
}

#endif // WEIR_CONVERSION_STEERTOKERNELS_PASSES_TD
