//===- weir-opt.cpp - Runs passes on Weir's dialects ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/InitAllDialects.h"
#include "weir/Driver/ActivationMatching.h"
#include "weir/Driver/TokenLookup.h"
#include "weir/InitAllPasses.h"
#include "weir/Support/DriverOutput.h"
#include "weir/Support/ToolProcess.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

/// MLIR is linked statically and not exported, so a plugin would bring a second
/// one with it.
static void hidePlugins() {
  auto &options = llvm::cl::getRegisteredOptions();
  for (llvm::StringRef name : {"load-dialect-plugin", "load-pass-plugin"})
    if (auto *option = options.lookup(name))
      option->setHiddenFlag(llvm::cl::ReallyHidden);
}

int main(int argc, char **argv) {
  weir::beginTool("weir-opt");
  llvm::cl::SetVersionPrinter([](llvm::raw_ostream &os) {
    os << "weir-opt " WEIR_VERSION " (LLVM " LLVM_VERSION_STRING ")\n";
  });
  mlir::registerTransformsPasses();
  weir::registerAllPasses([](weir::Resources &resources) {
    resources.setActivations(weir::makeActivationSource(resources));
    resources.setTokens(weir::makeTokenLookup(resources));
  });
  mlir::DialectRegistry registry;
  weir::registerAllDialects(registry);
  weir::registerKernelDialects(registry);
  mlir::MlirOptMainConfig::registerCLOptions(registry);
  hidePlugins();
  return weir::runDriver(argc, argv, [&](int count, char **arguments) {
    return mlir::asMainReturnCode(mlir::MlirOptMain(
        count, arguments, "Weir optimizer driver\n", registry));
  });
}
