//===- Guards.cpp - What is checked around a call ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Guards.h"

#include "llvm/ADT/STLExtras.h"

#include <ATen/ATen.h>

#include <limits>

using namespace llvm;
using c10::IValue;

namespace weir::reference {
namespace {

bool isSmall(int64_t number) {
  return number >= std::numeric_limits<int32_t>::min() &&
         number <= std::numeric_limits<int32_t>::max();
}

void checkSmall(const Node &node, size_t index, const IValue &value) {
  auto check = [&](int64_t number) {
    TORCH_CHECK(isSmall(number), "argument '", node.op->schema().arguments()[index].name(),
                "' is ", number, ", which is out of range");
  };
  if (value.isInt())
    check(value.toInt());
  else if (value.isIntList())
    for (int64_t number : value.toIntVector())
      check(number);
}

bool isInteger(at::ScalarType type) {
  return c10::isIntegralType(type, /*includeBool=*/false);
}

/// A tensor for a tensor or a number; a number keeps its place in promotion.
at::Tensor asTensor(const IValue &value) {
  if (value.isTensor())
    return value.toTensor();
  at::Tensor tensor = at::scalar_tensor(
      value.toScalar(), at::TensorOptions(value.toScalar().type()));
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return tensor;
}

void checkIntegerDivision(ArrayRef<IValue> arguments) {
  at::Tensor dividend = asTensor(arguments[0]), divisor = asTensor(arguments[1]);
  at::ScalarType type = at::result_type(dividend, divisor);
  // Narrower types are divided in 32 bits.
  if (type != at::kInt && type != at::kLong)
    return;
  int64_t least = type == at::kInt ? std::numeric_limits<int32_t>::min()
                                   : std::numeric_limits<int64_t>::min();
  auto holds = [](const at::Tensor &tensor, int64_t number) {
    return isInteger(tensor.scalar_type()) && tensor.numel() != 0 &&
           tensor.to(at::kLong).eq(number).any().item<bool>();
  };
  TORCH_CHECK(!(holds(divisor, -1) && holds(dividend, least)),
              "the quotient of ", least, " and -1 does not fit its type");
}

/// How many tensors the operator is going to make.
int64_t pieces(const Node &node, ArrayRef<IValue> arguments) {
  at::Tensor self = arguments[0].toTensor();
  if (arguments[1].isIntList()) // sizes
    return static_cast<int64_t>(arguments[1].toListRef().size());
  bool isUnbind = arguments.size() == 2;
  int64_t number = arguments[1].toInt();
  int64_t size = self.size(isUnbind ? number : arguments[2].toInt());
  if (isUnbind)
    return size;
  TORCH_CHECK(number >= 0, "a negative number of pieces");
  auto quotientUp = [](int64_t a, int64_t b) { return a / b + (a % b != 0); };
  if (node.info->guard == OperatorGuard::ChunkCount && number > 0) {
    if (size == 0)
      return number;
    number = quotientUp(size, number);
  }
  return number == 0 ? 1 : std::max<int64_t>(1, quotientUp(size, number));
}

void checkPieces(const Node &node, ArrayRef<IValue> arguments) {
  int64_t count = pieces(node, arguments), named = node.results.size();
  TORCH_CHECK(count == named, "the list would have ", count, " tensors, the graph names ",
              named);
}

void checkAttention(ArrayRef<IValue> arguments) {
  at::Tensor query = arguments[0].toTensor(), key = arguments[1].toTensor(),
             value = arguments[2].toTensor();
  int64_t rank = query.dim();
  TORCH_CHECK(rank >= 2 && rank <= 5 && key.dim() == rank && value.dim() == rank,
              "query, key and value need one rank from 2 to 5, not ", rank,
              ", ", key.dim(), " and ", value.dim());
  TORCH_CHECK(query.scalar_type() == key.scalar_type() &&
                  query.scalar_type() == value.scalar_type() &&
                  at::isFloatingType(query.scalar_type()),
              "query, key and value need one floating-point type");
  for (const at::Tensor &tensor : {query, key, value})
    TORCH_CHECK(tensor.numel() != 0, "attention over nothing");
  TORCH_CHECK(query.size(-1) == key.size(-1) && key.size(-2) == value.size(-2),
              "query ", query.sizes(), ", key ", key.sizes(), " and value ",
              value.sizes(), " do not fit each other");
  for (int64_t i = 0; i + 2 < rank; ++i) {
    bool isHeads = i + 3 == rank;
    TORCH_CHECK(key.size(i) == value.size(i) &&
                    (isHeads ? query.size(i) % key.size(i) == 0
                             : query.size(i) == key.size(i)),
                "query ", query.sizes(), ", key ", key.sizes(), " and value ",
                value.sizes(), " do not fit each other");
  }
}

void checkConvolution(const Node &node, ArrayRef<IValue> arguments) {
  for (auto [parameter, value] :
       zip(node.op->schema().arguments(), arguments)) {
    bool mayBeZero = parameter.name() == "padding" ||
                     parameter.name() == "output_padding";
    auto check = [&](int64_t number) {
      TORCH_CHECK(number >= (mayBeZero ? 0 : 1), "argument '", parameter.name(),
                  "' is ", number);
    };
    if (parameter.name() == "transposed") {
      TORCH_CHECK(!value.toBool(), "transposed convolutions are not supported");
    } else if (value.isInt()) {
      check(value.toInt());
    } else if (value.isIntList()) {
      for (int64_t number : value.toIntVector())
        check(number);
    }
  }
}

} // namespace

bool needsCheck(const Node &node) {
  if (!node.info)
    return false;
  auto isFine = [&](size_t index) {
    const Operand &operand = node.operands[index];
    if (operand.form != Operand::Literal)
      return false;
    const IValue &value = operand.literal;
    return value.isInt() ? isSmall(value.toInt()) : !value.isIntList();
  };
  return node.info->guard != OperatorGuard::None ||
         !all_of(node.smallOperands, isFine);
}

void checkArguments(const Node &node, ArrayRef<IValue> arguments) {
  if (!node.info)
    return;
  for (size_t index : node.smallOperands)
    checkSmall(node, index, arguments[index]);
  switch (node.info->guard) {
  case OperatorGuard::None:
    break;
  case OperatorGuard::IntegerDivision:
    return checkIntegerDivision(arguments);
  case OperatorGuard::PieceCount:
  case OperatorGuard::ChunkCount:
    return checkPieces(node, arguments);
  case OperatorGuard::Attention:
    return checkAttention(arguments);
  case OperatorGuard::Convolution:
    return checkConvolution(node, arguments);
  }
}

void checkResult(const at::Tensor &tensor, uint64_t maxBytes) {
  TORCH_CHECK(tensor.dim() <= 64, "a tensor of ", tensor.dim(), " dimensions");
  // A dimension of zero hides the others, which still are looped over.
  uint64_t bytes = tensor.element_size();
  for (int64_t size : tensor.sizes())
    TORCH_CHECK(!__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1),
                                        &bytes) &&
                    bytes <= maxBytes,
                "a tensor ", tensor.sizes(), " has more than the ", maxBytes,
                " bytes that this program may hold (--max-memory)");
}

} // namespace weir::reference
