//===- SymbolicMathTest.cpp - Python's arithmetic on symbolic sizes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reference/SymbolicMath.h"

#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

using namespace weir::reference;
using c10::IValue;

namespace {

IValue apply(SymbolicOp op, std::vector<IValue> operands) {
  return applySymbolicOp(op, operands);
}

int64_t integer(SymbolicOp op, int64_t a, int64_t b) {
  return apply(op, {a, b}).toInt();
}

constexpr int64_t smallest = std::numeric_limits<int64_t>::min();
constexpr int64_t largest = std::numeric_limits<int64_t>::max();

TEST(SymbolicMath, DivisionRoundsDownAsInPython) {
  EXPECT_EQ(integer(SymbolicOp::FloorDiv, 7, 2), 3);
  EXPECT_EQ(integer(SymbolicOp::FloorDiv, -7, 2), -4);
  EXPECT_EQ(integer(SymbolicOp::FloorDiv, 7, -2), -4);
  EXPECT_EQ(integer(SymbolicOp::FloorDiv, -7, -2), 3);
  EXPECT_EQ(integer(SymbolicOp::Mod, -7, 2), 1);
  EXPECT_EQ(integer(SymbolicOp::Mod, 7, -2), -1);
  EXPECT_EQ(apply(SymbolicOp::FloorDiv, {-7.0, int64_t{2}}).toDouble(), -4.0);
  EXPECT_EQ(apply(SymbolicOp::Mod, {-7.5, int64_t{2}}).toDouble(), 0.5);
  EXPECT_EQ(apply(SymbolicOp::TrueDiv, {int64_t{7}, int64_t{2}}).toDouble(), 3.5);
}

RC_GTEST_PROP(SymbolicMath, QuotientAndRemainderAgree, (int64_t a, int64_t b)) {
  RC_PRE(b != 0 && !(a == smallest && b == -1));
  int64_t quotient = integer(SymbolicOp::FloorDiv, a, b);
  int64_t remainder = integer(SymbolicOp::Mod, a, b);
  RC_ASSERT(static_cast<__int128>(quotient) * b + remainder == a);
  RC_ASSERT(remainder == 0 || (remainder < 0) == (b < 0));
}

TEST(SymbolicMath, OverflowIsAnError) {
  EXPECT_THROW(integer(SymbolicOp::Add, largest, 1), c10::Error);
  EXPECT_THROW(integer(SymbolicOp::Sub, smallest, 1), c10::Error);
  EXPECT_THROW(integer(SymbolicOp::Mul, largest, 2), c10::Error);
  EXPECT_THROW(integer(SymbolicOp::FloorDiv, smallest, -1), c10::Error);
  EXPECT_EQ(integer(SymbolicOp::Mod, smallest, -1), 0);
  EXPECT_THROW(apply(SymbolicOp::Neg, {smallest}), c10::Error);
  EXPECT_THROW(integer(SymbolicOp::Pow, 2, 63), c10::Error);
  EXPECT_EQ(integer(SymbolicOp::Pow, 2, 62), int64_t{1} << 62);
  EXPECT_EQ(integer(SymbolicOp::Pow, -2, 63), smallest);
  EXPECT_THROW(integer(SymbolicOp::LShift, 1, 63), c10::Error);
  EXPECT_EQ(integer(SymbolicOp::LShift, 0, 1000), 0);
  EXPECT_EQ(integer(SymbolicOp::RShift, -5, 1000), -1);
  EXPECT_THROW(integer(SymbolicOp::RShift, 1, -1), c10::Error);
  EXPECT_THROW(apply(SymbolicOp::Trunc, {0x1p63}), c10::Error);
  EXPECT_THROW(apply(SymbolicOp::Trunc, {std::nan("")}), c10::Error);
  EXPECT_EQ(apply(SymbolicOp::Trunc, {-2.7}).toInt(), -2);
}

TEST(SymbolicMath, DivisionByZeroIsAnError) {
  for (SymbolicOp op : {SymbolicOp::FloorDiv, SymbolicOp::Mod, SymbolicOp::TrueDiv}) {
    EXPECT_THROW(apply(op, {int64_t{1}, int64_t{0}}), c10::Error);
    EXPECT_THROW(apply(op, {1.0, 0.0}), c10::Error);
  }
}

TEST(SymbolicMath, ComparisonOfIntsWithFloatsIsExact) {
  // 2^53 + 1 is no double; as doubles both would be equal.
  int64_t odd = (int64_t{1} << 53) + 1;
  EXPECT_FALSE(apply(SymbolicOp::Eq, {odd, 0x1p53}).toBool());
  EXPECT_TRUE(apply(SymbolicOp::Gt, {odd, 0x1p53}).toBool());
  EXPECT_TRUE(apply(SymbolicOp::Le, {int64_t{2}, 2.0}).toBool());
}

TEST(SymbolicMath, BooleansAndChoices) {
  EXPECT_TRUE(apply(SymbolicOp::And, {true, true}).isBool());
  EXPECT_FALSE(apply(SymbolicOp::And, {true, false}).toBool());
  EXPECT_TRUE(apply(SymbolicOp::Or, {true, false}).toBool());
  EXPECT_EQ(integer(SymbolicOp::And, 6, 3), 2);
  EXPECT_TRUE(apply(SymbolicOp::Not, {false}).toBool());
  EXPECT_EQ(apply(SymbolicOp::IfThenElse, {true, int64_t{1}, int64_t{2}}).toInt(), 1);
  EXPECT_EQ(apply(SymbolicOp::IfThenElse, {false, int64_t{1}, int64_t{2}}).toInt(), 2);
  EXPECT_EQ(integer(SymbolicOp::Max, 3, 5), 5);
  EXPECT_EQ(integer(SymbolicOp::Min, 3, 5), 3);
  EXPECT_EQ(apply(SymbolicOp::Max, {int64_t{3}, 2.5}).toDouble(), 3.0);
}

TEST(SymbolicMath, Names) {
  EXPECT_EQ(parseSymbolicOp("_operator.floordiv"), SymbolicOp::FloorDiv);
  EXPECT_EQ(parseSymbolicOp("math.trunc"), SymbolicOp::Trunc);
  EXPECT_EQ(parseSymbolicOp("torch.sym_max"), SymbolicOp::Max);
  EXPECT_EQ(parseSymbolicOp("os.system"), std::nullopt);
  EXPECT_EQ(arityOf(SymbolicOp::IfThenElse), 3u);
  EXPECT_EQ(arityOf(SymbolicOp::Neg), 1u);
  EXPECT_EQ(arityOf(SymbolicOp::Add), 2u);
  EXPECT_THROW(apply(SymbolicOp::Add, {int64_t{1}}), c10::Error);
  EXPECT_THROW(apply(SymbolicOp::Add, {std::string("a"), int64_t{1}}), c10::Error);
}

} // namespace
