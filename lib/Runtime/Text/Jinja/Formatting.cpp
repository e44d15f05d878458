//===- Formatting.cpp - Python's two ways to format ---===//
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

#include <cmath>

using namespace llvm;

namespace weir::jinja {
namespace {

/// [[fill]align][sign][#][0][width][,][.precision][type]
struct Spec {
  std::string fill = " ";
  char align = 0, sign = '-', grouping = 0, type = 0;
  bool alternate = false;
  int64_t width = 0;
  std::optional<int> precision;
};

bool isIndexText(StringRef text) {
  return text.find_first_not_of("0123456789") == StringRef::npos;
}

int64_t takeNumber(StringRef &text) {
  int64_t value = 0;
  while (!text.empty() && llvm::isDigit(text[0])) {
    value = value * 10 + (text[0] - '0');
    Budget::checkText(value);
    text = text.drop_front();
  }
  return value;
}

int takePrecision(StringRef &text) {
  int64_t value = takeNumber(text);
  if (value > 300)
    raise("a precision of {0} is not supported", value);
  return static_cast<int>(value);
}

std::string digitsOf(int64_t value, unsigned radix, bool upper) {
  uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : value;
  std::string out;
  do {
    out += hexdigit(magnitude % radix, !upper);
    magnitude /= radix;
  } while (magnitude);
  std::reverse(out.begin(), out.end());
  return out;
}

/// %e, %f, %g as Python and C have them in common.
std::string fixed(double value, char type, int precision, bool alternate) {
  if (std::isnan(value) || std::isinf(value)) {
    std::string out = std::isnan(value) ? "nan" : "inf";
    return isUpper(static_cast<unsigned char>(type)) ? StringRef(out).upper() : out;
  }
  char format[8] = {'%', '.', '*', type, 0}, buffer[800];
  if (alternate)
    raise("the flag # is not supported for numbers with a point");
  int size = std::snprintf(buffer, sizeof(buffer), format, precision,
                           std::abs(value));
  return std::string(buffer, std::min<size_t>(size, sizeof(buffer) - 1));
}

std::string grouped(StringRef digits, char separator) {
  size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    if (i && (whole - i) % 3 == 0)
      out += separator;
    out += digits[i];
  }
  return out + digits.drop_front(whole).str();
}

/// Puts a sign and a body into the width.
void pad(TextBuilder &out, const Spec &spec, StringRef sign, StringRef body,
         char natural) {
  int64_t room = spec.width -
                 static_cast<int64_t>(countCharacters(sign) + countCharacters(body));
  char align = spec.align ? spec.align : natural;
  int64_t left = room <= 0       ? 0
                 : align == '>'  ? room
                 : align == '^'  ? room / 2
                                 : 0;
  auto fill = [&](int64_t count) {
    for (int64_t i = 0; i < count; ++i)
      out.add(spec.fill);
  };
  fill(left);
  out.add(sign);
  if (align == '=')
    fill(room);
  out.add(body);
  if (align == '<' || align == '^')
    fill(room - left);
}

std::string signOf(bool negative, char rule) {
  return negative ? "-" : rule == '+' ? "+" : rule == ' ' ? " " : "";
}

void formatNumber(TextBuilder &out, const Value &value, Spec spec) {
  bool isInteger = value.isInteger();
  if (isInteger && StringRef("eEfFgG%").contains(spec.type) && spec.type)
    isInteger = false;
  std::string body, sign;
  if (isInteger) {
    int64_t number = value.asInteger();
    unsigned radix = spec.type == 'x' || spec.type == 'X' ? 16
                     : spec.type == 'o'                   ? 8
                     : spec.type == 'b'                   ? 2
                     : spec.type == 'd' || !spec.type     ? 10
                                                          : 0;
    if (!radix || spec.precision)
      raise("the format '{0}' of an int is not supported", spec.type);
    body = digitsOf(number, radix, spec.type == 'X');
    if (spec.grouping) {
      if (radix != 10)
        raise("grouped digits are supported in base 10 only");
      body = grouped(body, spec.grouping);
    }
    sign = signOf(number < 0, spec.sign);
    if (spec.alternate && radix != 10)
      sign += radix == 16 ? (spec.type == 'X' ? "0X" : "0x")
              : radix == 8 ? "0o"
                           : "0b";
  } else {
    double number = value.asFloat();
    sign = signOf(std::signbit(number) && !std::isnan(number), spec.sign);
    if (!spec.type && !spec.precision) {
      body = floatText(std::abs(number));
    } else if (spec.type == '%') {
      body = fixed(number * 100, 'f', spec.precision.value_or(6), false) + "%";
    } else if (StringRef("eEfFgG").contains(spec.type) && spec.type) {
      int precision = spec.precision.value_or(6);
      body = fixed(number, spec.type, precision, spec.alternate);
    } else {
      raise("the format '{0}' of a float is not supported", spec.type);
    }
    if (spec.grouping)
      body = grouped(body, spec.grouping);
  }
  if (spec.grouping && spec.align == '=' && spec.fill == "0")
    raise("grouped digits that are filled with zeros are not supported");
  pad(out, spec, sign, body, '>');
}

Spec parseSpec(StringRef text) {
  Spec spec;
  StringRef whole = text;
  size_t first = text.empty() ? 0 : byteOfCharacter(text, 1);
  auto isAlign = [](char c) { return StringRef("<>=^").contains(c); };
  if (text.size() > first && isAlign(text[first])) {
    spec.fill = text.take_front(first).str();
    spec.align = text[first];
    text = text.drop_front(first + 1);
  } else if (!text.empty() && isAlign(text[0])) {
    spec.align = text[0];
    text = text.drop_front();
  }
  if (!text.empty() && StringRef("+- ").contains(text[0])) {
    spec.sign = text[0];
    text = text.drop_front();
  }
  spec.alternate = text.consume_front("#");
  if (text.starts_with("0") && !spec.align) {
    spec.fill = "0";
    spec.align = '=';
  }
  spec.width = takeNumber(text);
  if (!text.empty() && (text[0] == ',' || text[0] == '_')) {
    spec.grouping = text[0];
    text = text.drop_front();
  }
  if (text.consume_front("."))
    spec.precision = takePrecision(text);
  if (!text.empty()) {
    spec.type = text[0];
    text = text.drop_front();
  }
  if (!text.empty())
    raise("Invalid format specifier '{0}'", whole);
  return spec;
}

void formatValue(TextBuilder &out, Machine &machine, const Value &value,
                 StringRef text) {
  if (text.empty())
    return print(out, machine, value, false);
  if (value.isNumber() && !value.is(Kind::Bool))
    return formatNumber(out, value, parseSpec(text));
  if (value.is(Kind::Bool))
    raise("a format of a bool is not supported");
  if (!value.isString())
    raise("unsupported format string passed to {0}.__format__",
          typeName(value));
  Spec spec = parseSpec(text);
  if ((spec.type && spec.type != 's') || spec.align == '=' ||
      spec.sign != '-' || spec.alternate || spec.grouping)
    raise("Invalid format specifier '{0}' for a str", text);
  StringRef content = value.text();
  if (spec.precision)
    content = content.take_front(byteOfCharacter(content, *spec.precision));
  pad(out, spec, "", content, '<');
}

class BraceFormatter {
public:
  BraceFormatter(Machine &machine, const Arguments &arguments)
      : machine(machine), arguments(arguments), out(&machine.budget) {}

