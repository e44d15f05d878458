//===- CallTest.cpp - What calls do and cost ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/IR/CallCost.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace weir;
using namespace weir::fx;

namespace {

class Calls : public testing::Test {
protected:
  Calls() : builder(&context) {
    context.loadDialect<FXDialect>();
    builder.setInsertionPointToStart(&block);
  }
  ~Calls() override {
    while (!block.empty())
      block.back().erase();
  }

  /// A tensor of f32; its first size is a symbol that was that when traced.
  RankedTensorType type(ArrayRef<int64_t> sizes) {
    SmallVector<Attribute> dims{SymExprAttr::get(
        &context, "s0", builder.getI64IntegerAttr(sizes.front()))};
    for (int64_t size : sizes.drop_front())
      dims.push_back(builder.getI64IntegerAttr(size));
    return tensorOf(dims, builder.getF32Type());
  }
  Value input(Type type) {
    return block.addArgument(type, builder.getUnknownLoc());
  }
  CallOp call(StringRef target, TypeRange results, ArrayRef<Argument> arguments) {
    return CallOp::create(builder, builder.getUnknownLoc(), results, target,
                          arguments, /*pure=*/false);
  }
  void expectCost(CallOp call, int64_t read, int64_t written,
                  int64_t operations) {
    std::optional<CallCost> cost = costOf(call);
    ASSERT_TRUE(cost) << call.getTarget().str();
    EXPECT_EQ(cost->bytesRead, read) << call.getTarget().str();
    EXPECT_EQ(cost->bytesWritten, written) << call.getTarget().str();
    EXPECT_EQ(cost->operations, operations) << call.getTarget().str();
  }

