//===- SweepForms.h - Ways to spread a strength over layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_SWEEPFORMS_H
#define WEIR_LIB_DRIVER_SWEEPFORMS_H

#include "weir/Driver/Compiler.h"
#include "weir/Driver/SweepJob.h"

namespace weir {

/// Compares an addition of a plan, as it is written, with other forms of the same
/// budget. The budget of a policy at the knobs' value 1 is
///
///   sum over its features i, sum over the layers l that i is written at,
///   of |s_l| |w_i| |d_i|
///
/// with the length 1 for |d_i| where rows are normalised, and the weight that the
/// feature has in its graph for w_i, 1 without one. The forms: each feature
/// at its own layer; and cumulative, that and all layers before it, with the
/// schedules constant, linear down to 0, exponential with the default rate, and
/// gaussian around the middle of the layers with a quarter of them as its width.
///
/// `resolved` is the module of a compilation that was steered: its policies have
/// features. Adds a plan for each form to `spec`, which is not steered, and
/// returns them; the form that is written comes first and has the plan itself, and
/// is not there a second time.
/// Errors are reported at the policy: it is no addition, has no strength at all
/// or a dose, is no policy of the plan, or writes at several layers in any form (features of
/// cross-layer transcoders).
mlir::FailureOr<std::vector<Sweep::Form>>
addForms(mlir::ModuleOp spec, mlir::ModuleOp resolved, Resources &resources,
         llvm::StringRef plan, llvm::StringRef policy);

} // namespace weir

#endif // WEIR_LIB_DRIVER_SWEEPFORMS_H
