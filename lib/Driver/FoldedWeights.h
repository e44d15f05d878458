//===- FoldedWeights.h - The numbers of folded weights ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_FOLDEDWEIGHTS_H
#define WEIR_LIB_DRIVER_FOLDEDWEIGHTS_H

#include "weir/Driver/Compiler.h"
#include "weir/Program/TensorWriter.h"
#include "weir/Weights/Folded.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"

#include <deque>

namespace weir {

/// What was folded into a module's program, for those who write it elsewhere: thin
/// factors and vectors in f64, from which a writer makes new weights of its own
/// copy of the old ones.
class FoldedWeights {
public:
  explicit FoldedWeights(Compiler &compiler) : compiler(compiler) {}

  /// Names of what has changed: weights, and biases as they are called there or
  /// would be.
  llvm::json::Array names();
  /// Computes the factors. Errors are reported: of weights and dictionaries; a
  /// weight that several maps share.
  mlir::LogicalResult collect();
  /// The same for patches that are additions behind blocks.
  mlir::LogicalResult collectControlVector();

  /// One object for each map: `weight` and `bias` (names; the bias may be new),
  /// `inputs` (how many numbers it reads), `in_out`, `table`, `weight_changes`,
  /// `bias_changes`, `had_bias`; or `layer` of a control vector. Tensors are called by the place in the list.
  llvm::json::Array describe() const { return description; }
  /// "0.left" [out, r], "0.right" [r, in], "0.bias" [out] (the new one), "0.shift"
  /// [out] (less the old one), "0.rows" (the first rows of the old weight as it is
  /// stored, by which a writer knows its copy), "0.direction" [d]. They live as
  /// long as this does.
  llvm::ArrayRef<NamedTensor> tensors() const { return numbers; }
  /// Where the policies are that changed a tensor.
  const llvm::StringMap<mlir::Location> &places() const { return locations; }

private:
  struct Map;
  mlir::FailureOr<std::vector<Map>> maps();
  void keep(llvm::StringRef name, FoldedLinear::Factor values, int64_t rank);

  Compiler &compiler;
  llvm::json::Array description;
  std::vector<NamedTensor> numbers;
  std::deque<FoldedLinear::Factor> kept;
  llvm::StringMap<mlir::Location> locations;
};

} // namespace weir

#endif // WEIR_LIB_DRIVER_FOLDEDWEIGHTS_H
