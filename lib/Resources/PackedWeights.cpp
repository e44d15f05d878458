//===- PackedWeights.cpp - Weights in blocks as numbers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PackedWeights.h"

#include "weir/Kernels/Blocks.h"

using namespace mlir;
using namespace weir;
using namespace weir::fx;

llvm::StringRef flow::packedType(ProgramOp program, WeightAttr weight) {
  StringRef found;
  program.walk([&](CallOp call) {
    const OperatorInfo *info = call.getOperatorInfo();
    if (!info || info->packing != WeightPacking::Blocks)
      return WalkResult::advance();
    auto argument = dyn_cast_if_present<BlockArgument>(call.getMainWeight());
    if (!argument ||
        program.getInput(argument.getArgNumber()).getWeight() != weight)
      return WalkResult::advance();
    if (auto type = dyn_cast_if_present<StringAttr>(call.getArgument("type")))
      found = type.getValue();
    return WalkResult::interrupt();
  });
  return found;
}

llvm::Expected<TensorView> flow::unpackedWeight(const TensorView &packed,
                                                StringRef type) {
  const blocks::Type *known = blocks::find(std::string_view(type));
  if (!known)
    return llvm::createStringError("there are no weights of type '" + type +
                                   "'; known are " + blocks::names());
  if (packed.dtype != DType::UInt8 || packed.rank() != 2 ||
      packed.shape[1] % known->bytes)
    return llvm::createStringError("the bytes of a weight of type " + type +
                                   " are no whole blocks");
  if (!blocks::runsHere())
    return llvm::createStringError(
        "weights in blocks need a processor with AVX2 and FMA");
  int64_t rows = packed.shape[0];
  int64_t width = packed.shape[1] / known->bytes * known->numbers;
  std::optional<int64_t> bytes = checkedBytes({rows, width}, sizeof(float));
  if (!bytes)
    return llvm::createStringError("a weight of type " + type + " is too large");
  auto numbers = std::make_shared<std::vector<float>>(*bytes / sizeof(float));
  blocks::unpack({known, reinterpret_cast<const uint8_t *>(packed.data),
                  packed.shape[1], width},
                 0, rows, numbers->data(), width);
  TensorView view;
  view.dtype = DType::Float32;
  view.shape = {rows, width};
  view.data = reinterpret_cast<const std::byte *>(numbers->data());
  view.owner = std::move(numbers);
  return view;
}
