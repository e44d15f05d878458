//===- WatchedFeatures.h - Conditions on lists of features ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_WATCHEDFEATURES_H
#define WEIR_DIALECT_STEER_TRANSFORMS_WATCHEDFEATURES_H

#include "weir/Dialect/Steer/IR/Steer.h"

namespace weir::steer {

/// Replaces conditions on lists that policies watch by conditions on each of their
/// features. Emits errors where a list is not known yet, or empty.
mlir::LogicalResult nameWatched(mlir::ModuleOp module);

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_WATCHEDFEATURES_H
