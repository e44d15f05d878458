//===- EvaluateJob.cpp - What weirc evaluate does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/EvaluateJob.h"

#include "MeasuringJob.h"
#include "PairContexts.h"
#include "ScratchProgram.h"

#include "weir/Driver/Judge.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Spec/Spec.h"
#include "weir/Support/Hashing.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Path.h"

#include <chrono>
#include <cmath>

using namespace mlir;
using namespace weir;

MeanOverWindows MeanOverWindows::of(ArrayRef<double> sums,
                                    ArrayRef<int64_t> counts) {
  double sum = 0, tokens = 0, squares = 0;
  int64_t windows = 0;
  for (auto [part, count] : llvm::zip_equal(sums, counts)) {
    sum += part;
    tokens += static_cast<double>(count);
    windows += count > 0;
  }
  MeanOverWindows result;
  if (tokens == 0)
    return result;
  result.value = sum / tokens;
  for (auto [part, count] : llvm::zip_equal(sums, counts)) {
    const double off = part - result.value * static_cast<double>(count);
    squares += off * off;
  }
  if (windows > 1)
    result.halfWidth =
        1.96 * std::sqrt(squares * static_cast<double>(windows) /
                         static_cast<double>(windows - 1)) /
        tokens;
  return result;
}

MeanOverWindows MeanOverWindows::ofChange(ArrayRef<double> after,
                                          ArrayRef<double> before,
                                          ArrayRef<int64_t> counts) {
  std::vector<double> changes;
  for (auto [x, y] : llvm::zip_equal(after, before))
    changes.push_back(x - y);
  return of(changes, counts);
}

namespace {

/// One dictionary of the spec, and where its numbers come from.
struct EvaluatedDictionary {
  std::string symbol; ///< "sae.res.12"
  flow::CollectionOp collection;
  flow::SiteAttr site;
  size_t record = 0; ///< of its activations, among those that are read
  std::optional<size_t> values;
  std::optional<DictionaryStatistics> statistics;
};

class Evaluator : MeasuringJob {
public:
  Evaluator(MLIRContext &context, Compiler &compiler,
            const EvaluateOptions &options)
      : MeasuringJob(context, compiler, options.threads, options.progress),
        options(options) {}

  FailureOr<Evaluation> run();

private:
  LogicalResult readText();
  LogicalResult findMatches();
  LogicalResult measureLosses();
  LogicalResult prepareDictionaries();
  LogicalResult readActivations();
  LogicalResult stream(RecordedActivations &source, JobLog &log);
  LogicalResult count(const ActivationBatch &batch);
  std::vector<std::string> namesOfMatches() const;
  FailureOr<std::unique_ptr<JobLog>> openCounts(StringRef program,
                                                uint64_t &window);
  PartWriter counts(uint64_t window) const;
  LogicalResult judgePairs();

  const EvaluateOptions &options;
  OwningOpRef<ModuleOp> spec;
  TokenWindows windows;
  MatchReport matches;
  std::vector<EvaluatedDictionary> dictionaries;
  llvm::StringMap<size_t> dictionaryOf; ///< by symbol
  std::vector<std::string> records;
  std::vector<MatchStatistics> together;
  std::vector<size_t> matchOf; ///< of `together`: the entry of `matches`
  std::optional<PairContexts> contexts;
  /// Flags of features, all 0 between tokens.
  std::vector<std::vector<uint8_t>> active;
  Evaluation result;
};

} // namespace

LogicalResult Evaluator::readText() {
  stage("reading the text");
  if (failed(loadRuntime()))
    return failure();
  auto read = runtime->readWindows(options.text, compiler.settings().model,
                                   compiler.settings().operators,
                                   options.windows);
  if (!read)
    return error() << llvm::toString(read.takeError());
  windows = std::move(*read);
  result.text = options.text;
  result.windows = static_cast<int64_t>(windows.size());
  result.tokens = windows.totalCounted();
  result.context = windows.context();
  return success();
}

LogicalResult Evaluator::findMatches() {
  if (spec->getOps<flow::MatchingOp>().empty())
    return success();
  Compiler matcher(context, inner(), compiler.opened());
  if (failed(matcher.load(specWithoutProgram(*spec))) ||
      failed(matcher.match(matches)))
    return failure();
  for (const MatchEntry &entry : matches.entries()) {
    Evaluation::MatchScore score;
    score.matching = entry.matching;
    score.source = entry.source;
    score.target = entry.target;
    score.kind = entry.kind;
    score.steps = entry.steps;
    score.distance = entry.distance;
    score.sameKind = entry.sameKind;
    score.pairs = entry.cosines.count;
    score.cosine = entry.cosines.mean;
    result.matches.push_back(std::move(score));
  }
  return success();
}

