/*===- steer.c - A site's edits in a runtime without PyTorch ------------------===*\
|*                                                                            *|
|* Part of the Weir project, under the Apache License v2.0 with LLVM          *|
|* Exceptions. See LICENSE for license information.                           *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/
/*
 * Does what a program of `weirc build --lower=kernel` does at one site, to a value
 * that is in a file. The constants stay where they are, in program.pt2, mapped.
 *
 *   python -m weir sites steered > sites.txt
 *   cc -std=c11 -I include examples/c/steer.c -L build/lib -lWeirKernels \
 *      -lstdc++ -ldl -lm -o steer
 *   ./steer steered sites.txt "model.layers.11 output" x.raw y.raw 2 7 plan=plan.raw
 *
 * x.raw holds the site's value [2, 7, d] and y.raw gets the new one, in the value's
 * type; an input such as plan.raw holds its numbers alone. What a kernel reads for
 * others goes to y.raw.NAME.
 */
#define _POSIX_C_SOURCE 200809L

#include "weir/Kernels/weir_kernels.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 256 };

static void fail(const char *what, const char *why) {
  fprintf(stderr, "steer: %s: %s\n", what, why);
  exit(1);
}

/* The bytes of a file, mapped. */
static const char *map(const char *path, int64_t *size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (file < 0 || fstat(file, &info) || info.st_size == 0)
    fail(path, "cannot be read, or is empty");
  void *bytes = mmap(NULL, info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  if (bytes == MAP_FAILED)
    fail(path, "cannot be mapped");
  close(file);
  *size = info.st_size;
  return bytes;
}

static void save(const char *path, const void *data, int64_t size) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(data, 1, size, file) != (size_t)size || fclose(file))
    fail(path, "cannot be written");
}

static int64_t bytes_of(int64_t type) {
  return type == WEIR_F32 ? 4 : type == WEIR_I64 ? 8 : type == WEIR_BOOL ? 1 : 2;
}

/* A tensor whose numbers stand one after the other. */
struct tensor {
  char name[256];
  int64_t sizes[WEIR_MAX_RANK], strides[WEIR_MAX_RANK], bytes;
};

static void shape(struct tensor *at, const weir_argument *argument, int64_t batch,
                  int64_t sequence) {
  int64_t stride = 1;
  for (int64_t d = argument->rank; d-- > 0;) {
    int64_t size = argument->sizes[d];
    at->sizes[d] = size == WEIR_BATCH      ? batch
                   : size == WEIR_SEQUENCE ? sequence
                                           : size;
    at->strides[d] = stride;
    stride *= at->sizes[d];
  }
  at->bytes = stride * bytes_of(argument->type);
}

/* What stands behind `name=` on the command line. */
static const char *given(const char *name, char **from) {
  size_t length = strlen(name);
  for (; *from; ++from)
    if (!strncmp(*from, name, length) && (*from)[length] == '=')
      return *from + length + 1;
  fail(name, "the kernel takes this input; give its numbers with NAME=FILE");
  return NULL;
}

int main(int count, char **argv) {
  if (count < 8)
    fail("usage", "steer FOLDER SITES PLACE X Y BATCH SEQUENCE [INPUT=FILE ...]");
  const char *place = argv[3], *out = argv[5];
  int64_t batch = atoll(argv[6]), sequence = atoll(argv[7]);
  char path[4096], line[4096], word[256], name[256] = "";
  const char *error;

  snprintf(path, sizeof(path), "%s/kernels.so", argv[1]);
  if ((error = weir_kernels_load(path)))
    fail(path, error);
  snprintf(path, sizeof(path), "%s/program.pt2", argv[1]);
  int64_t program_size;
  const char *program = map(path, &program_size);

  /* The site's kernel, and its arguments in their order: a line for each. */
  FILE *sites = fopen(argv[2], "r");
  if (!sites)
    fail(argv[2], "cannot be read");
  const weir_kernel *kernel = NULL;
  static struct tensor tensors[MAX_ARGUMENTS];
  static weir_tensor arguments[MAX_ARGUMENTS];
  int64_t next = 0;
  int found = 0;
  while (fgets(line, sizeof(line), sites)) {
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "site ", 5)) {
      found = !strcmp(line + 5, place);
      continue;
    }
    if (!found || sscanf(line, "%255s %255s", word, name) != 2)
      continue;
    if (!strcmp(word, "kernel")) {
      if ((error = weir_kernels_find(name, &kernel)))
        fail(place, error);
      continue;
    }
    if (!kernel || next >= kernel->num_arguments || next >= MAX_ARGUMENTS)
      fail(place, "the list does not fit the kernel");
    const weir_argument *argument = &kernel->arguments[next];
    struct tensor *tensor = &tensors[next];
    shape(tensor, argument, batch, sequence);
    snprintf(tensor->name, sizeof(tensor->name), "%s", name);
    void *data;
    if (argument->role == WEIR_CONSTANT) {
      /* Where it begins in program.pt2. */
      int64_t offset = atoll(name);
      if (strcmp(word, "constant") || offset < 0 || offset > program_size ||
          tensor->bytes > program_size - offset)
        fail(place, "a constant lies outside of the program");
      data = (void *)(program + offset);
    } else if (argument->role == WEIR_RESULT || argument->role == WEIR_READ) {
      if (!(data = malloc(tensor->bytes + 1)))
        fail(place, "there is not enough memory");
    } else {
      const char *file =
          argument->role == WEIR_VALUE ? argv[4] : given(name, argv + 8);
      int64_t size;
      data = (void *)map(file, &size);
      if (size != tensor->bytes)
        fail(file, "has another size than the kernel's argument");
    }
    arguments[next++] = (weir_tensor){data, argument->type, argument->rank,
                                      tensor->sizes, tensor->strides};
  }
  fclose(sites);
  if (!kernel)
    fail(place, "is not in the list, or has no kernel");

  if ((error = weir_site_apply(kernel->name, arguments, next)))
    fail(place, error);
  for (int64_t i = 0; i < next; ++i) {
    if (kernel->arguments[i].role == WEIR_RESULT)
      save(out, arguments[i].data, tensors[i].bytes);
    if (kernel->arguments[i].role != WEIR_READ)
      continue;
    if (strlen(out) + strlen(tensors[i].name) + 2 > sizeof(path))
      fail(out, "is too long a name");
    strcat(strcat(strcpy(path, out), "."), tensors[i].name);
    save(path, arguments[i].data, tensors[i].bytes);
  }
  return 0;
}
