//===- InputRoles.h - What a program's inputs are for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What callers of a program pass, and what they get first. The names are those of
// the program's inputs in its archive, and of the manifest; compiler and runner
// know them from here.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_INPUTROLES_H
#define WEIR_PROGRAM_INPUTROLES_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>

namespace weir {

/// In the order in which a program takes them.
enum class InputRole : uint8_t {
  InputIds,     ///< [batch, sequence] i64: tokens
  Positions,    ///< [batch, sequence] i64: where they are, -1 for padding
  PromptLength, ///< [batch] i64
  Plan,         ///< [batch] i64: index of the row's plan, -1 for none
  Knobs,        ///< [batch, knobs] f32
};

/// "input_ids" and so on.
llvm::StringRef roleName(InputRole role);
/// The role of that name, or none.
std::optional<InputRole> inputRoleNamed(llvm::StringRef name);

/// How many dimensions an input of a role has. Tokens of all rows may also come
/// in one flat row, see `mayBeFlat`.
unsigned rankOf(InputRole role);
bool mayBeFlat(InputRole role);
/// Are its elements numbers of type f32? Otherwise they are i64.
bool holdsNumbers(InputRole role);

/// The name of a program's first output.
inline constexpr llvm::StringLiteral logitsName = "logits";

} // namespace weir

#endif // WEIR_PROGRAM_INPUTROLES_H
