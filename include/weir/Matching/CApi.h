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
#define WEIR_MATCHING_ABI 1
int32_t weir_matching_abi(void);

enum { WEIR_F32 = 0, WEIR_F16 = 1, WEIR_BF16 = 2 };
enum { WEIR_COSINE = 0, WEIR_DOT = 1, WEIR_MSE = 2 };
enum { WEIR_SCREEN_AUTO = 0, WEIR_SCREEN_F32 = 1, WEIR_SCREEN_BF16 = 2 };

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
                        int32_t threads, int64_t *indices, double *values,
                        int64_t stats[3], char *error, int64_t errorSize);

/// weir::matching::assign. permutation and u are [rows of a], v is [rows of b];
/// numbers gets cost, dual cost, gap and worst reduced cost; stats gets rounds,
/// arcs, priced rows, survivors and whether the full matrix was used.
/// denseSize < 0 takes the default.
int weir_matching_permutation(const weir_matching_part *a, int64_t partsOfA,
                              const weir_matching_part *b, int64_t partsOfB,
                              int32_t similarity, int32_t screen,
                              int32_t threads, int64_t candidates,
                              int64_t denseSize, int64_t *permutation,
                              double *u, double *v, double numbers[4],
                              int64_t stats[5], char *error,
                              int64_t errorSize);

#ifdef __cplusplus
}
#endif

#endif // WEIR_MATCHING_CAPI_H
