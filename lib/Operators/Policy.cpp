//===- Policy.cpp - What programs may call ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Operators/Operators.h"

#include "Nodes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace weir;

/// The name that a user writes; empty for none.
static StringRef shortName(StringRef target) {
  target.consume_front("torch.ops.");
  return target;
}

Error OperatorPolicy::allow(StringRef name) {
  StringRef text = shortName(name);
  SmallVector<StringRef, 3> parts;
  text.split(parts, '.');
  bool isWord = all_of(parts, [](StringRef part) {
    return !part.empty() &&
           all_of(part, [](char c) { return isAlnum(c) || c == '_'; });
  });
  bool needsOverload = parts.front() == "aten" || parts.front() == "prims";
  if (!isWord || parts.size() < 2 || parts.size() > 3 ||
      (needsOverload && parts.size() != 3))
    return createStringError(
        formatv("'{0}' is not the name of an operator's overload, such as "
                "aten.fft_rfft.default",
                name));
  added.insert(text);
  return Error::success();
}

Error OperatorPolicy::allowAll(ArrayRef<std::string> names) {
  for (const std::string &name : names)
    if (Error error = allow(name))
      return error;
  return Error::success();
}

/// Allowed by the catalogue, whoever asks.
static bool isAllowed(StringRef target) {
  const OperatorInfo *info = findOperator(target);
  return info && info->isAllowed;
}

bool OperatorPolicy::allows(StringRef target) const {
  return isAllowed(target) || added.contains(shortName(target));
}

Error weir::forEachNode(
    const json::Object &model,
    function_ref<Error(size_t, StringRef, StringRef)> visit) {
  const json::Object *module = model.getObject("graph_module");
  const json::Object *graph = module ? module->getObject("graph") : nullptr;
  const json::Array *nodes = graph ? graph->getArray("nodes") : nullptr;
  if (!nodes)
    return Error::success();
  for (auto [index, value] : enumerate(*nodes)) {
    const json::Object *node = value.getAsObject();
    std::optional<StringRef> target =
        node ? node->getString("target") : std::nullopt;
    if (!target)
      continue;
    if (Error error =
            visit(index, node->getString("name").value_or(""), *target))
      return error;
  }
  return Error::success();
}

Error OperatorPolicy::check(const json::Object &model) const {
  return forEachNode(
      model, [&](size_t index, StringRef name, StringRef target) -> Error {
        if (allows(target))
          return Error::success();
        std::string place = formatv("node {0}{1}{2}{3} calls {4}", index,
                                    name.empty() ? "" : " ('", name,
                                    name.empty() ? "" : "')",
                                    shortName(target));
        if (shortName(target).starts_with("higher_order."))
          return createStringError(
              place +
              ": higher-order operators are not supported; export the model "
              "under torch.no_grad(), or call run_decompositions() on the "
              "exported program");
        return createStringError(formatv(
            "{0}, which is not one of the operators that a program may call: "
            "export the model without it or, if you trust the archive as you "
            "trust code, give --allow-operator {1} (what is built with it needs "
            "it again when it runs)",
            place, shortName(target)));
      });
}

std::vector<std::string>
OperatorPolicy::warnings(const json::Object &model) const {
  StringSet<> called;
  std::vector<std::string> out;
  cantFail(forEachNode(model, [&](size_t, StringRef, StringRef target) {
    StringRef name = shortName(target);
    if (!isAllowed(target) && added.contains(name) &&
        called.insert(name).second)
      out.push_back(
          formatv("the program calls {0}, which --allow-operator allows: nobody "
                  "checks what it reads, writes or runs",
                  name));
    return Error::success();
  }));
  return out;
}
