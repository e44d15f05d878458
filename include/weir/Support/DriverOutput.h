//===- DriverOutput.h - Whole files from MLIR's drivers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_DRIVEROUTPUT_H
#define WEIR_SUPPORT_DRIVEROUTPUT_H

#include "llvm/ADT/STLFunctionalExtras.h"

namespace weir {

/// Runs a driver such as MlirOptMain on a command line. Drivers empty the file of
/// `-o` before they read their input, and remove it when they fail; here they get
/// a temporary beside it, which takes its name if they succeed. So the file may
/// also be the input. Returns the driver's exit code, or 1 with a message if the
/// file cannot be made.
int runDriver(int argc, char **argv,
              llvm::function_ref<int(int argc, char **argv)> driver);

} // namespace weir

#endif // WEIR_SUPPORT_DRIVEROUTPUT_H
