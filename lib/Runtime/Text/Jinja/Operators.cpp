//===- Operators.cpp - Python's operators ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Characters.h"
#include "Machine.h"

#include <cmath>

using namespace llvm;

namespace weir::jinja {
namespace {

[[noreturn]] void unsupported(StringRef op, const Value &a, const Value &b) {
  Machine::checkDefined(a);
  Machine::checkDefined(b);
  raise("unsupported operand type(s) for {0}: '{1}' and '{2}'", op, typeName(a),
        typeName(b));
}

[[noreturn]] void overflow() {
  raise("a number is beyond 64 bits (Python's are not bounded)");
}

Value floorDivide(int64_t a, int64_t b, bool remainder) {
  if (b == 0)
    raise("integer division or modulo by zero");
  if (b == -1) {
    int64_t result;
    if (remainder)
      return Value::integerOf(0);
    if (__builtin_sub_overflow(int64_t(0), a, &result))
      overflow();
    return Value::integerOf(result);
  }
  int64_t quotient = a / b, rest = a % b;
  if (rest != 0 && (rest < 0) != (b < 0)) {
    --quotient;
    rest += b;
  }
  return Value::integerOf(remainder ? rest : quotient);
}

/// As CPython's float_divmod.
Value floorDivide(double a, double b, bool remainder) {
  if (b == 0)
    raise("float division by zero");
  double rest = std::fmod(a, b), quotient = (a - rest) / b;
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) {
      rest += b;
      quotient -= 1;
    }
  } else {
    rest = std::copysign(0.0, b);
  }
  if (remainder)
    return Value::floating(rest);
  if (quotient == 0)
    return Value::floating(std::copysign(0.0, a / b));
  double whole = std::floor(quotient);
  return Value::floating(quotient - whole > 0.5 ? whole + 1 : whole);
}

Value power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0)
      raise("0.0 cannot be raised to a negative power");
    return Value::floating(
        std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
      overflow();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
      overflow();
  }
  return Value::integerOf(result);
}

double exactly(const Value &value) {
  double number = value.asFloat();
  if (value.isInteger() && std::abs(number) > 0x1p53)
    raise("a division of integers beyond 2^53");
  return number;
}

Value arithmetic(StringRef op, const Value &a, const Value &b) {
  bool integers = a.isInteger() && b.isInteger();
  int64_t x = integers ? a.asInteger() : 0, y = integers ? b.asInteger() : 0;
  if (op == "/") {
    if (b.asFloat() == 0)
      raise("division by zero");
    return Value::floating(exactly(a) / exactly(b));
  }
  if (integers) {
    int64_t result;
    bool beyond = false;
    if (op == "+")
      beyond = __builtin_add_overflow(x, y, &result);
    else if (op == "-")
      beyond = __builtin_sub_overflow(x, y, &result);
    else if (op == "*")
      beyond = __builtin_mul_overflow(x, y, &result);
    else if (op == "**")
      return power(x, y);
    else
      return floorDivide(x, y, op == "%");
    if (beyond)
      overflow();
    return Value::integerOf(result);
  }
  double u = a.asFloat(), v = b.asFloat();
  if (op == "+")
    return Value::floating(u + v);
  if (op == "-")
    return Value::floating(u - v);
  if (op == "*")
    return Value::floating(u * v);
  if (op != "**")
    return floorDivide(u, v, op == "%");
  if (u == 0 && v < 0)
    raise("0.0 cannot be raised to a negative power");
  double result = std::pow(u, v);
  if (std::isnan(result) && !std::isnan(u) && !std::isnan(v))
    raise("a power that is a complex number");
  if (std::isinf(result) && !std::isinf(u) && !std::isinf(v))
    raise("Numerical result out of range");
  return Value::floating(result);
}

bool isMarkup(const Value &value) {
  return value.isString() && value.string().markup;
}

Value repeat(Machine &machine, const Value &value, int64_t count) {
  if (value.isString()) {
    StringRef text = value.text();
    TextBuilder out(&machine.budget);
    if (count > 0 && !text.empty()) {
      if (static_cast<uint64_t>(count) > Budget::maxText / text.size())
        Budget::checkText(Budget::maxText + 1);
      for (int64_t i = 0; i < count; ++i) {
        if (i % 16 == 0)
          machine.budget.step();
        out.add(text);
      }
    }
    return machine.text(out.take(), isMarkup(value));
  }
  Value out = machine.make.sequence(value.kind());
  const std::vector<Value> &items = value.sequence().items;
  for (int64_t i = 0; i < count && !items.empty(); ++i)
    for (const Value &item : items)
      machine.make.append(out, item);
  return out;
}

