//===- TextFilters.cpp - Filters of texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Characters.h"
#include "Machine.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace weir::jinja {
namespace {

/// soft_str(subject), for filters of texts. Errors: a text marked as safe,
/// whose methods give marked texts.
std::string softText(Machine &machine, const Value &subject) {
  if (subject.isString() && subject.string().markup)
    raise("a filter of a text marked as safe is not supported");
  std::string text = machine.str(subject);
  machine.budget.scan(text.size());
  return text;
}

template <std::string (*Map)(StringRef)>
Value mapped(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("filter", arguments, {});
  std::string text = softText(machine, subject);
  machine.budget.scan(8 * text.size());
  return machine.text(Map(text));
}

/// jinja2's own, whose words begin after blanks and some signs.
std::string titleOfWords(StringRef text) {
  std::string out, word;
  auto finish = [&] {
    if (word.empty())
      return;
    size_t first = byteOfCharacter(word, 1);
    out += toUpper(StringRef(word).take_front(first)) +
           toLower(StringRef(word).drop_front(first));
    word.clear();
  };
  while (!text.empty()) {
    size_t size = byteOfCharacter(text, 1);
    char32_t c = decode(text.take_front(size))[0];
    bool splits = c == '-' || c == '(' || c == '{' || c == '[' || c == '<' ||
                  isSpace(c);
    if (splits)
      finish();
    (splits ? out : word) += text.take_front(size);
    text = text.drop_front(size);
  }
  finish();
  return out;
}

Value trim(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("trim", arguments, {"chars"});
  std::string text = softText(machine, subject);
  if (!p.isGiven(0))
    return machine.text(strip(text, Both).str());
  std::u32string chars = decode(p.text(0, ""));
  machine.budget.scan(text.size() * (chars.size() / 8));
  return machine.text(strip(text, Both, [&](char32_t c) {
                        return chars.find(c) != chars.npos;
                      }).str());
}

Value replace(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("replace", arguments, {"old", "new", "count"}, 2);
  Value text = machine.text(machine.str(subject));
  Arguments call;
  call.positional = {machine.text(machine.str(p[0])),
                     machine.text(machine.str(p[1])),
                     Value::integerOf(p.isGiven(2) ? p.integer(2, -1) : -1)};
  return machine.call(machine.attribute(text, "replace"), std::move(call));
}

Value string(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("string", arguments, {});
  return subject.isString() ? subject : machine.text(machine.str(subject));
}

Value safe(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("safe", arguments, {});
  return machine.text(machine.str(subject), /*markup=*/true);
}

std::string escapedText(Machine &machine, StringRef text) {
  TextBuilder out(&machine.budget);
  for (StringRef rest = text; !rest.empty();) {
    size_t at = std::min(rest.find_first_of("&<>'\""), rest.size());
    out.add(rest.take_front(at));
    rest = rest.drop_front(at);
    if (rest.empty())
      break;
    machine.budget.step();
    out.add(rest[0] == '&'   ? "&amp;"
            : rest[0] == '<' ? "&lt;"
            : rest[0] == '>' ? "&gt;"
            : rest[0] == '"' ? "&#34;"
                             : "&#39;");
    rest = rest.drop_front();
  }
  return out.take();
}

template <bool Always>
Value escape(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("escape", arguments, {});
  return machine.text(Always ? escapedText(machine, machine.str(subject))
                             : escaped(machine, subject),
                      /*markup=*/true);
}

Value indent(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("indent", arguments, {"width", "first", "blank"});
  if (!subject.isString()) {
    Machine::checkDefined(subject);
    raise("indent is for a str, not {0}", typeName(subject));
  }
  std::string text = softText(machine, subject) + "\n";
  TextBuilder margin(&machine.budget);
  if (p.has(0) && p[0].isString())
    margin.add(p[0].text());
  else if (int64_t width = p.integer(0, 4); width > 0)
    margin.add(width, ' ');
  bool blank = p.truth(2, false);
  TextBuilder out(&machine.budget);
  for (auto [i, line] : enumerate(splitLines(text))) {
    machine.budget.step();
    if (i)
      out.add("\n");
    if (i ? blank || !line.empty() : p.truth(1, false))
      out.add(margin.text());
    out.add(line);
  }
  return machine.text(out.take());
}

Value center(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("center", arguments, {"width"});
  Arguments call;
  call.positional = {Value::integerOf(p.integer(0, 80))};
  return machine.call(
      machine.attribute(machine.text(softText(machine, subject)), "center"),
      std::move(call));
}

Value truncate(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("truncate", arguments, {"length", "killwords", "end", "leeway"});
  if (!subject.isString()) {
    Machine::checkDefined(subject);
    raise("truncate is for a str, not {0}", typeName(subject));
  }
  std::string text = softText(machine, subject);
  int64_t length = p.integer(0, 255), leeway = p.isGiven(3) ? p.integer(3, 5) : 5;
  StringRef end = p.text(2, "...");
  int64_t endLength = countCharacters(end);
  if (length < endLength || leeway < 0)
    raise("truncate: the length has to be at least {0}, the leeway 0",
          endLength);
  if (static_cast<__int128>(subject.string().points) <=
      static_cast<__int128>(length) + leeway)
    return subject;
  StringRef kept =
      StringRef(text).take_front(byteOfCharacter(text, length - endLength));
  if (!p.truth(1, false))
    if (size_t space = kept.rfind(' '); space != StringRef::npos)
      kept = kept.take_front(space);
  return machine.text((kept + end).str());
}

Value wordcount(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("wordcount", arguments, {});
  std::string text = softText(machine, subject);
  int64_t count = 0;
  bool inWord = false;
  for (char32_t c : decode(text)) {
    bool isWord = isWordCharacter(c);
    count += isWord && !inWord;
    inWord = isWord;
  }
  return Value::integerOf(count);
}

Value format(Machine &machine, const Value &subject, Arguments &arguments) {
  if (!arguments.named.empty() && !arguments.positional.empty())
    raise("can't handle positional and keyword arguments at the same time");
  Value values = machine.make.dict();
  if (arguments.named.empty())
    values = machine.make.tuple(arguments.positional);
  for (auto &[name, value] : arguments.named)
    machine.make.set(values, machine.text(name), value);
  return machine.text(
      percentFormat(machine, softText(machine, subject), values));
}

Value tojson(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("tojson", arguments,
               {"ensure_ascii", "indent", "separators", "sort_keys"});
  JSONStyle style;
  style.ascii = p.truth(0, false);
  style.sorted = p.truth(3, false);
  if (p.isGiven(1)) {
    if (p[1].isString()) {
      style.indent = p[1].text().str();
    } else {
      int64_t width = std::max<int64_t>(p.integer(1, 0), 0);
      Budget::checkText(width);
      style.indent = std::string(width, ' ');
    }
    style.itemSeparator = ",";
  }
  if (p.isGiven(2)) {
    Value pair = machine.listOf(p[2]);
    const std::vector<Value> &parts = pair.sequence().items;
    if (parts.size() != 2 || !parts[0].isString() || !parts[1].isString())
      raise("tojson: the separators are two texts");
    style.itemSeparator = parts[0].text().str();
    style.keySeparator = parts[1].text().str();
  }
  return machine.text(json(machine, subject, style));
}

void quoteInto(TextBuilder &out, StringRef text, bool ofQuery) {
  for (unsigned char c : text) {
    if (isAlnum(c) || StringRef("_.-~").contains(c) || (c == '/' && !ofQuery))
      out.add(1, c);
    else if (c == ' ' && ofQuery)
      out.add("+");
    else
      out.add("%" + utohexstr(c, /*LowerCase=*/false, /*Width=*/2));
  }
}

Value urlencode(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("urlencode", arguments, {});
  TextBuilder out(&machine.budget);
  bool isPairs = subject.is(Kind::Dict) || subject.isSequence() ||
                 subject.is(Kind::View) || subject.is(Kind::Generator) ||
                 subject.is(Kind::Range);
  if (!isPairs) {
    std::string text = machine.str(subject);
    machine.budget.step(text.size() / 8);
    quoteInto(out, text, false);
    return machine.text(out.take());
  }
  Value pairs = machine.listOf(subject.is(Kind::Dict)
                                   ? machine.filter("items", subject, {})
                                   : subject);
  for (auto [i, pair] : enumerate(pairs.sequence().items)) {
    Value parts = machine.listOf(pair);
    if (parts.sequence().items.size() != 2)
      raise("urlencode: pairs are expected");
    if (i)
      out.add("&");
    for (int side = 0; side < 2; ++side) {
      std::string text = machine.str(parts.sequence().items[side]);
      machine.budget.step(text.size() / 8);
      if (side)
        out.add("=");
      quoteInto(out, text, true);
    }
  }
  return machine.text(out.take());
}

constexpr NamedBuiltin table[] = {
    {"upper", mapped<toUpper>},
    {"lower", mapped<toLower>},
    {"capitalize", mapped<toCapitalized>},
    {"title", mapped<titleOfWords>},
    {"trim", trim},
    {"replace", replace},
    {"string", string},
    {"safe", safe},
    {"escape", escape<false>},
    {"e", escape<false>},
    {"forceescape", escape<true>},
    {"indent", indent},
    {"center", center},
    {"truncate", truncate},
    {"wordcount", wordcount},
    {"format", format},
    {"tojson", tojson},
    {"urlencode", urlencode},
};

} // namespace

std::string escaped(Machine &machine, const Value &value) {
  std::string text = machine.str(value);
  bool isSafe = value.isString() && value.string().markup;
  return isSafe ? text : escapedText(machine, text);
}

ArrayRef<NamedBuiltin> textFilters() { return table; }

} // namespace weir::jinja
