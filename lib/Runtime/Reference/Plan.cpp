//===- Plan.cpp - The calls of a graph, ready to be made ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Plan.h"

#include "Guards.h"

#include "llvm/ADT/STLExtras.h"

#include <ATen/ATen.h>

using namespace llvm;
using namespace weir;
using namespace weir::reference;
using c10::IValue;

/// Tensors that are nothing but sizes and strides over a storage.
static bool isPlain(const at::Tensor &tensor) {
  return tensor.layout() == at::kStrided && tensor.device().is_cpu() &&
         !tensor.is_quantized() && !tensor.is_nested();
}

void SeenView::note(const at::Tensor &input, ArrayRef<Slot> numbers,
                    const std::vector<IValue> &values,
                    const at::Tensor &result) {
  isKnown = isPlain(input) && isPlain(result) &&
            input.key_set() == result.key_set() &&
            input.scalar_type() == result.scalar_type() &&
            input.storage().is_alias_of(result.storage());
  if (!isKnown)
    return;
  isInput = result.is_same(input);
  keys = input.key_set();
  type = input.scalar_type();
  given.assign(input.sizes().begin(), input.sizes().end());
  given.append(input.strides().begin(), input.strides().end());
  given.push_back(input.storage_offset());
  for (Slot slot : numbers)
    given.push_back(values[slot].toInt());
  sizes.assign(result.sizes().begin(), result.sizes().end());
  strides.assign(result.strides().begin(), result.strides().end());
  offset = result.storage_offset();
}

at::Tensor SeenView::replay(const at::Tensor &input, ArrayRef<Slot> numbers,
                            const std::vector<IValue> &values) const {
  if (!isKnown)
    return {};
  const c10::TensorImpl &tensor = *input.unsafeGetTensorImpl();
  size_t rank = tensor.dim();
  if (given.size() != 2 * rank + 1 + numbers.size() ||
      tensor.key_set() != keys ||
      tensor.dtype() != c10::scalarTypeToTypeMeta(type))
    return {};
  const int64_t *was = given.data();
  if (!std::equal(was, was + rank, tensor.sizes().data()) ||
      !std::equal(was + rank, was + 2 * rank, tensor.strides().data()) ||
      was[2 * rank] != tensor.storage_offset())
    return {};
  was += 2 * rank + 1;
  for (auto [index, slot] : enumerate(numbers))
    if (was[index] != values[slot].toInt())
      return {};
  if (isInput)
    return input;
  // As every view in ATen is made.
  at::Tensor out = at::detail::make_tensor<c10::TensorImpl>(
      c10::TensorImpl::VIEW, c10::Storage(tensor.storage()), keys,
      tensor.dtype());
  out.unsafeGetTensorImpl()->set_sizes_and_strides(
      at::IntArrayRef(sizes.data(), sizes.size()),
      at::IntArrayRef(strides.data(), strides.size()), offset);
  return out;
}

/// The slots of the numbers among the arguments of a view of its first
/// argument, or nothing if the result may follow from something else as well.
static std::optional<SmallVector<Slot, 2>> numbersOfView(const Graph &graph,
                                                         const Node &node) {
  if (!node.op || !node.info || node.info->effect != OperatorEffect::View ||
      !node.written.empty() || node.aliased.size() != 1 ||
      node.aliased[0] != 0 || node.listResult || node.results.size() != 1 ||
      node.results[0] == noSlot)
    return std::nullopt;
  const Operand &input = node.operands[0];
  if (input.form != Operand::Value ||
      graph.kinds[input.slot] != ValueKind::Tensor)
    return std::nullopt;
  SmallVector<Slot, 2> numbers;
  for (const Operand &operand : drop_begin(node.operands)) {
    if (operand.form == Operand::Literal)
      continue;
    SmallVector<Slot, 4> slots(operand.slots);
    if (operand.form == Operand::Value)
      slots.push_back(operand.slot);
    for (Slot slot : slots) {
      if (slot == noSlot)
        continue;
      if (graph.kinds[slot] != ValueKind::Int)
        return std::nullopt;
      numbers.push_back(slot);
    }
  }
  return numbers;
}

Plan::Plan(const Graph &graph) {
  // What calls point at does not move any more.
  size_t numArguments = 0, numSlots = 0;
  for (const Node &node : graph.nodes) {
    numArguments += node.operands.size();
    numSlots += node.lastUses.size();
    for (const Operand &operand : node.operands)
      numSlots += 1 + operand.slots.size();
  }
  arguments.reserve(numArguments);
  slots.reserve(numSlots);
  made.reserve(graph.nodes.size());

  auto added = [&](ArrayRef<Slot> list) {
    slots.insert(slots.end(), list.begin(), list.end());
    return ArrayRef(slots).take_back(list.size());
  };
  for (const Node &node : graph.nodes) {
    Call call;
    call.node = &node;
    call.op = node.op;
    call.isGuarded = node.op && needsCheck(node);
    if (!node.listResult && node.results.size() == 1)
      call.result = node.results[0];
    if (call.result != noSlot)
      call.kind = graph.kinds[call.result];
    SmallVector<Slot, 4> dying(node.lastUses), listed;
    size_t first = arguments.size();
    // From the end, so that the last of several uses is the last one.
    SmallVector<Argument, 6> reversed;
    for (const Operand &operand : reverse(node.operands)) {
      Argument argument;
      switch (operand.form) {
      case Operand::Literal:
        argument.literal = operand.literal;
        break;
      case Operand::Value: {
        argument.slot = operand.slot;
        argument.from = Argument::Value;
        auto *last = find(dying, operand.slot);
        // A list that comes later may read it, too.
        if (last != dying.end() && !is_contained(listed, operand.slot) &&
            graph.kinds[operand.slot] == ValueKind::Tensor) {
          argument.from = Argument::LastUse;
          dying.erase(last);
        }
        break;
      }
      case Operand::List:
        argument.from = Argument::List;
        append_range(listed, operand.slots);
        break;
      }
      reversed.push_back(std::move(argument));
    }
    for (Argument &argument : reverse(reversed))
      arguments.push_back(std::move(argument));
    call.arguments = ArrayRef(arguments).drop_front(first);
    call.drops = added(dying);
    if (auto numbers = numbersOfView(graph, node)) {
      call.numbers = added(*numbers);
      call.view = static_cast<int32_t>(views.size());
      views.emplace_back();
    }
    made.push_back(call);
  }

  filled.assign(graph.inputs.begin(), graph.inputs.end());
  for (const Node &node : graph.nodes)
    for (Slot slot : node.results)
      if (slot != noSlot)
        filled.push_back(slot);
}
