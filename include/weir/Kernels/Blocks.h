//===- Blocks.h - Weights in blocks of small integers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matrices as a GGUF file holds them: a row for each output, in blocks of 32 or 256
// numbers with common scales. They are read where they are mapped, and what they
// stand for is never held as a whole. Of the standard library alone.
//
// The kernels are generated (lib/Codegen/BlockKernels.cpp) and need AVX2 with FMA,
// or Neon.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_KERNELS_BLOCKS_H
#define WEIR_KERNELS_BLOCKS_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::blocks {

/// How a block lies in memory. Names are ggml's: "Q4_1", "Q6_K", "BF16".
struct Type {
  std::string_view name;
  int64_t numbers; ///< of a block, a multiple of 32
  int64_t bytes;   ///< of a block
};

/// Null for a type that is not known.
const Type *find(std::string_view name);
/// The names of all types, separated by commas.
std::string names();

/// Bytes of a row of `width` numbers, or -1 where `width` is negative or no
/// multiple of a block.
int64_t rowBytes(const Type &type, int64_t width);

/// Whether this processor has what the kernels need. Without it the functions below
/// must not be called.
bool runsHere();

/// Rows of blocks; the first row begins at `data`, each next one `stride` bytes on.
struct Rows {
  const Type *type;
  const uint8_t *data;
  int64_t stride;
  int64_t width; ///< numbers of a row, a multiple of a block
};

/// Writes rows [begin, end) as f32 to `out`, whose row 0 is row 0 and whose rows are
/// `outStride` numbers apart. The numbers are those of gguf-py's dequantisation, to
/// the bit.
void unpack(const Rows &rows, int64_t begin, int64_t end, float *out,
            int64_t outStride);

/// y[t, r] = sum over i of row r's number i times x[t, i], for `tokens` tokens and
/// the rows [begin, end). x is dense, [tokens, width]; tokens of y are `yStride`
/// numbers apart. In f32, in an order of sums that depends on `width` alone
/// (BlockKernels.cpp), so that neither other tokens nor threads show in it.
void multiply(const Rows &rows, int64_t begin, int64_t end, const float *x,
              int64_t tokens, float *y, int64_t yStride);

/// Whether rows of that type have products with rounded tokens: those of integers.
bool hasIntegers(const Type &type);

/// Numbers of a token that have a scale in common when they are rounded.
constexpr int64_t rounded = 32;

/// Tokens that were rounded. They take a multiple of 64 numbers, behind their width
/// all is zero.
struct Rounded {
  int64_t tokens, width;
  std::vector<int8_t> integers; ///< [tokens, width]
  std::vector<int32_t> fours;   ///< [tokens, width / 4], negative sums of four
  /// [tokens, width / 16]: for each 32 the scale, and that times their sum.
  std::vector<float> scales;
};

/// Rounds tokens x [tokens, width] to bytes, as llama.cpp does: of 32 numbers the
/// largest magnitude becomes 127, and the others the nearest integer (even ones
/// between two). Numbers that are not finite give a scale that is none. `width` is a
/// multiple of 32.
Rounded round(const float *x, int64_t tokens, int64_t width);

/// y[t, r] = sum over i of row r's number i times the number that x[t, i] was rounded
/// to. In f32 over sums of integers, in an order that depends on the width alone.
void multiplyRounded(const Rows &rows, int64_t begin, int64_t end,
                     const Rounded &x, float *y, int64_t yStride);

} // namespace weir::blocks

#endif // WEIR_KERNELS_BLOCKS_H
