//===- ReferenceEngineTest.cpp - A walk over small graphs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Engine.h"

#include "Expect.h"
#include "TestArchive.h"

#include <ATen/ATen.h>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

std::unique_ptr<Engine> engineFor(std::shared_ptr<Archive> archive) {
  return valueOf(createReferenceEngine(std::move(archive)));
}

std::unique_ptr<Engine> engineFor(const GraphText &graph) {
  return engineFor(std::make_shared<TestArchive>(graph.object()));
}

/// Runs a program with one output.
at::Tensor run(Engine &engine, std::vector<at::Tensor> inputs) {
  std::vector<at::Tensor> outputs = valueOf(engine.run(inputs));
  EXPECT_EQ(outputs.size(), 1u);
  return outputs.at(0).clone();
}

TEST(ReferenceEngine, NumbersForTensorsDoNotPromote) {
  // An int tensor plus a Python float is a float; a bf16 tensor stays bf16.
  auto graph = [&](int dtype, const std::string &number) {
    return GraphText()
        .input("x", dtype, {2})
        .node("torch.ops.aten.mul.Tensor",
              {{"self", tensor("x")}, {"other", number}}, {tensor("y")})
        .output("y");
  };
  auto half = engineFor(graph(13, R"({"as_float": 0.5})"));
  at::Tensor y = run(*half, {at::ones({2}, at::kBFloat16)});
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  auto integer = engineFor(graph(5, R"({"as_float": 0.5})"));
  EXPECT_EQ(run(*integer, {at::ones({2}, at::kLong)}).scalar_type(), at::kFloat);
  auto small = engineFor(graph(4, R"({"as_int": 5})"));
  EXPECT_EQ(run(*small, {at::ones({2}, at::kInt)}).scalar_type(), at::kInt);
  // Symbolic numbers are such numbers as well.
  auto symbolic = engineFor(
      GraphText()
          .input("x", 13, {-1})
          .node("torch.ops.aten.sym_size.int",
                {{"self", tensor("x")}, {"dim", R"({"as_int": 0})"}},
                {symInt("n")})
          .node("torch.ops.aten.mul.Tensor",
                {{"self", tensor("x")}, {"other", symInt("n")}}, {tensor("y")})
          .output("y"));
  y = run(*symbolic, {at::ones({3}, at::kBFloat16)});
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(y, at::full({3}, 3, at::kBFloat16)));
}

TEST(ReferenceEngine, SymbolicSizes) {
  auto engine = engineFor(
      GraphText()
          .input("x", 7, {-1, 2})
          .node("torch.ops.aten.sym_size.int",
                {{"self", tensor("x")}, {"dim", R"({"as_int": 0})"}},
                {symInt("n")})
          .node("_operator.mul",
                {{"a", symInt("n")}, {"b", R"({"as_int": 2})"}}, {symInt("m")})
          .node("torch.ops.aten.view.default",
                {{"self", tensor("x")},
                 {"size", R"({"as_sym_ints": [{"as_int": 1}, {"as_name": "m"}]})"}},
                {tensor("y")})
          .output("y"));
  EXPECT_EQ(run(*engine, {at::ones({3, 2})}).sizes(), at::IntArrayRef({1, 6}));
  EXPECT_EQ(run(*engine, {at::ones({5, 2})}).sizes(), at::IntArrayRef({1, 10}));
}

TEST(ReferenceEngine, ListsAndMissingTensors) {
  auto engine = engineFor(
      GraphText()
          .input("x", 7, {2, 4})
          .input("ids", 5, {-1})
          .node("torch.ops.aten.split.Tensor",
                {{"self", tensor("x")}, {"split_size", R"({"as_int": 2})"},
                 {"dim", R"({"as_int": 1})"}},
                {R"({"as_tensors": [{"name": "a"}, {"name": "b"}]})"})
          .node("torch.ops.aten.cat.default",
                {{"tensors", R"({"as_tensors": [{"name": "b"}, {"name": "a"}]})"},
                 {"dim", R"({"as_int": 1})"}},
                {tensor("c")})
          .node("torch.ops.aten.index.Tensor",
                {{"self", tensor("c")},
                 {"indices",
                  R"({"as_optional_tensors": [{"as_none": true}, {"as_tensor": {"name": "ids"}}]})"}},
                {tensor("y")})
          .output("y"));
  at::Tensor x = at::arange(8, at::kFloat).view({2, 4});
  at::Tensor ids = at::tensor({0, 3}, at::kLong);
  EXPECT_TRUE(at::equal(run(*engine, {x, ids}),
                        at::tensor({2.f, 1.f, 6.f, 5.f}).view({2, 2})));
}

