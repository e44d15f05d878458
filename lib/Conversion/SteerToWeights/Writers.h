//===- Writers.h - What makes a value, as linear maps ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_CONVERSION_STEERTOWEIGHTS_WRITERS_H
#define WEIR_LIB_CONVERSION_STEERTOWEIGHTS_WRITERS_H

#include "ConstantEdits.h"

#include "llvm/ADT/MapVector.h"

namespace weir {

/// The program of a module that has one; an error if it has none or several.
mlir::FailureOr<fx::ProgramOp> onlyProgram(mlir::ModuleOp module);

/// Calls and marks that hand a value on as it is are looked through: the value
/// that is handed on first.
mlir::Value handedOn(mlir::Value value);
/// All who read the numbers of a value, also behind what hands it on.
llvm::SmallVector<mlir::OpOperand *> readersOf(mlir::Value value);
/// An addition of two tensors without a factor that makes a new one.
bool isPlainSum(fx::CallOp call);

/// The linear maps of a program, and what is folded into each of them.
class Writers {
public:
  explicit Writers(fx::ProgramOp program) : program(program) {}

  /// A linear map or a table of embeddings with edits of what it reads and gives.
  struct Folded {
    fx::CallOp call;
    llvm::SmallVector<mlir::Attribute> reads, gives;
    llvm::SmallVector<mlir::Location> locs; ///< of the policies
  };

  /// Folds an edit of the value that `patch` reads, of which nothing else knows.
  /// Of several edits of one value the first comes first. On failure nothing has
  /// changed, and `problem` says what is in the way.
  mlir::LogicalResult fold(steer::PatchOp patch, const ConstantEdit &edit);
  std::string problem;

  /// By the call, in the order in which they were first met.
  llvm::MapVector<mlir::Operation *, Folded> folded;

private:
  struct Target {
    fx::CallOp call;
    bool reads;
    mlir::Attribute recipe;
  };
  using Targets = llvm::SmallVector<Target>;

  bool fail(const llvm::Twine &what);
  /// Finds where an edit of a value goes that only `reader` reads.
  bool backward(mlir::Value value, ConstantEdit edit, mlir::Operation *reader,
                Targets &targets);
  bool backwardSum(fx::CallOp sum, const ConstantEdit &edit, Targets &targets);
  bool backwardProduct(fx::CallOp product, ConstantEdit edit, Targets &targets);
  bool forward(mlir::Value value, const ConstantEdit &edit, Targets &targets);
  /// Whether an edit can go into the weight or the bias of a call.
  bool takes(fx::CallOp call, const ConstantEdit &edit, bool reads);
  /// Whether the span was taken out of a value already, with nothing behind it.
  bool isClean(mlir::Value value, mlir::Attribute basis);
  /// Whether other spans were taken out behind it.
  bool isOvertaken(mlir::Value value, mlir::Attribute basis);
  std::string describe(mlir::Value value);

  fx::ProgramOp program;
  /// Values by what was taken out of them, in this order, with nothing added since.
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Attribute, 1>> clean;
  /// Values that the search has come through.
  llvm::SmallVector<mlir::Value> path;
};

/// The operand through which a stored weight reaches a linear map or a table, the
/// layout it is stored in, and its name; null where there is none.
struct StoredWeight {
  mlir::OpOperand *operand = nullptr;
  WeightLayout layout = WeightLayout::OutIn;
  fx::WeightAttr name;
};
StoredWeight storedWeight(fx::ProgramOp program, fx::CallOp call);

} // namespace weir

#endif // WEIR_LIB_CONVERSION_STEERTOWEIGHTS_WRITERS_H
