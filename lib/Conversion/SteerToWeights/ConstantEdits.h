//===- ConstantEdits.h - Edits that are the same for every token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_CONVERSION_STEERTOWEIGHTS_CONSTANTEDITS_H
#define WEIR_LIB_CONVERSION_STEERTOWEIGHTS_CONSTANTEDITS_H

#include "weir/Dialect/Steer/IR/Steer.h"

#include "llvm/ADT/DenseSet.h"

namespace weir {

/// Something that a patch does to every token alike.
struct ConstantEdit {
  bool isProjection;
  mlir::Attribute recipe; ///< #flow.basis, or #flow.sum of the row that is added
  mlir::Location loc;     ///< of the policies
};

/// The errors of a module's one plan, one a policy and reason.
class Refusals {
public:
  explicit Refusals(mlir::ModuleOp module) : module(module) {}

  /// Reports what the policies themselves say that is not the same for every
  /// token. `knobs` are those whose value may be taken for good.
  mlir::LogicalResult checkPolicies(llvm::ArrayRef<std::string> knobs);
  /// Appends the edits of a patch in their order; reports what is none, and leaves
  /// it out.
  mlir::LogicalResult editsOf(steer::PatchOp patch,
                              llvm::SmallVectorImpl<ConstantEdit> &edits);
  /// An error at the policies of a location, unless one of them has had one. The
  /// result is always failure.
  mlir::LogicalResult refuse(mlir::Location loc, const llvm::Twine &what,
                             llvm::StringRef hint = "");

private:
  mlir::ModuleOp module;
  llvm::DenseSet<mlir::StringAttr> refused; ///< names of policies
  bool hasUnnamed = false; ///< one was refused that carries no policy's name
};

} // namespace weir

#endif // WEIR_LIB_CONVERSION_STEERTOWEIGHTS_CONSTANTEDITS_H
