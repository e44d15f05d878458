//===- Syntax.h - A template as a tree ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_JINJA_SYNTAX_H
#define WEIR_LIB_RUNTIME_TEXT_JINJA_SYNTAX_H

#include "Value.h"

#include <memory>
#include <string>
#include <vector>

namespace weir::jinja {

struct Expression;
struct Statement;
using ExpressionPtr = std::unique_ptr<Expression>;
using Body = std::vector<std::unique_ptr<Statement>>;

/// Arguments as they're written: f(a, k=b, *c, **d).
struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr restPositional, restNamed;
};

struct Expression {
  enum Type {
    Constant,
    Name,
    List,
    Tuple,
    Dict,        ///< children: key, value, key, value, …
    Unary,       ///< text: "-", "+", "not"
    Binary,      ///< text: "+", "and", …
    Concat,      ///< children
    Compare,     ///< children, operators between them
    Conditional, ///< children: condition, value, and what else or null
    Attribute,   ///< children: object; text: name
    Item,        ///< children: object, index
    Slice,       ///< children: start, stop, step, each may be null
    Call,        ///< children: function; arguments
    Filter,      ///< children: value, or null in a filter block
    Test,
  };

  Type type;
  int line = 0;
  unsigned depth = 0; ///< of the tree below
  std::string text;
  Value constant;
  std::vector<ExpressionPtr> children;
  std::vector<std::string> operators;
  CallArguments arguments;
};

/// What is assigned to: a name, names in a tuple, or an attribute of a namespace.
struct Target {
  std::string name;
  std::string attribute; ///< of the namespace `name`
  std::vector<Target> items;
  bool isTuple = false;
};

struct Parameter {
  std::string name;
  ExpressionPtr otherwise; ///< or null
};

/// A macro, and the body of a call block.
struct Macro {
  std::string name;
  std::vector<Parameter> parameters;
  Body *body = nullptr;
  bool takesCaller = false, takesKeywords = false, takesRest = false;
  bool explicitCaller = false; ///< `caller` is one of the parameters
};

struct Statement {
  enum Type {
    Text,
    Print,
    If,          ///< branches
    For,         ///< target, value, condition or null, body, otherwise
    Set,         ///< target, value
    SetBlock,    ///< target, value: its filters or null, body
    With,        ///< targets, values, body
    MacroDef,    ///< macro, body
    CallBlock,   ///< value: the call; macro, body
    FilterBlock, ///< value: the filters; body
    Scope,       ///< body, in a scope of its own
    Break,
    Continue,
  };

  Type type;
  int line = 0;
  std::string text;
  ExpressionPtr value, condition;
  std::vector<std::pair<ExpressionPtr, Body>> branches; ///< null: else
  std::vector<std::pair<Target, ExpressionPtr>> assignments;
  Target target;
  Body body, otherwise;
  Macro macro;
  bool recursive = false;
};

/// Throws Error. The tree is at most 400 deep.
Body parse(llvm::StringRef source);

} // namespace weir::jinja

#endif // WEIR_LIB_RUNTIME_TEXT_JINJA_SYNTAX_H
