//===- MeasureDoses.cpp - How large additions are beside what they change ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Placement.h"

#include "weir/Dialect/Steer/Transforms/MeasurePasses.h"
#include "weir/Dictionary/Rows.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Support/Locations.h"
#include "weir/Support/Words.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Format.h"

#include <cmath>
#include <limits>

namespace weir::steer {
#define GEN_PASS_DEF_STEERMEASUREDOSESPASS
#include "weir/Dialect/Steer/Transforms/MeasurePasses.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// A policy that adds, and the direction that it adds at each of its sites.
struct Addition {
  PolicyOp policy;
  AddAttr action;
  StringAttr text; ///< on which its sites are measured
  /// Sums in f64; features that write further have the strength of their own
  /// site, so that only these count.
  llvm::MapVector<flow::SiteAttr, Eigen::RowVectorXd> directions;
};

std::string shortly(double number) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.3g", number);
  return text;
}

struct SteerMeasureDoses
    : steer::impl::SteerMeasureDosesPassBase<SteerMeasureDoses> {
  SteerMeasureDoses() = default;
  explicit SteerMeasureDoses(std::shared_ptr<Resources> resources)
      : resources(std::move(resources)) {}

  void runOnOperation() override {
    if (failed(measure()))
      signalPassFailure();
  }

private:
  using Medians =
      llvm::DenseMap<std::pair<Attribute, Attribute>, double>; // text, site

  LogicalResult measure() {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    SmallVector<Addition> additions = findAdditions(module);
    if (additions.empty())
      return success();
    if (failed(sumDirections(symbols, additions)))
      return failure();
    FailureOr<Medians> medians = runTexts(additions);
    if (failed(medians))
      return failure();
    bool failedAny = false;
    for (Addition &addition : additions)
      failedAny |= failed(annotate(symbols, addition, *medians));
    return success(!failedAny);
  }

  /// Those that plans name; none if nobody gives a dose.
  SmallVector<Addition> findAdditions(ModuleOp module) {
    llvm::DenseSet<Attribute> planned;
    for (auto plan : module.getOps<PlanOp>())
      planned.insert(plan.getPolicies().begin(), plan.getPolicies().end());
    SmallVector<Addition> additions;
    StringAttr first;
    for (auto policy : module.getOps<PolicyOp>()) {
      auto action = dyn_cast<AddAttr>(policy.getAction());
      if (!action || !planned.contains(FlatSymbolRefAttr::get(
                         policy.getSymNameAttr())))
        continue;
      additions.push_back({policy, action, action.getDose(), {}});
      if (!first)
        first = action.getDose();
    }
    if (!first)
      additions.clear();
    for (Addition &addition : additions)
      if (!addition.text)
        addition.text = first;
    return additions;
  }

  LogicalResult sumDirections(const SymbolTable &symbols,
                              SmallVectorImpl<Addition> &additions) {
    SmallVector<PolicyOp> policies;
    llvm::DenseMap<Operation *, Addition *> byPolicy;
    for (Addition &addition : additions) {
      policies.push_back(addition.policy);
      byPolicy[addition.policy] = &addition;
    }
    auto placements = placePolicies(symbols, policies);
    if (failed(placements))
      return failure();
    // What the model lacks is told where patches are made.
    llvm::DenseSet<Attribute> known;
    for (auto program : getOperation().getOps<fx::ProgramOp>())
      for (auto marker : program.getEntry().getOps<fx::SiteOp>())
        known.insert(flow::SiteAttr::get(&getContext(), marker.getKind(),
                                         marker.getLayer()));
    flow::DictionaryStore store(getOperation(), *resources);
    llvm::DenseSet<Operation *> unreadable; // reported already
    for (auto &[site, atSite] : *placements)
      for (Placement &placement : atSite) {
        if (placement.furtherOf || !known.contains(site))
          continue;
        flow::DictionaryOp dictionary = placement.dictionary;
        Addition &addition = *byPolicy.lookup(placement.policy);
        auto sum = sumRows(store, dictionary, placement.features,
                           placement.weights, addition.action.getNormalize());
        if (!sum) {
          if (!unreadable.insert(dictionary).second) {
            llvm::consumeError(sum.takeError());
            continue;
          }
          InFlightDiagnostic diag = emitError(dictionary.getLoc())
                                    << llvm::toString(sum.takeError());
          diag.attachNote(addition.policy.getLoc()) << "for this policy";
          continue;
        }
        auto [entry, isNew] = addition.directions.insert({site, *sum});
        if (isNew)
          continue;
        if (entry->second.size() != sum->size())
          return addition.policy.emitError()
                 << "the dictionaries' rows at " << site.str()
                 << " do not fit each other: they have " << entry->second.size()
                 << " and " << sum->size() << " numbers";
        entry->second += *sum;
      }
    return success(unreadable.empty());
  }

  /// The sum of decoder rows, each times its weight if there are weights.
  static llvm::Expected<Eigen::RowVectorXd>
  sumRows(flow::DictionaryStore &store, flow::DictionaryOp dictionary,
          ArrayRef<int64_t> features, ArrayRef<double> weights, bool unit) {
    // Some megabytes of rows at a time: a policy can name a whole site.
    constexpr int64_t blockNumbers = int64_t(1) << 22;
    auto opened = store.open(dictionary.getSymName());
    if (!opened)
      return opened.takeError();
    int64_t width = (*opened)->info().width;
    size_t block = std::max<int64_t>(1, blockNumbers / width);
    Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(width);
    for (size_t done = 0; done < features.size(); done += block) {
      ArrayRef<int64_t> some = features.drop_front(done).take_front(block);
      auto rows = (*opened)->decoder(some);
      if (!rows)
        return rows.takeError();
      auto numbers = (unit ? unitRows(*rows) : *rows).cast<double>().eval();
      if (weights.empty())
        sum += numbers.colwise().sum();
      else
        sum += Eigen::Map<const Eigen::RowVectorXd>(weights.data() + done,
                                                    some.size()) *
               numbers;
    }
    return sum;
  }

  FailureOr<Medians> runTexts(ArrayRef<Addition> additions) {
    llvm::MapVector<StringAttr, llvm::SetVector<flow::SiteAttr>> sites;
    llvm::DenseMap<Attribute, PolicyOp> owners;
    for (const Addition &addition : additions) {
      if (addition.action.getDose())
        owners.try_emplace(addition.text, addition.policy);
      for (auto &[site, direction] : addition.directions)
        sites[addition.text].insert(site);
    }
    Medians medians;
    for (auto &[text, atText] : sites) {
      Location where = locationOf(owners.lookup(text), "text");
      ActivationSource *source = resources->activations();
      if (!source)
        return emitError(where) << "a dose is measured on a text, and nothing "
                                   "here can run the model";
      auto found = source->medianNorms(atText.getArrayRef(), text, getOperation());
      if (!found)
        return emitError(where) << llvm::toString(found.takeError());
      for (auto [site, median] : llvm::zip_equal(atText, *found))
        medians[{text, site}] = median;
      measured += found->size();
    }
    return medians;
  }

  LogicalResult annotate(const SymbolTable &symbols, Addition &addition,
                         const Medians &medians) {
    MLIRContext *context = &getContext();
    PolicyOp policy = addition.policy;
    Location where = locationOf(policy, "strength");
    int64_t first = std::numeric_limits<int64_t>::max(), last = -1;
    for (auto &[site, direction] : addition.directions) {
      first = std::min(first, site.getLayer());
      last = std::max(last, site.getLayer());
    }
    double knob = 1;
    if (FlatSymbolRefAttr times = policy.getTimesAttr())
      if (auto op = symbols.lookup<KnobOp>(times.getAttr()))
        knob = op.getDefaultValue().convertToDouble();
    SmallVector<MeasuredAttr> all;
    // The site where it is most above what text bears.
    double largest = 0, excess = 1;
    flow::SiteAttr at;
    for (auto &[site, direction] : addition.directions) {
      double median = medians.lookup({addition.text, site});
      double length = direction.norm();
      double said = addition.action.getSchedule().strengthAt(site.getLayer(),
                                                             first, last);
      double dose = std::abs(said * knob);
      if (addition.action.getDose()) {
        if (length == 0)
          return emitError(where)
                 << "the directions of '" << specNameOf(policy) << "' at "
                 << site.str()
                 << " add up to nothing, so that no strength gives them a dose";
        if (median == 0)
          return emitError(where)
                 << "the median norm of the values at " << site.str() << " on '"
                 << addition.text.getValue()
                 << "' is 0, so that a dose there is nothing";
        if (!(std::abs(said) * median / length <=
              std::numeric_limits<float>::max()))
          return emitError(where)
                 << "the direction of '" << specNameOf(policy) << "' at "
                 << site.str() << " is " << shortly(length)
                 << " long: the strength of this dose does not fit a 32-bit "
                    "float";
      } else {
        dose = median > 0 ? dose * length / median : 0;
      }
      if (auto most = collapsingDose(site.getKind());
          most && dose / *most > excess) {
        largest = dose;
        excess = dose / *most;
        at = site;
      }
      ++doses;
      all.push_back(MeasuredAttr::get(
          context, site, Builder(context).getF64FloatAttr(median),
          Builder(context).getF64FloatAttr(length)));
    }
    if (at)
      emitWarning(where) << "the dose of '" << specNameOf(policy) << "' at "
                         << at.str() << " is " << shortly(largest)
                         << "; above " << shortly(*collapsingDose(at.getKind()))
                         << " text falls apart";
    llvm::sort(all, [](MeasuredAttr a, MeasuredAttr b) {
      return std::pair(a.getSite().getLayer(), a.getSite().getKind()) <
             std::pair(b.getSite().getLayer(), b.getSite().getKind());
    });
    policy.setActionAttr(AddAttr::get(context, addition.action.getSchedule(),
                                      addition.action.getNormalize(),
                                      addition.action.getDose(), all));
    return success();
  }

  /// Names in a spec have no dot; what follows one makes a symbol unique.
  static StringRef specNameOf(PolicyOp policy) {
    return specName(policy.getSymName());
  }

  std::shared_ptr<Resources> resources = Resources::create({});
};

} // namespace

std::optional<double> steer::collapsingDose(fx::SiteKind kind) {
  switch (kind) {
  case fx::SiteKind::Res:
  case fx::SiteKind::Mid:
    return 0.7;
  case fx::SiteKind::Mlp:
    return 3.5;
  case fx::SiteKind::Att:
    return 4.5;
  default:
    return std::nullopt;
  }
}

std::unique_ptr<Pass>
steer::createSteerMeasureDosesPass(std::shared_ptr<Resources> resources) {
  return std::make_unique<SteerMeasureDoses>(std::move(resources));
}
