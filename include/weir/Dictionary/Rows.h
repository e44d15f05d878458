//===- Rows.h - Small dense algebra over rows ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is computed once from a few rows of a dictionary while compiling. Inputs
// and outputs are f32 and finite, everything in between is f64, on one thread
// and in a fixed order: the same input gives the same bits.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DICTIONARY_ROWS_H
#define WEIR_DICTIONARY_ROWS_H

#include "weir/Dictionary/Dictionary.h"

#include <vector>

namespace weir {

/// Every row divided by its Euclidean norm; a zero row stays zero. [k, d].
RowMatrix unitRows(const RowMatrix &rows);

/// An orthonormal basis of the span of `rows` [k, d], as k rows of which the
/// first r = rank are orthonormal and the others zero, so that shapes do not
/// depend on numbers and x - (x Q^T) Q projects the span out.
///
/// Householder QR with column pivoting over the unit rows (a short row counts
/// as much as a long one). A direction counts while the part of the best
/// remaining unit row that is orthogonal to the chosen ones is longer than
/// max(k, d) * 2^-23, the resolution of the f32 input. `rank` receives r.
RowMatrix orthonormalBasis(const RowMatrix &rows, int64_t *rank = nullptr);

/// A feature and the cosine of its decoder row with another's.
struct Antagonist {
  int64_t feature;
  double cosine;
};

/// The `count` features whose decoder rows have the most negative cosine with
/// the decoder row of `feature`, the most negative first, ties to the lowest
/// index. Only cosines below zero count, so there may be fewer; zero rows never
/// count. Decoder rows are read in blocks of a few MB. Errors: those of
/// decoder(); a zero row at `feature`; a negative count.
llvm::Expected<std::vector<Antagonist>>
antagonists(const Dictionary &dictionary, int64_t feature, int64_t count);

} // namespace weir

#endif // WEIR_DICTIONARY_ROWS_H
