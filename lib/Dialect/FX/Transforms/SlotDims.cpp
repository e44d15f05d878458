//===- SlotDims.cpp - Which dimensions are positions of a cache ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SlotDims.h"

using namespace mlir;
using namespace weir;
using namespace weir::fx;

/// The only operator that is known by its name: calls of it are made here too.
static constexpr StringLiteral sliceOperator = "aten.slice.Tensor";

static ArrayRef<int64_t> shapeOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getShape() : ArrayRef<int64_t>();
}

static int64_t numDims(Value value) { return shapeOf(value).size(); }

/// A dimension that may be counted from the end.
static int64_t fromFront(int64_t dim, int64_t rank) {
  return dim < 0 ? dim + rank : dim;
}

int64_t SlotDims::sizeAt(Value value) const {
  return shapeOf(value)[dims.lookup(value)];
}

bool SlotDims::give(Value value, int64_t dim) {
  dims[value] = dim;
  return true;
}

bool SlotDims::narrow(OpOperand &operand, int64_t dim) {
  narrowed[{operand.getOwner(), operand.getOperandNumber()}] = dim;
  return true;
}

/// Results that have the shape of their operands, such as sums, functions and
/// conversions: dimensions are aligned at the end.
bool SlotDims::trackAlike(CallOp call) {
  if (call->getNumResults() != 1)
    return false;
  Value result = call.getResult(0);
  std::optional<int64_t> fromEnd;
  int64_t size = 0;
  for (Value operand : call->getOperands())
    if (isTracked(operand)) {
      int64_t end = numDims(operand) - dims[operand];
      if (fromEnd && *fromEnd != end)
        return false;
      fromEnd = end;
      size = sizeAt(operand);
    }
  auto aligned = [&](Value value) -> int64_t {
    int64_t dim = numDims(value) - *fromEnd;
    return dim < 0 ? 1 : shapeOf(value)[dim];
  };
  if (numDims(result) < *fromEnd || aligned(result) != size)
    return false;
  for (OpOperand &operand : call->getOpOperands()) {
    Value value = operand.get();
    if (!isa<RankedTensorType>(value.getType()) || isTracked(value))
      continue;
    if (aligned(value) == size)
      narrow(operand, numDims(value) - *fromEnd);
    else if (aligned(value) != 1)
      return false;
  }
  return give(result, numDims(result) - *fromEnd);
}

/// Products of queries with keys [.., d, slots], and of weights [.., slots] with
/// values [.., slots, d].
bool SlotDims::trackProduct(CallOp call) {
  if (call->getNumOperands() != 2 || call->getNumResults() != 1)
    return false;
  Value left = call->getOperand(0), right = call->getOperand(1);
  Value result = call.getResult(0);
  if (isTracked(right) && !isTracked(left))
    return dims[right] == numDims(right) - 1 && give(result, numDims(result) - 1);
  return isTracked(left) && isTracked(right) &&
         dims[left] == numDims(left) - 1 && dims[right] == numDims(right) - 2;
}

bool SlotDims::trackAttention(CallOp call) {
  Value query = call.getArgumentValue("query"), key = call.getArgumentValue("key"),
        value = call.getArgumentValue("value"),
        mask = call.getArgumentValue("attn_mask");
  // Weir's own has [rows, slots, groups, d], and looks at slots up to a token's last.
  if (call.getArgumentValue("last"))
    return key && value && query && !isTracked(query) && isTracked(key) &&
           isTracked(value) && dims[key] == numDims(key) - 3 &&
           dims[value] == numDims(value) - 3;
  if (!query || !key || !value || !mask || isTracked(query) ||
      isTracked(mask) || !isTracked(key) || !isTracked(value) ||
      dims[key] != numDims(key) - 2 || dims[value] != numDims(value) - 2 ||
      numDims(mask) < 2 || shapeOf(mask).back() != sizeAt(key))
    return false;
  for (OpOperand &operand : call->getOpOperands())
    if (operand.get() == mask)
      narrow(operand, numDims(mask) - 1);
  return true;
}

