//===- Selections.h - Features of selectors, with opened dictionaries ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_FLOW_TRANSFORMS_SELECTIONS_H
#define WEIR_LIB_DIALECT_FLOW_TRANSFORMS_SELECTIONS_H

#include "weir/Resources/DictionaryStore.h"

namespace weir::flow {

/// What is told of selectors that are no single features: where they stand, and
/// "10/res/5, 10/res/9 and 62 more".
using SelectionObserver =
    llvm::function_ref<void(mlir::Location, llvm::StringRef)>;

/// The features of a list, whose dictionaries are declared in the module. Emits
/// errors at the selectors, all of them.
mlir::FailureOr<FeatureList> featuresOf(SelectOp select, DictionaryStore &store,
                                        SelectionObserver observer = nullptr,
                                        int64_t *opened = nullptr);

/// The antagonists of each of some features.
mlir::FailureOr<FeatureList> featuresOf(OpposedOp op, const FeatureList &of,
                                        DictionaryStore &store);

} // namespace weir::flow

#endif // WEIR_LIB_DIALECT_FLOW_TRANSFORMS_SELECTIONS_H
