//===- Machine.cpp - Runs statements ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Machine.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace weir::jinja {

/// A macro, or the body of a call block, with the names around it.
struct MacroObject final : Callable {
  MacroObject(Budget *budget, const Macro &macro, Scope *scope)
      : Callable(budget, sizeof(MacroObject), macro.name), macro(macro),
        scope(scope) {}
  Value call(Machine &machine, Arguments &arguments) override {
    return machine.callMacro(macro, scope.get(), arguments);
  }
  Value attribute(Machine &machine, StringRef attribute, bool &found) override {
    found = true;
    if (attribute == "name")
      return machine.text(macro.name);
    if (attribute == "arguments") {
      Value names = machine.make.sequence(Kind::Tuple);
      for (const Parameter &parameter : macro.parameters)
        machine.make.append(names, machine.text(parameter.name));
      return names;
    }
    if (attribute == "catch_kwargs")
      return Value::boolean(macro.takesKeywords);
    if (attribute == "catch_varargs")
      return Value::boolean(macro.takesRest);
    if (attribute == "caller")
      return Value::boolean(macro.takesCaller || macro.explicitCaller);
    found = false;
    return {};
  }
  const Macro &macro;
  ScopePtr scope;
};

void LoopObject::finish() {
  pull = nullptr;
  queue.clear();
  before.reset();
  current.reset();
  after.reset();
  changed.reset();
  scope.reset();
  recursive = nullptr;
  peeked = true;
}

const std::optional<Value> &LoopObject::peek() {
  if (!peeked) {
    after.reset();
    if (!queue.empty()) {
      after = std::move(queue.back());
      queue.pop_back();
    } else if (pull) {
      after = pull();
    }
    peeked = true;
  }
  return after;
}

bool LoopObject::advance() {
  peek();
  peeked = false;
  if (!after)
    return false;
  before = std::move(current);
  current = std::move(after);
  after.reset();
  ++index0;
  return true;
}

int64_t LoopObject::length() {
  if (knownLength)
    return *knownLength;
  std::vector<Value> rest;
  while (pull) {
    std::optional<Value> next = pull();
    if (!next)
      break;
    rest.push_back(std::move(*next));
  }
  std::reverse(rest.begin(), rest.end());
  queue = std::move(rest);
  pull = nullptr;
  knownLength = static_cast<int64_t>(queue.size()) + index0 + 1 +
                (peeked && after.has_value());
  return *knownLength;
}

Machine::~Machine() {
  // Frees what points at itself or at one another.
  for (const auto &object : namespaces)
    object->attributes = Value();
  for (const ScopePtr &scope : scopes)
    std::exchange(scope->names, {});
}

void Machine::checkDefined(const Value &value) {
  if (value.isUndefined())
    raise("{0}", value.as<UndefinedObject>().message);
}

void Machine::keep(Scope *scope) {
  for (; scope && !scope->kept; scope = scope->parent.get()) {
    scope->kept = true;
    scopes.emplace_back(scope);
  }
}

void Machine::set(Scope &scope, StringRef name, Value value) {
  for (auto [i, known] : enumerate(scope.names)) {
    if (i % 8 == 7)
      budget.step();
    if (known.first == name) {
      known.second = std::move(value);
      return;
    }
  }
  scope.holdMore(2 * sizeof(scope.names[0]));
  scope.names.emplace_back(name, std::move(value));
}

Value Machine::lookUp(Scope &scope, StringRef name) {
  for (Scope *at = &scope; at; at = at->parent.get()) {
    for (auto [i, known] : enumerate(at->names)) {
      if (i % 8 == 7)
        budget.step();
      if (known.first == name)
        return known.second;
    }
    budget.step();
  }
  if (auto it = context.find(name); it != context.end())
    return it->second;
  bool found = false;
  Value function = globalFunction(*this, name, found);
  return found ? function
               : make.undefined("'" + name.str() + "' is undefined");
}

Value Machine::newNamespace(Value attributes) {
  for (const auto &[name, value] : attributes.dict().entries)
    if (name.isString() && name.text().starts_with("_"))
      raise("a namespace holds no attribute that begins with an underscore");
  namespaces.emplace_back(new NamespaceObject(&budget, std::move(attributes)));
  return Value(Kind::Namespace, namespaces.back().get());
}