LogicalResult Evaluator::measureLosses() {
  auto measured = openSteered(*spec);
  if (failed(measured))
    return failure();
  const Manifest &manifest = measured->program->manifest();
  std::vector<float> knobs;
  for (const Manifest::Knob &knob : manifest.knobs)
    knobs.push_back(static_cast<float>(knob.defaultValue));
  std::vector<RowSetting> settings{{Manifest::unsteeredIndex, knobs}};
  std::vector<int64_t> plans;
  for (int64_t plan = 0; plan < int64_t(manifest.plans.size()); ++plan)
    if (manifest.planEdits(plan)) {
      plans.push_back(plan);
      settings.push_back({plan, knobs});
    }
  auto losses = lossesOf(*measured, windows, settings, options.promptTokens,
                         result.resumedRows);
  if (failed(losses))
    return failure();
  for (int64_t count : losses->predicted)
    result.predicted += count;
  result.plain = MeanOverWindows::of(losses->sums[0], losses->predicted);
  for (auto [place, plan] : llvm::enumerate(plans)) {
    ArrayRef<double> plain = losses->sums[0], sums = losses->sums[1 + place];
    Evaluation::PlanLoss entry;
    entry.plan = manifest.plans[plan];
    entry.loss = MeanOverWindows::of(sums, losses->predicted);
    entry.change = MeanOverWindows::ofChange(sums, plain, losses->predicted);
    entry.hasNoEffect = areEqualLosses(sums, plain);
    if (entry.hasNoEffect)
      emitWarning(UnknownLoc::get(&context))
          << "plan '" << entry.plan
          << "' changes nothing on this text: its policies are for other "
             "tokens, or their features never fire, or a knob is 0 "
             "(--prompt-tokens says how much of a window is a prompt)";
    result.plans.push_back(std::move(entry));
  }
  return success();
}

/// What stands for autoencoders: others reconstruct nothing.
static bool isEvaluated(flow::Format format) {
  switch (format) {
  case flow::Format::Neurons:
  case flow::Format::Unembedding:
  case flow::Format::Directions:
  case flow::Format::Crosscoder:
    return false;
  default:
    return true;
  }
}

LogicalResult Evaluator::prepareDictionaries() {
  for (auto collection : spec->getOps<flow::CollectionOp>()) {
    if (!isEvaluated(collection.getFormat()))
      continue;
    for (int64_t layer = collection.getFirstLayer();
         layer <= int64_t(collection.getLastLayer()); ++layer)
      for (auto kind :
           collection.getSites().getAsRange<fx::SiteKindAttr>()) {
        EvaluatedDictionary entry;
        entry.collection = collection;
        entry.site = flow::SiteAttr::get(&context, kind.getValue(), layer);
        entry.symbol = collection.dictionaryName(entry.site);
        dictionaryOf[entry.symbol] = dictionaries.size();
        dictionaries.push_back(std::move(entry));
      }
  }
  for (auto [place, entry] : llvm::enumerate(matches.entries())) {
    auto source = dictionaryOf.find(entry.sourceDictionary);
    auto target = dictionaryOf.find(entry.targetDictionary);
    if (source == dictionaryOf.end() || target == dictionaryOf.end())
      continue;
    std::vector<int64_t> best;
    for (int64_t i = 0; i < entry.match.rows; ++i)
      best.push_back(entry.match.indices[i * entry.match.k]);
    together.emplace_back(source->second, target->second, std::move(best));
    matchOf.push_back(place);
  }
  return success();
}

/// None of a transcoder, which reconstructs another place than it reads.
static llvm::Expected<std::optional<Reconstruction>>
reconstructionOf(std::shared_ptr<const Dictionary> dictionary,
                 const ModelTraits &traits) {
  const DictionaryInfo &info = dictionary->info();
  if (!info.readsSite)
    return std::nullopt;
  auto bias = dictionary->decoderBias();
  if (!bias)
    return bias.takeError();
  const bool isCentred = info.centring == Centring::IfLayerNorm &&
                         traits.hasLayerNorm.value_or(false);
  return Reconstruction{std::move(dictionary), std::move(*bias), isCentred};
}

