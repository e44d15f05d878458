//===- Blocks.cpp - Weights in blocks of small integers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Kernels/Blocks.h"

#include "OwnKernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>

using namespace weir;
using namespace weir::blocks;

namespace {

constexpr std::array<Type, 10> types = {{{"F16", 32, 64},
                                         {"BF16", 32, 64},
                                         {"Q4_0", 32, 18},
                                         {"Q4_1", 32, 20},
                                         {"Q5_0", 32, 22},
                                         {"Q5_1", 32, 24},
                                         {"Q8_0", 32, 34},
                                         {"Q4_K", 256, 144},
                                         {"Q5_K", 256, 176},
                                         {"Q6_K", 256, 210}}};

/// The functions of a type for this processor.
struct Functions {
  weir_function unpack = nullptr, linear = nullptr;
  weir_function rounded = nullptr; ///< of types of integers
};

struct Table {
  std::array<Functions, types.size()> ofTypes;
  weir_function product = nullptr, round = nullptr;
  bool isWhole = false;

  Table() {
    product = ownKernel("product");
    round = ownKernel("round");
    isWhole = product && round;
    for (size_t i = 0; i < types.size(); ++i) {
      std::string name(types[i].name);
      ofTypes[i] = {ownKernel("unpack_" + name), ownKernel("linear_" + name),
                    ownKernel("rounded_" + name)};
      isWhole = isWhole && ofTypes[i].unpack && ofTypes[i].linear &&
                (ofTypes[i].rounded || !hasIntegers(types[i]));
    }
  }
};

const Table &table() {
  static const Table made;
  return made;
}

/// Two scales for each 32 numbers.
constexpr int64_t lanesOfScales = rounded / 2;

/// Rows that are written and then multiplied with all tokens: they stay in the
/// second level of the cache.
constexpr int64_t rowsTogether = 16;
/// Rounded tokens that stay in the first level while such rows go by.
constexpr int64_t tokensTogether = 16;
/// From so many tokens on that is faster than to unpack rows for four at a time.
constexpr int64_t manyTokens = 9;

} // namespace

const Type *weir::blocks::find(std::string_view name) {
  for (const Type &type : types)
    if (type.name == name)
      return &type;
  return nullptr;
}

std::string weir::blocks::names() {
  std::string all;
  for (const Type &type : types)
    all.append(all.empty() ? "" : ", ").append(type.name);
  return all;
}

int64_t weir::blocks::rowBytes(const Type &type, int64_t width) {
  if (width < 0 || width % type.numbers ||
      width / type.numbers > std::numeric_limits<int64_t>::max() / type.bytes)
    return -1;
  return width / type.numbers * type.bytes;
}

bool weir::blocks::runsHere() { return table().isWhole; }

static const Functions &functionsOf(const Type &type) {
  return table().ofTypes[&type - types.data()];
}

void weir::blocks::unpack(const Rows &rows, int64_t begin, int64_t end, float *out,
                          int64_t outStride) {
  std::array<int64_t, 2 * wordsOfMatrix> words;
  describe(words.data(), rows.data, end, rowBytes(*rows.type, rows.width),
           rows.stride);
  describe(words.data() + wordsOfMatrix, out, end, rows.width, outStride);
  functionsOf(*rows.type).unpack(words.data(), begin, end);
}

void weir::blocks::multiply(const Rows &rows, int64_t begin, int64_t end,
                            const float *x, int64_t tokens, float *y,
                            int64_t yStride) {
  std::array<int64_t, 3 * wordsOfMatrix> words;
  int64_t *ofX = words.data() + wordsOfMatrix, *ofY = ofX + wordsOfMatrix;
  describe(ofX, x, tokens, rows.width, rows.width);
  if (tokens < manyTokens) {
    describe(words.data(), rows.data, end, rowBytes(*rows.type, rows.width),
             rows.stride);
    describe(ofY, y, tokens, end, yStride);
    functionsOf(*rows.type).linear(words.data(), begin, end);
    return;
  }
  auto numbers = std::make_unique_for_overwrite<float[]>(
      static_cast<size_t>(rowsTogether * rows.width));
  for (int64_t first = begin; first < end; first += rowsTogether) {
    int64_t count = std::min(rowsTogether, end - first);
    Rows part = rows;
    part.data += first * rows.stride;
    unpack(part, 0, count, numbers.get(), rows.width);
    describe(words.data(), numbers.get(), count, rows.width, rows.width);
    describe(ofY, y + first, tokens, count, yStride);
    table().product(words.data(), 0, count);
  }
}

bool weir::blocks::hasIntegers(const Type &type) {
  return type.name.front() == 'Q';
}

Rounded weir::blocks::round(const float *x, int64_t tokens, int64_t width) {
  constexpr int64_t together = 64;
  int64_t padded = (width + together - 1) / together * together;
  Rounded out{tokens, padded, {}, {}, {}};
  out.integers.resize(static_cast<size_t>(tokens * padded));
  out.fours.resize(static_cast<size_t>(tokens * padded / 4));
  out.scales.resize(static_cast<size_t>(tokens * padded / lanesOfScales));
  std::array<int64_t, 4 * wordsOfMatrix> words;
  int64_t *at = words.data();
  describe(at, x, tokens, width, width);
  describe(at += wordsOfMatrix, out.integers.data(), tokens, padded, padded);
  describe(at += wordsOfMatrix, out.fours.data(), tokens, padded / 4, padded / 4);
  describe(at += wordsOfMatrix, out.scales.data(), tokens,
           padded / lanesOfScales, padded / lanesOfScales);
  table().round(words.data(), 0, tokens);
  return out;
}

void weir::blocks::multiplyRounded(const Rows &rows, int64_t begin, int64_t end,
                                   const Rounded &x, float *y,
                                   int64_t yStride) {
  const weir_function kernel = functionsOf(*rows.type).rounded;
  std::array<int64_t, 5 * wordsOfMatrix> words;
  auto part = [&](int64_t first, int64_t last, int64_t token, int64_t tokens) {
    int64_t *at = words.data();
    describe(at, rows.data, last, rowBytes(*rows.type, rows.width), rows.stride);
    describe(at += wordsOfMatrix, x.integers.data() + token * x.width, tokens,
             x.width, x.width);
    describe(at += wordsOfMatrix, x.fours.data() + token * x.width / 4, tokens,
             x.width / 4, x.width / 4);
    describe(at += wordsOfMatrix, x.scales.data() + token * x.width / lanesOfScales,
             tokens, x.width / lanesOfScales, x.width / lanesOfScales);
    describe(at += wordsOfMatrix, y + token * yStride, tokens, last, yStride);
    kernel(words.data(), first, last);
  };
  if (x.tokens <= tokensTogether)
    return part(begin, end, 0, x.tokens);
  for (int64_t first = begin; first < end; first += rowsTogether)
    for (int64_t token = 0; token < x.tokens; token += tokensTogether)
      part(first, std::min(first + rowsTogether, end), token,
           std::min(tokensTogether, x.tokens - token));
}
