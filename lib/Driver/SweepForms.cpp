//===- SweepForms.cpp - Ways to spread a strength over layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SweepForms.h"

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Spec/Spec.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;
using namespace weir;

namespace {
/// The features of an addition, and where their collections begin.
struct Written {
  int64_t layer, firstOfCollection;
  double length; ///< |w d|, w being its weight
};
} // namespace

static std::pair<int64_t, int64_t> layersOf(const Written &feature,
                                            steer::LayersAttr layers) {
  if (layers && layers.getKind() == steer::LayersKind::Cumulative)
    return {feature.firstOfCollection, feature.layer};
  if (layers && layers.getKind() == steer::LayersKind::Range)
    return {layers.getFirst(), layers.getLast()};
  return {feature.layer, feature.layer};
}

/// The lowest and the highest layer that features are written at.
static std::pair<int64_t, int64_t> spanOf(ArrayRef<Written> features,
                                          steer::LayersAttr layers) {
  int64_t first = std::numeric_limits<int64_t>::max(), last = 0;
  for (const Written &feature : features) {
    auto [from, to] = layersOf(feature, layers);
    first = std::min(first, from);
    last = std::max(last, to);
  }
  return {first, last};
}

static bool layersAreEqual(ArrayRef<Written> features, steer::LayersAttr a,
                           steer::LayersAttr b) {
  return llvm::all_of(features, [&](const Written &feature) {
    return layersOf(feature, a) == layersOf(feature, b);
  });
}

static bool strengthsAreEqual(steer::ScheduleAttrInterface a,
                              steer::ScheduleAttrInterface b,
                              ArrayRef<Written> features,
                              steer::LayersAttr layers) {
  auto [first, last] = spanOf(features, layers);
  for (int64_t layer = first; layer <= last; ++layer)
    if (static_cast<float>(a.strengthAt(layer, first, last)) !=
        static_cast<float>(b.strengthAt(layer, first, last)))
      return false;
  return true;
}

static double budgetOf(ArrayRef<Written> features, steer::LayersAttr layers,
                       steer::ScheduleAttrInterface schedule) {
  auto [first, last] = spanOf(features, layers);
  double budget = 0;
  for (const Written &feature : features) {
    auto [from, to] = layersOf(feature, layers);
    for (int64_t layer = from; layer <= to; ++layer)
      budget += feature.length *
                std::abs(schedule.strengthAt(layer, first, last));
  }
  return budget;
}

static FailureOr<std::vector<Written>>
featuresOf(steer::PolicyOp policy, steer::AddAttr add, Resources &resources) {
  auto module = policy->getParentOfType<ModuleOp>();
  auto select = policy.getOn().getDefiningOp<flow::SelectOp>();
  if (!select || !select.isResolved() || select.getSelectors().empty())
    return policy.emitError() << "its features are not known one by one, so that "
                                 "no budget can be told";
  flow::DictionaryStore store(module, resources);
  std::vector<Written> features;
  flow::FeatureList list = select.getList();
  for (auto [place, feature] : llvm::enumerate(list.features)) {
    auto collection =
        module.lookupSymbol<flow::CollectionOp>(feature.getCollection());
    std::string symbol = collection.dictionaryName(feature.getSite());
    auto dictionary = store.open(symbol);
    if (!dictionary)
      return policy.emitError() << llvm::toString(dictionary.takeError());
    if ((*dictionary)->info().lastTarget)
      return policy.emitError()
             << "its features write at several layers by themselves, so that "
                "there is nothing to compare";
    auto row = (*dictionary)->decoder({feature.getIndex()});
    if (!row)
      return policy.emitError() << llvm::toString(row.takeError());
    const double weight =
        list.weights.empty() ? 1.0 : std::abs(list.weights[place]);
    features.push_back(
        {feature.getLayer(), int64_t(collection.getFirstLayer()),
         weight * (add.getNormalize() ? 1.0 : row->cast<double>().norm())});
  }
  return features;
}

/// A plan with another policy in the place of one.
static void addPlan(OpBuilder &builder, steer::PlanOp plan, StringRef name,
                    FlatSymbolRefAttr from, FlatSymbolRefAttr to) {
  SmallVector<Attribute> policies;
  for (Attribute each : plan.getPolicies())
    policies.push_back(each == from ? to : each);
  auto copy = cast<steer::PlanOp>(builder.clone(*plan));
  copy.setSymName(name);
  copy.setPoliciesAttr(builder.getArrayAttr(policies));
}

template <typename Op>
static Op findByName(ModuleOp module, StringRef name) {
  for (auto op : module.getOps<Op>())
    if (specName(op.getSymName()) == name)
      return op;
  return nullptr;
}