void Machine::assign(Scope &scope, const Target &target, const Value &value) {
  if (target.isTuple) {
    checkDefined(value);
    Value list = listOf(value);
    const std::vector<Value> &items = list.sequence().items;
    if (items.size() != target.items.size())
      raise("{0} values to unpack (expected {1}, got {2})",
            items.size() < target.items.size() ? "not enough" : "too many",
            target.items.size(), items.size());
    for (auto [name, item] : zip(target.items, items))
      assign(scope, name, item);
    return;
  }
  if (target.attribute.empty())
    return set(scope, target.name, value);
  Value object = lookUp(scope, target.name);
  if (!object.is(Kind::Namespace))
    raise("cannot assign attribute on non-namespace object");
  if (target.attribute[0] == '_')
    raise("a namespace holds no attribute that begins with an underscore");
  make.set(object.as<NamespaceObject>().attributes, text(target.attribute),
           value);
}

std::string Machine::capture(function_ref<void()> body) {
  TextBuilder builder(&budget);
  TextBuilder *outer = std::exchange(out, &builder);
  scope_exit restore([&] { out = outer; });
  body();
  return builder.take();
}

void Machine::output(const Value &value) {
  if (value.isString())
    out->add(value.text());
  else
    print(*out, *this, value, false);
}

std::string Machine::render(const Body &body) {
  try {
    return capture([&] {
      ScopePtr root = inner(nullptr);
      run(body, *root);
    });
  } catch (Error &error) {
    if (!error.line)
      error.line = line;
    throw;
  }
}

Machine::Flow Machine::run(const Body &body, Scope &scope) {
  for (const auto &statement : body)
    if (Flow flow = run(*statement, scope); flow != Flow::Next)
      return flow;
  return Flow::Next;
}

Machine::Flow Machine::run(const Statement &statement, Scope &scope) {
  Depth guard(*this);
  budget.step();
  line = statement.line;
  switch (statement.type) {
  case Statement::Text:
    out->add(statement.text);
    return Flow::Next;
  case Statement::Print:
    output(evaluate(*statement.value, scope));
    return Flow::Next;
  case Statement::If:
    return runIf(statement, scope);
  case Statement::For:
    runFor(statement, scope, evaluate(*statement.value, scope), 0);
    return Flow::Next;
  case Statement::Set:
    assign(scope, statement.target, evaluate(*statement.value, scope));
    return Flow::Next;
  case Statement::SetBlock: {
    Value value = text(capture([&] { run(statement.body, *inner(&scope)); }));
    if (statement.value)
      value = evaluateFilters(*statement.value, scope, &value);
    assign(scope, statement.target, value);
    return Flow::Next;
  }
  case Statement::With:
    runWith(statement, scope);
    return Flow::Next;
  case Statement::MacroDef:
    keep(&scope);
    set(scope, statement.macro.name,
        Value(Kind::Function, new MacroObject(&budget, statement.macro, &scope)));
    return Flow::Next;
  case Statement::CallBlock:
    runCallBlock(statement, scope);
    return Flow::Next;
  case Statement::FilterBlock: {
    ScopePtr own = inner(&scope);
    Value value = text(capture([&] { run(statement.body, *own); }));
    output(evaluateFilters(*statement.value, *own, &value));
    return Flow::Next;
  }
  case Statement::Scope:
    run(statement.body, *inner(&scope));
    return Flow::Next;
  case Statement::Break:
    return Flow::Break;
  case Statement::Continue:
    return Flow::Continue;
  }
  return Flow::Next;
}

Machine::Flow Machine::runIf(const Statement &statement, Scope &scope) {
  for (const auto &[condition, body] : statement.branches)
    if (!condition || isTrue(evaluate(*condition, scope)))
      return run(body, scope);
  return Flow::Next;
}

void Machine::runFor(const Statement &statement, Scope &scope,
                     const Value &iterable, int64_t depth0) {
  Depth guard(*this);
  IntrusiveRefCntPtr<LoopObject> loop(new LoopObject(&budget));
  scope_exit finish([&] { loop->finish(); });
  Value list = listOf(iterable);
  if (!statement.condition)
    loop->knownLength = list.sequence().items.size();
  loop->depth0 = depth0;
  if (statement.recursive) {
    loop->recursive = &statement;
    loop->scope = &scope;
  }
  size_t next = 0;
  // Conditions are asked when an item is needed: they may look at what the body
  // has done.
  loop->pull = [&, next]() mutable -> std::optional<Value> {
    const std::vector<Value> &items = list.sequence().items;
    while (next < items.size()) {
      budget.step();
      const Value &item = items[next++];
      if (!statement.condition)
        return item;
      ScopePtr own = inner(&scope);
      assign(*own, statement.target, item);
      if (isTrue(evaluate(*statement.condition, *own)))
        return item;
    }
    return std::nullopt;
  };
  bool completed = false;
  while (loop->advance()) {
    ScopePtr own = inner(&scope);
    set(*own, "loop", Value(Kind::Loop, loop.get()));
    assign(*own, statement.target, *loop->current);
    Flow flow = run(statement.body, *own);
    line = statement.line;
    completed |= flow == Flow::Next;
    if (flow == Flow::Break)
      break;
  }
  // In the Python that Jinja2 makes, a round that ends early doesn't count.
  if (!completed)
    run(statement.otherwise, *inner(&scope));
}

