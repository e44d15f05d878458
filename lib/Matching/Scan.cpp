//===- Scan.cpp - The best columns of each row ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of A are taken some thousand at a time, and against them all blocks of
// B. The product of a block goes through nextChunk, which compares upper bounds
// of the scores with the k-th largest lower bound that the row has seen; what
// passes waits, and is computed in float64 when the row has met all of B or
// when too many wait.
//
// Rows are scaled by powers of two to norms in [1/2, 1] before the product, so
// that no input in the range of f32 overflows it. Scores are kept in a scaled
// form as well (see unitOf): the same order within a row, within the range of
// f32.
//
//===----------------------------------------------------------------------===//

#include "Scan.h"

#include "Exact.h"
#include "Kernels.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <atomic>
#include <bit>
#include <cfloat>
#include <cmath>

using namespace weir;
using namespace weir::matching;

ThreadScope::ThreadScope(int threads) {
  if (threads <= 0)
    return;
  before = at::get_num_threads();
  if (before == threads)
    before = 0;
  else
    at::set_num_threads(threads);
}

ThreadScope::~ThreadScope() {
  if (before)
    at::set_num_threads(before);
}

llvm::Error matching::checkPair(const Matrix &a, const Matrix &b) {
  if (a.width() != b.width())
    return llvm::createStringError(
        "matrix '" + a.name() + "' has rows of " + llvm::Twine(a.width()) +
        " numbers, matrix '" + b.name() + "' of " + llvm::Twine(b.width()));
  if (a.width() == 0)
    return llvm::createStringError("matrix '" + a.name() +
                                   "' has rows without numbers");
  return llvm::Error::success();
}

