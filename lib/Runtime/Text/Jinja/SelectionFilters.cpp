//===- SelectionFilters.cpp - map, select and their like ---===//
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

std::optional<Value> takeNamed(Arguments &arguments, StringRef name) {
  for (auto it = arguments.named.begin(); it != arguments.named.end(); ++it)
    if (it->first == name) {
      Value value = std::move(it->second);
      arguments.named.erase(it);
      return value;
    }
  return std::nullopt;
}

/// The first positional argument, which is the name of a filter or a test.
std::string takeName(Machine &machine, Arguments &arguments) {
  if (!arguments.positional.front().isString())
    raise("the name of a filter or test is a str, not {0}",
          typeName(arguments.positional.front()));
  std::string name = machine.str(arguments.positional.front());
  arguments.positional.erase(arguments.positional.begin());
  return name;
}

Value map(Machine &machine, const Value &subject, Arguments &arguments) {
  Value out = machine.make.sequence(Kind::Generator);
  if (!isTrue(subject))
    return out;
  Value items = machine.listOf(subject);
  if (arguments.positional.empty()) {
    std::optional<Value> attribute = takeNamed(arguments, "attribute");
    if (!attribute)
      raise("map requires a filter argument");
    std::optional<Value> otherwise = takeNamed(arguments, "default");
    if (!arguments.named.empty())
      raise("Unexpected keyword argument '{0}'", arguments.named.front().first);
    AttributePath path(machine, *attribute);
    bool hasDefault = otherwise && !otherwise->isNone();
    for (const Value &item : items.sequence().items)
      machine.make.append(
          out, path(machine, item, hasDefault ? &*otherwise : nullptr));
    return out;
  }
  std::string name = takeName(machine, arguments);
  for (const Value &item : items.sequence().items)
    machine.make.append(out, machine.filter(name, item, arguments));
  return out;
}

template <bool Keep, bool OfAttribute>
Value select(Machine &machine, const Value &subject, Arguments &arguments) {
  Value out = machine.make.sequence(Kind::Generator);
  if (!isTrue(subject))
    return out;
  Value items = machine.listOf(subject);
  Value attribute;
  if (OfAttribute) {
    if (arguments.positional.empty())
      raise("Missing parameter for attribute name");
    attribute = arguments.positional.front();
    arguments.positional.erase(arguments.positional.begin());
  }
  AttributePath path(machine, attribute);
  // Without a test it is the value's own truth.
  bool hasTest = !arguments.positional.empty();
  std::string name = hasTest ? takeName(machine, arguments) : "";
  for (const Value &item : items.sequence().items) {
    Value value = path(machine, item);
    bool holds =
        hasTest ? machine.test(name, value, arguments) : isTrue(value);
    if (holds == Keep)
      machine.make.append(out, item);
  }
  return out;
}

constexpr NamedBuiltin table[] = {
    {"map", map},
    {"select", select<true, false>},
    {"reject", select<false, false>},
    {"selectattr", select<true, true>},
    {"rejectattr", select<false, true>},
};

} // namespace

ArrayRef<NamedBuiltin> selectionFilters() { return table; }

} // namespace weir::jinja
