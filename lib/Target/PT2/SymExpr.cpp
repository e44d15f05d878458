//===- SymExpr.cpp - Symbolic expressions in archives ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SymExpr.h"

#include "mlir/IR/Builders.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <memory>

using namespace mlir;
using namespace weir;

namespace {

/// Nothing that tracing writes is nested deeper; deeper text stays as it is.
constexpr unsigned maxDepth = 64;

/// An expression: an integer, a positive integer symbol, or a function of
/// expressions.
struct Expr {
  enum Kind { Integer, Symbol, Function } kind;
  std::string text; ///< digits, or a name
  std::vector<Expr> arguments;

  bool operator==(const Expr &) const = default;
};

class Reader {
public:
  explicit Reader(StringRef text) : rest(text) {}

  std::optional<Expr> readArchived() { return all(archived(0)); }
  std::optional<Expr> readShort() { return all(sum(0)); }

private:
  std::optional<Expr> all(std::optional<Expr> expr) {
    rest = rest.ltrim();
    return rest.empty() ? std::move(expr) : std::nullopt;
  }
  bool eat(StringRef token) {
    rest = rest.ltrim();
    return rest.consume_front(token);
  }
  StringRef name() {
    rest = rest.ltrim();
    if (rest.empty() || !(isAlpha(rest[0]) || rest[0] == '_'))
      return {};
    StringRef result = rest.take_while(
        [](char c) { return llvm::isAlnum(c) || c == '_'; });
    rest = rest.drop_front(result.size());
    return result;
  }
  std::string integer() {
    rest = rest.ltrim();
    size_t size = rest.starts_with("-");
    while (size < rest.size() && llvm::isDigit(rest[size]))
      ++size;
    StringRef digits = rest.take_front(size);
    if (digits.empty() || digits == "-")
      return {};
    rest = rest.drop_front(size);
    return digits.str();
  }
  static bool isAlpha(char c) { return llvm::isAlpha(c); }

  std::optional<Expr> archived(unsigned depth) {
    if (depth > maxDepth)
      return std::nullopt;
    StringRef function = name();
    if (function.empty() || !eat("("))
      return std::nullopt;
    if (function == "Integer") {
      Expr expr{Expr::Integer, integer(), {}};
      return !expr.text.empty() && eat(")") ? std::optional(expr)
                                            : std::nullopt;
    }
    if (function == "Symbol") {
      if (!eat("'"))
        return std::nullopt;
      Expr expr{Expr::Symbol, name().str(), {}};
      return !expr.text.empty() && eat("', positive=True, integer=True)")
                 ? std::optional(expr)
                 : std::nullopt;
    }
    return arguments(function, depth, &Reader::archived);
  }

  /// The arguments of a function after its opening bracket.
  std::optional<Expr>
  arguments(StringRef function, unsigned depth,
            std::optional<Expr> (Reader::*read)(unsigned)) {
    Expr expr{Expr::Function, function.str(), {}};
    if (eat(")"))
      return expr;
    do {
      std::optional<Expr> argument = (this->*read)(depth + 1);
      if (!argument)
        return std::nullopt;
      expr.arguments.push_back(std::move(*argument));
    } while (eat(","));
    return eat(")") ? std::optional(std::move(expr)) : std::nullopt;
  }

  std::optional<Expr> chain(StringRef sign, StringRef function, unsigned depth,
                            std::optional<Expr> (Reader::*read)(unsigned)) {
    std::optional<Expr> first = (this->*read)(depth);
    if (!first || !eat(sign))
      return first;
    Expr expr{Expr::Function, function.str(), {std::move(*first)}};
    do {
      std::optional<Expr> next = (this->*read)(depth);
      if (!next)
        return std::nullopt;
      expr.arguments.push_back(std::move(*next));
    } while (eat(sign));
    return expr;
  }
  std::optional<Expr> sum(unsigned depth) {
    return chain("+", "Add", depth, &Reader::product);
  }
  std::optional<Expr> product(unsigned depth) {
    return chain("*", "Mul", depth, &Reader::atom);
  }
  std::optional<Expr> atom(unsigned depth) {
    if (depth > maxDepth)
      return std::nullopt;
    if (eat("(")) {
      std::optional<Expr> inner = sum(depth + 1);
      return inner && eat(")") ? inner : std::nullopt;
    }
    if (std::string digits = integer(); !digits.empty())
      return Expr{Expr::Integer, digits, {}};
    StringRef word = name();
    if (word.empty())
      return std::nullopt;
    if (!eat("("))
      return Expr{Expr::Symbol, word.str(), {}};
    return arguments(word, depth, &Reader::sum);
  }

