//===- Readers.h - Readers of the tensor formats ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_PROGRAM_READERS_H
#define WEIR_LIB_PROGRAM_READERS_H

#include "weir/Program/Tensor.h"

namespace weir {

/// Bytes of a file, the name that errors give, and what keeps the bytes alive.
struct FileBytes {
  std::string name;
  llvm::ArrayRef<std::byte> bytes;
  std::shared_ptr<const void> owner;
};

llvm::Expected<std::shared_ptr<TensorFile>> openSafetensors(FileBytes file);
llvm::Expected<std::shared_ptr<TensorFile>> openNpy(FileBytes file);
llvm::Expected<std::shared_ptr<TensorFile>> openNpz(FileBytes file);
llvm::Expected<std::shared_ptr<TensorFile>> openGguf(FileBytes file);
llvm::Expected<std::shared_ptr<TensorFile>> openTorch(FileBytes file);

/// What the header of an .npy file says.
struct NpyHeader {
  DType dtype = DType::Float32;
  llvm::SmallVector<int64_t, 4> shape;
  bool fortranOrder = false;
  size_t headerBytes = 0; ///< where the numbers start
  int64_t dataBytes = 0;
};

/// Reads the header from the first bytes of an .npy file (all of it has to be
/// there). Pickled, structured and big-endian arrays are refused.
llvm::Expected<NpyHeader> readNpyHeader(llvm::ArrayRef<std::byte> bytes);

/// NumPy's own limit on the number of dimensions.
constexpr size_t largestRank = 64;

/// How many bytes at most `readNpyHeader` looks at.
constexpr size_t largestNpyHeader = 12 + (1u << 16);

/// A view of numbers that lie as `header` says; arrays in Fortran order are
/// copied into row-major order. Errors if memory for that is missing.
llvm::Expected<TensorView> viewNpyData(const NpyHeader &header,
                                       const std::byte *data,
                                       std::shared_ptr<const void> owner);

/// Memory that reports failure instead of throwing.
std::shared_ptr<std::byte[]> allocateBytes(size_t size);

/// `error` with "name: " before it.
llvm::Error inFile(llvm::StringRef name, llvm::Error error);
llvm::Error errorInFile(llvm::StringRef name, const llvm::Twine &what);

/// The error for a tensor that is not there; lists those that are.
llvm::Error noSuchTensor(llvm::StringRef file, llvm::StringRef name,
                         llvm::ArrayRef<std::string> names);

} // namespace weir

#endif // WEIR_LIB_PROGRAM_READERS_H
