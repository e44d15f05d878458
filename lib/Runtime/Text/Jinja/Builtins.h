//===- Builtins.h - Filters, tests, methods and functions ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_JINJA_BUILTINS_H
#define WEIR_LIB_RUNTIME_TEXT_JINJA_BUILTINS_H

#include "Value.h"

#include "llvm/ADT/ArrayRef.h"

namespace weir::jinja {

/// `subject` is what stands before the bar, or the method's object.
using Builtin = Value (*)(Machine &, const Value &subject, Arguments &);

struct NamedBuiltin {
  llvm::StringLiteral name;
  Builtin function;
};

// Each file brings a table of its own.
llvm::ArrayRef<NamedBuiltin> sequenceFilters();
llvm::ArrayRef<NamedBuiltin> selectionFilters();
llvm::ArrayRef<NamedBuiltin> textFilters();
llvm::ArrayRef<NamedBuiltin> numberFilters();
llvm::ArrayRef<NamedBuiltin> tests();
llvm::ArrayRef<NamedBuiltin> stringMethods();
llvm::ArrayRef<NamedBuiltin> containerMethods(Kind kind);

/// Null if there is none of that name.
Builtin findFilter(llvm::StringRef name);
Builtin findTest(llvm::StringRef name);
/// Names that Jinja2 has; those that are left out raise when they run.
bool isFilter(llvm::StringRef name);
bool isTest(llvm::StringRef name);

/// An attribute of a value that isn't a member of it: its methods. Sets `found`
/// if Python's type has the attribute.
Value methodOf(Machine &machine, const Value &object, llvm::StringRef name,
               bool &found);

/// `range`, `namespace` and the like.
Value globalFunction(Machine &machine, llvm::StringRef name, bool &found);

/// A call's arguments by the names of its parameters.
class Parameters {
public:
  /// Errors: an argument without parameter, or given twice; fewer than
  /// `required`.
  Parameters(llvm::StringRef function, Arguments &arguments,
             llvm::ArrayRef<llvm::StringRef> names, size_t required = 0);

  bool has(size_t index) const { return given[index]; }
  const Value &operator[](size_t index) const { return values[index]; }
  /// None counts as left out.
  bool isGiven(size_t index) const {
    return given[index] && !values[index].isNone();
  }
  int64_t integer(size_t index, int64_t otherwise) const;
  bool truth(size_t index, bool otherwise) const {
    return given[index] ? isTrue(values[index]) : otherwise;
  }
  /// Errors: not a string.
  llvm::StringRef text(size_t index, llvm::StringRef otherwise) const;

private:
  llvm::StringRef function;
  std::vector<Value> values;
  std::vector<bool> given;
};

/// Reads "a.b.0" of an item, as filters take it from `attribute=`.
class AttributePath {
public:
  AttributePath(Machine &machine, const Value &path);
  /// Undefined on the way becomes `otherwise` if it's given.
  Value operator()(Machine &machine, Value item,
                   const Value *otherwise = nullptr) const;

private:
  std::vector<Value> parts;
};

/// The lower case of a text, and anything else as it is.
Value ignoreCase(Machine &machine, const Value &value);

/// Python's sorted(items, key): `keys` has a key for each. Stable. Errors:
/// keys without an order.
Value sortedBy(Machine &machine, const Value &items, const Value &keys,
               bool reverse);

} // namespace weir::jinja

#endif // WEIR_LIB_RUNTIME_TEXT_JINJA_BUILTINS_H
