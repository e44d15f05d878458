//===- RecordGates.h - Gates of policies as outputs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_RECORDGATES_H
#define WEIR_DIALECT_STEER_TRANSFORMS_RECORDGATES_H

#include "ProgramInputs.h"

namespace weir::steer {

/// The activations of some features of a dictionary, of a value that it reads.
mlir::Value createRead(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value value, flow::DictionaryOp dictionary,
                       llvm::ArrayRef<int64_t> features);

/// Writes the gates that `records` ask for at the end of the program, where all
/// that a condition can read is there: 1 where the other policy's plans, tokens
/// and condition hold, within the record's own. `plans` are those that name a
/// policy, `markers` the program's sites. Errors: a policy that is not there or
/// records a gate itself, a feature without a dictionary or a site.
mlir::LogicalResult
recordGates(mlir::ModuleOp module, fx::ProgramOp program, ProgramInputs &inputs,
            const llvm::DenseMap<mlir::Operation *, llvm::SmallVector<int64_t>>
                &plans,
            const llvm::DenseMap<flow::SiteAttr, fx::SiteOp> &markers,
            llvm::ArrayRef<PolicyOp> records);

/// Writes the values that `records` ask for to the same place: those of a site
/// as its marker gets them, or as `edited` has them after the edits. Errors: a
/// site that the model does not have, and those of conditions.
mlir::LogicalResult
recordValues(mlir::ModuleOp module, fx::ProgramOp program, ProgramInputs &inputs,
             const llvm::DenseMap<mlir::Operation *, llvm::SmallVector<int64_t>>
                 &plans,
             const llvm::DenseMap<flow::SiteAttr, fx::SiteOp> &markers,
             const llvm::DenseMap<flow::SiteAttr, mlir::Value> &edited,
             llvm::ArrayRef<PolicyOp> records);

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_RECORDGATES_H
