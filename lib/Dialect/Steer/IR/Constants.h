//===- Constants.h - Gates and numbers that are known ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_STEER_IR_CONSTANTS_H
#define WEIR_LIB_DIALECT_STEER_IR_CONSTANTS_H

#include "mlir/IR/Value.h"

#include <optional>

namespace weir::steer {

/// Whether a gate always or never holds; none if that is not known, or of null.
std::optional<bool> knownGate(mlir::Value gate);

/// The number that a knob always is; none if that is not known, or of null.
std::optional<double> knownNumber(mlir::Value knob);

} // namespace weir::steer

#endif // WEIR_LIB_DIALECT_STEER_IR_CONSTANTS_H
