/*===- table.c - A file of kernels, sound or not ------------------------------===*\
|*                                                                            *|
|* Part of the Weir project, under the Apache License v2.0 with LLVM          *|
|* Exceptions. See LICENSE for license information.                           *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/
/*
 * What weir-codegen makes, written by hand: one kernel that adds a row where the
 * plan is 0 and says how often it did. FAULT says what is wrong with the table.
 */
#include "weir/Kernels/weir_kernels.h"

#include <stddef.h>

#ifndef FAULT
#define FAULT 0
#endif
#ifndef NAME
#define NAME "edit_by_hand"
#endif
enum { WIDTH = 4 };

/* Where an argument's words begin: 3 + 2 rank for each. */
static void apply(const int64_t *words, int64_t begin, int64_t end) {
  const int64_t *value = words, *plan = value + 9, *result = plan + 5,
                *read = result + 9, *rows = read + 9;
  int64_t sequence = result[4];
  for (int64_t token = begin; token < end; ++token) {
    int64_t b = token / sequence, s = token % sequence;
    const float *x = (const float *)value[0] + b * value[6] + s * value[7];
    float *y = (float *)result[0] + b * result[6] + s * result[7];
    float *seen = (float *)read[0] + b * read[6] + s * read[7];
    int64_t followed = ((const int64_t *)plan[0])[b * plan[4]];
    *seen = followed == 0;
    for (int64_t i = 0; i < WIDTH; ++i)
      y[i] = x[i] + (followed == 0 ? ((const float *)rows[0])[i] : 0.0f);
  }
}

static const weir_argument arguments[] = {
    {FAULT == 1 ? WEIR_INPUT : WEIR_VALUE, WEIR_F32, 3,
     {WEIR_BATCH, WEIR_SEQUENCE, WIDTH}, 1},
    {WEIR_INPUT, FAULT == 2 ? 17 : WEIR_I64, FAULT == 3 ? 9 : 1, {WEIR_BATCH}, 0},
    {FAULT == 4 ? WEIR_CONSTANT : WEIR_RESULT, WEIR_F32, 3,
     {WEIR_BATCH, WEIR_SEQUENCE, FAULT == 5 ? WIDTH + 1 : WIDTH}, 1},
    {FAULT == 6 ? WEIR_RESULT : WEIR_READ, WEIR_F32, FAULT == 7 ? 2 : 3,
     {WEIR_BATCH, WEIR_SEQUENCE, 1}, 1},
    {WEIR_CONSTANT, WEIR_F32, 2, {1, FAULT == 8 ? INT64_MAX : WIDTH}, 1},
};
static const weir_variant variants[] = {
    {FAULT == 9 ? 1 << 30 : 0, FAULT == 10 ? NULL : apply}};
static const weir_kernel kernels[] = {
    {FAULT == 11 ? NULL : NAME, FAULT == 12 ? -1 : FAULT == 19 ? 4 : 5,
     FAULT == 13 ? NULL : arguments, FAULT == 14 ? 0 : 1, variants}};

#if FAULT == 15
int nothing;
#else
const weir_kernels weir_kernel_table = {
    FAULT == 16 ? WEIR_KERNELS_VERSION + 1 : WEIR_KERNELS_VERSION,
#if defined(__x86_64__)
    FAULT == 17 ? WEIR_AARCH64 : WEIR_X86_64,
#else
    FAULT == 17 ? WEIR_X86_64 : WEIR_AARCH64,
#endif
    FAULT == 18 ? INT64_MAX : 1, kernels};
#endif
