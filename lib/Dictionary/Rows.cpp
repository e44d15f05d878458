//===- Rows.cpp - Small dense algebra over rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dictionary/Rows.h"

#include "Formats.h"

#include "llvm/ADT/STLExtras.h"

#include <Eigen/QR>

#include <algorithm>
#include <numeric>

using namespace llvm;

namespace weir {

RowMatrix unitRows(const RowMatrix &rows) {
  RowMatrix out = rows;
  for (Eigen::Index i = 0; i < rows.rows(); ++i) {
    Eigen::RowVectorXd row = rows.row(i).cast<double>();
    if (double norm = row.norm(); norm > 0)
      out.row(i) = (row / norm).cast<float>();
  }
  return out;
}

RowMatrix orthonormalBasis(const RowMatrix &rows, int64_t *rank) {
  Eigen::Index count = rows.rows(), width = rows.cols();
  RowMatrix basis = RowMatrix::Zero(count, width);
  if (rank)
    *rank = 0;
  if (count == 0 || width == 0)
    return basis;
  Eigen::MatrixXd columns(width, count);
  for (Eigen::Index i = 0; i < count; ++i) {
    Eigen::VectorXd row = rows.row(i).transpose().cast<double>();
    double norm = row.norm();
    columns.col(i) = norm > 0 ? Eigen::VectorXd(row / norm) : row;
  }
  Eigen::ColPivHouseholderQR<Eigen::MatrixXd> qr(columns);
  // The diagonal of R holds what is left of each pivot, in falling order.
  Eigen::Index limit = std::min(count, width), found = 0;
  double tolerance = std::max(count, width) * 0x1p-23;
  while (found < limit && std::abs(qr.matrixQR()(found, found)) > tolerance)
    ++found;
  if (found > 0) {
    Eigen::MatrixXd q = Eigen::MatrixXd::Identity(width, found);
    q.applyOnTheLeft(qr.householderQ());
    basis.topRows(found) = q.transpose().cast<float>();
  }
  if (rank)
    *rank = found;
  return basis;
}

Expected<std::vector<Antagonist>> antagonists(const Dictionary &dictionary,
                                              int64_t feature, int64_t count) {
  const DictionaryInfo &info = dictionary.info();
  if (count < 0)
    return dictionary::fail(info.path, "a negative number of antagonists");
  Expected<RowMatrix> target = dictionary.decoder({feature});
  if (!target)
    return target.takeError();
  Eigen::VectorXd direction = target->row(0).transpose().cast<double>();
  double norm = direction.norm();
  if (norm == 0)
    return dictionary::fail(info.path, "the decoder row of feature " +
                                           Twine(feature) +
                                           " is zero: it has no antagonists");
  direction /= norm;

  // The worst of the kept ones is on top of the heap.
  auto closer = [](const Antagonist &a, const Antagonist &b) {
    return std::tie(a.cosine, a.feature) < std::tie(b.cosine, b.feature);
  };
  std::vector<Antagonist> kept;
  int64_t blockRows = std::max<int64_t>((int64_t(1) << 20) / info.width, 1);
  std::vector<int64_t> block;
  for (int64_t begin = 0; begin < info.features; begin += blockRows) {
    block.resize(std::min(blockRows, info.features - begin));
    std::iota(block.begin(), block.end(), begin);
    Expected<RowMatrix> rows = dictionary.decoder(block);
    if (!rows)
      return rows.takeError();
    for (auto [i, candidate] : enumerate(block)) {
      Eigen::RowVectorXd row = rows->row(i).cast<double>();
      double length = row.norm();
      if (length == 0)
        continue;
      Antagonist entry{candidate, row.dot(direction) / length};
      // The feature itself is at 1.
      if (!(entry.cosine < 0))
        continue;
      if (static_cast<int64_t>(kept.size()) == count) {
        if (count == 0 || !closer(entry, kept.front()))
          continue;
        std::pop_heap(kept.begin(), kept.end(), closer);
        kept.pop_back();
      }
      kept.push_back(entry);
      std::push_heap(kept.begin(), kept.end(), closer);
    }
  }
  std::sort_heap(kept.begin(), kept.end(), closer);
  return kept;
}

} // namespace weir
