//===- StopStrings.cpp - Texts that end a generated one ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/StopStrings.h"

#include "Support.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>

#include <tuple>

using namespace llvm;

namespace weir {

Expected<StopStrings> StopStrings::make(std::vector<std::string> texts) {
  if (is_contained(texts, ""))
    return fail("a stop string has at least one character");
  StopStrings out;
  out.texts = std::move(texts);
  return out;
}

size_t StopStrings::find(StringRef text) const {
  // The one that is complete first, so that a text that comes in pieces ends
  // where the whole does.
  size_t begin = StringRef::npos, end = StringRef::npos;
  for (const std::string &stop : texts) {
    size_t found = text.find(stop);
    if (found == StringRef::npos)
      continue;
    size_t behind = found + stop.size();
    if (behind < end || (behind == end && found < begin))
      std::tie(begin, end) = std::pair(found, behind);
  }
  return begin;
}

size_t StopStrings::undecided(StringRef text) const {
  size_t most = 0;
  for (StringRef stop : texts)
    for (size_t length = std::min(stop.size() - 1, text.size()); length > most;
         --length)
      if (text.ends_with(stop.take_front(length)))
        most = length;
  return most;
}

} // namespace weir
