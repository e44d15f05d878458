//===- InitAllPasses.h - Registers Weir's passes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_INITALLPASSES_H
#define WEIR_INITALLPASSES_H

#include "weir/Conversion/SteerToFX/SteerToFX.h"
#include "weir/Conversion/SteerToKernels/SteerToKernels.h"
#include "weir/Conversion/SteerToWeights/SteerToWeights.h"
#include "weir/Dialect/FX/Transforms/Passes.h"
#include "weir/Dialect/Steer/Transforms/Passes.h"
#include "weir/Pipelines/Pipelines.h"

namespace weir {

/// Registers the passes of the project; see registerPipelines.
inline void registerAllPasses(PrepareResources prepare = {}) {
  fx::registerFXPasses();
  steer::registerWeirSteerPasses();
  registerWeirConversionPasses();
  registerWeirKernelsPasses();
  registerWeirWeightsPasses();
  registerPipelines(std::move(prepare));
}

} // namespace weir

#endif // WEIR_INITALLPASSES_H
