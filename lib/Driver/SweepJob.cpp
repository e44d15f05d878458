//===- SweepJob.cpp - What weirc sweep does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Sweeper.h"

#include "ScratchProgram.h"
#include "SpecEdit.h"
#include "SweepForms.h"

#include "weir/Driver/MatchChains.h"
#include "weir/Spec/Locations.h"
#include "weir/Spec/Spec.h"
#include "weir/Support/Files.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace weir;

template <typename Op>
static Op findByName(ModuleOp module, StringRef name,
                     SmallVectorImpl<StringRef> &known) {
  known.clear();
  for (auto op : module.getOps<Op>()) {
    if (specName(op.getSymName()) == name)
      return op;
    known.push_back(specName(op.getSymName()));
  }
  return nullptr;
}

static std::string listed(ArrayRef<StringRef> names) {
  return names.empty() ? "none" : llvm::join(names, ", ");
}

LogicalResult Sweeper::checkKnobs() {
  SmallVector<StringRef> known;
  if (options.plan.empty()) {
    auto plans = spec->getOps<steer::PlanOp>();
    if (plans.empty())
      return error() << "the spec has no plan";
    result.plan = specName((*plans.begin()).getSymName()).str();
  } else {
    result.plan = options.plan;
  }
  auto plan = findByName<steer::PlanOp>(*spec, result.plan, known);
  if (!plan)
    return error() << "--plan: the spec has no plan '" << result.plan
                   << "'; it has " << listed(known);
  for (const SweptKnob &given : options.knobs) {
    auto knob = findByName<steer::KnobOp>(*spec, given.name, known);
    if (!knob)
      return error() << "--knob: the spec has no knob '" << given.name
                     << "'; it has " << listed(known);
    for (double value : given.values)
      if ((knob.getMin() && value < knob.getMin()->convertToDouble()) ||
          (knob.getMax() && value > knob.getMax()->convertToDouble()))
        return emitError(spec::locationOf(knob, "range"))
               << "--knob: " << shortestFloat(value)
               << " is outside of the range of the knob '" << given.name << "'";
    if (!given.isSwept)
      continue;
    auto reference = FlatSymbolRefAttr::get(knob.getSymNameAttr());
    bool isUsed = llvm::any_of(
        plan.getPolicies().getAsRange<FlatSymbolRefAttr>(),
        [&](FlatSymbolRefAttr name) {
          auto policy = spec->lookupSymbol<steer::PolicyOp>(name.getAttr());
          return policy && policy.getTimesAttr() == reference;
        });
    if (!isUsed)
      return emitError(knob.getLoc())
             << "--knob: no policy of the plan '" << result.plan
             << "' has `times: " << given.name
             << "`, so that all its values would give the same";
  }
  result.knob = swept().name;
  return success();
}

LogicalResult Sweeper::findForms() {
  if (options.policy.empty()) {
    result.forms.push_back(
        {"as written", result.plan, "", "", "", std::nullopt});
    return success();
  }
  Compiler resolver(context, inner(), compiler.opened());
  if (failed(resolver.load(specWithoutProgram(*spec))) ||
      failed(resolver.steer()))
    return failure();
  auto forms = addForms(*spec, resolver.module(), *compiler.opened(),
                        result.plan, options.policy);
  if (failed(forms))
    return failure();
  result.forms = std::move(*forms);
  return success();
}

/// A plan that changes nothing and records the feature that rates texts.
LogicalResult Sweeper::addReader() {
  if (options.feature.empty())
    return success();
  auto feature = FollowedFeature::parse(options.feature);
  if (!feature)
    return error() << "--feature: " << llvm::toString(feature.takeError());
  flow::CollectionOp collection;
  SmallVector<StringRef> known;
  for (auto each : spec->getOps<flow::CollectionOp>()) {
    known.push_back(specName(each.getSymName()));
    if (feature->dictionary.empty() || known.back() == feature->dictionary)
      collection = collection ? collection : each;
  }
  if (!collection || (feature->dictionary.empty() && known.size() > 1))
    return error() << "--feature: name one of the spec's dictionaries: "
                   << listed(known);
  auto kind = fx::symbolizeSiteKind(feature->site);
  if (!kind)
    return error() << "--feature: there is no site '" << feature->site << "'";
  OpBuilder builder = OpBuilder::atBlockEnd(spec->getBody());
  auto attribute = flow::FeatureAttr::get(
      &context, FlatSymbolRefAttr::get(collection.getSymNameAttr()), *kind,
      feature->layer, feature->index);
  if (!collection.covers(attribute.getSite()))
    return emitError(collection.getLoc())
           << "--feature: it has no dictionary at " << attribute.getSite().str();
  result.feature = options.feature;
  result.label = flow::labelsOf(*spec).lookup(attribute).str();
  // What is wrong with the feature is told at its dictionary.
  Location where = collection.getLoc();
  auto features = flow::SelectOp::create(
      builder, where, builder.getArrayAttr({attribute}), UnitAttr());
  std::string policy = (readerName + "-policy").str();
  steer::PolicyOp::create(builder, where, builder.getStringAttr(policy),
                          steer::RecordAttr::get(&context, /*after=*/false),
                          features);
  steer::PlanOp::create(
      builder, where, builder.getStringAttr(readerName),
      builder.getArrayAttr({FlatSymbolRefAttr::get(&context, policy)}));
  return success();
}