  StringRef rest;
};

void writeArchived(llvm::raw_ostream &os, const Expr &expr) {
  switch (expr.kind) {
  case Expr::Integer:
    os << "Integer(" << expr.text << ")";
    return;
  case Expr::Symbol:
    os << "Symbol('" << expr.text << "', positive=True, integer=True)";
    return;
  case Expr::Function:
    os << expr.text << "(";
    llvm::interleaveComma(expr.arguments, os, [&](const Expr &argument) {
      writeArchived(os, argument);
    });
    os << ")";
  }
}

/// How tightly the expression's parent binds: 0 not, 1 a sum, 2 a product.
void writeShort(llvm::raw_ostream &os, const Expr &expr, unsigned parent) {
  if (expr.kind != Expr::Function) {
    os << expr.text;
    return;
  }
  // Sums and products of less than two are calls: nothing would join them.
  bool isSum = expr.text == "Add", isProduct = expr.text == "Mul";
  if ((isSum || isProduct) && expr.arguments.size() >= 2) {
    unsigned own = isSum ? 1 : 2;
    bool brackets = parent >= own;
    if (brackets)
      os << "(";
    llvm::interleave(
        expr.arguments, os,
        [&](const Expr &argument) { writeShort(os, argument, own); },
        isSum ? " + " : "*");
    if (brackets)
      os << ")";
    return;
  }
  os << expr.text << "(";
  llvm::interleaveComma(expr.arguments, os, [&](const Expr &argument) {
    writeShort(os, argument, 0);
  });
  os << ")";
}

std::string archivedText(const Expr &expr) {
  std::string text;
  llvm::raw_string_ostream os(text);
  writeArchived(os, expr);
  return text;
}

std::string shortText(const Expr &expr) {
  std::string text;
  llvm::raw_string_ostream os(text);
  writeShort(os, expr, 0);
  return text;
}

/// Reads either form.
std::optional<Expr> read(StringRef text) {
  text.consume_front("=");
  if (std::optional<Expr> expr = Reader(text).readShort())
    return expr;
  return Reader(text).readArchived();
}

} // namespace

std::string weir::pt2::shortForm(StringRef archived) {
  std::string text = archived.str();
  if (std::optional<Expr> expr = Reader(archived).readArchived())
    text = shortText(*expr);
  FailureOr<std::string> back = archivedForm(text);
  if (succeeded(back) && *back == archived)
    return text;
  // Anything else is taken literally.
  return "=" + archived.str();
}

FailureOr<std::string> weir::pt2::archivedForm(StringRef expr) {
  if (expr.consume_front("="))
    return expr.str();
  // A quote occurs only in the archive's own form.
  if (expr.contains('\''))
    return expr.str();
  std::optional<Expr> parsed = Reader(expr).readShort();
  if (!parsed)
    return failure();
  return archivedText(*parsed);
}

bool weir::pt2::isPlainSymbol(StringRef name) {
  return name.consume_front("s") && !name.empty() && name.size() <= 9 &&
         llvm::all_of(name, llvm::isDigit);
}

/// Also bounds what evaluating takes: no tower of powers, no long number.
static bool isPlain(const Expr &expr) {
  constexpr size_t maxDigits = 20, maxArguments = 64;
  switch (expr.kind) {
  case Expr::Integer:
    return expr.text.size() <= maxDigits;
  case Expr::Symbol:
    return weir::pt2::isPlainSymbol(expr.text);
  case Expr::Function:
    break;
  }
  const std::vector<Expr> &arguments = expr.arguments;
  if (arguments.size() > maxArguments || !llvm::all_of(arguments, isPlain))
    return false;
  if (expr.text == "Pow")
    return arguments.size() == 2 && arguments[0].kind == Expr::Symbol &&
           arguments[1].kind == Expr::Integer && arguments[1].text.size() == 1;
  unsigned arity = llvm::StringSwitch<unsigned>(expr.text)
                       .Cases({"Add", "Mul", "And", "Or", "Max", "Min"}, ~0u)
                       .Cases({"FloorDiv", "CleanDiv", "CeilDiv", "Mod",
                               "PythonMod"},
                              2)
                       .Cases({"Equality", "Unequality", "StrictLessThan",
                               "LessThan", "StrictGreaterThan", "GreaterThan"},
                              2)
                       .Case("ModularIndexing", 3)
                       .Case("Not", 1)
                       .Default(0);
  return arity == ~0u ? arguments.size() >= 2 : arguments.size() == arity;
}

