//===- Scan.cpp - The best columns of each row ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Scan.h"

#include "Exact.h"
#include "PrefixScan.h"
#include "Product.h"
#include "Scanner.h"

#include "llvm/ADT/STLExtras.h"

using namespace weir;
using namespace weir::matching;

ThreadScope::ThreadScope(int threads) {
  if (threads <= 0)
    return;
  before = tensorMath().threads();
  if (before == threads)
    before = 0;
  else
    tensorMath().setThreads(threads);
}

ThreadScope::~ThreadScope() {
  if (before)
    tensorMath().setThreads(before);
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

/// All pairs in float64: for problems that are too small for a product.
static ScanResult scanDirectly(const ScanTask &task) {
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

/// Screens all rows of the task.
static llvm::Expected<ScanResult> screenAll(const ScanTask &task, Screen screen,
                                            Device device) {
  ScanResult result;
  result.best.resize(task.rowsA.size() * task.k);
  result.screen = screen;
  const bool mayGiveUp = task.screen == Screen::Automatic;
  llvm::Expected<int64_t> done =
      screenRows(task, screen, device, 0, mayGiveUp, result);
  if (!done)
    return done.takeError();
  if (*done < static_cast<int64_t>(task.rowsA.size())) {
    result.screen = screenBehindBytes();
    done = screenRows(task, result.screen, device, *done, false, result);
    if (!done)
      return done.takeError();
  }
  return std::move(result);
}

/// The same for k = 1, most rows by their first numbers only.
static llvm::Expected<ScanResult> screenByPrefix(const ScanTask &task,
                                                 Screen screen,
                                                 int64_t prefix) {
  llvm::Expected<PrefixResult> told = scanPrefixes(task, prefix);
  if (!told)
    return told.takeError();
  std::vector<int64_t> openRows;
  for (int64_t at : told->open)
    openRows.push_back(task.rowsA[at]);
  ScanTask rest = task;
  rest.rowsA = openRows;
  llvm::Expected<ScanResult> result =
      screenAll(rest, screen, Device::Processor);
  if (!result)
    return result.takeError();
  for (auto [at, found] : llvm::zip_equal(told->open, result->best))
    told->best[at] = found;
  result->best = std::move(told->best);
  // A pair each decided whether its row is open.
  result->survivors += static_cast<int64_t>(task.rowsA.size());
  return result;
}

llvm::Expected<ScanResult> matching::scan(const ScanTask &task) {
  const int64_t width = task.a.matrix().width();
  const double work = double(task.rowsA.size()) * double(task.rowsB.size()) *
                      double(width);
  Screen screen = task.screen;
  if (screen == Screen::Automatic && task.device != Device::Staged &&
      work <= 0x1p20 && task.rowsB.size() <= 4096)
    return scanDirectly(task);
  llvm::Expected<Device> device = resolve(task.device);
  if (!device)
    return device.takeError();
  if (*device != Device::Processor) {
    if (screen != Screen::Automatic && screen != Screen::Float32)
      return llvm::createStringError(
          "on a device the screen is f32; leave the screen on 'auto'");
    screen = Screen::Float32;
  } else if (screen == Screen::Automatic) {
    screen = screenFor(width);
  } else if (screen == Screen::Int8 && screenFor(width) != Screen::Int8) {
    return llvm::createStringError(
        width > widestByteRow
            ? "rows of more than 65536 numbers are too wide for int8 sums"
            : "this processor has no exact product of int8");
  }
  if (mayScanPrefixes(task)) {
    llvm::Expected<PrefixChoice> choice = choosePrefix(task);
    if (!choice)
      return choice.takeError();
    if (choice->prefix)
      return screenByPrefix(task, screen, choice->prefix);
  }
  return screenAll(task, screen, *device);
}
