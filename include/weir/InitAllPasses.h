//===- InitAllPasses.h - Registers Weir's passes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_INITALLPASSES_H
#define WEIR_INITALLPASSES_H

#include "weir/Dialect/FX/Transforms/Passes.h"

namespace weir {

/// Registers the passes of the project.
inline void registerAllPasses() { fx::registerFXPasses(); }

} // namespace weir

#endif // WEIR_INITALLPASSES_H
