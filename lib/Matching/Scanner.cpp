//===- Scanner.cpp - Screening by a product ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of A are taken some thousand at a time, and against them all blocks of
// B. Of a block's product `collect` finds the pairs whose upper bound reaches
// the row's threshold: the k-th largest lower bound that the row has seen. After
// a coarse product (bf16, int8) these are first computed anew in f32, best bound
// first, which soon brings the threshold close to the k-th largest score. What
// still passes waits, and is computed in float64 when the row has met all of B
// or when too many wait.
//
// Rows are scaled by powers of two to norms in [1/2, 1] before the product, so
// that no input in the range of f32 overflows it. Scores are kept in a scaled
// form as well (see unitOf): the same order within a row, within the range of
// f32.
//
//===----------------------------------------------------------------------===//

#include "Scanner.h"

#include "Exact.h"
#include "Kernels.h"
#include "Product.h"
#include "RowState.h"

#include "llvm/ADT/STLExtras.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>

using namespace weir;
using namespace weir::matching;

namespace {

/// T is what rows are packed into.
template <typename T> class Scanner {
public:
  Scanner(const ScanTask &task, Device device)
      : task(task), width(task.a.matrix().width()),
        stride(std::is_same_v<T, int8_t> ? (width + 15) / 16 * 16 : width),
        product(device) {}
  llvm::Expected<int64_t> run(int64_t firstRow, bool mayGiveUp,
                              ScanResult &result);

private:
  static constexpr bool coarse = sizeof(T) < sizeof(float);
  using Result = std::conditional_t<std::is_same_v<T, int8_t>, int32_t, T>;

  /// A side's rows of the block.
  struct Side {
    std::vector<T> packed;
    // Per row: the relative loss of packing; what brings the packed row, and
    // the row that refining reads, to the frame.
    std::vector<double> loss;
    std::vector<float> scale, refineScale;
    // Where refining reads the row: in place if it can, else from `copies`.
    std::vector<const float *> rows;
    std::vector<float> copies;
  };

  // The scaled score is unit_i * (score + shift_i).
  double unitOf(int64_t row) const;
  double shiftOf(int64_t row) const {
    const double norm = task.a.norm(row);
    return task.kind == Similarity::MeanSquaredError ? norm * norm / width : 0;
  }

  void prepareFrame();
  void packRow(const RowTable &table, int64_t row, int64_t local, Side &side,
               double frame, std::vector<float> &buffer);
  void packRows(int64_t begin, int64_t end);
  void packColumns(int64_t begin, int64_t end);
  void meet(int64_t rowBegin, int64_t rowEnd, int64_t columnBegin,
            int64_t columnEnd);
  void meetRow(int64_t local, int64_t row, const Result *products,
               int64_t columnBegin, int64_t count, Scratch &scratch);
  void settle(int64_t first, int64_t last);
  void finishRows(int64_t begin, int64_t end, ScanResult &result);

  const ScanTask &task;
  int64_t width;
  /// Of packed rows: LibTorch's product of int8 is wrong for rows of one byte.
  int64_t stride;
  int64_t blockBegin = 0; ///< first of the block in rowsA
  Product product;
  int exponentA = 0, exponentB = 0; ///< of the frame
  double gamma = 0, beta = 0, refineGamma = 0;

  Side left, right;
  std::vector<Result> products;
  // Of the rows of the block: the two parts of their bounds.
  std::vector<double> slackA, absoluteA;
  double largestNormB = 0;
  // Of the block's offsets, and of the terms they are differences of.
  double largestOffset = 0, largestTerm = 0;
  std::vector<float> offsetB, weightB, lossB;
  std::vector<RowState> states;
  std::vector<std::vector<Scored>> exact; ///< settled before the end
  std::atomic<bool> broken = false;
};

template <typename T> void Scanner<T>::prepareFrame() {
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
    gamma += lowerPrecision();
}

template <typename T> double Scanner<T>::unitOf(int64_t row) const {
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
void Scanner<T>::packRow(const RowTable &table, int64_t row, int64_t local,
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
  std::fill(out + width, out + stride, T(0));
  double loss = 0, step = 1;
  if constexpr (std::is_same_v<T, int8_t>)
    loss = packBytes(source, width, scale, out, step);
  else if constexpr (coarse)
    loss = packBFloat(source, width, scale, out);
  else
    packFloat(source, width, scale, out);
  side.loss[local] = scaled > 0 ? loss / scaled : 0;
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

template <typename T> void Scanner<T>::packRows(int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  left.packed.resize(count * stride);
  left.loss.assign(count, 0);
  left.scale.assign(count, 0);
  if (coarse) {
    left.refineScale.assign(count, 0);
    left.rows.assign(count, nullptr);
    left.copies.resize(count * width);
  }
  slackA.assign(count, 0);
  absoluteA.assign(count, 0);
  at::parallel_for(0, count, 32, [&](int64_t first, int64_t last) {
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
        slackA[local] = scaled > 0 ? 1 : 0;
        break;
      case Similarity::Dot: {
        const int target = task.offsets.empty() ? exponent : exponentA;
        frame = std::ldexp(1.0, exponent - target);
        slackA[local] = std::ldexp(norm, -target);
        break;
      }
      case Similarity::MeanSquaredError:
        frame = std::ldexp(2.0 / width, exponent - exponentA);
        slackA[local] = std::ldexp(2.0 / width * norm, -exponentA);
        break;
      }
      packRow(task.a, row, local, left, frame, buffer);
    }
  });
  product.setLeft(left.packed.data(), count, stride);
}

template <typename T>
void Scanner<T>::packColumns(int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  const int64_t padded = (count + chunk - 1) / chunk * chunk;
  right.packed.resize(padded * stride);
  std::fill(right.packed.begin() + count * stride, right.packed.end(), T(0));
  right.scale.assign(padded, 0);
  right.loss.assign(padded, 0);
  if (coarse) {
    right.refineScale.assign(padded, 0);
    right.rows.assign(padded, nullptr);
    right.copies.resize(padded * width);
  }
  weightB.assign(padded, 0);
  lossB.assign(padded, 0);
  offsetB.assign(padded, -INFINITY);
  std::vector<double> terms(count);
  const double unit = task.rowsA.empty() ? 1 : unitOf(task.rowsA.front());
  at::parallel_for(0, count, 32, [&](int64_t first, int64_t last) {
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
    }
  });
  largestOffset = largestTerm = 0;
  for (int64_t local = 0; local < count; ++local) {
    largestTerm = std::max(largestTerm, terms[local]);
    largestOffset =
        std::max(largestOffset, std::fabs(double(offsetB[local])));
  }
}

