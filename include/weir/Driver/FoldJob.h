//===- FoldJob.h - What weirc fold does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A plan without an operation more: its edits become weights
// (convert-steer-to-weights), which are written as a program here, and as files of
// other people's formats by the Python package, whose libraries own these formats.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_FOLDJOB_H
#define WEIR_DRIVER_FOLDJOB_H

#include "weir/Driver/Compiler.h"

#include "llvm/Support/JSON.h"

namespace weir {

enum class FoldTarget {
  Checkpoint,  ///< a folder for transformers, vLLM and others
  PT2,         ///< a program, as build --fixed makes one
  LoRA,        ///< an adapter for PEFT
  GGUFControl, ///< a control vector for llama.cpp
  GGUF,        ///< the model's own file for llama.cpp
};

struct FoldOptions {
  FoldTarget target = FoldTarget::Checkpoint;
  /// The folder (the file for both forms of GGUF) to make.
  std::string output;
  /// The plan; may be empty where the spec has one only.
  std::string plan;
  /// Values of knobs, "name=number".
  std::vector<std::string> knobs;
  /// The folder or the GGUF file that the program was exported from; empty for the
  /// name that the program has. Not for programs.
  std::string source;
  /// GGUF: what changed weights are stored in.
  std::string tensorType = "f32";
};

/// The spelling on the command line.
llvm::StringRef nameOf(FoldTarget target);

/// Folds a plan, whole or not at all; the compiler is new. Errors go to the
/// context: what does not fold, at its line; a target that cannot hold it; a source
/// that is another model, or that the output would replace. `runPython` runs
/// `python -m weir ARGUMENTS`. `result` receives what --json prints.
mlir::LogicalResult
foldPlan(Compiler &compiler, const FoldOptions &options,
         llvm::function_ref<mlir::LogicalResult(llvm::ArrayRef<std::string>)>
             runPython,
         llvm::json::Object &result);

} // namespace weir

#endif // WEIR_DRIVER_FOLDJOB_H