  std::string run(StringRef format) {
    expand(format, out, 2);
    return out.take();
  }

private:
  void expand(StringRef format, TextBuilder &to, int levels);
  Value field(StringRef name);
  Value argument(StringRef name);

  Machine &machine;
  const Arguments &arguments;
  TextBuilder out;
  size_t automatic = 0;
  bool isManual = false;
};

Value BraceFormatter::argument(StringRef name) {
  size_t index = 0;
  if (name.empty()) {
    if (isManual)
      raise("cannot switch from manual field specification to automatic field "
            "numbering");
    index = automatic++;
  } else if (isIndexText(name)) {
    if (automatic)
      raise("cannot switch from automatic field numbering to manual field "
            "specification");
    isManual = true;
    if (name.getAsInteger(10, index))
      raise("Too many decimal digits in format string");
  } else {
    for (const auto &[key, value] : arguments.named)
      if (key == name)
        return value;
    raise("'{0}'", name);
  }
  if (index >= arguments.positional.size())
    raise("Replacement index {0} out of range for positional args tuple",
          index);
  return arguments.positional[index];
}

/// name.attribute[key]…
Value BraceFormatter::field(StringRef name) {
  size_t end = std::min(name.find_first_of(".["), name.size());
  Value value = argument(name.take_front(end));
  name = name.drop_front(end);
  while (!name.empty()) {
    if (name.consume_front(".")) {
      end = std::min(name.find_first_of(".["), name.size());
      if (end == 0)
        raise("Empty attribute in format string");
      value = machine.attribute(value, name.take_front(end));
      name = name.drop_front(end);
      continue;
    }
    if (!name.consume_front("["))
      raise("Only '.' or '[' may follow ']' in format field specifier");
    end = name.find(']');
    if (end == StringRef::npos || end == 0)
      raise("Missing ']' in format string");
    StringRef key = name.take_front(end);
    int64_t index;
    bool isIndex =
        isIndexText(key) && !key.getAsInteger(10, index);
    value = machine.item(value, isIndex ? Value::integerOf(index)
                                        : machine.text(key.str()));
    name = name.drop_front(end + 1);
  }
  return value;
}

void BraceFormatter::expand(StringRef format, TextBuilder &to, int levels) {
  if (levels == 0)
    raise("Max string recursion exceeded");
  while (!format.empty()) {
    size_t at = std::min(format.find_first_of("{}"), format.size());
    to.add(format.take_front(at));
    format = format.drop_front(at);
    if (format.empty())
      return;
    machine.budget.step();
    char brace = format[0];
    format = format.drop_front();
    if (!format.empty() && format[0] == brace) {
      to.add(1, brace);
      format = format.drop_front();
      continue;
    }
    if (brace == '}')
      raise("Single '}}' encountered in format string");
    size_t end = 0;
    for (int open = 1; end < format.size(); ++end) {
      open += format[end] == '{' ? 1 : format[end] == '}' ? -1 : 0;
      if (open == 0)
        break;
    }
    if (end == format.size())
      raise("expected '}}' before end of string");
    StringRef body = format.take_front(end);
    format = format.drop_front(end + 1);
    size_t nameEnd = std::min(body.find_first_of(":!"), body.size());
    // A key may hold them: {a[b:c]}.
    if (size_t bracket = body.find('['); bracket < nameEnd)
      nameEnd = std::min(body.find_first_of(":!", body.find(']', bracket)),
                         body.size());
    Value value = field(body.take_front(nameEnd));
    body = body.drop_front(nameEnd);
    if (body.consume_front("!")) {
      if (body.consume_front("r"))
        value = machine.text(machine.repr(value));
      else if (body.consume_front("s"))
        value = machine.text(machine.str(value));
      else
        raise("Unknown conversion specifier");
    }
    TextBuilder spec(&machine.budget);
    if (body.consume_front(":"))
      expand(body, spec, levels - 1);
    else if (!body.empty())
      raise("expected ':' after conversion specifier");
    formatValue(to, machine, value, spec.text());
  }
}

} // namespace