template <typename T>
void Scanner<T>::meet(int64_t rowBegin, int64_t rowEnd, int64_t columnBegin,
                      int64_t columnEnd) {
  const int64_t rows = rowEnd - rowBegin;
  const int64_t padded = static_cast<int64_t>(offsetB.size());
  products.resize(rows * padded);
  product.multiply(right.packed.data(), padded, products.data());

  // The absolute part of the bound, see the comment in meetRow.
  const double perPair = width * 0x1p-50;
  for (int64_t local = 0; local < rows; ++local) {
    const int64_t row = task.rowsA[rowBegin + local];
    double reach = 1;
    if (task.kind != Similarity::Cosine)
      reach = slackA[local] * std::ldexp(largestNormB, -exponentB);
    const double shift = unitOf(row) * shiftOf(row);
    absoluteA[local] = 0x1p-20 * (reach + largestOffset) +
                       4 * (perPair + 0x1p-48) *
                           (reach + largestTerm + shift) +
                       0x1p-100;
  }
  at::parallel_for(0, rows, 16, [&](int64_t first, int64_t last) {
    Scratch scratch;
    for (int64_t local = first; local < last; ++local)
      meetRow(local, rowBegin + local, products.data() + local * padded,
              columnBegin, columnEnd - columnBegin, scratch);
  });
}