TEST(ReferenceEngine, BuffersKeepTheirStateAndTheFileItsBytes) {
  auto archive = std::make_shared<TestArchive>(
      GraphText()
          .bound("buffer", "b_count", "count")
          .bound("parameter", "p_w", "w")
          .input("x", 7, {2})
          .node("torch.ops.aten.add_.Tensor",
                {{"self", tensor("b_count")}, {"other", tensor("x")}},
                {tensor("now")})
          .node("torch.ops.aten.mul.Tensor",
                {{"self", tensor("now")}, {"other", tensor("p_w")}},
                {tensor("y")})
          .output("y")
          .object());
  archive->weight("count", {0, 0}, {2}).weight("w", {1, 10}, {2});
  auto engine = engineFor(archive);
  at::Tensor x = at::tensor({1.f, 2.f});
  EXPECT_TRUE(at::equal(run(*engine, {x}), at::tensor({1.f, 20.f})));
  EXPECT_TRUE(at::equal(run(*engine, {x}), at::tensor({2.f, 40.f})));
  EXPECT_EQ(archive->stored("count"), std::vector<float>({0, 0}));
  // Another engine begins again.
  EXPECT_TRUE(at::equal(run(*engineFor(archive), {x}), at::tensor({1.f, 20.f})));
}

TEST(ReferenceEngine, BufferMutationsAreWrittenBack) {
  auto archive = std::make_shared<TestArchive>(
      GraphText()
          .bound("buffer", "b_count", "count")
          .input("x", 7, {2})
          .node("torch.ops.aten.add.Tensor",
                {{"self", tensor("b_count")}, {"other", tensor("x")}},
                {tensor("next")})
          .node("torch.ops.aten.mul.Tensor",
                {{"self", tensor("b_count")}, {"other", R"({"as_int": 10})"}},
                {tensor("y")})
          .writes("next", "count")
          .output("y")
          .object());
  archive->weight("count", {1, 1}, {2});
  auto engine = engineFor(archive);
  EXPECT_EQ(engine->numOutputs(), 1u);
  at::Tensor x = at::tensor({1.f, 2.f});
  EXPECT_TRUE(at::equal(run(*engine, {x}), at::tensor({10.f, 10.f})));
  EXPECT_TRUE(at::equal(run(*engine, {x}), at::tensor({20.f, 30.f})));
}

TEST(ReferenceEngine, TiedWeightsShareMemory) {
  auto archive = std::make_shared<TestArchive>(
      GraphText()
          .bound("parameter", "p_a", "a")
          .bound("parameter", "p_b", "b")
          .input("x", 7, {2})
          .node("torch.ops.aten.add_.Tensor",
                {{"self", tensor("p_a")}, {"other", tensor("x")}},
                {tensor("now")})
          .node("torch.ops.aten.clone.default", {{"self", tensor("p_b")}},
                {tensor("y")})
          .output("y")
          .object());
  archive->weight("a", {1, 2}, {2}).tied("b", "a");
  EXPECT_TRUE(at::equal(run(*engineFor(archive), {at::ones({2})}),
                        at::tensor({2.f, 3.f})));
}

TEST(ReferenceEngine, ChecksInputs) {
  auto engine = engineFor(GraphText()
                              .input("x", 7, {-1, 2})
                              .node("torch.ops.aten.relu.default",
                                    {{"self", tensor("x")}}, {tensor("y")})
                              .output("y"));
  EXPECT_OK(engine->run({at::ones({3, 2})}));
  EXPECT_ERROR(engine->run({}), "takes 1 inputs, 0 are given");
  EXPECT_ERROR(engine->run({at::ones({3, 2}, at::kDouble)}),
               "input 'x' is Double, the program takes Float");
  EXPECT_ERROR(engine->run({at::ones({2})}), "has 1 dimensions");
  EXPECT_ERROR(engine->run({at::ones({3, 3})}),
               "dimension 1 of input 'x' is 3, the program takes 2");
  EXPECT_ERROR(engine->run({at::Tensor()}), "undefined");
}

