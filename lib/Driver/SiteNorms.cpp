//===- SiteNorms.cpp - How long the values of sites are on a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SiteNorms.h"

#include "Recorder.h"

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/Json.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <chrono>
#include <cmath>

using namespace mlir;
using namespace weir;
using llvm::createStringError;
using llvm::Twine;

/// A median of this many norms is known well enough: its error goes with the
/// square root of their number.
static constexpr int64_t mostTokens = 32768;

/// The name of a policy's record of a site's value.
static constexpr StringLiteral policyName = "norm";

/// A spec of the same model with one plan: record the values of sites.
static OwningOpRef<ModuleOp> makeRecordingSpec(ModuleOp spec,
                                               ArrayRef<flow::SiteAttr> sites) {
  MLIRContext *context = spec.getContext();
  Location loc = spec.getLoc();
  OwningOpRef<ModuleOp> result = ModuleOp::create(loc);
  OpBuilder builder = OpBuilder::atBlockEnd(result->getBody());
  for (auto model : spec.getOps<steer::ModelOp>()) {
    builder.clone(*model);
    loc = model.getLoc();
  }
  // Names in a spec have no dot, so these meet none of them.
  std::string policy = (policyName + ".policy").str();
  auto none =
      flow::SelectOp::create(builder, loc, builder.getArrayAttr({}), UnitAttr());
  steer::PolicyOp::create(
      builder, loc, builder.getStringAttr(policy),
      steer::RecordValueAttr::get(context, sites, /*after=*/false), none);
  steer::PlanOp::create(
      builder, loc, builder.getStringAttr("norm.plan"),
      builder.getArrayAttr({FlatSymbolRefAttr::get(context, policy)}));
  return result;
}

/// The median of norms, which are put into another order.
static double medianOf(std::vector<double> &norms) {
  auto middle = norms.begin() + static_cast<ptrdiff_t>(norms.size() / 2);
  std::nth_element(norms.begin(), middle, norms.end());
  double upper = *middle;
  if (norms.size() % 2 == 1)
    return upper;
  return (*std::max_element(norms.begin(), middle) + upper) / 2;
}

namespace {

class Measurement {
public:
  Measurement(const SiteNormOptions &options, ArrayRef<flow::SiteAttr> sites)
      : options(options), sites(sites),
        text(options.resources->pathOf(options.text)) {
    windows.maxTokens = mostTokens;
  }

  llvm::Expected<std::vector<double>> run();

private:
  llvm::Error makeKeys();
  /// Fills `medians` with what the cache has.
  llvm::Error lookUp(const ResultCache &cache);
  llvm::Error measureMissing(const ResultCache &cache);
  llvm::Error store(const ResultCache &cache, size_t site, double median,
                    size_t tokens);

  void stage(const Twine &message) const {
    if (options.stage)
      options.stage(message.str());
  }
  std::vector<size_t> missing() const {
    std::vector<size_t> list;
    for (auto [i, median] : llvm::enumerate(medians))
      if (!median)
        list.push_back(i);
    return list;
  }

  const SiteNormOptions &options;
  ArrayRef<flow::SiteAttr> sites;
  std::string text;
  WindowOptions windows;
  TorchRuntime *runtime = nullptr;
  std::vector<std::string> keys; ///< of the sites
  std::vector<std::optional<double>> medians;
};

} // namespace

llvm::Error Measurement::makeKeys() {
  auto archive = options.resources->model();
  if (!archive)
    return archive.takeError();
  auto modelHash = (*archive)->file()->sha256();
  if (!modelHash)
    return modelHash.takeError();
  auto textHash = sha256OfFile(text);
  if (!textHash)
    return textHash.takeError();
  // The module paths of the sites decide where they are.
  std::string siteMap;
  ModuleOp spec = options.spec;
  for (auto model : spec.getOps<steer::ModelOp>())
    if (model.getSites())
      llvm::raw_string_ostream(siteMap) << *model.getSites();
  for (flow::SiteAttr site : sites)
    keys.push_back(sha256(StringRef(printJSON(llvm::json::Object{
        {"what", "weir median norm 1"},
        {"torch", runtime->torchVersion()},
        {"model", *modelHash},
        {"sitePaths", siteMap},
        {"site", site.str()},
        {"text", *textHash},
        {"extension", llvm::sys::path::extension(text)},
        {"bos", windows.beginWithBos},
        {"skipFirst", windows.skipFirst},
        {"maxTokens", *windows.maxTokens}}))));
  return llvm::Error::success();
}

