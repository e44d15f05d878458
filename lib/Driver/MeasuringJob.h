//===- MeasuringJob.h - What jobs share that measure a spec on texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_MEASURINGJOB_H
#define WEIR_LIB_DRIVER_MEASURINGJOB_H

#include "JobLog.h"

#include "weir/Driver/Compiler.h"
#include "weir/Torch/TorchRuntime.h"

namespace weir {

/// The base of `weirc evaluate` and `weirc sweep`. All members report their errors.
class MeasuringJob {
protected:
  using Progress = std::function<void(llvm::StringRef)>;

  /// `compiler` has loaded the spec and its model; all outlive the job. `threads`
  /// of the tensor library, 0 for as many as it likes.
  MeasuringJob(mlir::MLIRContext &context, Compiler &compiler, int threads,
               const Progress &progress)
      : context(context), compiler(compiler), threads(threads),
        progress(progress) {}

  mlir::InFlightDiagnostic error() {
    return emitError(mlir::UnknownLoc::get(&context));
  }
  void stage(const llvm::Twine &text) const {
    if (progress)
      progress(text.str());
  }
  /// Options of another compilation of the same spec.
  CompilerOptions inner() const;
  /// Sets `runtime`, if it is not there yet.
  mlir::LogicalResult loadRuntime();
  /// Compiles a spec with its plans, to be run in this process.
  struct Measured {
    std::unique_ptr<SteeredProgram> program;
    std::string hash; ///< hashOfProgram of its file
  };
  mlir::FailureOr<Measured> openSteered(mlir::ModuleOp spec);
  /// All that the numbers of a scratch program depend on, as a hash: its file, and the
  /// tensors of the model, which are read once for all programs of a job.
  llvm::Expected<std::string> hashOfProgram(llvm::StringRef path);
  /// What a job of this description has finished, in the cache's folder of
  /// activations: `part` is called with it. A description names all that a number
  /// depends on but for the library, which is added.
  mlir::FailureOr<std::unique_ptr<JobLog>>
  openLog(llvm::json::Object description,
          llvm::function_ref<void(PartReader part)> part);
  /// The ids of windows and which of them count, as a hash.
  static std::string hashOf(const TokenWindows &windows);
  static llvm::json::Array describe(llvm::ArrayRef<RowSetting> settings);
  /// Losses of all windows under all settings; see SteeredRunner.h. A run that was
  /// killed goes on where it was: `resumedRows` says how many rows were there.
  mlir::FailureOr<WindowLosses>
  lossesOf(const Measured &measured, const TokenWindows &windows,
           llvm::ArrayRef<RowSetting> settings,
           std::optional<int64_t> promptTokens, int64_t &resumedRows);

  mlir::MLIRContext &context;
  Compiler &compiler;
  TorchRuntime *runtime = nullptr;

private:
  int threads;
  const Progress &progress;
  std::string tensors; ///< the hash of the model's, once it is known
};

/// Whether every window has the loss that the plain model has, up to the rounding
/// of rows of different batches.
bool areEqualLosses(llvm::ArrayRef<double> losses, llvm::ArrayRef<double> plain);

} // namespace weir

#endif // WEIR_LIB_DRIVER_MEASURINGJOB_H
