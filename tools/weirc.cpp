//===- weirc.cpp - The compiler's driver ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Exit codes: 0 done; 1 wrong usage; 2 an error in the spec, the model or the
// dictionaries, or while writing; for `cache verify` also a damaged entry.
//
//===----------------------------------------------------------------------===//

#include "Numbers.h"

#include "weir/Cache/ResultCache.h"
#include "weir/Driver/CacheJob.h"
#include "weir/Driver/Compiler.h"
#include "weir/Driver/DiagnosticList.h"
#include "weir/Driver/MatchChains.h"
#include "weir/Driver/PythonTool.h"
#include "weir/Driver/VetJob.h"
#include "weir/Runtime/ChatJob.h"
#include "weir/Spec/Source.h"
#include "weir/Spec/Spec.h"
#include "weir/Support/Files.h"
#include "weir/Support/StandardInput.h"
#include "weir/Support/ToolProcess.h"

#include "mlir/IR/Remarks.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <map>

using namespace mlir;
using namespace weir;

namespace {

struct Options {
  CompilerOptions compiler;
  std::string output, engine = "reference";
  std::vector<std::string> allowedOperators;
  bool json = false, remarks = false, printIR = false;
  // match
  std::vector<std::string> exports;
  bool listParts = false;
  std::string part;
  std::vector<std::string> followed;
};

/// A line that is rewritten on a terminal and not there in a pipe.
void showProgress(StringRef text) {
  if (!llvm::sys::Process::StandardErrIsDisplayed())
    return;
  llvm::errs() << "\r\x1b[K";
  if (!text.empty())
    llvm::errs() << text << " …";
}

int finish(const Options &options, DiagnosticList &diagnostics, bool succeeded,
           llvm::json::Object result = {}) {
  showProgress("");
  if (options.json) {
    result["ok"] = succeeded;
    result["diagnostics"] = diagnostics.takeJSON();
    llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(result)))
                 << "\n";
  }
  return succeeded ? 0 : 2;
}

int finishParts(const Options &options, Compiler &compiler,
                DiagnosticList &diagnostics) {
  FailureOr<std::vector<MatchPart>> parts = compiler.matchParts();
  if (failed(parts))
    return finish(options, diagnostics, false);
  // Who computes them elsewhere has to use the same folder.
  auto cache = ResultCache::open(options.compiler.cache);
  if (!cache) {
    emitError(UnknownLoc::get(compiler.module().getContext()))
        << llvm::toString(cache.takeError());
    return finish(options, diagnostics, false);
  }
  llvm::json::Array rows;
  for (const MatchPart &part : *parts)
    if (options.json)
      rows.push_back(llvm::json::Object{
          {"name", part.name}, {"key", part.key}, {"done", part.isDone}});
    else
      llvm::outs() << part.name << (part.isDone ? "  done" : "") << "\n";
  return finish(options, diagnostics, true,
                llvm::json::Object{{"cache", cache->folder().str()},
                                   {"parts", std::move(rows)}});
}