llvm::Error Measurement::lookUp(const ResultCache &cache) {
  for (size_t i : missing()) {
    auto entry = cache.find(keys[i]);
    if (!entry) {
      // A damaged entry is made anew.
      llvm::consumeError(entry.takeError());
      if (llvm::Error error = cache.remove(keys[i]))
        return error;
      continue;
    }
    if (!*entry)
      continue;
    auto stored = (**entry).tensor("median", DType::Float64, {1});
    if (!stored)
      return stored.takeError();
    medians[i] = stored->at(0);
  }
  return llvm::Error::success();
}

llvm::Error Measurement::store(const ResultCache &cache, size_t site,
                               double median, size_t tokens) {
  return cache.store(keys[site],
                     {NamedTensor::of("median", DType::Float64, {1}, &median)},
                     {{"about", "median norm of " + sites[site].str() +
                                    " text=" + options.text + ", " +
                                    std::to_string(tokens) + " tokens"}});
}

llvm::Error Measurement::measureMissing(const ResultCache &cache) {
  const std::vector<size_t> wanted = missing();
  std::vector<flow::SiteAttr> recorded;
  for (size_t i : wanted)
    recorded.push_back(sites[i]);

  stage("reading the text");
  auto read =
      runtime->readWindows(text, options.resources->options().model,
                           options.operators, windows);
  if (!read)
    return read.takeError();

  CompilerOptions compilerOptions;
  compilerOptions.operators = options.operators;
  compilerOptions.progress = options.stage;
  Compiler compiler(*options.spec->getContext(), compilerOptions,
                    options.resources);
  if (failed(compiler.load(makeRecordingSpec(options.spec, recorded))) ||
      failed(compiler.steer()))
    return createStringError("the values of these sites cannot be recorded; the "
                             "messages before this one say why");
  RecorderOptions recorder;
  recorder.folder = cache.activationFolder() + "/" + keys[wanted[0]] + ".recorder";
  if (std::error_code code =
          llvm::sys::fs::create_directories(cache.activationFolder()))
    return createStringError(code, "cannot make '" + cache.activationFolder() +
                                       "': " + code.message());
  for (flow::SiteAttr site : recorded)
    recorder.stream.records.push_back(
        (policyName + "." + fx::stringifySiteKind(site.getKind()) + "." +
         Twine(site.getLayer()))
            .str());
  recorder.operators = options.operators;
  recorder.stage = options.stage;
  auto source = openRecorder(compiler, *runtime, *read, std::move(recorder));
  if (!source)
    return source.takeError();

  std::vector<std::vector<double>> norms(recorded.size());
  while (!(*source)->atEnd()) {
    auto batch = (*source)->read();
    if (!batch)
      return batch.takeError();
    for (auto [record, of] : llvm::zip((*batch)->records, norms))
      for (size_t token = 0; token + 1 < record.starts.size(); ++token) {
        double squares = 0;
        for (int64_t at = record.starts[token]; at < record.starts[token + 1];
             ++at)
          squares += double(record.values[at]) * double(record.values[at]);
        of.push_back(std::sqrt(squares));
      }
    stage("measuring norms on " + options.text + ", " +
          Twine(norms.front().size()) + " of " + Twine(read->totalCounted()) +
          " tokens");
  }
  for (auto [site, of] : llvm::zip(wanted, norms)) {
    for (double norm : of)
      if (!std::isfinite(norm))
        return createStringError("the model's values at " + sites[site].str() +
                                 " on '" + options.text +
                                 "' are NaN or infinite");
    const size_t tokens = of.size();
    if (tokens == 0)
      return createStringError("'" + options.text + "' has no token that counts");
    medians[site] = medianOf(of);
    if (llvm::Error error = store(cache, site, *medians[site], tokens))
      return error;
  }
  return llvm::Error::success();
}

llvm::Expected<std::vector<double>> Measurement::run() {
  auto loaded = TorchRuntime::load();
  if (!loaded)
    return loaded.takeError();
  runtime = &*loaded;
  auto cache = options.resources->cache();
  if (!cache)
    return cache.takeError();
  if (llvm::Error error = makeKeys())
    return std::move(error);
  medians.resize(sites.size());
  if (llvm::Error error = lookUp(*cache))
    return std::move(error);
  if (std::vector<size_t> list = missing(); !list.empty()) {
    // Another process may have measured them while this one waited.
    auto lock = cache->lock(keys[list[0]]);
    if (!lock)
      return lock.takeError();
    if (llvm::Error error = lookUp(*cache))
      return std::move(error);
    if (!missing().empty())
      if (llvm::Error error = measureMissing(*cache))
        return std::move(error);
  }
  std::vector<double> result;
  for (const std::optional<double> &median : medians)
    result.push_back(*median);
  return result;
}

llvm::Expected<std::vector<double>>
weir::measureSiteNorms(const SiteNormOptions &options,
                       ArrayRef<flow::SiteAttr> sites) {
  if (options.resources->options().model.empty())
    return createStringError("measures the values of a model, which needs one");
  return Measurement(options, sites).run();
}
