//===- FoldJob.cpp - What weirc fold does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/FoldJob.h"

#include "FoldedWeights.h"

#include "weir/Conversion/SteerToWeights/SteerToWeights.h"
#include "weir/Dialect/Steer/Transforms/FixedPlan.h"
#include "weir/Program/TensorWriter.h"
#include "weir/Resources/Recipes.h"
#include "weir/Support/Files.h"
#include "weir/Support/JobFolder.h"
#include "weir/Support/Json.h"
#include "weir/Support/Words.h"

#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace weir;

/// What the Python package is told, and what it answers.
static constexpr StringLiteral jobFile = "job.json";
static constexpr StringLiteral numbersFile = "numbers.safetensors";
static constexpr StringLiteral answerFile = "answer.json";

StringRef weir::nameOf(FoldTarget target) {
  switch (target) {
  case FoldTarget::Checkpoint:
    return "checkpoint";
  case FoldTarget::PT2:
    return "pt2";
  case FoldTarget::LoRA:
    return "lora";
  case FoldTarget::GGUFControl:
    return "gguf-control";
  case FoldTarget::GGUF:
    return "gguf";
  }
  llvm_unreachable("unknown target");
}

/// The plan to fold: the one that is named, or the only one. What is wrong with it
/// and with the values of knobs is the command line's.
static FailureOr<std::string> choosePlan(ModuleOp module,
                                         const FoldOptions &options) {
  auto error = [&] { return emitError(UnknownLoc::get(module.getContext())); };
  SmallVector<std::string> plans;
  for (auto plan : module.getOps<steer::PlanOp>())
    plans.push_back(specName(plan.getSymName()).str());
  if (plans.empty())
    return error() << "the spec has no plan to fold; name its policies in a "
                      "section 'plans'";
  if (options.plan.empty() && plans.size() > 1) {
    InFlightDiagnostic unclear = error();
    unclear << "--plan is needed where the spec has several plans: it has ";
    llvm::interleaveComma(plans, unclear);
    return unclear;
  }
  std::string name = options.plan.empty() ? plans.front() : options.plan;
  auto plan = steer::findFixedPlan(
      module, name, [&](steer::KnobOp) { return error() << "--plan: "; });
  if (failed(plan) || failed(steer::readFixedKnobs(module, *plan, options.knobs,
                                                   [&](steer::KnobOp knob) {
                                                     InFlightDiagnostic diag =
                                                         error() << "--knob: ";
                                                     if (knob)
                                                       diag.attachNote(knob.getLoc())
                                                           << "the knob";
                                                     return diag;
                                                   })))
    return failure();
  return name;
}

/// Names of the policies of a location.
static std::string policiesOf(Location loc) {
  std::string names;
  loc->walk([&](Location part) {
    auto named = dyn_cast<NameLoc>(part);
    if (!named)
      return WalkResult::advance();
    names += (names.empty() ? "'" : ", '") +
             specName(named.getName().getValue()).str() + "'";
    // Below it are the names of the policy's keys.
    return WalkResult::skip();
  });
  return names.empty() ? "an edit" : names;
}

/// Reports what the target has no place for: once for each policy.
static LogicalResult reportRefusals(const JobFolder &job, FoldTarget target,
                                    const llvm::StringMap<Location> &places,
                                    MLIRContext *context,
                                    llvm::json::Object &result) {
  auto error = [&] { return emitError(UnknownLoc::get(context)); };
  auto text = readText(job.file(answerFile));
  if (!text)
    return error() << llvm::toString(text.takeError());
  auto answer = llvm::json::parse(*text);
  if (!answer)
    return error() << llvm::toString(answer.takeError());
  const llvm::json::Object *object = answer->getAsObject();
  if (!object)
    return error() << "the answer of the writer is no object";
  bool failedAny = false;
  llvm::StringSet<> told;
  if (const auto *refusals = object->getArray("refused"))
    for (const llvm::json::Value &each : *refusals) {
      const llvm::json::Object *refusal = each.getAsObject();
      auto why = refusal ? refusal->getString("why") : std::nullopt;
      if (!why)
        continue;
      failedAny = true;
      auto tensor = refusal->getString("tensor");
      auto place = tensor ? places.find(*tensor) : places.end();
      if (place == places.end()) {
        error() << *why;
        continue;
      }
      std::string policies = policiesOf(place->second);
      if (told.insert(policies).second)
        emitError(place->second) << policies << " cannot be written with --to "
                                 << nameOf(target) << ": " << *why;
    }
  if (const auto *warnings = object->getArray("warnings"))
    for (const llvm::json::Value &each : *warnings)
      if (auto warning = each.getAsString())
        emitWarning(UnknownLoc::get(context)) << *warning;
  if (const auto *files = object->getArray("files"))
    result["files"] = llvm::json::Array(*files);
  return success(!failedAny);
}

LogicalResult weir::foldPlan(
    Compiler &compiler, const FoldOptions &options,
    function_ref<LogicalResult(ArrayRef<std::string>)> runPython,
    llvm::json::Object &result) {
  if (failed(compiler.load()))
    return failure();
  auto plan = choosePlan(compiler.module(), options);
  if (failed(plan))
    return failure();
  compiler.fix({*plan, options.knobs});
  if (failed(compiler.steer()))
    return failure();

  MLIRContext *context = compiler.module().getContext();
  auto error = [&] { return emitError(UnknownLoc::get(context)); };
  SmallVector<std::string> knobs;
  for (StringRef knob : options.knobs)
    knobs.push_back(knob.split('=').first.str());
  PassManager passes(context);
  if (options.target == FoldTarget::GGUFControl)
    passes.addPass(createSteerToControlVectorPass({knobs}));
  else
    passes.addPass(createConvertSteerToWeightsPass({knobs}));
  if (failed(passes.run(compiler.module())))
    return failure();

  result["plan"] = *plan;
  result["to"] = nameOf(options.target);
  result["output"] = options.output;
  FoldedWeights weights(compiler);
  if (options.target == FoldTarget::PT2) {
    result["changed"] = weights.names();
    return success(succeeded(compiler.lower()) &&
                   succeeded(compiler.write(options.output)));
  }

  if (failed(options.target == FoldTarget::GGUFControl
                 ? weights.collectControlVector()
                 : weights.collect()))
    return failure();
  auto job = JobFolder::make("weir-fold");
  if (!job)
    return error() << llvm::toString(job.takeError());
  llvm::json::Object description{
      {"to", nameOf(options.target)},
      {"output", options.output},
      {"source",
       options.source.empty() ? compiler.model().model : options.source},
      {"family", compiler.model().family},
      {"dtype", compiler.model().dtype},
      {"plan", *plan},
      {"tensor_type", options.tensorType},
      {"maps", weights.describe()}};
  if (llvm::Error e = writeTextAtomically(
          (*job)->file(jobFile), printJSON(std::move(description))))
    return error() << llvm::toString(std::move(e));
  if (llvm::Error e = writeSafetensors((*job)->file(numbersFile),
                                       weights.tensors()))
    return error() << llvm::toString(std::move(e));
  if (failed(runPython({"write-folded", (*job)->path()})))
    return failure();
  result["changed"] = weights.names();
  return reportRefusals(**job, options.target, weights.places(), context, result);
}
