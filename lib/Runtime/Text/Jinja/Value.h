//===- Value.h - What a template computes with ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_JINJA_VALUE_H
#define WEIR_LIB_RUNTIME_TEXT_JINJA_VALUE_H

#include "Budget.h"

#include "llvm/ADT/IntrusiveRefCntPtr.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir::jinja {

/// Python's types as far as templates meet them. View: what dict.items() and
/// its like give. Generator: what lazy filters give; it's walked once, and has
/// neither a length nor a text.
enum class Kind : uint8_t {
  Undefined,
  None,
  Bool,
  Int,
  Float,
  String,
  List,
  Tuple,
  Dict,
  Range,
  View,
  Generator,
  Namespace,
  Function, ///< whatever can be called; see Callable
  Loop,
};

/// On the heap, counted by hand: values of one rendering stay in one thread.
/// What it holds is charged to the budget while it lives.
class Object {
public:
  Object(Budget *budget, size_t bytes) : budget(budget), held(bytes) {
    if (budget)
      budget->hold(bytes);
  }
  virtual ~Object() {
    if (budget)
      budget->release(held);
  }
  Object(const Object &) = delete;
  Object &operator=(const Object &) = delete;

  void Retain() { ++references; }
  void Release() {
    if (--references == 0)
      delete this;
  }

  void holdMore(size_t bytes) {
    if (!budget)
      return;
    budget->hold(bytes);
    held += bytes;
  }

  /// How many objects are inside of each other, below this one.
  unsigned depth = 0;

private:
  Budget *budget;
  size_t held;
  unsigned references = 0;
};

class Value;
struct StringObject;
struct SequenceObject;
struct DictObject;
struct RangeObject;

class Value {
public:
  Value() : kind_(Kind::None), integer(0) {}
  static Value none() { return {}; }
  static Value boolean(bool value) { return Value(Kind::Bool, int64_t(value)); }
  static Value integerOf(int64_t value) { return Value(Kind::Int, value); }
  static Value floating(double value) {
    Value out(Kind::Float, int64_t(0));
    out.number = value;
    return out;
  }
  Value(Kind kind, Object *object) : kind_(kind), integer(0), object_(object) {}

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool isUndefined() const { return kind_ == Kind::Undefined; }
  bool isNone() const { return kind_ == Kind::None; }
  bool isString() const { return kind_ == Kind::String; }
  /// In Python a truth value is an integer.
  bool isInteger() const { return kind_ == Kind::Int || kind_ == Kind::Bool; }
  bool isNumber() const { return isInteger() || kind_ == Kind::Float; }
  bool isSequence() const {
    return kind_ == Kind::List || kind_ == Kind::Tuple;
  }

  int64_t asInteger() const { return integer; }
  bool asBool() const { return integer != 0; }
  double asFloat() const {
    return kind_ == Kind::Float ? number : static_cast<double>(integer);
  }
  inline llvm::StringRef text() const;
  inline const StringObject &string() const;
  /// Of a list, tuple, view or generator.
  inline SequenceObject &sequence() const;
  inline DictObject &dict() const;
  inline const RangeObject &range() const;
  Object *object() const { return object_.get(); }
  template <typename T> T &as() const {
    return static_cast<T &>(*object_);
  }

private:
  Value(Kind kind, int64_t integer) : kind_(kind), integer(integer) {}

  Kind kind_;
  union {
    int64_t integer;
    double number;
  };
  llvm::IntrusiveRefCntPtr<Object> object_;
};

struct StringObject final : Object {
  StringObject(Budget *budget, std::string text, size_t points, bool markup)
      : Object(budget, sizeof(StringObject) + text.capacity()),
        text(std::move(text)), points(points), markup(markup) {}
  std::string text; ///< UTF-8
  size_t points;    ///< its length in characters
  bool markup;      ///< marked as safe HTML
  bool isAscii() const { return points == text.size(); }
};

struct SequenceObject final : Object {
  explicit SequenceObject(Budget *budget, llvm::StringRef name = "")
      : Object(budget, sizeof(SequenceObject)), name(name) {}
  std::vector<Value> items;
  llvm::StringRef name; ///< of a view's type; of groupby's tuples
  size_t used = 0;      ///< of a generator
};