/// Records all features of the dictionaries in one plan, and all numbers of their
/// sites.
LogicalResult Evaluator::readActivations() {
  if (dictionaries.empty())
    return success();
  OwningOpRef<ModuleOp> module = ModuleOp::create(spec->getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  for (Operation &op : spec->getOps())
    if (isa<flow::CollectionOp, steer::ModelOp>(op))
      builder.clone(op);
  SmallVector<Attribute> policies;
  // Names in a spec have no dot, so these meet none of them.
  auto addPolicy = [&](const Twine &name, Location loc, Attribute action,
                       ArrayRef<Attribute> selectors) {
    std::string symbol = (name + ".policy").str();
    auto features = flow::SelectOp::create(
        builder, loc, builder.getArrayAttr(selectors), UnitAttr());
    steer::PolicyOp::create(builder, loc, builder.getStringAttr(symbol),
                            cast<steer::ActionAttrInterface>(action), features);
    policies.push_back(FlatSymbolRefAttr::get(&context, symbol));
  };
  auto recordAt = [](StringRef policy, flow::SiteAttr site) {
    return (policy + "." + fx::stringifySiteKind(site.getKind()) + "." +
            Twine(site.getLayer()))
        .str();
  };
  llvm::MapVector<flow::SiteAttr, size_t> sites; // records of values
  for (auto [place, entry] : llvm::enumerate(dictionaries)) {
    std::string name = "f" + std::to_string(place);
    auto whole = flow::WholeSiteAttr::get(
        &context, FlatSymbolRefAttr::get(entry.collection.getSymNameAttr()),
        entry.site.getKind(), entry.site.getLayer());
    addPolicy(name, entry.collection.getLoc(),
              steer::RecordAttr::get(&context, /*after=*/false), {whole});
    entry.record = records.size();
    records.push_back(recordAt(name, entry.site));
    sites.try_emplace(entry.site, 0);
  }
  SmallVector<flow::SiteAttr> all;
  for (auto &[site, record] : sites) {
    record = records.size();
    records.push_back(recordAt("x", site));
    all.push_back(site);
  }
  addPolicy("x", spec->getLoc(),
            steer::RecordValueAttr::get(&context, all, /*after=*/false), {});
  steer::PlanOp::create(builder, spec->getLoc(),
                        builder.getStringAttr("record.plan"),
                        builder.getArrayAttr(policies));

  Compiler recorder(context, inner(), compiler.opened());
  if (failed(recorder.load(std::move(module))) || failed(recorder.steer()))
    return failure();
  flow::DictionaryStore store(recorder.module(), *compiler.opened());
  for (EvaluatedDictionary &entry : dictionaries) {
    auto dictionary = store.open(entry.symbol);
    if (!dictionary)
      return error() << llvm::toString(dictionary.takeError());
    auto reconstruction = reconstructionOf(*dictionary, store.traits());
    if (!reconstruction)
      return emitError(entry.collection.getLoc())
             << llvm::toString(reconstruction.takeError());
    if (*reconstruction)
      entry.values = sites[entry.site];
    entry.statistics.emplace((*dictionary)->info().features,
                             std::move(*reconstruction));
  }
  if (contexts)
    contexts->choose(together, namesOfMatches(), dictionaries.size());

  std::unique_ptr<RecordedActivations> source;
  std::string program; // its hash
  ActivationStreamOptions streaming;
  streaming.records = records;
  streaming.recordBytes = options.recordBytes;
  if (failed(withScratchProgram(recorder, [&](StringRef path) -> llvm::Error {
        auto opened = runtime->openActivations(
            path, compiler.settings().model, compiler.settings().operators,
            windows, streaming);
        if (!opened)
          return opened.takeError();
        source = std::move(*opened);
        return hashOfProgram(path).moveInto(program);
      })))
    return failure();
  uint64_t window = 0;
  auto log = openCounts(program, window);
  if (failed(log))
    return failure();
  result.resumedWindows = static_cast<int64_t>(window);
  if (llvm::Error problem = source->seek(window))
    return error() << llvm::toString(std::move(problem));
  return stream(*source, **log);
}

/// Each of `together` by what it is a match of.
std::vector<std::string> Evaluator::namesOfMatches() const {
  std::vector<std::string> names;
  for (size_t place : matchOf) {
    const MatchEntry &entry = matches.entries()[place];
    names.push_back(entry.matching + " " + entry.sourceDictionary + " " +
                    entry.targetDictionary);
  }
  return names;
}

/// What was counted of all windows before `window`.
PartWriter Evaluator::counts(uint64_t window) const {
  PartWriter part;
  part.put(window);
  for (const EvaluatedDictionary &entry : dictionaries) {
    const DictionaryStatistics::State state = entry.statistics->state();
    part.putAll(ArrayRef(state.counts));
    part.putAll(ArrayRef(state.sums));
  }
  for (const MatchStatistics &match : together)
    part.putAll(match.counts());
  if (contexts)
    contexts->save(part);
  return part;
}

FailureOr<std::unique_ptr<JobLog>> Evaluator::openCounts(StringRef program,
                                                         uint64_t &window) {
  llvm::json::Array matched;
  for (const MatchStatistics &match : together)
    matched.push_back(sha256(
        StringRef(reinterpret_cast<const char *>(match.matches().data()),
                  match.matches().size() * sizeof(int64_t))));
  llvm::json::Object description{
      {"what", "activations"},
      {"program", program},
      {"windows", hashOf(windows)},
      {"matches", std::move(matched)},
      {"recordBytes", options.recordBytes},
      {"judgedPairs", contexts ? options.judgedPairs : -1},
      {"seed", contexts ? int64_t(options.seed) : -1}};
  return openLog(std::move(description), [&](PartReader part) {
    window = part.get<uint64_t>();
    bool fits = true;
    for (EvaluatedDictionary &entry : dictionaries) {
      DictionaryStatistics::State state;
      state.counts = part.getAll<int64_t>();
      state.sums = part.getAll<double>();
      fits &= entry.statistics->resume(state);
    }
    for (MatchStatistics &match : together)
      fits &= match.resume(part.getAll<int64_t>());
    if (contexts)
      contexts->resume(part);
    assert(fits && "the key says how many numbers there are");
    (void)fits;
  });
}

/// Keeps what was counted now and then, so that little is lost with a process, and
/// little time with keeping.
LogicalResult Evaluator::stream(RecordedActivations &source, JobLog &log) {
  using Clock = std::chrono::steady_clock;
  const auto interval = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(options.checkpointSeconds));
  Clock::duration writing{};
  Clock::time_point last = Clock::now();
  auto keep = [&]() -> LogicalResult {
    const Clock::time_point begin = Clock::now();
    if (llvm::Error problem = log.replace(counts(source.position())))
      return error() << llvm::toString(std::move(problem));
    last = Clock::now();
    writing = last - begin;
    return success();
  };
  const bool isThere = source.atEnd();
  while (!source.atEnd()) {
    auto read = source.read();
    if (!read)
      return error() << llvm::toString(read.takeError());
    if (failed(count(**read)))
      return failure();
    stage("activations, " + Twine(source.position()) + " of " +
          Twine(windows.size()) + " windows");
    if (Clock::now() - last >
            std::max(interval, 10 * writing) &&
        failed(keep()))
      return failure();
  }
  if (!isThere && failed(keep()))
    return failure();
  for (EvaluatedDictionary &entry : dictionaries) {
    const DictionaryStatistics &statistics = *entry.statistics;
    result.dictionaries.push_back(
        {specName(entry.collection.getSymName()).str(),
         fx::stringifySiteKind(entry.site.getKind()).str(),
         entry.site.getLayer(), int64_t(statistics.active().size()),
         statistics.silent(), statistics.l0(), statistics.explainedVariance()});
  }
  for (auto [match, place] : llvm::zip_equal(together, matchOf))
    result.matches[place].active =
        match.scores(dictionaries[match.source].statistics->active(),
                     dictionaries[match.target].statistics->active());
  return success();
}

