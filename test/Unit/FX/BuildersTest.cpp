//===- BuildersTest.cpp - Building calls and types ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/IR/FX.h"

#include "mlir/IR/Verifier.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace mlir;
using namespace weir;
using namespace weir::fx;

namespace {

class Builders : public testing::Test {
protected:
  Builders() : builder(&context), loc(builder.getUnknownLoc()) {
    context.loadDialect<FXDialect>();
    builder.setInsertionPointToStart(&block);
  }
  ~Builders() override {
    // Uses come after definitions.
    while (!block.empty())
      block.back().erase();
  }

  Attribute number(int64_t value) { return builder.getI64IntegerAttr(value); }
  SymExprAttr symbol(StringRef name, int64_t hint) {
    return SymExprAttr::get(&context, name, number(hint));
  }
  RankedTensorType hidden() {
    return tensorOf({symbol("b", 2), symbol("s", 3), number(8)},
                    builder.getF32Type());
  }
  Value argument(Type type) { return block.addArgument(type, loc); }
  static std::string text(Operation *op) {
    std::string result;
    llvm::raw_string_ostream os(result);
    op->print(os, OpPrintingFlags().assumeVerified().useLocalScope());
    return result;
  }

  MLIRContext context;
  OpBuilder builder;
  Location loc;
  Block block;
};

TEST_F(Builders, ArgumentsOfEveryKind) {
  Value x = argument(hidden());
  auto call = CallOp::create(
      builder, loc, TypeRange{hidden()}, "a.b",
      {{"x", x},
       {"int", 3},
       {"long", int64_t(4)},
       {"real", 0.5},
       {"flag", true},
       {"text", "words"},
       {"type", builder.getBF16Type()},
       {"ints", {-1}},
       {"more", {1, 2}},
       {"device", DeviceAttr::get(&context, "cpu", std::nullopt)},
       Argument::tensors("list", {x, x}),
       Argument::optionalTensors("some", {Value(), x}),
       Argument::none("nothing")});
  EXPECT_TRUE(succeeded(verify(call)));
  EXPECT_EQ(text(call).substr(5),
            "fx.call pure @a.b(x: <<UNKNOWN SSA VALUE>>, int: 3, long: 4, "
            "real: 5.000000e-01, flag: true, text: \"words\", type: "
            "dtype<bf16>, ints: [-1], more: [1, 2], device: device<\"cpu\">, "
            "list: [<<UNKNOWN SSA VALUE>>, <<UNKNOWN SSA VALUE>>], some: "
            "[none, <<UNKNOWN SSA VALUE>>], nothing: none) : "
            "(tensor<?x?x8xf32, #fx.dims<b = 2, s = 3>>, tensor<?x?x8xf32, "
            "#fx.dims<b = 2, s = 3>>, tensor<?x?x8xf32, #fx.dims<b = 2, s = "
            "3>>, tensor<?x?x8xf32, #fx.dims<b = 2, s = 3>>) -> "
            "tensor<?x?x8xf32, #fx.dims<b = 2, s = 3>>");
}

TEST_F(Builders, ArgumentsAreFoundByName) {
  Value x = argument(hidden()), y = argument(hidden());
  auto call = CallOp::create(builder, loc, TypeRange{hidden()}, "aten.cat",
                             {Argument::tensors("tensors", {x, y}),
                              {"other", y},
                              {"dim", -1},
                              {"flag", false}});
  EXPECT_EQ(call.findArgument("dim"), 2u);
  EXPECT_EQ(call.findArgument("gone"), std::nullopt);
  EXPECT_EQ(call.getArgumentValue("other"), y);
  EXPECT_EQ(call.getArgumentValue("tensors"), Value()) << "not one operand";
  EXPECT_EQ(call.getArgumentValues(0).size(), 2u);
  EXPECT_EQ(call.getArgumentValues(1).front(), y);
  EXPECT_EQ(call.getArgumentInt("dim"), -1);
  EXPECT_EQ(call.getArgumentInt("flag"), std::nullopt);
  EXPECT_EQ(call.getArgument("flag"), builder.getBoolAttr(false));
  EXPECT_EQ(call.getResultName(0), "");
  EXPECT_EQ(call.getModulePath(), "");
}

TEST_F(Builders, PureCallsHaveNoEffects) {
  Value x = argument(hidden());
  auto pure = CallOp::create(builder, loc, TypeRange{hidden()}, "a", {{"x", x}});
  auto impure = CallOp::create(builder, loc, TypeRange{hidden()}, "a",
                               {{"x", x}}, /*pure=*/false);
  EXPECT_TRUE(isMemoryEffectFree(pure));
  EXPECT_FALSE(isMemoryEffectFree(impure));
}

TEST_F(Builders, SizesGoThroughTypes) {
  RankedTensorType type = hidden();
  EXPECT_EQ(type.getShape(), (ArrayRef<int64_t>{ShapedType::kDynamic,
                                                ShapedType::kDynamic, 8}));
  EXPECT_EQ(tensorOf(sizesOf(type), type.getElementType()), type);
  EXPECT_EQ(sizesOf(withLastSize(type, 5)).back(), number(5));
  EXPECT_EQ(sizesOf(withLastSize(type, 5)).front(), symbol("b", 2));
  EXPECT_EQ(withElementType(type, builder.getI1Type()).getShape(),
            type.getShape());
  // A size that nobody knows the expression of.
  auto plain = RankedTensorType::get({ShapedType::kDynamic, 2},
                                     builder.getF32Type());
  EXPECT_EQ(sizesOf(plain).front(), Attribute());
  EXPECT_EQ(tensorOf(sizesOf(plain), builder.getF32Type()), plain);
}

TEST_F(Builders, SizesAsArguments) {
  Value x = argument(hidden());
  EXPECT_EQ(sizeOf(builder, loc, x, 2), OpFoldResult(number(8)));
  EXPECT_TRUE(block.empty()) << "a static size needs no call";
  OpFoldResult rows = sizeOf(builder, loc, x, 0);
  auto value = dyn_cast<Value>(rows);
  ASSERT_TRUE(value);
  EXPECT_EQ(value.getType(), SymIntType::get(&context, symbol("b", 2)));
  auto mixed = CallOp::create(
      builder, loc, TypeRange{hidden()}, "aten.view.default",
      {{"self", x}, Argument::sizes("size", {rows, OpFoldResult(number(-1))})});
  EXPECT_EQ(cast<ListAttr>(mixed.getArgument("size")).getKind(),
            ListKind::SymInts);
  auto fixed = CallOp::create(
      builder, loc, TypeRange{hidden()}, "aten.view.default",
      {{"self", x}, Argument::sizes("size", {OpFoldResult(number(4))})});
  EXPECT_EQ(cast<ListAttr>(fixed.getArgument("size")).getKind(),
            ListKind::Ints);
}

TEST_F(Builders, ElementTypesAndNumbersOfArchives) {
  for (int64_t n : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 28, 29, 30, 31,
                    32, 33, 34, 35}) {
    Type type = DTypeAttr::get(&context, n).getElementType();
    ASSERT_TRUE(type) << n;
    EXPECT_EQ(DTypeAttr::forElementType(type).getNumber(), n);
  }
  EXPECT_FALSE(DTypeAttr::get(&context, 0).getElementType());
  EXPECT_FALSE(DTypeAttr::get(&context, 14).getElementType());
  EXPECT_FALSE(DTypeAttr::forElementType(builder.getIntegerType(7)));
}

TEST(Targets, KnownForms) {
  EXPECT_EQ(targetOfArchive("torch.ops.aten.add.Tensor"), "aten.add.Tensor");
  EXPECT_EQ(targetOfArchive("_operator.add"), "_operator.add");
  EXPECT_EQ(targetOfArchive("torch.sym_max"), "torch.sym_max");
  EXPECT_EQ(targetOfArchive("elsewhere.f"), "python.elsewhere.f");
  EXPECT_EQ(archiveTarget("aten.add.Tensor"), "torch.ops.aten.add.Tensor");
}

RC_GTEST_PROP(Targets, AreInverse, (const std::string &tail)) {
  for (StringRef head : {"", "torch.ops.", "torch.ops.torch.", "python.",
                         "_operator.", "math.", "torch.ops.python."}) {
    std::string name = head.str() + tail;
    RC_ASSERT(archiveTarget(targetOfArchive(name)) == name);
  }
}

} // namespace