bool SlotDims::trackSlice(CallOp call, int64_t dim, int64_t slots) {
  Value result = call.getResult(0);
  int64_t sliced =
      fromFront(call.getArgumentInt("dim").value_or(0), numDims(result));
  if (sliced != dim)
    return give(result, dim);
  // The first ones, and more of them than are kept.
  Attribute start = call.getArgument("start");
  bool fromStart = !start || isa<UnitAttr>(start) ||
                   call.getArgumentInt("start") == std::optional<int64_t>(0);
  std::optional<int64_t> end = call.getArgumentInt("end");
  return fromStart && end && *end >= slots &&
         call.getArgumentInt("step").value_or(1) == 1 && give(result, dim);
}

bool SlotDims::trackCall(CallOp call, int64_t slots) {
  const OperatorInfo *info = call.getOperatorInfo();
  if (!info)
    return false;
  if (info->role == OperatorRole::Attention)
    return trackAttention(call);
  if (info->effect == OperatorEffect::Writes) {
    bool written = false;
    call.forEachWritten([&](OpOperand &operand) {
      written |= isTracked(operand.get());
    });
    for (Value operand : call->getOperands())
      if (isTracked(operand) && written)
        return call->getNumResults() == 1 &&
               give(call.getResult(0), dims[operand]);
    return false;
  }
  Value input = call.getMainInput();
  if (call.getTarget() == sliceOperator)
    return isTracked(input) && trackSlice(call, dims[input], slots);
  if (info->role == OperatorRole::Transpose) {
    if (!input || !isTracked(input))
      return false;
    int64_t rank = numDims(input), dim = dims[input];
    if (auto order = dyn_cast_if_present<ListAttr>(call.getArgument("dims"))) {
      for (auto [place, from] : llvm::enumerate(order.getElements()))
        if (auto number = dyn_cast<IntegerAttr>(from);
            number && fromFront(number.getInt(), rank) == dim)
          return give(call.getResult(0), place);
      return false;
    }
    std::optional<int64_t> first = call.getArgumentInt("dim0"),
                           second = call.getArgumentInt("dim1");
    if (!first || !second)
      return false;
    int64_t a = fromFront(*first, rank), b = fromFront(*second, rank);
    return give(call.getResult(0), dim == a ? b : dim == b ? a : dim);
  }
  if (info->cost == OperatorCost::Product)
    return trackProduct(call);
  // Another look at memory says its sizes itself, unless it is the same look.
  if (info->role == OperatorRole::Reshape ||
      (info->effect == OperatorEffect::View &&
       info->identity == OperatorIdentity::Never))
    return false;
  return trackAlike(call);
}

void SlotDims::track(ArrayRef<BlockArgument> caches, ArrayRef<CallOp> calls,
                     int64_t slots) {
  dims.clear();
  narrowed.clear();
  if (slots == 0)
    return;
  bool known = true;
  for (BlockArgument cache : caches) {
    known &= shapeOf(cache)[1] >= slots;
    dims[cache] = 1;
  }
  for (CallOp call : calls)
    if (llvm::any_of(call->getOperands(),
                     [&](Value operand) { return isTracked(operand); }))
      known = known && trackCall(call, slots);
  if (known)
    return;
  dims.clear();
  narrowed.clear();
}

static void setSize(Value value, int64_t dim, int64_t size) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<Attribute> sizes = sizesOf(type);
  sizes[dim] = IntegerAttr::get(IntegerType::get(type.getContext(), 64), size);
  value.setType(tensorOf(sizes, type.getElementType()));
}

void SlotDims::apply(CallOp call, CallOp copy, OpBuilder &builder,
                     int64_t slots) {
  for (auto [before, after] :
       llvm::zip_equal(call.getResults(), copy.getResults()))
    if (isTracked(before))
      setSize(after, dims[before], slots);
  for (OpOperand &operand : copy->getOpOperands()) {
    auto found = narrowed.find({call, operand.getOperandNumber()});
    if (found == narrowed.end())
      continue;
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(copy);
    auto type = cast<RankedTensorType>(operand.get().getType());
    SmallVector<Attribute> sizes = sizesOf(type);
    sizes[found->second] = builder.getI64IntegerAttr(slots);
    auto first = CallOp::create(builder, copy.getLoc(),
                                tensorOf(sizes, type.getElementType()),
                                sliceOperator,
                                {{"self", operand.get()},
                                 {"dim", found->second},
                                 {"start", 0},
                                 {"end", slots}});
    operand.set(first.getResult(0));
  }
}
