//===- ResolveMarkers.cpp - Texts of markers become ids ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/Passes.h"
#include "weir/Support/Locations.h"

#include "mlir/IR/Remarks.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

namespace weir::steer {
#define GEN_PASS_DEF_STEERRESOLVEMARKERSPASS
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

/// The text in quotes, on one line.
static std::string inQuotes(StringRef text) {
  std::string quoted = "'";
  for (char c : text) {
    if (c == '\n')
      quoted += "\\n";
    else if (c == '\t')
      quoted += "\\t";
    else if (llvm::isPrint(c) || static_cast<unsigned char>(c) >= 0x80)
      quoted += c;
    else
      quoted += "\\x" + llvm::utohexstr(static_cast<unsigned char>(c), true, 2);
  }
  return quoted + "'";
}

/// Where the spec has a marker.
static Location placeOf(PolicyOp policy, Attribute marker) {
  std::string name = "token:";
  if (auto text = dyn_cast<StringAttr>(marker))
    name += text.getValue();
  else
    name += std::to_string(cast<IntegerAttr>(marker).getInt());
  Location place = locationOf(policy, name);
  return place == policy.getLoc() ? locationOf(policy, "tokens") : place;
}

static std::array<ArrayAttr, 4> listsOf(MarkersAttr markers) {
  return {markers.getAfter(), markers.getUntil(), markers.getOpens(),
          markers.getCloses()};
}

namespace {

struct SteerResolveMarkers
    : steer::impl::SteerResolveMarkersPassBase<SteerResolveMarkers> {
  SteerResolveMarkers() = default;
  explicit SteerResolveMarkers(TokenLookup lookup) : lookup(std::move(lookup)) {}

  void runOnOperation() override {
    SmallVector<PolicyOp> policies;
    for (auto policy : getOperation().getOps<PolicyOp>())
      if (auto tokens = policy.getTokensAttr(); tokens && tokens.getMarkers())
        policies.push_back(policy);
    if (policies.empty())
      return;
    if (failed(ask(policies)))
      return signalPassFailure();
    // Report what is wrong with every policy, not only with the first.
    bool failedAny = false;
    for (PolicyOp policy : policies)
      failedAny |= failed(resolve(policy));
    if (failedAny)
      signalPassFailure();
  }

private:
  /// Asks for all texts at once: a model is opened for it.
  LogicalResult ask(ArrayRef<PolicyOp> policies) {
    std::vector<std::string> texts;
    std::optional<Location> first;
    for (PolicyOp policy : policies)
      for (ArrayAttr list : listsOf(policy.getTokensAttr().getMarkers()))
        for (Attribute marker : list ? list.getValue() : ArrayRef<Attribute>())
          if (auto text = dyn_cast<StringAttr>(marker);
              text && numbers.try_emplace(text, texts.size()).second) {
            texts.push_back(text.getValue().str());
            if (!first)
              first = placeOf(policy, marker);
          }
    auto fail = [&](const Twine &why) -> LogicalResult {
      Location place =
          first ? *first : locationOf(policies.front(), "tokens");
      return emitError(place) << (first ? "cannot tell which token this is: "
                                        : "cannot look at the model's tokens: ")
                              << why;
    };
    if (!lookup)
      return first ? fail("there is no model to ask; give its id")
                   : LogicalResult::success();
    auto answer = lookup(texts);
    if (!answer)
      return fail(llvm::toString(answer.takeError()) +
                  (first ? "; without a tokenizer a marker is an id" : ""));
    tokens = std::move(*answer);
    return success();
  }

  LogicalResult resolve(PolicyOp policy) {
    TokensAttr scope = policy.getTokensAttr();
    std::array<ArrayAttr, 4> lists = listsOf(scope.getMarkers());
    for (ArrayAttr &list : lists) {
      if (!list)
        continue;
      llvm::SetVector<Attribute> ids; // two texts may be one token
      for (Attribute marker : list) {
        FailureOr<int64_t> id = idOf(policy, marker);
        if (failed(id))
          return failure();
        ids.insert(Builder(&getContext()).getI64IntegerAttr(*id));
      }
      list = ArrayAttr::get(&getContext(), ids.getArrayRef());
    }
    auto [after, until, opens, closes] = lists;
    auto markers = MarkersAttr::getChecked(
        [&] { return emitError(locationOf(policy, "tokens")); }, &getContext(),
        after, until, opens, closes);
    if (!markers)
      return failure();
    policy.setTokensAttr(TokensAttr::get(
        &getContext(), scope.getSet(), scope.getPositions(), scope.getFrom(),
        scope.getTo(), scope.getSkipFirst(), markers, scope.getOver(),
        scope.getHalf()));
    return success();
  }

  FailureOr<int64_t> idOf(PolicyOp policy, Attribute marker) {
    auto text = dyn_cast<StringAttr>(marker);
    if (!text) {
      int64_t id = cast<IntegerAttr>(marker).getInt();
      if (tokens.vocabulary && id >= *tokens.vocabulary)
        return emitError(placeOf(policy, marker))
               << "the model has no token " << id << ": its tokens are 0 to "
               << *tokens.vocabulary - 1;
      return id;
    }
    ArrayRef<int64_t> ids = tokens.ids[numbers.lookup(text)];
    if (ids.size() != 1)
      return emitError(placeOf(policy, marker))
             << inQuotes(text) << " is " << ids.size()
             << " tokens of the model, and a marker is one: give another text, "
                "or an id";
    ++resolved;
    remark::passed(policy.getLoc(),
                   remark::RemarkOpts::name("Marker").category("steer"))
        << inQuotes(text) + " is token " + std::to_string(ids.front());
    return ids.front();
  }

  TokenLookup lookup;
  llvm::DenseMap<Attribute, size_t> numbers; ///< of texts
  ModelTokens tokens;
};

} // namespace

std::unique_ptr<Pass>
steer::createSteerResolveMarkersPass(TokenLookup lookup) {
  return std::make_unique<SteerResolveMarkers>(std::move(lookup));
}