Value concatenate(Machine &machine, const Value &a, const Value &b) {
  if (a.isString()) {
    TextBuilder out(&machine.budget);
    if (isMarkup(a) || isMarkup(b)) {
      // What isn't safe becomes so.
      out.add(escaped(machine, a));
      out.add(escaped(machine, b));
      return machine.text(out.take(), /*markup=*/true);
    }
    out.add(a.text());
    out.add(b.text());
    return machine.text(out.take());
  }
  Value out = machine.make.sequence(a.kind());
  for (const Value *part : {&a, &b})
    for (const Value &item : part->sequence().items)
      machine.make.append(out, item);
  return out;
}

} // namespace

Value binary(Machine &machine, StringRef op, const Value &a, const Value &b) {
  if (a.isNumber() && b.isNumber())
    return arithmetic(op, a, b);
  if (op == "+" && a.kind() == b.kind() && (a.isString() || a.isSequence()))
    return concatenate(machine, a, b);
  if (op == "*") {
    if ((a.isString() || a.isSequence()) && b.isInteger())
      return repeat(machine, a, b.asInteger());
    if ((b.isString() || b.isSequence()) && a.isInteger())
      return repeat(machine, b, a.asInteger());
  }
  if (op == "%" && a.isString()) {
    if (isMarkup(a))
      raise("a text marked as safe formats nothing here");
    return machine.text(percentFormat(machine, a.text(), b));
  }
  if (op == "+" && a.isString()) {
    Machine::checkDefined(b);
    raise("can only concatenate str (not \"{0}\") to str", typeName(b));
  }
  unsupported(op == "**" ? "** or pow()" : op, a, b);
}

Value negative(const Value &value, bool minus) {
  if (value.isInteger()) {
    int64_t result = value.asInteger();
    if (minus && __builtin_sub_overflow(int64_t(0), result, &result))
      overflow();
    return Value::integerOf(result);
  }
  if (value.is(Kind::Float))
    return Value::floating(minus ? -value.asFloat() : value.asFloat());
  Machine::checkDefined(value);
  raise("bad operand type for unary {0}: '{1}'", minus ? "-" : "+",
        typeName(value));
}

bool less(Machine &machine, const Value &a, const Value &b) {
  machine.budget.step();
  if (a.isNumber() && b.isNumber()) {
    if (a.isInteger() && b.isInteger())
      return a.asInteger() < b.asInteger();
    // A long double holds every integer of 64 bits.
    auto wide = [](const Value &value) {
      return value.isInteger() ? static_cast<long double>(value.asInteger())
                               : static_cast<long double>(value.asFloat());
    };
    return wide(a) < wide(b);
  }
  if (a.isString() && b.isString()) {
    machine.budget.copy(std::min(a.text().size(), b.text().size()));
    return a.text() < b.text(); // the order of UTF-8 is that of characters
  }
  if (a.isSequence() && a.kind() == b.kind()) {
    const auto &x = a.sequence().items, &y = b.sequence().items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
      if (!machine.equals(x[i], y[i]))
        return less(machine, x[i], y[i]);
    return x.size() < y.size();
  }
  Machine::checkDefined(a);
  Machine::checkDefined(b);
  raise("'<' not supported between instances of '{0}' and '{1}'", typeName(a),
        typeName(b));
}

bool contains(Machine &machine, const Value &container, const Value &item) {
  switch (container.kind()) {
  case Kind::String:
    if (!item.isString())
      raise("'in <string>' requires string as left operand, not {0}",
            typeName(item));
    machine.budget.scan(container.text().size());
    return findText(container.text(), item.text()) != StringRef::npos;
  case Kind::Dict:
    checkHashable(item);
    return find(&machine.budget, container.dict(), item);
  case Kind::Range:
  case Kind::List:
  case Kind::Tuple:
  case Kind::View:
  case Kind::Generator:
  case Kind::Undefined: {
    Value list = machine.listOf(container);
    for (const Value &candidate : list.sequence().items)
      if (machine.equals(candidate, item))
        return true;
    return false;
  }
  default:
    raise("argument of type '{0}' is not iterable", typeName(container));
  }
}

