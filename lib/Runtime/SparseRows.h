//===- SparseRows.h - Activations as compressed sparse rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_SPARSEROWS_H
#define WEIR_LIB_RUNTIME_SPARSEROWS_H

#include "weir/Runtime/ActivationBatch.h"

namespace weir {

/// Appends one token's values [width] to rows that have `starts` already.
void appendRow(const float *values, int64_t width, SparseRecord &out);

} // namespace weir

#endif // WEIR_LIB_RUNTIME_SPARSEROWS_H
