//===- RuntimeEntry.cpp - The runtime behind its border ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Entry.h"
#include "SteeredEntry.h"

#include "weir/Runtime/ActivationStream.h"
#include "weir/Runtime/CaseRunner.h"
#include "weir/Runtime/Program.h"
#include "weir/Runtime/ProgramCheck.h"
#include "weir/Support/ToolProcess.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

using namespace llvm;

namespace weir {

const TensorMath &torchMath(); // MathEntry.cpp

namespace {

/// The hashes are compared elsewhere; the weights are not looked at twice.
OpenOptions unverified(const OperatorPolicy &operators) {
  OpenOptions result;
  result.verify = false;
  result.engine.operators = operators;
  return result;
}

class Source final : public RecordedActivations {
public:
  static Expected<std::unique_ptr<RecordedActivations>>
  open(StringRef path, StringRef model, const OperatorPolicy &operators,
       const TokenWindows &windows, const ActivationStreamOptions &options) {
    auto result = std::unique_ptr<Source>(new Source);
    auto tensors = Archive::open(model);
    if (!tensors)
      return tensors.takeError();
    OpenOptions how = unverified(operators);
    how.engine.tensors = std::move(*tensors);
    auto program = Program::open(path, std::move(how));
    if (!program)
      return program.takeError();
    result->program = std::move(*program);
    auto engine =
        ActivationStream::createEngine(*result->program, options.records);
    if (!engine)
      return engine.takeError();
    result->engine = std::move(*engine);
    auto stream = ActivationStream::create(*result->program, *result->engine,
                                           windows, options);
    if (!stream)
      return stream.takeError();
    result->stream.emplace(std::move(*stream));
    return std::move(result);
  }

  size_t position() const override { return stream->position(); }
  bool atEnd() const override { return stream->atEnd(); }

private:
  std::string trySeek(size_t window) override {
    return toString(stream->seek(window));
  }
  std::string tryRead(const ActivationBatch *&batch) override {
    auto result = stream->read();
    if (!result)
      return toString(result.takeError());
    batch = *result;
    return "";
  }

  std::unique_ptr<Program> program;
  std::unique_ptr<Engine> engine;
  std::optional<ActivationStream> stream;
};

class Cases final : public RecordedCases {
public:
  static Expected<std::unique_ptr<RecordedCases>>
  open(StringRef path, StringRef model, const OperatorPolicy &operators,
       CaseProgram parts, const TokenWindows &windows) {
    auto archive = Archive::open(path);
    if (!archive)
      return archive.takeError();
    auto weights = Archive::open(model);
    if (!weights)
      return weights.takeError();
    EngineOptions options;
    options.operators = operators;
    options.tensors = std::move(*weights);
    auto runner = CaseRunner::create(std::move(*archive), std::move(parts),
                                     windows, options);
    if (!runner)
      return runner.takeError();
    auto result = std::unique_ptr<Cases>(new Cases);
    result->runner = std::move(*runner);
    return std::move(result);
  }

private:
  std::string tryRecord(size_t firstWindow, size_t count,
                        const RecordedWindows *&recorded) override {
    auto result = runner->record(firstWindow, count);
    if (!result)
      return toString(result.takeError());
    recorded = *result;
    return "";
  }
  std::string tryRun(const CaseBatch &batch, CaseResults &results) override {
    auto result = runner->run(batch);
    if (!result)
      return toString(result.takeError());
    results = std::move(*result);
    return "";
  }

  std::unique_ptr<CaseRunner> runner;
};

class Runtime final : public TorchRuntime {
public:
  const char *torchVersion() const override { return TORCH_VERSION; }

  int runJob(const char *tool, const RunOptions &options,
             raw_fd_ostream &out, raw_fd_ostream &err) override {
    // The files that a signal removes are on the lists of this library.
    beginTool(tool);
    return weir::runJob(options, out, err);
  }

private:
  std::string tryCheckProgram(const Archive &archive, const Manifest &description,
                              const OperatorPolicy &operators,
                              ModelInfo &info) override {
    // An archive of the other side gives errors of the other side's LLVM, which
    // the one in here does not know and would take for none: look at the bytes.
    auto own = Archive::fromMemory(archive.path(), archive.bytes(), nullptr);
    if (!own)
      return toString(own.takeError());
    return take(weir::checkProgram(**own, description, operators), info);
  }
  std::string tryReadWindows(StringRef text, StringRef model,
                             const OperatorPolicy &operators,
                             const WindowOptions &options,
                             TokenWindows &windows) override {
    auto program = Program::open(model, unverified(operators));
    if (!program)
      return toString(program.takeError());
    return take(TokenWindows::read(text, **program, options), windows);
  }
  std::string
  tryOpenActivations(StringRef program, StringRef model,
                     const OperatorPolicy &operators,
                     const TokenWindows &windows,
                     const ActivationStreamOptions &options,
                     std::unique_ptr<RecordedActivations> &source) override {
    return take(Source::open(program, model, operators, windows, options),
                source);
  }
  std::string
  tryOpenSteered(StringRef program, StringRef model,
                 const OperatorPolicy &operators,
                 std::unique_ptr<SteeredProgram> &result) override {
    return openSteeredProgram(program, model, operators, result);
  }

  std::string tryEncode(ArrayRef<std::string> texts, StringRef model,
                        const OperatorPolicy &operators,
                        ModelTokens &tokens) override {
    auto program = Program::open(model, unverified(operators));
    if (!program)
      return toString(program.takeError());
    tokens.vocabulary = (*program)->model().vocabularySize;
    if (texts.empty())
      return "";
    auto tokenizer = (*program)->loadTokenizer();
    if (!tokenizer)
      return toString(tokenizer.takeError());
    for (const std::string &text : texts) {
      auto ids = (*tokenizer)->encode(text, /*addSpecialTokens=*/false);
      if (!ids)
        return toString(ids.takeError());
      tokens.ids.push_back(std::move(*ids));
    }
    return "";
  }

  std::string tryOpenCases(StringRef program, StringRef model,
                           const OperatorPolicy &operators, CaseProgram parts,
                           const TokenWindows &windows, int threads,
                           std::unique_ptr<RecordedCases> &cases) override {
    if (threads > 0)
      at::set_num_threads(threads);
    return take(Cases::open(program, model, operators, std::move(parts), windows),
                cases);
  }

  template <typename T> static std::string take(Expected<T> result, T &value) {
    if (!result)
      return toString(result.takeError());
    value = std::move(*result);
    return "";
  }
};

} // namespace

extern "C" __attribute__((visibility("default"))) const TorchEntry *
weirTorchEntry() {
  static Runtime runtime;
  static const TorchEntry entry{WEIR_TORCH_BUILD, &torchMath(), &runtime};
  return &entry;
}

} // namespace weir