struct DictObject final : Object {
  explicit DictObject(Budget *budget) : Object(budget, sizeof(DictObject)) {}
  std::vector<std::pair<Value, Value>> entries;
};

struct RangeObject final : Object {
  RangeObject(Budget *budget, int64_t start, int64_t stop, int64_t step,
              int64_t length)
      : Object(budget, sizeof(RangeObject)), start(start), stop(stop),
        step(step), length(length) {}
  int64_t start, stop, step, length;
  /// Wraps round beyond the range's ends.
  int64_t at(int64_t index) const {
    return static_cast<int64_t>(static_cast<uint64_t>(start) +
                                static_cast<uint64_t>(index) *
                                    static_cast<uint64_t>(step));
  }
};

/// Why a value isn't there, told when it is used.
struct UndefinedObject final : Object {
  UndefinedObject(Budget *budget, std::string message)
      : Object(budget, sizeof(UndefinedObject) + message.capacity()),
        message(std::move(message)) {}
  std::string message;
};

/// Positional and named arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

class Machine;

struct Callable : Object {
  Callable(Budget *budget, size_t bytes, std::string name)
      : Object(budget, bytes + name.capacity()), name(std::move(name)) {}
  virtual Value call(Machine &machine, Arguments &arguments) = 0;
  virtual Value attribute(Machine &, llvm::StringRef, bool &found) {
    found = false;
    return {};
  }
  std::string name;
};

llvm::StringRef Value::text() const { return string().text; }
const StringObject &Value::string() const {
  return static_cast<StringObject &>(*object_);
}
SequenceObject &Value::sequence() const {
  return static_cast<SequenceObject &>(*object_);
}
DictObject &Value::dict() const { return static_cast<DictObject &>(*object_); }
const RangeObject &Value::range() const {
  return static_cast<RangeObject &>(*object_);
}

/// The name of Python's type, as its messages give it.
llvm::StringRef typeName(const Value &value);

/// Makes values that a budget pays for; with none, those of a parsed template.
class Maker {
public:
  explicit Maker(Budget *budget) : budget(budget) {}

  Value string(std::string text, bool markup = false) const;
  Value undefined(std::string message) const;
  Value sequence(Kind kind, llvm::StringRef name = "") const;
  Value list() const { return sequence(Kind::List); }
  Value tuple(std::vector<Value> items) const;
  Value dict() const;

  /// Adds to a sequence that nobody else sees yet.
  void append(const Value &sequence, Value item) const;
  /// Sets a key of a dict; an equal key keeps its place. Errors: a key that
  /// has no hash.
  void set(const Value &dict, Value key, Value value) const;
  /// A new last key, known to be new.
  void add(const Value &dict, Value key, Value value) const;

  Budget *budget;

private:
  void deepen(Object &object, const Value &item) const;
};

/// A text that grows and is paid for while it does.
class TextBuilder {
public:
  explicit TextBuilder(Budget *budget) : budget(budget) {}
  ~TextBuilder() {
    if (budget)
      budget->release(held);
  }
  TextBuilder(const TextBuilder &) = delete;
  TextBuilder &operator=(const TextBuilder &) = delete;

  void add(llvm::StringRef piece);
  void add(size_t count, char byte);
  llvm::StringRef text() const { return out; }
  size_t size() const { return out.size(); }
  std::string take();

private:
  void grow(size_t bytes);
  Budget *budget;
  size_t held = 0;
  std::string out;
};

/// Python's ==, bool() and lookup in a dict. Budget: each look is a step.
bool equal(Budget *budget, const Value &a, const Value &b);
bool isTrue(const Value &value);
const Value *find(Budget *budget, const DictObject &dict, const Value &key);
const Value *find(Budget *budget, const DictObject &dict, llvm::StringRef key);
/// Errors: a value that can't be a key, such as a list.
void checkHashable(const Value &value);

} // namespace weir::jinja

#endif // WEIR_LIB_RUNTIME_TEXT_JINJA_VALUE_H
