//===- TensorTest.cpp - Views of stored tensors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "llvm/ADT/bit.h"

#include <rapidcheck/gtest.h>

#include <cmath>

using namespace weir;
using namespace weir::test;

namespace {

const DType allTypes[] = {DType::Float64,  DType::Float32, DType::Float16,
                          DType::BFloat16, DType::Int64,   DType::Int32,
                          DType::Int16,    DType::Int8,    DType::UInt8,
                          DType::Bool};

TEST(Tensor, SizesAndNames) {
  const std::pair<const char *, size_t> expected[] = {
      {"f64", 8}, {"f32", 4}, {"f16", 2}, {"bf16", 2}, {"i64", 8},
      {"i32", 4}, {"i16", 2}, {"i8", 1},  {"u8", 1},   {"bool", 1}};
  for (auto [type, pair] : llvm::zip_equal(allTypes, expected)) {
    EXPECT_EQ(nameOf(type), pair.first);
    EXPECT_EQ(sizeOf(type), pair.second);
    EXPECT_EQ(isFloat(type), llvm::StringRef(pair.first).contains('f'));
  }
}

TEST(Tensor, CheckedBytesRefusesOverflow) {
  EXPECT_EQ(checkedBytes({}, 4), 4);
  EXPECT_EQ(checkedBytes({2, 3}, 8), 48);
  EXPECT_EQ(checkedBytes({0, INT64_MAX, INT64_MAX}, 8), 0);
  EXPECT_EQ(checkedBytes({INT64_MAX}, 1), INT64_MAX);
  EXPECT_EQ(checkedBytes({INT64_MAX}, 2), std::nullopt);
  EXPECT_EQ(checkedBytes({1ll << 32, 1ll << 31}, 1), std::nullopt);
  EXPECT_EQ(checkedBytes({-1}, 1), std::nullopt);
}

/// Half precision by its definition, as a reference that shares no code.
double halfByDefinition(uint16_t bits) {
  int exponent = bits >> 10 & 31;
  double fraction = bits & 1023;
  double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 31)
    return fraction == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? std::ldexp(fraction, -24)
                               : std::ldexp(1024 + fraction, exponent - 25));
}

TEST(Tensor, EveryHalfPrecisionNumberIsWidenedExactly) {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i)
    all[i] = static_cast<uint16_t>(i);
  TensorView view = viewOf(DType::Float16, {65536}, all);
  std::vector<float> copy(all.size());
  view.copyTo(copy.data(), 0, 65536);
  for (int64_t i = 0; i < 65536; ++i) {
    double expected = halfByDefinition(static_cast<uint16_t>(i));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(view.at(i)) && std::isnan(copy[i])) << i;
      continue;
    }
    ASSERT_EQ(view.at(i), expected) << i;
    ASSERT_EQ(copy[i], expected) << i;
    ASSERT_EQ(std::signbit(copy[i]), std::signbit(expected)) << i;
  }
}

TEST(Tensor, BFloat16IsTheUpperHalfOfFloat) {
  TensorView view =
      viewOf<uint16_t>(DType::BFloat16, {4}, {0x3f80, 0xc000, 0x7f80, 0x0001});
  EXPECT_EQ(view.at(0), 1.0);
  EXPECT_EQ(view.at(1), -2.0);
  EXPECT_EQ(view.at(2), INFINITY);
  EXPECT_EQ(view.at(3), std::ldexp(1.0, -133));
}

TEST(Tensor, IntegersAndBooleansAreWidened) {
  EXPECT_EQ(elementsOf(viewOf<int8_t>(DType::Int8, {2}, {-128, 127})),
            (std::vector<double>{-128, 127}));
  EXPECT_EQ(elementsOf(viewOf<uint8_t>(DType::UInt8, {2}, {0, 255})),
            (std::vector<double>{0, 255}));
  EXPECT_EQ(elementsOf(viewOf<uint8_t>(DType::Bool, {3}, {0, 1, 7})),
            (std::vector<double>{0, 1, 1}));
  EXPECT_EQ(elementsOf(viewOf<int16_t>(DType::Int16, {1}, {-32768})),
            (std::vector<double>{-32768}));
  EXPECT_EQ(elementsOf(viewOf<int64_t>(DType::Int64, {1}, {1ll << 53})),
            (std::vector<double>{9007199254740992.0}));
}

TEST(Tensor, ScalarsHaveOneElement) {
  TensorView view = viewOf<double>(DType::Float64, {}, {2.5});
  EXPECT_EQ(view.rank(), 0);
  EXPECT_EQ(view.numElements(), 1);
  EXPECT_EQ(view.numBytes(), 8u);
  EXPECT_EQ(view.at(0), 2.5);
}

/// copyTo gives what at gives, for any type, start, stride and misalignment.
RC_GTEST_PROP(Tensor, CopyToAgreesWithAt, ()) {
  DType type = *rc::gen::elementOf(
      std::vector<DType>(std::begin(allTypes), std::end(allTypes)));
  int64_t elements = *rc::gen::inRange<int64_t>(1, 200);
  size_t shift = *rc::gen::inRange<size_t>(0, 8);
  auto bytes = *rc::gen::container<std::vector<uint8_t>>(
      elements * sizeOf(type) + shift, rc::gen::arbitrary<uint8_t>());
  TensorView view = viewOf(type, {elements}, bytes);
  view.data += shift;

  int64_t first = *rc::gen::inRange<int64_t>(0, elements);
  int64_t stride = *rc::gen::inRange<int64_t>(-5, 6);
  int64_t room = stride > 0   ? (elements - 1 - first) / stride + 1
                 : stride < 0 ? first / -stride + 1
                              : 10;
  int64_t count = *rc::gen::inRange<int64_t>(0, room + 1);
  std::vector<float> out(count + 1, 42.0f);
  view.copyTo(out.data(), first, count, stride);
  for (int64_t i = 0; i < count; ++i) {
    float expected = static_cast<float>(view.at(first + i * stride));
    RC_ASSERT(llvm::bit_cast<uint32_t>(out[i]) ==
                  llvm::bit_cast<uint32_t>(expected) ||
              (std::isnan(out[i]) && std::isnan(expected)));
  }
  RC_ASSERT(out[count] == 42.0f);
}

} // namespace
