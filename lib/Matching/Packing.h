//===- Packing.h - Blocks of rows as a product takes them ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows are scaled by powers of two to norms in [1/2, 1] before they are rounded
// to what the product takes, so that no input in the range of f32 overflows it.
// Scores are kept in a scaled form as well: the scaled score is
// unit_i (score + shift_i), the same order within a row, within the range of f32.
//
// The product may read only the first numbers of the rows. What the others can
// add is then bounded by the norms of the rests (Cauchy and Schwarz).
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_PACKING_H
#define WEIR_LIB_MATCHING_PACKING_H

#include "Kernels.h"
#include "Product.h"
#include "Scan.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

namespace weir::matching {

/// Power of two that brings a norm to [1/2, 1].
inline int exponentOf(double norm) {
  if (norm == 0)
    return 0;
  int exponent;
  (void)std::frexp(norm, &exponent);
  return std::max(exponent, -120);
}

/// T is what rows are packed into: float, uint16_t (bf16) or int8_t.
template <typename T> class Packing {
public:
  static constexpr bool coarse = sizeof(T) < sizeof(float);
  using Result = std::conditional_t<std::is_same_v<T, int8_t>, int32_t, T>;

  /// A side's rows of the block.
  struct Side {
    std::vector<T> packed;
    // Per row: the relative loss of packing, and the relative norm of what is
    // behind `prefix`; what brings the packed row, and the row that refining
    // reads, to the frame.
    std::vector<double> loss, rest;
    std::vector<float> scale, refineScale;
    // Where refining reads the row: in place if it can, else from `copies`.
    std::vector<const float *> rows;
    std::vector<float> copies;

    void resize(int64_t count, int64_t stride, int64_t width);
  };

  /// Packs the first `prefix` numbers of the rows.
  Packing(const ScanTask &task, Device device, int64_t prefix);

  double unitOf(int64_t row) const;
  double shiftOf(int64_t row) const {
    const double norm = task.a.norm(row);
    return task.kind == Similarity::MeanSquaredError ? norm * norm / width : 0;
  }

  /// Positions begin to end - 1 of rowsA and of rowsB become the block. The rows
  /// of A come first.
  void packRows(int64_t begin, int64_t end);
  void packColumns(int64_t begin, int64_t end);
  /// The block's product, [rows, paddedColumns()].
  const Result *multiply();
  int64_t paddedColumns() const { return static_cast<int64_t>(offsetB.size()); }

  /// What bounds the scaled scores of a row of the block against its columns:
  /// |score - p - offset| <= |p| beta + slack weight_j + spread loss_j, and
  /// `absolute`.
  BoundTerms termsOf(int64_t local) const;
  float absoluteOf(int64_t local, int64_t row) const;
  /// The same after the whole row was multiplied in f32, apart from `absolute`.
  float refinedSlackOf(int64_t local) const;

  const ScanTask &task;
  const int64_t width, prefix;
  Side left, right;
  // Per row of A: what its norm is in the frame. Per row of B: the offset, the
  // norm in the frame, and its loss and rest times that.
  std::vector<double> normA;
  std::vector<float> offsetB, weightB, lossB, restB;

private:
  void prepareFrame();
  void packRow(const RowTable &table, int64_t row, int64_t local, Side &side,
               double frame, std::vector<float> &buffer);

  /// Of packed rows: LibTorch's product of int8 is wrong for rows of one byte.
  const int64_t stride;
  std::unique_ptr<RowProduct> product;
  std::vector<Result> products;
  int exponentA = 0, exponentB = 0; ///< of the frame
  double gamma = 0, beta = 0, refineGamma = 0;
  double largestNormB = 0;
  // Of the block's offsets, and of the terms they are differences of.
  double largestOffset = 0, largestTerm = 0;
};

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_PACKING_H