std::string Machine::runLoop(LoopObject &loop, const Value &iterable) {
  if (!loop.recursive)
    raise("The loop must have the 'recursive' marker to be called recursively.");
  const Statement &statement = *loop.recursive;
  ScopePtr scope = loop.scope;
  return capture(
      [&] { runFor(statement, *scope, iterable, loop.depth0 + 1); });
}

void Machine::runWith(const Statement &statement, Scope &scope) {
  ScopePtr own = inner(&scope);
  // The values know nothing of each other.
  std::vector<Value> values;
  for (const auto &assignment : statement.assignments)
    values.push_back(evaluate(*assignment.second, scope));
  for (auto [assignment, value] : zip(statement.assignments, values))
    assign(*own, assignment.first, value);
  run(statement.body, *own);
}

void Machine::runCallBlock(const Statement &statement, Scope &scope) {
  keep(&scope);
  const Expression &node = *statement.value;
  Value function = evaluate(*node.children[0], scope);
  Arguments arguments = evaluateArguments(node.arguments, scope);
  arguments.named.emplace_back(
      "caller",
      Value(Kind::Function, new MacroObject(&budget, statement.macro, &scope)));
  output(call(function, std::move(arguments)));
}

/// As jinja2.runtime.Macro.__call__.
Value Machine::callMacro(const Macro &macro, Scope *definition,
                         Arguments &arguments) {
  Depth guard(*this);
  ScopePtr own = inner(definition);
  auto take = [&](StringRef name) -> std::optional<Value> {
    for (auto it = arguments.named.begin(); it != arguments.named.end(); ++it)
      if (it->first == name) {
        Value value = std::move(it->second);
        arguments.named.erase(it);
        return value;
      }
    return std::nullopt;
  };
  size_t count = macro.parameters.size();
  std::vector<std::optional<Value>> values(count);
  bool hasCaller = arguments.positional.size() >= count && macro.explicitCaller;
  for (size_t i = 0; i < count; ++i) {
    if (i < arguments.positional.size()) {
      values[i] = arguments.positional[i];
      continue;
    }
    values[i] = take(macro.parameters[i].name);
    hasCaller |= macro.parameters[i].name == "caller";
  }
  if (macro.takesCaller && !hasCaller) {
    std::optional<Value> caller = take("caller");
    set(*own, "caller",
        caller ? *caller : make.undefined("No caller defined"));
  }
  if (macro.takesKeywords) {
    Value keywords = make.dict();
    for (auto &[name, value] : arguments.named)
      make.add(keywords, text(name), value);
    set(*own, "kwargs", keywords);
  } else if (!arguments.named.empty()) {
    raise("macro '{0}' takes no keyword argument '{1}'", macro.name,
          arguments.named.front().first);
  }
  if (macro.takesRest) {
    Value rest = make.sequence(Kind::Tuple);
    for (size_t i = count; i < arguments.positional.size(); ++i)
      make.append(rest, arguments.positional[i]);
    set(*own, "varargs", rest);
  } else if (arguments.positional.size() > count) {
    raise("macro '{0}' takes not more than {1} argument(s)", macro.name, count);
  }
  int callLine = line;
  std::string result = capture([&] {
    // A default value sees the parameters before it.
    for (auto [parameter, value] : zip(macro.parameters, values)) {
      if (!value && parameter.otherwise)
        value = evaluate(*parameter.otherwise, *own);
      if (!value)
        value = make.undefined("parameter '" + parameter.name +
                               "' was not provided");
      set(*own, parameter.name, *value);
    }
    run(*macro.body, *own);
  });
  line = callLine;
  return text(std::move(result));
}

} // namespace weir::jinja