LogicalResult Evaluator::count(const ActivationBatch &batch) {
  active.resize(dictionaries.size());
  for (auto [entry, flags] : llvm::zip_equal(dictionaries, active))
    flags.resize(entry.statistics->active().size(), 0);
  for (const SparseRecord &record : batch.records)
    for (float value : record.values)
      if (!std::isfinite(value))
        return error() << "windows " << batch.firstWindow << " to "
                       << batch.firstWindow + batch.windows - 1
                       << ": an activation is not finite";
  for (EvaluatedDictionary &entry : dictionaries)
    if (llvm::Error failed = entry.statistics->add(
            batch.records[entry.record],
            entry.values ? &batch.records[*entry.values] : nullptr))
      return emitError(entry.collection.getLoc())
             << llvm::toString(std::move(failed));
  auto features = [&](size_t dictionary, int64_t token) {
    const SparseRecord &record = batch.records[dictionaries[dictionary].record];
    return ArrayRef(record.features)
        .slice(record.starts[token],
               record.starts[token + 1] - record.starts[token]);
  };
  for (int64_t token = 0; token < batch.tokens; ++token) {
    auto mark = [&](uint8_t flag) {
      for (auto [place, flags] : llvm::enumerate(active)) {
        const SparseRecord &record = batch.records[dictionaries[place].record];
        for (int64_t at = record.starts[token]; at < record.starts[token + 1];
             ++at)
          if (record.values[at] > 0)
            flags[record.features[at]] = flag;
      }
    };
    mark(1);
    for (MatchStatistics &match : together) {
      SmallVector<int32_t> firing;
      for (int32_t feature : features(match.source, token))
        if (active[match.source][feature])
          firing.push_back(feature);
      match.add(firing, active[match.target]);
    }
    mark(0);
  }
  if (contexts)
    for (auto [place, entry] : llvm::enumerate(dictionaries))
      contexts->add(place, batch, batch.records[entry.record]);
  return success();
}

