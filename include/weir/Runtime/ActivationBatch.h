//===- ActivationBatch.h - Recorded activations of a batch ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an ActivationStream is asked for and gives. Torch-free to include.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_ACTIVATIONBATCH_H
#define WEIR_RUNTIME_ACTIVATIONBATCH_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace weir {

/// What one record has at the tokens of a batch that count, as compressed sparse
/// rows: token t has features[starts[t]..starts[t + 1]), ascending, with values
/// that are not 0.
struct SparseRecord {
  std::vector<int64_t> starts;
  std::vector<int32_t> features;
  std::vector<float> values;
};

struct ActivationBatch {
  /// The windows [firstWindow, firstWindow + windows) were read.
  size_t firstWindow = 0, windows = 0;
  int64_t tokens = 0;
  /// One a record that was asked for, in that order.
  std::vector<SparseRecord> records;
};

struct ActivationStreamOptions {
  /// Names of the manifest's records.
  std::vector<std::string> records;
  /// The plan that all windows follow, as an index.
  int64_t plan = 0;
  /// Windows are read together as far as the program's batch and this limit of
  /// the memory for records allow; one at a time at least.
  int64_t recordBytes = 512 << 20;
};

} // namespace weir

#endif // WEIR_RUNTIME_ACTIVATIONBATCH_H
