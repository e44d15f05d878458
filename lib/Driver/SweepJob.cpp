//===- SweepJob.cpp - What weirc sweep does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/SweepJob.h"

#include "MeasuringJob.h"
#include "ModelTokenizer.h"
#include "ScratchProgram.h"
#include "SpecEdit.h"
#include "SweepForms.h"

#include "weir/Driver/Judge.h"
#include "weir/Driver/MatchChains.h"
#include "weir/Runtime/TextScores.h"
#include "weir/Spec/Locations.h"
#include "weir/Spec/Spec.h"
#include "weir/Support/Files.h"
#include "weir/Support/JsonLines.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace mlir;
using namespace weir;
using llvm::createStringError;

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

std::string weir::shortestFloat(double number) {
  std::string text;
  for (int digits = 6; digits <= 9; ++digits) {
    text.clear();
    llvm::raw_string_ostream(text)
        << llvm::format("%.*g", digits, static_cast<double>(
                                            static_cast<float>(number)));
    if (std::strtof(text.c_str(), nullptr) == static_cast<float>(number))
      break;
  }
  return text == "-0" ? "0" : text;
}

llvm::Expected<SweptKnob> SweptKnob::parse(StringRef text) {
  auto [name, numbers] = text.split('=');
  auto wrong = [&](const Twine &what) {
    return createStringError("'" + text + "': " + what);
  };
  SmallVector<StringRef> parts;
  numbers.split(parts, ':');
  if (name.empty() || numbers.empty() ||
      (parts.size() != 1 && parts.size() != 3))
    return wrong("a knob is swept by NAME=FIRST:LAST:COUNT and set by "
                 "NAME=NUMBER");
  SweptKnob knob{name.str(), {}, parts.size() == 3};
  double ends[2] = {0, 0};
  for (size_t i = 0; i < std::min<size_t>(parts.size(), 2); ++i)
    if (parts[i].getAsDouble(ends[i]) ||
        !std::isfinite(static_cast<float>(ends[i])))
      return wrong("'" + parts[i] + "' is no finite number");
  int64_t count = 1;
  if (knob.isSwept &&
      (parts[2].getAsInteger(10, count) || count < 1 || count > 10000))
    return wrong("'" + parts[2] + "' is no count from 1 to 10,000");
  for (int64_t i = 0; i < count; ++i) {
    const double share =
        count == 1 ? 0 : static_cast<double>(i) / static_cast<double>(count - 1);
    const double value = ends[0] + (ends[1] - ends[0]) * share;
    knob.values.push_back(std::strtod(shortestFloat(value).c_str(), nullptr));
  }
  return knob;
}