int runMatch(const Options &options, Compiler &compiler,
             DiagnosticList &diagnostics) {
  for (const std::string &path : options.exports)
    if (llvm::Error e = MatchReport::checkExport(path)) {
      llvm::errs() << "weirc: " << llvm::toString(std::move(e)) << "\n";
      return 1;
    }
  std::vector<FollowedFeature> followed;
  for (const std::string &text : options.followed) {
    auto feature = FollowedFeature::parse(text);
    if (!feature) {
      llvm::errs() << "weirc: --follow: " << llvm::toString(feature.takeError())
                   << "\n";
      return 1;
    }
    followed.push_back(std::move(*feature));
  }
  // Dictionaries of files can be matched without their model.
  if (failed(compiler.load(/*withModel=*/false)))
    return finish(options, diagnostics, false);
  if (compiler.matchingNeedsModel() && failed(compiler.loadModel()))
    return finish(options, diagnostics, false);
  if (options.listParts)
    return finishParts(options, compiler, diagnostics);
  if (!options.part.empty())
    return finish(options, diagnostics,
                  succeeded(compiler.matchPart(options.part)));

  MatchReport report;
  if (failed(compiler.match(report)))
    return finish(options, diagnostics, false);
  for (const std::string &path : options.exports)
    if (llvm::Error e = report.write(path)) {
      emitError(UnknownLoc::get(compiler.module().getContext()))
          << llvm::toString(std::move(e));
      return finish(options, diagnostics, false);
    }
  std::vector<MatchChain> chains;
  for (const FollowedFeature &feature : followed) {
    auto found = followFeature(feature, report, compiler.module());
    if (!found) {
      emitError(UnknownLoc::get(compiler.module().getContext()))
          << "--follow: " << llvm::toString(found.takeError());
      return finish(options, diagnostics, false);
    }
    llvm::append_range(chains, *found);
  }
  if (options.json) {
    llvm::json::Object result = report.toJSON();
    if (!followed.empty())
      result["chains"] = toJSON(chains);
    return finish(options, diagnostics, true, std::move(result));
  }
  showProgress("");
  if (followed.empty())
    report.print(llvm::outs());
  else
    printChains(chains, llvm::outs());
  return finish(options, diagnostics, true);
}

int run(const Options &options, StringRef command, char *argv0) {
  DialectRegistry registry;
  registerCompilerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  // Messages are for people who write specs, not for readers of IR.
  context.printOpOnDiagnostic(false);
  CompilerOptions compilerOptions = options.compiler;
  compilerOptions.progress = showProgress;
  llvm::Error badName =
      compilerOptions.operators.allowAll(options.allowedOperators);
  Compiler compiler(context, compilerOptions);
  DiagnosticList diagnostics(compiler.sources(), context, options.json,
                             [] { showProgress(""); });
  if (badName) {
    emitError(UnknownLoc::get(&context))
        << "--allow-operator: " << llvm::toString(std::move(badName));
    finish(options, diagnostics, false);
    return 1;
  }
  if (options.remarks) {
    // A kind of remark without a filter of its own is dropped. What is done at
    // each site stands in the report, so that lowering says nothing here.
    std::string told = "^(flow-.*|steer.*)$";
    remark::RemarkCategories all{told, told, told, told, told};
    if (failed(remark::enableOptimizationRemarks(
            context, nullptr,
            std::make_unique<remark::RemarkEmittingPolicyAll>(), all,
            /*printAsEmitRemarks=*/true)))
      return 2;
  }

  if (command == "match")
    return runMatch(options, compiler, diagnostics);

  bool hasModel = command != "check" || !compilerOptions.model.empty();
  if (failed(compiler.load(hasModel)))
    return finish(options, diagnostics, false);
  if (!hasModel)
    return finish(options, diagnostics, true);
  if (failed(compiler.steer()))
    return finish(options, diagnostics, false);
  if (command == "check")
    return finish(options, diagnostics, true);
  if (command == "explain") {
    std::string ir;
    if (options.printIR) {
      llvm::raw_string_ostream os(ir);
      compiler.module().print(os, OpPrintingFlags().elideLargeElementsAttrs());
    }
    if (!options.json) {
      showProgress("");
      // The module has standard output for itself, for weir-opt to read.
      llvm::outs() << ir;
      printMarkdown(compiler.report(), {},
                    options.printIR ? llvm::errs() : llvm::outs());
    }
    llvm::json::Object result{{"report", toJSON(compiler.report())}};
    if (options.printIR)
      result["ir"] = std::move(ir);
    return finish(options, diagnostics, true, std::move(result));
  }

  auto makePackage = [&](StringRef folder) -> LogicalResult {
    showProgress("compiling with AOTInductor, which takes a minute or more");
    return runPythonTool(argv0, context,
                         {"aot", (folder + "/program.pt2").str(), "-o",
                          (folder + "/program.aot.pt2").str()});
  };
  llvm::function_ref<LogicalResult(StringRef)> package = nullptr;
  if (options.engine == "aot")
    package = makePackage;
  bool built = succeeded(compiler.lower()) &&
               succeeded(compiler.write(options.output, package));
  return finish(options, diagnostics, built,
                built ? llvm::json::Object{{"output", options.output},
                                           {"report",
                                            toJSON(compiler.report())}}
                      : llvm::json::Object{});
}

