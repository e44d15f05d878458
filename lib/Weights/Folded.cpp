//===- Folded.cpp - Linear maps with edits inside ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Weights/Folded.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <cstring>

using namespace llvm;

namespace weir {

using Factor = FoldedLinear::Factor;

/// Numbers of a stored weight that are looked at together.
static constexpr int64_t blockNumbers = 1 << 20;

namespace {

/// Rounds to the nearest number of a type, ties to even. False where the type has
/// none: it would be infinite, or is no number.
bool store(DType type, double value, std::byte *to) {
  auto put = [&](auto number) {
    std::memcpy(to, &number, sizeof(number));
    return std::isfinite(static_cast<double>(number));
  };
  switch (type) {
  case DType::Float64:
    return put(value);
  case DType::Float32:
    return put(static_cast<float>(value));
  case DType::Float16:
    return put(static_cast<_Float16>(value));
  default:
    // bf16. Two roundings are wrong only where the first one makes a tie, by less
    // than 2^-16 of the last place.
    return put(Eigen::bfloat16(static_cast<float>(value)));
  }
}

/// Rounds all numbers into `bytes`.
Error storeAll(DType type, ArrayRef<double> values, std::vector<std::byte> &bytes) {
  size_t size = sizeOf(type);
  bytes.resize(values.size() * size);
  for (size_t i = 0; i < values.size(); ++i)
    if (!store(type, values[i], bytes.data() + i * size))
      return createStringError("folding leads to a number that %s cannot hold",
                               nameOf(type).str().c_str());
  return Error::success();
}

/// Calls `visit` with rows of a stored matrix, in f64, and the first one's number.
template <typename Visit>
Error forEachBlock(const TensorView &matrix, Visit visit) {
  int64_t rows = matrix.shape[0], columns = matrix.shape[1];
  int64_t step = std::max<int64_t>(1, blockNumbers / std::max<int64_t>(1, columns));
  std::vector<float> narrow;
  for (int64_t first = 0; first < rows; first += step) {
    int64_t count = std::min(step, rows - first);
    narrow.resize(count * columns);
    matrix.copyTo(narrow.data(), first * columns, count * columns);
    Factor block = Eigen::Map<const RowMatrix>(narrow.data(), count, columns)
                       .cast<double>();
    if (Error error = visit(first, std::move(block)))
      return error;
  }
  return Error::success();
}

/// W' in blocks.
class FoldedWeight : public TensorSource {
public:
  explicit FoldedWeight(std::shared_ptr<const FoldedLinear> folded)
      : TensorSource(folded->stored().dtype, folded->stored().shape),
        folded(std::move(folded)) {}

  Error stream(Sink sink) const override {
    std::vector<std::byte> bytes;
    return forEachBlock(folded->stored(), [&](int64_t first, Factor block) -> Error {
      if (folded->isInOut())
        block.noalias() +=
            folded->right().middleCols(first, block.rows()).transpose() *
            folded->left().transpose();
      else
        block.noalias() +=
            folded->left().middleRows(first, block.rows()) * folded->right();
      if (Error error = storeAll(
              dtype(), ArrayRef(block.data(), static_cast<size_t>(block.size())),
              bytes))
        return error;
      return sink(bytes);
    });
  }

private:
  std::shared_ptr<const FoldedLinear> folded;
};

class FoldedBias : public TensorSource {
public:
  explicit FoldedBias(std::shared_ptr<const FoldedLinear> folded)
      : TensorSource(folded->stored().dtype, {folded->outputs()}),
        folded(std::move(folded)) {}

