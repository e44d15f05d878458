//===- Pickle.h - State dicts without Python ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// What torch.save writes for a state dict is a program of Python's pickle
// machine. Run by Python it can do anything; here a few of its instructions are
// known, which make plain data, and of all names those that a state dict needs:
// nothing is ever imported or called.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_PROGRAM_PICKLE_H
#define WEIR_LIB_PROGRAM_PICKLE_H

#include "weir/Program/Tensor.h"

namespace weir {

/// A tensor as a pickled state dict describes it: a view of a storage, which is
/// a member of the archive.
struct PickledTensor {
  std::string name;
  DType dtype = DType::Float32;
  std::string storage;    ///< key of the storage
  int64_t storageSize = 0; ///< elements of the storage
  int64_t offset = 0;      ///< elements
  llvm::SmallVector<int64_t, 4> sizes, strides;
};

/// Interprets a pickled mapping of names to tensors, in its order. Refused:
/// instructions and names that a state dict does not have, values that are no
/// tensors, texts above `largestPickle`. Errors do not name the file.
llvm::Expected<std::vector<PickledTensor>>
readStateDict(llvm::ArrayRef<std::byte> pickle);

/// A dictionary's state dict has about 1 KiB.
constexpr size_t largestPickle = size_t(1) << 20;

} // namespace weir

#endif // WEIR_LIB_PROGRAM_PICKLE_H
