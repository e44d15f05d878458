//===- Printing.cpp - Texts and JSON of values ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Machine.h"

#include "../Utf8.h"
#include "Characters.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <charconv>
#include <cmath>

using namespace llvm;

namespace weir::jinja {

std::string floatText(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char buffer[40];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value,
                           std::chars_format::scientific)
                 .ptr;
  StringRef shortest(buffer, end - buffer);
  auto [mantissa, power] = shortest.split('e');
  int exponent = 0;
  power.consume_front("+");
  power.getAsInteger(10, exponent);
  std::string out, digits;
  for (char c : mantissa)
    if (c == '-')
      out = "-";
    else if (c != '.')
      digits += c;
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (digits.size() > 1)
      out += "." + digits.substr(1);
    out += exponent < 0 ? "e-" : "e+";
    std::string number = std::to_string(std::abs(exponent));
    return out + (number.size() < 2 ? "0" : "") + number;
  }
  if (exponent < 0)
    return out + "0." + std::string(-exponent - 1, '0') + digits;
  size_t whole = exponent + 1;
  if (digits.size() <= whole)
    return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

namespace {

void printQuoted(TextBuilder &out, StringRef text) {
  bool doubled = text.contains('\'') && !text.contains('"');
  char quote = doubled ? '"' : '\'';
  std::string piece(1, quote);
  auto hex = [&](const char *prefix, uint32_t c, unsigned width) {
    std::string digits = utohexstr(c, /*LowerCase=*/true);
    piece += prefix + std::string(width - digits.size(), '0') + digits;
  };
  while (!text.empty()) {
    Character character = firstCharacter(text);
    char32_t c = character.codePoint;
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      piece += '\\';
      piece += static_cast<char>(c);
    } else if (c == '\n') {
      piece += "\\n";
    } else if (c == '\r') {
      piece += "\\r";
    } else if (c == '\t') {
      piece += "\\t";
    } else if (!isPrintable(c)) {
      if (c < 0x100)
        hex("\\x", c, 2);
      else if (c < 0x10000)
        hex("\\u", c, 4);
      else
        hex("\\U", c, 8);
    } else {
      piece += text.take_front(character.length);
    }
    text = text.drop_front(std::max(character.length, 1u));
    if (piece.size() > 4096) {
      out.add(piece);
      piece.clear();
    }
  }
  out.add(piece + quote);
}

} // namespace

void print(TextBuilder &out, Machine &machine, const Value &value,
           bool quoted) {
  machine.budget.step();
  auto items = [&](ArrayRef<Value> list) {
    for (auto [i, item] : enumerate(list)) {
      if (i)
        out.add(", ");
      print(out, machine, item, true);
    }
  };
  switch (value.kind()) {
  case Kind::Undefined:
    out.add(quoted ? "Undefined" : "");
    return;
  case Kind::None:
    out.add("None");
    return;
  case Kind::Bool:
    out.add(value.asBool() ? "True" : "False");
    return;
  case Kind::Int:
    out.add(std::to_string(value.asInteger()));
    return;
  case Kind::Float:
    out.add(floatText(value.asFloat()));
    return;
  case Kind::String:
    if (!quoted)
      return out.add(value.text());
    machine.budget.scan(value.text().size());
    if (value.string().markup)
      out.add("Markup(");
    printQuoted(out, value.text());
    if (value.string().markup)
      out.add(")");
    return;
  case Kind::List:
    out.add("[");
    items(value.sequence().items);
    out.add("]");
    return;
  case Kind::Tuple:
    out.add("(");
    items(value.sequence().items);
    out.add(value.sequence().items.size() == 1 ? ",)" : ")");
    return;
  case Kind::View:
    out.add(value.sequence().name);
    out.add("([");
    items(value.sequence().items);
    out.add("])");
    return;
  case Kind::Dict:
    out.add("{");
    for (auto [i, entry] : enumerate(value.dict().entries)) {
      if (i)
        out.add(", ");
      print(out, machine, entry.first, true);
      out.add(": ");
      print(out, machine, entry.second, true);
    }
    out.add("}");
    return;
  case Kind::Range: {
    const RangeObject &range = value.range();
    out.add("range(" + std::to_string(range.start) + ", " +
            std::to_string(range.stop) +
            (range.step != 1 ? ", " + std::to_string(range.step) : "") + ")");
    return;
  }
  default:
    raise("a {0} is written; what Python writes there is an address or no "
          "text for a chat",
          typeName(value));
  }
}

