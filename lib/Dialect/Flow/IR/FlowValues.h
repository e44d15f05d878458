//===- FlowValues.h - What ops with values as operands share ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_FLOW_IR_FLOWVALUES_H
#define WEIR_LIB_DIALECT_FLOW_IR_FLOWVALUES_H

#include "weir/Dialect/Flow/IR/Flow.h"

namespace weir::flow {

/// The name of a location, or of the first of several: what a spec calls a value.
llvm::StringRef givenName(mlir::Location location);

/// A module is a graph region, which allows operands that come later; values that
/// depend on themselves mean nothing.
mlir::LogicalResult verifyOrder(mlir::Operation *op);

/// Whether the features of a value stand in canonical order, whatever else is
/// found out about them.
bool isCanonical(mlir::Value features);

} // namespace weir::flow

#endif // WEIR_LIB_DIALECT_FLOW_IR_FLOWVALUES_H