int runVet(const Options &options, VetJob job) {
  if (llvm::Error e = job.operators.allowAll(options.allowedOperators)) {
    llvm::errs() << "weirc: --allow-operator: " << llvm::toString(std::move(e))
                 << "\n";
    return 1;
  }
  DialectRegistry registry;
  registerCompilerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  context.printOpOnDiagnostic(false);
  llvm::SourceMgr sources;
  DiagnosticList diagnostics(sources, context, options.json, [] {});
  FailureOr<llvm::json::Object> vetted = job.run(context);
  if (failed(vetted))
    return finish(options, diagnostics, false);
  if (!options.json) {
    llvm::outs() << "Nothing of it runs when PyTorch loads it.\n\n";
    std::map<std::string, int64_t> operators;
    for (const auto &[name, count] : *vetted->getObject("operators"))
      operators[name.str()] = *count.getAsInteger();
    for (const auto &[name, count] : operators)
      llvm::outs() << llvm::formatv("{0,6} {1}\n", count, name);
  }
  return finish(options, diagnostics, true, std::move(*vetted));
}

/// Python does it, with messages and help of its own.
int runDirection(ArrayRef<std::string> arguments, const char *argv0) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  ScopedDiagnosticHandler handler(&context, [](Diagnostic &diagnostic) {
    llvm::errs() << "weirc: " << diagnostic << "\n";
    return success();
  });
  std::vector<std::string> command = {"direction"};
  llvm::append_range(command, arguments);
  return succeeded(runPythonTool(argv0, context, command)) ? 0 : 2;
}

/// A file, or standard input for "-".
llvm::Expected<std::string> readInput(StringRef path) {
  if (path != "-")
    return readText(path);
  return readStandardInput(/*limit=*/64u << 20);
}

struct CacheOptions {
  CacheJob job;
  bool remove = false;
  std::string maxSize, unusedFor;
};

int runCache(const CacheOptions &options, StringRef command) {
  auto report = [](llvm::Error error, int code) {
    llvm::errs() << "weirc: " << llvm::toString(std::move(error)) << "\n";
    return code;
  };
  int64_t damaged = 0;
  llvm::Error error = llvm::Error::success();
  if (command == "ls") {
    error = options.job.list(llvm::outs());
  } else if (command == "verify") {
    error = options.job.verify(options.remove, damaged, llvm::outs());
  } else {
    std::optional<uint64_t> bytes;
    std::optional<std::chrono::seconds> unusedFor;
    if (!options.maxSize.empty()) {
      auto parsed = parseBytes(options.maxSize);
      if (!parsed)
        return report(parsed.takeError(), 1);
      bytes = *parsed;
    }
    if (!options.unusedFor.empty()) {
      auto parsed = parseDuration(options.unusedFor);
      if (!parsed)
        return report(parsed.takeError(), 1);
      unusedFor = *parsed;
    }
    error = options.job.collect(bytes, unusedFor, llvm::outs());
  }
  if (error)
    return report(std::move(error), 2);
  return damaged ? 2 : 0;
}

/// Adds `weirc cache` and its commands; the returned one has been given if any.
CLI::App *addCacheCommands(CLI::App &app, CacheOptions &options) {
  auto *cache = app.add_subcommand(
      "cache", "List, check or clean up the matches that were computed");
  cache->require_subcommand(1);
  auto *ls = cache->add_subcommand("ls", "List the entries");
  auto *verify = cache->add_subcommand(
      "verify", "Read every entry; exit with 2 if one is damaged");
  verify->add_flag("--remove", options.remove, "remove what is damaged");
  auto *gc = cache->add_subcommand(
      "gc", "Remove entries beyond --max-size and --unused-for, and what killed "
            "processes left");
  gc->add_option("--max-size", options.maxSize,
                 "keep what was used last, up to this size, such as 10G");
  gc->add_option("--unused-for", options.unusedFor,
                 "remove what was not used for this long, such as 30d");
  for (CLI::App *command : {ls, verify, gc}) {
    command->add_option("--cache", options.job.folder,
                        "the folder; $WEIR_CACHE or ~/.cache/weir if not given");
    command->add_flag("--json", options.job.json, "print JSON");
  }
  return cache;
}