template <typename T>
void Scanner<T>::meetRow(int64_t local, int64_t row, const Result *rowProducts,
                         int64_t columnBegin, int64_t count, Scratch &scratch) {
  RowState &state = states[local];
  // |score - p - offset| <= |p| beta + slack weight_j + spread loss_j +
  // absolute: the product's rounding; what packing lost and the sums of the
  // product; and the few f32 operations here, and the float64 sums that define
  // the score.
  const double sums = gamma + width * 0x1p-50;
  const double lossA = left.loss[local];
  const BoundTerms terms{
      right.scale.data(),
      offsetB.data(),
      weightB.data(),
      lossB.data(),
      left.scale[local],
      static_cast<float>((lossA + sums * (1 + lossA)) * slackA[local] * 1.0001),
      static_cast<float>((1 + lossA) * (1 + sums) * slackA[local] * 1.0001),
      static_cast<float>(beta)};
  const float absolute = static_cast<float>(absoluteA[local] * 1.0001);
  const float refineSlack = static_cast<float>(
      (refineGamma + width * 0x1p-50) * slackA[local] * 1.0001);
  const int64_t padded = static_cast<int64_t>(offsetB.size());
  const size_t k = task.k;
  // Until the row has seen k pairs, a block's own lower bounds tell what can be
  // left out of it.
  scratch.candidates.clear();
  if (state.threshold == -FLT_MAX && count >= task.k) {
    lowerBounds(rowProducts, terms, count, scratch.lower);
    state.threshold =
        down(aboutTheLargest(scratch.lower, count, task.k) - absolute);
  }
  const int64_t passed =
      collect(rowProducts, terms, padded, down(state.threshold - absolute),
              scratch.columns);
  for (int64_t t = 0; t < passed; ++t) {
    const int32_t l = scratch.columns[t];
    if (l >= count)
      break; // padding
    const float p = widen(rowProducts[l]) * terms.scale[l] * terms.row;
    const float margin = std::fabs(p) * terms.beta +
                         terms.slack * terms.weight[l] +
                         terms.spread * terms.loss[l];
    const float middle = p + terms.offset[l];
    scratch.candidates.push_back({up(middle + margin + absolute),
                                  down(middle - margin - absolute), l});
  }
  if (coarse)
    llvm::sort(scratch.candidates,
               [](const Candidate &x, const Candidate &y) {
                 return x.upper != y.upper ? x.upper > y.upper
                                           : x.inBlock < y.inBlock;
               });

  const size_t limit = std::max<size_t>(4 * k, 256);
  for (Candidate candidate : scratch.candidates) {
    if (candidate.upper < state.threshold) {
      if (coarse)
        break; // the others are below it as well
      continue;
    }
    const int32_t l = candidate.inBlock;
    if constexpr (coarse) {
      ++state.refined;
      const float p = dotFloat(left.rows[local], right.rows[l], width) *
                      right.refineScale[l] * left.refineScale[local];
      const float margin = refineSlack * terms.weight[l];
      const float middle = p + terms.offset[l];
      candidate.upper = up(middle + margin + absolute);
      candidate.lower = down(middle - margin - absolute);
      if (candidate.upper < state.threshold)
        continue;
    }
    const int64_t column = columnBegin + l;
    state.pending.push_back(
        {candidate.upper, static_cast<int32_t>(column / columnsPerBlock),
         static_cast<int32_t>(column % columnsPerBlock)});
    state.lowers.push(candidate.lower, k);
    state.threshold = std::max(state.threshold, state.lowers.threshold(k));
    if (state.pending.size() < limit)
      continue;
    llvm::erase_if(state.pending, [&](const Pending &pending) {
      return pending.upper < state.threshold;
    });
    if (state.pending.size() < limit / 2)
      continue;
    const int64_t matrixRow = task.rowsA[row];
    settle(local, local + 1);
    if (exact[local].size() == k) {
      // The k-th exact score bounds too, one rounding below.
      const double scaled = unitOf(matrixRow) *
                            (exact[local].back().score + shiftOf(matrixRow));
      state.threshold = std::max(
          state.threshold, down(static_cast<float>(scaled) - absolute));
    }
  }
}