TEST(ReferenceEngine, ChecksSizesAgainstTheirSymbols) {
  json::Object model = GraphText()
                           .input("x", 7, {1, 1})
                           .input("y", 7, {1})
                           .node("torch.ops.aten.add.Tensor",
                                 {{"self", tensor("x")}, {"other", tensor("y")}},
                                 {tensor("z")})
                           .output("z")
                           .object();
  auto size = [](StringRef symbol) {
    return json::Object{
        {"as_expr",
         json::Object{{"expr_str", ("Symbol('" + symbol +
                                    "', positive=True, integer=True)")
                                       .str()}}}};
  };
  json::Object &values = *model.getObject("graph_module")
                              ->getObject("graph")
                              ->getObject("tensor_values");
  (*values.getObject("x"))["sizes"] = json::Array{size("s1"), size("s2")};
  (*values.getObject("y"))["sizes"] = json::Array{size("s2")};
  model["range_constraints"] =
      json::Object{{"s1", json::Object{{"min_val", 1}, {"max_val", 3}}},
                   {"s2", json::Object{{"min_val", 2}, {"max_val", nullptr}}}};
  auto engine = engineFor(std::make_shared<TestArchive>(std::move(model)));
  EXPECT_OK(engine->run({at::ones({3, 5}), at::ones({5})}));
  EXPECT_ERROR(engine->run({at::ones({4, 5}), at::ones({5})}),
               "dimension 0 of input 'x' is 4, the program takes 1 to 3");
  EXPECT_ERROR(engine->run({at::ones({1, 1}), at::ones({1})}),
               "dimension 1 of input 'x' is 1, the program takes 2 to");
  EXPECT_ERROR(engine->run({at::ones({3, 5}), at::ones({4})}),
               "dimension 0 of input 'y' is 4, but input 'x' says 5");
}

TEST(ReferenceEngine, OperatorErrorsNameTheNodeAndLeaveTheEngineUsable) {
  auto engine = engineFor(
      GraphText()
          .input("x", 7, {-1})
          .node("torch.ops.aten.relu.default", {{"self", tensor("x")}},
                {tensor("a")})
          .node("torch.ops.aten.view.default",
                {{"self", tensor("a")}, {"size", R"({"as_ints": [2, 2]})"}},
                {tensor("y")})
          .output("y"));
  EXPECT_ERROR(engine->run({at::ones({3})}),
               "node 1 (torch.ops.aten.view.default): shape '[2, 2]' is invalid");
  EXPECT_EQ(run(*engine, {at::ones({4})}).sizes(), at::IntArrayRef({2, 2}));
}

TEST(ReferenceEngine, HostileSizesAreErrors) {
  auto strided = std::make_shared<TestArchive>(
      GraphText()
          .input("x", 7, {-1})
          .node("torch.ops.aten.as_strided.default",
                {{"self", tensor("x")}, {"size", R"({"as_ints": [1000000]})"},
                 {"stride", R"({"as_ints": [1]})"}},
                {tensor("y")})
          .output("y")
          .object());
  EXPECT_ERROR(createReferenceEngine(strided),
               "node 0 calls aten.as_strided.default, which is not one of");
  EngineOptions options;
  EXPECT_OK(options.operators.allow("aten.as_strided.default"));
  auto engine = valueOf(createReferenceEngine(strided, std::nullopt, options));
  EXPECT_ERROR(engine->run({at::ones({3})}), "node 0");
  engine = engineFor(
      GraphText()
          .input("x", 7, {-1})
          .node("torch.ops.aten.zeros.default",
                {{"size", R"({"as_ints": [4611686018427387904, 64]})"}},
                {tensor("y")})
          .output("y"));
  EXPECT_ERROR(engine->run({at::ones({3})}), "node 0");
}

