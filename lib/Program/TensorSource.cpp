//===- TensorSource.cpp - Tensors that are still to be written ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/TensorSource.h"

#include "llvm/Support/raw_ostream.h"

namespace weir {

TensorSource::~TensorSource() = default;

uint64_t TensorSource::numBytes() const {
  uint64_t bytes = sizeOf(elementType);
  for (int64_t size : sizes)
    bytes *= static_cast<uint64_t>(size);
  return bytes;
}

char ReportedError::ID = 0;

void ReportedError::log(llvm::raw_ostream &os) const {
  os << "an error that was reported before";
}

} // namespace weir
