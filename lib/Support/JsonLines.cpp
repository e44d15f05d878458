//===- JsonLines.cpp - JSON a line ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/JsonLines.h"

using namespace llvm;

namespace weir {

Expected<json::Value> parseJSONLine(StringRef line) {
  Expected<json::Value> value = parseJSON(line);
  if (value)
    return value;
  std::string message = toString(value.takeError());
  StringRef what = message;
  what.consume_front("line 1, ");
  return createStringError(what);
}

} // namespace weir
