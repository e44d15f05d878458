//===- CApi.h - C interface of the matchers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What libweir_matching.so exports, for callers without C++ (python/weir uses
// it through ctypes). All functions return 0, or 1 with a message in `error`,
// which is cut to `errorSize` bytes and ends in 0.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_MATCHING_CAPI_H
#define WEIR_MATCHING_CAPI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Counts up when a signature below changes.
#define WEIR_MATCHING_ABI 2
int32_t weir_matching_abi(void);

enum { WEIR_F32 = 0, WEIR_F16 = 1, WEIR_BF16 = 2 };
enum { WEIR_COSINE = 0, WEIR_DOT = 1, WEIR_MSE = 2 };
enum {
  WEIR_SCREEN_AUTO = 0,
  WEIR_SCREEN_F32 = 1,
  WEIR_SCREEN_BF16 = 2,
  WEIR_SCREEN_INT8 = 3
};

enum { WEIR_DEVICE_CPU = 0, WEIR_DEVICE_CUDA = 1, WEIR_DEVICE_AUTO = 2 };

/// One part [rows, cols] of a matrix; strides in elements.
typedef struct weir_matching_part {
  int32_t dtype;
  const void *data;
  int64_t rows, cols, row_stride, col_stride;
} weir_matching_part;

/// weir::matching::topK. indices and values are [rows of a, k]; stats gets the
/// survivors, the distinct rows of b and the screen.
int weir_matching_top_k(const weir_matching_part *a, int64_t partsOfA,
                        const weir_matching_part *b, int64_t partsOfB,
                        int64_t k, int32_t similarity, int32_t screen,
                        int32_t device, int32_t threads, int64_t *indices, double *values,
                        int64_t stats[3], char *error, int64_t errorSize);

/// weir::matching::assign. permutation and u are [rows of a], v is [rows of b];
/// numbers gets cost, dual cost, gap and worst reduced cost; stats gets rounds,
/// arcs, priced rows, survivors and whether the full matrix was used.
/// denseSize < 0 takes the default.
int weir_matching_permutation(const weir_matching_part *a, int64_t partsOfA,
                              const weir_matching_part *b, int64_t partsOfB,
                              int32_t similarity, int32_t screen,
                              int32_t device, int32_t threads,
                              int64_t candidates,
                              int64_t denseSize, int64_t *permutation,
                              double *u, double *v, double numbers[4],
                              int64_t stats[5], char *error,
                              int64_t errorSize);

/// weir::matching::composePermutations; out is [size].
int weir_matching_compose(const int64_t *first, int64_t size,
                          const int64_t *second, int64_t sizeOfSecond,
                          int64_t *out, char *error, int64_t errorSize);

/// weir::matching::composeMaps of two maps of k best matches (weights above 0
/// and at least `least`). starts is [rows + 1], outIndices and outWeights have
/// room for rows * keep; starts[rows] of it is used.
int weir_matching_compose_top_k(
    const int64_t *firstIndices, const double *firstValues, int64_t rows,
    int64_t firstK, const int64_t *secondIndices, const double *secondValues,
    int64_t secondRows, int64_t secondK, double least, int64_t keep,
    int64_t *starts, int64_t *outIndices, double *outWeights, char *error,
    int64_t errorSize);

/// weir::matching::mutualBest of indices [rows, k]; out is [rows of forward].
int weir_matching_mutual_best(const int64_t *forward, int64_t forwardRows,
                              int64_t forwardK, const int64_t *backward,
                              int64_t backwardRows, int64_t backwardK,
                              int64_t *out, char *error, int64_t errorSize);

/// weir::matching::matchQuality. match, cosine and squaredError are [size];
/// errors at the `count` quantiles go to errorQuantiles; means gets the mean
/// cosine and the mean squared error.
int weir_matching_quality(const weir_matching_part *a, int64_t partsOfA,
                          const weir_matching_part *b, int64_t partsOfB,
                          const int64_t *match, int64_t size,
                          const double *quantiles, int64_t count,
                          double *cosine, double *squaredError,
                          double *errorQuantiles, double means[2],
                          int64_t *pairs, char *error, int64_t errorSize);

enum {
  WEIR_FOLD_THRESHOLDS = 0,
  WEIR_FOLD_DECODER_NORMS = 1,
  WEIR_FOLD_MEAN_ACTIVATIONS = 2
};

/// weir::matching::foldThresholds and its like, in place: encoder [features,
/// inputWidth], bias and threshold [features] (each or null), decoder [features,
/// width], means [features] for mean activations, else null. `left` has room for
/// [features]; leftCount says how many it got.
int weir_matching_fold(int32_t what, int64_t features, int64_t inputWidth,
                       int64_t width, float *encoder, float *bias,
                       float *threshold, float *decoder, const float *means,
                       int64_t *left, int64_t *leftCount, char *error,
                       int64_t errorSize);

#ifdef __cplusplus
}
#endif

#endif // WEIR_MATCHING_CAPI_H
