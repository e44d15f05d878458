//===- Patterns.cpp - What a text is split by ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "../Support.h"
#include "Utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdexcept>

using namespace llvm;

namespace weir {
namespace {

std::string describe(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char *>(buffer);
}

struct Free {
  void operator()(pcre2_code *code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data *data) const { pcre2_match_data_free(data); }
};

class LiteralPattern final : public Pattern {
public:
  explicit LiteralPattern(std::string text) : needle(std::move(text)) {}

  std::vector<Range> find(StringRef text) const override {
    std::vector<Range> out;
    for (size_t at = text.find(needle); at != StringRef::npos;
         at = text.find(needle, at + needle.size()))
      add(out, at, at + needle.size());
    finish(out, text.size());
    return out;
  }

private:
  std::string needle;
};

class RegexPattern final : public Pattern {
public:
  explicit RegexPattern(Regex regex) : regex(std::move(regex)) {}

  static Expected<std::unique_ptr<Pattern>> compile(StringRef pattern) {
    Expected<Regex> regex = Regex::compile(pattern);
    if (!regex)
      return regex.takeError();
    return std::make_unique<RegexPattern>(std::move(*regex));
  }

  std::vector<Range> find(StringRef text) const override {
    std::vector<Range> out;
    for (size_t from = 0; from <= text.size();) {
      auto found = regex.match(text, from);
      if (!found)
        break;
      auto [begin, end] = *found;
      add(out, begin, end);
      from = end;
      if (begin == end) { // an empty match: one character on
        if (from == text.size())
          break;
        from += firstCharacter(text.drop_front(from)).length;
      }
    }
    finish(out, text.size());
    return out;
  }

private:
  Regex regex;
};

} // namespace

struct Regex::Compiled {
  std::unique_ptr<pcre2_code, Free> code;
  std::unique_ptr<pcre2_match_data, Free> data;
};

Regex::Regex(std::unique_ptr<Compiled> compiled)
    : compiled(std::move(compiled)) {}
Regex::Regex(Regex &&) = default;
Regex::~Regex() = default;

Expected<Regex> Regex::compile(StringRef pattern) {
  int code = 0;
  PCRE2_SIZE offset = 0;
  auto out = std::make_unique<Compiled>();
  out->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()),
                                pattern.size(),
                                PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                                &code, &offset, nullptr));
  if (!out->code)
    return fail("pattern '{0}': {1} at byte {2}", pattern, describe(code),
                offset);
  // Without JIT support the interpreter matches the same, more slowly.
  pcre2_jit_compile(out->code.get(), PCRE2_JIT_COMPLETE);
  out->data.reset(
      pcre2_match_data_create_from_pattern(out->code.get(), nullptr));
  return Regex(std::move(out));
}

std::optional<std::pair<size_t, size_t>> Regex::match(StringRef text,
                                                      size_t from) const {
  int result = pcre2_match(compiled->code.get(),
                           reinterpret_cast<PCRE2_SPTR>(text.data()),
                           text.size(), from, PCRE2_NO_UTF_CHECK,
                           compiled->data.get(), nullptr);
  if (result == PCRE2_ERROR_NOMATCH)
    return std::nullopt;
  if (result < 0)
    throw std::runtime_error(describe(result));
  const PCRE2_SIZE *where = pcre2_get_ovector_pointer(compiled->data.get());
  return std::make_pair(size_t{where[0]}, size_t{where[1]});
}

std::unique_ptr<Pattern> literalPattern(std::string text) {
  return std::make_unique<LiteralPattern>(std::move(text));
}

Expected<std::unique_ptr<Pattern>> parsePattern(const json::Object &object) {
  const json::Object *pattern = object.getObject("pattern");
  if (pattern && pattern->size() == 1) {
    if (std::optional<StringRef> text = pattern->getString("String")) {
      if (text->empty())
        return fail("an empty pattern");
      return std::make_unique<LiteralPattern>(text->str());
    }
    if (std::optional<StringRef> text = pattern->getString("Regex"))
      return RegexPattern::compile(*text);
  }
  return fail("a pattern must be a \"String\" or a \"Regex\"");
}

} // namespace weir
