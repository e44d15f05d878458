//===- Spec.h - Reading specs and importing them ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A spec is a YAML file that says what to do with which features of a model
// (docs/spec.md). Reading goes in steps, each of which reports everything it
// finds: YAML to tree (YAML.h), tree to AST (AST.h), checks of what the AST
// says as a whole, checks for what is not supported, AST to flow and steer.
//
// All messages go through the context's DiagnosticEngine with locations in the
// spec, so that an llvm::SourceMgr handler shows the line and a caret.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SPEC_SPEC_H
#define WEIR_SPEC_SPEC_H

#include "weir/Spec/AST.h"
#include "weir/Support/Words.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"

#include <functional>

namespace llvm {
class SourceMgr;
} // namespace llvm

namespace weir {
namespace spec {

struct SpecOptions {
  /// Refuse absolute paths and paths with `..`: for specs of strangers.
  bool confinePaths = false;
  /// Gets the text of a file that a spec names, relative to the spec's folder.
  /// Without it no file is read, and what a file would say is an error.
  std::function<llvm::Expected<std::string>(llvm::StringRef path)> readFile;
};

/// Tree to AST. Reports through `reporter`; what could not be read is left out.
Spec parseSpec(const SourceFile &file, Reporter &reporter,
               const SpecOptions &options = {});
/// References, coverage, ranges and conflicts: all that can be told from the
/// spec alone.
void checkSpec(const Spec &spec, Reporter &reporter);

/// The JSON schema of the language, for editors.
llvm::StringRef schema();

} // namespace spec

/// Reads the main buffer of `sourceMgr` as a spec and makes a module of flow
/// and steer operations. Returns null after reporting errors.
///
/// Symbols are the names of the spec. Names of different sections may be equal
/// there; in the module all but the first in the order plans, knobs, policies,
/// dictionaries, matches get a suffix (`happy.policy`), which specName drops.
mlir::OwningOpRef<mlir::ModuleOp>
importSpec(llvm::SourceMgr &sourceMgr, mlir::MLIRContext *context,
           const spec::SpecOptions &options = {});

/// Registers `--import-spec` with mlir-translate's registry.
void registerSpecTranslations();

} // namespace weir

#endif // WEIR_SPEC_SPEC_H