FailureOr<std::vector<Sweep::Form>>
weir::addForms(ModuleOp spec, ModuleOp resolved, Resources &resources,
               StringRef planName, StringRef policyName) {
  MLIRContext *context = spec.getContext();
  auto policy = findByName<steer::PolicyOp>(spec, policyName);
  auto plan = findByName<steer::PlanOp>(spec, planName);
  if (!policy)
    return emitError(UnknownLoc::get(context))
           << "--schedules: the spec has no policy '" << policyName << "'";
  auto reference = FlatSymbolRefAttr::get(policy.getSymNameAttr());
  if (!llvm::is_contained(plan.getPolicies(), Attribute(reference)))
    return policy.emitError() << "--schedules: '" << policyName
                              << "' is no policy of the plan '" << planName
                              << "'";
  auto add = dyn_cast<steer::AddAttr>(policy.getAction());
  if (!add)
    return policy.emitError()
           << "--schedules: only an 'add' is spread over layers";
  if (add.getDose())
    return policy.emitError()
           << "--schedules: a dose is a share of each site's own values, so that "
              "doses have no budget in common; give a 'value'";
  auto features = featuresOf(findByName<steer::PolicyOp>(resolved, policyName),
                             add, resources);
  if (failed(features))
    return failure();
  const double budget =
      budgetOf(*features, policy.getLayersAttr(), add.getSchedule());
  if (!(budget > 0))
    return policy.emitError() << "--schedules: it has no strength to spread";

  int64_t first = std::numeric_limits<int64_t>::max(), last = 0;
  for (const Written &feature : *features) {
    first = std::min(first, feature.firstOfCollection);
    last = std::max(last, feature.layer);
  }
  OpBuilder builder(context);
  builder.setInsertionPointToEnd(spec.getBody());
  auto number = [&](double value) { return builder.getF64FloatAttr(value); };
  const double center = 0.5 * static_cast<double>(first + last);
  const double width =
      std::max(1.0, 0.25 * static_cast<double>(last - first + 1));
  const double rate = -0.05; // arXiv 2502.03032
  struct Kind {
    StringRef name, keys; ///< of a strength, behind its value
    steer::LayersKind layers;
    std::function<steer::ScheduleAttrInterface(double)> schedule;
  };
  const std::string gaussian =
      llvm::formatv("schedule: gaussian, center: {0}, width: {1}",
                    shortestFloat(center), shortestFloat(width));
  const Kind kinds[] = {
      {"own", "", steer::LayersKind::Own,
       [&](double value) -> steer::ScheduleAttrInterface {
         return steer::ConstantAttr::get(context, number(value));
       }},
      {"cumulative constant", "", steer::LayersKind::Cumulative,
       [&](double value) -> steer::ScheduleAttrInterface {
         return steer::ConstantAttr::get(context, number(value));
       }},
      {"cumulative linear", "schedule: linear, last: 0",
       steer::LayersKind::Cumulative,
       [&](double value) -> steer::ScheduleAttrInterface {
         return steer::LinearAttr::get(context, number(value), number(0));
       }},
      {"cumulative exponential", "schedule: exponential, rate: -0.05",
       steer::LayersKind::Cumulative,
       [&](double value) -> steer::ScheduleAttrInterface {
         return steer::ExponentialAttr::get(context, number(value),
                                            number(rate));
       }},
      {"cumulative gaussian", gaussian, steer::LayersKind::Cumulative,
       [&](double value) -> steer::ScheduleAttrInterface {
         return steer::GaussianAttr::get(context, number(value),
                                         number(center), number(width));
       }}};

  std::vector<Sweep::Form> forms{
      {"as written", specName(plan.getSymName()).str(), "", "", "", budget}};
  for (const Kind &kind : kinds) {
    auto layers = steer::LayersAttr::get(context, kind.layers, -1, -1);
    // Each is proportional to its value. The one that is written is positive or
    // negative; so are the others.
    const double unit = budgetOf(*features, layers, kind.schedule(1));
    const double sign =
        add.getSchedule().strengthAt(last, first, last) < 0 ? -1 : 1;
    const std::string value = shortestFloat(sign * budget / unit);
    steer::ScheduleAttrInterface schedule =
        kind.schedule(std::strtod(value.c_str(), nullptr));
    // The one that is written may be one of them.
    if (layersAreEqual(*features, layers, policy.getLayersAttr()) &&
        strengthsAreEqual(schedule, add.getSchedule(), *features, layers))
      continue;
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](Attribute each) -> std::optional<Attribute> {
      if (each == add.getSchedule())
        return schedule;
      return std::nullopt;
    });
    auto copy = cast<steer::PolicyOp>(builder.clone(*policy));
    copy.setActionAttr(
        cast<steer::ActionAttrInterface>(replacer.replace(Attribute(add))));
    copy.setLayersAttr(layers);
    // Names in a spec begin with a letter, so these meet none of them.
    std::string symbol = std::to_string(forms.size()) + "-" + kind.name.str();
    llvm::replace(symbol, ' ', '-');
    copy.setSymName(symbol + "-policy");
    addPlan(builder, plan, symbol, reference,
            FlatSymbolRefAttr::get(copy.getSymNameAttr()));
    forms.push_back(
        {kind.name.str(), symbol, value, kind.keys.str(),
         kind.layers == steer::LayersKind::Own ? "own" : "cumulative",
         budgetOf(*features, layers, schedule)});
  }
  return forms;
}
