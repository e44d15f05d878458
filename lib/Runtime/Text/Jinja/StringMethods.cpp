//===- StringMethods.cpp - Methods of texts ---===//
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

template <std::string (*Map)(StringRef)>
Value mapped(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters none("str method", arguments, {});
  machine.budget.scan(8 * self.text().size());
  return machine.text(Map(self.text()));
}

/// What a method says of a text that isn't empty if each character has it.
template <bool (*Has)(char32_t)>
Value all(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters none("str method", arguments, {});
  machine.budget.scan(4 * self.text().size());
  return Value::boolean(!self.text().empty() &&
                        llvm::all_of(decode(self.text()), Has));
}

Value isascii(Machine &, const Value &self, Arguments &arguments) {
  Parameters none("isascii", arguments, {});
  return Value::boolean(self.string().isAscii());
}
Value isprintable(Machine &machine, const Value &self, Arguments &arguments) {
  if (self.text().empty())
    return Value::boolean(true);
  return all<isPrintable>(machine, self, arguments);
}
Value isidentifier(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters none("isidentifier", arguments, {});
  machine.budget.scan(self.text().size());
  return Value::boolean(isIdentifier(self.text()));
}
template <bool Upper>
Value hasCase(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters none("str method", arguments, {});
  return Value::boolean(machine.test(Upper ? "upper" : "lower", self, {}));
}
Value istitle(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters none("istitle", arguments, {});
  machine.budget.scan(4 * self.text().size());
  bool any = false, inWord = false;
  for (char32_t c : decode(self.text())) {
    bool upper = isUpper(c) || isTitle(c), lower = isLower(c);
    if ((upper && inWord) || (lower && !inWord))
      return Value::boolean(false);
    inWord = upper || lower;
    any |= inWord;
  }
  return Value::boolean(any);
}

template <int Side>
Value stripped(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("strip", arguments, {""});
  machine.budget.scan(self.text().size());
  Sides sides = static_cast<Sides>(Side);
  if (!p.isGiven(0))
    return machine.text(strip(self.text(), sides).str());
  std::u32string chars = decode(p.text(0, ""));
  machine.budget.step(self.text().size() * (chars.size() / 16) / 8);
  return machine.text(strip(self.text(), sides, [&](char32_t c) {
                        return chars.find(c) != chars.npos;
                      }).str());
}

/// The part of a text that start and end, in characters, choose; `offset` is
/// where it begins. Nothing if the start is beyond the end.
std::optional<StringRef> window(const Value &self, const Parameters &p,
                                int64_t &offset) {
  int64_t length = self.string().points;
  auto bound = [&](size_t index, int64_t otherwise) {
    int64_t at = p.isGiven(index) ? p.integer(index, 0) : otherwise;
    return at < 0 ? (at < -length ? 0 : at + length) : at;
  };
  int64_t start = bound(1, 0), end = std::min(bound(2, length), length);
  offset = start;
  if (start > end)
    return std::nullopt;
  StringRef rest =
      self.text().drop_front(byteOfCharacter(self.text(), start));
  return rest.take_front(byteOfCharacter(rest, end - start));
}

template <bool Last, bool Raises>
Value find(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("find", arguments, {"", "", ""}, 1);
  machine.budget.scan(3 * self.text().size());
  StringRef needle = p.text(0, "");
  int64_t offset;
  std::optional<StringRef> text = window(self, p, offset);
  size_t at = StringRef::npos;
  if (text && !needle.empty()) {
    std::vector<size_t> places = findAll(*text, needle, Last, 1);
    at = places.empty() ? StringRef::npos : places[0];
  } else if (text) {
    at = Last ? text->size() : 0;
  }
  if (at == StringRef::npos) {
    if (Raises)
      raise("substring not found");
    return Value::integerOf(-1);
  }
  return Value::integerOf(offset + countCharacters(text->take_front(at)));
}

Value count(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("count", arguments, {"", "", ""}, 1);
  machine.budget.scan(3 * self.text().size());
  int64_t offset;
  std::optional<StringRef> text = window(self, p, offset);
  StringRef needle = p.text(0, "");
  if (!text)
    return Value::integerOf(0);
  if (needle.empty())
    return Value::integerOf(countCharacters(*text) + 1);
  int64_t found = 0;
  for (StringRef rest = *text;; ++found) {
    size_t at = findText(rest, needle);
    if (at == StringRef::npos)
      return Value::integerOf(found);
    rest = rest.drop_front(at + needle.size());
  }
}

