//===- RowCheck.h - Rows that are asked for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_ROWCHECK_H
#define WEIR_LIB_DRIVER_ROWCHECK_H

#include "weir/Resources/Resources.h"

namespace weir {

/// Reads the rows of all features that the policies of plans and their conditions
/// name. A row that is not finite is an error at the dictionary; a decoder row of
/// zeros along which something is written, and an encoder row of zeros that
/// something reads, are warnings at the policy. `module` has resolved features.
mlir::LogicalResult checkRows(mlir::ModuleOp module, Resources &resources);

} // namespace weir

#endif // WEIR_LIB_DRIVER_ROWCHECK_H
