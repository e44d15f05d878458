//===- Carried.cpp - Decoder rows for features of another dictionary ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Weights/Sources.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace llvm;

namespace weir {

namespace {

/// Computed while they are written: nothing is kept of a dictionary before or
/// after that.
class CarriedRows : public TensorSource {
public:
  CarriedRows(std::shared_ptr<const Dictionary> source,
              std::shared_ptr<const Dictionary> target, std::vector<int64_t> to,
              std::vector<bool> keepsOwn, FeatureUnit unit)
      : TensorSource(DType::Float32, {static_cast<int64_t>(to.size()),
                                      target->info().width}),
        source(std::move(source)), target(std::move(target)), to(std::move(to)),
        keepsOwn(std::move(keepsOwn)), unit(unit) {}

  Error stream(Sink sink) const override {
    Expected<RowMatrix> own = source->decoder({});
    if (!own)
      return own.takeError();
    Expected<RowMatrix> others = target->decoder({});
    if (!others)
      return others.takeError();
    if (own->rows() != static_cast<Eigen::Index>(to.size()) ||
        own->cols() != others->cols())
      return createStringError("a match of other dictionaries: it has %zu "
                               "features",
                               to.size());
    Expected<std::vector<double>> from = units(*source, *own);
    if (!from)
      return from.takeError();
    Expected<std::vector<double>> into = units(*target, *others);
    if (!into)
      return into.takeError();
    // In place of the source's own rows, which nobody else reads.
    for (auto [i, feature] : enumerate(to)) {
      if (keepsOwn[i])
        continue;
      if (feature < 0) {
        own->row(i).setZero();
        continue;
      }
      own->row(i) = (others->row(feature).cast<double>() *
                     ((*into)[feature] / (*from)[i]))
                        .cast<float>();
      if (!own->row(i).allFinite())
        return createStringError(
            "feature %zd carried over to feature %zd has numbers beyond f32",
            static_cast<ssize_t>(i), static_cast<ssize_t>(feature));
    }
    return sink({reinterpret_cast<const std::byte *>(own->data()),
                 static_cast<size_t>(own->size()) * sizeof(float)});
  }

private:
  /// [F]: the unit of each feature.
  Expected<std::vector<double>> units(const Dictionary &dictionary,
                                      const RowMatrix &decoder) const {
    std::vector<double> result(decoder.rows(), 1.0);
    if (unit == FeatureUnit::DecoderNorm) {
      // The norm is divided out of the row and multiplies the activation.
      for (Eigen::Index i = 0; i < decoder.rows(); ++i)
        if (double norm = decoder.row(i).cast<double>().norm(); norm > 0)
          result[i] = 1 / norm;
    } else if (unit == FeatureUnit::Threshold) {
      Expected<EncoderRows> rows = dictionary.encoder({});
      if (!rows)
        return rows.takeError();
      if (rows->threshold.size() != decoder.rows())
        return createStringError("%s: has no thresholds: only JumpReLU "
                                 "dictionaries have",
                                 dictionary.info().path.c_str());
      for (Eigen::Index i = 0; i < decoder.rows(); ++i)
        if (rows->threshold[i] > 0)
          result[i] = rows->threshold[i];
    }
    return result;
  }

  std::shared_ptr<const Dictionary> source, target;
  std::vector<int64_t> to;
  std::vector<bool> keepsOwn;
  FeatureUnit unit;
};

} // namespace

std::shared_ptr<const TensorSource>
carriedRows(std::shared_ptr<const Dictionary> source,
            std::shared_ptr<const Dictionary> target, std::vector<int64_t> to,
            std::vector<bool> keepsOwn, FeatureUnit unit) {
  return std::make_shared<CarriedRows>(std::move(source), std::move(target),
                                       std::move(to), std::move(keepsOwn), unit);
}

} // namespace weir
