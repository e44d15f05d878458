//===- KernelBuilder.h - Code for one token ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Within a kernel's loop, a value of the steer dialect is what it is for one
// token: numbers and gates are scalars, rows and activations are buffers of one
// dimension.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_CONVERSION_STEERTOKERNELS_KERNELBUILDER_H
#define WEIR_LIB_CONVERSION_STEERTOKERNELS_KERNELBUILDER_H

#include "weir/Conversion/SteerToKernels/SteerToKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/DialectConversion.h"

namespace weir {

/// What stands in memory for a type: bytes for flags, and integers for narrow
/// numbers, which no code generator hands from block to block without a library.
mlir::Type storedType(mlir::Type element);
/// The type of a buffer of `size` numbers of a token.
mlir::MemRefType rowType(int64_t size, mlir::Type element);
/// What a tensor is for one token: a scalar where there is one number, else a
/// row. Flags are bytes in memory.
mlir::Type tokenType(mlir::Type type);

/// The constants of one kernel, in the order of its last arguments. Two of them
/// are there from the beginning: all single numbers, and all integers.
class KernelConstants {
public:
  explicit KernelConstants(mlir::func::FuncOp kernel);

  /// Rows of a recipe as an argument [sizes..] of f32, or a table.
  mlir::Value argument(mlir::Attribute value, mlir::ShapedType type);
  /// The place of numbers that follow each other in the list.
  int64_t place(llvm::ArrayRef<double> numbers);
  int64_t place(llvm::ArrayRef<int64_t> integers);
  mlir::Value numberList() { return numbersArgument; }
  mlir::Value integerList() { return integersArgument; }

  /// Gives the lists their sizes or drops them, and returns what the arguments
  /// hold: an attribute and a type of a tensor each.
  llvm::SmallVector<std::pair<mlir::Attribute, mlir::RankedTensorType>> finish();

  /// What is known of an operation's token since its block was looked at
  /// (TokenBlocks.h): of a read of a TopK dictionary the bound (TopKSearch.h), of a
  /// projection the products with its rows.
  llvm::DenseMap<mlir::Operation *, mlir::Value> known;

private:
  mlir::func::FuncOp kernel;
  mlir::BlockArgument numbersArgument, integersArgument;
  llvm::SmallVector<float> numbers;
  llvm::SmallVector<int64_t> integers;
  llvm::SmallVector<std::pair<mlir::Attribute, mlir::RankedTensorType>> others;
  llvm::DenseMap<mlir::Attribute, mlir::Value> arguments;
};

/// Builds at a pattern's place, in the kernel that it is in.
class KernelBuilder {
public:
  KernelBuilder(mlir::OpBuilder &builder, mlir::Operation *op,
                KernelConstants &constants)
      : b(builder), loc(op->getLoc()),
        kernel(op->getParentOfType<mlir::func::FuncOp>()),
        constants(constants) {}

  /// Numbers of a vector, and vectors that are summed side by side.
  static constexpr int64_t lanes = 16, accumulators = 2;
  /// Rows that are added to another at a time.
  static constexpr int64_t addedRows = 4;

  // Scalars.
  mlir::Value index(int64_t value);
  mlir::Value f32(double value);
  mlir::Value flag(bool value);
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value div(mlir::Value x, mlir::Value y);
  mlir::Value sqrt(mlir::Value x);
  mlir::Value both(mlir::Value x, mlir::Value y);
  mlir::Value either(mlir::Value x, mlir::Value y);
  /// x > y, false for NaN.
  mlir::Value above(mlir::Value x, mlir::Value y);
  mlir::Value below(mlir::Value x, mlir::Value y);
  /// True for NaN.
  mlir::Value notZero(mlir::Value x);
  /// x where the gate holds, else y. A null gate holds everywhere.
  mlir::Value where(mlir::Value gate, mlir::Value x, mlir::Value y);
  mlir::Value keepWhere(mlir::Value gate, mlir::Value x);
  /// NaN stays NaN.
  mlir::Value relu(mlir::Value x);
  mlir::Value maximum(mlir::Value x, mlir::Value y);
  mlir::Value minimum(mlir::Value x, mlir::Value y);