/// What Python's slice.indices gives.
Value Machine::slice(const Value &object, const Value &start, const Value &stop,
                     const Value &step) {
  for (const Value *bound : {&start, &stop, &step})
    if (!bound->isNone() && !bound->isInteger())
      raise("slice indices must be integers or None");
  int64_t length;
  if (object.isString())
    length = object.string().points;
  else if (object.isSequence())
    length = object.sequence().items.size();
  else if (object.is(Kind::Range))
    length = object.range().length;
  else {
    checkDefined(object);
    raise("'{0}' object has no slices", typeName(object));
  }
  int64_t by = step.isNone() ? 1 : step.asInteger();
  if (by == 0)
    raise("slice step cannot be zero");
  int64_t low = by < 0 ? -1 : 0, high = by < 0 ? length - 1 : length;
  auto bound = [&](const Value &value, int64_t otherwise) {
    if (value.isNone())
      return otherwise;
    int64_t at = value.asInteger();
    if (at < 0)
      return at < -length ? low : std::max(at + length, low);
    return std::min(at, high);
  };
  int64_t from = bound(start, by < 0 ? high : low);
  int64_t to = bound(stop, by < 0 ? low : high);
  uint64_t stride = by < 0 ? 0 - static_cast<uint64_t>(by) : by;
  uint64_t span = by < 0 ? (from > to ? from - to : 0) : (to > from ? to - from : 0);
  uint64_t count = span == 0 ? 0 : (span - 1) / stride + 1;
  auto at = [&](uint64_t i) {
    return from + static_cast<int64_t>(by < 0 ? 0 - i * stride : i * stride);
  };
  if (object.isString()) {
    StringRef text = object.text();
    budget.scan(text.size());
    if (by == 1) {
      if (object.string().isAscii())
        return this->text(text.substr(from, count).str(), isMarkup(object));
      size_t begin = byteOfCharacter(text, from);
      StringRef rest = text.drop_front(begin);
      return this->text(rest.take_front(byteOfCharacter(rest, count)).str(),
                        isMarkup(object));
    }
    std::u32string letters = decode(text), out;
    for (uint64_t i = 0; i < count; ++i)
      out += letters[at(i)];
    return this->text(encode(out), isMarkup(object));
  }
  if (object.is(Kind::Range)) {
    // An empty one may begin anywhere; its text says where.
    const RangeObject &range = object.range();
    int64_t newStep;
    if (__builtin_mul_overflow(range.step, by, &newStep))
      overflow();
    return Value(Kind::Range, new RangeObject(&budget, range.at(from),
                                              range.at(to), newStep, count));
  }
  Value out = make.sequence(object.kind());
  for (uint64_t i = 0; i < count; ++i)
    make.append(out, object.sequence().items[at(i)]);
  return out;
}

Value Machine::item(const Value &object, const Value &index) {
  budget.step();
  checkDefined(object);
  bool isList = object.isSequence() || object.isString() || object.is(Kind::Range);
  if (isList && index.isInteger()) {
    int64_t length = object.isString() ? object.string().points
                     : object.is(Kind::Range)
                         ? object.range().length
                         : static_cast<int64_t>(object.sequence().items.size());
    int64_t at = index.asInteger();
    if (at < 0)
      at = at < -length ? -1 : at + length;
    if (at < 0 || at >= length)
      return make.undefined("'" + typeName(object).str() +
                            " object' has no element " +
                            std::to_string(index.asInteger()));
    if (object.is(Kind::Range))
      return Value::integerOf(object.range().at(at));
    if (object.isSequence())
      return object.sequence().items[at];
    StringRef text = object.text();
    if (object.string().isAscii())
      return this->text(text.substr(at, 1).str(), isMarkup(object));
    budget.scan(text.size());
    text = text.drop_front(byteOfCharacter(text, at));
    return this->text(text.take_front(byteOfCharacter(text, 1)).str(),
                      isMarkup(object));
  }
  if (object.is(Kind::Dict)) {
    bool isKey = !index.is(Kind::List) && !index.is(Kind::Dict);
    if (isKey)
      if (const Value *value = find(&budget, object.dict(), index))
        return *value;
  }
  if (index.isString()) {
    bool found = false;
    Value value = methodOf(*this, object, index.text(), found);
    if (found)
      return value;
  }
  return make.undefined("'" + typeName(object).str() +
                        " object' has no attribute " + repr(index));
}

Value Machine::attribute(const Value &object, StringRef name) {
  budget.step();
  checkDefined(object);
  bool found = false;
  Value value = methodOf(*this, object, name, found);
  if (found)
    return value;
  if (object.is(Kind::Dict))
    if (const Value *member = find(&budget, object.dict(), name))
      return *member;
  return make.undefined("'" + typeName(object).str() +
                        " object' has no attribute '" + name.str() + "'");
}

} // namespace weir::jinja
