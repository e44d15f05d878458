//===- Template.cpp - Jinja templates of strangers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Template.h"

#include "../../Support.h"
#include "../Utf8.h"
#include "Machine.h"
#include "Syntax.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/thread.h"

#include <nlohmann/json.hpp>

using namespace llvm;

namespace weir::jinja {

struct Template::Tree {
  Body body;
};

Template::Template(std::unique_ptr<Tree> tree) : tree(std::move(tree)) {}
Template::~Template() = default;

namespace {

/// Depth is bounded by counting; a stack of its own makes the bound hold under
/// any caller, sanitizers included.
constexpr unsigned stackSize = 64u << 20;

template <typename Body> llvm::Error guarded(Body body) {
  std::optional<Error> thrown;
  llvm::thread worker(std::optional<unsigned>(stackSize), [&] {
    try {
      body();
    } catch (Error &error) {
      thrown = std::move(error);
    }
  });
  worker.join();
  if (!thrown)
    return llvm::Error::success();
  if (thrown->line)
    return fail("line {0}: {1}", thrown->line, thrown->message);
  return fail("{0}", thrown->message);
}

using Json = nlohmann::ordered_json;

Value convert(const Maker &make, const Json &value) {
  switch (value.type()) {
  case Json::value_t::boolean:
    return Value::boolean(value.get<bool>());
  case Json::value_t::number_integer:
    return Value::integerOf(value.get<int64_t>());
  case Json::value_t::number_unsigned:
    if (value.get<uint64_t>() > INT64_MAX)
      raise("a number is beyond 64 bits");
    return Value::integerOf(value.get<int64_t>());
  case Json::value_t::number_float:
    return Value::floating(value.get<double>());
  case Json::value_t::string: {
    const auto &text = value.get_ref<const std::string &>();
    if (!isUtf8(text))
      raise("a variable is not UTF-8");
    return make.string(text);
  }
  case Json::value_t::array: {
    Value out = make.list();
    for (const Json &item : value)
      make.append(out, convert(make, item));
    return out;
  }
  case Json::value_t::object: {
    Value out = make.dict();
    for (const auto &[key, item] : value.items())
      make.add(out, make.string(key), convert(make, item));
    return out;
  }
  default:
    return Value();
  }
}

} // namespace

Expected<std::unique_ptr<Template>> Template::parse(StringRef source) {
  if (!isUtf8(source))
    return fail("the template is not UTF-8");
  auto tree = std::make_unique<Tree>();
  if (llvm::Error error = guarded([&] { tree->body = jinja::parse(source); }))
    return std::move(error);
  return std::unique_ptr<Template>(new Template(std::move(tree)));
}

Expected<std::string> Template::render(const Json &variables) const {
  std::string out;
  llvm::Error error = guarded([&] {
    Budget budget;
    StringMap<Value> context;
    Maker make(&budget);
    for (const auto &[name, value] : variables.items())
      context.try_emplace(name, convert(make, value));
    Machine machine(budget, context);
    out = machine.render(tree->body);
  });
  if (error)
    return std::move(error);
  return out;
}

} // namespace weir::jinja