LogicalResult Evaluator::judgePairs() {
  if (!contexts)
    return success();
  stage("waiting for the judge");
  std::vector<llvm::json::Object> questions;
  const auto labels = flow::labelsOf(*spec);
  auto labelOf = [&](size_t dictionary, int64_t index) {
    const EvaluatedDictionary &entry = dictionaries[dictionary];
    auto collection = entry.collection;
    return labels
        .lookup(flow::FeatureAttr::get(
            &context, FlatSymbolRefAttr::get(collection.getSymNameAttr()),
            entry.site.getKind(), entry.site.getLayer(), index))
        .str();
  };
  for (const PairContexts::Pair &pair : contexts->pairs()) {
    const MatchEntry &entry = matches.entries()[matchOf[pair.match]];
    auto nameOf = [&](size_t dictionary, int64_t index) {
      return dictionaries[dictionary].site.str() + "/" + std::to_string(index);
    };
    const MatchStatistics &match = together[pair.match];
    Evaluation::JudgedPair judged;
    judged.matching = entry.matching;
    judged.source = nameOf(match.source, pair.feature);
    judged.target = nameOf(match.target, pair.partner);
    judged.sourceLabel = labelOf(match.source, pair.feature);
    judged.targetLabel = labelOf(match.target, pair.partner);
    judged.similarity = entry.match.values[pair.feature * entry.match.k];
    auto first = contexts->contextsOf(match.source, pair.feature);
    auto second = contexts->contextsOf(match.target, pair.partner);
    if (!first)
      return error() << llvm::toString(first.takeError());
    if (!second)
      return error() << llvm::toString(second.takeError());
    questions.push_back(llvm::json::Object{
        {"kind", "pair"},
        {"features", llvm::json::Array{judged.source, judged.target}},
        {"contexts",
         llvm::json::Array{std::move(*first), std::move(*second)}}});
    result.judged.push_back(std::move(judged));
  }
  auto verdicts =
      Judge(options.judge, options.judgeSeconds).verdicts(std::move(questions));
  if (!verdicts)
    return error() << "--judge: " << llvm::toString(verdicts.takeError());
  for (auto [judged, verdict] : llvm::zip_equal(result.judged, *verdicts))
    judged.verdict = verdict;
  return success();
}

FailureOr<Evaluation> Evaluator::run() {
  if (failed(compiler.load()))
    return failure();
  spec = specWithoutProgram(compiler.module());
  if (!options.judge.empty()) {
    if (spec->getOps<flow::MatchingOp>().empty())
      return error() << "--judge is asked about matched features, and the spec "
                        "has no section 'matches'";
    auto archive = compiler.opened()->model();
    if (!archive)
      return error() << llvm::toString(archive.takeError());
    auto made = PairContexts::make(**archive, windows, options.judgedPairs,
                                   options.seed);
    if (!made)
      return error() << "--judge: " << llvm::toString(made.takeError());
    contexts.emplace(std::move(*made));
  }
  if (failed(readText()) || failed(findMatches()) || failed(measureLosses()) ||
      failed(prepareDictionaries()) || failed(readActivations()) ||
      failed(judgePairs()))
    return failure();
  return std::move(result);
}

FailureOr<Evaluation> weir::evaluate(MLIRContext &context, Compiler &compiler,
                                     const EvaluateOptions &options) {
  return Evaluator(context, compiler, options).run();
}
