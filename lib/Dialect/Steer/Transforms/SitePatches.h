//===- SitePatches.h - The patch of one site ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What policies do at one site becomes the body of one patch: their reads, conditions
// and gates, one write with all their coefficients, then projections in the order of
// the plans, then norms that are preserved.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_SITEPATCHES_H
#define WEIR_DIALECT_STEER_TRANSFORMS_SITEPATCHES_H

#include "Placement.h"
#include "ProgramInputs.h"
#include "Substitutions.h"

#include "llvm/ADT/SetVector.h"

namespace weir::steer {

/// What is known of the whole module while patches are built.
struct Expansion {
  Expansion(mlir::ModuleOp module, ProgramInputs inputs)
      : module(module), symbols(module), inputs(std::move(inputs)) {}

  mlir::ModuleOp module;
  /// Looking a name up in the module itself takes longer the more it has.
  mlir::SymbolTable symbols;
  ProgramInputs inputs;
  llvm::DenseMap<flow::SiteAttr, fx::SiteOp> markers;
  /// Policy -> indices of the plans that name it.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<int64_t>> plans;
  llvm::DenseMap<mlir::Attribute, int64_t> knobs; ///< by symbol
  llvm::DenseMap<mlir::Operation *, unsigned> placesOfPolicy;
  /// The same by site: more than one where a set has several dictionaries.
  llvm::DenseMap<std::pair<mlir::Operation *, mlir::Attribute>, unsigned>
      placesAtSite;
  /// Activations that conditions read at other sites.
  llvm::DenseMap<mlir::Attribute, mlir::Value> conditionReads;
  /// What sites have become after their edits, as far as there are any.
  llvm::DenseMap<flow::SiteAttr, mlir::Value> edited;
  /// What the sites were before their edits, where policies replace layers.
  ReplacedSites replaced;
  bool count = false; ///< tokens that are edited become outputs
  llvm::SmallVector<PlanOp> planOps;
  size_t projectionsOfPlans = 0; ///< written once for each plan
};

/// Builds the patch of one site.
class SiteBuilder {
public:
  SiteBuilder(Expansion &expansion, fx::SiteOp marker, flow::SiteAttr site)
      : expansion(expansion), marker(marker), builder(marker) {
    patch = PatchOp::create(builder, marker.getLoc(), marker.getInput(), site);
    counted = expansion.replaced.lookup(site);
    builder.setInsertionPointToEnd(&patch.getBody().front());
  }

  mlir::LogicalResult emit(Placement &placement);
  /// Puts the edits behind each other and the patch in the marker's place.
  mlir::LogicalResult finish();

  struct Projection {
    PolicyOp policy;
    llvm::SmallVector<mlir::Attribute> rows; ///< recipes, one a dictionary
    mlir::Value condition;                   ///< null where the policy has none
  };

  Expansion &expansion;
  fx::SiteOp marker;
  mlir::OpBuilder builder;
  PatchOp patch;
  llvm::SmallVector<mlir::Value> coefficients;
  llvm::SmallVector<mlir::Attribute> rows;
  llvm::SmallVector<Projection> projections;
  llvm::SetVector<mlir::Value> normGates;
  /// Coefficients and gates of the edits, by policy, to be counted.
  llvm::SmallVector<std::pair<mlir::StringAttr, mlir::Value>> counted;
  /// What looks at the site when all edits are made.
  llvm::SmallVector<Placement *> behind;

private:
  void countEdits();
  mlir::LogicalResult emitProjections(mlir::Value &value);
  void project(mlir::Value &value, const Projection &projection,
               llvm::ArrayRef<int64_t> plans);
};

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_SITEPATCHES_H
