//===- Validate.cpp - weirc validate: are matches causes? ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"
#include "SpecCommand.h"
#include "TextOptions.h"

#include "../Numbers.h"

#include "weir/Driver/Validation.h"
#include "weir/Support/Shell.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace weir;

namespace {
struct ValidateOptions : SpecOptions {
  ValidationOptions validation;
  std::vector<std::string> methods;
  std::string cases, tokens;
};
} // namespace

/// The `weirc graph` that finds the effects again.
static std::string commandThatShows(const ValidateOptions &options) {
  std::string command = "weirc graph " + shellWord(options.compiler.spec) +
                        " --text " + shellWord(options.validation.text);
  if (!options.compiler.model.empty())
    command += " --model " + shellWord(options.compiler.model);
  if (!options.compiler.cache.empty())
    command += " --cache " + shellWord(options.compiler.cache);
  return command;
}

static int runValidate(const ValidateOptions &options) {
  SpecSession session(options);
  if (std::optional<int> code = session.begin())
    return *code;
  auto wrong = [](const llvm::Twine &what) {
    llvm::errs() << "weirc: " << what << "\n";
    return 1;
  };
  ValidationOptions validation = options.validation;
  for (const std::string &name : options.methods) {
    std::optional<ValidationMethod> method = parseValidationMethod(name);
    if (!method) {
      std::string known;
      for (size_t i = 0; i < numValidationMethods; ++i)
        known += (i ? ", " : "") + nameOf(static_cast<ValidationMethod>(i)).str();
      return wrong("--method: there is no method '" + name + "', only " + known);
    }
    validation.methods.push_back(*method);
  }
  if (!options.cases.empty())
    if (llvm::Error error = ValidationResult::checkCases(options.cases))
      return wrong("--cases: " + llvm::toString(std::move(error)));
  if (!options.tokens.empty())
    if (llvm::Error error =
            ValidationResult::checkTokens(options.tokens, validation.text))
      return wrong("--tokens: " + llvm::toString(std::move(error)));
  validation.progress = showProgress;

  if (failed(session.compiler().load(/*withModel=*/false)))
    return session.finish(false);
  FailureOr<ValidationResult> result = validate(session.compiler(), validation);
  if (failed(result))
    return session.finish(false);
  auto write = [&](llvm::Error error) {
    if (!error)
      return true;
    emitError(UnknownLoc::get(&session.context()))
        << llvm::toString(std::move(error));
    return false;
  };
  if (!options.cases.empty() && !write(result->writeCases(options.cases)))
    return session.finish(false);
  if (!options.tokens.empty() && !write(result->writeTokens(options.tokens)))
    return session.finish(false);
  if (options.json)
    return session.finish(true, result->toJSON());
  showProgress("");
  result->print(llvm::outs());
  if (!result->graphs.empty())
    llvm::outs() << "\nThe effects of edges are kept. The graphs show them with\n  "
                 << commandThatShows(options)
                 << "\nand by themselves once they have the key `text` with this "
                    "text.\n";
  return session.finish(true);
}

Command weir::addValidate(CLI::App &app) {
  auto options = std::make_shared<ValidateOptions>();
  ValidationOptions &validation = options->validation;
  CLI::App *validate = app.add_subcommand(
      "validate",
      "Take matched features away and see whether their targets go out");
  addSpecOptions(validate, *options, /*needsModel=*/true);
  addTextOptions(validate, validation.text, validation.windows)->required();
  validate
      ->add_option("--graph", validation.graphs,
                   "validate the features of this graph, instead of those of all "
                   "graphs that the spec has; repeatable")
      ->allow_extra_args(false);
  validate
      ->add_option("--sample", validation.sample,
                   "validate N features of each layer, drawn by --seed, instead "
                   "of those of graphs")
      ->transform(numberIn<int64_t>(1, mostItems))
      ->excludes("--graph");
  validate->add_option("--seed", validation.seed,
                       "what chance goes by: features, tokens, random_of_5")
      ->transform(numberIn<int64_t>(0, mostItems))
      ->capture_default_str();
  validate
      ->add_option("--match", validation.matches,
                   "the match to validate, where the spec has several of a "
                   "kind; repeatable")
      ->allow_extra_args(false);
  validate
      ->add_option("--method", options->methods,
                   "edges, top1, random_of_5, permutation, top5, exhaustive or joint; "
                   "repeatable. All but exhaustive if not given")
      ->allow_extra_args(false);
  validate
      ->add_option("--occurrences", validation.occurrences,
                   "tokens at which a feature is looked at, one a window")
      ->transform(numberIn<int64_t>(1, mostItems))
      ->capture_default_str();
  auto *loss =
      validate->add_flag("--loss", validation.losses,
                         "also the change of the loss behind the token");
  validate
      ->add_option("--loss-tokens", validation.lossTokens,
                   "over how many tokens, from the edited one on")
      ->needs(loss)
      ->transform(numberIn<int64_t>(1, mostItems))
      ->capture_default_str();
  validate
      ->add_option("--rows", validation.rows, "cases that are computed together")
      ->transform(numberIn<int64_t>(1, 65536))
      ->capture_default_str();
  validate->add_option("--cases", options->cases,
                       "write every case into this file (.csv)");
  validate->add_option("--tokens", options->tokens,
                       "write the windows into this file (.npy)");
  addMatchingOptions(validate, *options);
  return {validate, [options] { return runValidate(*options); }};
}
