//===- BlockVariantsTest.cpp - Kernels of quantised programs, on all processors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A number does not depend on the processor: all variants that run on this one give
// the same bits, though their instructions have little in common.
//
//===----------------------------------------------------------------------===//

#include "../../../lib/Kernels/OwnKernels.h"

#include "weir/Kernels/Blocks.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

using namespace weir;

namespace {

/// An argument of a kernel.
struct Matrix {
  int64_t rows, columns, size; ///< of an element, in bytes
  std::vector<char> bytes;

  template <typename Draw>
  static Matrix of(int64_t rows, int64_t columns, const Draw &draw) {
    using T = decltype(draw());
    std::vector<T> values(static_cast<size_t>(rows * columns));
    for (T &value : values)
      value = draw();
    Matrix out{rows, columns, sizeof(T), {}};
    out.bytes.resize(values.size() * sizeof(T));
    std::memcpy(out.bytes.data(), values.data(), out.bytes.size());
    return out;
  }
};

std::mt19937 &generator() {
  static std::mt19937 made(7);
  return made;
}
float normal() { return std::normal_distribution<float>()(generator()); }
int64_t between(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(generator());
}
/// Scales of blocks are finite where no byte is larger.
uint8_t ofBlock() { return static_cast<uint8_t>(between(0, 59)); }

constexpr int64_t rowCount = 5, tokens = 6;

/// What a kernel takes; the last `results` are written.
std::vector<Matrix> argumentsOf(const std::string &name, int64_t blocks) {
  auto zero = [] { return 0.0f; };
  if (name == "softmax")
    return {Matrix::of(tokens, 48, [] { return 9 * normal(); }),
            Matrix::of(1, 1, [] { return 0.7f; }), Matrix::of(tokens, 48, zero)};
  if (name == "combine")
    return {Matrix::of(tokens, 7, normal), Matrix::of(7, 80, normal),
            Matrix::of(tokens, 80, zero)};
  if (name == "rms_norm")
    return {Matrix::of(tokens, 48, normal), Matrix::of(1, 48, normal),
            Matrix::of(1, 2, [] { return 0.02f; }), Matrix::of(tokens, 48, zero)};
  if (name == "product")
    return {Matrix::of(rowCount, 96, normal), Matrix::of(tokens, 96, normal),
            Matrix::of(tokens, rowCount, zero)};
  if (name == "round")
    return {Matrix::of(tokens, 96, normal),
            Matrix::of(tokens, 128, [] { return int8_t(0); }),
            Matrix::of(tokens, 32, [] { return int32_t(0); }),
            Matrix::of(tokens, 8, zero)};
  size_t end = name.find('_');
  std::string kind = name.substr(0, end);
  const blocks::Type *type = blocks::find(name.substr(end + 1));
  if (!type)
    return {};
  int64_t width = blocks * type->numbers, padded = (width + 63) / 64 * 64;
  std::vector<Matrix> out = {Matrix::of(rowCount, blocks * type->bytes, ofBlock)};
  if (kind == "unpack") {
    out.push_back(Matrix::of(rowCount, width, zero));
    return out;
  }
  if (kind == "linear") {
    out.push_back(Matrix::of(tokens, width, normal));
  } else {
    out.push_back(Matrix::of(tokens, padded, [] {
      return static_cast<int8_t>(between(-127, 127));
    }));
    out.push_back(Matrix::of(tokens, padded / 4, [] {
      return static_cast<int32_t>(between(-508, 508));
    }));
    out.push_back(Matrix::of(tokens, padded / 16, normal));
  }
  out.push_back(Matrix::of(tokens, rowCount, zero));
  return out;
}

/// The rows that a kernel's bounds count.
int64_t boundOf(const std::string &name, const std::vector<Matrix> &arguments) {
  bool ofTokens = name == "softmax" || name == "combine" || name == "rms_norm" ||
                  name == "round";
  return ofTokens ? tokens : arguments.front().rows;
}

std::vector<Matrix> run(weir_function function, const std::string &name,
                        std::vector<Matrix> arguments) {
  std::vector<int64_t> words(arguments.size() * wordsOfMatrix);
  for (size_t i = 0; i < arguments.size(); ++i)
    describe(words.data() + i * wordsOfMatrix, arguments[i].bytes.data(),
             arguments[i].rows, arguments[i].columns, arguments[i].columns);
  function(words.data(), 0, boundOf(name, arguments));
  return arguments;
}

TEST(BlockVariants, AllGiveTheSameBits) {
  if (!blocks::runsHere())
    return; // nothing of this can be called
  int64_t compared = 0;
  for (int64_t i = 0; i < weir_block_kernels.num_kernels; ++i) {
    const weir_kernel &kernel = weir_block_kernels.kernels[i];
    weir_function best = weir_kernel_function(&kernel);
    ASSERT_TRUE(best) << kernel.name;
    // An even and an odd count of blocks.
    for (int64_t blocks : {4, 3}) {
      auto arguments = argumentsOf(kernel.name, blocks);
      ASSERT_FALSE(arguments.empty()) << kernel.name << " is not known here";
      auto wanted = run(best, kernel.name, arguments);
      bool isWritten = false;
      for (size_t a = 0; a < wanted.size(); ++a)
        isWritten |= wanted[a].bytes != arguments[a].bytes;
      EXPECT_TRUE(isWritten) << kernel.name;
      // A processor that has what a variant needs has what those before it need.
      for (int64_t v = 0; kernel.variants[v].function != best; ++v, ++compared) {
        auto got = run(kernel.variants[v].function, kernel.name, arguments);
        for (size_t a = 0; a < got.size(); ++a)
          EXPECT_EQ(got[a].bytes, wanted[a].bytes)
              << kernel.name << ", variant " << v << ", argument " << a;
      }
    }
  }
  RecordProperty("compared", static_cast<int>(compared));
}

/// What `round` says of its sums, and what its integers are.
TEST(BlockVariants, RoundedTokensAreWhatTheyAreSaidToBe) {
  if (!blocks::runsHere())
    return;
  constexpr int64_t width = 96;
  std::vector<float> x(2 * width);
  for (float &value : x)
    value = normal();
  std::fill(x.begin(), x.begin() + 32, 0.0f);
  x[40] = 0.0f;
  blocks::Rounded rounded = blocks::round(x.data(), 2, width);
  ASSERT_EQ(rounded.width, 128);
  for (int64_t token = 0; token < 2; ++token)
    for (int64_t group = 0; group < 4; ++group) {
      const int8_t *integers = &rounded.integers[token * 128 + group * 32];
      const float *scales = &rounded.scales[token * 8 + group * 2];
      int32_t sum = 0, most = 0;
      for (int64_t i = 0; i < 32; ++i) {
        sum += integers[i];
        most = std::max(most, std::abs(int32_t{integers[i]}));
        if (group < 3) {
          EXPECT_NEAR(integers[i] * scales[0], x[token * width + group * 32 + i],
                      0.501f * scales[0]);
        }
        if (i % 4 == 3) {
          int32_t four = integers[i] + integers[i - 1] + integers[i - 2] +
                         integers[i - 3];
          EXPECT_EQ(rounded.fours[token * 32 + group * 8 + i / 4], -four);
        }
      }
      bool isEmpty = group == 3 || (token == 0 && group == 0);
      EXPECT_EQ(most, isEmpty ? 0 : 127);
      EXPECT_EQ(scales[1], scales[0] * static_cast<float>(sum));
    }
}

} // namespace
