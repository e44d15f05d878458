//===- RunStages.h - The stages of a run of weir-run ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_RUNSTAGES_H
#define WEIR_LIB_RUNTIME_RUNSTAGES_H

#include "weir/Program/TensorWriter.h"
#include "weir/Runtime/EditStats.h"
#include "weir/Runtime/Generator.h"
#include "weir/Runtime/Requests.h"
#include "weir/Runtime/RunJob.h"
#include "weir/Runtime/StopStrings.h"

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::run {

/// One row, ready to be generated.
struct Row {
  Request request;
  std::string text; ///< of the prompt, after the chat template
  std::string plan;
  GenerationRow generation;
  StopStrings stops;
};

/// A tensor of i64 or f32 as it is written. It has to be contiguous.
TensorView viewOf(const at::Tensor &tensor);

/// A run: its options are checked, the program is opened, rows are prepared
/// (RunRows.cpp), generated or run through once, and shown (RunOutput.cpp).
class Job {
public:
  Job(const RunOptions &options, llvm::raw_fd_ostream &out, llvm::raw_fd_ostream &err)
      : options(options), out(out), err(err) {}

  /// Each stage reports its error; the code says which kind it is.
  int run();

private:
  llvm::Error checkOptions() const;
  llvm::Error open();
  llvm::Error createEngine();
  llvm::Expected<std::vector<Request>> readRequests() const;
  llvm::Error prepareRows();
  llvm::Error prepareRow(size_t index, Row &row) const;
  /// Where each row has a plan or a knob of its own, empty lines would shift
  /// them.
  llvm::Error checkLines(llvm::ArrayRef<Request> requests) const;
  llvm::Expected<std::vector<float>>
  knobValues(size_t row, size_t rows,
             llvm::ArrayRef<std::pair<std::string, double>> ofRow) const;
  llvm::Expected<std::pair<std::string, int64_t>>
  planOf(size_t row, size_t rows, const std::optional<std::string> &own) const;

  llvm::Error prepareForward();
  llvm::Error runForward();
  llvm::Error runGeneration();
  llvm::Expected<std::string> textOf(size_t index,
                               const GeneratedRow &result) const;
  void show(TextStream &stream, std::optional<int64_t> token);
  llvm::Error writeRecords(const Generation &generation) const;
  void printText(const Generation &generation);
  llvm::Error printJSON(const Generation &generation);
  /// Warns of rows whose records hold nothing but zeros.
  void warnOfRecords(llvm::ArrayRef<int64_t> plans);
  void printTiming(const GenerationTiming &timing);
  bool countsEdits() const { return options.stats || options.assertSteered; }
  bool streams() const {
    return !options.json && rows.size() == 1 && out.is_displayed();
  }

  const RunOptions &options;
  llvm::raw_fd_ostream &out, &err;
  std::unique_ptr<Program> program;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Engine> engine;
  std::vector<KnobAssignment> commonKnobs;
  std::vector<Row> rows;
  at::Tensor ids;
  std::vector<RowSettings> settings;
  std::string streamed; ///< text of the row that is shown as it comes
  size_t shown = 0;     ///< bytes of it
  std::optional<EditStats> stats; ///< if they are asked for
};

} // namespace weir::run

#endif // WEIR_LIB_RUNTIME_RUNSTAGES_H
