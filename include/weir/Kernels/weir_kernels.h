/*===- weir_kernels.h - Steering kernels, from C -------------------------------===*\
|*                                                                            *|
|* Part of the Weir project, under the Apache License v2.0 with LLVM          *|
|* Exceptions. See LICENSE for license information.                           *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/
/*
 * A file of kernels (kernels.so beside a steered program) is a shared object that
 * needs no other: it exports one table, `weir_kernel_table`, of the layout below.
 * A kernel does all edits of a site of one shape; sites of that shape differ in
 * the constants that they pass.
 *
 * A kernel takes tensors in the order of `arguments`: the site's value, further
 * inputs, the new value, activations that it gives, constants. They become 64-bit
 * words, 3 + 2 rank for each: the address twice, an offset of 0, the sizes, the
 * strides (in elements; 0 where a size is 1 or the dimension is the same for all
 * tokens). It works on the tokens [begin, end), counted through the batch, and
 * touches nothing but their rows, so that parts can be done in any order and on
 * any thread. The new value may be the value itself.
 */
#ifndef WEIR_KERNELS_WEIR_KERNELS_H
#define WEIR_KERNELS_WEIR_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_KERNELS_VERSION 1
#define WEIR_MAX_RANK 3

/* What an argument is. */
enum { WEIR_VALUE, WEIR_INPUT, WEIR_RESULT, WEIR_READ, WEIR_CONSTANT };
/* The type of its numbers; flags are bytes of 0 and 1. The last three
   are no arguments of a program's kernels. */
enum {
  WEIR_F32, WEIR_BF16, WEIR_F16, WEIR_I64, WEIR_BOOL, WEIR_U8, WEIR_I16, WEIR_I32
};
/* Sizes with a name: the same in all arguments. A size of 1 stands for both. */
enum { WEIR_BATCH = -1, WEIR_SEQUENCE = -2, WEIR_ANY = -3 };
/* What a variant needs of the processor. */
enum { WEIR_X86_64_V3 = 1, WEIR_X86_64_V4 = 2, WEIR_X86_64_VNNI = 4 };
/* The processors that a file is for. */
enum { WEIR_X86_64 = 1, WEIR_AARCH64 = 2 };

typedef struct weir_argument {
  int64_t role, type, rank;
  int64_t sizes[WEIR_MAX_RANK];
  int64_t columns; /* 1 if the last dimension has to be contiguous */
} weir_argument;

typedef void (*weir_function)(const int64_t *words, int64_t begin, int64_t end);

typedef struct weir_variant {
  int64_t features;
  weir_function function;
} weir_variant;

typedef struct weir_kernel {
  const char *name;
  int64_t num_arguments;
  const weir_argument *arguments;
  int64_t num_variants; /* the later, the better */
  const weir_variant *variants;
} weir_kernel;

typedef struct weir_kernels {
  int64_t version, architecture, num_kernels;
  const weir_kernel *kernels;
} weir_kernels;

typedef struct weir_tensor {
  void *data;
  int64_t type, rank;
  const int64_t *sizes, *strides;
} weir_tensor;

/* All functions below give NULL, or a text that says what is wrong and lives until
   the thread's next call of one of them. */

/* Loads a file of kernels for as long as the process lives. Kernels that are known
   already stay as they are: their name is a hash of what they do. */
const char *weir_kernels_load(const char *path);
/* A kernel of the files that were loaded. */
const char *weir_kernels_find(const char *name, const weir_kernel **kernel);
int64_t weir_kernel_words(const weir_kernel *kernel);
/* Checks tensors against a kernel's arguments and fills `words`
   [weir_kernel_words] and the number of tokens. */
const char *weir_kernel_bind(const weir_kernel *kernel, const weir_tensor *tensors,
                             int64_t count, int64_t *words, int64_t *tokens);
/* The variant for this processor; NULL if there is none. */
weir_function weir_kernel_function(const weir_kernel *kernel);
/* Binds and runs a kernel on all tokens, in this thread. */
const char *weir_site_apply(const char *name, const weir_tensor *tensors,
                            int64_t count);

#ifdef __cplusplus
}
#endif

#endif /* WEIR_KERNELS_WEIR_KERNELS_H */
