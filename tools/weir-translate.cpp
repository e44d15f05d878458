//===- weir-translate.cpp - Translates between Weir's dialects and files ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Resources/Recipes.h"
#include "weir/Spec/Spec.h"
#include "weir/Support/DriverOutput.h"
#include "weir/Support/ToolProcess.h"
#include "weir/Target/PT2/PT2.h"

#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"

#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

/// Rows of the dictionaries that a module names.
static weir::ConstantMaker
makeRecipes(mlir::ModuleOp module, std::shared_ptr<const weir::Archive> archive,
            llvm::StringRef base) {
  weir::ResourceOptions options;
  options.base = base.str();
  options.model = archive->path().str();
  auto resources = weir::Resources::create(options, std::move(archive));
  auto constants =
      std::make_shared<weir::flow::RecipeConstants>(module, *resources);
  return [resources, constants](weir::fx::ConstantOp constant) {
    return (*constants)(constant);
  };
}

int main(int argc, char **argv) {
  weir::beginTool("weir-translate");
  llvm::cl::SetVersionPrinter([](llvm::raw_ostream &os) {
    os << "weir-translate " WEIR_VERSION " (LLVM " LLVM_VERSION_STRING ")\n";
  });
  weir::registerPT2Translations(makeRecipes, [](mlir::DialectRegistry &dialects) {
    dialects.insert<weir::flow::FlowDialect, weir::steer::SteerDialect>();
    weir::registerEvaluation(dialects);
  });
  weir::registerSpecTranslations();
  return weir::runDriver(argc, argv, [](int count, char **arguments) -> int {
    return mlir::failed(
        mlir::mlirTranslateMain(count, arguments, "Weir translation driver"));
  });
}
