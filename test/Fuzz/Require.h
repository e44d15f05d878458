//===- Require.h - What has to hold of every input ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TEST_FUZZ_REQUIRE_H
#define WEIR_TEST_FUZZ_REQUIRE_H

#include <cstdio>
#include <cstdlib>

namespace weir::fuzz {

/// Ends the run in a way that fuzzers and tests see.
inline void require(bool condition, const char *what) {
  if (condition)
    return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

} // namespace weir::fuzz

#endif // WEIR_TEST_FUZZ_REQUIRE_H