  MLIRContext context;
  OpBuilder builder;
  Block block;
};

TEST_F(Calls, CostWhatTheirTensorsSay) {
  Value x = input(type({2, 8})), table = input(type({100, 8}));
  Value out = input(RankedTensorType::get({5, 8}, builder.getF32Type()));
  Value in = input(RankedTensorType::get({8, 5}, builder.getF32Type()));
  Value bias = input(RankedTensorType::get({5}, builder.getF32Type()));
  Value ids = input(RankedTensorType::get({2}, builder.getI64Type()));
  RankedTensorType same = type({2, 8}), made = type({2, 5});
  // 2 x 5 sums of 8 products, each a multiplication and an addition.
  expectCost(call("aten.linear.default", made,
                  {{"input", x}, {"weight", out}, {"bias", bias}}),
             4 * (16 + 40 + 5), 4 * 10, 160);
  expectCost(call("aten.addmm.default", made,
                  {{"self", bias}, {"mat1", x}, {"mat2", in}}),
             4 * (16 + 40 + 5), 4 * 10, 160);
  expectCost(call("aten.add.Tensor", same, {{"self", x}, {"other", x}}),
             2 * 4 * 16, 4 * 16, 16);
  expectCost(call("aten.rms_norm.default", same,
                  {{"input", x}, {"normalized_shape", {8}}}),
             4 * 16, 4 * 16, 4 * 16);
  expectCost(call("aten.mean.dim", type({2, 1}),
                  {{"self", x}, {"dim", {-1}}, {"keepdim", true}}),
             4 * 16, 4 * 2, 16);
  // Of a table two rows are read, and what chose them.
  expectCost(call("aten.embedding.default", same,
                  {{"weight", table}, {"indices", ids}}),
             4 * 16 + 8 * 2, 4 * 16, 0);
  // Into a table two rows are written.
  expectCost(call("aten.index_put_.default", table.getType(),
                  {{"self", table},
                   Argument::optionalTensors("indices", {ids}),
                   {"values", x}}),
             4 * 16 + 8 * 2, 4 * 16, 0);
  expectCost(call("aten.view.default", type({2, 8}),
                  {{"self", x}, {"size", {2, 8}}}),
             0, 0, 0);
  expectCost(call("aten.clone.default", same, {{"self", x}}), 4 * 16, 4 * 16, 0);
  // 2 x 2 scores of 8 products, a softmax, and 2 x 8 sums of 2 products.
  expectCost(call("aten.scaled_dot_product_attention.default", same,
                  {{"query", x}, {"key", x}, {"value", x}}),
             3 * 4 * 16, 4 * 16, 2 * 2 * 2 * 8 + 5 * 2 * 2 + 2 * 2 * 2 * 8);
  // Linear maps of 5 and 3 rows of 34 bytes at once.
  Type byte = builder.getIntegerType(8, false);
  Value five = input(RankedTensorType::get({5, 34}, byte));
  Value three = input(RankedTensorType::get({3, 34}, byte));
  expectCost(call("weir.quantized_linears.default",
                  {type({2, 5}), type({2, 3})},
                  {{"x", input(type({2, 32}))},
                   Argument::tensors("blocks", {five, three})}),
             4 * 64 + 34 * 8, 4 * 16, 2 * 16 * 32);
  EXPECT_FALSE(costOf(call("mine.op.default", same, {{"x", x}})));
  // A size that nobody knows.
  auto unknown =
      RankedTensorType::get({ShapedType::kDynamic}, builder.getF32Type());
  EXPECT_FALSE(
      costOf(call("aten.neg.default", unknown, {{"self", input(unknown)}})));
}

TEST_F(Calls, HandOnWhatTheyDoNotChange) {
  RankedTensorType same = type({2, 8});
  Value x = input(same);
  auto forwards = [&](StringRef target, Type result,
                      ArrayRef<Argument> arguments) {
    return call(target, result, arguments).getForwarded() == x;
  };
  EXPECT_TRUE(forwards("aten.alias.default", same, {{"self", x}}));
  EXPECT_TRUE(forwards("aten.to.dtype", same,
                       {{"self", x}, {"dtype", builder.getF32Type()}}));
  EXPECT_FALSE(forwards("aten.to.dtype",
                        withElementType(same, builder.getBF16Type()),
                        {{"self", x}, {"dtype", builder.getBF16Type()}}));
  EXPECT_FALSE(forwards("aten.transpose.int", same,
                        {{"self", x}, {"dim0", 0}, {"dim1", 1}}));
  EXPECT_TRUE(forwards("aten.dropout.default", same,
                       {{"input", x}, {"p", 0.5}, {"train", false}}));
  EXPECT_TRUE(forwards("aten.dropout.default", same,
                       {{"input", x}, {"p", 0.0}, {"train", true}}));
  EXPECT_FALSE(forwards("aten.dropout.default", same,
                        {{"input", x}, {"p", 0.5}, {"train", true}}));
  EXPECT_FALSE(forwards("mine.op.default", same, {{"self", x}}));
}

TEST_F(Calls, SayWhatTheyWriteAndLookAt) {
  RankedTensorType same = type({2, 8});
  Value x = input(same), y = input(same);
  auto namesOf = [&](CallOp call, bool written) {
    std::string text;
    auto note = [&](OpOperand &operand) {
      text += operand.get() == x ? 'x' : 'y';
    };
    if (written)
      call.forEachWritten(note);
    else
      call.forEachAliased(note);
    return text;
  };
  CallOp add = call("aten.add_.Tensor", same, {{"self", y}, {"other", x}});
  EXPECT_EQ(namesOf(add, true), "y");
  EXPECT_EQ(namesOf(add, false), "y");
  CallOp view = call("aten.expand_as.default", same, {{"self", x}, {"other", y}});
  EXPECT_EQ(namesOf(view, true), "");
  EXPECT_EQ(namesOf(view, false), "x");
  CallOp unknown = call("mine.op.default", same, {{"a", x}, {"b", y}});
  EXPECT_EQ(namesOf(unknown, true), "xy");
  EXPECT_EQ(namesOf(unknown, false), "xy");
}

} // namespace
