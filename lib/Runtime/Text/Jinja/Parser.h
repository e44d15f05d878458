//===- Parser.h - Reads a template ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_JINJA_PARSER_H
#define WEIR_LIB_RUNTIME_TEXT_JINJA_PARSER_H

#include "Lexer.h"
#include "Syntax.h"

#include "llvm/ADT/ArrayRef.h"

namespace weir::jinja {

/// One function a rule of Jinja2's grammar; expressions in
/// ExpressionParser.cpp, statements in StatementParser.cpp.
class Parser {
public:
  explicit Parser(std::vector<LexedToken> tokens) : tokens(std::move(tokens)) {}
  Body parse();

private:
  static constexpr unsigned maxNesting = 100, maxTreeDepth = 400;

  /// Counts rules inside of each other.
  class Nesting {
  public:
    explicit Nesting(Parser &parser) : parser(parser) {
      if (++parser.nesting > maxNesting)
        parser.fail("more than 100 parts of it are inside of each other");
    }
    ~Nesting() { --parser.nesting; }

  private:
    Parser &parser;
  };

  const LexedToken &current() const { return tokens[at]; }
  const LexedToken &following() const {
    return tokens[std::min(at + 1, tokens.size() - 1)];
  }
  int line() const { return current().line; }
  LexedToken next() {
    return current().type == Token::End ? current() : tokens[at++];
  }
  bool isOperator(llvm::StringRef text) const {
    return current().type == Token::Operator && current().text == text;
  }
  bool isName(llvm::StringRef text) const {
    return current().type == Token::Name && current().text == text;
  }
  bool skipOperator(llvm::StringRef text);
  bool skipName(llvm::StringRef text);
  void expectOperator(llvm::StringRef text);
  void expectName(llvm::StringRef text);
  std::string expectAnyName();
  void expect(Token type, const char *what);
  [[noreturn]] void fail(const llvm::Twine &message, int line = 0) const;
  std::string describe(const LexedToken &token) const;

  // Expressions.
  ExpressionPtr make(Expression::Type type, int line);
  void add(Expression &parent, ExpressionPtr child);
  ExpressionPtr expression(bool withConditional = true);
  ExpressionPtr conditional();
  ExpressionPtr disjunction();
  ExpressionPtr conjunction();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool withFilter = true);
  ExpressionPtr primary();
  ExpressionPtr postfix(ExpressionPtr node);
  ExpressionPtr filters(ExpressionPtr node);
  ExpressionPtr filter(ExpressionPtr node);
  ExpressionPtr test(ExpressionPtr node);
  ExpressionPtr subscript(ExpressionPtr node);
  ExpressionPtr subscribed();
  ExpressionPtr call(ExpressionPtr node);
  CallArguments callArguments(Expression &owner);
  ExpressionPtr list();
  ExpressionPtr dict();
  /// One expression, or several with commas as a tuple. `end`: a name that ends
  /// it as well.
  ExpressionPtr tuple(bool withConditional = true, llvm::StringRef end = "",
                      bool inParentheses = false);
  bool isTupleEnd(llvm::StringRef end) const;

  // Statements.
  Body statements(llvm::ArrayRef<llvm::StringRef> ends);
  Body blockBody(llvm::ArrayRef<llvm::StringRef> ends, bool dropEnd);
  std::unique_ptr<Statement> statement();
  std::unique_ptr<Statement> make(Statement::Type type);
  std::unique_ptr<Statement> forStatement();
  std::unique_ptr<Statement> ifStatement();
  std::unique_ptr<Statement> setStatement();
  std::unique_ptr<Statement> withStatement();
  std::unique_ptr<Statement> macroStatement();
  std::unique_ptr<Statement> callStatement();
  std::unique_ptr<Statement> filterStatement();
  void printStatement(Body &out);
  void signature(Macro &macro);
  Target target(bool withNamespace, llvm::StringRef end = "");
  Target singleTarget(bool withNamespace);
  void finish(Macro &macro, size_t firstToken);

  std::vector<LexedToken> tokens;
  size_t at = 0;
  unsigned nesting = 0, loops = 0;
  /// Inside of a branch, where Jinja2 lets unknown filters pass until they are
  /// met.
  bool inBranch = false;
};

} // namespace weir::jinja

#endif // WEIR_LIB_RUNTIME_TEXT_JINJA_PARSER_H
