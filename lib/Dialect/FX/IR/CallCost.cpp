//===- CallCost.cpp - What a call moves and computes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/IR/CallCost.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::fx;

CallCost &CallCost::operator+=(const CallCost &other) {
  bytesRead += other.bytesRead;
  bytesWritten += other.bytesWritten;
  operations += other.operations;
  return *this;
}

/// The sizes of a tensor when it was traced, or none.
static std::optional<SmallVector<int64_t>> sizesWhenTraced(Value value) {
  auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : nullptr;
  if (!type)
    return std::nullopt;
  SmallVector<int64_t> sizes;
  for (Attribute size : sizesOf(type)) {
    if (auto expr = dyn_cast_if_present<SymExprAttr>(size))
      size = expr.getHint();
    auto number = dyn_cast_if_present<IntegerAttr>(size);
    if (!number)
      return std::nullopt;
    sizes.push_back(number.getInt());
  }
  return sizes;
}

static std::optional<int64_t> numbersOf(Value value) {
  auto sizes = sizesWhenTraced(value);
  if (!sizes)
    return std::nullopt;
  int64_t count = 1;
  for (int64_t size : *sizes)
    if (llvm::MulOverflow(count, size, count))
      return std::nullopt;
  return count;
}

static int64_t bytesOfNumber(Value value) {
  Type element = cast<RankedTensorType>(value.getType()).getElementType();
  int64_t parts = 1;
  if (auto complex = dyn_cast<ComplexType>(element)) {
    element = complex.getElementType();
    parts = 2;
  }
  return parts * llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

/// The size of the last dimension, 1 for a tensor of none.
static std::optional<int64_t> lastSize(Value value) {
  auto sizes = sizesWhenTraced(value);
  if (!sizes)
    return std::nullopt;
  return sizes->empty() ? 1 : sizes->back();
}

/// How many products each number of a result is the sum of.
static std::optional<int64_t> summedProducts(CallOp call,
                                             const OperatorInfo &info) {
  Value weight = call.getMainWeight();
  bool isMatrix = weight && info.layout == WeightLayout::OutIn &&
                  info.packing == WeightPacking::Plain;
  if (!isMatrix)
    return lastSize(call.getMainInput());
  auto sizes = sizesWhenTraced(weight);
  std::optional<int64_t> numbers = numbersOf(weight);
  if (!sizes || !numbers || sizes->empty() || sizes->front() == 0)
    return std::nullopt;
  return *numbers / sizes->front();
}

/// Operations of a call, given the numbers of its first result, or those of all
/// results where each is a product.
static std::optional<int64_t> operationsOf(CallOp call,
                                           const OperatorInfo &info,
                                           int64_t results) {
  Value input = call.getMainInput();
  std::optional<int64_t> numbers = numbersOf(input), last = lastSize(input);
  switch (info.costKind()) {
  case OperatorCost::Nothing:
  case OperatorCost::Moves:
  case OperatorCost::Rows:
  case OperatorCost::Places:
    return 0;
  case OperatorCost::Numbers:
    return info.operations * results;
  case OperatorCost::Product: {
    std::optional<int64_t> products = summedProducts(call, info);
    return products ? std::optional(2 * results * *products) : std::nullopt;
  }
  case OperatorCost::Reduction:
    return numbers ? std::optional(info.operations * *numbers) : std::nullopt;
  case OperatorCost::Sort:
    if (!numbers || !last)
      return std::nullopt;
    return *numbers * static_cast<int64_t>(llvm::Log2_64_Ceil(
                          std::max<int64_t>(*last, 1)));
  case OperatorCost::Attention:
  case OperatorCost::CachedAttention: {
    size_t slots = info.costKind() == OperatorCost::Attention ? 2 : 3;
    auto keys = sizesWhenTraced(call.getArgumentValue("key"));
    std::optional<int64_t> width = lastSize(call.getArgumentValue("value"));
    if (!numbers || !last || *last == 0 || !keys || keys->size() < slots || !width)
      return std::nullopt;
    int64_t scores = *numbers / *last * (*keys)[keys->size() - slots];
    return scores * (2 * *last + 5 + 2 * *width);
  }
  case OperatorCost::Unknown:
    return std::nullopt;
  }
  llvm_unreachable("all kinds of cost are handled");
}

bool weir::fx::readsWhole(CallOp call, OpOperand &operand) {
  const OperatorInfo *info = call.getOperatorInfo();
  if (!info)
    return true;
  switch (info->costKind()) {
  case OperatorCost::Nothing:
    return false;
  case OperatorCost::Rows: {
    Value table = info->weight.empty() ? call.getMainInput()
                                       : call.getMainWeight();
    return operand.get() != table;
  }
  case OperatorCost::Places: {
    bool isWritten = false;
    call.forEachWritten(
        [&](OpOperand &written) { isWritten |= &written == &operand; });
    return !isWritten;
  }
  default:
    return true;
  }
}

std::optional<CallCost> weir::fx::costOf(CallOp call) {
  const OperatorInfo *info = call.getOperatorInfo();
  if (!info)
    return std::nullopt;
  CallCost cost;
  if (info->costKind() == OperatorCost::Nothing)
    return cost;
  bool isKnown = true;
  auto bytesOf = [&](Value value) -> int64_t {
    if (!isa<RankedTensorType>(value.getType()))
      return 0;
    std::optional<int64_t> numbers = numbersOf(value);
    isKnown &= numbers.has_value();
    return numbers.value_or(0) * bytesOfNumber(value);
  };
  // A result of an operator that writes is what it wrote into.
  int64_t results = 0, source = 0;
  for (Value result : call.getResults())
    results += bytesOf(result);
  for (OpOperand &operand : call->getOpOperands())
    if (readsWhole(call, operand)) {
      int64_t bytes = bytesOf(operand.get());
      cost.bytesRead += bytes;
      source = std::max(source, bytes);
    }
  cost.bytesWritten = results;
  if (info->costKind() == OperatorCost::Rows)
    cost.bytesRead += results;
  if (info->costKind() == OperatorCost::Places)
    cost.bytesWritten = source;
  std::optional<int64_t> first = 0;
  bool isProduct = info->costKind() == OperatorCost::Product;
  for (Value result : call.getResults().take_front(isProduct ? call.getNumResults() : 1))
    if (std::optional<int64_t> numbers = numbersOf(result); numbers && first)
      first = *first + *numbers;
    else
      first = std::nullopt;
  std::optional<int64_t> operations =
      first ? operationsOf(call, *info, *first) : std::nullopt;
  if (!isKnown || !operations)
    return std::nullopt;
  cost.operations = *operations;
  return cost;
}
