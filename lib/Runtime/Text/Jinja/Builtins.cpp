//===- Builtins.cpp - Looks up filters, tests, attributes and functions ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Builtins.h"

#include "Machine.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <ctime>
#include <sys/time.h>

using namespace llvm;

namespace weir::jinja {

namespace {

Builtin lookIn(ArrayRef<NamedBuiltin> table, StringRef name) {
  for (const NamedBuiltin &entry : table)
    if (entry.name == name)
      return entry.function;
  return nullptr;
}

/// A method with its object, or a function without one.
struct BoundBuiltin final : Callable {
  BoundBuiltin(Budget *budget, StringRef name, Builtin function, Value subject)
      : Callable(budget, sizeof(BoundBuiltin), name.str()), function(function),
        subject(std::move(subject)) {
    if (this->subject.object())
      depth = this->subject.object()->depth + 1;
    if (depth > Budget::maxValueDepth)
      raise("it puts more than {0} values inside of each other",
            Budget::maxValueDepth);
  }
  Value call(Machine &machine, Arguments &arguments) override {
    return function(machine, subject, arguments);
  }
  Builtin function;
  Value subject;
};

Value bind(Machine &machine, StringRef name, Builtin function, Value subject) {
  return Value(Kind::Function, new BoundBuiltin(&machine.budget, name, function,
                                                std::move(subject)));
}

/// Attributes that Python has and that are left out: to go on with nothing
/// would render something else.
bool isLeftOut(Kind kind, StringRef name) {
  switch (kind) {
  case Kind::Bool:
  case Kind::Int:
  case Kind::Float:
    return StringSwitch<bool>(name)
        .Cases({"real", "imag", "numerator", "denominator", "conjugate"}, true)
        .Cases({"bit_length", "bit_count", "to_bytes", "from_bytes"}, true)
        .Cases({"as_integer_ratio", "is_integer", "hex", "fromhex"}, true)
        .Default(false);
  case Kind::String:
    return StringSwitch<bool>(name)
        .Cases({"encode", "maketrans", "translate", "expandtabs"}, true)
        .Default(false);
  case Kind::Dict:
    return name == "fromkeys";
  case Kind::View:
    return name == "mapping" || name == "isdisjoint";
  case Kind::Generator:
    return StringSwitch<bool>(name)
        .Cases({"send", "throw", "close", "gi_running", "gi_yieldfrom"}, true)
        .Default(false);
  default:
    return false;
  }
}

bool isMutator(Kind kind, StringRef name) {
  if (kind == Kind::List)
    return StringSwitch<bool>(name)
        .Cases({"append", "clear", "pop", "reverse", "insert", "sort", "extend",
               "remove"}, true)
        .Default(false);
  return kind == Kind::Dict &&
         StringSwitch<bool>(name)
             .Cases({"clear", "pop", "popitem", "setdefault", "update"}, true)
             .Default(false);
}

Value loopCycle(Machine &, const Value &self, Arguments &arguments) {
  if (arguments.positional.empty() || !arguments.named.empty())
    raise("no items for cycling given");
  int64_t index = self.as<LoopObject>().index0;
  return arguments.positional[index % arguments.positional.size()];
}

Value loopChanged(Machine &machine, const Value &self, Arguments &arguments) {
  LoopObject &loop = self.as<LoopObject>();
  Value now = machine.make.tuple(arguments.positional);
  if (loop.changed && machine.equals(*loop.changed, now))
    return Value::boolean(false);
  loop.changed = now;
  return Value::boolean(true);
}

Value loopAttribute(Machine &machine, const Value &self, StringRef name,
                    bool &found) {
  LoopObject &loop = self.as<LoopObject>();
  found = true;
  if (name == "index")
    return Value::integerOf(loop.index0 + 1);
  if (name == "index0")
    return Value::integerOf(loop.index0);
  if (name == "first")
    return Value::boolean(loop.index0 == 0);
  if (name == "last")
    return Value::boolean(!loop.peek());
  if (name == "length")
    return Value::integerOf(loop.length());
  if (name == "revindex")
    return Value::integerOf(loop.length() - loop.index0);
  if (name == "revindex0")
    return Value::integerOf(loop.length() - loop.index0 - 1);
  if (name == "depth")
    return Value::integerOf(loop.depth0 + 1);
  if (name == "depth0")
    return Value::integerOf(loop.depth0);
  if (name == "previtem")
    return loop.index0 > 0 && loop.before
               ? *loop.before
               : machine.make.undefined("there is no previous item");
  if (name == "nextitem") {
    const std::optional<Value> &next = loop.peek();
    return next ? *next : machine.make.undefined("there is no next item");
  }
  if (name == "cycle")
    return bind(machine, name, loopCycle, self);
  if (name == "changed")
    return bind(machine, name, loopChanged, self);
  found = false;
  return {};
}

} // namespace

Builtin findFilter(StringRef name) {
  for (ArrayRef<NamedBuiltin> table :
       {sequenceFilters(), selectionFilters(), textFilters(), numberFilters()})
    if (Builtin found = lookIn(table, name))
      return found;
  return nullptr;
}

Builtin findTest(StringRef name) { return lookIn(tests(), name); }

bool isFilter(StringRef name) {
  return findFilter(name) || name == "pprint" || name == "random" ||
         name == "urlize" || name == "xmlattr" || name == "striptags" ||
         name == "wordwrap";
}

bool isTest(StringRef name) { return findTest(name); }

Value methodOf(Machine &machine, const Value &object, StringRef name,
               bool &found) {
  found = false;
  Kind kind = object.kind();
  if (kind == Kind::Namespace) {
    const Value *value =
        find(&machine.budget,
             object.as<NamespaceObject>().attributes.dict(), name);
    found = value;
    return value ? *value : Value();
  }
  if (name.starts_with("__") && name.ends_with("__"))
    raise("access to attribute '{0}' of '{1}' object is unsafe", name,
          typeName(object));
  if (kind == Kind::Loop)
    return loopAttribute(machine, object, name, found);
  if (kind == Kind::Function)
    return object.as<Callable>().attribute(machine, name, found);
  if (kind == Kind::Range)
    for (auto [attribute, value] :
         {std::pair<StringRef, int64_t>("start", object.range().start),
          {"stop", object.range().stop},
          {"step", object.range().step}})
      if (name == attribute) {
        found = true;
        return Value::integerOf(value);
      }
  if (kind == Kind::Tuple && object.sequence().name == "group" &&
      (name == "grouper" || name == "list")) {
    found = true;
    return object.sequence().items[name == "list"];
  }
  if (isLeftOut(kind, name))
    raise("the attribute '{0}' of {1} is not supported in chat templates", name,
          typeName(object));
  if (isMutator(kind, name)) {
    found = true;
    return machine.make.undefined("access to attribute '" + name.str() +
                                  "' of '" + typeName(object).str() +
                                  "' object is unsafe.");
  }
  Builtin function = lookIn(
      kind == Kind::String ? stringMethods() : containerMethods(kind), name);
  if (!function)
    return {};
  found = true;
  if (kind == Kind::String && object.string().markup)
    raise("methods of a text marked as safe are not supported");
  return bind(machine, name, function, object);
}

Parameters::Parameters(StringRef function, Arguments &arguments,
                       ArrayRef<StringRef> names, size_t required)
    : function(function), values(names.size()), given(names.size()) {
  if (arguments.positional.size() > names.size())
    raise("{0}() takes at most {1} argument(s), {2} given", function,
          names.size(), arguments.positional.size());
  for (auto [i, value] : enumerate(arguments.positional)) {
    values[i] = value;
    given[i] = true;
  }
  for (auto &[name, value] : arguments.named) {
    auto it = llvm::find(names, StringRef(name));
    size_t index = it - names.begin();
    // A name of "" is that of a parameter without one.
    if (it == names.end() || name.empty())
      raise("{0}() got an unexpected keyword argument '{1}'", function, name);
    if (given[index])
      raise("{0}() got multiple values for argument '{1}'", function, name);
    values[index] = value;
    given[index] = true;
  }
  for (size_t i = 0; i < required; ++i)
    if (!given[i])
      raise("{0}() misses its argument {1}", function, i + 1);
}

int64_t Parameters::integer(size_t index, int64_t otherwise) const {
  if (!given[index])
    return otherwise;
  if (!values[index].isInteger()) {
    Machine::checkDefined(values[index]);
    raise("{0}(): '{1}' object cannot be interpreted as an integer", function,
          typeName(values[index]));
  }
  return values[index].asInteger();
}

StringRef Parameters::text(size_t index, StringRef otherwise) const {
  if (!given[index])
    return otherwise;
  if (!values[index].isString()) {
    Machine::checkDefined(values[index]);
    raise("{0}(): a str is expected, not {1}", function,
          typeName(values[index]));
  }
  return values[index].text();
}

namespace {

Value makeRange(Machine &machine, const Value &, Arguments &arguments) {
  Parameters p("range", arguments, {"", "", ""}, 1);
  int64_t start = p.has(1) ? p.integer(0, 0) : 0;
  int64_t stop = p.integer(p.has(1), 0), step = p.integer(2, 1);
  if (step == 0)
    raise("range() arg 3 must not be zero");
  __int128 span = step > 0 ? __int128(stop) - start : __int128(start) - stop;
  __int128 stride = step > 0 ? __int128(step) : -__int128(step);
  __int128 length = span <= 0 ? 0 : (span - 1) / stride + 1;
  if (length > 100000) // jinja2.sandbox.MAX_RANGE
    raise("Range too big. The sandbox blocks ranges larger than MAX_RANGE "
          "(100000).");
  return Value(Kind::Range, new RangeObject(&machine.budget, start, stop, step,
                                            static_cast<int64_t>(length)));
}

Value makeDict(Machine &machine, const Value &, Arguments &arguments) {
  Value out = machine.make.dict();
  if (arguments.positional.size() > 1)
    raise("dict expected at most 1 argument, got {0}",
          arguments.positional.size());
  for (const Value &source : arguments.positional) {
    if (source.is(Kind::Dict)) {
      for (const auto &[key, value] : source.dict().entries)
        machine.make.set(out, key, value);
      continue;
    }
    Machine::checkDefined(source);
    Value pairs = machine.listOf(source);
    for (const Value &pair : pairs.sequence().items) {
      Value items = machine.listOf(pair);
      if (items.sequence().items.size() != 2)
        raise("dictionary update sequence elements have length 2");
      machine.make.set(out, items.sequence().items[0],
                       items.sequence().items[1]);
    }
  }
  for (auto &[name, value] : arguments.named)
    machine.make.set(out, machine.text(name), value);
  return out;
}

Value makeNamespace(Machine &machine, const Value &self, Arguments &arguments) {
  return machine.newNamespace(makeDict(machine, self, arguments));
}

struct Cycler final : Callable {
  Cycler(Machine &machine, const std::vector<Value> &items)
      : Callable(&machine.budget, sizeof(Cycler), "Cycler"),
        items(machine.make.tuple(items)) {
    depth = this->items.object()->depth + 1;
  }
  Value call(Machine &, Arguments &) override {
    raise("'Cycler' object is not callable");
  }
  const Value &current() const { return items.sequence().items[position]; }
  Value attribute(Machine &machine, StringRef name, bool &found) override {
    found = true;
    if (name == "current")
      return current();
    Value self(Kind::Function, this);
    if (name == "next")
      return bind(
          machine, name,
          [](Machine &, const Value &self, Arguments &) {
            auto &cycler = self.as<Cycler>();
            Value value = cycler.current();
            cycler.position =
                (cycler.position + 1) % cycler.items.sequence().items.size();
            return value;
          },
          self);
    if (name == "reset")
      return bind(
          machine, name,
          [](Machine &, const Value &self, Arguments &) {
            self.as<Cycler>().position = 0;
            return Value();
          },
          self);
    found = false;
    return {};
  }
  Value items;
  size_t position = 0;
};

Value makeCycler(Machine &machine, const Value &, Arguments &arguments) {
  if (arguments.positional.empty() || !arguments.named.empty())
    raise("at least one item has to be provided");
  return Value(Kind::Function, new Cycler(machine, arguments.positional));
}

struct Joiner final : Callable {
  Joiner(Machine &machine, Value separator)
      : Callable(&machine.budget, sizeof(Joiner), "Joiner"),
        separator(std::move(separator)) {
    if (this->separator.object())
      depth = this->separator.object()->depth + 1;
  }
  Value call(Machine &machine, Arguments &) override {
    if (std::exchange(used, true))
      return separator;
    return machine.text("");
  }
  Value separator;
  bool used = false;
};

Value makeJoiner(Machine &machine, const Value &, Arguments &arguments) {
  Parameters p("joiner", arguments, {"sep"});
  return Value(Kind::Function,
               new Joiner(machine, p.has(0) ? p[0] : machine.text(", ")));
}

Value raiseException(Machine &machine, const Value &, Arguments &arguments) {
  Parameters p("raise_exception", arguments, {"message"}, 1);
  raise("{0}", machine.str(p[0]));
}

/// datetime.now().strftime(format).
Value strftimeNow(Machine &machine, const Value &, Arguments &arguments) {
  Parameters p("strftime_now", arguments, {"format"}, 1);
  StringRef format = p.text(0, "");
  if (format.contains('\0'))
    raise("strftime_now: the format holds a null character");
  timeval now{};
  gettimeofday(&now, nullptr);
  std::tm local{};
  localtime_r(&now.tv_sec, &local);
  TextBuilder out(&machine.budget);
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out.add(format.substr(i, 1));
      continue;
    }
    machine.budget.step();
    std::string directive = "%";
    char c = format[++i];
    if ((c == '-' || c == '_' || c == '^') && i + 1 < format.size()) {
      directive += c;
      c = format[++i];
    }
    directive += c;
    if (c == 'f') {
      out.add(formatv("{0:d6}", now.tv_usec).str());
      continue;
    }
    if (c == 'z' || c == 'Z') // a time without a zone has none to name
      continue;
    if (!StringRef("aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyY%").contains(c))
      raise("strftime_now: the directive '{0}' is not supported", directive);
    char buffer[256];
    out.add(StringRef(buffer, std::strftime(buffer, sizeof(buffer),
                                            directive.c_str(), &local)));
  }
  return machine.text(out.take());
}

