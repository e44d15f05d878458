//===- SchemaValues.h - Values in torch.export's documents ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_SCHEMAVALUES_H
#define WEIR_PROGRAM_SCHEMAVALUES_H

#include "llvm/Support/JSON.h"

#include <optional>

namespace weir::pt2 {

/// A number of a JSON float field, which may be written as "Infinity",
/// "-Infinity" or "NaN".
std::optional<double> floatOf(const llvm::json::Value &value);
/// An integer, and not a number that merely has no fraction out of range.
std::optional<int64_t> intOf(const llvm::json::Value &value);
/// The value under the only key of an object: a tagged union.
struct Tagged {
  llvm::StringRef tag;
  const llvm::json::Value *value;
};
std::optional<Tagged> taggedOf(const llvm::json::Value &value);

} // namespace weir::pt2

#endif // WEIR_PROGRAM_SCHEMAVALUES_H
