//===- CollectActivations.cpp - Matching by activations, for tests ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads the dictionaries of a spec, collects, and writes for every pair p the
// arrays p.indices, p.pearson, p.together, p.first, p.second and p.jaccard
// [F, k], and for every site s the array s.fired [F], into an .npz. Progress goes
// to stderr, a line a batch.
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/ActivationMatching.h"
#include "weir/Driver/Compiler.h"
#include "weir/Program/TensorWriter.h"
#include "weir/Spec/Spec.h"
#include "weir/Torch/TensorMath.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

#include <CLI/CLI.hpp>

using namespace mlir;
using namespace weir;

namespace {

template <typename T>
NamedTensor array(std::string name, DType dtype, std::vector<int64_t> shape,
                  const std::vector<T> &values) {
  auto owner = std::make_shared<std::vector<T>>(values);
  TensorView view;
  view.dtype = dtype;
  view.shape.assign(shape.begin(), shape.end());
  view.data = reinterpret_cast<const std::byte *>(owner->data());
  view.owner = owner;
  return {std::move(name), view};
}

llvm::Error writeResult(const CollectedActivations &collected, int64_t k,
                        const std::string &path) {
  const matching::Coactivations &statistics = collected.statistics;
  std::vector<NamedTensor> arrays;
  for (size_t s = 0; s < statistics.numDictionaries(); ++s)
    arrays.push_back(array("site" + std::to_string(s) + ".fired", DType::Int64,
                           {statistics.features(s)},
                           statistics.fired(s).vec()));
  for (size_t p = 0; p < statistics.pairs().size(); ++p) {
    auto matches = statistics.matches(p, k);
    if (!matches)
      return matches.takeError();
    const std::vector<int64_t> shape = {matches->pearson.rows, k};
    const std::string name = "pair" + std::to_string(p);
    arrays.push_back(array(name + ".indices", DType::Int64, shape,
                           matches->pearson.indices));
    arrays.push_back(array(name + ".pearson", DType::Float64, shape,
                           matches->pearson.values));
    arrays.push_back(array(name + ".together", DType::Int64, shape,
                           matches->together.tokens));
    arrays.push_back(array(name + ".first", DType::Float64, shape,
                           matches->together.givenFirst));
    arrays.push_back(array(name + ".second", DType::Float64, shape,
                           matches->together.givenSecond));
    arrays.push_back(array(name + ".jaccard", DType::Float64, shape,
                           matches->together.jaccard));
  }
  return writeNpz(path, arrays);
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app{"collects activations of a spec's dictionaries over a text"};
  std::string spec, output;
  std::vector<std::string> sites;
  std::vector<std::string> pairs;
  int64_t k = 1;
  int threads = 0;
  ActivationMatchingOptions options;
  ResourceOptions resources;
  app.add_option("spec", spec)->required();
  app.add_option("--model", resources.model)->required();
  app.add_option("--text", options.text)->required();
  app.add_option("--site", sites, "COLLECTION/LAYER/SITE")->required();
  app.add_option("--pair", pairs, "A:B, indices of sites");
  app.add_option("-k", k);
  app.add_option("-o,--output", output)->required();
  app.add_option("--checkpoints", options.checkpoints);
  app.add_option("--checkpoint-seconds", options.checkpointSeconds);
  app.add_option("--record-bytes", options.recordBytes);
  app.add_option("--context", options.windows.context);
  app.add_flag("--bos", options.windows.beginWithBos);
  app.add_option("--skip-first", options.windows.skipFirst);
  app.add_option("--max-tokens", options.windows.maxTokens);
  app.add_option("--threads", threads);
  CLI11_PARSE(app, argc, argv);

  auto fail = [](const std::string &message) {
    llvm::errs() << "error: " << message << "\n";
    return 2;
  };
  if (threads > 0) {
    auto math = TensorMath::load();
    if (!math)
      return fail(llvm::toString(math.takeError()));
    math->setThreads(threads);
  }
  for (const std::string &text : sites) {
    SmallVector<StringRef> parts;
    StringRef(text).split(parts, '/');
    ActivationSite site;
    std::optional<fx::SiteKind> kind;
    if (parts.size() == 3)
      kind = fx::symbolizeSiteKind(parts[2]);
    if (!kind || parts[1].getAsInteger(10, site.layer))
      return fail("--site " + text);
    site.collection = parts[0].str();
    site.kind = *kind;
    options.sites.push_back(site);
  }
  for (const std::string &text : pairs) {
    auto [first, second] = StringRef(text).split(':');
    std::pair<size_t, size_t> pair;
    if (first.getAsInteger(10, pair.first) ||
        second.getAsInteger(10, pair.second))
      return fail("--pair " + text);
    options.pairs.push_back(pair);
  }

  DialectRegistry registry;
  registerCompilerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler printer(sources, &context);
  auto buffer = llvm::MemoryBuffer::getFile(spec);
  if (!buffer)
    return fail(spec + ": " + buffer.getError().message());
  sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
  OwningOpRef<ModuleOp> module = importSpec(sources, &context);
  if (!module)
    return 2;
  options.spec = *module;
  resources.base = llvm::sys::path::parent_path(spec).str();
  options.resources = Resources::create(resources);
  options.progress = [](const ActivationProgress &progress) {
    llvm::errs() << llvm::formatv("progress {0} {1} {2:f1}\n", progress.tokens,
                                  progress.totalTokens,
                                  progress.tokensPerSecond);
  };
  auto collected = collectCoactivations(options);
  if (!collected)
    return fail(llvm::toString(collected.takeError()));
  llvm::errs() << "key " << collected->key << "\nresumed "
               << collected->resumedTokens << "\n";
  if (llvm::Error error = writeResult(*collected, k, output))
    return fail(llvm::toString(std::move(error)));
  return 0;
}
