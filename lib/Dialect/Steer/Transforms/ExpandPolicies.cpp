//===- ExpandPolicies.cpp - Policies become patches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RecordGates.h"
#include "SitePatches.h"
#include "WatchedFeatures.h"

#include "weir/Dialect/Steer/Transforms/Passes.h"
#include "weir/Support/Locations.h"

#include "mlir/IR/Remarks.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

namespace weir::steer {
#define GEN_PASS_DEF_STEEREXPANDPOLICIESPASS
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

struct SteerExpandPolicies
    : steer::impl::SteerExpandPoliciesPassBase<SteerExpandPolicies> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(expand()))
      signalPassFailure();
  }

  LogicalResult expand() {
    ModuleOp module = getOperation();
    auto programs = llvm::to_vector(module.getOps<fx::ProgramOp>());
    if (programs.size() != 1)
      return module.emitError() << "expected one program to steer, found "
                                << programs.size();

    auto knobs = llvm::to_vector(module.getOps<KnobOp>());
    auto inputs = ProgramInputs::add(programs.front(), knobs.size());
    if (failed(inputs))
      return failure();
    Expansion expansion(module, std::move(*inputs));
    expansion.count = count;
    for (auto [i, knob] : llvm::enumerate(knobs))
      expansion.knobs[FlatSymbolRefAttr::get(knob.getSymNameAttr())] = i;

    SmallVector<PolicyOp> policies;
    if (failed(collectPlans(expansion, policies)))
      return failure();
    for (PolicyOp policy : policies)
      if (auto tokens = policy.getTokensAttr(); tokens && tokens.getMarkers())
        if (failed(keepTokens(expansion.inputs, programs.front(), policy)))
          return failure();
    SmallVector<PolicyOp> recorded, values;
    llvm::erase_if(policies, [&](PolicyOp policy) {
      if (policy.getAction().getRecordedSites().empty())
        return false;
      values.push_back(policy);
      return true;
    });
    SmallVector<PolicyOp> substitutes;
    llvm::erase_if(policies, [&](PolicyOp policy) {
      bool replaces = policy.getAction().getReplacedLayers().has_value();
      if (replaces)
        substitutes.push_back(policy);
      return replaces;
    });
    llvm::erase_if(policies, [&](PolicyOp policy) {
      bool isGate = static_cast<bool>(policy.getAction().getRecordedPolicy());
      if (isGate)
        recorded.push_back(policy);
      return isGate;
    });
    if (failed(nameWatched(module)))
      return failure();
    auto placements = placePolicies(expansion.symbols, policies,
                                    streamOf(programs.front()));
    if (failed(placements) || failed(checkConflicts(module, *placements)) ||
        failed(checkSubstitutions(module, expansion.plans, substitutes,
                                  *placements, values)))
      return failure();
    for (auto &[site, atSite] : *placements)
      for (Placement &placement : atSite) {
        ++expansion.placesOfPolicy[placement.policy];
        ++expansion.placesAtSite[{placement.policy, site}];
      }
    if (failed(build(expansion, programs.front(), *placements, substitutes)))
      return failure();
    if (failed(recordValues(module, programs.front(), expansion.inputs,
                            expansion.plans, expansion.markers,
                            expansion.edited, values)))
      return failure();
    return recordGates(module, programs.front(), expansion.inputs,
                       expansion.plans, expansion.markers, recorded);
  }

  /// The values of the residual stream, in the program's order.
  static SmallVector<flow::SiteAttr> streamOf(fx::ProgramOp program) {
    SmallVector<flow::SiteAttr> stream;
    for (auto marker : program.getEntry().getOps<fx::SiteOp>())
      if (llvm::is_contained(
              {fx::SiteKind::Emb, fx::SiteKind::Mid, fx::SiteKind::Res},
              marker.getKind()))
        stream.push_back(flow::SiteAttr::get(
            marker.getContext(), marker.getKind(), marker.getLayer()));
    return stream;
  }

  /// For a policy whose scope looks for markers.
  LogicalResult keepTokens(ProgramInputs &inputs, fx::ProgramOp program,
                           PolicyOp policy) {
    auto error = [&] { return emitError(locationOf(policy, "tokens")); };
    if (!policy.getTokensAttr().getMarkers().isResolved())
      return error() << "has a marker that is text: 'steer-resolve-markers' "
                        "makes ids of them";
    return inputs.keepTokens(program, error);
  }

  LogicalResult collectPlans(Expansion &expansion,
                             SmallVectorImpl<PolicyOp> &policies) {
    ModuleOp module = expansion.module;
    expansion.planOps = llvm::to_vector(module.getOps<PlanOp>());
    bool failedAny = false;
    for (auto [i, plan] : llvm::enumerate(expansion.planOps))
      for (auto name : plan.getPolicies().getAsRange<FlatSymbolRefAttr>()) {
        auto policy = expansion.symbols.lookup<PolicyOp>(name.getAttr());
        if (!policy) {
          plan.emitError() << "there is no policy " << name;
          failedAny = true;
          continue;
        }
        expansion.plans[policy].push_back(i);
      }
    for (auto policy : module.getOps<PolicyOp>()) {
      if (FlatSymbolRefAttr knob = policy.getTimesAttr();
          knob && !expansion.knobs.count(knob)) {
        policy.emitError() << "there is no knob " << knob;
        failedAny = true;
      }
      if (expansion.plans.count(policy))
        policies.push_back(policy);
      else
        remark::missed(policy.getLoc(), remark::RemarkOpts::name("UnusedPolicy")
                                            .category("steer"))
            << ("no plan names policy '" + policy.getSymName() + "'").str();
    }
    return success(!failedAny);
  }

  LogicalResult build(Expansion &expansion, fx::ProgramOp program,
                      Placements &placements, ArrayRef<PolicyOp> substitutes) {
    SmallVector<fx::SiteOp> markers;
    int64_t lastLayer = -1;
    for (auto marker : program.getEntry().getOps<fx::SiteOp>()) {
      auto site = flow::SiteAttr::get(
          marker.getContext(), marker.getKind(), marker.getLayer());
      if (!expansion.markers.try_emplace(site, marker).second)
        return marker.emitError()
               << "the program has site " << site.str() << " twice";
      markers.push_back(marker);
      lastLayer = std::max<int64_t>(lastLayer, marker.getLayer());
    }

    // Once a policy, however many sites it misses.
    llvm::MapVector<PolicyOp, llvm::SetVector<flow::SiteAttr>> missing;
    for (auto &[site, atSite] : placements)
      if (!expansion.markers.count(site))
        for (Placement &placement : atSite)
          missing[placement.policy].insert(site);
    for (auto &[policy, sites] : missing) {
      InFlightDiagnostic error = policy.emitError() << "the model has no site ";
      llvm::interleave(
          sites.getArrayRef().take_front(3),
          [&](flow::SiteAttr site) { error << site.str(); },
          [&] { error << ", "; });
      if (sites.size() > 3)
        error << " and " << sites.size() - 3 << " more";
      if (lastLayer < 0)
        error << "; it has none at all";
      else
        error << "; its layers are 0 to " << lastLayer;
    }
    if (!missing.empty() ||
        failed(substituteLayers(expansion.module, program, expansion.inputs,
                                expansion.plans, expansion.markers, substitutes,
                                expansion.replaced)))
      return failure();
    edits += substitutes.size();

    // In program order, so that records come out in the order of the layers.
    bool failedAny = false;
    for (fx::SiteOp marker : markers) {
      auto site = flow::SiteAttr::get(
          marker.getContext(), marker.getKind(), marker.getLayer());
      auto atSite = placements.find(site);
      if (atSite == placements.end()) {
        // Nothing edits the new value, but what made it is an edit.
        if (count && expansion.replaced.contains(site)) {
          SiteBuilder patch(expansion, marker, site);
          if (failed(patch.finish()))
            return failure();
        }
        continue;
      }
      SiteBuilder patch(expansion, marker, site);
      for (Placement &placement : atSite->second) {
        failedAny |= failed(patch.emit(placement));
        ++edits;
      }
      if (failed(patch.finish()))
        return failure();
      ++patches;
    }
    return success(!failedAny);
  }
};

} // namespace
