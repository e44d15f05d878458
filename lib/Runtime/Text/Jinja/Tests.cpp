//===- Tests.cpp - What can stand after `is` ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Characters.h"
#include "Machine.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace weir::jinja {
namespace {

using Kinds = std::initializer_list<Kind>;

template <typename Body>
Value ask(const char *name, Arguments &arguments, Body body) {
  Parameters none(name, arguments, {});
  return Value::boolean(body());
}

#define WEIR_TEST(NAME, CONDITION)                                             \
  Value NAME([[maybe_unused]] Machine &machine, const Value &value,            \
             Arguments &arguments) {                                           \
    return ask(#NAME, arguments, [&]() -> bool { return CONDITION; });         \
  }

WEIR_TEST(defined, !value.isUndefined())
WEIR_TEST(undefined, value.isUndefined())
WEIR_TEST(isNone, value.isNone())
WEIR_TEST(boolean, value.is(Kind::Bool))
WEIR_TEST(isFalse, value.is(Kind::Bool) && !value.asBool())
WEIR_TEST(isTrueTest, value.is(Kind::Bool) && value.asBool())
WEIR_TEST(integer, value.is(Kind::Int))
WEIR_TEST(isFloat, value.is(Kind::Float))
WEIR_TEST(number, value.isNumber())
WEIR_TEST(string, value.isString())
WEIR_TEST(mapping, value.is(Kind::Dict))
WEIR_TEST(callable, value.is(Kind::Function) || value.is(Kind::Loop) ||
                        value.isUndefined())
WEIR_TEST(escaped, value.isString() && value.string().markup)
WEIR_TEST(sequence, value.isString() || value.isSequence() ||
                        value.is(Kind::Dict) || value.is(Kind::Range) ||
                        value.isUndefined())
WEIR_TEST(iterable, value.isString() || value.isSequence() ||
                        value.is(Kind::Dict) || value.is(Kind::Range) ||
                        value.is(Kind::View) || value.is(Kind::Generator) ||
                        value.is(Kind::Loop) || value.isUndefined())
#undef WEIR_TEST

template <bool Upper>
Value hasCase(Machine &machine, const Value &value, Arguments &arguments) {
  Parameters none("lower", arguments, {});
  std::string text = machine.str(value);
  machine.budget.scan(4 * text.size());
  bool cased = false;
  for (char32_t c : decode(text)) {
    if (isTitle(c) || (Upper ? isLower(c) : isUpper(c)))
      return Value::boolean(false);
    cased |= Upper ? isUpper(c) : isLower(c);
  }
  return Value::boolean(cased);
}

template <int Rest>
Value remainder(Machine &machine, const Value &value, Arguments &arguments) {
  Parameters none("odd", arguments, {});
  Value rest = binary(machine, "%", value, Value::integerOf(2));
  return Value::boolean(machine.equals(rest, Value::integerOf(Rest)));
}

Value divisibleby(Machine &machine, const Value &value, Arguments &arguments) {
  Parameters p("divisibleby", arguments, {"num"}, 1);
  Value rest = binary(machine, "%", value, p[0]);
  return Value::boolean(machine.equals(rest, Value::integerOf(0)));
}

Value sameas(Machine &, const Value &value, Arguments &arguments) {
  Parameters p("sameas", arguments, {"other"}, 1);
  const Value &other = p[0];
  if (value.kind() != other.kind())
    return Value::boolean(false);
  if (value.isNone() || value.is(Kind::Bool))
    return Value::boolean(value.asInteger() == other.asInteger());
  // Which numbers and texts are one object is Python's own affair.
  if (value.isNumber() || value.isString() || value.is(Kind::Tuple))
    raise("sameas is supported for none, true, false and lists only");
  return Value::boolean(value.object() == other.object());
}

Value in(Machine &machine, const Value &value, Arguments &arguments) {
  Parameters p("in", arguments, {"seq"}, 1);
  return Value::boolean(contains(machine, p[0], value));
}

enum Relation { Equal, NotEqual, Less, AtMost, Greater, AtLeast };

template <Relation R>
Value compare(Machine &machine, const Value &value, Arguments &arguments) {
  Parameters p("comparison", arguments, {""}, 1);
  const Value &other = p[0];
  switch (R) {
  case Equal:
    return Value::boolean(machine.equals(value, other));
  case NotEqual:
    return Value::boolean(!machine.equals(value, other));
  case Less:
    return Value::boolean(less(machine, value, other));
  case Greater:
    return Value::boolean(less(machine, other, value));
  case AtMost:
    return Value::boolean(less(machine, value, other) ||
                          machine.equals(value, other));
  case AtLeast:
    return Value::boolean(less(machine, other, value) ||
                          machine.equals(value, other));
  }
  return {};
}

Value isFilterName(Machine &, const Value &value, Arguments &arguments) {
  Parameters none("filter", arguments, {});
  return Value::boolean(value.isString() && isFilter(value.text()));
}

Value isTestName(Machine &, const Value &value, Arguments &arguments) {
  Parameters none("test", arguments, {});
  return Value::boolean(value.isString() && isTest(value.text()));
}

constexpr NamedBuiltin table[] = {
    {"odd", remainder<1>},
    {"even", remainder<0>},
    {"divisibleby", divisibleby},
    {"defined", defined},
    {"undefined", undefined},
    {"filter", isFilterName},
    {"test", isTestName},
    {"none", isNone},
    {"boolean", boolean},
    {"false", isFalse},
    {"true", isTrueTest},
    {"integer", integer},
    {"float", isFloat},
    {"lower", hasCase<false>},
    {"upper", hasCase<true>},
    {"string", string},
    {"mapping", mapping},
    {"number", number},
    {"sequence", sequence},
    {"iterable", iterable},
    {"callable", callable},
    {"sameas", sameas},
    {"escaped", escaped},
    {"in", in},
    {"==", compare<Equal>},
    {"eq", compare<Equal>},
    {"equalto", compare<Equal>},
    {"!=", compare<NotEqual>},
    {"ne", compare<NotEqual>},
    {">", compare<Greater>},
    {"gt", compare<Greater>},
    {"greaterthan", compare<Greater>},
    {"ge", compare<AtLeast>},
    {">=", compare<AtLeast>},
    {"<", compare<Less>},
    {"lt", compare<Less>},
    {"lessthan", compare<Less>},
    {"<=", compare<AtMost>},
    {"le", compare<AtMost>},
};

} // namespace

ArrayRef<NamedBuiltin> tests() { return table; }

} // namespace weir::jinja
