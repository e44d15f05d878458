//===- SiteTable.h - What is done at each site, for other runtimes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program has its edits inside. Who runs the model itself (a server, a live
// Hugging Face model) needs them without it: `sites.safetensors` has the merged
// patches as lists of operations, in JSON, and the numbers that they use. See
// docs/site-table.md.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_SITETABLE_H
#define WEIR_LIB_DRIVER_SITETABLE_H

#include "weir/Program/Archive.h"
#include "weir/Resources/Resources.h"
#include "weir/Runtime/Manifest.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <utility>
#include <vector>

namespace weir {

class SiteTable {
public:
  /// The file in an artefact's folder.
  static constexpr llvm::StringLiteral fileName = "sites.safetensors";
  static constexpr int64_t version = 1;

  /// Reads merged patches (Compiler::steer), before they are lowered. What no
  /// table can say is no error: it is named in `refused`.
  static SiteTable collect(mlir::ModuleOp module);

  /// Adds what kernels do at sites, of a module whose patches were lowered; marks of
  /// sites at their calls are taken away.
  void addKernels(mlir::ModuleOp module);

  /// Writes the file: the operations, with what the manifest says of plans, knobs
  /// and the model, the numbers of all recipes, and some numbers of each of the
  /// model's weights, by which another model is told. Errors are reported.
  mlir::LogicalResult write(llvm::StringRef path, mlir::ModuleOp module,
                            Resources &resources, const Archive &model,
                            const Manifest &manifest) const;

private:
  friend class SiteTableBuilder;

  /// "prelude", "sites", "policies" and "refused".
  llvm::json::Object document;
  /// Recipes (RecipeAttrInterface) and elements (DenseElementsAttr) by name.
  std::vector<std::pair<std::string, mlir::Attribute>> tensors;
  /// What a policy says, without its name: what its content is the hash of.
  std::vector<std::pair<std::string, std::string>> policyTexts;
  /// The dictionaries whose rows a policy reads or writes.
  std::vector<std::vector<std::string>> policyDictionaries;
};

} // namespace weir

#endif // WEIR_LIB_DRIVER_SITETABLE_H
