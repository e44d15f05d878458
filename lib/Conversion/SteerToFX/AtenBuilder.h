//===- AtenBuilder.h - Calls of aten operators ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_CONVERSION_STEERTOFX_ATENBUILDER_H
#define WEIR_LIB_CONVERSION_STEERTOFX_ATENBUILDER_H

#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Dialect/Flow/IR/Flow.h"

#include "mlir/IR/Builders.h"

namespace weir {

/// Makes pure calls of aten operators at a builder's insertion point and works
/// out their types. Elementwise results broadcast as PyTorch's do; symbolic
/// sizes are those of the operands.
class AtenBuilder {
public:
  AtenBuilder(mlir::OpBuilder &builder, mlir::Location loc)
      : builder(builder), loc(loc) {}

  /// A call of one result.
  mlir::Value call(mlir::RankedTensorType type, llvm::StringRef target,
                   llvm::ArrayRef<fx::Argument> arguments);

  mlir::Value unsqueeze(mlir::Value x, int64_t dim);
  mlir::Value select(mlir::Value x, int64_t dim, int64_t index);
  /// x.to(dtype); x itself where it has the type.
  mlir::Value to(mlir::Value x, mlir::Type element);

  /// `which` of eq, ne, lt, le, gt, ge.
  mlir::Value compare(llvm::StringRef which, mlir::Value x, mlir::Value y);
  mlir::Value compare(llvm::StringRef which, mlir::Value x, int64_t y);
  mlir::Value compare(llvm::StringRef which, mlir::Value x, double y);
  /// Whether x is one of some numbers: of one, a comparison, else a search in a
  /// stored list. There is one at least.
  mlir::Value isOneOf(mlir::Value x, llvm::ArrayRef<int64_t> numbers);
  /// `which` of and, or.
  mlir::Value logical(llvm::StringRef which, mlir::Value x, mlir::Value y);

  /// `which` of add, sub, mul, div.
  mlir::Value binary(llvm::StringRef which, mlir::Value x, mlir::Value y);
  mlir::Value addScalar(mlir::Value x, int64_t y);
  mlir::Value mulScalar(mlir::Value x, double y);
  /// `which` of clamp_min, clamp_max.
  mlir::Value bound(llvm::StringRef which, mlir::Value x, double y);
  mlir::Value relu(mlir::Value x);
  /// x where the gate holds, else 0. A null gate holds everywhere.
  mlir::Value keepWhere(mlir::Value gate, mlir::Value x);
  mlir::Value where(mlir::Value gate, mlir::Value x, mlir::Value y);
  /// The larger (`maximum`) or smaller (`minimum`) of two, of x's type.
  mlir::Value extremum(llvm::StringRef which, mlir::Value x, mlir::Value y);

  /// x [.., in] W^T [in, out] + b, W [out, in]; b may be null.
  mlir::Value linear(mlir::Value x, mlir::Value weight, mlir::Value bias);
  /// x [.., k] D [k, d].
  mlir::Value matmul(mlir::Value x, mlir::Value rows);
  /// Along the last dimension.
  mlir::Value cat(llvm::ArrayRef<mlir::Value> parts);
  /// Columns of the last dimension, by a stored list of indices.
  mlir::Value columns(mlir::Value x, llvm::ArrayRef<int64_t> indices);
  /// Euclidean norm over the last dimension, which stays with size 1.
  mlir::Value norm(mlir::Value x);
  mlir::Value mean(mlir::Value x);
  /// Population (correction 0) or sample (1) standard deviation, as `norm`.
  mlir::Value std(mlir::Value x, int64_t correction);
  /// Whether any of the last dimension, which stays with size 1, holds.
  mlir::Value any(mlir::Value x);
  /// relu of the k largest numbers of the last dimension, 0 elsewhere.
  mlir::Value keepTopK(mlir::Value x, int64_t k);
  /// x broadcast to the shape of `like`, as a view.
  mlir::Value expandAs(mlir::Value x, mlir::Value like);

  /// A stored constant: rows of a recipe as f32.
  mlir::Value constant(mlir::Attribute recipe, llvm::ArrayRef<int64_t> shape);
  /// One number a feature, as a small literal [k].
  mlir::Value numbers(llvm::ArrayRef<double> values);

protected:
  mlir::OpBuilder &builder;
  mlir::Location loc;

private:
  /// A stored list [n] of i64.
  mlir::Value list(llvm::ArrayRef<int64_t> numbers);
  mlir::Value reduce(llvm::StringRef target, mlir::Value x,
                     llvm::ArrayRef<fx::Argument> arguments);
  static mlir::RankedTensorType broadcast(mlir::Value x, mlir::Value y,
                                          mlir::Type element);
};

} // namespace weir

#endif // WEIR_LIB_CONVERSION_STEERTOFX_ATENBUILDER_H
