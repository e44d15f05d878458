//===- PolicyTest.cpp - What programs may call ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Operators/KernelCalls.h"
#include "weir/Operators/Operators.h"

#include <gtest/gtest.h>

using namespace llvm;
using namespace weir;

namespace {

json::Object programThatCalls(std::vector<std::string> targets) {
  json::Array nodes;
  for (const std::string &target : targets)
    nodes.push_back(json::Object{{"target", target}, {"name", "call"}});
  return json::Object{
      {"graph_module",
       json::Object{{"graph", json::Object{{"nodes", std::move(nodes)}}}}}};
}

std::string errorOf(Error error) {
  return error ? toString(std::move(error)) : "";
}

TEST(Operators, RowsAreFoundByWhatArchivesWrite) {
  const OperatorInfo *add = findOperator("torch.ops.aten.add.Tensor");
  ASSERT_TRUE(add);
  EXPECT_EQ(add->name, "aten.add.Tensor");
  EXPECT_EQ(add->effect, OperatorEffect::None);
  ASSERT_TRUE(findOperator("torch.ops.aten.index_put_.default"));
  EXPECT_EQ(findOperator("torch.ops.aten.index_put_.default")->written, "self");
  EXPECT_TRUE(findOperator("_operator.mul"));
  // Each has one way of being written.
  EXPECT_FALSE(findOperator("aten.add.Tensor"));
  EXPECT_FALSE(findOperator("torch.ops._operator.mul"));
  EXPECT_FALSE(findOperator("torch.ops.aten.add"));
  EXPECT_FALSE(findOperator(""));
}

TEST(Operators, NoRowIsThereTwice) {
  for (const OperatorInfo &info : operatorCatalogue()) {
    EXPECT_EQ(findOperatorNamed(info.name), &info) << info.name.str();
    std::string target =
        info.isBuiltin() ? info.name.str() : ("torch.ops." + info.name).str();
    EXPECT_EQ(findOperator(target), &info) << target;
  }
}

TEST(Operators, TheFirstThatIsNotAllowedIsNamed) {
  OperatorPolicy policy;
  EXPECT_EQ(errorOf(policy.check(programThatCalls(
                {"torch.ops.aten.add.Tensor", "torch.ops.aten.set_.default",
                 "torch.ops.aten._print.default"}))),
            "node 1 ('call') calls aten.set_.default, which is not one of the "
            "operators that a program may call: export the model without it or, "
            "if you trust the archive as you trust code, give --allow-operator "
            "aten.set_.default (what is built with it needs it again when it "
            "runs)");
  EXPECT_EQ(errorOf(policy.check(programThatCalls({"_operator.add"}))), "");
  EXPECT_NE(errorOf(policy.check(
                        programThatCalls({"torch.ops.higher_order.cond"})))
                .find("run_decompositions()"),
            std::string::npos);
  // Others say what is wrong with these.
  EXPECT_EQ(errorOf(policy.check(json::Object{})), "");
}

TEST(Operators, WhatTheUserNamesIsAllowedWithAWarning) {
  json::Object program = programThatCalls({"torch.ops.aten.fft_rfft.default",
                                           "torch.ops.aten.fft_rfft.default",
                                           "torch.ops.aten.add.Tensor"});
  OperatorPolicy policy;
  EXPECT_EQ(errorOf(policy.allowAll({"aten.fft_rfft.default", "aten.add.Tensor",
                                  "aten.fft_fft.default"})),
            "");
  EXPECT_EQ(errorOf(policy.check(program)), "");
  std::vector<std::string> warnings = policy.warnings(program);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("aten.fft_rfft.default"), std::string::npos);
}

TEST(Operators, WhatIsKnownIsNotAllowedForThat) {
  StringRef name = "torch.ops.aten._weight_int8pack_mm.default";
  ASSERT_TRUE(findOperator(name));
  EXPECT_EQ(findOperator(name)->packing, WeightPacking::Int8);
  OperatorPolicy policy;
  json::Object program = programThatCalls({name.str()});
  EXPECT_FALSE(policy.allows(name));
  EXPECT_NE(errorOf(policy.check(program)).find("--allow-operator"),
            std::string::npos);
  EXPECT_EQ(errorOf(policy.allow(name)), "");
  EXPECT_EQ(errorOf(policy.check(program)), "");
  EXPECT_EQ(policy.warnings(program).size(), 1u);
}

