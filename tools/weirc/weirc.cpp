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

#include "Command.h"

#include "weir/Spec/Source.h"
#include "weir/Support/ToolProcess.h"

#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace weir;

namespace {

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

static int runTool(int argc, char **argv) {
  beginTool("weirc");
  CLI::App app{"weirc compiles intervention plans for language models.\n\n"
               "A spec (YAML, see docs/spec.md) says which features to change "
               "and how; the result is\na program with the changes inside, for "
               "weir-run or for PyTorch.\n"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "weirc " WEIR_VERSION);
  app.footer("Exit codes: 0 done; 1 wrong usage; 2 an error in the spec, the "
             "model or the\ndictionaries, or with the output.");
  // In the order of the help.
  const Command commands[] = {
      addCheck(app),
      addExplain(app),
      addBuild(app, argv[0]),
      addFold(app, argv[0]),
      addMatch(app),
      addGraph(app, argv[0]),
      addValidate(app),
      addEvaluate(app, argv[0]),
      addSweep(app, argv[0]),
      addFeatures(app, argv[0]),
      addRows(app),
      addCache(app),
      addVet(app),
      addSchema(app),
      addDirection(app, argv[0]),
      addChat(app)};

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
  for (const Command &command : commands)
    if (command.app->parsed())
      return command.run();
  return 1;
}

int main(int argc, char **argv) { weir::endTool(runTool(argc, argv)); }
