//===- SampleInputs.cpp - Sample inputs of a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compilers trace a program with its sample inputs, which an archive holds as a
// pickle of (positional arguments, keywords). This writes such pickles; it never
// reads one.
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"

#include <ATen/Functions.h>
#include <ATen/core/Dict.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <cstring>

using namespace weir;
using namespace weir::pt2;

/// torch._export.serde.schema.ScalarType as c10's.
static std::optional<c10::ScalarType> scalarType(int64_t number) {
  using c10::ScalarType;
  switch (number) {
  case 1:
    return ScalarType::Byte;
  case 2:
    return ScalarType::Char;
  case 3:
    return ScalarType::Short;
  case 4:
    return ScalarType::Int;
  case 5:
    return ScalarType::Long;
  case 6:
    return ScalarType::Half;
  case 7:
    return ScalarType::Float;
  case 8:
    return ScalarType::Double;
  case 12:
    return ScalarType::Bool;
  case 13:
    return ScalarType::BFloat16;
  default:
    return std::nullopt;
  }
}

llvm::Expected<std::vector<std::byte>>
weir::pt2::makeSampleInputs(llvm::ArrayRef<SampleInput> inputs) {
  try {
    std::vector<c10::IValue> positional;
    c10::Dict<std::string, at::Tensor> keywords;
    for (const SampleInput &input : inputs) {
      std::optional<c10::ScalarType> type = scalarType(input.dtype);
      if (!type)
        return llvm::createStringError(
            "no sample can be made of an input of dtype " +
            llvm::Twine(input.dtype));
      at::Tensor tensor =
          at::zeros(c10::IntArrayRef(input.sizes.data(), input.sizes.size()),
                    at::TensorOptions().dtype(*type));
      if (input.keyword.empty())
        positional.emplace_back(tensor);
      else
        keywords.insert(input.keyword, tensor);
    }
    std::vector<char> text = torch::jit::pickle_save(c10::ivalue::Tuple::create(
        {c10::ivalue::Tuple::create(std::move(positional)), keywords}));
    std::vector<std::byte> bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    return bytes;
  } catch (const std::exception &exception) {
    return llvm::createStringError(exception.what());
  }
}
