//===- Evaluate.cpp - Computes expressions ---===//
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

Value Machine::evaluate(const Expression &node, Scope &scope) {
  Depth guard(*this);
  budget.step();
  switch (node.type) {
  case Expression::Constant:
    return node.constant;
  case Expression::Name:
    return lookUp(scope, node.text);
  case Expression::List:
  case Expression::Tuple: {
    Value out = make.sequence(node.type == Expression::List ? Kind::List
                                                            : Kind::Tuple);
    for (const ExpressionPtr &child : node.children)
      make.append(out, evaluate(*child, scope));
    return out;
  }
  case Expression::Dict: {
    Value out = make.dict();
    for (size_t i = 0; i < node.children.size(); i += 2) {
      Value key = evaluate(*node.children[i], scope);
      make.set(out, key, evaluate(*node.children[i + 1], scope));
    }
    return out;
  }
  case Expression::Unary: {
    Value value = evaluate(*node.children[0], scope);
    return node.text == "not" ? Value::boolean(!isTrue(value))
                              : negative(value, node.text == "-");
  }
  case Expression::Binary: {
    Value left = evaluate(*node.children[0], scope);
    if (node.text == "and")
      return isTrue(left) ? evaluate(*node.children[1], scope) : left;
    if (node.text == "or")
      return isTrue(left) ? left : evaluate(*node.children[1], scope);
    return binary(*this, node.text, left, evaluate(*node.children[1], scope));
  }
  case Expression::Concat: {
    TextBuilder joined(&budget);
    std::vector<Value> parts;
    for (const ExpressionPtr &child : node.children)
      parts.push_back(evaluate(*child, scope));
    for (const Value &part : parts)
      print(joined, *this, part, false);
    return text(joined.take());
  }
  case Expression::Compare:
    return evaluateCompare(node, scope);
  case Expression::Conditional:
    if (isTrue(evaluate(*node.children[0], scope)))
      return evaluate(*node.children[1], scope);
    if (node.children[2])
      return evaluate(*node.children[2], scope);
    return make.undefined("the inline if-expression on line " +
                          std::to_string(node.line) +
                          " evaluated to false and no else section was "
                          "defined.");
  case Expression::Attribute:
    return attribute(evaluate(*node.children[0], scope), node.text);
  case Expression::Item:
    return evaluateItem(node, scope);
  case Expression::Slice:
    raise("a slice stands outside of brackets");
  case Expression::Call: {
    Value function = evaluate(*node.children[0], scope);
    return call(function, evaluateArguments(node.arguments, scope));
  }
  case Expression::Filter:
    return evaluateFilters(node, scope, nullptr);
  case Expression::Test: {
    Value value = evaluate(*node.children[0], scope);
    return Value::boolean(
        test(node.text, value, evaluateArguments(node.arguments, scope)));
  }
  }
  return {};
}

