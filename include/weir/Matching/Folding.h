//===- Folding.h - Bringing dictionaries to one scale ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Features of different dictionaries are comparable when their activations have
// one scale. All foldings leave the dictionary's output as it is: feature i's
// encoder row, bias and threshold are multiplied by s_i > 0, its decoder row by
// 1 / s_i, and f_i' = s_i f_i for activations that are positively homogeneous
// (JumpReLU with its threshold, ReLU; not TopK, whose choice would change).
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_MATCHING_FOLDING_H
#define WEIR_MATCHING_FOLDING_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <vector>

namespace weir::matching {

/// The rows of a dictionary that are folded in place, all f32 and dense.
struct FoldedRows {
  int64_t features = 0, inputWidth = 0, width = 0;
  float *encoder = nullptr;   ///< [features, inputWidth], or null
  float *bias = nullptr;      ///< [features], or null
  float *threshold = nullptr; ///< [features], or null
  float *decoder = nullptr;   ///< [features, width]
};

/// s_i = 1 / theta_i: W_enc' = W_enc diag(1/theta), b_enc' = b_enc / theta,
/// W_dec' = diag(theta) W_dec, theta' = 1 (SAE Match, arXiv 2410.07656,
/// section 3). In float64, rounded once. Features with theta <= 0 have no such
/// form: they stay as they are and are returned, ascending. Errors: no
/// threshold or decoder, a threshold that is NaN or infinite, a result outside
/// the range of f32 (feature named); nothing is changed then.
llvm::Expected<std::vector<int64_t>> foldThresholds(const FoldedRows &rows);

/// s_i = |W_dec_i|: decoder rows of norm 1, their norms in encoder, bias and
/// threshold. Features with a decoder row of zeros stay and are returned.
/// Errors: as foldThresholds, and NaN or infinity in a decoder row.
llvm::Expected<std::vector<int64_t>> foldDecoderNorms(const FoldedRows &rows);

/// s_i = 1 / mean_i for the mean activations [features] of the features where
/// they are active: activations of mean 1, with their size in the decoder rows.
/// Features whose mean is not positive stay and are returned. Errors: as
/// foldThresholds, and a number of means that is not that of the features.
llvm::Expected<std::vector<int64_t>>
foldMeanActivations(const FoldedRows &rows, llvm::ArrayRef<float> means);

} // namespace weir::matching

#endif // WEIR_MATCHING_FOLDING_H
