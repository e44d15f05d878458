//===- ChatTemplate.h - From a conversation to a prompt ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_CHATTEMPLATE_H
#define WEIR_RUNTIME_CHATTEMPLATE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace weir {

struct ChatMessage {
  std::string role; ///< system, user, assistant
  std::string content;
};

/// The Jinja template that comes with a chat model, rendered as transformers'
/// apply_chat_template does (blocks trimmed, messages / add_generation_prompt /
/// bos_token / eos_token as its variables). Torch-free.
class ChatTemplate {
public:
  /// Errors: Jinja that does not parse; a template above 64 KiB.
  static llvm::Expected<std::unique_ptr<ChatTemplate>>
  parse(llvm::StringRef source, llvm::StringRef bosToken,
        llvm::StringRef eosToken);
  virtual ~ChatTemplate() = default;

  /// The prompt after which the model answers. It holds the special tokens as
  /// text; encode it without adding others. Errors: what the template raises.
  virtual llvm::Expected<std::string>
  render(llvm::ArrayRef<ChatMessage> messages,
         bool addGenerationPrompt = true) const = 0;
};

} // namespace weir

#endif // WEIR_RUNTIME_CHATTEMPLATE_H
