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

TEST_F(Program, RolesAreFound) {
  auto row = RankedTensorType::get({ShapedType::kDynamic},
                                   IntegerType::get(&context, 64));
  EXPECT_FALSE(program.findInput(InputRole::Plan));
  BlockArgument plan = program.addUserInput(InputRole::Plan, row);
  EXPECT_EQ(program.findInput(InputRole::Plan), plan);
  EXPECT_EQ(program.findInput("plan"), plan);
  EXPECT_EQ(program.getInputRoles(), SmallVector<InputRole>{InputRole::Plan});

  CallOp call = *program.getEntry().getOps<CallOp>().begin();
  auto role = RecordAttr::get(
      &context, StringAttr::get(&context, "seen"),
      Builder(&context).getI64ArrayAttr({1, 2, 3, 4}));
  program.addUserOutput(call.getResult(0), role);
  SmallVector<OutputAttr> outputs = program.getUserOutputs();
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_FALSE(outputs[0].getRole());
  EXPECT_EQ(outputs[1].getRole(), role);
  program.addEdited(SiteKind::Res, 3);
  program.addEdited(SiteKind::Mlp, 4);
  EXPECT_EQ(program.getEdited()->size(), 2u);
  EXPECT_TRUE(succeeded(verify(*module)));
}

TEST_F(Program, RolesAreRecognisedByNameAndType) {
  auto i64 = IntegerType::get(&context, 64);
  auto rows = RankedTensorType::get({ShapedType::kDynamic}, i64);
  auto tokens = RankedTensorType::get(
      {ShapedType::kDynamic, ShapedType::kDynamic}, i64);
  BlockArgument ids = program.addUserInput("input_ids", tokens);
  program.addUserInput("plan", tokens); // fits no plan
  program.recogniseRoles();
  EXPECT_EQ(program.findInput(InputRole::InputIds), ids);
  EXPECT_FALSE(program.findInput(InputRole::Plan));
  // Without positions it is no language model of ours.
  EXPECT_FALSE(program.getUserOutputs()[0].getRole());
  program.addUserInput("positions", tokens);
  program.addUserInput("prompt_length", rows);
  program.recogniseRoles();
  program.recogniseRoles();
  EXPECT_EQ(program.getInputRoles(),
            (SmallVector<InputRole>{InputRole::InputIds, InputRole::Positions,
                                    InputRole::PromptLength}));
  EXPECT_TRUE(isa<LogitsAttr>(program.getUserOutputs()[0].getRole()));
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
