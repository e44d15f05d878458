//===- Packing.cpp - Blocks of rows as a product takes them ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Packing.h"

using namespace weir;
using namespace weir::matching;

template <typename T>
Packing<T>::Packing(const ScanTask &task, Device device, int64_t prefix)
    : task(task), width(task.a.matrix().width()), prefix(prefix),
      stride(std::is_same_v<T, int8_t> ? (prefix + 15) / 16 * 16 : prefix),
      product(makeProduct(device)) {
  prepareFrame();
}

template <typename T> void Packing<T>::prepareFrame() {
  exponentA = exponentB = -1000;
  for (int64_t row : task.rowsA)
    exponentA = std::max(exponentA, exponentOf(task.a.norm(row)));
  for (int64_t row : task.rowsB) {
    exponentB = std::max(exponentB, exponentOf(task.b.norm(row)));
    largestNormB = std::max(largestNormB, task.b.norm(row));
  }
  if (task.kind == Similarity::MeanSquaredError)
    exponentA = exponentB = std::max(exponentA, exponentB);

  constexpr double unit = 0x1p-24;
  const double underflow = width * 0x1p-60; // of the terms that underflow
  refineGamma = 2 * (width / dotLanes + dotLanes + 8) * unit + underflow;
  if constexpr (std::is_same_v<T, int8_t>) {
    // Sums of bytes are exact. Their conversion to f32 is rounded.
    gamma = 0;
    beta = 0x1p-23;
    return;
  }
  // Twice gamma_d of the f32 sums.
  gamma = 2 * (width + 8) * unit + underflow;
  if (width > (int64_t(1) << 20))
    gamma = 1e6; // no useful bound any more: everything is computed anew
  beta = coarse ? 0x1.04p-8 : 0.0;
  if (!coarse)
    gamma += tensorMath().lowerPrecision();
}

template <typename T>
void Packing<T>::Side::resize(int64_t count, int64_t stride, int64_t width) {
  packed.resize(count * stride);
  loss.assign(count, 0);
  rest.assign(count, 0);
  scale.assign(count, 0);
  if constexpr (coarse) {
    refineScale.assign(count, 0);
    rows.assign(count, nullptr);
    copies.resize(count * width);
  }
}

template <typename T> double Packing<T>::unitOf(int64_t row) const {
  switch (task.kind) {
  case Similarity::Cosine:
    return 1;
  case Similarity::Dot: {
    const int rowExponent = task.offsets.empty()
                                ? exponentOf(task.a.norm(row))
                                : exponentA;
    return std::ldexp(1.0, -(rowExponent + exponentB));
  }
  case Similarity::MeanSquaredError:
    return std::ldexp(1.0, -2 * exponentA);
  }
  return 1;
}

/// Packs a row, scaled to a norm in [1/2, 1]; `frame` is what brings that to the
/// frame.
template <typename T>
void Packing<T>::packRow(const RowTable &table, int64_t row, int64_t local,
                         Side &side, double frame, std::vector<float> &buffer) {
  const double norm = table.norm(row);
  const int exponent = exponentOf(norm);
  const double scaled = std::ldexp(norm, -exponent);
  const float scale = std::ldexp(1.0f, -exponent);
  const float *source = table.matrix().directRow(row);
  const bool direct = source;
  if (!direct) {
    table.matrix().loadRow(row, buffer.data());
    source = buffer.data();
  }
  T *out = side.packed.data() + local * stride;
  std::fill(out + prefix, out + stride, T(0));
  double loss = 0, step = 1;
  if constexpr (std::is_same_v<T, int8_t>)
    loss = packBytes(source, prefix, scale, out, step);
  else if constexpr (coarse)
    loss = packBFloat(source, prefix, scale, out);
  else
    packFloat(source, prefix, scale, out);
  side.loss[local] = scaled > 0 ? loss / scaled : 0;
  if (prefix < width && scaled > 0)
    side.rest[local] =
        normBound(source + prefix, width - prefix, scale) / scaled;
  side.scale[local] = static_cast<float>(frame * step);
  if constexpr (!coarse)
    return;
  // Far from the limits of f32 a product may as well be scaled afterwards.
  if (direct && std::abs(exponent) <= 24) {
    side.rows[local] = source;
    side.refineScale[local] = static_cast<float>(frame * scale);
    return;
  }
  float *copy = side.copies.data() + local * width;
  packFloat(source, width, scale, copy);
  side.rows[local] = copy;
  side.refineScale[local] = static_cast<float>(frame);
}

