//===- FixedPlan.h - The plan and the knobs that are compiled in ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What `steer-keep-plan` and `steer-fix-inputs` are asked for is looked up here, so
// that whoever builds a fixed program can tell what is wrong with it before anything
// is opened or computed.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_FIXEDPLAN_H
#define WEIR_DIALECT_STEER_TRANSFORMS_FIXEDPLAN_H

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/BuiltinOps.h"

namespace weir::steer {

/// Begins an error. It is about a knob of the module, or about none that is there.
using FixErrorEmitter = llvm::function_ref<mlir::InFlightDiagnostic(KnobOp)>;

/// The plan of this name, as the spec writes it. Errors: there is none.
mlir::FailureOr<PlanOp> findFixedPlan(mlir::ModuleOp module,
                                      llvm::StringRef name,
                                      FixErrorEmitter emitError);

struct FixedKnobs {
  /// Of every knob of the module, in order.
  llvm::SmallVector<float> values;
  /// Those that the plan uses, by name, as f32.
  llvm::SmallVector<mlir::NamedAttribute> used;
};

/// Defaults, but for what `given` says as "name=number". Errors: another form, a
/// number that is not finite, a knob that is given twice, that there is not, that
/// the plan does not use, or that is out of its range.
mlir::FailureOr<FixedKnobs> readFixedKnobs(mlir::ModuleOp module, PlanOp plan,
                                           llvm::ArrayRef<std::string> given,
                                           FixErrorEmitter emitError);

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_FIXEDPLAN_H