TEST(ReferenceEngine, ComputesWantedOutputsOnly) {
  // y needs state that is written after it is read, through another name, and a
  // buffer mutation; z needs a node that fails and a counter.
  auto archive = std::make_shared<TestArchive>(
      GraphText()
          .bound("buffer", "b_seen", "seen")
          .bound("buffer", "b_alias", "alias")
          .bound("buffer", "b_total", "total")
          .bound("buffer", "b_calls", "calls")
          .bound("buffer", "b_other", "other")
          .input("x", 7, {2})
          .node("torch.ops.aten.add.Tensor",
                {{"self", tensor("b_seen")}, {"other", tensor("b_total")}},
                {tensor("y")})
          .node("torch.ops.aten.add_.Tensor",
                {{"self", tensor("b_calls")}, {"other", tensor("x")}},
                {tensor("calls")})
          .node("torch.ops.aten.view.default",
                {{"self", tensor("calls")}, {"size", R"({"as_ints": [3]})"}},
                {tensor("z")})
          .node("torch.ops.aten.add_.Tensor",
                {{"self", tensor("b_alias")}, {"other", tensor("x")}},
                {tensor("seen")})
          .node("torch.ops.aten.add.Tensor",
                {{"self", tensor("b_total")}, {"other", tensor("x")}},
                {tensor("total")})
          .node("torch.ops.aten.add.Tensor",
                {{"self", tensor("z")}, {"other", tensor("b_other")}},
                {tensor("other")})
          .writes("total", "total")
          .writes("other", "other")
          .output("y")
          .output("z")
          .object());
  archive->weight("seen", {1, 1}, {2})
      .tied("alias", "seen")
      .weight("total", {10, 10}, {2})
      .weight("calls", {0, 0}, {2})
      .weight("other", {0, 0}, {2});
  at::Tensor x = at::tensor({1.f, 2.f});
  const size_t outputs[] = {0, 1, 2};
  auto engine = valueOf(
      createReferenceEngine(archive, ArrayRef<size_t>(outputs).take_front(1)));
  EXPECT_EQ(engine->numOutputs(), 2u);
  for (float calls : {0.f, 1.f, 2.f}) {
    std::vector<at::Tensor> got = valueOf(engine->run({x}));
    ASSERT_EQ(got.size(), 2u);
    EXPECT_TRUE(at::equal(got[0], 11 + 2 * calls * x));
    EXPECT_FALSE(got[1].defined());
  }
  EXPECT_ERROR(valueOf(createReferenceEngine(
                           archive, ArrayRef<size_t>(outputs).slice(1, 1)))
                   ->run({x}),
               "torch.ops.aten.view.default");
  EXPECT_ERROR(engineFor(archive)->run({x}), "torch.ops.aten.view.default");
  EXPECT_ERROR(createReferenceEngine(archive, ArrayRef<size_t>(outputs)),
               "there is no output 2, only 2");
}

TEST(ReferenceEngine, InputsThatOtherOutputsNeedMayBeUndefined) {
  auto archive = std::make_shared<TestArchive>(
      GraphText()
          .input("x", 7, {2})
          .input("w", 7, {3})
          .node("torch.ops.aten.neg.default", {{"self", tensor("x")}},
                {tensor("y")})
          .node("torch.ops.aten.neg.default", {{"self", tensor("w")}},
                {tensor("z")})
          .output("y")
          .output("z")
          .object());
  at::Tensor x = at::tensor({1.f, 2.f}), w = at::ones({3});
  const size_t first[] = {0};
  auto engine =
      valueOf(createReferenceEngine(archive, ArrayRef<size_t>(first)));
  EXPECT_TRUE(at::equal(valueOf(engine->run({x, at::Tensor()}))[0], -x));
  EXPECT_TRUE(at::equal(valueOf(engine->run({x, w}))[0], -x));
  EXPECT_ERROR(engine->run({at::Tensor(), w}), "input 'x' is undefined");
  // What is given is checked.
  EXPECT_ERROR(engine->run({w, at::Tensor()}), "of input 'x' is 3");
  EXPECT_ERROR(engine->run({x, x}), "of input 'w' is 2");
  EXPECT_ERROR(engine->run({x}), "takes 2 inputs, 1 are given");
  EXPECT_ERROR(engineFor(archive)->run({x, at::Tensor()}),
               "input 'w' is undefined");
}

