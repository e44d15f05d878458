//===- RunJob.cpp - What weir-run does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/RunJob.h"

#include "ProcessMemory.h"
#include "RunStages.h"
#include "Support.h"

#include "weir/Support/Files.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstring>

using namespace llvm;
using namespace weir;
using namespace weir::run;

enum ExitCode { done = 0, badInput = 1, failed = 2, notSteered = 3 };

Error Job::checkOptions() const {
  int sources = !options.prompts.empty() + !options.promptsFile.empty() +
                !options.idsFile.empty();
  if (sources != 1)
    return fail("give one of --prompt, --prompts and --ids");
  bool forward = !options.idsFile.empty();
  if (forward && options.logitsFile.empty() && options.recordFile.empty() &&
      !countsEdits())
    return fail("--ids needs --logits, --record, --stats or --assert-steered");
  if (!forward && !options.logitsFile.empty())
    return fail("--logits needs --ids");
  if (!forward && !options.promptLengths.empty())
    return fail("--prompt-length needs --ids");
  if (!forward && options.prefill)
    return fail("--prefill needs --ids");
  if (forward && options.chat)
    return fail("--chat does not go with --ids");
  if (forward && options.json && !options.stats)
    return fail("--json goes with --ids only where there are --stats to print");
  if (!options.system.empty() && !options.chat)
    return fail("--system needs --chat");
  bool fromMessages = sys::path::extension(options.promptsFile) == ".jsonl";
  if (options.continueMessage && !fromMessages)
    return fail("--continue needs --prompts with a .jsonl file whose rows have "
                "\"messages\"");
  if (!options.chatTemplate.empty() && !options.chat && !fromMessages)
    return fail("--chat-template needs --chat, or \"messages\" in a .jsonl "
                "file");
  if (options.topP <= 0)
    return fail("--top-p has to be above 0");
  if (options.repetitionPenalty <= 0)
    return fail("--repetition-penalty has to be above 0");
  auto hasExtension = [](StringRef path, StringRef extension) {
    return path.empty() || sys::path::extension(path) == extension;
  };
  if (!hasExtension(options.logitsFile, ".npy"))
    return fail("--logits writes a .npy file");
  if (!hasExtension(options.recordFile, ".npz"))
    return fail("--record writes a .npz file");
  // Inputs are mapped while the job runs, and nobody means to lose them.
  for (const std::string &output : {options.logitsFile, options.recordFile})
    for (const std::string &input :
         {options.program, options.idsFile, options.promptsFile})
      if (!output.empty() && !input.empty() &&
          sys::fs::equivalent(output, input))
        return fail("'{0}' is an input, which would be replaced", output);
  return Error::success();
}

Error Job::open() {
  for (const std::string &text : options.knobs) {
    Expected<KnobAssignment> knob = parseKnobAssignment(text);
    if (!knob)
      return fail("--knob: {0}", toString(knob.takeError()));
    if (any_of(commonKnobs, [&](const auto &other) {
          return other.first == knob->first;
        }))
      return fail("--knob: knob '{0}' is given twice", knob->first);
    commonKnobs.push_back(std::move(*knob));
  }
  OpenOptions how;
  how.verify = options.verify;
  how.packageAsked = options.engine == "aot";
  how.kernels = options.kernels;
  how.engine.maxMemory = options.maxMemory;
  if (Error error = how.engine.operators.allowAll(options.allowedOperators))
    return fail("--allow-operator: {0}", toString(std::move(error)));
  Expected<std::unique_ptr<Program>> opened =
      Program::open(options.program, how);
  if (!opened)
    return opened.takeError();
  program = std::move(*opened);
  for (const std::string &warning :
       how.engine.operators.warnings(program->archive().model()))
    err << "weir-run: warning: " << warning << "\n";
  if (!options.recordFile.empty() && program->manifest().records.empty())
    return fail("--record: the program records nothing");
  if (countsEdits()) {
    if (Error error = EditStats::check(program->manifest()))
      return fail("{0}: {1}", options.stats ? "--stats" : "--assert-steered",
                  toString(std::move(error)));
    stats.emplace(program->manifest());
  }
  return Error::success();
}

Error Job::createEngine() {
  if (options.threads > 0)
    at::set_num_threads(options.threads);
  EngineKind kind = options.engine == "aot" ||
                            (options.engine == "auto" && program->hasPackage())
                        ? EngineKind::AOT
                        : EngineKind::Reference;
  Expected<std::unique_ptr<Engine>> made = program->createEngine(kind);
  if (!made)
    return made.takeError();
  engine = std::move(*made);
  program->releaseGraph();
  return Error::success();
}

