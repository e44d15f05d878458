//===- StripSites.cpp - fx-strip-sites ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/Transforms/Passes.h"

using namespace mlir;

namespace weir::fx {
#define GEN_PASS_DEF_FXSTRIPSITES
#include "weir/Dialect/FX/Transforms/Passes.h.inc"
} // namespace weir::fx

using namespace weir;
using namespace weir::fx;

namespace {
struct StripSites : public fx::impl::FXStripSitesBase<StripSites> {
  void runOnOperation() override {
    for (SiteOp site :
         llvm::make_early_inc_range(getOperation().getEntry().getOps<SiteOp>())) {
      site.getResult().replaceAllUsesWith(site.getInput());
      site.erase();
      ++numStripped;
    }
  }
};
} // namespace
