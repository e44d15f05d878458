//===- Matrix.h - Rows that are matched ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rows of a matrix [F, d] as the matchers see them: one part, or several
// that stand side by side (decoder rows, encoder rows, encoder bias as [F, 1]).
// Dot products and squared distances of such rows are the sums of those of the
// parts (SAE Match, arXiv 2410.07656, section 3); the cosine is that of the
// rows laid side by side. Nothing is copied.
//
// Every similarity of this library is *defined* in float64, with the sum taken
// in the order of the index, part after part:
//
//   dot(a, b)    = sum_k a_k b_k            (the products are exact in f64)
//   cosine(a, b) = dot(a, b) / (|a| |b|),   |a| = sqrt(dot(a, a)); 0 if either
//                                           row is zero
//   mse(a, b)    = -(1/d) sum_k (a_k - b_k)^2
//
// so "exact" below means: equal to a float64 loop that does just this.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_MATCHING_MATRIX_H
#define WEIR_MATCHING_MATRIX_H

#include "weir/Program/Tensor.h"

namespace weir::matching {

/// Larger is more similar in all three; see the top of the file.
enum class Similarity : uint8_t { Cosine, Dot, MeanSquaredError };

/// One part [rows, cols] of a matrix: f32, f16 or bf16 anywhere in memory, not
/// necessarily aligned. Strides count elements and may be 0 or negative.
struct MatrixPart {
  DType dtype = DType::Float32;
  const std::byte *data = nullptr;
  int64_t rows = 0, cols = 0;
  int64_t rowStride = 0, colStride = 1;

  /// A dense row-major part over memory that the caller keeps alive.
  static MatrixPart dense(const float *data, int64_t rows, int64_t cols) {
    return {DType::Float32, reinterpret_cast<const std::byte *>(data), rows,
            cols, cols, 1};
  }
  /// A part of rank 2, or of rank 1 as [F, 1]. Errors: another rank.
  static llvm::Expected<MatrixPart> of(const TensorView &view);
  /// The transpose: for encoders stored as [d, F].
  MatrixPart transposed() const {
    return {dtype, data, cols, rows, colStride, rowStride};
  }
};

/// F rows of d numbers, d = the sum of the parts' columns.
class Matrix {
public:
  /// `name` stands in the errors. Errors: no part, parts with different
  /// numbers of rows, an element type that is not f32, f16 or bf16, sizes that
  /// are negative or overflow. The numbers are looked at by `checkFinite`.
  static llvm::Expected<Matrix> make(llvm::StringRef name,
                                     llvm::ArrayRef<MatrixPart> parts);

  llvm::StringRef name() const { return title; }
  int64_t rows() const { return numRows; }
  int64_t width() const { return numCols; }
  llvm::ArrayRef<MatrixPart> parts() const { return pieces; }

  /// Row `i` widened to f32 (which is exact), [width].
  void loadRow(int64_t i, float *out) const;
  /// Row `i` if it lies in memory as aligned f32 already, else null.
  const float *directRow(int64_t i) const;
  /// Row `i` where it lies, or its copy in `buffer`, [width].
  const float *rowOrCopy(int64_t i, float *buffer) const;
  /// An error naming the matrix, the part and the place of the first NaN or
  /// infinity, if there is one.
  llvm::Error checkFinite() const;

private:
  std::string title;
  llvm::SmallVector<MatrixPart, 3> pieces;
  int64_t numRows = 0, numCols = 0;
};

/// |row i| for every row [F], by the definition at the top.
std::vector<double> rowNorms(const Matrix &matrix);

/// similarity(a_i, b_j) by the definition at the top.
double similarity(const Matrix &a, int64_t i, const Matrix &b, int64_t j,
                  Similarity kind);

/// The similarities [F, F'] of all pairs, row-major: a float64 product in the
/// order of the index. For small matrices; F F' d operations.
std::vector<double> similarityMatrix(const Matrix &a, const Matrix &b,
                                     Similarity kind);

} // namespace weir::matching

#endif // WEIR_MATCHING_MATRIX_H
