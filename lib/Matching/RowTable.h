//===- RowTable.h - Norms and repeated rows of a matrix ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_MATCHING_ROWTABLE_H
#define WEIR_LIB_MATCHING_ROWTABLE_H

#include "weir/Matching/Matrix.h"

namespace weir::matching {

/// What one pass over a matrix finds: all numbers are finite, the norms, and
/// which rows are equal (0 and -0 count as equal).
class RowTable {
public:
  static llvm::Expected<RowTable> make(const Matrix &matrix);

  const Matrix &matrix() const { return *source; }
  int64_t rows() const { return source->rows(); }
  double norm(int64_t row) const { return norms[row]; }

  /// Number of distinct rows; groups are numbered by their lowest row.
  int64_t groups() const { return static_cast<int64_t>(firsts.size()); }
  int64_t groupOf(int64_t row) const { return group[row]; }
  /// The lowest row of every group, ascending.
  llvm::ArrayRef<int64_t> representatives() const { return firsts; }
  /// The rows of a group, ascending.
  llvm::ArrayRef<int64_t> members(int64_t g) const {
    return llvm::ArrayRef(memberRows)
        .slice(memberStarts[g], memberStarts[g + 1] - memberStarts[g]);
  }

private:
  const Matrix *source = nullptr;
  std::vector<double> norms;
  std::vector<int64_t> group, firsts, memberRows, memberStarts;
};

} // namespace weir::matching

#endif // WEIR_LIB_MATCHING_ROWTABLE_H