  Error stream(Sink sink) const override {
    std::vector<std::byte> bytes;
    if (Error error = storeAll(
            dtype(),
            ArrayRef(folded->shift().data(), static_cast<size_t>(folded->outputs())),
            bytes))
      return error;
    return sink(bytes);
  }

private:
  std::shared_ptr<const FoldedLinear> folded;
};

} // namespace

Factor FoldedLinear::timesRight(const Factor &factor) const {
  Factor product = Factor::Zero(outputs(), factor.cols());
  cantFail(forEachBlock(base, [&](int64_t first, Factor block) {
    if (inOut)
      product.noalias() +=
          block.transpose() * factor.middleRows(first, block.rows());
    else
      product.middleRows(first, block.rows()).noalias() = block * factor;
    return Error::success();
  }));
  return product;
}

Factor FoldedLinear::timesLeft(const Factor &factor) const {
  Factor product = Factor::Zero(factor.rows(), inputs());
  cantFail(forEachBlock(base, [&](int64_t first, Factor block) {
    if (inOut)
      product.middleCols(first, block.rows()).noalias() =
          factor * block.transpose();
    else
      product.noalias() += factor.middleCols(first, block.rows()) * block;
    return Error::success();
  }));
  return product;
}

void FoldedLinear::add(const Factor &left, const Factor &right) {
  Factor wider(leftFactor.rows(), leftFactor.cols() + left.cols());
  wider << leftFactor, left;
  Factor longer(rightFactor.rows() + right.rows(), rightFactor.cols());
  longer << rightFactor, right;
  leftFactor = std::move(wider);
  rightFactor = std::move(longer);
}

Expected<std::shared_ptr<const FoldedLinear>>
FoldedLinear::create(TensorView weight, std::optional<TensorView> bias,
                     bool inOut, std::vector<VectorEdit> reads,
                     std::vector<VectorEdit> gives) {
  if (weight.rank() != 2 || !isFloat(weight.dtype))
    return createStringError("edits are folded into matrices of floating-point "
                             "numbers only");
  std::shared_ptr<FoldedLinear> folded(
      new FoldedLinear(std::move(weight), inOut));
  int64_t in = folded->inputs(), out = folded->outputs();
  if (bias && (bias->rank() != 1 || bias->shape[0] != out))
    return createStringError("the bias does not fit its weight");
  for (const auto &[edits, width] : {std::pair(&reads, in), std::pair(&gives, out)})
    for (const VectorEdit &edit : *edits)
      if (edit.rows.cols() != width ||
          (!edit.isProjection && edit.rows.rows() != 1))
        return createStringError(
            "rows of %td numbers do not fit a weight of %td",
            static_cast<ptrdiff_t>(edit.rows.cols()),
            static_cast<ptrdiff_t>(width));

  folded->leftFactor = Factor::Zero(out, 0);
  folded->rightFactor = Factor::Zero(0, in);
  // What is read: x goes to A x + a, W to W A, and W a is added.
  Eigen::RowVectorXd added = Eigen::RowVectorXd::Zero(in);
  for (const VectorEdit &edit : reads) {
    Factor rows = edit.rows.cast<double>();
    if (!edit.isProjection) {
      added += rows.row(0);
      continue;
    }
    added -= (added * rows.transpose()) * rows;
  }
  // The last edit of x is the first that the weight meets.
  for (const VectorEdit &edit : llvm::reverse(reads)) {
    if (!edit.isProjection)
      continue;
    Factor rows = edit.rows.cast<double>(), across = rows.transpose();
    Factor product = folded->timesRight(across);
    product.noalias() += folded->leftFactor * (folded->rightFactor * across);
    folded->add(-product, rows);
  }
  Eigen::RowVectorXd shift = Eigen::RowVectorXd::Zero(out);
  if (bias)
    for (int64_t i = 0; i < out; ++i)
      shift[i] = bias->at(i);
  // `added` has been through the projections behind it: W alone is left.
  if (!added.isZero(0))
    shift += folded->timesRight(added.transpose()).transpose();
  for (const VectorEdit &edit : gives) {
    Factor rows = edit.rows.cast<double>();
    if (!edit.isProjection) {
      shift += rows.row(0);
      continue;
    }
    Factor product = folded->timesLeft(rows);
    product.noalias() += (rows * folded->leftFactor) * folded->rightFactor;
    folded->add(-rows.transpose(), product);
    shift -= (shift * rows.transpose()) * rows;
  }
  if (!folded->leftFactor.allFinite() || !folded->rightFactor.allFinite() ||
      !shift.allFinite() ||
      (shift.size() && shift.cwiseAbs().maxCoeff() >
                           static_cast<double>(std::numeric_limits<float>::max())))
    return createStringError("folding leads to numbers beyond f32");
  folded->newBias = std::move(shift);
  return folded;
}

std::shared_ptr<const TensorSource> FoldedLinear::weight() const {
  return std::make_shared<FoldedWeight>(shared_from_this());
}

std::shared_ptr<const TensorSource> FoldedLinear::bias() const {
  return std::make_shared<FoldedBias>(shared_from_this());
}

} // namespace weir