/// Computes what waits for the rows [first, last) of the block in float64 and
/// keeps the k best of each, best first.
template <typename T> void Scanner<T>::settle(int64_t first, int64_t last) {
  struct Pair {
    int64_t local;
    Pending pending;
  };
  constexpr int64_t group = exactLanes;
  Pair pairs[group];
  int64_t count = 0;
  std::vector<float> buffers(2 * group * width);
  auto flush = [&] {
    if (count == 0)
      return;
    const float *lefts[group], *rights[group];
    double normsA[group], normsB[group], values[group];
    auto load = [&](const RowTable &table, int64_t row, int64_t slot) {
      if (const float *direct = table.matrix().directRow(row))
        return direct;
      float *buffer = buffers.data() + slot * width;
      table.matrix().loadRow(row, buffer);
      return static_cast<const float *>(buffer);
    };
    for (int64_t t = 0; t < count; ++t) {
      const int64_t row = task.rowsA[blockBegin + pairs[t].local],
                    column = task.rowsB[pairs[t].pending.column()];
      lefts[t] = t > 0 && pairs[t].local == pairs[t - 1].local
                     ? lefts[t - 1]
                     : load(task.a, row, t);
      rights[t] = load(task.b, column, group + t);
      normsA[t] = task.a.norm(row);
      normsB[t] = task.b.norm(column);
    }
    exactPairs(lefts, normsA, rights, normsB, count, width, task.kind, values);
    for (int64_t t = 0; t < count; ++t) {
      const int64_t local = pairs[t].local,
                    row = task.rowsA[blockBegin + local],
                    column = pairs[t].pending.column();
      const double score =
          values[t] + (task.offsets.empty() ? 0 : task.offsets[column]);
      if (unitOf(row) * (score + shiftOf(row)) > pairs[t].pending.upper)
        broken = true;
      exact[local].push_back({score, values[t], column});
    }
    count = 0;
  };
  for (int64_t local = first; local < last; ++local) {
    RowState &state = states[local];
    for (const Pending &pending : state.pending) {
      pairs[count++] = {local, pending};
      if (count == group)
        flush();
    }
    state.survivors += static_cast<int64_t>(state.pending.size());
    state.pending.clear();
  }
  flush();
  for (int64_t local = first; local < last; ++local) {
    std::vector<Scored> &kept = exact[local];
    const size_t keep = std::min<size_t>(kept.size(), task.k);
    std::partial_sort(kept.begin(), kept.begin() + keep, kept.end());
    kept.resize(keep);
  }
}

template <typename T>
void Scanner<T>::finishRows(int64_t begin, int64_t end, ScanResult &result) {
  at::parallel_for(0, end - begin, 64, [&](int64_t first, int64_t last) {
    for (int64_t local = first; local < last; ++local) {
      RowState &state = states[local];
      llvm::erase_if(state.pending, [&](const Pending &pending) {
        return pending.upper < state.threshold;
      });
    }
    settle(first, last);
    for (int64_t local = first; local < last; ++local) {
      if (static_cast<int64_t>(exact[local].size()) != task.k) {
        broken = true;
        continue;
      }
      Found *out = result.best.data() + (begin + local) * task.k;
      for (const Scored &scored : exact[local])
        *out++ = {scored.value, scored.column};
    }
  });
  for (int64_t local = 0; local < end - begin; ++local)
    result.survivors += states[local].survivors;
}

template <typename T>
llvm::Expected<int64_t> Scanner<T>::run(int64_t firstRow, bool mayGiveUp,
                                        ScanResult &result) {
  prepareFrame();
  const int64_t rows = static_cast<int64_t>(task.rowsA.size());
  const int64_t columns = static_cast<int64_t>(task.rowsB.size());
  int64_t refined = 0;
  try {
    c10::InferenceMode inference;
    for (int64_t begin = firstRow; begin < rows; begin += rowsPerBlock) {
      const int64_t end = std::min(rows, begin + rowsPerBlock);
      blockBegin = begin;
      packRows(begin, end);
      states.assign(end - begin, {});
      exact.assign(end - begin, {});
      for (int64_t j = 0; j < columns; j += columnsPerBlock) {
        const int64_t last = std::min(columns, j + columnsPerBlock);
        packColumns(j, last);
        meet(begin, end, j, last);
        if (!mayGiveUp)
          continue;
        // An f32 product is about four times as long as one of bytes, and a
        // pair in f32 takes as long as some fifty in a product.
        int64_t now = 0;
        for (const RowState &state : states)
          now += state.refined;
        if (now > (end - begin) * (8 * task.k + 0.06 * last + 64))
          return begin;
      }
      finishRows(begin, end, result);
      for (const RowState &state : states)
        refined += state.refined;
    }
  } catch (const c10::Error &error) {
    return llvm::createStringError(
        std::string("the matrix product failed: ") +
        error.what_without_backtrace());
  }
  result.refined += refined;
  if (broken)
    return llvm::createStringError(
        "this processor's matrix product in %s breaks its error bound",
        !coarse               ? "f32"
        : sizeof(Result) == 2 ? "bf16"
                              : "int8");
  return rows;
}

} // namespace

llvm::Expected<int64_t> matching::screenRows(const ScanTask &task,
                                             Screen screen, Device device,
                                             int64_t begin, bool mayGiveUp,
                                             ScanResult &result) {
  if (screen == Screen::Int8)
    return Scanner<int8_t>(task, device).run(begin, mayGiveUp, result);
  if (screen == Screen::BFloat16)
    return Scanner<uint16_t>(task, device).run(begin, false, result);
  return Scanner<float>(task, device).run(begin, false, result);
}
