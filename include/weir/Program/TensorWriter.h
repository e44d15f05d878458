//===- TensorWriter.h - Writers of .npy, .npz and .safetensors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All writers write atomically (see Files.h), take the bytes straight from the
// views, and give the same file for the same input. `TensorFile` and NumPy (or
// the safetensors package) read them.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_TENSORWRITER_H
#define WEIR_PROGRAM_TENSORWRITER_H

#include "weir/Program/Tensor.h"

#include <map>

namespace weir {

struct NamedTensor {
  std::string name;
  TensorView tensor;

  /// Numbers that stay where they are while the tensor is used.
  static NamedTensor of(llvm::StringRef name, DType dtype,
                        llvm::ArrayRef<int64_t> shape, const void *numbers);
};

/// Writes one array. bf16 becomes '<V2', as NumPy does it with ml_dtypes.
/// Errors: more than 64 dimensions, a file that cannot be written.
llvm::Error writeNpy(llvm::StringRef path, const TensorView &tensor);

/// Writes arrays, stored (not deflated) and aligned to 64 bytes, so that they
/// can be mapped. Errors also: a name that is there twice or that is no
/// relative path.
llvm::Error writeNpz(llvm::StringRef path, llvm::ArrayRef<NamedTensor> tensors);

/// Writes tensors and, below "__metadata__", strings. The tensors are ordered
/// by falling size of their elements, then by name, which aligns all of them.
/// Errors also: a name that is there twice, is "__metadata__" or no UTF-8.
llvm::Error
writeSafetensors(llvm::StringRef path, llvm::ArrayRef<NamedTensor> tensors,
                 const std::map<std::string, std::string> &metadata = {});

} // namespace weir

#endif // WEIR_PROGRAM_TENSORWRITER_H
