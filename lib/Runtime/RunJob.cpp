//===- RunJob.cpp - What weir-run does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/RunJob.h"

#include "ProcessMemory.h"
#include "Support.h"

#include "weir/Program/TensorWriter.h"
#include "weir/Runtime/EditStats.h"
#include "weir/Runtime/Generator.h"
#include "weir/Runtime/Requests.h"
#include "weir/Runtime/StopStrings.h"
#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <cstring>

using namespace llvm;

namespace weir {
namespace {

enum ExitCode { done = 0, badInput = 1, failed = 2, notSteered = 3 };

constexpr StringLiteral tokenizerRecord = "extra/tokenizer.json";

/// One row, ready to be generated.
struct Row {
  Request request;
  std::string text; ///< of the prompt, after the chat template
  std::string plan;
  GenerationRow generation;
  StopStrings stops;
};

TensorView viewOf(const at::Tensor &tensor) {
  TensorView view;
  view.dtype = tensor.scalar_type() == at::kLong ? DType::Int64 : DType::Float32;
  view.shape.assign(tensor.sizes().begin(), tensor.sizes().end());
  view.data = static_cast<const std::byte *>(tensor.const_data_ptr());
  view.owner = std::make_shared<at::Tensor>(tensor);
  return view;
}

class Job {
public:
  Job(const RunOptions &options, raw_fd_ostream &out, raw_fd_ostream &err)
      : options(options), out(out), err(err) {}

  /// Each stage reports its error; the code says which kind it is.
  int run();

private:
  Error checkOptions() const;
  Error open();
  Error createEngine();
  Expected<std::vector<Request>> readRequests() const;
  Error prepareRows();
  Error prepareRow(size_t index, Row &row) const;
  /// Where each row has a plan or a knob of its own, empty lines would shift
  /// them.
  Error checkLines(ArrayRef<Request> requests) const;
  Expected<std::vector<float>>
  knobValues(size_t row, size_t rows,
             ArrayRef<std::pair<std::string, double>> ofRow) const;
  Expected<std::pair<std::string, int64_t>>
  planOf(size_t row, size_t rows, const std::optional<std::string> &own) const;

  Error prepareForward();
  Error runForward();
  Error runGeneration();
  Expected<std::string> textOf(size_t index,
                               const GeneratedRow &result) const;
  void show(TextStream &stream, std::optional<int64_t> token);
  Error writeRecords(const Generation &generation) const;
  void printText(const Generation &generation);
  Error printJSON(const Generation &generation);
  /// Warns of rows whose records hold nothing but zeros.
  void warnOfRecords(ArrayRef<int64_t> plans);
  void printTiming(const GenerationTiming &timing);
  bool countsEdits() const { return options.stats || options.assertSteered; }
  bool streams() const {
    return !options.json && rows.size() == 1 && out.is_displayed();
  }