namespace {

constexpr int64_t rowsPerBlock = 4096, columnsPerBlock = 1024;

bool multipliesBFloat() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

/// Power of two that brings a norm to [1/2, 1].
int exponentOf(double norm) {
  if (norm == 0)
    return 0;
  int exponent;
  (void)std::frexp(norm, &exponent);
  return std::max(exponent, -120);
}

struct Pending {
  float upper;
  int32_t block; ///< columns are block * columnsPerBlock + inBlock
  int32_t inBlock;
  int64_t column() const { return int64_t(block) * columnsPerBlock + inBlock; }
};

/// One row of A while it meets B.
struct RowState {
  std::vector<Pending> pending;
  std::vector<float> lowers; ///< heap of the k largest lower bounds
  float threshold = -FLT_MAX;
  int64_t survivors = 0;
};

/// Descending score, ascending column.
struct Scored {
  double score, value;
  int64_t column;
  bool operator<(const Scored &other) const {
    return score != other.score ? score > other.score : column < other.column;
  }
};

template <typename T> class Scanner {
public:
  explicit Scanner(const ScanTask &task) : task(task) {}
  llvm::Expected<ScanResult> run(Screen screen);

private:
  static constexpr bool half = sizeof(T) == 2;

  // The scaled score is unit_i * (score + shift_i).
  double unitOf(int64_t row) const;
  double shiftOf(int64_t row) const {
    const double norm = task.a.norm(row);
    return task.kind == Similarity::MeanSquaredError ? norm * norm / width : 0;
  }

  void prepareFrame();
  void packRows(int64_t begin, int64_t end);
  void packColumns(int64_t begin, int64_t end);
  void meet(int64_t rowBegin, int64_t rowEnd, int64_t columnBegin,
            int64_t columnEnd);
  void meetRow(int64_t local, int64_t row, const T *products,
               int64_t columnBegin, int64_t count);
  void settle(int64_t local, int64_t row, std::vector<Scored> &kept);
  void finishRows(int64_t begin, int64_t end, ScanResult &result);

  const ScanTask &task;
  int64_t width = 0;
  int exponentA = 0, exponentB = 0; ///< of the frame
  double gamma = 0, beta = 0;

  std::vector<T> packedA, packedB, products;
  // Of the rows of the block: the relative loss of packing, the factor that
  // scales the row's products, and the two parts of its bound.
  std::vector<double> lossA, factorA, slackA, absoluteA;
  double lossB = 0, largestNormB = 0;
  // Of the block's offsets, and of the terms they are differences of.
  double largestOffset = 0, largestTerm = 0;
  std::vector<float> scaleB, offsetB, weightB;
  std::vector<RowState> states;
  std::vector<std::vector<Scored>> exact; ///< settled before the end
  std::atomic<bool> broken = false;
};

template <typename T> void Scanner<T>::prepareFrame() {
  width = task.a.matrix().width();
  exponentA = exponentB = -1000;
  for (int64_t row : task.rowsA)
    exponentA = std::max(exponentA, exponentOf(task.a.norm(row)));
  for (int64_t row : task.rowsB) {
    exponentB = std::max(exponentB, exponentOf(task.b.norm(row)));
    largestNormB = std::max(largestNormB, task.b.norm(row));
  }
  if (task.kind == Similarity::MeanSquaredError)
    exponentA = exponentB = std::max(exponentA, exponentB);

  // Twice gamma_d of the f32 sums; what underflows is below 2^-60 a term.
  constexpr double unit = 0x1p-24;
  gamma = 2 * (width + 8) * unit + width * 0x1p-60;
  if (width > (int64_t(1) << 20))
    gamma = 1e6; // no useful bound any more: everything is computed anew
  beta = half ? 0x1.04p-8 : 0.0;
  if (!half) {
    // LibTorch may be told to multiply f32 in a lower precision.
    auto precision = at::globalContext().float32Precision(
        at::Float32Backend::MKLDNN, at::Float32Op::MATMUL);
    if (precision == at::Float32Precision::BF16 ||
        precision == at::Float32Precision::TF32 ||
        at::globalContext().float32MatmulPrecision() !=
            at::Float32MatmulPrecision::HIGHEST)
      gamma += 2.1 * 0x1p-8;
  }
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

template <typename T>
static double packInto(const float *in, int64_t width, float scale, T *out) {
  if constexpr (sizeof(T) == 2)
    return packBFloat(in, width, scale, out);
  else
    return packFloat(in, width, scale, out), 0.0;
}

template <typename T> void Scanner<T>::packRows(int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  packedA.resize(count * width);
  lossA.assign(count, 0);
  factorA.assign(count, 0);
  slackA.assign(count, 0);
  absoluteA.assign(count, 0);
  at::parallel_for(0, count, 32, [&](int64_t first, int64_t last) {
    std::vector<float> buffer(width);
    for (int64_t local = first; local < last; ++local) {
      const int64_t row = task.rowsA[begin + local];
      const double norm = task.a.norm(row);
      const int exponent = exponentOf(norm);
      const double scaled = std::ldexp(norm, -exponent);
      const float *source = task.a.matrix().directRow(row);
      if (!source) {
        task.a.matrix().loadRow(row, buffer.data());
        source = buffer.data();
      }
      const double loss = packInto(source, width, std::ldexp(1.0f, -exponent),
                                   packedA.data() + local * width);
      lossA[local] = scaled > 0 ? loss / scaled : 0;
      switch (task.kind) {
      case Similarity::Cosine:
        factorA[local] = scaled > 0 ? 1 / scaled : 0;
        slackA[local] = scaled > 0 ? 1 : 0;
        break;
      case Similarity::Dot: {
        const int frame = task.offsets.empty() ? exponent : exponentA;
        factorA[local] = std::ldexp(1.0, exponent - frame);
        slackA[local] = std::ldexp(norm, -frame);
        break;
      }
      case Similarity::MeanSquaredError:
        factorA[local] = std::ldexp(2.0 / width, exponent - exponentA);
        slackA[local] = std::ldexp(2.0 / width * norm, -exponentA);
        break;
      }
    }
  });
}

template <typename T>
void Scanner<T>::packColumns(int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  const int64_t padded = (count + chunk - 1) / chunk * chunk;
  packedB.resize(padded * width);
  std::fill(packedB.begin() + count * width, packedB.end(), T(0));
  scaleB.assign(padded, 0);
  weightB.assign(padded, 0);
  offsetB.assign(padded, -INFINITY);
  std::vector<double> losses(count), terms(count);
  const double unit = task.rowsA.empty() ? 1 : unitOf(task.rowsA.front());
  at::parallel_for(0, count, 32, [&](int64_t first, int64_t last) {
    std::vector<float> buffer(width);
    for (int64_t local = first; local < last; ++local) {
      const int64_t row = task.rowsB[begin + local];
      const double norm = task.b.norm(row);
      const int exponent = exponentOf(norm);
      const double scaled = std::ldexp(norm, -exponent);
      const float *source = task.b.matrix().directRow(row);
      if (!source) {
        task.b.matrix().loadRow(row, buffer.data());
        source = buffer.data();
      }
      const double loss = packInto(source, width, std::ldexp(1.0f, -exponent),
                                   packedB.data() + local * width);
      losses[local] = scaled > 0 ? loss / scaled : 0;
      double offset =
          task.offsets.empty() ? 0 : task.offsets[begin + local];
      terms[local] = std::fabs(offset) * unit;
      switch (task.kind) {
      case Similarity::Cosine:
        scaleB[local] = scaled > 0 ? 1 / scaled : 0;
        weightB[local] = scaled > 0 ? 1.0001f : 0;
        break;
      case Similarity::Dot:
        scaleB[local] = std::ldexp(1.0, exponent - exponentB);
        weightB[local] = std::ldexp(norm, -exponentB) * 1.0001;
        offset = task.offsets.empty() ? 0 : offset * unit;
        break;
      case Similarity::MeanSquaredError:
        scaleB[local] = std::ldexp(1.0, exponent - exponentB);
        weightB[local] = std::ldexp(norm, -exponentB) * 1.0001;
        offset = (offset - norm * norm / width) * unit;
        terms[local] += norm * norm / width * unit;
        break;
      }
      offsetB[local] = static_cast<float>(offset);
    }
  });
  lossB = largestOffset = largestTerm = 0;
  for (int64_t local = 0; local < count; ++local) {
    lossB = std::max(lossB, losses[local]);
    largestTerm = std::max(largestTerm, terms[local]);
    largestOffset =
        std::max(largestOffset, std::fabs(double(offsetB[local])));
  }
}

template <typename T>
void Scanner<T>::meet(int64_t rowBegin, int64_t rowEnd, int64_t columnBegin,
                      int64_t columnEnd) {
  const int64_t rows = rowEnd - rowBegin;
  const int64_t padded = static_cast<int64_t>(scaleB.size());
  products.resize(rows * padded);
  auto type = at::TensorOptions().dtype(half ? at::kBFloat16 : at::kFloat);
  at::Tensor left = at::from_blob(packedA.data(), {rows, width}, type);
  at::Tensor right = at::from_blob(packedB.data(), {padded, width}, type);
  at::Tensor out = at::from_blob(products.data(), {rows, padded}, type);
  at::mm_out(out, left, right.t());

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
    for (int64_t local = first; local < last; ++local)
      meetRow(local, rowBegin + local, products.data() + local * padded,
              columnBegin, columnEnd - columnBegin);
  });
}

