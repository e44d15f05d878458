//===- Chat.cpp - weirc chat: render chats ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"

#include "weir/Runtime/ChatJob.h"
#include "weir/Support/Files.h"
#include "weir/Support/StandardInput.h"

#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace weir;

/// A file, or standard input for "-".
static llvm::Expected<std::string> readInput(StringRef path) {
  if (path != "-")
    return readText(path);
  return readStandardInput(/*limit=*/64u << 20);
}

Command weir::addChat(CLI::App &app) {
  auto input = std::make_shared<std::string>("-");
  CLI::App *chat = app.add_subcommand(
      "chat", "Render chats with chat templates, as a program would see them");
  chat->add_option("input", *input,
                   "a file of JSON objects, one a line, with template, "
                   "messages, tools, variables, add_generation_prompt, "
                   "continue_final_message; - is standard input")
      ->capture_default_str();
  return {chat, [input] {
            auto text = readInput(*input);
            if (!text) {
              llvm::errs() << "weirc: " << llvm::toString(text.takeError())
                           << "\n";
              return 2;
            }
            return runChatJob(*text, llvm::outs());
          }};
}
