/*===- kernels.c - Kernels by hand ---------------------------------------------===*\
|*                                                                            *|
|* Part of the Weir project, under the Apache License v2.0 with LLVM          *|
|* Exceptions. See LICENSE for license information.                           *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/
/*
 * What weir-codegen makes, with a C compiler and its sanitizers: y = x + c where the
 * row's plan is not negative, of 3 numbers a token, and the sum of x as an activation.
 */
#include "weir/Kernels/weir_kernels.h"

enum { WIDTH = 3 };

/* A buffer as the words of an argument of `rank` dimensions say it. */
static char *at(const int64_t *words, int64_t rank, int64_t size, int64_t row,
                int64_t place) {
  const int64_t *strides = words + 3 + rank;
  return (char *)(intptr_t)words[1] +
         size * (strides[0] * row + (rank == 3 ? strides[1] * place : 0));
}

static void edit(const int64_t *words, int64_t begin, int64_t end, int reads) {
  const int64_t *x = words, *plan = x + 9, *y = plan + 5, *sum = y + 9,
                *c = sum + (reads ? 9 : 0);
  const float *added = (const float *)(intptr_t)c[1];
  for (int64_t token = begin; token < end; ++token) {
    int64_t row = token / x[4], place = token % x[4];
    const float *from = (const float *)at(x, 3, 4, row, place);
    float *to = (float *)at(y, 3, 4, row, place), total = 0;
    int64_t own = *(const int64_t *)at(plan, 1, 8, row, 0);
    for (int i = 0; i < WIDTH; ++i) {
      total += from[i];
      to[i] = own < 0 ? from[i] : from[i] + added[i];
    }
    if (reads)
      *(float *)at(sum, 3, 4, row, place) = total;
  }
}
static void plain(const int64_t *words, int64_t begin, int64_t end) {
  edit(words, begin, end, 0);
}
static void reading(const int64_t *words, int64_t begin, int64_t end) {
  edit(words, begin, end, 1);
}

#define ROWS(role, width) {role, WEIR_F32, 3, {WEIR_BATCH, WEIR_SEQUENCE, width}, 1}
#define PLAN {WEIR_INPUT, WEIR_I64, 1, {WEIR_BATCH, 0, 0}, 0}
#define ADDED {WEIR_CONSTANT, WEIR_F32, 1, {WIDTH, 0, 0}, 1}
static const weir_argument plainArguments[] = {ROWS(WEIR_VALUE, WIDTH), PLAN,
                                               ROWS(WEIR_RESULT, WIDTH), ADDED};
static const weir_argument readingArguments[] = {
    ROWS(WEIR_VALUE, WIDTH), PLAN, ROWS(WEIR_RESULT, WIDTH), ROWS(WEIR_READ, 1),
    ADDED};
static const weir_variant plainVariant[] = {{0, plain}};
static const weir_variant readingVariant[] = {{0, reading}};
static const weir_kernel kernels[] = {
    {"by_hand", 4, plainArguments, 1, plainVariant},
    {"by_hand_reading", 5, readingArguments, 1, readingVariant}};

const weir_kernels weir_kernel_table = {
    WEIR_KERNELS_VERSION,
#if defined(__aarch64__)
    WEIR_AARCH64,
#else
    WEIR_X86_64,
#endif
    2, kernels};
