//===- Folded.h - Linear maps with edits inside ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// y = W x + b with edits of what it reads and of what it gives is another linear
// map, W' x + b'. Taking q directions out changes W by a matrix of rank q, so W'
// is never held: it is the stored weight plus a product of two thin factors, which
// is also what a LoRA adapter is.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_WEIGHTS_FOLDED_H
#define WEIR_WEIGHTS_FOLDED_H

#include "weir/Dictionary/Dictionary.h"
#include "weir/Program/TensorSource.h"

#include <optional>

namespace weir {

/// An edit of a vector x [d].
struct VectorEdit {
  /// x - x Qᵀ Q with the orthonormal (or zero) rows Q [q, d] of `rows`; else
  /// x + v with the one row v.
  bool isProjection;
  RowMatrix rows;
};

class FoldedLinear : public std::enable_shared_from_this<FoldedLinear> {
public:
  using Factor =
      Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  /// `weight` [out, in], or with `inOut` [in, out]; `bias` [out] or none. What is
  /// read goes through `reads`, what is given through `gives`, each in its order.
  /// The weight is read once or twice for each projection, in blocks. Errors:
  /// sizes that do not fit, a weight without numbers, numbers beyond f32.
  static llvm::Expected<std::shared_ptr<const FoldedLinear>>
  create(TensorView weight, std::optional<TensorView> bias, bool inOut,
         std::vector<VectorEdit> reads, std::vector<VectorEdit> gives);

  /// The weight as it is stored, and how.
  const TensorView &stored() const { return base; }
  bool isInOut() const { return inOut; }
  int64_t outputs() const { return base.shape[inOut ? 1 : 0]; }
  int64_t inputs() const { return base.shape[inOut ? 0 : 1]; }

  /// W' = W + left right, with left [out, r] and right [r, in].
  const Factor &left() const { return leftFactor; }
  const Factor &right() const { return rightFactor; }
  /// b' [out]; zeros where there was no bias and nothing is added.
  const Eigen::RowVectorXd &shift() const { return newBias; }

  /// W' and b' in the type and layout of the stored weight, W' in blocks of some
  /// MB. The sources keep this alive.
  std::shared_ptr<const TensorSource> weight() const;
  std::shared_ptr<const TensorSource> bias() const;

private:
  FoldedLinear(TensorView weight, bool inOut)
      : base(std::move(weight)), inOut(inOut) {}
  /// W right, [out, q], and left W, [q, in].
  Factor timesRight(const Factor &factor) const;
  Factor timesLeft(const Factor &factor) const;
  void add(const Factor &left, const Factor &right);

  TensorView base;
  bool inOut;
  Factor leftFactor, rightFactor;
  Eigen::RowVectorXd newBias;
};

} // namespace weir

#endif // WEIR_WEIGHTS_FOLDED_H
