//===- RandomDirections.cpp - What similarity chance reaches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/RandomDirections.h"

#include "weir/Support/Hashing.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <cstring>
#include <numbers>
#include <random>

using namespace llvm;

namespace weir::matching {

/// Counts up when other directions are drawn, or the form of an entry changes.
static constexpr StringLiteral keyVersion = "weir random directions 1";

/// [randomDirections, width]: std::normal_distribution differs between libraries,
/// so this is Box and Muller's.
static std::vector<float> drawDirections(int64_t width) {
  std::mt19937_64 bits(0x77656972);
  auto uniform = [&] { // in (0, 1)
    return (static_cast<double>(bits() >> 11) + 0.5) * 0x1p-53;
  };
  std::vector<float> numbers(randomDirections * width);
  for (size_t i = 0; i < numbers.size(); i += 2) {
    double radius = std::sqrt(-2 * std::log(uniform()));
    double angle = 2 * std::numbers::pi * uniform();
    numbers[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < numbers.size())
      numbers[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
  return numbers;
}

Expected<std::vector<double>> bestOfRandomDirections(const Matrix &rows,
                                                     const Options &options) {
  std::vector<float> directions = drawDirections(rows.width());
  auto matrix = Matrix::make(
      "random directions",
      {MatrixPart::dense(directions.data(), randomDirections, rows.width())});
  if (!matrix)
    return matrix.takeError();
  auto best = topK(*matrix, rows, 1, Similarity::Cosine, options);
  if (!best)
    return best.takeError();
  std::vector<double> values = std::move(best->values);
  llvm::sort(values);
  return values;
}

Expected<std::vector<double>>
bestOfRandomDirections(const FeatureRows &rows, const ResultCache &cache,
                       const Options &options,
                       function_ref<void(StringRef)> warn) {
  std::string key =
      sha256(StringRef((keyVersion + "\n" + rows.hash()).str()));
  auto lock = cache.lock(key);
  if (!lock)
    return lock.takeError();
  auto read = [&]() -> Expected<std::optional<std::vector<double>>> {
    auto entry = cache.find(key);
    if (!entry)
      return entry.takeError();
    if (!*entry)
      return std::nullopt;
    auto view = (*entry)->tensor("cosines", DType::Float64, {randomDirections});
    if (!view)
      return view.takeError();
    std::vector<double> values(randomDirections);
    std::memcpy(values.data(), view->data, view->numBytes());
    return values;
  };
  auto known = read();
  if (!known) {
    if (warn)
      warn("an entry of the cache is damaged and is made anew: " +
           toString(known.takeError()));
    if (Error error = cache.remove(key))
      return std::move(error);
  } else if (*known) {
    return std::move(**known);
  }
  auto matrix = rows.matrix(0, rows.features());
  if (!matrix)
    return matrix.takeError();
  auto values = bestOfRandomDirections(*matrix, options);
  if (!values)
    return values;
  if (Error error = cache.store(
          key,
          {NamedTensor::of("cosines", DType::Float64, {randomDirections},
                           values->data())},
          {{"about", "random directions -> " + rows.name().str()}}))
    return std::move(error);
  return values;
}

double quantileOf(ArrayRef<double> ascending, double q) {
  double place = q * static_cast<double>(ascending.size() - 1);
  size_t below = static_cast<size_t>(place);
  if (below + 1 >= ascending.size())
    return ascending.back();
  double part = place - static_cast<double>(below);
  return ascending[below] * (1 - part) + ascending[below + 1] * part;
}

} // namespace weir::matching
