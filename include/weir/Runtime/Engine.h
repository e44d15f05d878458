//===- Engine.h - Something that runs a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_ENGINE_H
#define WEIR_RUNTIME_ENGINE_H

#include "weir/Operators/Operators.h"
#include "weir/Program/Archive.h"

#include "llvm/ADT/ArrayRef.h"

#include <ATen/core/Tensor.h>

#include <limits>
#include <optional>
#include <string>

namespace weir {

/// A user input of a program, as its graph declares it.
struct ProgramInput {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  /// One entry a dimension; -1 where the size is symbolic.
  llvm::SmallVector<int64_t, 4> sizes;
  /// What is known of each size. Dimensions with the same symbol have the same
  /// size; a static one, or a computed one, has none.
  struct Extent {
    std::string symbol;
    int64_t min = 0, max = std::numeric_limits<int64_t>::max();
  };
  llvm::SmallVector<Extent, 4> extents;
};

/// Runs one program. An engine owns the program's state (the key/value cache):
/// two sequences of calls that must not see each other's cache need two engines,
/// or start again at position 0. Not thread-safe.
class Engine {
public:
  virtual ~Engine() = default;

  /// "reference" or "aot".
  virtual llvm::StringRef name() const = 0;
  /// User inputs in the order `run` takes them.
  virtual llvm::ArrayRef<ProgramInput> inputs() const = 0;
  /// Number of user outputs.
  virtual size_t numOutputs() const = 0;

  /// One forward pass. Errors: a wrong number of inputs, a dtype, rank or
  /// size that the program does not declare, or whatever an operator
  /// reports (with the node it happened at). The outputs may share memory with
  /// the program's state and are valid until the next call.
  virtual llvm::Expected<std::vector<at::Tensor>>
  run(llvm::ArrayRef<at::Tensor> inputs) = 0;
};

struct EngineOptions {
  /// What the program may call.
  OperatorPolicy operators;
  /// Bytes of tensors that a run may hold at once, beside the program's own.
  /// Without: 512 MiB and 64 times the bytes of the program's tensors, within
  /// three quarters of the machine's memory.
  std::optional<uint64_t> maxMemory;
  /// Where tensors are that the archive itself does not hold.
  std::shared_ptr<Archive> tensors;
};

/// Walks the graph of the archive: one dispatcher call a node (none for a view of
/// an input that looks as it did in the run before), bit-equal to Python's eager
/// `ExportedProgram.module()`. The whole graph is checked here,
/// before anything runs: operators that `options` does not allow, values used before they are defined
/// or defined twice, arguments that are missing, unknown or of another type than
/// the operator's schema, results that do not fit. Weights are mapped from the
/// file copy-on-write: what the program mutates becomes private memory, page by
/// page, and the file is never written. A run that would hold more memory than it
/// may is an error at its node.
///
/// With `wanted`, only what these outputs need is run: a reading of the middle of
/// a model does not pay for the layers after it. The other outputs are undefined
/// tensors, and state that only they depend on is not kept up to date; inputs that
/// only they need may be undefined. Errors also: an output that is not there.
llvm::Expected<std::unique_ptr<Engine>>
createReferenceEngine(
    std::shared_ptr<Archive> archive,
    std::optional<llvm::ArrayRef<size_t>> wanted = std::nullopt,
    const EngineOptions &options = {});

/// A program whose graph is read and checked once, to make several engines of it:
/// each computes other outputs, and has state of its own.
class EngineFactory {
public:
  virtual ~EngineFactory() = default;
  virtual llvm::Expected<std::unique_ptr<Engine>>
  create(llvm::ArrayRef<size_t> wanted) const = 0;
};

/// Of reference engines. Errors here and of `create`: those of
/// createReferenceEngine.
llvm::Expected<std::unique_ptr<EngineFactory>>
createEngineFactory(std::shared_ptr<Archive> archive,
                    const EngineOptions &options = {});

/// Runs an AOTInductor package that was compiled from `archive`'s program. The
/// package may leave its weights out; they are then mapped from the archive.
/// The code of exactly this open file is loaded.
llvm::Expected<std::unique_ptr<Engine>>
createAOTEngine(std::shared_ptr<InputFile> package,
                std::shared_ptr<Archive> archive);

} // namespace weir

#endif // WEIR_RUNTIME_ENGINE_H