  const RunOptions &options;
  raw_fd_ostream &out, &err;
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

Expected<std::vector<float>>
Job::knobValues(size_t row, size_t count,
                ArrayRef<std::pair<std::string, double>> ofRow) const {
  const Manifest &manifest = program->manifest();
  std::vector<float> values;
  for (const Manifest::Knob &knob : manifest.knobs)
    values.push_back(static_cast<float>(knob.defaultValue));
  auto set = [&](const std::pair<std::string, double> &knob) -> Error {
    Expected<size_t> index = manifest.knobIndex(knob.first);
    if (!index)
      return index.takeError();
    const Manifest::Knob &declared = manifest.knobs[*index];
    if (!(knob.second >= declared.min && knob.second <= declared.max))
      return fail("knob '{0}' is {1}; its range is {2}..{3}", knob.first,
                  shortNumber(knob.second), shortNumber(declared.min),
                  shortNumber(declared.max));
    values[*index] = static_cast<float>(knob.second);
    return Error::success();
  };
  for (const auto &[name, numbers] : commonKnobs) {
    if (numbers.size() > 1 && numbers.size() != count)
      return fail("--knob gives {0} values of '{1}' for {2} rows",
                  numbers.size(), name, count);
    if (Error error =
            set({name, numbers.size() > 1 ? numbers[row] : numbers.front()}))
      return std::move(error);
  }
  for (const auto &knob : ofRow)
    if (Error error = set(knob))
      return std::move(error);
  return values;
}

Expected<std::pair<std::string, int64_t>>
Job::planOf(size_t row, size_t count,
            const std::optional<std::string> &own) const {
  const Manifest &manifest = program->manifest();
  if (options.plans.size() > 1 && options.plans.size() != count)
    return fail("--plan names {0} plans for {1} rows", options.plans.size(),
                count);
  std::string name =
      own                        ? *own
      : options.plans.size() > 1 ? options.plans[row]
      : !options.plans.empty()   ? options.plans.front()
      : !manifest.plans.empty()  ? manifest.plans.front()
                                 : Manifest::unsteered.str();
  Expected<int64_t> index = manifest.planIndex(name);
  if (!index)
    return index.takeError();
  return std::make_pair(name, *index);
}

Expected<std::vector<Request>> Job::readRequests() const {
  if (options.promptsFile.empty()) {
    std::vector<Request> out;
    for (const std::string &prompt : options.prompts)
      out.emplace_back().prompt = prompt;
    return out;
  }
  Expected<std::string> text = readText(options.promptsFile);
  if (!text)
    return text.takeError();
  if (sys::path::extension(options.promptsFile) != ".jsonl") {
    std::vector<Request> out = parsePromptLines(*text);
    if (out.empty())
      return fail("{0}: there is no prompt", options.promptsFile);
    return out;
  }
  Expected<std::vector<Request>> out = parseRequests(*text);
  if (!out)
    return fail("{0}: {1}", options.promptsFile, toString(out.takeError()));
  if (out->empty())
    return fail("{0}: there is no prompt", options.promptsFile);
  return out;
}

/// Messages that were checked when they were read.
bool endsWithAssistant(StringRef messages) {
  if (messages.empty())
    return false;
  Expected<json::Value> list = parseJSON(messages);
  if (!list) {
    consumeError(list.takeError());
    return false;
  }
  const json::Object *last = list->getAsArray()->back().getAsObject();
  return last->getString("role") == "assistant";
}

Error Job::prepareRow(size_t index, Row &row) const {
  Request &request = row.request;
  GenerationRow &generation = row.generation;
  bool isChat = options.chat || !request.messages.empty();
  row.text = request.prompt;
  if (isChat) {
    ChatOptions chatOptions;
    chatOptions.continueFinalMessage = options.continueMessage;
    chatOptions.tools = request.tools;
    if (options.continueMessage && !endsWithAssistant(request.messages))
      return fail("--continue goes on with an assistant's message, which has to "
                  "be the last of \"messages\"");
    Expected<std::unique_ptr<ChatTemplate>> chat =
        program->loadChatTemplate(options.chatTemplate, !request.tools.empty());
    if (!chat)
      return chat.takeError();
    Expected<std::string> text = (*chat)->render(
        request.messages.empty() ? chatMessages(options.system, request.prompt)
                                 : request.messages,
        chatOptions);
    if (!text)
      return text.takeError();
    row.text = std::move(*text);
  }
  // A chat template writes the special tokens itself.
  Expected<std::vector<int64_t>> tokens = tokenizer->encode(row.text, !isChat);
  if (!tokens)
    return tokens.takeError();
  generation.prompt = std::move(*tokens);

  Expected<std::pair<std::string, int64_t>> plan =
      planOf(index, rows.size(), request.plan);
  if (!plan)
    return plan.takeError();
  std::tie(row.plan, generation.plan) = std::move(*plan);
  Expected<std::vector<float>> knobs =
      knobValues(index, rows.size(), request.knobs);
  if (!knobs)
    return knobs.takeError();
  generation.knobs = std::move(*knobs);
  generation.sampling.temperature =
      request.temperature.value_or(options.temperature);
  generation.sampling.topP = request.topP.value_or(options.topP);
  generation.sampling.seed = request.seed.value_or(options.seed + index);
  generation.sampling.topK = request.topK.value_or(options.topK);
  generation.sampling.repetitionPenalty =
      request.repetitionPenalty.value_or(options.repetitionPenalty);
  generation.sampling.frequencyPenalty =
      request.frequencyPenalty.value_or(options.frequencyPenalty);
  Expected<StopStrings> stops =
      StopStrings::make(request.stop.value_or(options.stop));
  if (!stops)
    return stops.takeError();
  row.stops = std::move(*stops);
  return Error::success();
}

Error Job::checkLines(ArrayRef<Request> requests) const {
  bool byRow = options.plans.size() > 1 ||
               any_of(commonKnobs, [](const KnobAssignment &knob) {
                 return knob.second.size() > 1;
               });
  for (auto [index, request] : enumerate(requests))
    if (byRow && request.line > index + 1)
      return fail("{0}: line {1} is empty; with a plan or a knob for each row "
                  "every line has to be one",
                  options.promptsFile, index + 1);
  return Error::success();
}

Error Job::prepareRows() {
  if (!is_contained(program->archive().records(), tokenizerRecord))
    return fail("{0}: the program has no tokenizer, so that it cannot read a "
                "text; give token ids with --ids",
                options.program);
  Expected<std::unique_ptr<Tokenizer>> loaded = program->loadTokenizer();
  if (!loaded)
    return loaded.takeError();
  tokenizer = std::move(*loaded);
  Expected<std::vector<Request>> requests = readRequests();
  if (!requests)
    return requests.takeError();
  if (Error error = checkLines(*requests))
    return error;
  for (Request &request : *requests)
    rows.emplace_back().request = std::move(request);
  Generator generator(program->manifest(), program->model(), *engine);
  for (auto [index, row] : enumerate(rows)) {
    Error error = prepareRow(index, row);
    if (!error)
      error = generator.check(row.generation);
    if (error)
      return row.request.line > index + 1
                 ? fail("row {0} (line {1}): {2}", index, row.request.line,
                        toString(std::move(error)))
                 : fail("row {0}: {1}", index, toString(std::move(error)));
  }
  std::vector<int64_t> plans;
  for (const Row &row : rows)
    plans.push_back(row.generation.plan);
  warnOfRecords(plans);
  return Error::success();
}

void Job::warnOfRecords(ArrayRef<int64_t> plans) {
  if (options.recordFile.empty())
    return;
  std::vector<std::string> empty;
  for (auto [row, plan] : enumerate(plans))
    if (!program->manifest().planRecords(plan))
      empty.push_back(std::to_string(row));
  if (!empty.empty())
    err << "weir-run: warning: --record: the plan of row"
        << (empty.size() > 1 ? "s " : " ") << join(empty, ", ")
        << " records nothing, so that the values are zeros\n";
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

/// The records of rows of different lengths in one array a record, padded with
/// zeros; "input_ids" tells the padding (-1), "prompt_length" where the
/// generated tokens begin.
Error Job::writeRecords(const Generation &generation) const {
  const std::vector<Manifest::Record> &records = program->manifest().records;
  int64_t count = rows.size(), longest = 0;
  for (auto [row, result] : zip(rows, generation.rows))
    longest = std::max<int64_t>(
        longest, row.generation.prompt.size() + result.tokens.size());
  at::Tensor tokens = at::full({count, longest}, -1, at::kLong);
  at::Tensor lengths = at::empty({count}, at::kLong);
  std::vector<NamedTensor> tensors;
  for (auto [index, row] : enumerate(rows)) {
    int64_t *to = tokens.mutable_data_ptr<int64_t>() + index * longest;
    to = llvm::copy(row.generation.prompt, to);
    llvm::copy(generation.rows[index].tokens, to);
    lengths.mutable_data_ptr<int64_t>()[index] = row.generation.prompt.size();
  }
  tensors.push_back({roleName(InputRole::InputIds).str(), viewOf(tokens)});
  tensors.push_back({roleName(InputRole::PromptLength).str(), viewOf(lengths)});
  for (auto [index, record] : enumerate(records)) {
    int64_t width = generation.recordWidths[index];
    at::Tensor values = at::zeros({count, longest, width}, at::kFloat);
    for (auto [row, result] : enumerate(generation.rows))
      llvm::copy(result.records[index],
                 values.mutable_data_ptr<float>() + row * longest * width);
    tensors.push_back({record.name, viewOf(values)});
  }
  return writeNpz(options.recordFile, tensors);
}

/// What a row says, up to the stop string that ended it.
Expected<std::string> Job::textOf(size_t index,
                                  const GeneratedRow &result) const {
  Expected<std::string> text = tokenizer->decode(result.tokens);
  if (!text)
    return text;
  return rows[index].stops.before(*text).str();
}

/// Writes what a new token adds to the text, but no part of a stop string; the
/// rest when there is no more token.
void Job::show(TextStream &stream, std::optional<int64_t> token) {
  if (token) {
    Expected<std::string> text = stream.push(*token);
    if (text)
      streamed += *text;
    else
      consumeError(text.takeError());
  } else {
    streamed += stream.finish();
  }
  const StopStrings &stops = rows.front().stops;
  StringRef text = stops.before(streamed);
  if (token && text.size() == streamed.size())
    text = text.drop_back(stops.undecided(text));
  out << text.drop_front(std::min(shown, text.size()));
  shown = std::max(shown, text.size());
  out.flush();
}

void Job::printText(const Generation &generation) {
  for (auto [index, row] : enumerate(rows)) {
    if (rows.size() > 1)
      out << "--- " << index << " " << row.plan << "\n";
    Expected<std::string> text = textOf(index, generation.rows[index]);
    if (text)
      out << *text << "\n";
    else
      out << toString(text.takeError()) << "\n";
  }
}

double perSecond(int64_t tokens, double seconds) {
  return seconds > 0 ? tokens / seconds : 0;
}

Error Job::printJSON(const Generation &generation) {
  json::Array list;
  for (auto [index, row] : enumerate(rows)) {
    const GeneratedRow &result = generation.rows[index];
    Expected<std::string> text = textOf(index, result);
    if (!text)
      return text.takeError();
    json::Object knobs;
    for (auto [knob, value] :
         zip(program->manifest().knobs, row.generation.knobs))
      knobs[knob.name] = value;
    list.push_back(json::Object{
        {"prompt", row.text},
        {"prompt_tokens", static_cast<int64_t>(row.generation.prompt.size())},
        {"plan", row.plan},
        {"knobs", std::move(knobs)},
        {"seed", row.generation.sampling.seed},
        {"text", *text},
        {"tokens", json::Array(result.tokens)},
        {"finish", nameOf(result.finish)}});
  }
  const GenerationTiming &timing = generation.timing;
  auto phase = [](int64_t tokens, double seconds) {
    return json::Object{{"tokens", tokens},
                        {"seconds", seconds},
                        {"tokens_per_second", perSecond(tokens, seconds)}};
  };
  json::Object value{
      {"weir", 1},
      {"model", program->model().model},
      {"engine", engine->name()},
      {"threads", at::get_num_threads()},
      {"rows", std::move(list)},
      {"prefill", phase(timing.prefillTokens, timing.prefillSeconds)},
      {"decode", phase(timing.decodeTokens, timing.decodeSeconds)}};
  if (std::shared_ptr<InputFile> file = program->archive().file())
    if (std::optional<ProcessMemory> memory = processMemory(*file))
      value["memory"] =
          json::Object{{"own_bytes", static_cast<int64_t>(memory->own)},
                       {"state_bytes", static_cast<int64_t>(memory->state)},
                       {"mapped_bytes", static_cast<int64_t>(memory->mapped)}};
  if (options.stats)
    value["stats"] = stats->toJSON();
  out << formatv("{0:2}", json::Value(std::move(value))) << "\n";
  return Error::success();
}

void Job::printTiming(const GenerationTiming &timing) {
  auto line = [&](StringRef phase, int64_t tokens, double seconds) {
    err << phase << ": " << tokens << " tokens, "
        << llvm::format("%.3f s, %.1f tokens/s", seconds,
                        perSecond(tokens, seconds))
        << "\n";
  };
  line("prefill", timing.prefillTokens, timing.prefillSeconds);
  line("decode", timing.decodeTokens, timing.decodeSeconds);
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

} // namespace

int runJob(const RunOptions &options, raw_fd_ostream &out,
           raw_fd_ostream &err) {
  return Job(options, out, err).run();
}

} // namespace weir
