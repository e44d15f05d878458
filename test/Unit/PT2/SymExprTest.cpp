//===- SymExprTest.cpp - Symbolic expressions in archives ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SymExpr.h"

#include "mlir/IR/Builders.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace mlir;
using namespace weir;
using namespace weir::pt2;

static std::string symbol(StringRef name) {
  return ("Symbol('" + name + "', positive=True, integer=True)").str();
}

TEST(SymExpr, ShortFormsAreInfix) {
  EXPECT_EQ(shortForm(symbol("s0")), "s0");
  EXPECT_EQ(shortForm("Integer(-3)"), "-3");
  EXPECT_EQ(shortForm("Mul(Integer(4), " + symbol("s0") + ")"), "4*s0");
  EXPECT_EQ(shortForm("Mul(Add(Integer(1), " + symbol("a") + "), " +
                      symbol("b") + ")"),
            "(1 + a)*b");
  EXPECT_EQ(shortForm("Add(Mul(Integer(2), " + symbol("a") + "), Integer(-1))"),
            "2*a + -1");
  EXPECT_EQ(shortForm("FloorDiv(Add(" + symbol("a") + ", Integer(1)), "
                      "Integer(2))"),
            "FloorDiv(a + 1, 2)");
}

TEST(SymExpr, OtherAssumptionsStay) {
  StringRef unbacked = "Symbol('u0', integer=True)";
  EXPECT_EQ(shortForm(unbacked), unbacked);
  EXPECT_EQ(*archivedForm(unbacked), unbacked);
}

TEST(SymExpr, PlainExpressionsAreSizesAndNothingElse) {
  std::string s0 = symbol("s0"), two = "Integer(2)";
  for (const std::string &good : std::initializer_list<std::string>{
        s0, two, "Mul(" + two + ", " + s0 + ")", "Pow(" + s0 + ", " + two + ")",
        "Add(Mod(" + s0 + ", Integer(-3)), FloorDiv(" + s0 + ", " + two + "))",
        "Equality(" + s0 + ", " + two + ")", "Max(" + s0 + ", " + two + ")"})
    EXPECT_TRUE(isPlainExpression(good)) << good;
  for (const std::string &bad : std::initializer_list<std::string>{
        "", "2", "s0", " " + s0, s0 + " ", s0 + ".x", symbol("x"), symbol("s"),
        symbol("u0"), "Symbol('s0')", "open(" + two + ")",
        "Add(" + s0 + ")", "Mul()", "Not(" + s0 + ", " + s0 + ")",
        "Pow(" + two + ", " + two + ")", "Pow(" + s0 + ", Integer(99))",
        "Pow(Pow(" + s0 + ", " + two + "), " + two + ")",
        "Pow(" + s0 + ", " + s0 + ")", "Integer(" + std::string(30, '9') + ")",
        "Add(" + s0 + ", (" + s0 + "))", "Add(" + s0 + "," + s0 + ")",
        "Integer(1 if " + two + " else 2)", "Float('1')"})
    EXPECT_FALSE(isPlainExpression(bad)) << bad;
}

TEST(SymExpr, NonsenseIsNotExpanded) {
  EXPECT_TRUE(failed(archivedForm("s0 <")));
  EXPECT_TRUE(failed(archivedForm("")));
  EXPECT_TRUE(failed(archivedForm("(s0")));
}

TEST(SymExpr, DeepTextIsTakenAsItIs) {
  std::string deep;
  for (int i = 0; i < 100000; ++i)
    deep += "Add(";
  EXPECT_EQ(*archivedForm(shortForm(deep)), deep);
  EXPECT_TRUE(failed(archivedForm(std::string(100000, '('))));
}