/// a < b < c: each is computed once, and the first that fails ends it.
Value Machine::evaluateCompare(const Expression &node, Scope &scope) {
  Value left = evaluate(*node.children[0], scope);
  for (auto [i, op] : enumerate(node.operators)) {
    Value right = evaluate(*node.children[i + 1], scope);
    bool holds;
    if (op == "==")
      holds = equals(left, right);
    else if (op == "!=")
      holds = !equals(left, right);
    else if (op == "in")
      holds = contains(*this, right, left);
    else if (op == "not in")
      holds = !contains(*this, right, left);
    else if (op == "<")
      holds = less(*this, left, right);
    else if (op == ">")
      holds = less(*this, right, left);
    else // not the opposite of > and <: nothing holds of NaN
      holds = (op == "<=" ? less(*this, left, right)
                          : less(*this, right, left)) ||
              equals(left, right);
    if (!holds)
      return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Machine::evaluateItem(const Expression &node, Scope &scope) {
  Value object = evaluate(*node.children[0], scope);
  const Expression &index = *node.children[1];
  if (index.type != Expression::Slice)
    return item(object, evaluate(index, scope));
  Value bounds[3];
  for (int i = 0; i < 3; ++i)
    if (index.children[i])
      bounds[i] = evaluate(*index.children[i], scope);
  checkDefined(object);
  return slice(object, bounds[0], bounds[1], bounds[2]);
}

Arguments Machine::evaluateArguments(const CallArguments &arguments,
                                     Scope &scope) {
  Arguments out;
  for (const ExpressionPtr &argument : arguments.positional)
    out.positional.push_back(evaluate(*argument, scope));
  for (const auto &[name, argument] : arguments.named)
    out.named.emplace_back(name, evaluate(*argument, scope));
  if (arguments.restPositional) {
    Value list = listOf(evaluate(*arguments.restPositional, scope));
    budget.step(list.sequence().items.size());
    llvm::append_range(out.positional, list.sequence().items);
  }
  if (arguments.restNamed) {
    Value dict = evaluate(*arguments.restNamed, scope);
    if (!dict.is(Kind::Dict))
      raise("argument after ** must be a mapping, not {0}", typeName(dict));
    for (const auto &[name, value] : dict.dict().entries) {
      budget.step();
      if (!name.isString())
        raise("keywords must be strings");
      for (const auto &known : out.named) {
        budget.step();
        if (known.first == name.text())
          raise("got multiple values for keyword argument '{0}'", known.first);
      }
      out.named.emplace_back(name.text().str(), value);
    }
  }
  return out;
}

/// A filter of a value, or of filters of `input` for the body of a block.
Value Machine::evaluateFilters(const Expression &node, Scope &scope,
                               const Value *input) {
  Value subject;
  if (!input)
    subject = evaluate(*node.children[0], scope);
  else if (node.children[0])
    subject = evaluateFilters(*node.children[0], scope, input);
  else
    subject = *input;
  return filter(node.text, subject, evaluateArguments(node.arguments, scope));
}

Value Machine::call(const Value &function, Arguments arguments) {
  Depth guard(*this);
  budget.step();
  checkDefined(function);
  if (function.is(Kind::Function))
    return function.as<Callable>().call(*this, arguments);
  if (function.is(Kind::Loop) && arguments.positional.size() == 1 &&
      arguments.named.empty())
    return text(runLoop(function.as<LoopObject>(), arguments.positional[0]));
  raise("'{0}' object is not callable", typeName(function));
}

Value Machine::filter(StringRef name, const Value &subject,
                      Arguments arguments) {
  Depth guard(*this);
  budget.step();
  Builtin function = findFilter(name);
  if (!function)
    raise(isFilter(name) ? "the filter '{0}' is not supported in chat templates"
                         : "No filter named '{0}' found.",
          name);
  return function(*this, subject, arguments);
}

bool Machine::test(StringRef name, const Value &subject, Arguments arguments) {
  Depth guard(*this);
  budget.step();
  Builtin function = findTest(name);
  if (!function)
    raise("No test named '{0}' found.", name);
  return isTrue(function(*this, subject, arguments));
}

Value Machine::listOf(const Value &value) {
  switch (value.kind()) {
  case Kind::List:
  case Kind::Tuple:
  case Kind::View:
    return value;
  case Kind::Undefined:
    return make.list();
  case Kind::Generator: {
    SequenceObject &object = value.sequence();
    size_t used = std::exchange(object.used, object.items.size());
    if (used == 0)
      return value;
    Value out = make.list();
    for (size_t i = used; i < object.items.size(); ++i)
      make.append(out, object.items[i]);
    return out;
  }
  case Kind::Dict: {
    Value out = make.list();
    for (const auto &entry : value.dict().entries)
      make.append(out, entry.first);
    return out;
  }
  case Kind::Range: {
    Value out = make.list();
    for (int64_t i = 0; i < value.range().length; ++i)
      make.append(out, Value::integerOf(value.range().at(i)));
    return out;
  }
  case Kind::String: {
    Value out = make.list();
    StringRef rest = value.text();
    while (!rest.empty()) {
      size_t size = value.string().isAscii() ? 1 : byteOfCharacter(rest, 1);
      make.append(out, text(rest.take_front(size).str()));
      rest = rest.drop_front(size);
    }
    return out;
  }
  default:
    raise("'{0}' object is not iterable", typeName(value));
  }
}

} // namespace weir::jinja