TEST(ReferenceEngine, WritesThroughViewsAreKept) {
  auto archive = std::make_shared<TestArchive>(
      GraphText()
          .bound("buffer", "b_seen", "seen")
          .input("x", 7, {2})
          .node("torch.ops.aten.view.default",
                {{"self", tensor("b_seen")}, {"size", R"({"as_ints": [2]})"}},
                {tensor("part")})
          .node("torch.ops.aten.add_.Tensor",
                {{"self", tensor("part")}, {"other", tensor("x")}},
                {tensor("unused")})
          .node("torch.ops.aten.clone.default", {{"self", tensor("b_seen")}},
                {tensor("y")})
          .output("y")
          .object());
  archive->weight("seen", {1, 1}, {2});
  const size_t first[] = {0};
  auto engine =
      valueOf(createReferenceEngine(archive, ArrayRef<size_t>(first)));
  EXPECT_TRUE(at::equal(run(*engine, {at::tensor({1.f, 2.f})}),
                        at::tensor({2.f, 3.f})));
  // The view is made without its operator now.
  EXPECT_TRUE(at::equal(run(*engine, {at::tensor({1.f, 2.f})}),
                        at::tensor({3.f, 5.f})));
}

TEST(ReferenceEngine, WritesGoThroughViewsThatMove) {
  // Rows and columns of a state, and of an input, that are others in every run.
  auto archive = std::make_shared<TestArchive>(
      GraphText()
          .bound("buffer", "b_state", "state")
          .input("x", 7, {-1, -1})
          .input("at", 7, {-1})
          .node("torch.ops.aten.sym_size.int",
                {{"self", tensor("at")}, {"dim", R"({"as_int": 0})"}},
                {symInt("n")})
          .node("torch.ops.aten.slice.Tensor",
                {{"self", tensor("b_state")}, {"dim", R"({"as_int": 0})"},
                 {"start", R"({"as_sym_int": {"as_name": "n"}})"}},
                {tensor("rows")})
          .node("torch.ops.aten.transpose.int",
                {{"self", tensor("rows")}, {"dim0", R"({"as_int": 0})"},
                 {"dim1", R"({"as_int": 1})"}},
                {tensor("columns")})
          .node("torch.ops.aten.select.int",
                {{"self", tensor("columns")}, {"dim", R"({"as_int": 0})"},
                 {"index", R"({"as_sym_int": {"as_name": "n"}})"}},
                {tensor("column")})
          .node("torch.ops.aten.sum.default", {{"self", tensor("x")}},
                {tensor("sum")})
          .node("torch.ops.aten.add_.Tensor",
                {{"self", tensor("column")}, {"other", tensor("sum")}},
                {tensor("unused")})
          .node("torch.ops.aten.clone.default", {{"self", tensor("x")}},
                {tensor("own")})
          // At times a view, at times a copy.
          .node("torch.ops.aten.reshape.default",
                {{"self", tensor("own")}, {"shape", R"({"as_ints": [-1]})"}},
                {tensor("flat")})
          .node("torch.ops.aten.add_.Tensor",
                {{"self", tensor("flat")}, {"other", tensor("sum")}},
                {tensor("written")})
          .node("torch.ops.aten.clone.default", {{"self", tensor("b_state")}},
                {tensor("y")})
          .output("y")
          .output("own")
          .output("written")
          .object());
  archive->weight("state", std::vector<float>(36, 1), {6, 6});
  auto engine = engineFor(archive);
  at::Tensor state = at::ones({6, 6}), base = at::arange(200, at::kFloat);
  for (int64_t turn = 0; turn < 300; ++turn) {
    int64_t n = turn / 2 % 5, a = turn / 3 % 4, b = turn / 5 % 3;
    at::Tensor x = base.slice(0, turn / 7 % 6).slice(0, 0, 12 * (a + 1));
    x = x.view({12, a + 1});
    x = turn / 4 % 2 ? x.slice(0, b).t() : x.slice(0, 0, 9, b + 1);
    state.slice(0, n).t().select(0, n).add_(x.sum());
    at::Tensor own = x.clone(), written = own.reshape({-1}).add_(x.sum());
    auto got = valueOf(engine->run({x, at::ones({n})}));
    ASSERT_TRUE(at::equal(got[0], state)) << turn;
    ASSERT_TRUE(at::equal(got[1], own)) << turn;
    ASSERT_TRUE(at::equal(got[2], written)) << turn;
  }
}

