//===- ProcessMemory.h - What a run holds in memory ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_PROCESSMEMORY_H
#define WEIR_LIB_RUNTIME_PROCESSMEMORY_H

#include <cstdint>
#include <optional>

namespace weir {

class InputFile;

/// Bytes of this process that are in memory.
struct ProcessMemory {
  uint64_t own = 0;    ///< of no file: the heap, stacks, data of libraries
  uint64_t state = 0;  ///< pages of the program's file that it wrote: its cache
  uint64_t mapped = 0; ///< pages of files as they are: the system can drop them
};

/// As the system counts them now; nothing where it does not tell. `program` is
/// the file that tensors are mapped from.
std::optional<ProcessMemory> processMemory(const InputFile &program);

/// Gives back what was allocated and freed: the allocator keeps it otherwise.
void returnFreedMemory();

/// From now on the allocator keeps no more than 8 MiB of what is freed at its
/// end, and larger blocks, such as the logits of a prompt, go back at once. By
/// itself it would learn to keep as much as the largest of them. What a step
/// takes is below that, since pages that come and go cost time.
void keepLittleFreedMemory();

} // namespace weir

#endif // WEIR_LIB_RUNTIME_PROCESSMEMORY_H
