//===- ChatTemplate.cpp - From a conversation to a prompt ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/ChatTemplate.h"

#include "../Support.h"
#include "Utf8.h"

#include "llvm/Support/thread.h"

#include <minja.hpp>

#include <chrono>
#include <ctime>
#include <iomanip>
#include <optional>
#include <sstream>

namespace weir {
namespace {

constexpr size_t maxTemplateSize = 64 << 10;

/// The template's parser matches with std::regex, which recurses once a
/// character. A stack of its own makes the largest template safe.
constexpr unsigned stackSize = 512u << 20;

/// Runs `body` on a large stack; returns the message of what it throws.
template <typename Body> std::optional<std::string> guarded(Body body) {
  std::optional<std::string> message;
  llvm::thread worker(std::optional<unsigned>(stackSize), [&] {
    try {
      body();
    } catch (const std::exception &exception) {
      message = exception.what();
    }
  });
  worker.join();
  return message;
}

class MinjaTemplate final : public ChatTemplate {
public:
  MinjaTemplate(std::shared_ptr<minja::TemplateNode> root, std::string bos,
                std::string eos)
      : root(std::move(root)), bos(std::move(bos)), eos(std::move(eos)) {}

  llvm::Expected<std::string>
  render(llvm::ArrayRef<ChatMessage> messages,
         bool addGenerationPrompt) const override;

private:
  std::shared_ptr<minja::TemplateNode> root;
  std::string bos, eos;
};

/// transformers offers this to templates that write today's date.
minja::Value strftimeNow() {
  return minja::Value::callable(
      [](const std::shared_ptr<minja::Context> &,
         minja::ArgumentsValue &arguments) -> minja::Value {
        arguments.expectArgs("strftime_now", {1, 1}, {0, 0});
        std::time_t now =
            std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
        std::tm local{};
        localtime_r(&now, &local);
        std::ostringstream out;
        out << std::put_time(&local,
                             arguments.args[0].get<std::string>().c_str());
        return minja::Value(out.str());
      });
}

llvm::Expected<std::string>
MinjaTemplate::render(llvm::ArrayRef<ChatMessage> messages,
                      bool addGenerationPrompt) const {
  auto list = nlohmann::ordered_json::array();
  for (const ChatMessage &message : messages) {
    if (!isUtf8(message.role) || !isUtf8(message.content))
      return fail("a message is not UTF-8");
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  std::string out;
  std::optional<std::string> error = guarded([&] {
    auto values = nlohmann::ordered_json::object();
    values["messages"] = list;
    values["add_generation_prompt"] = addGenerationPrompt;
    values["bos_token"] = bos;
    values["eos_token"] = eos;
    auto context = minja::Context::make(minja::Value(values));
    context->set("strftime_now", strftimeNow());
    out = root->render(context);
  });
  if (error)
    return fail("chat template: {0}", *error);
  return out;
}

} // namespace

llvm::Expected<std::unique_ptr<ChatTemplate>>
ChatTemplate::parse(llvm::StringRef source, llvm::StringRef bosToken,
                    llvm::StringRef eosToken) {
  if (source.size() > maxTemplateSize)
    return fail("chat template: {0} bytes are more than {1}", source.size(),
                maxTemplateSize);
  std::shared_ptr<minja::TemplateNode> root;
  std::optional<std::string> error = guarded([&] {
    root = minja::Parser::parse(source.str(), {/*trim_blocks=*/true,
                                               /*lstrip_blocks=*/true,
                                               /*keep_trailing_newline=*/false});
  });
  if (error)
    return fail("chat template: {0}", *error);
  return std::make_unique<MinjaTemplate>(std::move(root), bosToken.str(),
                                         eosToken.str());
}

} // namespace weir