LogicalResult Sweeper::openProgram() {
  auto opened = openSteered(*spec);
  if (failed(opened))
    return failure();
  measured = std::move(*opened);

  const Manifest &manifest = program().manifest();
  RowSetting setting;
  for (const Manifest::Knob &knob : manifest.knobs)
    setting.knobs.push_back(static_cast<float>(knob.defaultValue));
  size_t column = 0;
  for (const SweptKnob &given : options.knobs) {
    auto index = manifest.knobIndex(given.name);
    if (!index)
      return error() << llvm::toString(index.takeError());
    if (given.isSwept)
      column = *index;
    else
      setting.knobs[*index] = static_cast<float>(given.values.front());
  }
  settings.push_back(setting); // without a plan
  for (auto [place, form] : llvm::enumerate(result.forms)) {
    auto plan = manifest.planIndex(form.plan);
    if (!plan)
      return error() << llvm::toString(plan.takeError());
    for (double value : swept().values) {
      setting.plan = *plan;
      setting.knobs[column] = static_cast<float>(value);
      settings.push_back(setting);
      Sweep::Point next;
      next.form = place;
      next.value = value;
      result.points.push_back(std::move(next));
    }
  }
  return success();
}

LogicalResult Sweeper::measureLosses() {
  if (options.text.empty())
    return success();
  auto windows = runtime->readWindows(options.text, compiler.settings().model,
                                      compiler.settings().operators,
                                      options.windows);
  if (!windows)
    return error() << llvm::toString(windows.takeError());
  auto losses = lossesOf(measured, *windows, settings, options.promptTokens,
                         result.resumedRows);
  if (failed(losses))
    return failure();
  bool isSteered = false;
  for (size_t at = 0; at < numPoints(); ++at) {
    point(at).loss = MeanOverWindows::of(losses->sums[at], losses->predicted);
    point(at).change = MeanOverWindows::ofChange(
        losses->sums[at], losses->sums[0], losses->predicted);
    isSteered |= !areEqualLosses(losses->sums[at], losses->sums[0]);
  }
  if (!isSteered)
    emitWarning(UnknownLoc::get(&context))
        << "no value of the knob changes anything on '" << options.text
        << "': the policies are for other tokens, or their features never fire "
           "(--prompt-tokens says how much of a window is a prompt)";
  return success();
}

LogicalResult Sweeper::writeSpec() {
  if (options.output.empty())
    return success();
  if (!result.bestOfAll)
    return error() << "--write: no setting has a higher score than the plain "
                      "model within --max-loss-increase "
                   << shortestFloat(options.maxLossIncrease)
                   << " and --max-repetition "
                   << shortestFloat(options.maxRepetition);
  auto text = readText(compiler.settings().spec);
  if (!text)
    return error() << llvm::toString(text.takeError());
  const Sweep::Point &best = result.points[*result.bestOfAll];
  const Sweep::Form &form = result.forms[best.form];
  SpecSetting setting;
  for (const SweptKnob &knob : options.knobs)
    setting.knobs.push_back(
        {knob.name,
         shortestFloat(knob.isSwept ? best.value : knob.values.front())});
  if (!form.value.empty()) {
    setting.policy = options.policy;
    setting.value = form.value;
    setting.schedule = form.schedule;
    setting.layers = form.layers;
  }
  auto edited = withSetting(*text, setting, &context);
  if (!edited)
    return error() << "--write: " << llvm::toString(edited.takeError());
  if (llvm::Error failed = writeTextAtomically(options.output, *edited))
    return error() << llvm::toString(std::move(failed));
  return success();
}

FailureOr<Sweep> Sweeper::run() {
  if (!options.output.empty())
    if (llvm::Error failed =
            checkEditedSpec(compiler.settings().spec, options.output))
      return error() << "--write: " << llvm::toString(std::move(failed));
  if (failed(compiler.load()))
    return failure();
  spec = specWithoutProgram(compiler.module());
  if (failed(checkKnobs()) || failed(findForms()) || failed(addReader()) ||
      failed(readPrompts()) || failed(openProgram()) ||
      failed(measureLosses()) || failed(generate()))
    return failure();
  chooseBest();
  // What was measured is shown all the same.
  result.isWritten = succeeded(writeSpec());
  return std::move(result);
}

FailureOr<Sweep> weir::sweep(MLIRContext &context, Compiler &compiler,
                             const SweepOptions &options) {
  return Sweeper(context, compiler, options).run();
}