bool weir::pt2::isPlainExpression(StringRef archived) {
  constexpr size_t maxLength = 4096;
  if (archived.size() > maxLength)
    return false;
  std::optional<Expr> expr = Reader(archived).readArchived();
  return expr && isPlain(*expr) && archivedText(*expr) == archived;
}

FailureOr<SmallVector<Attribute>>
weir::pt2::contiguousStrides(ArrayRef<Attribute> sizes, MLIRContext *context) {
  Builder builder(context);
  SmallVector<Attribute> strides(sizes.size());
  // The product of the sizes so far: a number, factors, and its hint.
  int64_t number = 1;
  std::vector<Expr> factors;
  std::optional<int64_t> hint = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (factors.empty()) {
      strides[i] = builder.getI64IntegerAttr(number);
    } else {
      std::vector<Expr> sorted = factors;
      llvm::sort(sorted, [](const Expr &a, const Expr &b) {
        return std::tuple(a.kind != Expr::Symbol, a.text, shortText(a)) <
               std::tuple(b.kind != Expr::Symbol, b.text, shortText(b));
      });
      Expr product{Expr::Function, "Mul", {}};
      if (number != 1)
        product.arguments.push_back(
            {Expr::Integer, std::to_string(number), {}});
      for (size_t j = 0; j < sorted.size();) {
        size_t next = j;
        while (next < sorted.size() && sorted[next] == sorted[j])
          ++next;
        if (next - j == 1)
          product.arguments.push_back(sorted[j]);
        else
          product.arguments.push_back(
              {Expr::Function,
               "Pow",
               {sorted[j], {Expr::Integer, std::to_string(next - j), {}}}});
        j = next;
      }
      Expr stride = product.arguments.size() == 1 ? product.arguments.front()
                                                  : product;
      strides[i] = fx::SymExprAttr::get(
          context, shortForm(archivedText(stride)),
          hint ? builder.getI64IntegerAttr(*hint) : Attribute());
    }
    auto multiply = [](int64_t a, int64_t b) -> std::optional<int64_t> {
      int64_t product;
      return llvm::MulOverflow(a, b, product) ? std::nullopt
                                              : std::optional(product);
    };
    if (auto integer = dyn_cast_if_present<IntegerAttr>(sizes[i])) {
      // An empty axis counts like one of size 1.
      int64_t size = std::max<int64_t>(integer.getInt(), 1);
      std::optional<int64_t> product = multiply(number, size);
      if (!product)
        return failure();
      number = *product;
      hint = hint ? multiply(*hint, size) : std::nullopt;
      continue;
    }
    auto symbolic = dyn_cast_if_present<fx::SymExprAttr>(sizes[i]);
    if (!symbolic)
      return failure();
    auto value = dyn_cast_if_present<IntegerAttr>(symbolic.getHint());
    hint = hint && value ? multiply(*hint, value.getInt()) : std::nullopt;
    std::optional<Expr> expr = read(symbolic.getExpr());
    if (!expr)
      return failure();
    if (expr->kind == Expr::Integer ||
        (expr->kind == Expr::Function && expr->text == "Mul" &&
         !expr->arguments.empty() &&
         expr->arguments.front().kind == Expr::Integer)) {
      const std::string &digits = expr->kind == Expr::Integer
                                      ? expr->text
                                      : expr->arguments.front().text;
      int64_t factor;
      std::optional<int64_t> product;
      if (StringRef(digits).getAsInteger(10, factor) ||
          !(product = multiply(number, factor)))
        return failure();
      number = *product;
      if (expr->kind == Expr::Function)
        factors.insert(factors.end(), expr->arguments.begin() + 1,
                       expr->arguments.end());
    } else if (expr->kind == Expr::Function && expr->text == "Mul") {
      factors.insert(factors.end(), expr->arguments.begin(),
                     expr->arguments.end());
    } else {
      factors.push_back(std::move(*expr));
    }
  }
  return strides;
}
