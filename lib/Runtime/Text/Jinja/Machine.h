//===- Machine.h - Runs a template ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_JINJA_MACHINE_H
#define WEIR_LIB_RUNTIME_TEXT_JINJA_MACHINE_H

#include "Builtins.h"
#include "Syntax.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"

#include <functional>

namespace weir::jinja {

/// Names of a block, and those around it.
struct Scope final : Object {
  explicit Scope(Budget *budget, Scope *parent)
      : Object(budget, sizeof(Scope)), parent(parent) {}
  std::vector<std::pair<llvm::StringRef, Value>> names;
  llvm::IntrusiveRefCntPtr<Scope> parent;
  /// A macro may come back to it; the machine frees it at the end, so that no
  /// chain or ring of scopes is freed by recursion or not at all.
  bool kept = false;
};
using ScopePtr = llvm::IntrusiveRefCntPtr<Scope>;

struct NamespaceObject final : Object {
  NamespaceObject(Budget *budget, Value attributes)
      : Object(budget, sizeof(NamespaceObject)),
        attributes(std::move(attributes)) {}
  Value attributes; ///< a dict
};

/// The variable `loop`.
struct LoopObject final : Object {
  explicit LoopObject(Budget *budget) : Object(budget, sizeof(LoopObject)) {}

  /// Moves to the next item; false at the end.
  bool advance();
  const std::optional<Value> &peek();
  int64_t length();

  /// The next item that the loop's condition lets through.
  std::function<std::optional<Value>()> pull;
  std::optional<int64_t> knownLength;
  std::vector<Value> queue; ///< pulled to know the length, the last first
  std::optional<Value> before, current, after;
  bool peeked = false;
  int64_t index0 = -1;
  int64_t depth0 = 0;
  std::optional<Value> changed;
  const Statement *recursive = nullptr;
  ScopePtr scope; ///< around the loop, if it is recursive
  /// Called at the loop's end: it may be in a namespace, and hold itself.
  void finish();
};

/// One rendering. Everything that it makes lives in it.
class Machine {
public:
  Machine(Budget &budget, const llvm::StringMap<Value> &context)
      : budget(budget), make(&budget), context(context) {}
  ~Machine();

  std::string render(const Body &body);

  Budget &budget;
  Maker make;

  // What builtins need.
  Value text(std::string text, bool markup = false) {
    return make.string(std::move(text), markup);
  }
  /// Python's str(value) and repr(value). Errors: what prints an address there.
  std::string str(const Value &value);
  std::string repr(const Value &value);
  /// list(value), or `value` itself if it's one already. Errors: not iterable.
  Value listOf(const Value &value);
  Value call(const Value &function, Arguments arguments);
  Value filter(llvm::StringRef name, const Value &subject, Arguments arguments);
  bool test(llvm::StringRef name, const Value &subject, Arguments arguments);
  /// object.name and object[index]; undefined where there is none.
  Value attribute(const Value &object, llvm::StringRef name);
  Value item(const Value &object, const Value &index);
  Value slice(const Value &object, const Value &start, const Value &stop,
              const Value &step);
  bool equals(const Value &a, const Value &b) { return equal(&budget, a, b); }
  Value newNamespace(Value attributes);
  Value callMacro(const Macro &macro, Scope *definition, Arguments &arguments);
  std::string runLoop(LoopObject &loop, const Value &iterable);
  /// Ends the rendering if the value is undefined.
  static void checkDefined(const Value &value);

private:
  class Depth {
  public:
    explicit Depth(Machine &machine) : machine(machine) {
      if (++machine.depth > Budget::maxDepth)
        raise("it calls itself too often");
    }
    ~Depth() { --machine.depth; }

  private:
    Machine &machine;
  };

  enum class Flow { Next, Break, Continue };

  ScopePtr inner(Scope *parent) {
    return ScopePtr(new Scope(&budget, parent));
  }
  void keep(Scope *scope);
  void set(Scope &scope, llvm::StringRef name, Value value);
  Value lookUp(Scope &scope, llvm::StringRef name);
  void assign(Scope &scope, const Target &target, const Value &value);

  Flow run(const Body &body, Scope &scope);
  Flow run(const Statement &statement, Scope &scope);
  Flow runIf(const Statement &statement, Scope &scope);
  void runFor(const Statement &statement, Scope &scope, const Value &iterable,
              int64_t depth0);
  void runWith(const Statement &statement, Scope &scope);
  void runCallBlock(const Statement &statement, Scope &scope);
  std::string capture(llvm::function_ref<void()> body);

  Value evaluate(const Expression &node, Scope &scope);
  Value evaluateCompare(const Expression &node, Scope &scope);
  Value evaluateItem(const Expression &node, Scope &scope);
  Arguments evaluateArguments(const CallArguments &arguments, Scope &scope);
  Value evaluateFilters(const Expression &node, Scope &scope,
                        const Value *input);
  void output(const Value &value);

  const llvm::StringMap<Value> &context;
  TextBuilder *out = nullptr;
  unsigned depth = 0;
  int line = 0;
  std::vector<ScopePtr> scopes;
  std::vector<llvm::IntrusiveRefCntPtr<NamespaceObject>> namespaces;

  friend struct MacroObject;
};

// Operators.cpp
Value binary(Machine &machine, llvm::StringRef op, const Value &a,
             const Value &b);
Value negative(const Value &value, bool minus);
/// Python's a < b. Errors: types that have no order.
bool less(Machine &machine, const Value &a, const Value &b);
bool contains(Machine &machine, const Value &container, const Value &item);

// TextFilters.cpp
/// The text of a value with what HTML would read replaced; of a text that is
/// marked as safe, itself.
std::string escaped(Machine &machine, const Value &value);

// Printing.cpp
void print(TextBuilder &out, Machine &machine, const Value &value,
           bool quoted);
std::string floatText(double value);
struct JSONStyle {
  bool ascii = false, sorted = false;
  std::optional<std::string> indent;
  std::string itemSeparator = ", ", keySeparator = ": ";
};
std::string json(Machine &machine, const Value &value, const JSONStyle &style);

// Formatting.cpp
/// "%s" % values: a tuple, a dict, or one value.
std::string percentFormat(Machine &machine, llvm::StringRef format,
                          const Value &values);
/// str.format.
std::string braceFormat(Machine &machine, llvm::StringRef format,
                        const Arguments &arguments);

} // namespace weir::jinja

#endif // WEIR_LIB_RUNTIME_TEXT_JINJA_MACHINE_H