template <typename T>
void Scanner<T>::meetRow(int64_t local, int64_t row, const T *rowProducts,
                         int64_t columnBegin, int64_t count) {
  RowState &state = states[local];
  // |score - p - offset| <= |p| beta + slack weight_j + absolute: the product's
  // rounding; what packing lost and the sums of the product; and the few f32
  // operations here, and the float64 sums that define the score.
  const double relative = lossA[local] + (1 + lossA[local]) * lossB +
                          (gamma + width * 0x1p-50) * (1 + lossA[local]) *
                              (1 + lossB);
  const BoundTerms terms{scaleB.data(),
                         offsetB.data(),
                         weightB.data(),
                         static_cast<float>(factorA[local]),
                         static_cast<float>(relative * slackA[local] * 1.0001),
                         static_cast<float>(beta)};
  const float absolute = static_cast<float>(absoluteA[local] * 1.0001);
  const int64_t padded = static_cast<int64_t>(scaleB.size());
  const size_t k = task.k;
  const size_t limit = std::max<size_t>(4 * k, 256);
  for (int64_t j = 0; j < padded; j += chunk) {
    // One step down for the rounding of the subtraction.
    auto lowered = [&] {
      return std::nextafter(state.threshold - absolute, -INFINITY);
    };
    float bar = lowered();
    j = nextChunk(rowProducts, terms, j, padded, bar);
    for (int64_t l = j; l < std::min(j + chunk, count); ++l) {
      const float p =
          [&] {
            if constexpr (half)
              return std::bit_cast<float>(static_cast<uint32_t>(rowProducts[l])
                                          << 16);
            else
              return rowProducts[l];
          }() *
          terms.scale[l] * terms.row;
      const float margin =
          std::fabs(p) * terms.beta + terms.slack * terms.weight[l];
      const float middle = p + terms.offset[l];
      const float upper = middle + margin;
      if (upper < bar)
        continue;
      const int64_t column = columnBegin + l;
      state.pending.push_back(
          {std::nextafter(upper + absolute, INFINITY),
           static_cast<int32_t>(column / columnsPerBlock),
           static_cast<int32_t>(column % columnsPerBlock)});
      const float lower =
          std::nextafter(middle - margin - absolute, -INFINITY);
      if (state.lowers.size() < k) {
        state.lowers.push_back(lower);
        std::push_heap(state.lowers.begin(), state.lowers.end(),
                       std::greater<>());
      } else if (lower > state.lowers.front()) {
        std::pop_heap(state.lowers.begin(), state.lowers.end(),
                      std::greater<>());
        state.lowers.back() = lower;
        std::push_heap(state.lowers.begin(), state.lowers.end(),
                       std::greater<>());
      }
      if (state.lowers.size() == k && state.lowers.front() > state.threshold) {
        state.threshold = state.lowers.front();
        bar = lowered();
      }
    }
    if (state.pending.size() >= limit) {
      llvm::erase_if(state.pending, [&](const Pending &pending) {
        return pending.upper < state.threshold;
      });
      if (state.pending.size() >= limit / 2) {
        settle(local, task.rowsA[row], exact[local]);
        if (exact[local].size() == k) {
          // The k-th exact score bounds too, one rounding below.
          const int64_t matrixRow = task.rowsA[row];
          const double scaled = unitOf(matrixRow) * (exact[local].back().score +
                                                     shiftOf(matrixRow));
          const float bound = static_cast<float>(scaled) - absolute;
          state.threshold = std::max(
              state.threshold, std::nextafter(bound, -INFINITY));
        }
      }
    }
  }
}

