//===- CostModel.h - What a site takes in each lowering ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of one token, since that is where a site costs most: with many tokens a kernel's
// one pass over the rows of a block is ahead of several operators'.
//
//   aten    = p P + e E + (B + M) / W
//   kernel  = K + B / W
//
// p and e are the aten operators that a patch becomes: products of rows, and
// everything else. B are the bytes of rows that both read, M those that only aten
// moves (rows that are gathered for a row of the batch). P, E, K and W are the
// machine's and the engine's. docs/Rationale-Kernels.md says how they were measured.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_COSTMODEL_H
#define WEIR_DIALECT_STEER_TRANSFORMS_COSTMODEL_H

#include "weir/Dialect/Steer/IR/Steer.h"

namespace weir::steer {

/// What calls take, and how fast memory is read.
struct CallCosts {
  double product, other, kernel; ///< seconds a call: P, E, K
  double bandwidth;              ///< bytes a second: W

  /// An engine that calls an operator at a time.
  static CallCosts calling(double bandwidth) {
    return {1.7e-6, 1.2e-6, 2.0e-6, bandwidth};
  }
  /// A compiled program: all but products is fused with what is around it, and a
  /// kernel is called through the program's container.
  static CallCosts compiled(double bandwidth) {
    return {2.6e-6, 0.1e-6, 4.4e-6, bandwidth};
  }
};

/// What a patch does for one token.
struct SiteCost {
  int64_t products = 0; ///< p
  int64_t others = 0;   ///< e
  int64_t bytes = 0;    ///< B
  int64_t moved = 0;    ///< M

  int64_t operators() const { return products + others; }
  /// Seconds.
  double aten(const CallCosts &costs) const {
    return products * costs.product + others * costs.other +
           static_cast<double>(bytes + moved) / costs.bandwidth;
  }
  double kernel(const CallCosts &costs) const {
    return costs.kernel + static_cast<double>(bytes) / costs.bandwidth;
  }
};

/// Counts a patch whose reads are whole. What is computed outside of it, once for
/// all sites, costs neither lowering anything. A compiler makes products with one
/// row, or with rows that are gathered, a part of the loops around them.
SiteCost costOf(PatchOp patch, bool compiled);

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_COSTMODEL_H
