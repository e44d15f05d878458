//===- InitAllDialects.h - Registers Weir's dialects ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_INITALLDIALECTS_H
#define WEIR_INITALLDIALECTS_H

#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/DialectRegistry.h"

namespace weir {

/// Registers the dialects of the project, and no others: a tool that needs
/// upstream dialects names them, which keeps compile times down.
inline void registerAllDialects(mlir::DialectRegistry &registry) {
  registry.insert<fx::FXDialect, flow::FlowDialect, steer::SteerDialect>();
}

} // namespace weir

#endif // WEIR_INITALLDIALECTS_H
