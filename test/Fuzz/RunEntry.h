//===- RunEntry.h - Programs of any bytes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TEST_FUZZ_RUNENTRY_H
#define WEIR_TEST_FUZZ_RUNENTRY_H

#include "llvm/ADT/ArrayRef.h"

#include <cstddef>
#include <string>

namespace weir::fuzz {

/// What came of a run, for tests that want more than that nothing breaks.
struct RunResult {
  int code = 0; ///< as weir-run's
  std::string messages;
};

/// Does what `weir-run PROGRAM --ids … --logits …` does. The bytes are
///   - a whole .pt2 file, if they begin as one ("PK");
///   - its documents, if they begin with "{": the graph, weights config,
///     constants config and weir.json, separated by NUL, put into an archive with
///     right checksums and a few records;
///   - or else decisions: each byte chooses an operator of the catalogue, the form
///     of an argument, or one of the values that there are so far. So a fuzzer
///     reaches the operators without having to spell a graph.
RunResult run(llvm::ArrayRef<std::byte> bytes);

} // namespace weir::fuzz

#endif // WEIR_TEST_FUZZ_RUNENTRY_H