std::string braceFormat(Machine &machine, StringRef format,
                        const Arguments &arguments) {
  return BraceFormatter(machine, arguments).run(format);
}

std::string percentFormat(Machine &machine, StringRef format,
                          const Value &values) {
  TextBuilder out(&machine.budget);
  size_t used = 0;
  bool isTuple = values.is(Kind::Tuple), byName = false;
  auto next = [&]() -> Value {
    size_t count = isTuple ? values.sequence().items.size() : 1;
    if (used >= count)
      raise("not enough arguments for format string");
    return isTuple ? values.sequence().items[used++] : (++used, values);
  };
  while (!format.empty()) {
    size_t at = std::min(format.find('%'), format.size());
    out.add(format.take_front(at));
    format = format.drop_front(at);
    if (!format.consume_front("%"))
      break;
    machine.budget.step();
    Value value;
    bool named = format.consume_front("(");
    if (named) {
      if (!values.is(Kind::Dict))
        raise("format requires a mapping");
      size_t end = format.find(')');
      if (end == StringRef::npos)
        raise("incomplete format key");
      StringRef key = format.take_front(end);
      if (key.contains('('))
        raise("a bracket in the key of a format is not supported");
      const Value *found = find(&machine.budget, values.dict(), key);
      if (!found)
        raise("'{0}'", key);
      value = *found;
      byName = true;
      format = format.drop_front(end + 1);
    }
    Spec spec;
    bool zero = false;
    for (; !format.empty() && StringRef("-+ #0").contains(format[0]);
         format = format.drop_front()) {
      char flag = format[0];
      if (flag == '-')
        spec.align = '<';
      else if (flag == '0')
        zero = true;
      else if (flag == '#')
        spec.alternate = true;
      else if (spec.sign != '+')
        spec.sign = flag;
    }
    if (format.starts_with("*"))
      raise("a width from the arguments (*) is not supported");
    spec.width = takeNumber(format);
    if (format.consume_front(".")) {
      if (format.starts_with("*"))
        raise("a precision from the arguments (*) is not supported");
      spec.precision = takePrecision(format);
    }
    if (format.empty())
      raise("incomplete format");
    spec.type = format[0];
    format = format.drop_front();
    if (spec.type == '%') {
      out.add("%");
      continue;
    }
    if (!named)
      value = next();
    if (spec.type == 's' || spec.type == 'r') {
      std::string text =
          spec.type == 's' ? machine.str(value) : machine.repr(value);
      StringRef content = text;
      if (spec.precision)
        content = content.take_front(byteOfCharacter(content, *spec.precision));
      pad(out, spec, "", content, '>');
      continue;
    }
    bool wantsInteger = StringRef("diuxXo").contains(spec.type);
    if (!wantsInteger && !StringRef("eEfFgG").contains(spec.type))
      raise("the format %{0} is not supported", spec.type);
    Machine::checkDefined(value);
    if (!value.isNumber() ||
        (wantsInteger && StringRef("xXo").contains(spec.type) &&
         !value.isInteger()))
      raise("%{0} format: a number is required, not {1}", spec.type,
            typeName(value));
    if (wantsInteger && value.is(Kind::Float))
      value = machine.filter("int", value, {{Value()}, {}});
    if (value.isNone())
      raise("cannot convert it to integer");
    if (wantsInteger && spec.precision)
      raise("a precision of an integer is not supported");
    if (StringRef("iu").contains(spec.type))
      spec.type = 'd';
    if (zero && !spec.align) {
      spec.fill = "0";
      spec.align = '=';
    }
    formatNumber(out, value, spec);
  }
  size_t given = isTuple                               ? values.sequence().items.size()
                 : values.is(Kind::Dict) || byName     ? used
                                                       : 1;
  // What could be asked for a key may stay.
  bool isMapping = values.is(Kind::List) || values.is(Kind::Range) ||
                   values.isUndefined();
  if (used < given && !isMapping)
    raise("not all arguments converted during string formatting");
  return out.take();
}

} // namespace weir::jinja
