//===- SchemaValues.cpp - Values in torch.export's documents ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/SchemaValues.h"

#include <limits>

using namespace llvm;

namespace weir::pt2 {

std::optional<double> floatOf(const json::Value &value) {
  if (std::optional<double> number = value.getAsNumber())
    return number;
  std::optional<StringRef> text = value.getAsString();
  if (!text)
    return std::nullopt;
  if (*text == "Infinity")
    return std::numeric_limits<double>::infinity();
  if (*text == "-Infinity")
    return -std::numeric_limits<double>::infinity();
  if (*text == "NaN")
    return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

std::optional<int64_t> intOf(const json::Value &value) {
  return value.kind() == json::Value::Number ? value.getAsInteger()
                                             : std::nullopt;
}

std::optional<Tagged> taggedOf(const json::Value &value) {
  const json::Object *object = value.getAsObject();
  if (!object || object->size() != 1)
    return std::nullopt;
  return Tagged{object->begin()->first, &object->begin()->second};
}

} // namespace weir::pt2
