//===- FindSites.cpp - fx-find-sites ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SiteFinder.h"

#include "weir/Dialect/FX/Transforms/Passes.h"

#include "mlir/IR/Builders.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace weir::fx {
#define GEN_PASS_DEF_FXFINDSITES
#include "weir/Dialect/FX/Transforms/Passes.h.inc"
} // namespace weir::fx

using namespace weir;
using namespace weir::fx;

namespace {

struct FindSites : public fx::impl::FXFindSitesBase<FindSites> {
  using FXFindSitesBase::FXFindSitesBase;

  void runOnOperation() override;

private:
  void mark(SiteKind kind, int64_t layer, Value value);
  void markAll(const SiteFinder &found);
  void record(const SiteFinder &found);
  LogicalResult reportFailures(ArrayRef<SiteFinder> failures,
                               ArrayRef<std::string> names,
                               const ModuleIndex &index);
};

} // namespace

void FindSites::mark(SiteKind kind, int64_t layer, Value value) {
  if (!value)
    return;
  OpBuilder builder(value.getContext());
  builder.setInsertionPointAfterValue(value);
  auto site = SiteOp::create(builder, value.getLoc(), kind, layer, value);
  value.replaceAllUsesExcept(site.getResult(), site);
  ++numFound;
}

void FindSites::markAll(const SiteFinder &found) {
  mark(SiteKind::Emb, 0, found.embedded);
  // The same value may be another site as well, whose edits then come before
  // what is only read.
  for (auto [i, layer] : llvm::enumerate(found.layers))
    mark(SiteKind::MlpIn, i, layer.mlpIn);
  for (auto [i, layer] : llvm::enumerate(found.layers)) {
    mark(SiteKind::Att, i, layer.att);
    mark(SiteKind::Head, i, layer.head);
    mark(SiteKind::Mid, i, layer.mid);
    mark(SiteKind::Mlp, i, layer.mlp);
    mark(SiteKind::Neuron, i, layer.neuron);
    mark(SiteKind::Res, i, layer.res);
  }
  record(found);
}

void FindSites::record(const SiteFinder &found) {
  SmallVector<LayerAttr> layers;
  for (const LayerSites &layer : found.layers)
    layers.push_back(LayerAttr::get(&getContext(), layer.up, layer.gate,
                                    layer.down, layer.layout));
  getOperation().setWeightsAttr(
      WeightsAttr::get(&getContext(), found.unembedding, layers));
}

LogicalResult FindSites::reportFailures(ArrayRef<SiteFinder> failures,
                                        ArrayRef<std::string> names,
                                        const ModuleIndex &index) {
  ProgramOp program = getOperation();
  InFlightDiagnostic error =
      program.emitError("the sites of the model were not found");
  if (sites.empty())
    error << "; a map of module paths ('sites' of the spec's model) can help";
  for (auto [failure, name] : llvm::zip(failures, names))
    error.attachNote(failure.problemLoc.value_or(program.getLoc()))
        << name << ": " << failure.problem;
  if (failures.empty()) {
    Diagnostic &note = error.attachNote(program.getLoc());
    note << "looked for modules ";
    llvm::SmallSetVector<StringRef, 8> blocks;
    for (const SiteMap &map : knownFamilies())
      blocks.insert(map.res);
    llvm::interleaveComma(blocks, note, [&](StringRef path) {
      note << "'" << path << "'";
    });
    std::vector<std::string> paths = index.paths();
    if (paths.empty()) {
      note << "; no call says which module it was made in";
      return error;
    }
    // The outer modules come first and tell the most.
    llvm::sort(paths, [](StringRef a, StringRef b) {
      return std::pair(a.count('.'), a) < std::pair(b.count('.'), b);
    });
    note << "; found ";
    size_t shown = std::min<size_t>(paths.size(), 12);
    llvm::interleaveComma(ArrayRef(paths).take_front(shown), note,
                          [&](const std::string &path) {
                            note << "'" << path << "'";
                          });
    if (shown < paths.size())
      note << " and " << paths.size() - shown << " more";
  }
  return error;
}

void FindSites::runOnOperation() {
  ProgramOp program = getOperation();
  // Marks of an earlier run would hide the graph.
  for (SiteOp site :
       llvm::make_early_inc_range(program.getEntry().getOps<SiteOp>())) {
    site.getResult().replaceAllUsesWith(site.getInput());
    site.erase();
  }

  std::vector<SiteMap> given;
  if (!sites.empty()) {
    llvm::Expected<SiteMap> map = parseSiteMap(sites);
    if (!map) {
      program.emitError() << llvm::toString(map.takeError());
      return signalPassFailure();
    }
    given.push_back(std::move(*map));
  }
  const std::vector<SiteMap> &maps = sites.empty() ? knownFamilies() : given;

  if (!family.empty() && given.empty()) {
    std::vector<std::string> known;
    for (const SiteMap &map : maps) {
      known.push_back(map.family);
      llvm::append_range(known, map.like);
    }
    llvm::sort(known);
    if (!llvm::is_contained(known, family)) {
      InFlightDiagnostic error = program.emitError();
      error << "there is no family '" << family << "'; there are ";
      llvm::interleaveComma(known, error);
      return signalPassFailure();
    }
  }

  ModuleIndex index(program);
  std::vector<SiteFinder> failures;
  std::vector<std::string> names;
  // First as the families are, then as families like them may be.
  for (bool loose : {false, true})
    for (const SiteMap &map : maps) {
      if (loose && !sites.empty())
        continue;
      if (!family.empty() && sites.empty() && map.family != family &&
          !llvm::is_contained(map.like, family))
        continue;
      auto matches = index.match(map.res);
      if (matches.empty() && !sites.empty()) {
        program.emitError() << "looked for modules '" << map.res
                            << "', which no call is made in";
        return signalPassFailure();
      }
      for (const auto &[prefix, numbers] : matches) {
        SiteFinder finder(program, index, loose ? loosened(map) : map, prefix);
        if (finder.run(numbers)) {
          markAll(finder);
          return;
        }
        // A loose map fails where the strict one did, or after it.
        if (loose)
          continue;
        names.push_back((map.given ? "with the given map"
                                   : "as family '" + map.family + "'") +
                        (prefix.empty() ? "" : " below '" + prefix + "'"));
        failures.push_back(std::move(finder));
      }
    }
  (void)reportFailures(failures, names, index);
  signalPassFailure();
}
