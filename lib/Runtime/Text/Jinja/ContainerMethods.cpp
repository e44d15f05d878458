//===- ContainerMethods.cpp - Methods of dicts, lists and ranges ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Machine.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace weir::jinja {
namespace {

Value get(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("get", arguments, {"", ""}, 1);
  checkHashable(p[0]);
  if (const Value *value = find(&machine.budget, self.dict(), p[0]))
    return *value;
  return p.has(1) ? p[1] : Value();
}

enum Part { Keys, Values, Items };

template <Part P>
Value view(Machine &machine, const Value &self, Arguments &arguments) {
  StringRef name = P == Keys     ? "dict_keys"
                   : P == Values ? "dict_values"
                                 : "dict_items";
  Parameters none(name, arguments, {});
  Value out = machine.make.sequence(Kind::View, name);
  for (const auto &[key, value] : self.dict().entries)
    machine.make.append(out, P == Keys     ? key
                             : P == Values ? value
                                           : machine.make.tuple({key, value}));
  return out;
}

/// Values don't change, so the same one is as good.
Value copy(Machine &, const Value &self, Arguments &arguments) {
  Parameters none("copy", arguments, {});
  return self;
}

Value count(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("count", arguments, {""}, 1);
  Value list = machine.listOf(self);
  int64_t found = 0;
  for (const Value &item : list.sequence().items)
    found += machine.equals(item, p[0]);
  return Value::integerOf(found);
}

Value index(Machine &machine, const Value &self, Arguments &arguments) {
  Parameters p("index", arguments, {"", "", ""}, 1);
  Value list = machine.listOf(self);
  const std::vector<Value> &items = list.sequence().items;
  int64_t length = items.size();
  auto bound = [&](size_t which, int64_t otherwise) {
    int64_t at = p.integer(which, otherwise);
    return at < 0 ? (at < -length ? 0 : at + length) : std::min(at, length);
  };
  for (int64_t i = bound(1, 0), end = bound(2, length); i < end; ++i)
    if (machine.equals(items[i], p[0]))
      return Value::integerOf(i);
  raise("{0} is not in list", machine.repr(p[0]));
}

constexpr NamedBuiltin dictMethods[] = {
    {"get", get},          {"keys", view<Keys>}, {"values", view<Values>},
    {"items", view<Items>}, {"copy", copy},
};
constexpr NamedBuiltin listMethods[] = {
    {"count", count}, {"index", index}, {"copy", copy}};
constexpr NamedBuiltin otherMethods[] = {{"count", count}, {"index", index}};

} // namespace

ArrayRef<NamedBuiltin> containerMethods(Kind kind) {
  switch (kind) {
  case Kind::Dict:
    return dictMethods;
  case Kind::List:
    return listMethods;
  case Kind::Tuple:
  case Kind::Range:
    return otherMethods;
  default:
    return {};
  }
}

} // namespace weir::jinja