llvm::Error SweepOptions::check() const {
  const int64_t swept =
      llvm::count_if(knobs, [](const SweptKnob &knob) { return knob.isSwept; });
  if (swept != 1)
    return createStringError("one knob is swept, by --knob NAME=FIRST:LAST:COUNT");
  for (size_t i = 0; i < knobs.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (knobs[i].name == knobs[j].name)
        return createStringError("--knob: '" + knobs[i].name +
                                 "' is given twice");
  const bool generates = !prompts.empty() || !promptsFile.empty();
  if (text.empty() && !generates)
    return createStringError("give --text, or --prompt or --prompts, or both");
  if (!prompts.empty() && !promptsFile.empty())
    return createStringError("give one of --prompt and --prompts");
  const int scores =
      !words.empty() + !regex.empty() + !feature.empty() + !judge.empty();
  if (scores > 1)
    return createStringError(
        "give one of --words, --regex, --feature and --judge");
  if (scores && !generates)
    return createStringError("what rates texts needs --prompt or --prompts");
  if (!output.empty() && !scores)
    return createStringError("--write needs something that rates texts: --words, "
                             "--regex, --feature or --judge");
  if (samples > 1 && temperature == 0)
    return createStringError("--samples needs a --temperature: without one all "
                             "are the same");
  if (topP <= 0)
    return createStringError("--top-p has to be above 0");
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// The job
//===----------------------------------------------------------------------===//

namespace {

/// The plan and the policy that read a feature of texts. Names in a spec begin
/// with a letter.
constexpr StringLiteral readerName = "0-reader";

class Sweeper : MeasuringJob {
public:
  Sweeper(MLIRContext &context, Compiler &compiler, const SweepOptions &options)
      : MeasuringJob(context, compiler, options.threads, options.progress),
        options(options) {}

  FailureOr<Sweep> run();

private:
  LogicalResult checkKnobs();
  LogicalResult findForms();
  LogicalResult addReader();
  LogicalResult openProgram();
  LogicalResult readPrompts();
  LogicalResult measureLosses();
  LogicalResult generate();
  FailureOr<std::vector<std::vector<int64_t>>>
  tokensOf(ArrayRef<PromptRow> rows, ContinueOptions how);
  LogicalResult rate(ArrayRef<std::vector<int64_t>> tokens);
  LogicalResult rateAlone(const TextScore &score);
  LogicalResult rateByFeature(ArrayRef<std::vector<int64_t>> tokens);
  LogicalResult rateByJudge();
  void setScores(ArrayRef<double> scores);
  void chooseBest();
  LogicalResult writeSpec();

  const SweptKnob &swept() const {
    return *llvm::find_if(options.knobs,
                          [](const SweptKnob &knob) { return knob.isSwept; });
  }
  /// The points, the plain model's first.
  size_t numPoints() const { return 1 + result.points.size(); }
  Sweep::Point &point(size_t at) {
    return at == 0 ? result.plain : result.points[at - 1];
  }
  /// Texts of each point.
  size_t textsOfPoint() const { return prompts.size() * options.samples; }

  const SweepOptions &options;
  OwningOpRef<ModuleOp> spec;
  std::unique_ptr<SteeredProgram> program;
  std::vector<RowSetting> settings; ///< of the points, the plain one first
  std::vector<std::vector<int64_t>> prompts;
  std::unique_ptr<Tokenizer> tokenizer;
  Sweep result;
};

} // namespace

template <typename Op>
static Op findByName(ModuleOp module, StringRef name,
                     SmallVectorImpl<StringRef> &known) {
  known.clear();
  for (auto op : module.getOps<Op>()) {
    if (specName(op.getSymName()) == name)
      return op;
    known.push_back(specName(op.getSymName()));
  }
  return nullptr;
}

static std::string listed(ArrayRef<StringRef> names) {
  return names.empty() ? "none" : llvm::join(names, ", ");
}

LogicalResult Sweeper::checkKnobs() {
  SmallVector<StringRef> known;
  if (options.plan.empty()) {
    auto plans = spec->getOps<steer::PlanOp>();
    if (plans.empty())
      return error() << "the spec has no plan";
    result.plan = specName((*plans.begin()).getSymName()).str();
  } else {
    result.plan = options.plan;
  }
  auto plan = findByName<steer::PlanOp>(*spec, result.plan, known);
  if (!plan)
    return error() << "--plan: the spec has no plan '" << result.plan
                   << "'; it has " << listed(known);
  for (const SweptKnob &given : options.knobs) {
    auto knob = findByName<steer::KnobOp>(*spec, given.name, known);
    if (!knob)
      return error() << "--knob: the spec has no knob '" << given.name
                     << "'; it has " << listed(known);
    for (double value : given.values)
      if ((knob.getMin() && value < knob.getMin()->convertToDouble()) ||
          (knob.getMax() && value > knob.getMax()->convertToDouble()))
        return emitError(spec::locationOf(knob, "range"))
               << "--knob: " << shortestFloat(value)
               << " is outside of the range of the knob '" << given.name << "'";
    if (!given.isSwept)
      continue;
    auto reference = FlatSymbolRefAttr::get(knob.getSymNameAttr());
    bool isUsed = llvm::any_of(
        plan.getPolicies().getAsRange<FlatSymbolRefAttr>(),
        [&](FlatSymbolRefAttr name) {
          auto policy = spec->lookupSymbol<steer::PolicyOp>(name.getAttr());
          return policy && policy.getTimesAttr() == reference;
        });
    if (!isUsed)
      return emitError(knob.getLoc())
             << "--knob: no policy of the plan '" << result.plan
             << "' has `times: " << given.name
             << "`, so that all its values would give the same";
  }
  result.knob = swept().name;
  return success();
}

LogicalResult Sweeper::findForms() {
  if (options.policy.empty()) {
    result.forms.push_back(
        {"as written", result.plan, "", "", "", std::nullopt});
    return success();
  }
  Compiler resolver(context, inner(), compiler.opened());
  if (failed(resolver.load(specWithoutProgram(*spec))) ||
      failed(resolver.steer()))
    return failure();
  auto forms = addForms(*spec, resolver.module(), *compiler.opened(),
                        result.plan, options.policy);
  if (failed(forms))
    return failure();
  result.forms = std::move(*forms);
  return success();
}

/// A plan that changes nothing and records the feature that rates texts.
LogicalResult Sweeper::addReader() {
  if (options.feature.empty())
    return success();
  auto feature = FollowedFeature::parse(options.feature);
  if (!feature)
    return error() << "--feature: " << llvm::toString(feature.takeError());
  flow::CollectionOp collection;
  SmallVector<StringRef> known;
  for (auto each : spec->getOps<flow::CollectionOp>()) {
    known.push_back(specName(each.getSymName()));
    if (feature->dictionary.empty() || known.back() == feature->dictionary)
      collection = collection ? collection : each;
  }
  if (!collection || (feature->dictionary.empty() && known.size() > 1))
    return error() << "--feature: name one of the spec's dictionaries: "
                   << listed(known);
  auto kind = fx::symbolizeSiteKind(feature->site);
  if (!kind)
    return error() << "--feature: there is no site '" << feature->site << "'";
  OpBuilder builder = OpBuilder::atBlockEnd(spec->getBody());
  auto attribute = flow::FeatureAttr::get(
      &context, FlatSymbolRefAttr::get(collection.getSymNameAttr()), *kind,
      feature->layer, feature->index);
  if (!collection.covers(attribute.getSite()))
    return emitError(collection.getLoc())
           << "--feature: it has no dictionary at " << attribute.getSite().str();
  result.feature = options.feature;
  result.label = flow::labelsOf(*spec).lookup(attribute).str();
  // What is wrong with the feature is told at its dictionary.
  Location where = collection.getLoc();
  auto features = flow::SelectOp::create(
      builder, where, builder.getArrayAttr({attribute}), UnitAttr());
  std::string policy = (readerName + "-policy").str();
  steer::PolicyOp::create(builder, where, builder.getStringAttr(policy),
                          steer::RecordAttr::get(&context, /*after=*/false),
                          features);
  steer::PlanOp::create(
      builder, where, builder.getStringAttr(readerName),
      builder.getArrayAttr({FlatSymbolRefAttr::get(&context, policy)}));
  return success();
}

LogicalResult Sweeper::openProgram() {
  auto opened = openSteered(*spec);
  if (failed(opened))
    return failure();
  program = std::move(*opened);

  const Manifest &manifest = program->manifest();
  RowSetting setting;
  for (const Manifest::Knob &knob : manifest.knobs)
    setting.knobs.push_back(static_cast<float>(knob.defaultValue));
  size_t column = 0;
  for (const SweptKnob &given : options.knobs) {
    auto index = manifest.knobIndex(given.name);
    if (!index)
      return error() << llvm::toString(index.takeError());
    if (given.isSwept)
      column = *index;
    else
      setting.knobs[*index] = static_cast<float>(given.values.front());
  }
  settings.push_back(setting); // without a plan
  for (auto [place, form] : llvm::enumerate(result.forms)) {
    auto plan = manifest.planIndex(form.plan);
    if (!plan)
      return error() << llvm::toString(plan.takeError());
    for (double value : swept().values) {
      setting.plan = *plan;
      setting.knobs[column] = static_cast<float>(value);
      settings.push_back(setting);
      Sweep::Point next;
      next.form = place;
      next.value = value;
      result.points.push_back(std::move(next));
    }
  }
  return success();
}

LogicalResult Sweeper::measureLosses() {
  if (options.text.empty())
    return success();
  auto windows = runtime->readWindows(options.text, compiler.settings().model,
                                      compiler.settings().operators,
                                      options.windows);
  if (!windows)
    return error() << llvm::toString(windows.takeError());
  auto losses = lossesOf(*program, *windows, settings, options.promptTokens,
                         result.resumedRows);
  if (failed(losses))
    return failure();
  bool isSteered = false;
  for (size_t at = 0; at < numPoints(); ++at) {
    point(at).loss = MeanOverWindows::of(losses->sums[at], losses->predicted);
    point(at).change = MeanOverWindows::ofChange(
        losses->sums[at], losses->sums[0], losses->predicted);
    isSteered |= !areEqualLosses(losses->sums[at], losses->sums[0]);
  }
  if (!isSteered)
    emitWarning(UnknownLoc::get(&context))
        << "no value of the knob changes anything on '" << options.text
        << "': the policies are for other tokens, or their features never fire "
           "(--prompt-tokens says how much of a window is a prompt)";
  return success();
}

/// One prompt a line, or JSON lines with a key "prompt".
static llvm::Expected<std::vector<std::string>> promptsOf(StringRef path) {
  auto text = readText(path);
  if (!text)
    return text.takeError();
  const bool isJSON = llvm::sys::path::extension(path) == ".jsonl";
  std::vector<std::string> prompts;
  StringRef rest = *text;
  rest.consume_front("\xEF\xBB\xBF"); // a byte order mark
  for (size_t number = 1; !rest.empty(); ++number) {
    StringRef line;
    std::tie(line, rest) = rest.split('\n');
    line.consume_back("\r");
    if (line.trim().empty())
      continue;
    if (!isJSON) {
      prompts.push_back(line.str());
      continue;
    }
    auto wrong = [&](const Twine &what) {
      return createStringError(path + ":" + Twine(number) + ": " + what);
    };
    auto value = parseJSONLine(line);
    if (!value)
      return wrong(llvm::toString(value.takeError()));
    const llvm::json::Object *object = value->getAsObject();
    std::optional<StringRef> prompt =
        object ? object->getString("prompt") : std::nullopt;
    if (!prompt || object->size() != 1)
      return wrong("a line is an object with a string \"prompt\" and nothing "
                   "else");
    prompts.push_back(prompt->str());
  }
  if (prompts.empty())
    return createStringError(path + ": there is no prompt");
  return prompts;
}

LogicalResult Sweeper::readPrompts() {
  result.prompts = options.prompts;
  if (!options.promptsFile.empty()) {
    auto read = promptsOf(options.promptsFile);
    if (!read)
      return error() << llvm::toString(read.takeError());
    result.prompts = std::move(*read);
  }
  if (result.prompts.empty())
    return success();
  auto archive = compiler.opened()->model();
  if (!archive)
    return error() << llvm::toString(archive.takeError());
  auto made = tokenizerOf(**archive);
  if (!made)
    return error() << llvm::toString(made.takeError());
  tokenizer = std::move(*made);
  for (auto [index, prompt] : llvm::enumerate(result.prompts)) {
    auto ids = tokenizer->encode(prompt);
    if (!ids)
      return error() << "prompt " << index << ": "
                     << llvm::toString(ids.takeError());
    prompts.push_back(std::move(*ids));
  }
  return success();
}

/// The texts of the rows, as many of them at a time as the program takes. A run that
/// was killed goes on behind those that it had finished.
FailureOr<std::vector<std::vector<int64_t>>>
Sweeper::tokensOf(ArrayRef<PromptRow> rows, ContinueOptions how) {
  llvm::json::Array asked;
  for (const PromptRow &row : rows)
    asked.push_back(llvm::json::Array{llvm::json::Array(row.prompt),
                                      describe(row.setting),
                                      std::to_string(row.seed)});
  std::vector<std::vector<int64_t>> tokens;
  auto log = openLog(
      llvm::json::Object{{"what", "texts"},
                         {"program", program->manifest().program.sha256},
                         {"rows", std::move(asked)},
                         {"newTokens", how.maxNewTokens},
                         {"temperature", how.temperature},
                         {"topP", how.topP},
                         {"topK", how.topK}},
      [&](PartReader part) {
        for (auto left = part.get<uint64_t>(); left > 0; --left)
          tokens.push_back(part.getAll<int64_t>());
      });
  if (failed(log))
    return failure();
  result.resumedTexts = static_cast<int64_t>(tokens.size() / settings.size());
  // Whole texts, so that all settings of one are of one batch where that is possible.
  const size_t together =
      std::max<size_t>(1, program->model().maxBatch / settings.size()) *
      settings.size();
  const int64_t most = static_cast<int64_t>(rows.size()) * how.maxNewTokens;
  while (tokens.size() < rows.size()) {
    const int64_t before = static_cast<int64_t>(tokens.size()) * how.maxNewTokens;
    how.progress = [&](int64_t count) {
      if (count % 16 == 0)
        stage("texts, " + Twine(before + count) + " of at most " + Twine(most) +
              " tokens");
    };
    auto some = program->generate(
        rows.slice(tokens.size(), std::min(together, rows.size() - tokens.size())),
        how);
    if (!some)
      return error() << llvm::toString(some.takeError());
    PartWriter part;
    part.put<uint64_t>(some->size());
    for (std::vector<int64_t> &text : *some) {
      part.putAll(ArrayRef(text));
      tokens.push_back(std::move(text));
    }
    if (llvm::Error problem = (*log)->append(part))
      return error() << llvm::toString(std::move(problem));
  }
  return tokens;
}

LogicalResult Sweeper::generate() {
  if (prompts.empty())
    return success();
  // All settings of a prompt are neighbours, so that they are of one batch.
  std::vector<PromptRow> rows;
  for (size_t text = 0; text < textsOfPoint(); ++text)
    for (const RowSetting &setting : settings)
      rows.push_back({prompts[text / options.samples], setting,
                      options.seed + text});
  ContinueOptions how;
  how.maxNewTokens = options.maxNewTokens;
  how.temperature = options.temperature;
  how.topP = options.topP;
  how.topK = options.topK;
  auto tokens = tokensOf(rows, how);
  if (failed(tokens))
    return failure();
  for (size_t at = 0; at < numPoints(); ++at) {
    double repeated = 0;
    std::array<double, 3> sums = {}, counts = {};
    for (size_t text = 0; text < textsOfPoint(); ++text) {
      const std::vector<int64_t> &ids = (*tokens)[text * settings.size() + at];
      auto decoded = tokenizer->decode(ids);
      if (!decoded)
        return error() << llvm::toString(decoded.takeError());
      point(at).texts.push_back(std::move(*decoded));
      repeated += repetition(ids);
      for (size_t n = 1; n <= sums.size(); ++n) {
        const double distinct = distinctNGrams(ids, n);
        if (std::isnan(distinct))
          continue;
        sums[n - 1] += distinct;
        counts[n - 1] += 1;
      }
    }
    point(at).repetition = repeated / static_cast<double>(textsOfPoint());
    for (size_t n = 0; n < sums.size(); ++n)
      point(at).distinct[n] = counts[n] > 0 ? sums[n] / counts[n] : 0;
  }
  return rate(*tokens);
}

LogicalResult Sweeper::rate(ArrayRef<std::vector<int64_t>> tokens) {
  if (!options.words.empty() || !options.regex.empty()) {
    auto score = options.words.empty() ? TextScore::regex(options.regex)
                                       : TextScore::words(options.words);
    if (!score)
      return error() << (options.words.empty() ? "--regex: " : "--words: ")
                     << llvm::toString(score.takeError());
    result.scoredBy = options.words.empty() ? "regex" : "words";
    return rateAlone(**score);
  }
  if (!options.feature.empty())
    return rateByFeature(tokens);
  if (!options.judge.empty())
    return rateByJudge();
  return success();
}

/// Means of the texts of each point; `scores` are by point, then text.
void Sweeper::setScores(ArrayRef<double> scores) {
  for (size_t at = 0; at < numPoints(); ++at) {
    double sum = 0;
    for (double score : scores.slice(at * textsOfPoint(), textsOfPoint()))
      sum += score;
    point(at).score = sum / static_cast<double>(textsOfPoint());
  }
}

LogicalResult Sweeper::rateAlone(const TextScore &score) {
  std::vector<double> scores;
  for (size_t at = 0; at < numPoints(); ++at)
    for (const std::string &text : point(at).texts) {
      auto rated = score.of(text);
      if (!rated)
        return error() << llvm::toString(rated.takeError());
      scores.push_back(*rated);
    }
  setScores(scores);
  return success();
}

/// How active the feature is when the model, unsteered, reads the texts: a plan
/// that adds a feature makes it active wherever it acts.
LogicalResult
Sweeper::rateByFeature(ArrayRef<std::vector<int64_t>> tokens) {
  stage("reading the texts");
  const Manifest &manifest = program->manifest();
  auto plan = manifest.planIndex(readerName);
  if (!plan)
    return error() << llvm::toString(plan.takeError());
  std::string record;
  for (const Manifest::Record &each : manifest.records)
    if (each.policy == (readerName + "-policy").str())
      record = each.name;
  std::vector<ReadRow> rows;
  for (size_t at = 0; at < numPoints(); ++at)
    for (size_t text = 0; text < textsOfPoint(); ++text) {
      ReadRow row{prompts[text / options.samples], 0};
      row.from = row.tokens.size();
      llvm::append_range(row.tokens, tokens[text * settings.size() + at]);
      rows.push_back(std::move(row));
    }
  auto means = program->readRecord(record, *plan, rows);
  if (!means)
    return error() << "--feature: " << llvm::toString(means.takeError());
  result.scoredBy = "feature";
  setScores(*means);
  return success();
}

LogicalResult Sweeper::rateByJudge() {
  stage("waiting for the judge");
  std::vector<llvm::json::Object> questions;
  for (size_t at = 0; at < numPoints(); ++at)
    for (auto [text, answer] : llvm::enumerate(point(at).texts))
      questions.push_back(llvm::json::Object{
          {"kind", "text"},
          {"prompt", llvm::json::fixUTF8(result.prompts[text / options.samples])},
          {"text", answer}});
  auto scores = Judge(options.judge, options.judgeSeconds)
                    .scores(std::move(questions));
  if (!scores)
    return error() << "--judge: " << llvm::toString(scores.takeError());
  result.scoredBy = "judge";
  setScores(*scores);
  return success();
}

void Sweeper::chooseBest() {
  auto isWithin = [&](const Sweep::Point &point) {
    return point.score && *point.score > *result.plain.score &&
           (!point.change || point.change->value <= options.maxLossIncrease) &&
           (!point.repetition || *point.repetition <= options.maxRepetition);
  };
  auto costOf = [](const Sweep::Point &point) {
    return std::abs(point.change ? point.change->value : point.value);
  };
  // Of equal scores the one that costs least.
  auto isBetter = [&](const Sweep::Point &a, std::optional<size_t> than) {
    if (!than)
      return true;
    const Sweep::Point &b = result.points[*than];
    return *a.score != *b.score ? *a.score > *b.score : costOf(a) < costOf(b);
  };
  for (auto [at, point] : llvm::enumerate(result.points)) {
    if (!isWithin(point))
      continue;
    if (isBetter(point, result.bestOfAll))
      result.bestOfAll = at;
    if (point.form == 0 && isBetter(point, result.best))
      result.best = at;
  }
}

LogicalResult Sweeper::writeSpec() {
  if (options.output.empty())
    return success();
  if (!result.bestOfAll)
    return error() << "--write: no setting has a higher score than the plain "
                      "model within --max-loss-increase "
                   << shortestFloat(options.maxLossIncrease)
                   << " and --max-repetition "
                   << shortestFloat(options.maxRepetition);
  auto text = readText(compiler.settings().spec);
  if (!text)
    return error() << llvm::toString(text.takeError());
  const Sweep::Point &best = result.points[*result.bestOfAll];
  const Sweep::Form &form = result.forms[best.form];
  SpecSetting setting;
  for (const SweptKnob &knob : options.knobs)
    setting.knobs.push_back(
        {knob.name,
         shortestFloat(knob.isSwept ? best.value : knob.values.front())});
  if (!form.value.empty()) {
    setting.policy = options.policy;
    setting.value = form.value;
    setting.schedule = form.schedule;
    setting.layers = form.layers;
  }
  auto edited = withSetting(*text, setting, &context);
  if (!edited)
    return error() << "--write: " << llvm::toString(edited.takeError());
  if (llvm::Error failed = writeTextAtomically(options.output, *edited))
    return error() << llvm::toString(std::move(failed));
  return success();
}

FailureOr<Sweep> Sweeper::run() {
  if (!options.output.empty())
    if (llvm::Error failed =
            checkEditedSpec(compiler.settings().spec, options.output))
      return error() << "--write: " << llvm::toString(std::move(failed));
  if (failed(compiler.load()))
    return failure();
  spec = specWithoutProgram(compiler.module());
  if (failed(checkKnobs()) || failed(findForms()) || failed(addReader()) ||
      failed(readPrompts()) || failed(openProgram()) ||
      failed(measureLosses()) || failed(generate()))
    return failure();
  chooseBest();
  // What was measured is shown all the same.
  result.isWritten = succeeded(writeSpec());
  return std::move(result);
}

FailureOr<Sweep> weir::sweep(MLIRContext &context, Compiler &compiler,
                             const SweepOptions &options) {
  return Sweeper(context, compiler, options).run();
}
