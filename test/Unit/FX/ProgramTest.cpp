//===- ProgramTest.cpp - Changing programs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/IR/FX.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace weir;
using namespace weir::fx;

namespace {

class Program : public testing::Test {
protected:
  Program() {
    context.loadDialect<FXDialect>();
    module = parseSourceString<ModuleOp>(R"mlir(
      fx.program @main(
          %w: tensor<8x4xf32> = #fx.input<parameter "model"::"w"> {requires_grad = true},
          %ids: tensor<?xi64, #fx.dims<s0 = 2>> = #fx.input<user_input>,
          %t: !fx.token = #fx.input<token>) {
        %e = fx.call @aten.embedding.default(weight = %w, indices = %ids) : (tensor<8x4xf32>, tensor<?xi64, #fx.dims<s0 = 2>>) -> tensor<?x4xf32, #fx.dims<s0 = 2>>
        fx.return %e : tensor<?x4xf32, #fx.dims<s0 = 2>> as [#fx.output<user_output>]
      }
    )mlir",
                                         ParserConfig(&context));
    program = *module->getOps<ProgramOp>().begin();
  }
  std::vector<std::string> names() {
    std::vector<std::string> result;
    for (unsigned i = 0; i < program.getEntry().getNumArguments(); ++i)
      result.push_back(program.getInputName(i).str());
    return result;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  ProgramOp program;
};

TEST_F(Program, InputsAreFound) {
  EXPECT_EQ(program.findInput("ids").getArgNumber(), 1u);
  EXPECT_FALSE(program.findInput("gone"));
  EXPECT_EQ(program.findWeight(WeightAttr::get(&context, "model", "w")),
            program.findInput("w"));
  EXPECT_FALSE(program.findWeight(WeightAttr::get(&context, "other", "w")));
  ASSERT_EQ(program.getUserInputs().size(), 1u);
  EXPECT_EQ(program.getInput(0).getKind(), InputKind::Parameter);
}

TEST_F(Program, UserInputsComeAfterTheOthersOfTheirKind) {
  Type type = program.findInput("ids").getType();
  BlockArgument plan = program.addUserInput("plan", type);
  BlockArgument knobs = program.addUserInput("knobs", type);
  EXPECT_EQ(names(),
            (std::vector<std::string>{"w", "ids", "plan", "knobs", "t"}));
  EXPECT_EQ(plan.getArgNumber(), 2u);
  EXPECT_EQ(knobs, program.findInput("knobs"));
  EXPECT_EQ(program.getInput(3).getKind(), InputKind::UserInput);
  // What is known of the inputs moved along.
  EXPECT_EQ(program.getInputMeta()->size(), 5u);
  EXPECT_FALSE(cast<DictionaryAttr>((*program.getInputMeta())[0]).empty());
  EXPECT_TRUE(succeeded(verify(*module)));
}

TEST_F(Program, UserOutputsFollow) {
  CallOp call = *program.getEntry().getOps<CallOp>().begin();
  program.addUserOutput(call.getResult(0));
  program.addUserOutput(program.findInput("w"));
  ReturnOp ret = program.getReturn();
  EXPECT_EQ(ret.getOutputs().size(), 3u);
  EXPECT_EQ(ret.getValues().back(), program.findInput("w"));
  EXPECT_EQ(cast<OutputAttr>(ret.getOutputs()[2]).getKind(),
            OutputKind::UserOutput);
  EXPECT_TRUE(succeeded(verify(*module)));
}

TEST_F(Program, SitesTakeTheTypeOfTheirInput) {
  CallOp call = *program.getEntry().getOps<CallOp>().begin();
  OpBuilder builder(&context);
  builder.setInsertionPointAfter(call);
  auto site = SiteOp::create(builder, call.getLoc(), SiteKind::Head, 7,
                             call.getResult(0));
  EXPECT_EQ(site.getType(), call.getResult(0).getType());
  EXPECT_EQ(siteName(site.getKind(), site.getLayer()), "7/head");
  EXPECT_TRUE(succeeded(verify(*module)));
}

} // namespace
