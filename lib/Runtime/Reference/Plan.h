//===- Plan.h - The calls of a graph, ready to be made ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Between two steps of decoding the weights have gone through every cache of
// the processor, so a walk over the graph pays for each line of memory that it
// touches. A plan has what a step needs of the nodes in few bytes and in the
// order of the calls; the nodes stay for what is rare.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_REFERENCE_PLAN_H
#define WEIR_LIB_RUNTIME_REFERENCE_PLAN_H

#include "Graph.h"

#include "llvm/ADT/ArrayRef.h"

#include <c10/core/DispatchKeySet.h>

namespace weir::reference {

struct Argument {
  enum From : uint8_t {
    Literal,
    Value,   ///< of the slot
    LastUse, ///< the same: a tensor that nothing reads afterwards
    List,    ///< put together from the node's operand
  };
  From from = Literal;
  Slot slot = noSlot;
  c10::IValue literal;
};

/// What an operator made of the memory of its input. That follows from the
/// input's type and layout and from the numbers among the arguments: where
/// these are what they were, the result is too, and the operator need not be
/// asked.
class SeenView {
public:
  /// Notes what the operator gave. `numbers` are the slots of the arguments
  /// that are no constants. Results that are no look at the input's memory, or
  /// at it as another type, are forgotten.
  void note(const at::Tensor &input, llvm::ArrayRef<Slot> numbers,
            const std::vector<c10::IValue> &values, const at::Tensor &result);
  /// The result for this input, or an undefined tensor: the operator has to be
  /// called.
  at::Tensor replay(const at::Tensor &input, llvm::ArrayRef<Slot> numbers,
                    const std::vector<c10::IValue> &values) const;

private:
  bool isKnown = false;
  bool isInput = false; ///< the very tensor
  c10::DispatchKeySet keys;
  at::ScalarType type = at::kFloat;
  /// Of the input: sizes, strides, offset; then the numbers.
  llvm::SmallVector<int64_t, 10> given;
  llvm::SmallVector<int64_t, 4> sizes, strides;
  int64_t offset = 0;
};

struct Call {
  /// Whose call it is; looked at only for what is rare.
  const Node *node = nullptr;
  std::optional<c10::OperatorHandle> op;
  /// Where the only result goes, and what it is; noSlot if there is another
  /// number of them.
  Slot result = noSlot;
  ValueKind kind = ValueKind::Tensor;
  /// Among the plan's views, or -1.
  int32_t view = -1;
  bool isGuarded = false; ///< checkArguments has something to look at
  llvm::ArrayRef<Argument> arguments;
  /// Slots to empty afterwards, beside those of arguments that are LastUse.
  llvm::ArrayRef<Slot> drops;
  /// Of a view: the slots of the numbers among its arguments. The input is the
  /// first argument.
  llvm::ArrayRef<Slot> numbers;
};

/// A plan points into the graph that it was made of.
class Plan {
public:
  Plan() = default;
  explicit Plan(const Graph &graph);

  llvm::ArrayRef<Call> calls() const { return made; }
  SeenView &view(const Call &call) { return views[call.view]; }
  /// Every slot that a run fills.
  llvm::ArrayRef<Slot> transient() const { return filled; }

private:
  std::vector<Call> made;
  std::vector<Argument> arguments;
  std::vector<Slot> slots, filled;
  std::vector<SeenView> views;
};

} // namespace weir::reference

#endif // WEIR_LIB_RUNTIME_REFERENCE_PLAN_H
