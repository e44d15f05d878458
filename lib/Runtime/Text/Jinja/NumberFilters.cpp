//===- NumberFilters.cpp - Filters of numbers ---===//
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

Value absolute(Machine &, const Value &subject, Arguments &arguments) {
  Parameters none("abs", arguments, {});
  if (subject.is(Kind::Float))
    return Value::floating(std::abs(subject.asFloat()));
  if (!subject.isInteger()) {
    Machine::checkDefined(subject);
    raise("bad operand type for abs(): '{0}'", typeName(subject));
  }
  return negative(subject, subject.asInteger() < 0);
}

/// A number's digits without the underscores that may stand between them.
std::optional<std::string> plainDigits(StringRef text) {
  text = strip(text, Both);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = text[i];
    if (c >= 0x80)
      raise("a number in digits that are not ASCII is not supported");
    if (c != '_') {
      out += c;
      continue;
    }
    if (i == 0 || i + 1 == text.size() || !isAlnum(text[i - 1]) ||
        !isAlnum(text[i + 1]))
      return std::nullopt;
  }
  return out;
}

std::optional<double> parseFloat(StringRef text) {
  std::optional<std::string> plain = plainDigits(text);
  if (!plain)
    return std::nullopt;
  StringRef rest = *plain;
  bool minus = rest.consume_front("-");
  if (!minus)
    rest.consume_front("+");
  std::string lower = rest.lower();
  double value;
  if (lower == "inf" || lower == "infinity")
    value = INFINITY;
  else if (lower == "nan")
    value = NAN;
  else if (lower.empty() || (!isDigit(lower[0]) && lower[0] != '.') ||
           lower.find_first_not_of("0123456789.e+-") != lower.npos)
    return std::nullopt; // hexadecimal ones, which C would read
  else {
    char *end = nullptr;
    value = std::strtod(lower.c_str(), &end);
    if (end != lower.c_str() + lower.size())
      return std::nullopt;
  }
  return minus ? -value : value;
}

/// int(text, base); nothing for what Python refuses.
std::optional<int64_t> parseInteger(StringRef text, int64_t base) {
  std::optional<std::string> plain = plainDigits(text);
  if (!plain)
    return std::nullopt;
  StringRef rest = *plain;
  bool minus = rest.consume_front("-");
  if (!minus)
    rest.consume_front("+");
  for (auto [prefix, radix] : {std::pair("0x", 16), {"0o", 8}, {"0b", 2}})
    if ((base == radix || base == 0) && rest.starts_with_insensitive(prefix) &&
        rest.size() > 2) {
      rest = rest.drop_front(2);
      base = radix;
      break;
    }
  if (base == 0) {
    base = 10;
    if (rest.size() > 1 && rest[0] == '0' && rest.find_first_not_of('0') != StringRef::npos)
      return std::nullopt;
  }
  if (base < 2 || base > 36)
    return std::nullopt;
  if (rest.empty())
    return std::nullopt;
  int64_t value = 0;
  for (char c : rest) {
    int digit = isDigit(c) ? c - '0' : isAlpha(c) ? llvm::toLower(c) - 'a' + 10 : 99;
    if (digit >= base)
      return std::nullopt;
    if (__builtin_mul_overflow(value, base, &value) ||
        __builtin_add_overflow(value, digit, &value))
      raise("a number is beyond 64 bits (Python's are not bounded)");
  }
  return minus ? -value : value;
}

Value wholeOf(double value, const Value &otherwise) {
  if (std::isnan(value) || std::isinf(value))
    return otherwise;
  value = std::trunc(value);
  if (value < -0x1p63 || value >= 0x1p63)
    raise("a number is beyond 64 bits (Python's are not bounded)");
  return Value::integerOf(static_cast<int64_t>(value));
}

Value toInteger(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("int", arguments, {"default", "base"});
  Value otherwise = p.has(0) ? p[0] : Value::integerOf(0);
  int64_t base = p.integer(1, 10);
  if (subject.isInteger())
    return Value::integerOf(subject.asInteger());
  if (subject.is(Kind::Float)) {
    if (std::isinf(subject.asFloat()))
      raise("cannot convert float infinity to integer");
    return wholeOf(subject.asFloat(), otherwise);
  }
  if (!subject.isString()) {
    Machine::checkDefined(subject);
    return otherwise;
  }
  machine.budget.scan(subject.text().size());
  if (std::optional<int64_t> value = parseInteger(subject.text(), base))
    return Value::integerOf(*value);
  if (std::optional<double> value = parseFloat(subject.text()))
    return wholeOf(*value, otherwise);
  return otherwise;
}

Value toFloat(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("float", arguments, {"default"});
  Value otherwise = p.has(0) ? p[0] : Value::floating(0);
  if (subject.isNumber())
    return Value::floating(subject.asFloat());
  if (!subject.isString()) {
    Machine::checkDefined(subject);
    return otherwise;
  }
  machine.budget.scan(subject.text().size());
  std::optional<double> value = parseFloat(subject.text());
  return value ? Value::floating(*value) : otherwise;
}