/// Computes what waits in float64 and keeps the k best, best first.
template <typename T>
void Scanner<T>::settle(int64_t local, int64_t row,
                        std::vector<Scored> &kept) {
  RowState &state = states[local];
  if (state.pending.empty())
    return;
  const int64_t count = static_cast<int64_t>(state.pending.size());
  constexpr int64_t group = 8;
  std::vector<float> buffer;
  const float *left = task.a.matrix().directRow(row);
  if (!left) {
    buffer.resize(width);
    task.a.matrix().loadRow(row, buffer.data());
    left = buffer.data();
  }
  std::vector<float> columnBuffer;
  const double unit = unitOf(row), shift = shiftOf(row);
  for (int64_t begin = 0; begin < count; begin += group) {
    const int64_t here = std::min(group, count - begin);
    const float *rows[group];
    double norms[group], values[group];
    for (int64_t t = 0; t < here; ++t) {
      const int64_t other = task.rowsB[state.pending[begin + t].column()];
      norms[t] = task.b.norm(other);
      rows[t] = task.b.matrix().directRow(other);
      if (!rows[t]) {
        columnBuffer.resize(group * width);
        task.b.matrix().loadRow(other, columnBuffer.data() + t * width);
        rows[t] = columnBuffer.data() + t * width;
      }
    }
    exactSimilarities(left, task.a.norm(row), rows, norms, here, width,
                      task.kind, values);
    for (int64_t t = 0; t < here; ++t) {
      const int64_t column = state.pending[begin + t].column();
      const double score =
          values[t] + (task.offsets.empty() ? 0 : task.offsets[column]);
      if (unit * (score + shift) > state.pending[begin + t].upper)
        broken = true;
      kept.push_back({score, values[t], column});
    }
  }
  state.survivors += count;
  state.pending.clear();
  const size_t keep = std::min<size_t>(kept.size(), task.k);
  std::partial_sort(kept.begin(), kept.begin() + keep, kept.end());
  kept.resize(keep);
}

