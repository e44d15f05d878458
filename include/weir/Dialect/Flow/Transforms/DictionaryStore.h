//===- DictionaryStore.h - Opened dictionaries of a module ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_TRANSFORMS_DICTIONARYSTORE_H
#define WEIR_DIALECT_FLOW_TRANSFORMS_DICTIONARYSTORE_H

#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Program/Archive.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace weir::flow {

/// The archive of the model that dictionaries are made from, for the option
/// `model` of a pass: null if the path is empty. Errors are reported at the
/// module.
mlir::FailureOr<std::shared_ptr<const Archive>>
openModel(mlir::ModuleOp module, llvm::StringRef path);

/// Opens the dictionaries that a module's collections describe, once each.
class DictionaryStore : public RowSource {
public:
  /// Paths are relative to `base`. `model` may be null where no dictionary is
  /// made from the model's own weights.
  DictionaryStore(mlir::ModuleOp module, std::string base,
                  std::shared_ptr<const Archive> model);

  /// The dictionary of a collection at one site.
  llvm::Expected<std::shared_ptr<const Dictionary>> open(CollectionOp collection,
                                                         SiteAttr site);
  /// The dictionary of a `flow.dictionary`.
  llvm::Expected<std::shared_ptr<const Dictionary>>
  open(llvm::StringRef dictionary) override;

  /// Opens a dictionary and, if it is not there yet, adds its op after that of
  /// its collection. Errors are reported at `loc`: no such collection, a site
  /// that it does not cover, files that cannot be read or that belong to another
  /// site. What is wrong with a dictionary is said once.
  mlir::FailureOr<std::pair<DictionaryOp, std::shared_ptr<const Dictionary>>>
  declare(mlir::Location loc, mlir::FlatSymbolRefAttr collection, SiteAttr site,
          bool *isNew = nullptr);

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
  /// What is known of the model from its graph.
  ModelTraits traits();

  mlir::ModuleOp module;
  std::string base;
  std::shared_ptr<const Archive> model;
  llvm::StringMap<std::shared_ptr<const Dictionary>> opened;
  ModelTraits known; ///< what `traits` has found
  llvm::StringSet<> reported; ///< names of dictionaries with an error
};

} // namespace weir::flow

#endif // WEIR_DIALECT_FLOW_TRANSFORMS_DICTIONARYSTORE_H