Value lipsum(Machine &, const Value &, Arguments &) {
  raise("lipsum() is random, which no chat template can be");
}

constexpr NamedBuiltin functions[] = {
    {"range", makeRange},
    {"dict", makeDict},
    {"namespace", makeNamespace},
    {"cycler", makeCycler},
    {"joiner", makeJoiner},
    {"raise_exception", raiseException},
    {"strftime_now", strftimeNow},
    {"lipsum", lipsum},
};

} // namespace

Value globalFunction(Machine &machine, StringRef name, bool &found) {
  Builtin function = lookIn(functions, name);
  found = function;
  return function ? bind(machine, name, function, Value()) : Value();
}

AttributePath::AttributePath(Machine &machine, const Value &path) {
  if (path.isNone())
    return;
  if (!path.isString()) {
    parts.push_back(path);
    return;
  }
  StringRef rest = path.text();
  for (bool more = true; more;) {
    more = rest.contains('.');
    StringRef part;
    std::tie(part, rest) = rest.split('.');
    int64_t index;
    if (!part.empty() && llvm::all_of(part, [](char c) { return llvm::isDigit(c); }) &&
        !part.getAsInteger(10, index))
      parts.push_back(Value::integerOf(index));
    else
      parts.push_back(machine.text(part.str()));
  }
}

Value AttributePath::operator()(Machine &machine, Value item,
                                const Value *otherwise) const {
  for (const Value &part : parts) {
    item = machine.item(item, part);
    if (otherwise && item.isUndefined())
      item = *otherwise;
  }
  return item;
}

} // namespace weir::jinja