/// Expressions as sympy prints them.
static std::string anyArchived(int depth) {
  int kind = depth <= 0 ? *rc::gen::inRange(0, 2) : *rc::gen::inRange(0, 6);
  switch (kind) {
  case 0:
    return "Integer(" + std::to_string(*rc::gen::arbitrary<int>()) + ")";
  case 1:
    return symbol("s" + std::to_string(*rc::gen::inRange(0, 5)));
  default: {
    std::string text = kind <= 3   ? "Mul("
                       : kind == 4 ? "Add("
                                   : "FloorDiv(";
    int count = *rc::gen::inRange(0, 4);
    for (int i = 0; i < count; ++i)
      text += (i ? ", " : "") + anyArchived(depth - 1);
    return text + ")";
  }
  }
}

RC_GTEST_PROP(SymExpr, ShortFormIsInverse, ()) {
  std::string archived = anyArchived(4);
  std::string text = shortForm(archived);
  RC_ASSERT(succeeded(archivedForm(text)));
  RC_ASSERT(*archivedForm(text) == archived);
  // None of these needs the literal form.
  RC_ASSERT(text.find('\'') == std::string::npos);
}

RC_GTEST_PROP(SymExpr, AnyTextSurvives, (const std::string &text)) {
  RC_ASSERT(succeeded(archivedForm(shortForm(text))));
  RC_ASSERT(*archivedForm(shortForm(text)) == text);
}

class Strides : public testing::Test {
protected:
  Strides() { context.loadDialect<fx::FXDialect>(); }
  Attribute number(int64_t value) {
    return Builder(&context).getI64IntegerAttr(value);
  }
  Attribute expr(StringRef text, std::optional<int64_t> hint) {
    return fx::SymExprAttr::get(&context, text,
                                hint ? number(*hint) : Attribute());
  }
  std::vector<std::string> strides(ArrayRef<Attribute> sizes) {
    auto result = contiguousStrides(sizes, &context);
    std::vector<std::string> texts;
    if (succeeded(result))
      for (Attribute stride : *result) {
        auto symbolic = dyn_cast<fx::SymExprAttr>(stride);
        if (!symbolic) {
          texts.push_back(
              std::to_string(cast<IntegerAttr>(stride).getInt()));
          continue;
        }
        std::string text = symbolic.getExpr().str();
        if (auto hint = dyn_cast_if_present<IntegerAttr>(symbolic.getHint()))
          text += "=" + std::to_string(hint.getInt());
        texts.push_back(text);
      }
    return texts;
  }
  MLIRContext context;
};

TEST_F(Strides, AreProductsOfTheSizesBehind) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(strides({}), Texts{});
  EXPECT_EQ(strides({number(2), number(3), number(4)}),
            (Texts{"12", "4", "1"}));
  EXPECT_EQ(strides({expr("s72", 2), expr("s18", 3), number(576)}),
            (Texts{"576*s18=1728", "576", "1"}));
  // As sympy orders a product: the number, then names.
  EXPECT_EQ(strides({number(5), expr("s72", 2), number(4), expr("s18", 3),
                     number(8)}),
            (Texts{"32*s18*s72=192", "32*s18=96", "8*s18=24", "8", "1"}));
  EXPECT_EQ(strides({number(1), expr("s0", 3), expr("s0", 3)}),
            (Texts{"Pow(s0, 2)=9", "s0=3", "1"}));
  EXPECT_EQ(strides({number(1), expr("2*s0", 6), number(5)}),
            (Texts{"10*s0=30", "5", "1"}));
  // An empty axis counts as one of size 1; without a hint there is none.
  EXPECT_EQ(strides({number(2), number(0), expr("u", std::nullopt)}),
            (Texts{"u", "u", "1"}));
}

TEST_F(Strides, FailOnOverflowAndOnUnknownSizes) {
  int64_t large = int64_t(1) << 40;
  EXPECT_TRUE(failed(contiguousStrides(
      {number(large), number(large), number(large)}, &context)));
  EXPECT_TRUE(failed(contiguousStrides({Attribute()}, &context)));
  EXPECT_TRUE(failed(contiguousStrides({expr("s0 <", 1)}, &context)));
}