/// round(value, precision): the decimal nearest to what the double is, halves
/// to even, as printf does it.
Value round(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("round", arguments, {"precision", "method"});
  StringRef method = p.text(1, "common");
  if (method != "common" && method != "ceil" && method != "floor")
    raise("method must be common, ceil or floor");
  if (!subject.isNumber()) {
    Machine::checkDefined(subject);
    raise("type {0} doesn't define __round__ method", typeName(subject));
  }
  int64_t precision = p.integer(0, 0);
  if (precision < -300 || precision > 300)
    raise("round: a precision of {0} is not supported", precision);
  if (method != "common") {
    // value * 10**precision, which is an integer only for two integers.
    Value scale = binary(machine, "**", Value::integerOf(10),
                         Value::integerOf(precision));
    Value scaled = binary(machine, "*", subject, scale);
    Value whole = scaled;
    if (scaled.is(Kind::Float))
      whole = wholeOf(method == "ceil" ? std::ceil(scaled.asFloat())
                                       : std::floor(scaled.asFloat()),
                      Value());
    if (whole.isNone())
      raise("cannot convert it to integer");
    return binary(machine, "/", whole, scale);
  }
  if (subject.isInteger()) {
    if (precision >= 0)
      return Value::integerOf(subject.asInteger());
    __int128 unit = 1;
    for (int64_t i = 0; i > precision && i > -19; --i)
      unit *= 10;
    if (precision < -19)
      return Value::integerOf(0);
    __int128 value = subject.asInteger(), rest = value % unit;
    if (rest < 0)
      rest += unit;
    __int128 low = value - rest;
    bool up = 2 * rest > unit || (2 * rest == unit && (low / unit) % 2 != 0);
    low += up ? unit : 0;
    if (low > INT64_MAX || low < INT64_MIN)
      raise("a number is beyond 64 bits (Python's are not bounded)");
    return Value::integerOf(static_cast<int64_t>(low));
  }
  double value = subject.asFloat();
  if (std::isnan(value) || std::isinf(value))
    return subject;
  if (precision < 0) {
    // Through the exact digits of the whole part.
    double unit = std::pow(10.0, -precision);
    if (precision < -22 || std::abs(value) >= 0x1p53)
      raise("round: a precision of {0} is not supported", precision);
    double low = std::floor(value / unit);
    double rest = value - low * unit;
    bool up = 2 * rest > unit || (2 * rest == unit && std::fmod(low, 2) != 0);
    return Value::floating(std::copysign((low + up) * unit, value));
  }
  char buffer[700];
  std::snprintf(buffer, sizeof(buffer), "%.*f", static_cast<int>(precision),
                value);
  return Value::floating(std::strtod(buffer, nullptr));
}

Value sum(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("sum", arguments, {"attribute", "start"});
  AttributePath path(machine, p.isGiven(0) ? p[0] : Value());
  Value total = p.has(1) ? p[1] : Value::integerOf(0);
  if (total.isString())
    raise("sum() can't sum strings [use ''.join(seq) instead]");
  Value items = machine.listOf(subject);
  for (const Value &item : items.sequence().items)
    total = binary(machine, "+", total, path(machine, item));
  return total;
}

Value filesizeformat(Machine &machine, const Value &subject,
                     Arguments &arguments) {
  Parameters p("filesizeformat", arguments, {"binary"});
  Value number = subject.isString()
                     ? machine.filter("float", subject, {{Value()}, {}})
                     : subject;
  if (!number.isNumber()) {
    Machine::checkDefined(subject);
    raise("filesizeformat is for a number");
  }
  bool binary = p.truth(0, false);
  double bytes = number.asFloat(), base = binary ? 1024 : 1000, unit = base;
  if (bytes == 1)
    return machine.text("1 Byte");
  if (bytes < base)
    return machine.text(
        std::to_string(static_cast<int64_t>(std::max(bytes, -0x1p62))) +
        " Bytes");
  StringRef prefixes = "kMGTPEZY";
  char prefix = 'Y';
  for (size_t i = 0; i < prefixes.size(); ++i) {
    unit = std::pow(base, i + 2);
    prefix = prefixes[i];
    if (bytes < unit)
      break;
  }
  char buffer[400];
  std::snprintf(buffer, sizeof(buffer), "%.1f ", base * bytes / unit);
  return machine.text(buffer + (prefix == 'k' ? std::string(binary ? "Ki" : "k")
                                              : std::string(1, prefix) +
                                                    (binary ? "i" : "")) +
                      "B");
}

constexpr NamedBuiltin table[] = {
    {"abs", absolute},   {"int", toInteger}, {"float", toFloat},
    {"round", round},    {"sum", sum},       {"filesizeformat", filesizeformat},
};

} // namespace

ArrayRef<NamedBuiltin> numberFilters() { return table; }

} // namespace weir::jinja
