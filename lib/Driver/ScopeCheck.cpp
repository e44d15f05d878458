//===- ScopeCheck.cpp - Tokens that a program has no room for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScopeCheck.h"

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Spec/Locations.h"
#include "weir/Spec/Spec.h"

using namespace mlir;
using namespace weir;

/// The place of a key of 'tokens', or that of all of it.
static Location placeOf(steer::PolicyOp policy, StringRef key) {
  Location place = spec::locationOf(policy, ("tokens." + key).str());
  return place == policy.getLoc() ? spec::locationOf(policy, "tokens") : place;
}

namespace {
struct Beyond {
  Location where;
  std::string what;
};
} // namespace

/// What of a scope is not among the first `length` positions.
static std::optional<Beyond> findBeyond(steer::PolicyOp policy, int64_t length) {
  steer::TokensAttr scope = policy.getTokensAttr();
  if (!scope)
    return std::nullopt;
  std::string name = specName(policy.getSymName()).str();
  auto never = [&](StringRef key) {
    return Beyond{placeOf(policy, key),
                  "policy '" + name + "' never acts: "};
  };
  for (auto [key, first] :
       {std::pair<StringRef, int64_t>("from", scope.getFrom()),
        std::pair<StringRef, int64_t>("skip_first", scope.getSkipFirst())})
    if (first >= length) {
      Beyond found = never(key);
      found.what += "its tokens begin at position " + std::to_string(first);
      return found;
    }
  DenseI64ArrayAttr listed = scope.getPositions();
  if (!listed)
    return std::nullopt;
  // They are in order.
  ArrayRef<int64_t> positions = listed.asArrayRef();
  int64_t beyond =
      llvm::count_if(positions, [&](int64_t at) { return at >= length; });
  if (beyond == 0)
    return std::nullopt;
  int64_t all = positions.size();
  Beyond found = beyond == all
                     ? never("positions")
                     : Beyond{placeOf(policy, "positions"),
                              "policy '" + name + "' does not act at all of its "
                                                  "positions: "};
  if (all == 1)
    found.what += "its position is " + std::to_string(positions.front());
  else
    found.what += std::to_string(beyond) + " of " + std::to_string(all) +
                  " are beyond the end, up to " +
                  std::to_string(*llvm::max_element(positions));
  return found;
}

void weir::checkScopes(ModuleOp module, int64_t maxLength) {
  constexpr size_t shown = 20;
  size_t more = 0, told = 0;
  for (auto policy : module.getOps<steer::PolicyOp>()) {
    auto found = findBeyond(policy, maxLength);
    if (!found)
      continue;
    if (told == shown) {
      ++more;
      continue;
    }
    ++told;
    emitWarning(found->where)
        << found->what << ", and a row of this program has " << maxLength
        << " positions, 0 to " << maxLength - 1;
  }
  if (more > 0)
    emitWarning(UnknownLoc::get(module.getContext()))
        << more << " more policies have tokens beyond the positions of the program";
}
