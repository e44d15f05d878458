//===- StatementParser.cpp - Reads statements ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace llvm;

namespace weir::jinja {

void Parser::fail(const Twine &message, int where) const {
  throw Error{message.str(), where ? where : line()};
}

std::string Parser::describe(const LexedToken &token) const {
  switch (token.type) {
  case Token::End:
    return "'end of template'";
  case Token::Data:
    return "'template data / text'";
  case Token::VariableBegin:
    return "'begin of print statement'";
  case Token::VariableEnd:
    return "'end of print statement'";
  case Token::BlockBegin:
    return "'begin of statement block'";
  case Token::BlockEnd:
    return "'end of statement block'";
  default:
    return "'" + token.text + "'";
  }
}

bool Parser::skipOperator(StringRef text) {
  bool found = isOperator(text);
  at += found;
  return found;
}
bool Parser::skipName(StringRef text) {
  bool found = isName(text);
  at += found;
  return found;
}
void Parser::expectOperator(StringRef text) {
  if (!skipOperator(text))
    fail("expected token '" + text + "', got " + describe(current()));
}
void Parser::expectName(StringRef text) {
  if (!skipName(text))
    fail("expected token '" + text + "', got " + describe(current()));
}
std::string Parser::expectAnyName() {
  if (current().type != Token::Name)
    fail("expected token 'name', got " + describe(current()));
  return next().text;
}
void Parser::expect(Token type, const char *what) {
  if (current().type != type)
    fail(Twine("expected token '") + what + "', got " + describe(current()));
  next();
}

std::unique_ptr<Statement> Parser::make(Statement::Type type) {
  auto out = std::make_unique<Statement>();
  out->type = type;
  out->line = line();
  return out;
}

Body Parser::parse() { return statements({}); }

/// Up to a tag that begins with one of `ends`, whose name is the next token.
Body Parser::statements(ArrayRef<StringRef> ends) {
  Body out;
  for (;;) {
    switch (current().type) {
    case Token::Data:
      out.push_back(make(Statement::Text));
      out.back()->text = next().text;
      break;
    case Token::VariableBegin:
      next();
      out.push_back(make(Statement::Print));
      out.back()->value = tuple();
      expect(Token::VariableEnd, "end of print statement");
      break;
    case Token::BlockBegin:
      next();
      if (current().type == Token::Name &&
          llvm::is_contained(ends, StringRef(current().text)))
        return out;
      if (isName("print"))
        printStatement(out);
      else if (auto made = statement())
        out.push_back(std::move(made));
      expect(Token::BlockEnd, "end of statement block");
      break;
    default:
      if (!ends.empty())
        fail("Unexpected end of template. Jinja was looking for the following "
             "tags: '" +
             llvm::join(ends, "' or '") + "'");
      return out;
    }
  }
}

Body Parser::blockBody(ArrayRef<StringRef> ends, bool dropEnd) {
  Nesting count(*this);
  skipOperator(":");
  expect(Token::BlockEnd, "end of statement block");
  Body out = statements(ends);
  if (dropEnd)
    next();
  return out;
}

std::unique_ptr<Statement> Parser::statement() {
  if (current().type != Token::Name)
    fail("tag name expected");
  StringRef name = current().text;
  bool outside = inBranch;
  // A scope of its own is no branch; Jinja2 has it that way.
  auto own = [&](auto rule) {
    inBranch = false;
    auto out = (this->*rule)();
    inBranch = outside;
    return out;
  };
  if (name == "if")
    return ifStatement();
  if (name == "set")
    return setStatement();
  if (name == "for")
    return own(&Parser::forStatement);
  if (name == "with")
    return own(&Parser::withStatement);
  if (name == "macro")
    return own(&Parser::macroStatement);
  if (name == "call")
    return own(&Parser::callStatement);
  if (name == "filter")
    return own(&Parser::filterStatement);
  if (name == "break" || name == "continue") {
    auto out = make(name == "break" ? Statement::Break : Statement::Continue);
    if (loops == 0)
      fail("'" + name + "' outside of a loop");
    next();
    return out;
  }
  if (name == "generation") { // transformers' marks of what a model has said
    auto out = make(Statement::Scope);
    next();
    unsigned outer = std::exchange(loops, 0);
    inBranch = false;
    out->body = blockBody({"endgeneration"}, true);
    inBranch = outside;
    loops = outer;
    return out;
  }
  if (StringSwitch<bool>(name)
          .Cases({"block", "extends", "include", "import", "from"}, true)
          .Case("autoescape", true)
          .Default(false))
    fail("the tag '" + name + "' is not supported in chat templates");
  fail("Encountered unknown tag '" + name + "'.");
}

std::unique_ptr<Statement> Parser::forStatement() {
  auto out = make(Statement::For);
  expectName("for");
  out->target = target(false, "in");
  expectName("in");
  out->value = tuple(false, "recursive");
  if (skipName("if"))
    out->condition = expression();
  out->recursive = skipName("recursive");
  ++loops;
  out->body = blockBody({"endfor", "else"}, false);
  --loops;
  if (next().text == "else")
    out->otherwise = blockBody({"endfor"}, true);
  return out;
}

std::unique_ptr<Statement> Parser::ifStatement() {
  auto out = make(Statement::If);
  next();
  bool outside = std::exchange(inBranch, true);
  for (;;) {
    ExpressionPtr test = tuple(false);
    Body body = blockBody({"elif", "else", "endif"}, false);
    out->branches.emplace_back(std::move(test), std::move(body));
    std::string end = next().text;
    if (end == "elif")
      continue;
    if (end == "else")
      out->branches.emplace_back(nullptr, blockBody({"endif"}, true));
    inBranch = outside;
    return out;
  }
}

std::unique_ptr<Statement> Parser::setStatement() {
  auto out = make(Statement::Set);
  next();
  out->target = target(true);
  if (skipOperator("=")) {
    out->value = tuple();
    return out;
  }
  out->type = Statement::SetBlock;
  while (isOperator("|"))
    out->value = filter(std::move(out->value));
  bool outside = std::exchange(inBranch, false);
  unsigned outer = std::exchange(loops, 0);
  out->body = blockBody({"endset"}, true);
  loops = outer;
  inBranch = outside;
  return out;
}

std::unique_ptr<Statement> Parser::withStatement() {
  auto out = make(Statement::With);
  next();
  while (current().type != Token::BlockEnd) {
    if (!out->assignments.empty())
      expectOperator(",");
    Target name = target(false);
    expectOperator("=");
    out->assignments.emplace_back(std::move(name), expression());
  }
  out->body = blockBody({"endwith"}, true);
  return out;
}

void Parser::signature(Macro &macro) {
  expectOperator("(");
  while (!isOperator(")")) {
    if (!macro.parameters.empty())
      expectOperator(",");
    Parameter parameter;
    parameter.name = expectAnyName();
    for (const Parameter &known : macro.parameters)
      if (known.name == parameter.name)
        fail("duplicate argument '" + parameter.name + "'");
    if (skipOperator("="))
      parameter.otherwise = expression();
    else if (!macro.parameters.empty() && macro.parameters.back().otherwise)
      fail("non-default argument follows default argument");
    macro.parameters.push_back(std::move(parameter));
  }
  expectOperator(")");
}

/// Which of the special names the body speaks of.
void Parser::finish(Macro &macro, size_t firstToken) {
  for (size_t i = firstToken; i < at; ++i) {
    if (tokens[i].type != Token::Name)
      continue;
    // A member or a named argument isn't the name.
    if (i > 0 && tokens[i - 1].type == Token::Operator &&
        tokens[i - 1].text == ".")
      continue;
    if (i > 0 && tokens[i - 1].type == Token::BlockBegin)
      continue;
    StringRef name = tokens[i].text;
    macro.takesCaller |= name == "caller";
    macro.takesKeywords |= name == "kwargs";
    macro.takesRest |= name == "varargs";
  }
  for (const Parameter &parameter : macro.parameters) {
    macro.explicitCaller |= parameter.name == "caller";
    if (parameter.name == "kwargs")
      macro.takesKeywords = false;
    if (parameter.name == "varargs")
      macro.takesRest = false;
  }
  if (macro.explicitCaller)
    macro.takesCaller = false;
}

std::unique_ptr<Statement> Parser::macroStatement() {
  auto out = make(Statement::MacroDef);
  next();
  out->macro.name = expectAnyName();
  signature(out->macro);
  unsigned outer = std::exchange(loops, 0);
  size_t first = at;
  out->body = blockBody({"endmacro"}, true);
  loops = outer;
  finish(out->macro, first);
  out->macro.body = &out->body;
  return out;
}

std::unique_ptr<Statement> Parser::callStatement() {
  auto out = make(Statement::CallBlock);
  next();
  out->macro.name = "caller";
  if (isOperator("("))
    signature(out->macro);
  out->value = expression();
  if (out->value->type != Expression::Call)
    fail("expected call", out->line);
  unsigned outer = std::exchange(loops, 0);
  size_t first = at;
  out->body = blockBody({"endcall"}, true);
  loops = outer;
  finish(out->macro, first);
  out->macro.body = &out->body;
  return out;
}

std::unique_ptr<Statement> Parser::filterStatement() {
  auto out = make(Statement::FilterBlock);
  next();
  out->value = filter(nullptr);
  while (isOperator("|"))
    out->value = filter(std::move(out->value));
  unsigned outer = std::exchange(loops, 0);
  out->body = blockBody({"endfilter"}, true);
  loops = outer;
  return out;
}

/// `{% print a, b %}` is one output after the other.
void Parser::printStatement(Body &out) {
  next();
  bool isFirst = true;
  while (current().type != Token::BlockEnd) {
    if (!std::exchange(isFirst, false))
      expectOperator(",");
    out.push_back(make(Statement::Print));
    out.back()->value = expression();
  }
}

Target Parser::singleTarget(bool withNamespace) {
  Nesting count(*this);
  Target out;
  if (skipOperator("(")) {
    out = target(withNamespace);
    out.isTuple |= !out.items.empty();
    expectOperator(")");
    return out;
  }
  out.name = expectAnyName();
  if (StringSwitch<bool>(out.name)
          .Cases({"true", "True", "false", "False", "none", "None"}, true)
          .Default(false))
    fail("can't assign to 'const'");
  if (withNamespace && skipOperator("."))
    out.attribute = expectAnyName();
  return out;
}

Target Parser::target(bool withNamespace, StringRef end) {
  Target first = singleTarget(withNamespace);
  if (!isOperator(","))
    return first;
  Target out;
  out.isTuple = true;
  out.items.push_back(std::move(first));
  while (skipOperator(",")) {
    if (isTupleEnd(end))
      break;
    out.items.push_back(singleTarget(withNamespace));
  }
  return out;
}

Body parse(StringRef source) { return Parser(lex(source)).parse(); }

} // namespace weir::jinja
