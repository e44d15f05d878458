//===- ExpressionParser.cpp - Reads expressions ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Builtins.h"
#include "Parser.h"

#include "llvm/ADT/StringSwitch.h"

using namespace llvm;

namespace weir::jinja {

ExpressionPtr Parser::make(Expression::Type type, int line) {
  auto out = std::make_unique<Expression>();
  out->type = type;
  out->line = line;
  out->depth = 1;
  return out;
}

void Parser::add(Expression &parent, ExpressionPtr child) {
  if (child) {
    parent.depth = std::max(parent.depth, child->depth + 1);
    if (parent.depth > maxTreeDepth)
      fail("an expression has more than 400 parts inside of each other");
  }
  parent.children.push_back(std::move(child));
}

ExpressionPtr Parser::expression(bool withConditional) {
  return withConditional ? conditional() : disjunction();
}

ExpressionPtr Parser::conditional() {
  Nesting count(*this);
  int begin = line();
  ExpressionPtr left = disjunction();
  bool outside = inBranch;
  while (skipName("if")) {
    ExpressionPtr node = make(Expression::Conditional, begin);
    inBranch = true;
    add(*node, disjunction());
    add(*node, std::move(left));
    add(*node, skipName("else") ? conditional() : nullptr);
    inBranch = outside;
    left = std::move(node);
  }
  return left;
}

ExpressionPtr Parser::disjunction() {
  ExpressionPtr left = conjunction();
  while (isName("or")) {
    ExpressionPtr node = make(Expression::Binary, line());
    node->text = next().text;
    add(*node, std::move(left));
    add(*node, conjunction());
    left = std::move(node);
  }
  return left;
}

ExpressionPtr Parser::conjunction() {
  ExpressionPtr left = negation();
  while (isName("and")) {
    ExpressionPtr node = make(Expression::Binary, line());
    node->text = next().text;
    add(*node, std::move(left));
    add(*node, negation());
    left = std::move(node);
  }
  return left;
}

ExpressionPtr Parser::negation() {
  if (!isName("not"))
    return comparison();
  Nesting count(*this);
  ExpressionPtr node = make(Expression::Unary, line());
  node->text = next().text;
  add(*node, negation());
  return node;
}

ExpressionPtr Parser::comparison() {
  int begin = line();
  ExpressionPtr first = sum();
  ExpressionPtr node;
  auto operand = [&](StringRef op) {
    if (!node) {
      node = make(Expression::Compare, begin);
      add(*node, std::move(first));
    }
    node->operators.push_back(op.str());
    add(*node, sum());
  };
  for (;;) {
    if (current().type == Token::Operator &&
        StringSwitch<bool>(current().text)
            .Cases({"==", "!=", "<", "<=", ">", ">="}, true)
            .Default(false)) {
      operand(next().text);
    } else if (skipName("in")) {
      operand("in");
    } else if (isName("not") && following().type == Token::Name &&
               following().text == "in") {
      at += 2;
      operand("not in");
    } else {
      break;
    }
  }
  return node ? std::move(node) : std::move(first);
}

ExpressionPtr Parser::sum() {
  ExpressionPtr left = concatenation();
  while (isOperator("+") || isOperator("-")) {
    ExpressionPtr node = make(Expression::Binary, line());
    node->text = next().text;
    add(*node, std::move(left));
    add(*node, concatenation());
    left = std::move(node);
  }
  return left;
}

ExpressionPtr Parser::concatenation() {
  ExpressionPtr first = product();
  if (!isOperator("~"))
    return first;
  ExpressionPtr node = make(Expression::Concat, line());
  add(*node, std::move(first));
  while (skipOperator("~"))
    add(*node, product());
  return node;
}

ExpressionPtr Parser::product() {
  ExpressionPtr left = power();
  while (isOperator("*") || isOperator("/") || isOperator("//") ||
         isOperator("%")) {
    ExpressionPtr node = make(Expression::Binary, line());
    node->text = next().text;
    add(*node, std::move(left));
    add(*node, power());
    left = std::move(node);
  }
  return left;
}

ExpressionPtr Parser::power() {
  ExpressionPtr left = unary();
  while (isOperator("**")) {
    ExpressionPtr node = make(Expression::Binary, line());
    node->text = next().text;
    add(*node, std::move(left));
    add(*node, unary());
    left = std::move(node);
  }
  return left;
}

ExpressionPtr Parser::unary(bool withFilter) {
  Nesting count(*this);
  ExpressionPtr node;
  if (isOperator("-") || isOperator("+")) {
    node = make(Expression::Unary, line());
    node->text = next().text;
    add(*node, unary(false));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return withFilter ? filters(std::move(node)) : std::move(node);
}

ExpressionPtr Parser::primary() {
  ExpressionPtr node = make(Expression::Constant, line());
  switch (current().type) {
  case Token::Name: {
    std::string name = next().text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
      node->constant = Value::boolean(name[0] == 't' || name[0] == 'T');
    } else if (name != "none" && name != "None") {
      if (name == "self")
        fail("'self' is not supported in chat templates");
      node->type = Expression::Name;
      node->text = std::move(name);
    }
    return node;
  }
  case Token::String: {
    std::string text;
    while (current().type == Token::String)
      text += next().text;
    node->constant = Maker(nullptr).string(std::move(text));
    return node;
  }
  case Token::Integer:
  case Token::Float:
    node->constant = next().number;
    return node;
  case Token::Operator:
    if (skipOperator("(")) {
      node = tuple(true, "", /*inParentheses=*/true);
      expectOperator(")");
      return node;
    }
    if (isOperator("["))
      return list();
    if (isOperator("{"))
      return dict();
    break;
  default:
    break;
  }
  fail("unexpected " + describe(current()));
}

ExpressionPtr Parser::postfix(ExpressionPtr node) {
  for (;;) {
    if (isOperator(".") || isOperator("["))
      node = subscript(std::move(node));
    else if (isOperator("("))
      node = call(std::move(node));
    else
      return node;
  }
}

ExpressionPtr Parser::filters(ExpressionPtr node) {
  for (;;) {
    if (isOperator("|"))
      node = filter(std::move(node));
    else if (isName("is"))
      node = test(std::move(node));
    else if (isOperator("("))
      node = call(std::move(node));
    else
      return node;
  }
}

/// "| name(arguments)", the bar included unless the tag began with the name.
ExpressionPtr Parser::filter(ExpressionPtr value) {
  skipOperator("|");
  ExpressionPtr node = make(Expression::Filter, line());
  node->text = expectAnyName();
  while (skipOperator("."))
    node->text += "." + expectAnyName();
  if (!inBranch && !isFilter(node->text))
    fail("No filter named '" + node->text + "'.", node->line);
  add(*node, std::move(value));
  if (isOperator("("))
    node->arguments = callArguments(*node);
  return node;
}

ExpressionPtr Parser::test(ExpressionPtr value) {
  ExpressionPtr node = make(Expression::Test, line());
  next();
  bool negated = skipName("not");
  node->text = expectAnyName();
  while (skipOperator("."))
    node->text += "." + expectAnyName();
  if (!inBranch && !isTest(node->text))
    fail("No test named '" + node->text + "'.", node->line);
  add(*node, std::move(value));
  if (isOperator("(")) {
    node->arguments = callArguments(*node);
  } else if (current().type == Token::String ||
             current().type == Token::Integer ||
             current().type == Token::Float || isOperator("[") ||
             isOperator("{") ||
             (current().type == Token::Name && !isName("else") &&
              !isName("or") && !isName("and"))) {
    if (isName("is"))
      fail("You cannot chain multiple tests with is");
    Nesting count(*this);
    ExpressionPtr argument = postfix(primary());
    node->depth = std::max(node->depth, argument->depth + 1);
    node->arguments.positional.push_back(std::move(argument));
  }
  if (!negated)
    return node;
  ExpressionPtr outer = make(Expression::Unary, node->line);
  outer->text = "not";
  add(*outer, std::move(node));
  return outer;
}

ExpressionPtr Parser::subscript(ExpressionPtr object) {
  int begin = line();
  if (skipOperator(".")) {
    LexedToken name = next();
    if (name.type == Token::Name) {
      ExpressionPtr node = make(Expression::Attribute, begin);
      add(*node, std::move(object));
      node->text = name.text;
      return node;
    }
    if (name.type != Token::Integer)
      fail("expected name or number", name.line);
    ExpressionPtr node = make(Expression::Item, begin);
    add(*node, std::move(object));
    ExpressionPtr index = make(Expression::Constant, begin);
    index->constant = name.number;
    add(*node, std::move(index));
    return node;
  }
  expectOperator("[");
  ExpressionPtr node = make(Expression::Item, begin);
  add(*node, std::move(object));
  std::vector<ExpressionPtr> parts;
  while (!isOperator("]")) {
    if (!parts.empty())
      expectOperator(",");
    parts.push_back(subscribed());
  }
  expectOperator("]");
  if (parts.size() == 1) {
    add(*node, std::move(parts[0]));
  } else {
    ExpressionPtr tuple = make(Expression::Tuple, begin);
    for (ExpressionPtr &part : parts) {
      if (part->type == Expression::Slice)
        fail("a slice in several dimensions");
      add(*tuple, std::move(part));
    }
    add(*node, std::move(tuple));
  }
  return node;
}

ExpressionPtr Parser::subscribed() {
  ExpressionPtr node = make(Expression::Slice, line());
  if (skipOperator(":")) {
    add(*node, nullptr);
  } else {
    ExpressionPtr first = expression();
    if (!skipOperator(":"))
      return first;
    add(*node, std::move(first));
  }
  auto isEnd = [&] { return isOperator("]") || isOperator(","); };
  add(*node, isOperator(":") || isEnd() ? nullptr : expression());
  add(*node, skipOperator(":") && !isEnd() ? expression() : nullptr);
  return node;
}

ExpressionPtr Parser::call(ExpressionPtr function) {
  ExpressionPtr node = make(Expression::Call, line());
  add(*node, std::move(function));
  node->arguments = callArguments(*node);
  return node;
}

CallArguments Parser::callArguments(Expression &owner) {
  int begin = line();
  expectOperator("(");
  CallArguments out;
  auto ensure = [&](bool condition) {
    if (!condition)
      fail("invalid syntax for function call expression", begin);
  };
  auto argument = [&] {
    ExpressionPtr node = expression();
    owner.depth = std::max(owner.depth, node->depth + 1);
    return node;
  };
  bool needsComma = false;
  while (!isOperator(")")) {
    if (needsComma) {
      expectOperator(",");
      if (isOperator(")"))
        break;
    }
    if (skipOperator("*")) {
      ensure(!out.restPositional && !out.restNamed);
      out.restPositional = argument();
    } else if (skipOperator("**")) {
      ensure(!out.restNamed);
      out.restNamed = argument();
    } else if (current().type == Token::Name &&
               following().type == Token::Operator && following().text == "=") {
      ensure(!out.restNamed);
      std::string name = next().text;
      next();
      for (const auto &known : out.named)
        if (known.first == name)
          fail("keyword argument repeated: " + name);
      out.named.emplace_back(std::move(name), argument());
    } else {
      ensure(!out.restPositional && !out.restNamed && out.named.empty());
      out.positional.push_back(argument());
    }
    needsComma = true;
  }
  expectOperator(")");
  return out;
}

ExpressionPtr Parser::list() {
  ExpressionPtr node = make(Expression::List, line());
  expectOperator("[");
  while (!isOperator("]")) {
    if (!node->children.empty())
      expectOperator(",");
    if (isOperator("]"))
      break;
    add(*node, expression());
  }
  expectOperator("]");
  return node;
}

ExpressionPtr Parser::dict() {
  ExpressionPtr node = make(Expression::Dict, line());
  expectOperator("{");
  while (!isOperator("}")) {
    if (!node->children.empty())
      expectOperator(",");
    if (isOperator("}"))
      break;
    add(*node, expression());
    expectOperator(":");
    add(*node, expression());
  }
  expectOperator("}");
  return node;
}

bool Parser::isTupleEnd(StringRef end) const {
  return current().type == Token::VariableEnd ||
         current().type == Token::BlockEnd || isOperator(")") ||
         (!end.empty() && isName(end));
}

ExpressionPtr Parser::tuple(bool withConditional, StringRef end,
                            bool inParentheses) {
  ExpressionPtr node = make(Expression::Tuple, line());
  bool isTuple = false;
  for (;;) {
    if (!node->children.empty())
      expectOperator(",");
    if (isTupleEnd(end))
      break;
    add(*node, expression(withConditional));
    if (!isOperator(","))
      break;
    isTuple = true;
  }
  if (isTuple)
    return node;
  if (!node->children.empty())
    return std::move(node->children[0]);
  if (!inParentheses)
    fail("Expected an expression, got " + describe(current()));
  return node;
}

} // namespace weir::jinja
