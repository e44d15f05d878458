//===- Target.cpp - A fuzzer of one entry ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Compiled once for every entry, whose name the build gives as WEIR_FUZZ_ENTRY.
//
//===----------------------------------------------------------------------===//

#include "Entries.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  weir::fuzz::WEIR_FUZZ_ENTRY(
      {reinterpret_cast<const std::byte *>(data), size});
  return 0;
}
