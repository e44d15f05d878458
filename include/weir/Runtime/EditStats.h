//===- EditStats.h - How many tokens were edited ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_EDITSTATS_H
#define WEIR_RUNTIME_EDITSTATS_H

#include "weir/Runtime/Manifest.h"

#include "llvm/Support/raw_ostream.h"

namespace weir {

/// Tokens of a row that were edited: one number a policy, for each count of the
/// manifest.
using EditedTokens = std::vector<std::vector<int64_t>>;

/// Sums up what a run edited, by site and policy.
class EditStats {
public:
  explicit EditStats(const Manifest &manifest) : manifest(manifest) {}

  /// An error where the program does not say what it edits.
  static llvm::Error check(const Manifest &manifest);

  /// Adds a row that follows the plan of this index (-1: none), and that went
  /// through the program with so many tokens.
  void add(int64_t plan, int64_t tokens, EditedTokens edited);

  /// A line for each policy at each site.
  void print(llvm::raw_ostream &os) const;
  /// The same, with the tokens of every row.
  llvm::json::Value toJSON() const;
  /// An error that names the rows whose plan has something to edit and edited
  /// nothing, or says that no row follows such a plan.
  llvm::Error assertSteered() const;

private:
  struct Row {
    int64_t plan = Manifest::unsteeredIndex;
    int64_t tokens = 0;
    EditedTokens edited;
  };
  const Manifest &manifest;
  std::vector<Row> rows;
};

} // namespace weir

#endif // WEIR_RUNTIME_EDITSTATS_H
