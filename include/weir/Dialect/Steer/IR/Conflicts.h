//===- Conflicts.h - Two absolute edits of one feature ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rule that a plan edits a feature absolutely at most once, as specs, policies
// and patches all have to keep it.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_CONFLICTS_H
#define WEIR_DIALECT_STEER_IR_CONFLICTS_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace weir::steer {

/// An absolute edit of some features of one dictionary.
struct AbsoluteEdit {
  const void *dictionary = nullptr; ///< null: not known, conflicts with nothing
  llvm::ArrayRef<int64_t> features;
  /// The plans in which it acts; none: whatever the plan.
  std::optional<llvm::ArrayRef<int64_t>> plans;
  /// Every feature of the dictionary, besides the ones named.
  bool everyFeature = false;
};

/// Edit number `second` edits what `first` (before it, or the same) edits, in a
/// plan that both act in.
struct Conflict {
  unsigned first, second;
  int64_t feature; ///< -1: both edit every feature
  std::optional<int64_t> plan; ///< the first they share, if one is known
};

/// At most one conflict for each second edit, in the order of the edits. Takes
/// time in proportion to the features and plans that the edits name, and to how
/// many edits meet at features.
std::vector<Conflict> findConflicts(llvm::ArrayRef<AbsoluteEdit> edits);

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_IR_CONFLICTS_H
