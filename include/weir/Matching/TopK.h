//===- TopK.h - The k most similar rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For every row of A [F, d] the k most similar rows of B [F', d]; with k = 1
// and cosine the matches of "Analyze Feature Flow to Enhance Interpretation and
// Steering" (arXiv 2502.03032): s(f) = max_j cos(d_f, d'_j).
//
// A matrix product of low precision over blocks screens the pairs; a pair is
// dropped only if a bound on all the rounding errors proves that it is not among
// the k best, and the survivors are computed anew: after int8 or bf16 in f32
// first, and what passes the bound of that in float64. With rounded rows a', b'
// (int8 or bf16; f32 as it is) and unit roundoff u of the accumulation (none for
// int8, whose sums are exact),
//
//   |a.b - fl(a'.b')| <= |a-a'| |b| + |a'| |b-b'| + gamma |a'| |b'| + out,
//   gamma = 2 (d + 8) u   (Higham, Accuracy and Stability, 3.1; any order)
//
// and `out` the rounding of the product's result. The outcome does not depend on
// the screen, on the number of threads or on the processor.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_MATCHING_TOPK_H
#define WEIR_MATCHING_TOPK_H

#include "weir/Matching/Matrix.h"

namespace weir::matching {

/// The precision of the product that screens the pairs. It has no influence on
/// results. Automatic takes int8 where the processor has exact dot products of
/// bytes and the rows suit them, else bf16 where the processor multiplies it in
/// hardware, else f32.
enum class Screen : uint8_t { Automatic, Float32, BFloat16, Int8 };

/// Where the product runs. Automatic takes CUDA if LibTorch has it. On CUDA the
/// screen is f32. Staged goes that way with the processor in the device's place,
/// to test it without one.
enum class Device : uint8_t { Processor, Cuda, Automatic, Staged };

struct Options {
  Screen screen = Screen::Automatic;
  Device device = Device::Processor;
  /// Threads to use; 0 leaves LibTorch's number as it is.
  int threads = 0;
};

/// Largest k of topK.
inline constexpr int64_t maxTopK = 256;

struct TopK {
  int64_t rows = 0, k = 0;
  /// [rows, k], row-major, best first; equal values by ascending index.
  std::vector<int64_t> indices;
  /// [rows, k]: the float64 similarities.
  std::vector<double> values;
  /// Pairs that were computed in float64, over all rows.
  int64_t survivors = 0;
  /// Rows of B that are left when repeated ones are counted once.
  int64_t distinct = 0;
  /// What the screen was computed in; Automatic if all pairs were computed in
  /// float64, as small problems are.
  Screen screen = Screen::Float32;

  double survivorsPerRow() const {
    return rows ? static_cast<double>(survivors) / rows : 0;
  }
};

/// The k best rows of `b` for every row of `a`. Memory: O(F k + F') besides
/// blocks of a few thousand rows. Errors: widths that differ, no column, k
/// outside 1..min(F', 256), NaN or infinity (matrix, row, column).
llvm::Expected<TopK> topK(const Matrix &a, const Matrix &b, int64_t k,
                          Similarity kind, const Options &options = {});

} // namespace weir::matching

#endif // WEIR_MATCHING_TOPK_H