template <typename T>
void Scanner<T>::finishRows(int64_t begin, int64_t end, ScanResult &result) {
  at::parallel_for(0, end - begin, 16, [&](int64_t first, int64_t last) {
    for (int64_t local = first; local < last; ++local) {
      RowState &state = states[local];
      llvm::erase_if(state.pending, [&](const Pending &pending) {
        return pending.upper < state.threshold;
      });
      settle(local, task.rowsA[begin + local], exact[local]);
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
llvm::Expected<ScanResult> Scanner<T>::run(Screen screen) {
  ScanResult result;
  result.screen = screen;
  prepareFrame();
  const int64_t rows = static_cast<int64_t>(task.rowsA.size());
  const int64_t columns = static_cast<int64_t>(task.rowsB.size());
  result.best.resize(rows * task.k);
  try {
    c10::InferenceMode inference;
    for (int64_t begin = 0; begin < rows; begin += rowsPerBlock) {
      const int64_t end = std::min(rows, begin + rowsPerBlock);
      packRows(begin, end);
      states.assign(end - begin, {});
      exact.assign(end - begin, {});
      for (int64_t j = 0; j < columns; j += columnsPerBlock) {
        const int64_t last = std::min(columns, j + columnsPerBlock);
        packColumns(j, last);
        meet(begin, end, j, last);
      }
      finishRows(begin, end, result);
    }
  } catch (const c10::Error &error) {
    return llvm::createStringError(
        std::string("the matrix product failed: ") +
        error.what_without_backtrace());
  }
  if (broken)
    return llvm::createStringError(
        "this processor's matrix product in %s breaks its error bound",
        half ? "bf16" : "f32");
  return std::move(result);
}

/// All pairs in float64: for problems that are too small for a product.
ScanResult scanDirectly(const ScanTask &task) {
  ScanResult result;
  result.screen = Screen::Automatic; // none was needed
  const int64_t d = task.a.matrix().width();
  const int64_t rows = static_cast<int64_t>(task.rowsA.size());
  const int64_t columns = static_cast<int64_t>(task.rowsB.size());
  std::vector<float> left(d), right(d * columns);
  std::vector<const float *> pointers(columns);
  std::vector<double> norms(columns), values(columns);
  for (int64_t j = 0; j < columns; ++j) {
    task.b.matrix().loadRow(task.rowsB[j], right.data() + j * d);
    pointers[j] = right.data() + j * d;
    norms[j] = task.b.norm(task.rowsB[j]);
  }
  std::vector<Scored> scored(columns);
  for (int64_t row : task.rowsA) {
    task.a.matrix().loadRow(row, left.data());
    exactSimilarities(left.data(), task.a.norm(row), pointers.data(),
                      norms.data(), columns, d, task.kind, values.data());
    for (int64_t j = 0; j < columns; ++j)
      scored[j] = {values[j] + (task.offsets.empty() ? 0 : task.offsets[j]),
                   values[j], j};
    std::partial_sort(scored.begin(), scored.begin() + task.k, scored.end());
    for (int64_t t = 0; t < task.k; ++t)
      result.best.push_back({scored[t].value, scored[t].column});
  }
  result.survivors = rows * columns;
  return result;
}

} // namespace

llvm::Expected<ScanResult> matching::scan(const ScanTask &task) {
  Screen screen = task.screen;
  const double work = double(task.rowsA.size()) * double(task.rowsB.size()) *
                      double(task.a.matrix().width());
  if (screen == Screen::Automatic && work <= 0x1p20 &&
      task.rowsB.size() <= 4096)
    return scanDirectly(task);
  if (screen == Screen::Automatic)
    screen = multipliesBFloat() ? Screen::BFloat16 : Screen::Float32;
  if (screen == Screen::BFloat16)
    return Scanner<uint16_t>(task).run(screen);
  return Scanner<float>(task).run(screen);
}
