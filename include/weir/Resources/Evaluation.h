//===- Evaluation.h - Numbers for what the IR names ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The flow dialect names rows and features and verifies their shapes; what they
// are is read from dictionaries here, through interfaces that are attached to the
// dialect's attributes.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RESOURCES_EVALUATION_H
#define WEIR_RESOURCES_EVALUATION_H

#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Dictionary/Dictionary.h"
#include "weir/Matching/DictionaryMatch.h"

#include "mlir/IR/DialectRegistry.h"

namespace weir {

/// Where recipes find their dictionaries: opens the dictionary of a
/// `flow.dictionary` by its symbol.
class RowSource {
public:
  virtual ~RowSource() = default;
  virtual llvm::Expected<std::shared_ptr<const Dictionary>>
  open(llvm::StringRef dictionary) = 0;
  /// The match that was computed under a key (`#flow.result`). Errors: there is
  /// none, or no cache to look into.
  virtual llvm::Expected<matching::Match> match(llvm::StringRef key);
  /// A weight of the model as it is stored. Errors: no model, or none of that
  /// name; one that is damaged or of a type that has no numbers.
  virtual llvm::Expected<TensorView> weight(fx::WeightAttr name);
};

} // namespace weir

#include "weir/Resources/EvaluationInterfaces.h.inc"

namespace weir {

/// Attaches `SelectableAttrInterface` and `ComputableAttrInterface` to the
/// attributes of the flow dialect. Passes that need them do it themselves.
void registerEvaluation(mlir::DialectRegistry &registry);

/// `ComputableAttrInterface::evaluate` of any attribute. Errors: also an
/// attribute that is no recipe.
llvm::Expected<RowMatrix> evaluate(mlir::Attribute recipe, RowSource &source);

} // namespace weir

#endif // WEIR_RESOURCES_EVALUATION_H
