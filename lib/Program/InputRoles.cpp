//===- InputRoles.cpp - What a program's inputs are for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/InputRoles.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;
using namespace weir;

namespace {
struct Row {
  InputRole role;
  StringLiteral name;
  unsigned rank;
  bool mayBeFlat, holdsNumbers;
};
} // namespace

static constexpr Row rows[] = {
    {InputRole::InputIds, "input_ids", 2, true, false},
    {InputRole::Positions, "positions", 2, true, false},
    {InputRole::PromptLength, "prompt_length", 1, false, false},
    {InputRole::Plan, "plan", 1, false, false},
    {InputRole::Knobs, "knobs", 2, false, true}};

static const Row &rowOf(InputRole role) {
  return rows[static_cast<size_t>(role)];
}

StringRef weir::roleName(InputRole role) { return rowOf(role).name; }

std::optional<InputRole> weir::inputRoleNamed(StringRef name) {
  const Row *row = find_if(rows, [&](const Row &row) { return row.name == name; });
  return row == std::end(rows) ? std::nullopt : std::optional(row->role);
}

unsigned weir::rankOf(InputRole role) { return rowOf(role).rank; }

bool weir::mayBeFlat(InputRole role) { return rowOf(role).mayBeFlat; }

bool weir::holdsNumbers(InputRole role) { return rowOf(role).holdsNumbers; }