template <typename T> void Packing<T>::packRows(int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  left.resize(count, stride, width);
  normA.assign(count, 0);
  parallelFor(0, count, 32, [&](int64_t first, int64_t last) {
    std::vector<float> buffer(width);
    for (int64_t local = first; local < last; ++local) {
      const int64_t row = task.rowsA[begin + local];
      const double norm = task.a.norm(row);
      const int exponent = exponentOf(norm);
      const double scaled = std::ldexp(norm, -exponent);
      double frame = 0;
      switch (task.kind) {
      case Similarity::Cosine:
        frame = scaled > 0 ? 1 / scaled : 0;
        normA[local] = scaled > 0 ? 1 : 0;
        break;
      case Similarity::Dot: {
        const int target = task.offsets.empty() ? exponent : exponentA;
        frame = std::ldexp(1.0, exponent - target);
        normA[local] = std::ldexp(norm, -target);
        break;
      }
      case Similarity::MeanSquaredError:
        frame = std::ldexp(2.0 / width, exponent - exponentA);
        normA[local] = std::ldexp(2.0 / width * norm, -exponentA);
        break;
      }
      packRow(task.a, row, local, left, frame, buffer);
    }
  });
  product->setLeft(left.packed.data(), count, stride);
}

template <typename T>
void Packing<T>::packColumns(int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  const int64_t padded = (count + chunk - 1) / chunk * chunk;
  right.resize(padded, stride, width);
  std::fill(right.packed.begin() + count * stride, right.packed.end(), T(0));
  weightB.assign(padded, 0);
  lossB.assign(padded, 0);
  restB.assign(padded, 0);
  offsetB.assign(padded, -INFINITY);
  std::vector<double> terms(count);
  const double unit = task.rowsA.empty() ? 1 : unitOf(task.rowsA.front());
  parallelFor(0, count, 32, [&](int64_t first, int64_t last) {
    std::vector<float> buffer(width);
    for (int64_t local = first; local < last; ++local) {
      const int64_t row = task.rowsB[begin + local];
      const double norm = task.b.norm(row);
      const int exponent = exponentOf(norm);
      const double scaled = std::ldexp(norm, -exponent);
      double offset = task.offsets.empty() ? 0 : task.offsets[begin + local];
      terms[local] = std::fabs(offset) * unit;
      double frame = 0;
      switch (task.kind) {
      case Similarity::Cosine:
        frame = scaled > 0 ? 1 / scaled : 0;
        weightB[local] = scaled > 0 ? 1.0001f : 0;
        break;
      case Similarity::Dot:
        frame = std::ldexp(1.0, exponent - exponentB);
        weightB[local] = std::ldexp(norm, -exponentB) * 1.0001;
        offset = task.offsets.empty() ? 0 : offset * unit;
        break;
      case Similarity::MeanSquaredError:
        frame = std::ldexp(1.0, exponent - exponentB);
        weightB[local] = std::ldexp(norm, -exponentB) * 1.0001;
        offset = (offset - norm * norm / width) * unit;
        terms[local] += norm * norm / width * unit;
        break;
      }
      offsetB[local] = static_cast<float>(offset);
      packRow(task.b, row, local, right, frame, buffer);
      lossB[local] =
          static_cast<float>(weightB[local] * right.loss[local] * 1.0001);
      restB[local] =
          static_cast<float>(weightB[local] * right.rest[local] * 1.0001);
    }
  });
  largestOffset = largestTerm = 0;
  for (int64_t local = 0; local < count; ++local) {
    largestTerm = std::max(largestTerm, terms[local]);
    largestOffset =
        std::max(largestOffset, std::fabs(double(offsetB[local])));
  }
}

template <typename T> auto Packing<T>::multiply() -> const Result * {
  products.resize(left.loss.size() * paddedColumns());
  product->multiply(right.packed.data(), paddedColumns(), products.data());
  return products.data();
}

// The product's rounding; what packing lost and the sums of the product; the few
// f32 operations on both, and the float64 sums that define the score.
template <typename T> BoundTerms Packing<T>::termsOf(int64_t local) const {
  const double sums = gamma + width * 0x1p-50;
  const double lossA = left.loss[local];
  return {
      right.scale.data(),
      offsetB.data(),
      weightB.data(),
      lossB.data(),
      left.scale[local],
      static_cast<float>((lossA + sums * (1 + lossA)) * normA[local] * 1.0001),
      static_cast<float>((1 + lossA) * (1 + sums) * normA[local] * 1.0001),
      static_cast<float>(beta)};
}

template <typename T>
float Packing<T>::absoluteOf(int64_t local, int64_t row) const {
  const double perPair = width * 0x1p-50;
  double reach = 1;
  if (task.kind != Similarity::Cosine)
    reach = normA[local] * std::ldexp(largestNormB, -exponentB);
  const double shift = unitOf(row) * shiftOf(row);
  const double absolute =
      0x1p-20 * (reach + largestOffset) +
      4 * (perPair + 0x1p-48) * (reach + largestTerm + shift) + 0x1p-100;
  return static_cast<float>(absolute * 1.0001);
}

template <typename T> float Packing<T>::refinedSlackOf(int64_t local) const {
  return static_cast<float>((refineGamma + width * 0x1p-50) * normA[local] *
                            1.0001);
}

namespace weir::matching {
template class Packing<float>;
template class Packing<uint16_t>;
template class Packing<int8_t>;
} // namespace weir::matching
