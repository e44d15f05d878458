//===- Recipes.h - The numbers of recipes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RESOURCES_RECIPES_H
#define WEIR_RESOURCES_RECIPES_H

#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Program/TensorSource.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Resources/Evaluation.h"
#include "weir/Weights/Folded.h"

namespace weir::flow {

/// Where the numbers of a recipe come from, f32, those of folded weights in the
/// type of the stored weight. Rows of a dictionary, also below
/// each other, and weights are made while they are asked for; what is computed
/// from rows (a sum, a basis) is computed now. Errors: a dictionary that cannot be opened, and
/// for computed ones those of its rows.
llvm::Expected<std::shared_ptr<const TensorSource>>
recipeTensor(RecipeAttrInterface recipe, RowSource &dictionaries);

/// The linear map that a `#flow.folded_weight` or a `#flow.folded_bias` is a part
/// of. Errors: those of its weights and of the rows that are folded in; sizes that
/// do not fit.
llvm::Expected<std::shared_ptr<const FoldedLinear>>
foldedLinear(mlir::Attribute recipe, RowSource &source);

/// Where the numbers of a program's constants come from, of which all are recipes:
/// what writers of programs ask. Errors are reported where the module declares the
/// dictionary, also those of rows that are read while the program is written (the
/// source returns a ReportedError then).
class RecipeConstants {
public:
  RecipeConstants(mlir::ModuleOp module, Resources &resources)
      : dictionaries(module, resources) {}

  mlir::FailureOr<std::shared_ptr<const TensorSource>>
  operator()(fx::ConstantOp constant);

private:
  DictionaryStore dictionaries;
};

} // namespace weir::flow

#endif // WEIR_RESOURCES_RECIPES_H
