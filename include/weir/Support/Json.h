//===- Json.h - JSON that may come from anybody ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_JSON_H
#define WEIR_SUPPORT_JSON_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <cstdint>
#include <string>

namespace weir {

/// Refuses JSON nested deeper than `limit`, so that recursive parsers stay
/// within the stack.
llvm::Error checkJSONDepth(llvm::StringRef text, unsigned limit = 256);

/// What a JSON document may cost.
struct JSONLimits {
  unsigned depth = 256;
  /// Bytes of memory that the parsed document may take. A text of a megabyte
  /// never takes more than the default.
  uint64_t memory = uint64_t(768) << 20;
};

/// An upper estimate of the bytes that the parsed document takes: an object has
/// room for at least 48 keys, so a small one takes 4 KiB from seven characters
/// of text. The text need not be valid.
uint64_t estimateJSONMemory(llvm::StringRef text);

/// Parses untrusted JSON. Depth and memory are bounded before anything is
/// built; an object with the same key twice and a number beyond the range of a
/// double are refused.
llvm::Expected<llvm::json::Value> parseJSON(llvm::StringRef text,
                                            JSONLimits limits = {});

/// A text, null for none.
inline llvm::json::Value jsonOrNull(llvm::StringRef text) {
  return text.empty() ? llvm::json::Value(nullptr) : llvm::json::Value(text);
}

/// JSON on one line. In contrast to LLVM's printer it keeps the sign of -0.0.
/// Numbers have to be finite.
std::string printJSON(const llvm::json::Object &object);

} // namespace weir

#endif // WEIR_SUPPORT_JSON_H
