//===- Value.cpp - What a template computes with ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Value.h"

#include "Characters.h"

#include <cmath>

using namespace llvm;

namespace weir::jinja {

StringRef typeName(const Value &value) {
  switch (value.kind()) {
  case Kind::Undefined:
    return "Undefined";
  case Kind::None:
    return "NoneType";
  case Kind::Bool:
    return "bool";
  case Kind::Int:
    return "int";
  case Kind::Float:
    return "float";
  case Kind::String:
    return value.string().markup ? "Markup" : "str";
  case Kind::List:
    return "list";
  case Kind::Tuple:
    return "tuple";
  case Kind::Dict:
    return "dict";
  case Kind::Range:
    return "range";
  case Kind::View:
    return value.sequence().name;
  case Kind::Generator:
    return "generator";
  case Kind::Namespace:
    return "Namespace";
  case Kind::Function:
    return "function";
  case Kind::Loop:
    return "LoopContext";
  }
  return "";
}

Value Maker::string(std::string text, bool markup) const {
  Budget::checkText(text.size());
  if (budget)
    budget->scan(text.size());
  size_t points = countCharacters(text);
  return Value(Kind::String,
               new StringObject(budget, std::move(text), points, markup));
}

Value Maker::undefined(std::string message) const {
  return Value(Kind::Undefined, new UndefinedObject(budget, std::move(message)));
}

Value Maker::sequence(Kind kind, StringRef name) const {
  return Value(kind, new SequenceObject(budget, name));
}

Value Maker::tuple(std::vector<Value> items) const {
  Value out = sequence(Kind::Tuple);
  for (Value &item : items)
    append(out, std::move(item));
  return out;
}

Value Maker::dict() const { return Value(Kind::Dict, new DictObject(budget)); }

void Maker::deepen(Object &object, const Value &item) const {
  if (!item.object())
    return;
  object.depth = std::max(object.depth, item.object()->depth + 1);
  if (object.depth > Budget::maxValueDepth)
    raise("it puts more than {0} values inside of each other",
          Budget::maxValueDepth);
}

/// Twice the size of an entry, since a vector grows by doubling.
constexpr size_t perItem = 2 * sizeof(Value);

void Maker::append(const Value &sequence, Value item) const {
  SequenceObject &object = sequence.sequence();
  deepen(object, item);
  if (budget)
    budget->step();
  object.holdMore(perItem);
  object.items.push_back(std::move(item));
}

void Maker::add(const Value &dict, Value key, Value value) const {
  DictObject &object = dict.as<DictObject>();
  deepen(object, key);
  deepen(object, value);
  if (budget)
    budget->step();
  object.holdMore(2 * perItem);
  object.entries.emplace_back(std::move(key), std::move(value));
}

void Maker::set(const Value &dict, Value key, Value value) const {
  checkHashable(key);
  DictObject &object = dict.as<DictObject>();
  if (const Value *known = find(budget, object, key)) {
    deepen(object, value);
    const_cast<Value &>(*known) = std::move(value);
    return;
  }
  add(dict, std::move(key), std::move(value));
}

void TextBuilder::grow(size_t bytes) {
  Budget::checkText(out.size() + bytes);
  if (!budget)
    return;
  budget->copy(bytes);
  // As much as a string that doubles may have.
  size_t needed = 2 * (out.size() + bytes);
  if (needed > held) {
    budget->hold(needed - held);
    held = needed;
  }
}

void TextBuilder::add(StringRef piece) {
  grow(piece.size());
  out.append(piece.data(), piece.size());
}

void TextBuilder::add(size_t count, char byte) {
  if (count > Budget::maxText)
    Budget::checkText(count);
  grow(count);
  out.append(count, byte);
}

std::string TextBuilder::take() {
  if (budget)
    budget->release(held);
  held = 0;
  return std::move(out);
}

bool isTrue(const Value &value) {
  switch (value.kind()) {
  case Kind::Undefined:
  case Kind::None:
    return false;
  case Kind::Bool:
  case Kind::Int:
    return value.asInteger() != 0;
  case Kind::Float:
    return value.asFloat() != 0;
  case Kind::String:
    return !value.text().empty();
  case Kind::List:
  case Kind::Tuple:
  case Kind::View:
    return !value.sequence().items.empty();
  case Kind::Dict:
    return !value.dict().entries.empty();
  case Kind::Range:
    return value.range().length != 0;
  default:
    return true;
  }
}

static bool equalNumbers(const Value &a, const Value &b) {
  if (a.isInteger() && b.isInteger())
    return a.asInteger() == b.asInteger();
  if (!a.isInteger() && !b.isInteger())
    return a.asFloat() == b.asFloat();
  // Exactly: an integer beyond 2^53 isn't the double nearest to it.
  double number = a.isInteger() ? b.asFloat() : a.asFloat();
  int64_t integer = a.isInteger() ? a.asInteger() : b.asInteger();
  return std::trunc(number) == number && number >= -0x1p63 &&
         number < 0x1p63 && static_cast<int64_t>(number) == integer;
}

bool equal(Budget *budget, const Value &a, const Value &b) {
  if (budget)
    budget->step();
  if (a.isNumber() && b.isNumber())
    return equalNumbers(a, b);
  if (a.kind() != b.kind())
    return false;
  switch (a.kind()) {
  case Kind::Undefined:
  case Kind::None:
    return true;
  case Kind::String:
    if (budget)
      budget->copy(std::min(a.text().size(), b.text().size()));
    return a.text() == b.text();
  case Kind::List:
  case Kind::Tuple: {
    const auto &x = a.sequence().items, &y = b.sequence().items;
    if (x.size() != y.size())
      return false;
    for (size_t i = 0; i < x.size(); ++i)
      if (!equal(budget, x[i], y[i]))
        return false;
    return true;
  }
  case Kind::Dict: {
    const DictObject &x = a.dict(), &y = b.dict();
    if (x.entries.size() != y.entries.size())
      return false;
    for (const auto &[key, value] : x.entries) {
      const Value *other = find(budget, y, key);
      if (!other || !equal(budget, value, *other))
        return false;
    }
    return true;
  }
  case Kind::Range: {
    const RangeObject &x = a.range(), &y = b.range();
    return x.length == y.length &&
           (x.length == 0 ||
            (x.start == y.start && (x.length == 1 || x.step == y.step)));
  }
  default:
    return a.object() == b.object();
  }
}

const Value *find(Budget *budget, const DictObject &dict, const Value &key) {
  if (key.isString())
    return find(budget, dict, key.text());
  for (const auto &entry : dict.entries)
    if (equal(budget, entry.first, key))
      return &entry.second;
  return nullptr;
}

const Value *find(Budget *budget, const DictObject &dict, StringRef key) {
  size_t looks = 0;
  const Value *found = nullptr;
  for (const auto &entry : dict.entries) {
    ++looks;
    if (entry.first.isString() && entry.first.text() == key) {
      found = &entry.second;
      break;
    }
  }
  if (budget)
    budget->step(looks / 4);
  return found;
}

void checkHashable(const Value &value) {
  if (value.is(Kind::List) || value.is(Kind::Dict) ||
      (value.is(Kind::View) && value.sequence().name != "dict_values"))
    raise("unhashable type: '{0}'", typeName(value));
  if (value.is(Kind::Tuple))
    for (const Value &item : value.sequence().items)
      checkHashable(item);
}

} // namespace weir::jinja
