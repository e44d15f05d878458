//===- TorchSupport.h - Bridges between archives and ATen ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TORCHSUPPORT_H
#define WEIR_LIB_RUNTIME_TORCHSUPPORT_H

#include "weir/Program/Archive.h"
#include "weir/Runtime/Engine.h"

#include "llvm/ADT/StringMap.h"

#include <ATen/core/Tensor.h>

namespace weir {

/// The numbers that torch.export gives to dtypes, layouts and memory formats
/// are not c10's.
std::optional<at::ScalarType> scalarTypeOf(int64_t archiveNumber);
std::optional<at::Layout> layoutOf(int64_t archiveNumber);
std::optional<at::MemoryFormat> memoryFormatOf(int64_t archiveNumber);

/// The message of an exception without the C++ backtrace that c10 appends.
std::string messageOf(const std::exception &exception);

/// The tensors of an archive on a private mapping of its file. Tied weights
/// share one storage. A page that is written to becomes private memory.
class MappedTensors {
public:
  static llvm::Expected<std::shared_ptr<MappedTensors>>
  open(const Archive &archive);

  /// The tensor of a fully qualified name, or an error that names it.
  llvm::Expected<at::Tensor> get(llvm::StringRef fqn);
  ~MappedTensors();

private:
  MappedTensors() = default;
  const Archive *archive = nullptr;
  std::byte *data = nullptr;
  size_t size = 0;
  llvm::StringMap<at::Tensor> records;
};

/// User inputs that the program of an archive declares, in order. Errors: an
/// input that is not a tensor.
llvm::Expected<std::vector<ProgramInput>>
readProgramInputs(const llvm::json::Object &model);

/// The same for what the program gives to its caller, by the names of the values.
llvm::Expected<std::vector<ProgramInput>>
readProgramOutputs(const llvm::json::Object &model);

/// Checks tensors against what the program declares: number, dtype, rank,
/// sizes, the ranges of dynamic ones, and that equal symbols are equal sizes.
llvm::Error checkInputs(llvm::ArrayRef<ProgramInput> declared,
                        llvm::ArrayRef<at::Tensor> given);

} // namespace weir

#endif // WEIR_LIB_RUNTIME_TORCHSUPPORT_H
