//===- OneOf.h - Options that take one of some words ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TOOLS_ONEOF_H
#define WEIR_TOOLS_ONEOF_H

#include "weir/Spec/Source.h"

#include <CLI/CLI.hpp>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace weir {

/// Takes one of the words and turns it into its value, a string or an enumerator.
/// CLI11's own check shows the numbers of enumerators, and suggests nothing.
template <typename Value>
CLI::Validator oneOf(std::vector<std::pair<std::string, Value>> choices) {
  std::string listed;
  for (const auto &choice : choices)
    listed += (listed.empty() ? "" : ",") + choice.first;
  auto turn = [choices = std::move(choices)](std::string &text) -> std::string {
    std::vector<llvm::StringRef> words;
    for (const auto &[word, value] : choices) {
      words.push_back(word);
      if (word != text)
        continue;
      if constexpr (std::is_enum_v<Value>)
        text = std::to_string(static_cast<std::underlying_type_t<Value>>(value));
      else
        text = value;
      return "";
    }
    return "there is no " + spec::inQuotes(text) +
           spec::suggest(text, words, "there is");
  };
  return CLI::Validator(turn, "{" + listed + "}");
}

inline CLI::Validator oneOf(std::initializer_list<const char *> words) {
  std::vector<std::pair<std::string, std::string>> choices;
  for (const char *word : words)
    choices.emplace_back(word, word);
  return oneOf(std::move(choices));
}

} // namespace weir

#endif // WEIR_TOOLS_ONEOF_H