bool isUnknownCommand(const CLI::App &app, StringRef word) {
  return !word.starts_with("-") &&
         llvm::none_of(app.get_subcommands({}), [&](const CLI::App *command) {
           return command->get_name() == word;
         });
}

/// Says which option of the command a word is likely to mean that is none.
void suggestOption(const CLI::App &app, int argc, char **argv) {
  if (argc < 2)
    return;
  for (const CLI::App *command : app.get_subcommands({})) {
    if (command->get_name() != argv[1])
      continue;
    std::vector<std::string> options;
    for (const CLI::Option *option : command->get_options({}))
      for (const std::string &name : option->get_lnames())
        options.push_back("--" + name);
    std::vector<StringRef> names(options.begin(), options.end());
    for (int i = 2; i < argc; ++i) {
      StringRef word = StringRef(argv[i]).split('=').first;
      if (!word.starts_with("--") || llvm::is_contained(names, word))
        continue;
      if (StringRef near = spec::nearest(word, names); !near.empty())
        llvm::errs() << "There is no option '" << word << "'; did you mean '"
                     << near << "'?\n";
    }
  }
}

} // namespace

int main(int argc, char **argv) {
  beginTool("weirc");
  CLI::App app{"weirc compiles intervention plans for language models.\n\n"
               "A spec (YAML, see docs/spec.md) says which features to change "
               "and how; the result is\na program with the changes inside, for "
               "weir-run or for PyTorch.\n"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "weirc " WEIR_VERSION);
  app.footer("Exit codes: 0 done; 1 wrong usage; 2 an error in the spec, the "
             "model or the\ndictionaries, or with the output.");

  Options options;
  auto addCommon = [&](CLI::App *command, bool needsModel) {
    command->add_option("spec", options.compiler.spec, "the spec, a YAML file")
        ->required();
    command->add_option("--model", options.compiler.model,
                        needsModel ? "the exported model (.pt2), instead of "
                                     "the one that the spec names"
                                   : "check against this exported model (.pt2) "
                                     "and the dictionaries too");
    command->add_flag("--json", options.json,
                      "print the result and all messages as JSON");
    command
        ->add_option("--allow-operator", options.allowedOperators,
                     "let the model call this operator, such as "
                     "aten.fft_rfft.default, although nobody checks what it "
                     "does; repeatable")
        ->allow_extra_args(false);
    command->add_flag("--remarks", options.remarks,
                      "say which features selectors chose, which matches were "
                      "computed, and what is not used");
  };
  auto *check = app.add_subcommand("check", "Read a spec and report errors");
  addCommon(check, false);
  auto *explain = app.add_subcommand(
      "explain", "Print what would be done at each site, and what it costs");
  addCommon(explain, true);
  explain->add_flag("--ir", options.printIR,
                    "print the program with its patches as MLIR, for weir-opt; "
                    "the report goes to standard error");
  auto *build = app.add_subcommand("build", "Compile a spec into a program");
  addCommon(build, true);
  build->add_option("-o,--output", options.output,
                    "the folder to make: program.pt2, manifest.json, spec.yaml, "
                    "report.md, with --engine aot program.aot.pt2")
      ->required();
  build->add_flag("--stats", options.compiler.count,
                  "let the program say which tokens each policy edits, for "
                  "weir-run --stats and --assert-steered");
  build
      ->add_option("--engine", options.engine,
                   "aot makes an AOTInductor package as well (needs Python)")
      ->check(CLI::IsMember({"reference", "aot"}))
      ->capture_default_str();
  auto *match = app.add_subcommand(
      "match", "Match features across layers, and show how similar they are");
  addCommon(match, true);
  // One file each time, so that it does not take the spec for another.
  match
      ->add_option("--export", options.exports,
                   "write the matches into a file too: .safetensors or .csv")
      ->allow_extra_args(false);
  match->add_option("--part-rows", options.compiler.unitRows,
                    "features that are matched and kept together")
      ->transform(numberIn<int64_t>(1, mostItems))
      ->capture_default_str();
  match
      ->add_option("--follow", options.followed,
                   "print the features before and behind this one, such as "
                   "12/res/411, each the most similar to the one next to it; "
                   "repeatable")
      ->allow_extra_args(false);
  auto *parts = match->add_flag(
      "--parts", options.listParts,
      "list the parts that can be computed by themselves, anywhere");
  match->add_option("--part", options.part, "compute one part into the cache")
      ->excludes(parts);
  for (CLI::App *command : {explain, build, match}) {
    command->add_option(
        "--cache", options.compiler.cache,
        "folder of computed matches; $WEIR_CACHE or ~/.cache/weir if not given");
    command
        ->add_option("--threads", options.compiler.threads,
                     "threads that matching uses; 0 for as many as there are "
                     "cores")
        ->transform(numberIn<int>(0, mostThreads))
        ->capture_default_str();
  }
  check->add_option("--cache", options.compiler.cache,
                    "folder of computed matches, with --model");
  CacheOptions cacheOptions;
  CLI::App *cache = addCacheCommands(app, cacheOptions);
  VetJob vet;
  auto *vetting = app.add_subcommand(
      "vet", "Check that nothing of a program (.pt2) of somebody else runs when "
             "PyTorch loads it, and list its operators");
  vetting->add_option("program", vet.program, "the program, a .pt2 file")
      ->required();
  vetting->add_flag("!--no-verify", vet.verify,
                    "do not compare records with their checksums");
  vetting
      ->add_option("--allow-operator", options.allowedOperators,
                   "let the program call this operator, such as "
                   "aten.fft_rfft.default, although nobody checks what it does; "
                   "repeatable")
      ->allow_extra_args(false);
  vetting->add_flag("--json", options.json,
                    "print what PyTorch may have of it, and all messages, as "
                    "JSON");
  auto *schema = app.add_subcommand(
      "schema", "Print the JSON schema of specs, for editors");

  auto *direction = app.add_subcommand(
      "direction", "Make directions out of two kinds of texts, for dictionaries "
                   "of the format directions (needs Python)");
  direction->prefix_command();
  direction->set_help_flag();

  std::string chats = "-";
  auto *chat = app.add_subcommand(
      "chat", "Render chats with chat templates, as a program would see them");
  chat->add_option("input", chats,
                   "a file of JSON objects, one a line, with template, "
                   "messages, tools, variables, add_generation_prompt, "
                   "continue_final_message; - is standard input")
      ->capture_default_str();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    if (argc > 1 && isUnknownCommand(app, argv[1])) {
      std::vector<std::string> names;
      for (const CLI::App *command : std::as_const(app).get_subcommands({}))
        names.push_back(command->get_name());
      llvm::errs() << "weirc: unknown command '" << argv[1] << "'"
                   << spec::suggest(argv[1],
                                    std::vector<StringRef>(names.begin(),
                                                           names.end()),
                                    "there is")
                   << "\n";
      return 1;
    }
    int code = app.exit(e);
    suggestOption(app, argc, argv);
    return code == 0 ? 0 : 1;
  }
  if (schema->parsed()) {
    llvm::outs() << spec::schema();
    return 0;
  }
  if (chat->parsed()) {
    auto text = readInput(chats);
    if (!text) {
      llvm::errs() << "weirc: " << llvm::toString(text.takeError()) << "\n";
      return 2;
    }
    return runChatJob(*text, llvm::outs());
  }
  if (direction->parsed())
    return runDirection(direction->remaining(), argv[0]);
  if (vetting->parsed())
    return runVet(options, vet);
  if (cache->parsed())
    return runCache(cacheOptions,
                    cache->get_subcommands().front()->get_name());
  return run(options, app.get_subcommands().front()->get_name(), argv[0]);
}