  // Integers.
  mlir::Value compare(mlir::arith::CmpIPredicate which, mlir::Value x,
                      mlir::Value y);
  mlir::Value addInteger(mlir::Value x, int64_t y);
  mlir::Value toIndex(mlir::Value integer);
  mlir::Value subtract(mlir::Value x, mlir::Value y);
  /// The same in every kernel.
  mlir::Value wholeNumber(int64_t value);
  /// Whether one of several holds.
  mlir::Value anyOf(int64_t count, llvm::function_ref<mlir::Value(mlir::Value)> at);
  /// Whether x is one of a list of the site.
  mlir::Value isOneOf(mlir::Value x, llvm::ArrayRef<int64_t> list);

  // Constants of the site, which are arguments of the kernel.
  mlir::Value number(double value);
  mlir::Value integer(int64_t value);
  /// One of several numbers; of equal ones, that number.
  std::function<mlir::Value(mlir::Value)> numbers(llvm::ArrayRef<double> values);
  std::function<mlir::Value(mlir::Value)> integers(llvm::ArrayRef<int64_t> values);
  /// Rows [k, d], or k numbers.
  mlir::Value rows(mlir::Attribute recipe, llvm::ArrayRef<int64_t> shape);
  mlir::Value table(mlir::DenseElementsAttr entries);

  // Columns: activations of a token, k of them.
  /// Number `column` of a scalar or a row.
  mlir::Value element(mlir::Value columns, mlir::Value column);
  /// k numbers, each from its index; one is a scalar. `jam` marks the loop, see
  /// `kernelJamName`.
  mlir::Value columns(int64_t count, mlir::Type element,
                      llvm::function_ref<mlir::Value(mlir::Value)> at,
                      llvm::StringRef jam = {});
  /// The same of f32.
  mlir::Value columns(int64_t count,
                      llvm::function_ref<mlir::Value(mlir::Value)> at) {
    return columns(count, b.getF32Type(), at);
  }
  void forEach(int64_t count, llvm::function_ref<void(mlir::Value)> body);
  mlir::scf::ForOp forRange(mlir::Value count,
                            llvm::function_ref<void(mlir::Value)> body) {
    return forRange(index(0), count, 1, body);
  }
  mlir::scf::ForOp forRange(mlir::Value from, mlir::Value end, int64_t step,
                            llvm::function_ref<void(mlir::Value)> body);
  void ifHolds(mlir::Value gate, llvm::function_ref<void()> then,
               llvm::function_ref<void()> otherwise = nullptr);

  // Rows of d numbers.
  mlir::Value scratch(int64_t size, mlir::Type element);
  /// [rows, columns], of f32 if nothing else is said.
  mlir::Value scratchMatrix(int64_t rows, int64_t columns,
                            mlir::Type element = {});
  void storeAt(mlir::Value scalar, mlir::Value matrix,
               llvm::ArrayRef<mlir::Value> at);
  /// Row `index` of a matrix.
  mlir::Value row(mlir::Value matrix, mlir::Value index);
  mlir::Value load(mlir::Value row, mlir::Value at, mlir::Value mask);
  void store(mlir::Value value, mlir::Value row, mlir::Value at, mlir::Value mask);
  mlir::Value splat(mlir::Value scalar);
  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value z);
  /// Every vector of a row: its place and, for the last one, a mask.
  void forEachVector(int64_t size,
                     llvm::function_ref<void(mlir::Value, mlir::Value)> body);
  /// The named order of sums: `step` adds what stands at a place to a sum.
  mlir::Value
  sum(int64_t size,
      llvm::function_ref<mlir::Value(mlir::Value at, mlir::Value mask,
                                     mlir::Value sum)>
          step);
  mlir::Value dot(mlir::Value x, mlir::Value y);
  mlir::Value norm(mlir::Value x);
  mlir::Value mean(mlir::Value x);
  /// The sample's standard deviation.
  mlir::Value deviation(mlir::Value x, mlir::Value mean);
  /// x as a normalised dictionary's encoder takes it, in a row of its own, and
  /// what the dictionary's output is multiplied by.
  mlir::Value normalize(mlir::Value x, flow::Normalization normalization);
  mlir::Value inputScale(mlir::Value x, flow::Normalization normalization);
  /// Where an operation's row goes: at once to where it is delivered, if it is
  /// and nobody else looks at it.
  mlir::Value destinationOf(mlir::Operation *op);
  /// to += c row, rounded once.
  void addRow(mlir::Value c, mlir::Value row, mlir::Value to);
  /// to += c[i] row(i) for all i in order, each rounded once, several at a time so
  /// that `to` is loaded and stored less often and rows that are not neighbours
  /// are fetched together. With
  /// `skipZeros`, rows whose coefficient is zero are neither read nor added.
  void addRows(int64_t count, llvm::function_ref<mlir::Value(mlir::Value)> coefficient,
               llvm::function_ref<mlir::Value(mlir::Value)> row, mlir::Value to,
               bool skipZeros);
  /// to := x + c row with a rounded product, the arithmetic of a hook.
  void addRounded(mlir::Value x, mlir::Value c, mlir::Value row, mlir::Value to);
  /// to := x. Of a row in f32 and one in `narrow`, converted.
  void copy(mlir::Value x, mlir::Value to, mlir::Type narrow = {});

