//===- ActivationMatching.cpp - Statistics of activations over a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/ActivationMatching.h"

#include "JobLock.h"
#include "Recorder.h"

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Driver/Compiler.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/Json.h"
#include "weir/Support/TemporaryFile.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;
using namespace weir;
using llvm::createStringError;
using llvm::Twine;
using matching::Coactivations;
namespace fs = llvm::sys::fs;

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

static std::string below(StringRef folder, const Twine &name) {
  SmallString<256> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

static std::string policyName(size_t index) {
  return "s" + std::to_string(index);
}

std::string weir::recordName(size_t index, const ActivationSite &site) {
  return policyName(index) + "." + fx::stringifySiteKind(site.kind).str() + "." +
         std::to_string(site.layer);
}

llvm::Expected<OwningOpRef<ModuleOp>>
weir::makeRecordingSpec(ModuleOp spec, ArrayRef<ActivationSite> sites) {
  MLIRContext *context = spec.getContext();
  OwningOpRef<ModuleOp> result = ModuleOp::create(spec.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(result->getBody());
  for (Operation &op : spec.getOps())
    if (isa<flow::CollectionOp, steer::ModelOp>(op))
      builder.clone(op);
  SmallVector<Attribute> policies;
  for (auto [index, site] : llvm::enumerate(sites)) {
    auto collection =
        result->lookupSymbol<flow::CollectionOp>(site.collection);
    if (!collection)
      return createStringError("there are no dictionaries '" + site.collection +
                               "'");
    // What is wrong at a site is told at the collection's place.
    Location loc = collection.getLoc();
    // Names in a spec have no dot, so these meet none of them.
    std::string policy = policyName(index) + ".policy";
    auto whole = flow::WholeSiteAttr::get(
        context, FlatSymbolRefAttr::get(collection.getSymNameAttr()), site.kind,
        site.layer);
    auto features = flow::SelectOp::create(
        builder, loc, builder.getArrayAttr({whole}), UnitAttr());
    steer::PolicyOp::create(builder, loc, builder.getStringAttr(policy),
                            steer::RecordAttr::get(context, /*after=*/false),
                            features);
    policies.push_back(FlatSymbolRefAttr::get(context, policy));
  }
  steer::PlanOp::create(builder, spec.getLoc(),
                        builder.getStringAttr("record.plan"),
                        builder.getArrayAttr(policies));
  return std::move(result);
}

namespace {

class Collection {
public:
  explicit Collection(const ActivationMatchingOptions &options)
      : options(options),
        compiler(*options.spec->getContext(), compilerOptions(options),
                 options.resources) {}

  llvm::Expected<CollectedActivations> run();

private:
  static CompilerOptions
  compilerOptions(const ActivationMatchingOptions &options) {
    CompilerOptions result;
    result.operators = options.operators;
    result.progress = options.stage;
    return result;
  }
  llvm::Error check() const;
  llvm::Error compile();
  llvm::Expected<std::string> makeKey();
  llvm::Expected<Coactivations::Checkpoint> begin(StringRef key);
  llvm::Error openRecorder(StringRef key);
  llvm::Error stream(Coactivations::Checkpoint &state);
  llvm::Error save(const Coactivations::Checkpoint &state) const;

  void stage(StringRef text) const {
    if (options.stage)
      options.stage(text);
  }
  std::string checkpointPath(StringRef key) const {
    return below(options.checkpoints, key + ".coactivations");
  }

  const ActivationMatchingOptions &options;
  Compiler compiler;
  /// Different sites, and which of them each of the options is.
  std::vector<ActivationSite> sites;
  std::vector<size_t> siteIndex;
  /// Of `sites`.
  std::vector<flow::DictionaryOp> dictionaries;
  TorchRuntime *runtime = nullptr;
  TokenWindows windows;
  std::unique_ptr<RecordedActivations> source;
};

} // namespace

llvm::Error Collection::check() const {
  if (options.sites.empty())
    return createStringError("there is no dictionary to read");
  for (auto [index, pair] : llvm::enumerate(options.pairs))
    for (size_t site : {pair.first, pair.second})
      if (site >= options.sites.size())
        return createStringError("pair " + Twine(index) + " names dictionary " +
                                 Twine(site) + " of " +
                                 Twine(options.sites.size()));
  return llvm::Error::success();
}

/// Up to merged patches: sites are found and dictionaries opened.
llvm::Error Collection::compile() {
  for (const ActivationSite &site : options.sites) {
    auto known = llvm::find(sites, site);
    siteIndex.push_back(known - sites.begin());
    if (known == sites.end())
      sites.push_back(site);
  }
  auto spec = makeRecordingSpec(options.spec, sites);
  if (!spec)
    return spec.takeError();
  if (failed(compiler.load(std::move(*spec))) ||
      failed(compiler.steer()))
    return createStringError(
        "the dictionaries cannot be read from this model; the messages before "
        "this one say why");
  MLIRContext *context = options.spec->getContext();
  for (const ActivationSite &site : sites) {
    auto collection =
        compiler.module().lookupSymbol<flow::CollectionOp>(site.collection);
    auto name = collection.dictionaryName(
        flow::SiteAttr::get(context, site.kind, site.layer));
    dictionaries.push_back(
        compiler.module().lookupSymbol<flow::DictionaryOp>(name));
  }
  return llvm::Error::success();
}

/// A hash of everything that a number of the result depends on.
llvm::Expected<std::string> Collection::makeKey() {
  auto archive = options.resources->model();
  if (!archive)
    return archive.takeError();
  auto modelHash = (*archive)->file()->sha256();
  if (!modelHash)
    return modelHash.takeError();
  auto textHash = sha256OfFile(options.text);
  if (!textHash)
    return textHash.takeError();
  flow::DictionaryStore store(compiler.module(), *options.resources);
  llvm::json::Array siteList, pairList;
  for (flow::DictionaryOp op : dictionaries) {
    auto dictionary = store.open(op.getSymName());
    if (!dictionary)
      return dictionary.takeError();
    auto hash = (*dictionary)->contentHash();
    if (!hash)
      return hash.takeError();
    siteList.push_back(llvm::json::Object{
        {"dictionary", *hash},
        {"kind", fx::stringifySiteKind(op.getReads().getKind())},
        {"layer", op.getReads().getLayer()}});
  }
  // The module paths of the sites decide where they are.
  std::string siteMap;
  for (auto model : compiler.module().getOps<steer::ModelOp>())
    if (model.getSites())
      llvm::raw_string_ostream(siteMap) << *model.getSites();
  for (const auto &[first, second] : options.pairs)
    pairList.push_back(llvm::json::Array{int64_t(siteIndex[first]),
                                         int64_t(siteIndex[second])});
  llvm::json::Array order;
  for (size_t index : siteIndex)
    order.push_back(int64_t(index));
  return sha256(StringRef(printJSON(llvm::json::Object{
      {"what", "weir coactivations 1"},
      {"torch", runtime->torchVersion()},
      {"model", *modelHash},
      {"sitePaths", siteMap},
      {"dictionaries", std::move(siteList)},
      {"sites", std::move(order)},
      {"pairs", std::move(pairList)},
      {"text", *textHash},
      {"extension", llvm::sys::path::extension(options.text)},
      {"context", windows.context()},
      {"bos", options.windows.beginWithBos},
      {"skipFirst", options.windows.skipFirst},
      {"maxTokens", options.windows.maxTokens.value_or(-1)},
      {"recordBytes", options.recordBytes}})));
}

/// Removes what a process that was killed while it wrote a checkpoint left. The
/// lock is held, so nobody is writing it now.
static void removeTemporaries(StringRef folder, StringRef key) {
  std::error_code code;
  for (fs::directory_iterator at(folder, code), end; at != end && !code;
       at.increment(code)) {
    StringRef name = llvm::sys::path::filename(at->path());
    if (name.starts_with(("." + key + ".").str()))
      removeAbandonedFile(at->path());
  }
}

/// The checkpoint, or statistics without a token.
llvm::Expected<Coactivations::Checkpoint> Collection::begin(StringRef key) {
  std::vector<int64_t> features;
  for (size_t index : siteIndex)
    features.push_back(dictionaries[index].getFeatures());
  auto fresh = Coactivations::make(features, options.pairs);
  if (!fresh)
    return fresh.takeError();
  Coactivations::Checkpoint state{std::move(*fresh), key.str(), 0};
  if (options.checkpoints.empty() || !fs::exists(checkpointPath(key)))
    return std::move(state);

  stage("reading the checkpoint");
  auto loaded = Coactivations::load(checkpointPath(key));
  if (!loaded)
    return loaded.takeError();
  int64_t tokens = 0;
  const int64_t count = static_cast<int64_t>(windows.size());
  for (int64_t at = 0; at < std::min(loaded->position, count); ++at)
    tokens += windows.counted(at);
  bool fits = loaded->key == key && loaded->position <= count &&
              loaded->statistics.tokens() == tokens &&
              loaded->statistics.pairs() == ArrayRef(options.pairs) &&
              loaded->statistics.numDictionaries() == features.size();
  for (size_t i = 0; fits && i < features.size(); ++i)
    fits = loaded->statistics.features(i) == features[i];
  if (!fits)
    return createStringError("'" + checkpointPath(key) +
                             "' is the checkpoint of another job; delete it to "
                             "start anew");
  return std::move(*loaded);
}

llvm::Error Collection::openRecorder(StringRef key) {
  RecorderOptions recorder;
  // The lock is held: what is there was left by a process that was killed.
  if (!options.checkpoints.empty())
    recorder.folder = below(options.checkpoints, key + ".recorder");
  for (size_t i = 0; i < sites.size(); ++i)
    recorder.stream.records.push_back(recordName(i, sites[i]));
  recorder.stream.recordBytes = options.recordBytes;
  recorder.operators = options.operators;
  recorder.stage = options.stage;
  auto opened =
      weir::openRecorder(compiler, *runtime, windows, std::move(recorder));
  if (!opened)
    return opened.takeError();
  source = std::move(*opened);
  return llvm::Error::success();
}

llvm::Error Collection::save(const Coactivations::Checkpoint &state) const {
  if (options.checkpoints.empty())
    return llvm::Error::success();
  return state.statistics.save(checkpointPath(state.key), state.key,
                               state.position);
}

llvm::Error Collection::stream(Coactivations::Checkpoint &state) {
  if (llvm::Error error = source->seek(state.position))
    return error;

  const Clock::time_point start = Clock::now();
  const int64_t before = state.statistics.tokens();
  Clock::time_point lastSaved = start;
  double saving = 0;
  std::vector<matching::SparseActivations> activations(siteIndex.size());
  while (!source->atEnd()) {
    auto batch = source->read();
    if (!batch)
      return batch.takeError();
    for (auto [index, rows] : llvm::zip(siteIndex, activations)) {
      const SparseRecord &record = (*batch)->records[index];
      rows = {record.starts, record.features, record.values};
    }
    if (llvm::Error error = state.statistics.add(activations))
      return createStringError(
          "windows " + Twine((*batch)->firstWindow) + " to " +
          Twine((*batch)->firstWindow + (*batch)->windows - 1) + ": " +
          llvm::toString(std::move(error)));
    state.position = static_cast<int64_t>(source->position());
    if (options.progress) {
      const int64_t tokens = state.statistics.tokens();
      options.progress({tokens, windows.totalCounted(),
                        (tokens - before) / secondsSince(start)});
    }
    const double waited = secondsSince(lastSaved);
    if (source->atEnd() ||
        waited < std::max(options.checkpointSeconds, 10 * saving))
      continue;
    const Clock::time_point saveStart = Clock::now();
    if (llvm::Error error = save(state))
      return error;
    saving = secondsSince(saveStart);
    lastSaved = Clock::now();
  }
  return save(state);
}

llvm::Expected<CollectedActivations> Collection::run() {
  if (llvm::Error error = check())
    return std::move(error);
  if (llvm::Error error = compile())
    return std::move(error);
  stage("reading the text");
  auto loaded = TorchRuntime::load();
  if (!loaded)
    return loaded.takeError();
  runtime = &*loaded;
  auto read = runtime->readWindows(options.text,
                                   options.resources->options().model,
                                   options.operators, options.windows);
  if (!read)
    return read.takeError();
  windows = std::move(*read);
  if (windows.totalCounted() > Coactivations::maxTokens)
    return createStringError("'" + options.text + "' has " +
                             Twine(windows.totalCounted()) +
                             " tokens; give a limit of at most " +
                             Twine(Coactivations::maxTokens));

  stage("hashing the model and the dictionaries");
  auto key = makeKey();
  if (!key)
    return key.takeError();
  std::unique_ptr<JobLock> lock;
  if (!options.checkpoints.empty()) {
    if (std::error_code code = fs::create_directories(options.checkpoints))
      return createStringError(code, "cannot make '" + options.checkpoints +
                                         "': " + code.message());
    auto taken = JobLock::take(below(options.checkpoints, *key + ".lock"),
                               "collecting these activations");
    if (!taken)
      return taken.takeError();
    lock = std::move(*taken);
    removeTemporaries(options.checkpoints, *key);
  }
  auto state = begin(*key);
  if (!state)
    return state.takeError();
  const int64_t resumed = state->statistics.tokens();
  if (state->position < static_cast<int64_t>(windows.size())) {
    if (llvm::Error error = openRecorder(*key))
      return std::move(error);
    stage("");
    if (llvm::Error error = stream(*state))
      return std::move(error);
  }
  return CollectedActivations{std::move(state->statistics), *key, resumed};
}

llvm::Expected<CollectedActivations>
weir::collectCoactivations(const ActivationMatchingOptions &options) {
  return Collection(options).run();
}
