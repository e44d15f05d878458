//===- DictionaryStore.h - Opened dictionaries of a module ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RESOURCES_DICTIONARYSTORE_H
#define WEIR_RESOURCES_DICTIONARYSTORE_H

#include "weir/Resources/Evaluation.h"
#include "weir/Resources/Resources.h"

#include "llvm/ADT/StringSet.h"

namespace weir::flow {

/// The dictionaries that a module's collections describe, of what `Resources`
/// has opened.
class DictionaryStore : public RowSource {
public:
  DictionaryStore(mlir::ModuleOp module, Resources &resources)
      : module(module), resources(resources) {}

  /// Emits an error at the module if there is a model that cannot be opened.
  mlir::LogicalResult checkModel();

  /// The dictionary of a collection at one site.
  llvm::Expected<std::shared_ptr<const Dictionary>> open(CollectionOp collection,
                                                         SiteAttr site);
  /// The dictionary of a `flow.dictionary`.
  llvm::Expected<std::shared_ptr<const Dictionary>>
  open(llvm::StringRef dictionary) override;
  /// From the cache of the resources.
  llvm::Expected<matching::Match> match(llvm::StringRef key) override;
  llvm::Expected<TensorView> weight(fx::WeightAttr name) override;

  /// Opens a dictionary and, if it is not there yet, adds its op after that of
  /// its collection. Errors are reported at `loc`: no such collection, a site
  /// that it does not cover, files that cannot be read or that belong to another
  /// site. What is wrong with a dictionary is said once.
  mlir::FailureOr<std::pair<DictionaryOp, std::shared_ptr<const Dictionary>>>
  declare(mlir::Location loc, mlir::FlatSymbolRefAttr collection, SiteAttr site,
          bool *isNew = nullptr);

  /// What is known of the model from its graph.
  ModelTraits traits();

private:
  llvm::Expected<std::shared_ptr<const Dictionary>>
  openFromModel(CollectionOp collection, SiteAttr site);
  /// `weight` may be null: then the model has none of that role.
  llvm::Expected<TensorView> modelWeight(fx::WeightAttr weight,
                                         llvm::StringRef role);

  /// Holds the place that a dictionary's own files name against `site`.
  mlir::LogicalResult
  checkPlace(const DictionaryInfo &info, CollectionOp collection, SiteAttr site,
             llvm::function_ref<mlir::InFlightDiagnostic()> emitError);
  /// The place whose value a dictionary's encoder reads, which is the site itself
  /// unless it is a transcoder. What its own files name is held against what the
  /// spec says.
  mlir::FailureOr<SiteAttr>
  findReads(const DictionaryInfo &info, CollectionOp collection, SiteAttr site,
            llvm::function_ref<mlir::InFlightDiagnostic()> emitError);
  /// The dictionary at a site, with the decoder rows of the layer `target`.
  llvm::Expected<std::shared_ptr<const Dictionary>>
  open(CollectionOp collection, SiteAttr site, int64_t target);

  mlir::ModuleOp module;
  Resources &resources;
  std::shared_ptr<const Archive> model; ///< once one was needed
  ModelTraits known; ///< what `traits` has found
  llvm::StringSet<> reported; ///< names of dictionaries with an error
};

} // namespace weir::flow

#endif // WEIR_RESOURCES_DICTIONARYSTORE_H
