//===- ArgumentsTest.cpp - Converted arguments ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reference/Graph.h"

#include "Expect.h"

#include <ATen/ATen.h>

#include <cmath>

using namespace llvm;
using namespace weir;
using namespace weir::reference;
using namespace weir::test;

namespace {

/// t is a tensor in slot 0, n an int in slot 1, r a float in slot 2.
Expected<std::pair<Slot, ValueKind>> resolve(StringRef name) {
  if (name == "t")
    return std::make_pair(Slot{0}, ValueKind::Tensor);
  if (name == "n")
    return std::make_pair(Slot{1}, ValueKind::Int);
  if (name == "r")
    return std::make_pair(Slot{2}, ValueKind::Float);
  return createStringError("no value");
}

c10::IValue convert(StringRef text, ParamKind kind, int32_t length = 0) {
  json::Value value = cantFail(json::parse(text));
  Operand operand = valueOf(
      convertArgument(*value.getAsObject(), kind, false, length, resolve));
  static const at::Tensor tensor = at::ones({2});
  return evaluate(operand, {tensor, int64_t{7}, 2.5});
}

TEST(Arguments, NumbersBecomeWhatTheParameterTakes) {
  EXPECT_EQ(convert(R"({"as_int": 3})", ParamKind::Int).toInt(), 3);
  EXPECT_EQ(convert(R"({"as_int": 3})", ParamKind::Float).toDouble(), 3.0);
  EXPECT_TRUE(convert(R"({"as_int": 3})", ParamKind::Number).isInt());
  EXPECT_EQ(convert(R"({"as_bool": true})", ParamKind::Int).toInt(), 1);
  EXPECT_EQ(convert(R"({"as_float": "-Infinity"})", ParamKind::Float).toDouble(),
            -INFINITY);
  EXPECT_TRUE(std::isnan(
      convert(R"({"as_float": "NaN"})", ParamKind::Number).toDouble()));
  at::Tensor wrapped = convert(R"({"as_int": 3})", ParamKind::Tensor).toTensor();
  EXPECT_TRUE(wrapped.unsafeGetTensorImpl()->is_wrapped_number());
  EXPECT_EQ(wrapped.dim(), 0);
}

TEST(Arguments, ValuesBecomeWhatTheParameterTakes) {
  EXPECT_EQ(convert(R"({"as_sym_int": {"as_name": "n"}})", ParamKind::Int).toInt(), 7);
  EXPECT_EQ(convert(R"({"as_sym_int": {"as_int": 4}})", ParamKind::Int).toInt(), 4);
  EXPECT_EQ(convert(R"({"as_sym_int": {"as_name": "n"}})", ParamKind::Float).toDouble(), 7.0);
  EXPECT_EQ(convert(R"({"as_sym_float": {"as_name": "r"}})", ParamKind::Number).toDouble(), 2.5);
  EXPECT_TRUE(convert(R"({"as_sym_int": {"as_name": "n"}})", ParamKind::Tensor)
                  .toTensor().unsafeGetTensorImpl()->is_wrapped_number());
}

TEST(Arguments, Lists) {
  EXPECT_EQ(convert(R"({"as_ints": [1, 2]})", ParamKind::IntList).toIntVector(),
            (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(convert(R"({"as_ints": [1, 2]})", ParamKind::FloatList).toDoubleVector(),
            (std::vector<double>{1, 2}));
  EXPECT_EQ(convert(R"({"as_sym_ints": [{"as_name": "n"}, {"as_int": 2}]})",
                    ParamKind::IntList).toIntVector(),
            (std::vector<int64_t>{7, 2}));
  EXPECT_EQ(convert(R"({"as_int": 5})", ParamKind::IntList, 2).toIntVector(),
            (std::vector<int64_t>{5, 5}));
  EXPECT_EQ(convert(R"({"as_sym_int": {"as_name": "n"}})", ParamKind::IntList, 2)
                .toIntVector(),
            (std::vector<int64_t>{7, 7}));
  EXPECT_EQ(convert(R"({"as_ints": []})", ParamKind::TensorList).toTensorVector().size(), 0u);
  EXPECT_EQ(convert(R"({"as_bools": [true]})", ParamKind::BoolList).toBoolList().get(0), true);
  EXPECT_EQ(convert(R"({"as_strings": ["a"]})", ParamKind::StringList)
                .toList().get(0).toStringRef(), "a");
  auto optional = convert(
      R"({"as_optional_tensors": [{"as_none": true}, {"as_tensor": {"name": "t"}}]})",
      ParamKind::OptionalTensorList).toOptionalTensorList();
  EXPECT_FALSE(std::optional<at::Tensor>(optional.get(0)).has_value());
  EXPECT_TRUE(std::optional<at::Tensor>(optional.get(1)).has_value());
}

TEST(Arguments, NumbersOfTheArchiveAreNotThoseOfATen) {
  EXPECT_EQ(convert(R"({"as_scalar_type": 13})", ParamKind::DType).toScalarType(),
            at::kBFloat16);
  EXPECT_EQ(convert(R"({"as_memory_format": 1})", ParamKind::MemoryFormat).toMemoryFormat(),
            at::MemoryFormat::Contiguous);
  EXPECT_EQ(convert(R"({"as_complex": {"real": 1, "imag": -2}})", ParamKind::Number)
                .toComplexDouble(), c10::complex<double>(1, -2));
}

} // namespace