TEST(ReferenceEngine, ViewsFollowTheirInputAndTheNumbers) {
  auto engine = engineFor(
      GraphText()
          .input("x", 7, {-1, -1})
          .input("times", 7, {-1})
          .node("torch.ops.aten.sym_size.int",
                {{"self", tensor("times")}, {"dim", R"({"as_int": 0})"}},
                {symInt("n")})
          .node("torch.ops.aten.unsqueeze.default",
                {{"self", tensor("x")}, {"dim", R"({"as_int": 0})"}},
                {tensor("one")})
          .node("torch.ops.aten.expand.default",
                {{"self", tensor("one")},
                 {"size", R"({"as_sym_ints": [{"as_name": "n"}, {"as_int": -1}, {"as_int": -1}]})"}},
                {tensor("many")})
          // A view of some inputs, a copy of others.
          .node("torch.ops.aten.reshape.default",
                {{"self", tensor("many")}, {"shape", R"({"as_ints": [-1]})"}},
                {tensor("flat")})
          // The same tensor as it was, for f32.
          .node("torch.ops.aten.to.dtype",
                {{"self", tensor("flat")}, {"dtype", R"({"as_scalar_type": 7})"}},
                {tensor("same")})
          .node("torch.ops.aten.neg.default", {{"self", tensor("same")}},
                {tensor("y")})
          .output("y"));
  at::Tensor base = at::arange(60, at::kFloat);
  const at::Tensor inputs[] = {
      // Each is another one than that before in one thing.
      base.slice(0, 0, 6).view({2, 3}),
      base.slice(0, 7, 13).view({2, 3}), // another offset
      base.slice(0, 7, 13).view({3, 2}).t(),
      base.slice(0, 7, 13).view({3, 2}),
      base.slice(0, 0, 12).view({2, 6}).slice(1, 1, 4),
      base.slice(0, 0, 0).view({0, 3}),
      at::ones({2, 3}),
  };
  for (int turn = 0; turn < 2; ++turn)
    for (const at::Tensor &x : inputs)
      for (int64_t n : {1, 1, 3, 1}) {
        at::Tensor want = -x.unsqueeze(0).expand({n, -1, -1}).reshape({-1});
        EXPECT_TRUE(at::equal(run(*engine, {x, at::ones({n})}), want))
            << x.sizes() << " " << n;
      }
}

TEST(ReferenceEngine, ValuesLiveToTheirLastUse) {
  // One value as several arguments of the node that reads it last: behind itself,
  // before a list that has it, and behind one.
  auto engine = engineFor(
      GraphText()
          .input("x", 5, {4})
          .node("torch.ops.aten.neg.default", {{"self", tensor("x")}},
                {tensor("minus")})
          .node("torch.ops.aten.mul.Tensor",
                {{"self", tensor("minus")}, {"other", tensor("minus")}},
                {tensor("squares")})
          .node("torch.ops.aten.remainder.Scalar",
                {{"self", tensor("squares")}, {"other", R"({"as_int": 4})"}},
                {tensor("at")})
          .node("torch.ops.aten.index.Tensor",
                {{"self", tensor("at")},
                 {"indices", R"({"as_optional_tensors": [{"as_tensor": {"name": "at"}}]})"}},
                {tensor("taken")})
          .node("torch.ops.aten.index_put.default",
                {{"self", tensor("taken")},
                 {"indices", R"({"as_optional_tensors": [{"as_tensor": {"name": "taken"}}]})"},
                 {"values", tensor("taken")}},
                {tensor("y")})
          .output("y"));
  at::Tensor x = at::tensor({0, 1, 2, 3}, at::kLong);
  at::Tensor at = (x * x).remainder(4), taken = at.index({at});
  for (int turn = 0; turn < 2; ++turn)
    EXPECT_TRUE(at::equal(run(*engine, {x}), taken.index_put({taken}, taken)));
}

TEST(ReferenceEngine, MissingPayloads) {
  auto archive = std::make_shared<TestArchive>(
      GraphText().bound("parameter", "p_w", "w").output("p_w").object());
  EXPECT_ERROR(createReferenceEngine(archive), "there is no payload for 'w'");
  archive->weight("w", {1}, {1});
  EXPECT_OK(createReferenceEngine(archive));
  // A payload that claims to lie behind the file's end.
  archive->weight("w", {1}, {4});
  EXPECT_ERROR(createReferenceEngine(archive), "'w'");
}

} // namespace
