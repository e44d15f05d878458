//===- Translation.cpp - Specs for mlir-translate ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Spec/Spec.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

void weir::registerSpecTranslations() {
  TranslateToMLIRRegistration registration(
      "import-spec", "read a spec (YAML) as flow and steer operations",
      [](llvm::SourceMgr &sourceMgr,
         MLIRContext *context) -> OwningOpRef<Operation *> {
        return importSpec(sourceMgr, context);
      },
      [](DialectRegistry &registry) {
        registry.insert<flow::FlowDialect, steer::SteerDialect>();
      });
}
