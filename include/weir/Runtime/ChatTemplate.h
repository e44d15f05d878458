//===- ChatTemplate.h - From a conversation to a prompt ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_CHATTEMPLATE_H
#define WEIR_RUNTIME_CHATTEMPLATE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace weir {

/// How a conversation ends, and what else a template is told.
struct ChatOptions {
  /// Ask for an answer.
  bool addGenerationPrompt = true;
  /// Go on with the last message: the prompt ends where its text does. With it
  /// no generation prompt is added.
  bool continueFinalMessage = false;
  /// A JSON list of the functions that a model may call; empty for none.
  std::string tools = {};
};

/// The Jinja template that comes with a chat model, rendered as transformers'
/// apply_chat_template does, message keys and tools in the order in which they
/// were given. Torch-free.
///
/// Templates come with models and may be anyone's: rendering one costs at most
/// about a second and 256 MiB and touches nothing; see
/// lib/Runtime/Text/Jinja/Template.h.
class ChatTemplate {
public:
  /// `variables` is a JSON object of what every rendering sees: the special
  /// tokens (bos_token, …). Errors: Jinja that does not parse; a template above
  /// 64 KiB.
  static llvm::Expected<std::unique_ptr<ChatTemplate>>
  parse(llvm::StringRef source, llvm::StringRef variables = "{}");
  virtual ~ChatTemplate() = default;

  /// The prompt after which the model answers. It holds the special tokens as
  /// text; encode it without adding others.
  ///
  /// `messages` is a JSON list of objects with "role" and "content" (a text, or
  /// a list of parts) and whatever else the template knows. Errors: other JSON;
  /// what the template raises, with its line; a final message that cannot be
  /// continued; a template that takes too long or too much memory.
  virtual llvm::Expected<std::string>
  render(llvm::StringRef messages, const ChatOptions &options = {}) const = 0;
};

/// The messages of a question, with a system message unless it is empty.
std::string chatMessages(llvm::StringRef system, llvm::StringRef user);

} // namespace weir

#endif // WEIR_RUNTIME_CHATTEMPLATE_H