  /// `edit`, which fills `to`, where the gate holds; else to := x. A null gate
  /// holds everywhere.
  void editWhere(mlir::Value gate, mlir::Value x, mlir::Value to,
                 llvm::function_ref<void()> edit) {
    if (gate)
      ifHolds(gate, edit, [&] { copy(x, to); });
    else
      edit();
  }

  /// Rows of an operation's dictionary: a matrix [k, d], or one number a feature.
  template <typename Op>
  mlir::Value rowsOf(Op op, flow::RowsPart part, llvm::ArrayRef<int64_t> shape) {
    return rows(flow::RowsAttr::get(op.getContext(), part,
                                    op.getDictionaryAttr(), op.getFeatures()),
                shape);
  }

  /// What a conversion to come takes for a value of this type.
  mlir::Value asType(mlir::Value value, mlir::Type type);
  void deliver(mlir::Value value, mlir::Value to);

  mlir::OpBuilder &builder() { return b; }
  static int64_t sizeOf(mlir::Value row);

private:
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::func::FuncOp kernel;
  KernelConstants &constants;
};

/// The patterns, by the file that they are in.
void populateGateToKernelPatterns(mlir::RewritePatternSet &patterns,
                                  const mlir::TypeConverter &types,
                                  KernelConstants &constants);
void populateActivationToKernelPatterns(mlir::RewritePatternSet &patterns,
                                        const mlir::TypeConverter &types,
                                        KernelConstants &constants);
void populateTableToKernelPatterns(mlir::RewritePatternSet &patterns,
                                   const mlir::TypeConverter &types,
                                   KernelConstants &constants);
void populateTopKToKernelPatterns(mlir::RewritePatternSet &patterns,
                                  const mlir::TypeConverter &types,
                                  KernelConstants &constants);
void populateEditToKernelPatterns(mlir::RewritePatternSet &patterns,
                                  const mlir::TypeConverter &types,
                                  KernelConstants &constants);

/// An operation that becomes one value.
template <typename Op> struct KernelPattern : mlir::OpConversionPattern<Op> {
  KernelPattern(const mlir::TypeConverter &types, mlir::MLIRContext *context,
                KernelConstants &constants)
      : mlir::OpConversionPattern<Op>(types, context), constants(constants) {}
  KernelConstants &constants;

  mlir::LogicalResult
  matchAndRewrite(Op op, typename Op::Adaptor adaptor,
                  mlir::ConversionPatternRewriter &rewriter) const override {
    KernelBuilder k(rewriter, op, constants);
    mlir::Value value = lower(op, adaptor, k);
    if (!value)
      return rewriter.notifyMatchFailure(op, "has no kernel form");
    rewriter.replaceOp(op, value);
    return mlir::success();
  }
  virtual mlir::Value lower(Op op, typename Op::Adaptor adaptor,
                            KernelBuilder &k) const = 0;
};

/// The number of columns, the last size of a tensor.
inline int64_t lastSize(mlir::Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType()).getShape().back();
}

} // namespace weir

#endif // WEIR_LIB_CONVERSION_STEERTOKERNELS_KERNELBUILDER_H