template <bool End>
Value startsWith(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("startswith", arguments, {"", "", ""}, 1);
  machine.budget.scan(p.has(1) ? self.text().size() : 0);
  int64_t offset;
  std::optional<StringRef> text = window(self, p, offset);
  auto fits = [&](const Value &part) {
    if (!part.isString())
      raise("startswith first arg must be str or a tuple of str, not {0}",
            typeName(part));
    return text && (End ? text->ends_with(part.text())
                        : text->starts_with(part.text()));
  };
  if (!p[0].is(Kind::Tuple)) {
    Machine::checkDefined(p[0]);
    return Value::boolean(fits(p[0]));
  }
  for (const Value &part : p[0].sequence().items) {
    machine.budget.step();
    if (fits(part))
      return Value::boolean(true);
  }
  return Value::boolean(false);
}

Value replace(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("replace", arguments, {"", "", ""}, 2);
  StringRef old = p.text(0, ""), with = p.text(1, "");
  int64_t left = p.integer(2, -1);
  machine.budget.scan(self.text().size());
  TextBuilder out(&machine.budget);
  StringRef rest = self.text();
  while (left != 0) {
    size_t at = findText(rest, old);
    if (at == StringRef::npos)
      break;
    machine.budget.step();
    --left;
    out.add(rest.take_front(at));
    out.add(with);
    rest = rest.drop_front(at + old.size());
    if (!old.empty())
      continue;
    // Before each character, and once after the last.
    if (rest.empty())
      break;
    size_t size = byteOfCharacter(rest, 1);
    out.add(rest.take_front(size));
    rest = rest.drop_front(size);
  }
  out.add(rest);
  return machine.text(out.take());
}

Value splitAtSpaces(Machine &machine, StringRef rest, int64_t limit,
                    bool fromRight) {
  std::vector<StringRef> parts;
  for (; limit != 0; --limit) {
    rest = strip(rest, fromRight ? Right : Left);
    if (rest.empty())
      break;
    machine.budget.step();
    StringRef word;
    if (fromRight) {
      StringRef before =
          strip(rest, Right, [](char32_t c) { return !isSpace(c); });
      word = rest.drop_front(before.size());
      rest = before;
    } else {
      StringRef after = strip(rest, Left, [](char32_t c) { return !isSpace(c); });
      word = rest.drop_back(after.size());
      rest = after;
    }
    parts.push_back(word);
  }
  rest = strip(rest, fromRight ? Right : Left);
  if (!rest.empty())
    parts.push_back(rest);
  if (fromRight)
    std::reverse(parts.begin(), parts.end());
  Value out = machine.make.list();
  for (StringRef part : parts)
    machine.make.append(out, machine.text(part.str()));
  return out;
}

template <bool FromRight>
Value split(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("split", arguments, {"sep", "maxsplit"});
  int64_t limit = p.integer(1, -1);
  machine.budget.scan(4 * self.text().size());
  StringRef rest = self.text();
  if (!p.isGiven(0))
    return splitAtSpaces(machine, rest, limit, FromRight);
  StringRef separator = p.text(0, "");
  if (separator.empty())
    raise("empty separator");
  std::vector<size_t> places =
      findAll(rest, separator, FromRight,
              limit < 0 ? UINT64_MAX : static_cast<uint64_t>(limit));
  if (FromRight)
    std::reverse(places.begin(), places.end());
  Value out = machine.make.list();
  size_t begin = 0;
  for (size_t place : places) {
    machine.make.append(out, machine.text(rest.slice(begin, place).str()));
    begin = place + separator.size();
  }
  machine.make.append(out, machine.text(rest.drop_front(begin).str()));
  return out;
}

template <bool FromRight>
Value partition(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("partition", arguments, {""}, 1);
  StringRef text = self.text(), separator = p.text(0, "");
  if (separator.empty())
    raise("empty separator");
  machine.budget.scan(text.size());
  std::vector<size_t> places = findAll(text, separator, FromRight, 1);
  size_t at = places.empty() ? StringRef::npos : places[0];
  auto make = [&](StringRef part) { return machine.text(part.str()); };
  if (at == StringRef::npos)
    return FromRight ? machine.make.tuple({make(""), make(""), self})
                     : machine.make.tuple({self, make(""), make("")});
  return machine.make.tuple({make(text.take_front(at)), make(separator),
                             make(text.drop_front(at + separator.size()))});
}

Value splitlines(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("splitlines", arguments, {"keepends"});
  machine.budget.scan(4 * self.text().size());
  machine.budget.step(self.text().count('\n'));
  Value out = machine.make.list();
  for (StringRef line : splitLines(self.text(), p.truth(0, false)))
    machine.make.append(out, machine.text(line.str()));
  return out;
}

