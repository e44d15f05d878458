//===- Support.h - Small helpers of the runtime ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_SUPPORT_H
#define WEIR_LIB_RUNTIME_SUPPORT_H

#include "weir/Support/Errors.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

namespace weir {

/// A number as one would write it: 8, 0.5, 1e-05.
inline std::string shortNumber(double value) {
  std::string out;
  llvm::raw_string_ostream(out) << llvm::format("%g", value);
  return out;
}

} // namespace weir

#endif // WEIR_LIB_RUNTIME_SUPPORT_H