namespace {

class JSONPrinter {
public:
  JSONPrinter(TextBuilder &out, Machine &machine, const JSONStyle &style)
      : out(out), machine(machine), style(style) {}

  void value(const Value &value);

private:
  void string(StringRef text);
  void newline() {
    if (!style.indent)
      return;
    out.add("\n");
    for (unsigned i = 0; i < level; ++i)
      out.add(*style.indent);
  }
  template <typename Range, typename Item>
  void group(const Range &range, char begin, char end, Item item) {
    out.add(1, begin);
    if (!range.empty()) {
      ++level;
      newline();
      for (auto [i, element] : enumerate(range)) {
        if (i) {
          out.add(style.itemSeparator);
          newline();
        }
        item(element);
      }
      --level;
      newline();
    }
    out.add(1, end);
  }
  void number(double value) {
    out.add(std::isnan(value)   ? "NaN"
            : std::isinf(value) ? value < 0 ? "-Infinity" : "Infinity"
                                : floatText(value));
  }

  TextBuilder &out;
  Machine &machine;
  const JSONStyle &style;
  unsigned level = 0;
};

void JSONPrinter::string(StringRef text) {
  machine.budget.scan(text.size());
  std::string piece = "\"";
  auto escape = [&](uint32_t unit) {
    std::string digits = utohexstr(unit, /*LowerCase=*/true);
    piece += "\\u" + std::string(4 - digits.size(), '0') + digits;
  };
  while (!text.empty()) {
    Character character = firstCharacter(text);
    uint32_t c = character.codePoint;
    static constexpr StringLiteral special = "\"\\\n\r\t\f\b",
                                   letters = "\"\\nrtfb";
    size_t known = c < 0x80 ? special.find(static_cast<char>(c)) : StringRef::npos;
    if (known != StringRef::npos) {
      piece += '\\';
      piece += letters[known];
    } else if (c < 0x20) {
      escape(c);
    } else if (style.ascii && c >= 0x10000) {
      escape(0xD800 + ((c - 0x10000) >> 10));
      escape(0xDC00 + ((c - 0x10000) & 0x3FF));
    } else if (style.ascii && c >= 0x80) {
      escape(c);
    } else {
      piece += text.take_front(character.length);
    }
    text = text.drop_front(std::max(character.length, 1u));
    if (piece.size() > 4096) {
      out.add(piece);
      piece.clear();
    }
  }
  out.add(piece + "\"");
}

void JSONPrinter::value(const Value &value) {
  machine.budget.step();
  switch (value.kind()) {
  case Kind::None:
    return out.add("null");
  case Kind::Bool:
    return out.add(value.asBool() ? "true" : "false");
  case Kind::Int:
    return out.add(std::to_string(value.asInteger()));
  case Kind::Float:
    return number(value.asFloat());
  case Kind::String:
    return string(value.text());
  case Kind::List:
  case Kind::Tuple:
    return group(value.sequence().items, '[', ']',
                 [&](const Value &item) { this->value(item); });
  case Kind::Dict: {
    Value pairs = machine.make.list(), keys = machine.make.list();
    for (const auto &[key, item] : value.dict().entries) {
      machine.make.append(pairs, machine.make.tuple({key, item}));
      machine.make.append(keys, key);
    }
    if (style.sorted)
      pairs = sortedBy(machine, pairs, keys, false);
    return group(pairs.sequence().items, '{', '}', [&](const Value &pair) {
      const Value &key = pair.sequence().items[0];
      if (key.isString()) {
        string(key.text());
      } else if (key.isNumber() || key.isNone()) {
        out.add("\"");
        this->value(key);
        out.add("\"");
      } else {
        raise("keys must be str, int, float, bool or None, not {0}",
              typeName(key));
      }
      out.add(style.keySeparator);
      this->value(pair.sequence().items[1]);
    });
  }
  default:
    raise("Object of type {0} is not JSON serializable", typeName(value));
  }
}

} // namespace

std::string json(Machine &machine, const Value &value, const JSONStyle &style) {
  TextBuilder out(&machine.budget);
  JSONPrinter(out, machine, style).value(value);
  return out.take();
}

std::string Machine::str(const Value &value) {
  if (value.isString()) {
    budget.copy(value.text().size());
    return value.text().str();
  }
  TextBuilder text(&budget);
  print(text, *this, value, false);
  return text.take();
}

std::string Machine::repr(const Value &value) {
  TextBuilder text(&budget);
  print(text, *this, value, true);
  return text.take();
}

} // namespace weir::jinja
