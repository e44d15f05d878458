//===- FXBuilders.h - Building calls and types of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Included by FX.h; holds what the generated op classes need.

#ifndef WEIR_DIALECT_FX_IR_FXBUILDERS_H
#define WEIR_DIALECT_FX_IR_FXBUILDERS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

#include <optional>
#include <string>

namespace weir::fx {

class DimsAttr;
class SymExprAttr;
class CallOp;
class OutputAttr;
class ReturnOp;

/// One named argument of a call that is being built:
///
///   CallOp::create(builder, loc, type, "aten.add.Tensor",
///                  {{"self", x}, {"other", y}, {"alpha", 2}});
///
/// A list of sizes mixes values (of type !fx.symint) and integer attributes.
struct Argument {
  Argument(llvm::StringRef name, mlir::Value operand)
      : name(name), operands({operand}) {}
  Argument(llvm::StringRef name, mlir::Attribute constant)
      : name(name), constant(constant) {}
  Argument(llvm::StringRef name, int64_t number)
      : name(name), integer(number) {}
  Argument(llvm::StringRef name, int number)
      : Argument(name, static_cast<int64_t>(number)) {}
  Argument(llvm::StringRef name, bool flag) : name(name), flag(flag) {}
  Argument(llvm::StringRef name, llvm::StringRef text)
      : name(name), text(text.str()) {}
  /// Without this, a literal would become a boolean.
  Argument(llvm::StringRef name, const char *text)
      : Argument(name, llvm::StringRef(text)) {}
  Argument(llvm::StringRef name, double number) : name(name), real(number) {}
  /// A dtype.
  Argument(llvm::StringRef name, mlir::Type type) : name(name), type(type) {}
  /// A list of integers.
  Argument(llvm::StringRef name, llvm::ArrayRef<int64_t> numbers)
      : name(name), integers(numbers.begin(), numbers.end()), kind(Ints) {}
  /// Without this, {1} would be ambiguous.
  Argument(llvm::StringRef name, std::initializer_list<int64_t> numbers)
      : name(name), integers(numbers), kind(Ints) {}
  /// A list of tensors.
  static Argument tensors(llvm::StringRef name, mlir::ValueRange values);
  /// A list of optional tensors, such as the indices of aten.index: a null
  /// value is none.
  static Argument optionalTensors(llvm::StringRef name,
                                  llvm::ArrayRef<mlir::Value> values);
  /// A list of sizes.
  static Argument sizes(llvm::StringRef name,
                        llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// Nothing, explicitly.
  static Argument none(llvm::StringRef name);

  llvm::StringRef name;
  llvm::SmallVector<mlir::Value, 2> operands;
  mlir::Attribute constant;
  std::optional<int64_t> integer;
  std::optional<bool> flag;
  std::optional<double> real;
  std::optional<std::string> text;
  mlir::Type type;
  llvm::SmallVector<int64_t, 4> integers;
  llvm::SmallVector<mlir::OpFoldResult, 4> mixed;
  enum Kind { Single, Ints, Tensors, OptionalTensors, Sizes, None };
  Kind kind = Single;

private:
  explicit Argument(llvm::StringRef name, Kind kind) : name(name), kind(kind) {}
};

/// A tensor's sizes: an IntegerAttr for each static one, a SymExprAttr for each
/// dynamic one whose type says its expression, null where it does not.
llvm::SmallVector<mlir::Attribute> sizesOf(mlir::RankedTensorType type);

/// The tensor type of given sizes (IntegerAttr or SymExprAttr each).
mlir::RankedTensorType tensorOf(llvm::ArrayRef<mlir::Attribute> sizes,
                                mlir::Type elementType);
/// The same type with its last sizes replaced or with another element type.
mlir::RankedTensorType withLastSize(mlir::RankedTensorType type, int64_t size);
mlir::RankedTensorType withElementType(mlir::RankedTensorType type,
                                       mlir::Type elementType);

/// Size `dim` of a tensor as an argument for a list of sizes: the number, or
/// the result of a pure aten.sym_size.int call made at the builder's place.
mlir::OpFoldResult sizeOf(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Value tensor, int64_t dim);

} // namespace weir::fx

#endif // WEIR_DIALECT_FX_IR_FXBUILDERS_H