Error Job::prepareForward() {
  Expected<std::shared_ptr<TensorFile>> file = TensorFile::open(options.idsFile);
  if (!file)
    return file.takeError();
  if ((*file)->names().size() != 1)
    return fail("{0}: one array is expected", options.idsFile);
  Expected<TensorView> view = (*file)->tensor((*file)->names().front());
  if (!view)
    return view.takeError();
  if (view->dtype != DType::Int64 || view->rank() != 2 ||
      view->numElements() == 0)
    return fail("{0}: token ids are a [b, S] int64 array", options.idsFile);
  int64_t count = view->shape[0], length = view->shape[1];
  ids = at::empty({count, length}, at::kLong);
  std::memcpy(ids.mutable_data_ptr(), view->data, view->numBytes());

  size_t given = options.promptLengths.size();
  if (given > 1 && given != static_cast<size_t>(count))
    return fail("--prompt-length has {0} numbers for {1} rows", given, count);
  std::vector<int64_t> plans;
  const int64_t *id = ids.const_data_ptr<int64_t>();
  for (int64_t row = 0; row < count; ++row) {
    RowSettings &entry = settings.emplace_back();
    int64_t tokens =
        std::find(id + row * length, id + (row + 1) * length, -1) -
        (id + row * length);
    entry.promptLength = given == 0   ? tokens
                         : given == 1 ? options.promptLengths.front()
                                      : options.promptLengths[row];
    Expected<std::pair<std::string, int64_t>> plan =
        planOf(row, count, std::nullopt);
    if (!plan)
      return plan.takeError();
    entry.plan = plan->second;
    plans.push_back(plan->second);
    Expected<std::vector<float>> knobs = knobValues(row, count, {});
    if (!knobs)
      return knobs.takeError();
    entry.knobs = std::move(*knobs);
  }
  warnOfRecords(plans);
  return Generator(program->manifest(), program->model(), *engine)
      .checkForward(ids, settings);
}

Error Job::runForward() {
  Generator generator(program->manifest(), program->model(), *engine);
  Expected<Generator::Logits> result = 
      generator.forward(ids, settings, options.prefill);
  if (!result)
    return result.takeError();
  if (!options.logitsFile.empty())
    if (Error error = writeNpy(options.logitsFile,
                               viewOf(result->logits.contiguous())))
      return error;
  if (stats) {
    at::Tensor seen = ids.ge(0).sum(1);
    for (auto [row, edited] : enumerate(result->edited))
      stats->add(settings[row].plan, seen[row].item<int64_t>(),
                 std::move(edited));
    if (options.stats && options.json)
      out << formatv("{0:2}", json::Value(json::Object{
                                  {"weir", 1}, {"stats", stats->toJSON()}}))
          << "\n";
    else if (options.stats)
      stats->print(err);
  }
  if (options.recordFile.empty())
    return Error::success();
  std::vector<NamedTensor> tensors;
  for (auto [record, values] :
       zip(program->manifest().records, result->records))
    tensors.push_back({record.name, viewOf(values.contiguous())});
  return writeNpz(options.recordFile, tensors);
}

Error Job::runGeneration() {
  GenerationOptions generation;
  generation.maxNewTokens = options.maxNewTokens;
  generation.record = !options.recordFile.empty();
  generation.count = countsEdits();
  if (!options.ignoreEndOfSequence)
    generation.endOfSequence = program->model().eos;
  std::vector<GenerationRow> requests;
  for (const Row &row : rows)
    requests.push_back(row.generation);

  if (any_of(rows, [](const Row &row) { return !row.stops.empty(); }))
    generation.isStopped = [&](size_t index, ArrayRef<int64_t> tokens) {
      const StopStrings &stops = rows[index].stops;
      if (stops.empty())
        return false;
      Expected<std::string> text = tokenizer->decode(tokens);
      if (!text) {
        consumeError(text.takeError());
        return false;
      }
      return stops.find(*text) != StringRef::npos;
    };

  TextStream stream(*tokenizer);
  size_t tokens = 0;
  bool progress = rows.size() > 1 && !options.quiet && err.is_displayed();
  generation.onToken = [&](size_t, int64_t token) {
    ++tokens;
    if (streams()) {
      show(stream, token);
    } else if (progress) {
      err << "\r" << tokens << " tokens";
      err.flush();
    }
  };
  Generator generator(program->manifest(), program->model(), *engine);
  Expected<Generation> result = generator.generate(requests, generation);
  if (progress)
    err << "\r";
  if (streams()) {
    show(stream, std::nullopt);
    out << "\n";
  }
  if (!result)
    return result.takeError();
  if (stats)
    for (auto [row, generated] : zip(rows, result->rows))
      stats->add(row.generation.plan, generated.seen,
                 std::move(generated.edited));
  if (options.json) {
    if (Error error = printJSON(*result))
      return error;
  } else if (!streams()) {
    printText(*result);
  }
  out.flush();
  if (options.stats && !options.json)
    stats->print(err);
  if (!options.quiet)
    printTiming(result->timing);
  if (generation.record)
    return writeRecords(*result);
  return Error::success();
}

int Job::run() {
  auto report = [&](Error error, ExitCode code) {
    err << "weir-run: error: " << toString(std::move(error)) << "\n";
    return code;
  };
  keepLittleFreedMemory();
  if (Error error = checkOptions())
    return report(std::move(error), badInput);
  if (Error error = open())
    return report(std::move(error), badInput);
  if (Error error = createEngine())
    return report(std::move(error), badInput);
  bool forward = !options.idsFile.empty();
  if (Error error = forward ? prepareForward() : prepareRows())
    return report(std::move(error), badInput);
  returnFreedMemory();
  if (Error error = forward ? runForward() : runGeneration())
    return report(std::move(error), failed);
  if (out.has_error()) {
    std::error_code code = out.error();
    out.clear_error();
    return report(fail("cannot write to standard output: {0}", code.message()),
                  failed);
  }
  if (options.assertSteered)
    if (Error error = stats->assertSteered())
      return report(std::move(error), notSteered);
  return done;
}

int weir::runJob(const RunOptions &options, raw_fd_ostream &out,
           raw_fd_ostream &err) {
  return Job(options, out, err).run();
}
