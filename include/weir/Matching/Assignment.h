//===- Assignment.h - Permutations of features ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The permutation of SAE Match (arXiv 2410.07656): one row of B for each row of
// A, no row twice, such that the sum of the similarities is largest. With the
// mean squared error this is the paper's argmin_P sum_i |a_i - b_P(i)|^2 / d;
// with rows of fixed norms the dot product has the same optimum.
//
// Costs are c_ij = -similarity(a_i, b_j), float64 as Matrix.h defines them. If
// F != F' every row of the smaller side is matched and the rest of the larger
// side stays free.
//
// Large problems are solved on a sparse graph of each row's best columns with
// shortest augmenting paths and float64 duals (Jonker and Volgenant 1987), then
// priced against all pairs by a screened product (Volgenant 1996): a pair with
// c_ij - u_i - v_j < 0 joins the graph and the solver goes on from its duals.
// Equal rows of A and of B are priced once. Small ones take the full matrix.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_MATCHING_ASSIGNMENT_H
#define WEIR_MATCHING_ASSIGNMENT_H

#include "weir/Matching/TopK.h"

namespace weir::matching {

struct AssignmentOptions : Options {
  /// Columns of the sparse graph per row at the start; up to four times as many
  /// where similarities drop sharply behind the first ones.
  int64_t candidates = 32;
  /// Problems whose larger side is at most this are solved on the full matrix.
  int64_t denseSize = 256;
  /// After this many rounds of pricing the full matrix is used if the larger
  /// side is at most `denseLimit` (a matrix of 8 F F' bytes), else growing goes
  /// on.
  int64_t roundsBeforeDense = 60, denseLimit = 8192;
};

/// What proves that an assignment is optimal: duals u [F] and v [F'] with
/// u_i + v_j <= c_ij for all pairs, v_j <= 0 where F < F' (u_i <= 0 where
/// F > F') and 0 on free rows. Then sum u + sum v is a lower bound of any
/// assignment's cost.
struct Certificate {
  std::vector<double> u, v;
  /// sum u + sum v.
  double dualCost = 0;
  /// cost - dualCost: rounding only, if the assignment is optimal.
  double gap = 0;
  /// No pair has c_ij - u_i - v_j below this; 0 or a rounding error.
  double worstReducedCost = 0;
};

struct Assignment {
  /// [F]: the row of B for each row of A, -1 for those left free (F > F').
  std::vector<int64_t> permutation;
  /// sum of -similarity over the matched pairs, in the order of A's rows.
  double cost = 0;
  Certificate certificate;
  int64_t rounds = 0;      ///< of pricing; 0 if the full matrix was used
  int64_t arcs = 0;        ///< pairs in the sparse graph at the end
  int64_t pricedRows = 0;  ///< rows multiplied in pricing, over all rounds
  int64_t survivors = 0;   ///< pairs computed in float64
  bool dense = false;      ///< solved on the full matrix
};

/// The best assignment. Errors: as for topK, and a side of 2^31 rows or more.
llvm::Expected<Assignment> assign(const Matrix &a, const Matrix &b,
                                  Similarity kind,
                                  const AssignmentOptions &options = {});

/// Proves an assignment again from its numbers, whoever has made them: that it
/// is one, that its cost and the sum of its duals are the same up to rounding
/// (1e-12 of the largest number, times F for sums), and that no pair violates the
/// duals, which is one product of all rows. Errors say what does not hold.
llvm::Error checkAssignment(const Matrix &a, const Matrix &b, Similarity kind,
                            llvm::ArrayRef<int64_t> permutation,
                            const Certificate &certificate, double cost,
                            const Options &options = {});

} // namespace weir::matching

#endif // WEIR_MATCHING_ASSIGNMENT_H
