//===- Resources.h - What a compilation opens, once ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The model's archive, the dictionaries, the cache of matches and what can run a
// text through the model. A driver and the passes that it builds share one object,
// so that each is opened once; passes get no paths.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RESOURCES_RESOURCES_H
#define WEIR_RESOURCES_RESOURCES_H

#include "weir/Cache/ResultCache.h"
#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Dictionary/Dictionary.h"
#include "weir/Matching/DictionaryMatch.h"
#include "weir/Program/Archive.h"
#include "weir/Resources/ModelTokens.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

#include <mutex>

namespace weir {

/// Where things are, and how much may be used.
struct ResourceOptions {
  /// Folder that paths of dictionaries and texts are relative to.
  std::string base = ".";
  /// Archive of the model; empty for none.
  std::string model;
  /// Folder of computed matches; empty for $WEIR_CACHE or ~/.cache/weir.
  std::string cache;
  /// Threads that matching may use; 0 for as many as there are cores.
  int threads = 0;
  /// Features of a match that are computed and kept together.
  int64_t unitRows = 16384;
};

/// Runs texts through the model.
class ActivationSource {
public:
  virtual ~ActivationSource() = default;
  /// Matches that compare activations. Gets all of them at once, since a text is
  /// read once; returns one result for each.
  virtual llvm::Expected<std::vector<matching::Matcher::Outcome>>
  match(llvm::ArrayRef<flow::PairOpInterface> pairs, mlir::ModuleOp module) = 0;
  /// The mean activations [F] of features on a text (see
  /// Coactivations::meansWhereFired), for each of the dictionaries.
  virtual llvm::Expected<std::vector<std::vector<float>>>
  means(llvm::ArrayRef<flow::DictionaryOp> dictionaries, llvm::StringRef text,
        mlir::ModuleOp module) = 0;
  /// The median of |x| over the tokens of a text, for each of these sites of the
  /// unsteered model. Where the number of tokens is even it is the mean of the
  /// two in the middle.
  virtual llvm::Expected<std::vector<double>>
  medianNorms(llvm::ArrayRef<flow::SiteAttr> sites, llvm::StringRef text,
              mlir::ModuleOp module) = 0;
};

/// All members may be called by several threads.
class Resources : public std::enable_shared_from_this<Resources> {
public:
  /// `model` is the archive where it was opened before.
  static std::shared_ptr<Resources>
  create(ResourceOptions options, std::shared_ptr<const Archive> model = nullptr);

  const ResourceOptions &options() const { return settings; }
  /// A path of the spec, which is relative to its folder.
  std::string pathOf(llvm::StringRef path) const;

  /// Null without a model.
  llvm::Expected<std::shared_ptr<const Archive>> model();
  llvm::Expected<ResultCache> cache();
  /// The matcher over the cache.
  llvm::Expected<matching::Matcher>
  matcher(matching::Matcher::Settings settings = {});
  /// The dictionary of a key, which `open` opens the first time. What failed is
  /// tried again.
  using Opened = llvm::Expected<std::shared_ptr<const Dictionary>>;
  Opened dictionary(llvm::StringRef key, llvm::function_ref<Opened()> open);

  /// Null where activations cannot be compared.
  ActivationSource *activations() const { return source.get(); }
  void setActivations(std::unique_ptr<ActivationSource> newSource) {
    source = std::move(newSource);
  }
  /// The ids of texts; an error where there is no way to ask for them.
  llvm::Expected<ModelTokens> tokens(llvm::ArrayRef<std::string> texts) const;
  void setTokens(TokenLookup newLookup) { lookup = std::move(newLookup); }

private:
  Resources(ResourceOptions options, std::shared_ptr<const Archive> model)
      : settings(std::move(options)), archive(std::move(model)) {}

  const ResourceOptions settings;
  std::mutex mutex;
  std::shared_ptr<const Archive> archive;
  std::optional<ResultCache> results;
  llvm::StringMap<std::shared_ptr<const Dictionary>> dictionaries;
  std::unique_ptr<ActivationSource> source;
  TokenLookup lookup;
};

} // namespace weir

#endif // WEIR_RESOURCES_RESOURCES_H
