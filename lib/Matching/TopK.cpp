//===- TopK.cpp - The k most similar rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/TopK.h"

#include "Product.h"
#include "Scan.h"

using namespace weir;
using namespace weir::matching;

llvm::Expected<TopK> matching::topK(const Matrix &a, const Matrix &b, int64_t k,
                                    Similarity kind, const Options &options) {
  if (llvm::Error error = checkPair(a, b))
    return std::move(error);
  if (b.rows() == 0)
    return llvm::createStringError("matrix '" + b.name() + "' has no row");
  if (k < 1 || k > maxTopK)
    return llvm::createStringError("k = " + llvm::Twine(k) +
                                   " is outside 1.." + llvm::Twine(maxTopK));
  if (k > b.rows())
    return llvm::createStringError("k = " + llvm::Twine(k) + ", but matrix '" +
                                   b.name() + "' has only " +
                                   llvm::Twine(b.rows()) + " rows");
  if (llvm::Error error = loadTensorMath())
    return std::move(error);
  ThreadScope threads(options.threads);
  llvm::Expected<RowTable> left = RowTable::make(a);
  if (!left)
    return left.takeError();
  llvm::Expected<RowTable> right = RowTable::make(b);
  if (!right)
    return right.takeError();

  // Equal rows have equal similarities. An element of the k best belongs to one
  // of the k best groups: each group before its own holds a better element, its
  // lowest row.
  const int64_t groupK = std::min(k, right->groups());
  ScanTask task{*left,
                *right,
                left->representatives(),
                right->representatives(),
                {},
                groupK,
                kind,
                options.screen,
                options.device};
  llvm::Expected<ScanResult> found = scan(task);
  if (!found)
    return found.takeError();

  TopK result;
  result.rows = a.rows();
  result.k = k;
  result.survivors = found->survivors;
  result.distinct = right->groups();
  result.screen = found->screen;
  result.indices.resize(a.rows() * k);
  result.values.resize(a.rows() * k);
  const bool repeats = right->groups() < b.rows();
  std::vector<Found> row;
  for (int64_t i = 0; i < a.rows(); ++i) {
    const Found *groups = found->best.data() + left->groupOf(i) * groupK;
    row.clear();
    for (int64_t t = 0; t < groupK; ++t)
      for (int64_t member :
           right->members(groups[t].column).take_front(repeats ? k : 1))
        row.push_back({groups[t].value, member});
    if (repeats)
      llvm::sort(row, [](const Found &x, const Found &y) {
        return x.value != y.value ? x.value > y.value : x.column < y.column;
      });
    for (int64_t t = 0; t < k; ++t) {
      result.indices[i * k + t] = row[t].column;
      result.values[i * k + t] = row[t].value;
    }
  }
  return std::move(result);
}