Value join(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("join", arguments, {""}, 1);
  Value list = machine.listOf(p[0]);
  TextBuilder out(&machine.budget);
  for (auto [i, item] : enumerate(list.sequence().items)) {
    machine.budget.step();
    if (!item.isString())
      raise("sequence item {0}: expected str instance, {1} found", i,
            typeName(item));
    if (i)
      out.add(self.text());
    out.add(item.text());
  }
  return machine.text(out.take());
}

template <bool Suffix>
Value without(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("removeprefix", arguments, {""}, 1);
  StringRef text = self.text(), part = p.text(0, "");
  if (Suffix ? text.consume_back(part) : text.consume_front(part))
    return machine.text(text.str());
  return self;
}

enum Alignment { AlignLeft, AlignRight, AlignCenter };

template <Alignment A>
Value justified(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("center", arguments, {"", ""}, 1);
  StringRef fill = p.text(1, " ");
  if (countCharacters(fill) != 1)
    raise("The fill character must be exactly one character long");
  int64_t width = p.integer(0, 0), length = self.string().points;
  if (width <= length)
    return self;
  Budget::checkText(static_cast<size_t>(width));
  int64_t room = width - length, left = 0;
  if (A == AlignRight)
    left = room;
  else if (A == AlignCenter) // as CPython shares out an odd one
    left = room / 2 + (room & width & 1);
  TextBuilder out(&machine.budget);
  machine.budget.step(room / 16);
  auto pad = [&](int64_t count) {
    for (int64_t i = 0; i < count; ++i)
      out.add(fill);
  };
  pad(left);
  out.add(self.text());
  pad(room - left);
  return machine.text(out.take());
}

Value zfill(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("zfill", arguments, {""}, 1);
  int64_t width = p.integer(0, 0), length = self.string().points;
  if (width <= length)
    return self;
  Budget::checkText(static_cast<size_t>(width));
  StringRef text = self.text();
  TextBuilder out(&machine.budget);
  if (text.starts_with("-") || text.starts_with("+")) {
    out.add(text.take_front(1));
    text = text.drop_front();
  }
  out.add(width - length, '0');
  out.add(text);
  return machine.text(out.take());
}

Value format(Machine &machine, const Value &self, Arguments &arguments) {
  return machine.text(braceFormat(machine, self.text(), arguments));
}

Value formatMap(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("format_map", arguments, {""}, 1);
  if (!p[0].is(Kind::Dict))
    raise("format_map: a dict is expected, not {0}", typeName(p[0]));
  Arguments values;
  for (const auto &[key, value] : p[0].dict().entries)
    if (key.isString())
      values.named.emplace_back(machine.str(key), value);
  return machine.text(braceFormat(machine, self.text(), values));
}

constexpr NamedBuiltin table[] = {
    {"upper", mapped<toUpper>},
    {"lower", mapped<toLower>},
    {"casefold", mapped<toCasefold>},
    {"title", mapped<toTitle>},
    {"capitalize", mapped<toCapitalized>},
    {"swapcase", mapped<toSwappedCase>},
    {"isalpha", all<isLetter>},
    {"isalnum", all<isAlphanumeric>},
    {"isdecimal", all<isDecimal>},
    {"isdigit", all<isDigit>},
    {"isnumeric", all<isNumeric>},
    {"isspace", all<isSpace>},
    {"isascii", isascii},
    {"isprintable", isprintable},
    {"isidentifier", isidentifier},
    {"islower", hasCase<false>},
    {"isupper", hasCase<true>},
    {"istitle", istitle},
    {"strip", stripped<Both>},
    {"lstrip", stripped<Left>},
    {"rstrip", stripped<Right>},
    {"find", find<false, false>},
    {"rfind", find<true, false>},
    {"index", find<false, true>},
    {"rindex", find<true, true>},
    {"count", count},
    {"startswith", startsWith<false>},
    {"endswith", startsWith<true>},
    {"replace", replace},
    {"split", split<false>},
    {"rsplit", split<true>},
    {"partition", partition<false>},
    {"rpartition", partition<true>},
    {"splitlines", splitlines},
    {"join", join},
    {"removeprefix", without<false>},
    {"removesuffix", without<true>},
    {"center", justified<AlignCenter>},
    {"ljust", justified<AlignLeft>},
    {"rjust", justified<AlignRight>},
    {"zfill", zfill},
    {"format", format},
    {"format_map", formatMap},
};

} // namespace

ArrayRef<NamedBuiltin> stringMethods() { return table; }

} // namespace weir::jinja
