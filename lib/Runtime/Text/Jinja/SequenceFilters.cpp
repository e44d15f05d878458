//===- SequenceFilters.cpp - Filters of lists and dicts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Characters.h"
#include "Machine.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace weir::jinja {

Value ignoreCase(Machine &machine, const Value &value) {
  if (!value.isString())
    return value;
  machine.budget.scan(value.text().size());
  return machine.text(toLower(value.text()));
}

Value sortedBy(Machine &machine, const Value &items, const Value &keys,
               bool reverse) {
  ArrayRef<Value> key = keys.sequence().items;
  std::vector<uint32_t> order(key.size()), merged(key.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  // Reversed, equal ones keep their order too.
  auto before = [&](uint32_t a, uint32_t b) {
    return reverse ? less(machine, key[b], key[a])
                   : less(machine, key[a], key[b]);
  };
  // Merging stays within its bounds whatever the answers are (NaN has no
  // order), which the standard's sorts do not promise.
  for (size_t width = 1; width < order.size(); width *= 2) {
    for (size_t begin = 0; begin < order.size(); begin += 2 * width) {
      size_t middle = std::min(begin + width, order.size());
      size_t end = std::min(begin + 2 * width, order.size());
      for (size_t left = begin, right = middle, to = begin; to < end; ++to) {
        bool takeRight =
            left == middle ||
            (right < end && before(order[right], order[left]));
        merged[to] = order[takeRight ? right++ : left++];
      }
    }
    order.swap(merged);
  }
  Value out = machine.make.list();
  for (uint32_t index : order)
    machine.make.append(out, items.sequence().items[index]);
  return out;
}

namespace {

Value length(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("length", arguments, {});
  switch (subject.kind()) {
  case Kind::Undefined:
    return Value::integerOf(0);
  case Kind::String:
    return Value::integerOf(subject.string().points);
  case Kind::List:
  case Kind::Tuple:
  case Kind::View:
    return Value::integerOf(subject.sequence().items.size());
  case Kind::Dict:
    return Value::integerOf(subject.dict().entries.size());
  case Kind::Range:
    return Value::integerOf(subject.range().length);
  case Kind::Loop:
    return Value::integerOf(subject.as<LoopObject>().length());
  default:
    raise("object of type '{0}' has no len()", typeName(subject));
  }
}

/// Walking through a text marked as safe gives characters without the mark.
Value plain(Machine &machine, const Value &text) {
  return text.string().markup ? machine.text(text.text().str()) : text;
}

Value first(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("first", arguments, {});
  if (subject.is(Kind::Generator)) {
    SequenceObject &object = subject.sequence();
    if (object.used < object.items.size())
      return object.items[object.used++];
    return machine.make.undefined("No first item, sequence was empty.");
  }
  if (subject.isString() && !subject.text().empty())
    return machine.item(plain(machine, subject), Value::integerOf(0));
  Value list = machine.listOf(subject);
  if (list.sequence().items.empty())
    return machine.make.undefined("No first item, sequence was empty.");
  return list.sequence().items.front();
}

Value last(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("last", arguments, {});
  if (subject.is(Kind::Generator))
    raise("'generator' object is not reversible");
  if (subject.isString() && !subject.text().empty())
    return machine.item(plain(machine, subject), Value::integerOf(-1));
  Value list = machine.listOf(subject);
  if (list.sequence().items.empty())
    return machine.make.undefined("No last item, sequence was empty.");
  return list.sequence().items.back();
}

Value list(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("list", arguments, {});
  if (subject.is(Kind::List))
    return subject;
  Value items = machine.listOf(subject);
  Value out = machine.make.list();
  for (const Value &item : items.sequence().items)
    machine.make.append(out, item);
  return out;
}

Value items(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("items", arguments, {});
  Value out = machine.make.sequence(Kind::Generator);
  if (subject.isUndefined())
    return out;
  if (!subject.is(Kind::Dict))
    raise("Can only get item pairs from a mapping.");
  for (const auto &[key, value] : subject.dict().entries)
    machine.make.append(out, machine.make.tuple({key, value}));
  return out;
}

Value reverse(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters none("reverse", arguments, {});
  if (subject.isString())
    return machine.slice(subject, Value(), Value(), Value::integerOf(-1));
  // A list for what cannot be walked backwards, an iterator for the rest.
  Value from = machine.listOf(subject);
  Value out = machine.make.sequence(
      subject.is(Kind::Generator) ? Kind::List : Kind::Generator);
  for (const Value &item : llvm::reverse(from.sequence().items))
    machine.make.append(out, item);
  return out;
}

Value join(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("join", arguments, {"d", "attribute"});
  std::string separator = p.has(0) ? machine.str(p[0]) : "";
  AttributePath path(machine, p.isGiven(1) ? p[1] : Value());
  Value list = machine.listOf(subject);
  TextBuilder out(&machine.budget);
  for (auto [i, item] : enumerate(list.sequence().items)) {
    if (i)
      out.add(separator);
    print(out, machine, path(machine, item), false);
  }
  return machine.text(out.take());
}

Value defaultValue(Machine &machine, const Value &subject,
                   Arguments &arguments) {
  Parameters p("default", arguments, {"default_value", "boolean"});
  if (subject.isUndefined() || (p.truth(1, false) && !isTrue(subject)))
    return p.has(0) ? p[0] : machine.text("");
  return subject;
}

Value dictsort(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  StringRef by = p.text(1, "key");
  if (by != "key" && by != "value")
    raise("You can only sort by either \"key\" or \"value\"");
  Machine::checkDefined(subject);
  if (!subject.is(Kind::Dict))
    raise("'{0}' object has no attribute 'items'", typeName(subject));
  Value pairs = machine.make.list(), keys = machine.make.list();
  for (const auto &[key, value] : subject.dict().entries) {
    machine.make.append(pairs, machine.make.tuple({key, value}));
    const Value &chosen = by == "key" ? key : value;
    machine.make.append(keys, p.truth(0, false) ? chosen
                                                : ignoreCase(machine, chosen));
  }
  return sortedBy(machine, pairs, keys, p.integer(2, 0) != 0);
}

Value sort(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<AttributePath> paths;
  if (p.isGiven(2) && p[2].isString()) {
    SmallVector<StringRef> names;
    p[2].text().split(names, ',');
    for (StringRef name : names)
      paths.emplace_back(machine, machine.text(name.str()));
  } else {
    paths.emplace_back(machine, p.isGiven(2) ? p[2] : Value());
  }
  bool exact = p.truth(1, false);
  Value items = machine.listOf(subject), keys = machine.make.list();
  for (const Value &item : items.sequence().items) {
    Value key = machine.make.list();
    for (const AttributePath &path : paths) {
      Value part = path(machine, item);
      machine.make.append(key, exact ? part : ignoreCase(machine, part));
    }
    machine.make.append(keys, key);
  }
  return sortedBy(machine, items, keys, p.integer(0, 0) != 0);
}

/// The key by which items are compared: their attribute, without case.
template <typename Body>
void forEachKey(Machine &machine, const Value &items, const Value &attribute,
                bool exact, const Value *otherwise, Body body) {
  AttributePath path(machine, attribute);
  for (const Value &item : items.sequence().items) {
    Value key = path(machine, item, otherwise);
    body(item, exact ? key : ignoreCase(machine, key));
  }
}

Value unique(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("unique", arguments, {"case_sensitive", "attribute"});
  Value items = machine.listOf(subject), seen = machine.make.dict();
  Value out = machine.make.sequence(Kind::Generator);
  forEachKey(machine, items, p.isGiven(1) ? p[1] : Value(), p.truth(0, false),
             nullptr, [&](const Value &item, const Value &key) {
               checkHashable(key);
               if (find(&machine.budget, seen.dict(), key))
                 return;
               machine.make.add(seen, key, Value());
               machine.make.append(out, item);
             });
  return out;
}

template <bool Max>
Value extreme(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p(Max ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  Value items = machine.listOf(subject);
  std::optional<std::pair<Value, Value>> best;
  forEachKey(machine, items, p.isGiven(1) ? p[1] : Value(), p.truth(0, false),
             nullptr, [&](const Value &item, const Value &key) {
               if (!best || (Max ? less(machine, best->second, key)
                                 : less(machine, key, best->second)))
                 best.emplace(item, key);
             });
  if (!best)
    return machine.make.undefined("No aggregated item, sequence was empty.");
  return best->first;
}

Value groupby(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("groupby", arguments, {"attribute", "default", "case_sensitive"},
               1);
  bool exact = p.truth(2, false);
  const Value *otherwise = p.isGiven(1) ? &p[1] : nullptr;
  Value items = machine.listOf(subject), keys = machine.make.list(),
        pairs = machine.make.list();
  forEachKey(machine, items, p[0], exact, otherwise,
             [&](const Value &item, const Value &key) {
               machine.make.append(keys, key);
               machine.make.append(pairs, machine.make.tuple({key, item}));
             });
  Value sorted = sortedBy(machine, pairs, keys, false);
  AttributePath path(machine, p[0]);
  Value out = machine.make.list(), group;
  std::optional<Value> last;
  auto finish = [&] {
    if (!last)
      return;
    Value pair = machine.make.sequence(Kind::Tuple, "group");
    machine.make.append(
        pair, exact ? *last
                    : path(machine, group.sequence().items[0], otherwise));
    machine.make.append(pair, group);
    machine.make.append(out, pair);
  };
  for (const Value &pair : sorted.sequence().items) {
    const Value &key = pair.sequence().items[0];
    if (!last || !machine.equals(*last, key)) {
      finish();
      last = key;
      group = machine.make.list();
    }
    machine.make.append(group, pair.sequence().items[1]);
  }
  finish();
  return out;
}

Value batch(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("batch", arguments, {"linecount", "fill_with"}, 1);
  Value items = machine.listOf(subject);
  Value out = machine.make.sequence(Kind::Generator), row = machine.make.list();
  // Python compares the row's length with whatever it is given.
  int64_t count = p.integer(0, 0);
  for (const Value &item : items.sequence().items) {
    if (static_cast<int64_t>(row.sequence().items.size()) == count) {
      machine.make.append(out, row);
      row = machine.make.list();
    }
    machine.make.append(row, item);
  }
  if (row.sequence().items.empty())
    return out;
  while (p.isGiven(1) &&
         static_cast<int64_t>(row.sequence().items.size()) < count)
    machine.make.append(row, p[1]);
  machine.make.append(out, row);
  return out;
}

Value slices(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("slice", arguments, {"slices", "fill_with"}, 1);
  Value items = machine.listOf(subject);
  int64_t count = p.integer(0, 0), length = items.sequence().items.size();
  if (count == 0)
    raise("integer division or modulo by zero");
  Value out = machine.make.sequence(Kind::Generator);
  int64_t each = length / std::max<int64_t>(count, 1),
          more = length % std::max<int64_t>(count, 1), at = 0;
  for (int64_t i = 0; i < count; ++i) {
    Value row = machine.make.list();
    for (int64_t j = 0; j < each + (i < more); ++j)
      machine.make.append(row, items.sequence().items[at++]);
    if (p.isGiven(1) && i >= more)
      machine.make.append(row, p[1]);
    machine.make.append(out, row);
  }
  return out;
}

Value attr(Machine &machine, const Value &subject, Arguments &arguments) {
  Parameters p("attr", arguments, {"name"}, 1);
  Machine::checkDefined(subject);
  bool found = false;
  Value value = methodOf(machine, subject, p.text(0, ""), found);
  return found ? value
               : machine.make.undefined("'" + typeName(subject).str() +
                                        " object' has no attribute '" +
                                        p.text(0, "").str() + "'");
}

constexpr NamedBuiltin table[] = {
    {"length", length},     {"count", length},
    {"first", first},       {"last", last},
    {"list", list},         {"items", items},
    {"reverse", reverse},   {"join", join},
    {"default", defaultValue}, {"d", defaultValue},
    {"dictsort", dictsort}, {"sort", sort},
    {"unique", unique},     {"min", extreme<false>},
    {"max", extreme<true>}, {"groupby", groupby},
    {"batch", batch},       {"slice", slices},
    {"attr", attr},
};

} // namespace

ArrayRef<NamedBuiltin> sequenceFilters() { return table; }

} // namespace weir::jinja
