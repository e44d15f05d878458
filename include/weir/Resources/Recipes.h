//===- Recipes.h - The numbers of recipes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RESOURCES_RECIPES_H
#define WEIR_RESOURCES_RECIPES_H

#include "weir/Resources/Evaluation.h"
#include "weir/Program/TensorSource.h"

namespace weir::flow {

/// Where the numbers of a recipe come from, f32. Rows of a dictionary, also below
/// each other, are made while they are asked for; what is computed from rows (a
/// sum, a basis) is computed now. Errors: a dictionary that cannot be opened, and
/// for computed ones those of its rows.
llvm::Expected<std::shared_ptr<const TensorSource>>
recipeTensor(RecipeAttrInterface recipe, RowSource &dictionaries);

} // namespace weir::flow

#endif // WEIR_RESOURCES_RECIPES_H