TEST(Operators, ArgumentsAreLookedUpWhole) {
  const OperatorInfo *convolution = findOperatorNamed("aten.conv1d.default");
  ASSERT_TRUE(convolution);
  EXPECT_TRUE(convolution->wantsSmall("padding"));
  EXPECT_FALSE(convolution->wantsSmall("pad"));
  EXPECT_FALSE(convolution->wantsSmall(""));
  EXPECT_FALSE(convolution->writes(""));
  EXPECT_FALSE(convolution->writes("input"));
  EXPECT_TRUE(findOperatorNamed("aten.add_.Tensor")->writes("self"));
  EXPECT_FALSE(findOperatorNamed("aten.add_.Tensor")->writes("other"));
}

TEST(Operators, ViewsAndChecksCostNothing) {
  for (const OperatorInfo &info : operatorCatalogue())
    if (info.effect == OperatorEffect::View ||
        info.effect == OperatorEffect::Checks || info.isBuiltin())
      EXPECT_EQ(info.costKind(), OperatorCost::Nothing) << info.name.str();
  EXPECT_EQ(findOperatorNamed("aten.linear.default")->costKind(),
            OperatorCost::Product);
  EXPECT_EQ(findOperatorNamed("aten.add.Tensor")->costKind(),
            OperatorCost::Numbers);
}

TEST(Operators, NamesAreThoseOfOverloads) {
  OperatorPolicy policy;
  for (const char *name : {"", "aten", "aten.fft_rfft", "aten..default",
                           "aten.a.b.c", "aten.add Tensor", "torch.ops.aten",
                           "aten::fft_rfft", "*"})
    EXPECT_NE(errorOf(policy.allow(name)).find("is not the name of an"),
              std::string::npos)
        << name;
}

TEST(Operators, CallsOfKernelsNeedTheirKernels) {
  for (StringRef target : {"torch.ops.weir.edit.default",
                           "torch.ops.weir.edit_and_read.default"}) {
    EXPECT_TRUE(isKernelCall(target));
    // The name alone is allowed; whether there are kernels is another question.
    EXPECT_TRUE(OperatorPolicy().allows(target));
    std::string error = errorOf(refuseKernelCalls(
        programThatCalls({"torch.ops.aten.add.Tensor", target.str()}),
        "find them"));
    StringRef name = target.drop_front(StringRef("torch.ops.").size());
    EXPECT_TRUE(StringRef(error).starts_with(("node 1 calls " + name).str()))
        << error;
    EXPECT_TRUE(StringRef(error).ends_with("; find them")) << error;
  }
  for (StringRef target :
       {"torch.ops.aten.add.Tensor", "torch.ops.weir.load_kernels.default",
        "torch.ops.weir.edit_.default", "weir.edit.default", "_operator.mul",
        "torch.ops.weir.quantized_linear.default"})
    EXPECT_FALSE(isKernelCall(target)) << target.str();
  // They are Weir's own, and no program brings them along.
  for (StringRef target : {"torch.ops.weir.quantized_linear.default",
                           "torch.ops.weir.quantized_linears.default",
                           "torch.ops.weir.quantized_embedding.default",
                           "torch.ops.weir.cached_attention.default",
                           "torch.ops.weir.rms_norm.default",
                           "torch.ops.weir.rotate.default"})
    EXPECT_TRUE(OperatorPolicy().allows(target)) << target.str();
  // Nobody but the user allows a program to load code.
  EXPECT_FALSE(OperatorPolicy().allows("torch.ops.weir.load_kernels.default"));
  EXPECT_EQ(errorOf(refuseKernelCalls(
                programThatCalls({"torch.ops.aten.add.Tensor"}), "")),
            "");
  EXPECT_EQ(errorOf(refuseKernelCalls(json::Object{}, "")), "");
}

} // namespace
