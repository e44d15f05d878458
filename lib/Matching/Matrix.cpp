//===- Matrix.cpp - Rows that are matched ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Matrix.h"

#include "Exact.h"

#include <bit>
#include <cmath>
#include <cstring>

using namespace weir;
using namespace weir::matching;

namespace {

float widenHalf(uint16_t bits) {
  _Float16 value;
  std::memcpy(&value, &bits, 2);
  return static_cast<float>(value);
}

float widenBFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t read16(const std::byte *at) {
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  return bits;
}

void loadPart(const MatrixPart &part, int64_t row, float *out) {
  const int64_t size = sizeOf(part.dtype);
  const std::byte *at = part.data + row * part.rowStride * size;
  const int64_t step = part.colStride * size;
  switch (part.dtype) {
  case DType::Float32:
    if (step == size) {
      std::memcpy(out, at, part.cols * size);
      break;
    }
    for (int64_t k = 0; k < part.cols; ++k)
      std::memcpy(out + k, at + k * step, 4);
    break;
  case DType::Float16:
    for (int64_t k = 0; k < part.cols; ++k)
      out[k] = widenHalf(read16(at + k * step));
    break;
  default:
    for (int64_t k = 0; k < part.cols; ++k)
      out[k] = widenBFloat(read16(at + k * step));
    break;
  }
}

} // namespace

llvm::Expected<MatrixPart> MatrixPart::of(const TensorView &view) {
  if (view.rank() != 1 && view.rank() != 2)
    return llvm::createStringError("expected a matrix, got rank %lld",
                                   static_cast<long long>(view.rank()));
  MatrixPart part;
  part.dtype = view.dtype;
  part.data = view.data;
  part.rows = view.shape[0];
  part.cols = view.rank() == 2 ? view.shape[1] : 1;
  part.rowStride = part.cols;
  return part;
}

llvm::Expected<Matrix> Matrix::make(llvm::StringRef name,
                                    llvm::ArrayRef<MatrixPart> parts) {
  Matrix matrix;
  matrix.title = name.str();
  auto fail = [&](size_t index, const llvm::Twine &what) {
    return llvm::createStringError("matrix '" + name + "', part " +
                                   llvm::Twine(index) + ": " + what);
  };
  if (parts.empty())
    return llvm::createStringError("matrix '" + name + "' has no part");
  for (auto [index, part] : llvm::enumerate(parts)) {
    if (part.dtype != DType::Float32 && part.dtype != DType::Float16 &&
        part.dtype != DType::BFloat16)
      return fail(index, "element type " + nameOf(part.dtype) +
                             " is not one of f32, f16, bf16");
    int64_t shape[] = {part.rows, part.cols};
    // Half the range leaves room for the padding of blocks.
    std::optional<int64_t> bytes = checkedBytes(shape, 16);
    if (!bytes)
      return fail(index, "impossible shape [" + llvm::Twine(part.rows) + ", " +
                             llvm::Twine(part.cols) + "]");
    if (part.rows != parts.front().rows)
      return fail(index, llvm::Twine(part.rows) + " rows, but part 0 has " +
                             llvm::Twine(parts.front().rows));
    if (!part.data && *bytes)
      return fail(index, "no data");
    matrix.numCols += part.cols;
    if (matrix.numCols > (int64_t(1) << 30))
      return fail(index, "rows of more than 2^30 numbers");
    matrix.pieces.push_back(part);
  }
  matrix.numRows = parts.front().rows;
  return matrix;
}

void Matrix::loadRow(int64_t i, float *out) const {
  for (const MatrixPart &part : pieces) {
    loadPart(part, i, out);
    out += part.cols;
  }
}

const float *Matrix::directRow(int64_t i) const {
  if (pieces.size() != 1)
    return nullptr;
  const MatrixPart &part = pieces.front();
  if (part.dtype != DType::Float32 || (part.colStride != 1 && part.cols != 1))
    return nullptr;
  const std::byte *at = part.data + i * part.rowStride * 4;
  if (reinterpret_cast<uintptr_t>(at) % alignof(float))
    return nullptr;
  return reinterpret_cast<const float *>(at);
}

const float *Matrix::rowOrCopy(int64_t i, float *buffer) const {
  if (const float *direct = directRow(i))
    return direct;
  loadRow(i, buffer);
  return buffer;
}

llvm::Error Matrix::checkFinite() const {
  std::vector<float> row(numCols);
  for (int64_t i = 0; i < numRows; ++i) {
    loadRow(i, row.data());
    if (allFinite(row.data(), numCols))
      continue;
    const float *value = row.data();
    for (auto [index, part] : llvm::enumerate(pieces))
      for (int64_t k = 0; k < part.cols; ++k, ++value)
        if (!std::isfinite(*value))
          return llvm::createStringError(
              "matrix '" + name() + "' has " +
              (std::isnan(*value) ? "NaN" : "infinity") + " at [" +
              llvm::Twine(i) + ", " + llvm::Twine(k) + "]" +
              (pieces.size() > 1 ? " of part " + std::to_string(index) : ""));
  }
  return llvm::Error::success();
}

std::vector<double> matching::rowNorms(const Matrix &matrix) {
  std::vector<double> norms(matrix.rows());
  std::vector<float> row(matrix.width());
  for (int64_t i = 0; i < matrix.rows(); ++i) {
    matrix.loadRow(i, row.data());
    norms[i] = std::sqrt(squaredNorm(row.data(), matrix.width()));
  }
  return norms;
}

double matching::similarity(const Matrix &a, int64_t i, const Matrix &b,
                            int64_t j, Similarity kind) {
  std::vector<float> left(a.width()), right(b.width());
  a.loadRow(i, left.data());
  b.loadRow(j, right.data());
  const float *rows[] = {right.data()};
  double norm = std::sqrt(squaredNorm(right.data(), b.width())), value;
  exactSimilarities(left.data(),
                    std::sqrt(squaredNorm(left.data(), a.width())), rows,
                    &norm, 1, a.width(), kind, &value);
  return value;
}

std::vector<double> matching::similarityMatrix(const Matrix &a, const Matrix &b,
                                               Similarity kind) {
  const int64_t n = a.rows(), m = b.rows(), d = a.width();
  std::vector<double> out(n * m), normsA = rowNorms(a), normsB = rowNorms(b);
  // Panels of B, transposed, so that the lanes of a vector are columns and each
  // sum keeps its own order.
  constexpr int64_t lanes = panelLanes;
  std::vector<double> panel(d * lanes);
  std::vector<float> row(d);
  for (int64_t j = 0; j < m; j += lanes) {
    const int64_t count = std::min(lanes, m - j);
    std::fill(panel.begin(), panel.end(), 0.0);
    for (int64_t l = 0; l < count; ++l) {
      b.loadRow(j + l, row.data());
      for (int64_t k = 0; k < d; ++k)
        panel[k * lanes + l] = row[k];
    }
    for (int64_t i = 0; i < n; ++i) {
      double sums[lanes];
      a.loadRow(i, row.data());
      exactPanel(row.data(), panel.data(), d, kind, sums);
      for (int64_t l = 0; l < count; ++l)
        out[i * m + j + l] =
            finish(sums[l], normsA[i], normsB[j + l], d, kind);
    }
  }
  return out;
}
