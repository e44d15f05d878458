//===- TensorSource.h - Tensors that are still to be written ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a writer asks for when it comes to a tensor: its type, its shape and its
// bytes, in pieces. A source knows where its numbers come from (a mapped file,
// rows of a dictionary, other sources) and holds no more of them than one piece,
// so a program with large constants is written in little memory. The sources
// that there are stand in weir/Weights.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_TENSORSOURCE_H
#define WEIR_PROGRAM_TENSORSOURCE_H

#include "weir/Program/Tensor.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <system_error>

namespace weir {

class TensorSource {
public:
  /// Takes the next bytes, which it may not keep.
  using Sink = llvm::function_ref<llvm::Error(llvm::ArrayRef<std::byte>)>;

  /// No size is negative, and all bytes together are fewer than 2^63.
  TensorSource(DType dtype, llvm::ArrayRef<int64_t> shape)
      : elementType(dtype), sizes(shape) {}
  virtual ~TensorSource();

  DType dtype() const { return elementType; }
  llvm::ArrayRef<int64_t> shape() const { return sizes; }
  uint64_t numBytes() const;

  /// Gives all elements to `sink`: dense, row-major, little-endian. What is given
  /// is `numBytes()` bytes, and the same each time. Errors are those of the sink
  /// and of the place where the numbers come from.
  virtual llvm::Error stream(Sink sink) const = 0;

private:
  DType elementType;
  llvm::SmallVector<int64_t, 4> sizes;
};

/// An error that its reader has been told about already, at a better place than
/// the one it is passed to: there is nothing left to print.
class ReportedError : public llvm::ErrorInfo<ReportedError> {
public:
  static char ID;
  void log(llvm::raw_ostream &os) const override;
  std::error_code convertToErrorCode() const override {
    return std::make_error_code(std::errc::invalid_argument);
  }
};

} // namespace weir

#endif // WEIR_PROGRAM_TENSORSOURCE_H
