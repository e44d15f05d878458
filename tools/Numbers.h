//===- Numbers.h - Numbers on a command line ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TOOLS_NUMBERS_H
#define WEIR_TOOLS_NUMBERS_H

#include "llvm/ADT/StringRef.h"

#include <CLI/CLI.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

namespace weir {

/// Takes a decimal number from `least` to `most`. CLI11 itself reads 010 as 8
/// and a number of twenty digits as the largest that fits, without a word, and
/// its ranges let NaN through.
template <typename Number>
CLI::Validator
numberIn(Number least, Number most = std::numeric_limits<Number>::max()) {
  auto check = [least, most](std::string &text) -> std::string {
    Number value{};
    bool isNumber = false;
    if constexpr (std::is_floating_point_v<Number>)
      isNumber =
          !llvm::StringRef(text).getAsDouble(value) && std::isfinite(value);
    else
      isNumber = !llvm::StringRef(text).getAsInteger(10, value);
    // An unsigned number with a sign is one, but below 0.
    if (!isNumber && std::is_unsigned_v<Number> && text.size() > 1 &&
        text[0] == '-' && text.find_first_not_of("0123456789", 1) == text.npos)
      return "has to be at least " + CLI::detail::to_string(least) + ", not " +
             text;
    if (!isNumber)
      return "'" + text + "' is not a number that fits";
    if (value < least || value > most)
      return "has to be at " +
             (value < least ? "least " + CLI::detail::to_string(least)
                            : "most " + CLI::detail::to_string(most)) +
             ", not " + text;
    // So that what reads it next sees no other number: leading zeros go.
    if constexpr (!std::is_floating_point_v<Number>)
      text = std::to_string(value);
    return "";
  };
  return CLI::Validator(check, "");
}

/// The most that any option of a count takes: threads, and tokens or rows.
inline constexpr int mostThreads = 1024;
inline constexpr int64_t mostItems = std::numeric_limits<int32_t>::max();

} // namespace weir

#endif // WEIR_TOOLS_NUMBERS_H
