//===- GuardsTest.cpp - Arguments that operators take on trust ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Engine.h"

#include "Expect.h"
#include "Reference/MemoryBudget.h"
#include "TestArchive.h"

#include <ATen/ATen.h>

#include <limits>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

using Arguments = std::vector<std::pair<std::string, std::string>>;

std::string integer(int64_t value) {
  return R"({"as_int": )" + std::to_string(value) + "}";
}
std::string integers(const std::string &list) {
  return R"({"as_ints": [)" + list + "]}";
}

/// Runs a program of one node on x, and gives its error.
std::string runOne(const std::string &target, Arguments arguments, at::Tensor x,
                   std::vector<std::string> results = {tensor("y")},
                   EngineOptions options = {}) {
  int dtype = x.scalar_type() == at::kFloat ? 7
              : x.scalar_type() == at::kInt ? 4
                                            : 5;
  GraphText graph;
  graph.input("x", dtype, std::vector<int64_t>(x.dim(), -1));
  graph.node("torch.ops.aten." + target, std::move(arguments), results);
  graph.output(results.size() == 1 && results[0] == tensor("y") ? "y" : "x");
  auto archive = std::make_shared<TestArchive>(graph.object());
  auto engine = createReferenceEngine(archive, std::nullopt, options);
  if (!engine)
    return messageOf(engine.takeError());
  auto out = (*engine)->run({x});
  return out ? "" : messageOf(out.takeError());
}

void expectPart(const std::string &message, StringRef part) {
  EXPECT_NE(message.find(part.str()), std::string::npos) << message;
}

TEST(Guards, TheSmallestIntegerByMinusOne) {
  int64_t least = std::numeric_limits<int64_t>::min();
  at::Tensor wide = at::tensor({int64_t{7}, least}, at::kLong);
  at::Tensor narrow =
      at::full({1}, std::numeric_limits<int32_t>::min(), at::kInt);
  auto by = [](int64_t number) {
    return Arguments{{"self", tensor("x")},
                     {"other", integer(number)},
                     {"rounding_mode", R"({"as_string": "trunc"})"}};
  };
  expectPart(runOne("div.Tensor_mode", by(-1), wide), "does not fit its type");
  expectPart(runOne("div.Tensor_mode", by(-1), narrow), "does not fit its type");
  EXPECT_EQ(runOne("div.Tensor_mode", by(-2), wide), "");
  EXPECT_EQ(runOne("div.Tensor_mode", by(-1), wide.slice(0, 0, 1)), "");
  expectPart(runOne("div.Tensor_mode", by(0), wide), "ZeroDivisionError");
  Arguments remainder{{"self", tensor("x")}, {"other", integer(-1)}};
  expectPart(runOne("remainder.Scalar", remainder, wide),
             "does not fit its type");
  expectPart(runOne("fmod.Scalar", remainder, narrow), "does not fit its type");
  EXPECT_EQ(runOne("remainder.Scalar", remainder, at::ones({2})), "");
}

TEST(Guards, ListsAreAsLongAsTheGraphSays) {
  std::vector<std::string> two = {
      R"({"as_tensors": [{"name": "a"}, {"name": "b"}]})"};
  auto split = [](int64_t size) {
    return Arguments{{"self", tensor("x")}, {"split_size", integer(size)}};
  };
  EXPECT_EQ(runOne("split.Tensor", split(3), at::ones({5}), two), "");
  expectPart(runOne("split.Tensor", split(1), at::ones({5}), two),
             "the list would have 5 tensors, the graph names 2");
  EXPECT_EQ(runOne("split.Tensor", split(0), at::ones({0}),
                   {R"({"as_tensors": [{"name": "a"}]})"}),
            "");
  auto chunk = [](int64_t count) {
    return Arguments{{"self", tensor("x")}, {"chunks", integer(count)}};
  };
  EXPECT_EQ(runOne("chunk.default", chunk(2), at::ones({5}), two), "");
  // 4 pieces of 5 are 3: of two elements each.
  EXPECT_EQ(runOne("chunk.default", chunk(4), at::ones({5}),
                   {R"({"as_tensors": [{"name": "a"}, {"name": "b"}, {"name": "c"}]})"}),
            "");
  expectPart(runOne("chunk.default", chunk(int64_t{1} << 60), at::ones({0}), two),
             "the graph names 2");
  EXPECT_EQ(runOne("unbind.int", {{"self", tensor("x")}}, at::ones({2, 3}), two),
            "");
  expectPart(runOne("unbind.int", {{"self", tensor("x")}}, at::ones({3}), two),
             "would have 3");
  EXPECT_EQ(runOne("split_with_sizes.default",
                   {{"self", tensor("x")}, {"split_sizes", integers("2,3")}},
                   at::ones({5}), two),
            "");
}

TEST(Guards, NumbersWhoseSumsWouldOverflow) {
  expectPart(runOne("slice.Tensor",
                    {{"self", tensor("x")},
                     {"step", integer(std::numeric_limits<int64_t>::max())}},
                    at::ones({5})),
             "argument 'step' is 9223372036854775807, which is out of range");
  // The end of a slice is any number: Python writes it so.
  EXPECT_EQ(runOne("slice.Tensor",
                   {{"self", tensor("x")},
                    {"end", integer(std::numeric_limits<int64_t>::max())}},
                   at::ones({5})),
            "");
  expectPart(runOne("constant_pad_nd.default",
                    {{"self", tensor("x")},
                     {"pad", integers("9223372036854775807,1")}},
                    at::ones({5})),
             "argument 'pad'");
}

TEST(Guards, AttentionThatFits) {
  auto attend = [](at::Tensor x, Arguments more = {}) {
    Arguments all{{"query", tensor("x")}, {"key", tensor("x")},
                  {"value", tensor("x")}};
    all.insert(all.end(), more.begin(), more.end());
    return runOne("scaled_dot_product_attention.default", all, x);
  };
  EXPECT_EQ(attend(at::ones({1, 2, 3, 4})), "");
  expectPart(attend(at::ones({4})), "need one rank from 2 to 5");
  expectPart(attend(at::ones({1, 0, 3, 4}),
                    {{"enable_gqa", R"({"as_bool": true})"}}),
             "attention over nothing");
  expectPart(attend(at::ones({2, 3}, at::kLong)), "one floating-point type");
}

TEST(Guards, Convolutions) {
  auto convolve = [](const std::string &name, const std::string &value) {
    return runOne("conv1d.default",
                  {{"input", tensor("x")}, {"weight", tensor("x")}, {name, value}},
                  at::ones({2, 2, 3}));
  };
  EXPECT_EQ(convolve("stride", integers("1")), "");
  expectPart(convolve("stride", integers("0")), "argument 'stride' is 0");
  expectPart(convolve("groups", integer(0)), "argument 'groups' is 0");
  expectPart(convolve("padding", integers("-1")), "argument 'padding' is -1");
  expectPart(convolve("dilation", integers("9223372036854775807")),
             "out of range");
}

TEST(Guards, MemoryOfARun) {
  EngineOptions small;
  small.maxMemory = 1 << 20;
  auto full = [&](const std::string &sizes) {
    return runOne("full.default",
                  {{"size", integers(sizes)}, {"fill_value", integer(1)}},
                  at::ones({1}), {tensor("y")}, small);
  };
  EXPECT_EQ(full("1000,100"), "");
  expectPart(full("1000,300"),
             "node 0 (torch.ops.aten.full.default): the program would hold "
             "2400000 bytes at once; it may hold 1048576 (--max-memory)");
  // No memory, but a walk over all of it.
  expectPart(runOne("expand.default",
                    {{"self", tensor("x")}, {"size", integers("1099511627776")}},
                    at::ones({1}), {tensor("y")}, small),
             "more than the 1048576 bytes");
  expectPart(runOne("expand.default",
                    {{"self", tensor("x")},
                     {"size", integers("0,1099511627776,1")}},
                    at::ones({1}), {tensor("y")}, small),
             "more than the 1048576 bytes");
}

TEST(Guards, MemoryThatWasGivenBackIsFreeAgain) {
  // Eight tensors of 400 kB, of which two are alive at once.
  GraphText graph;
  graph.input("x", 7, {-1});
  std::string last = "x";
  for (int i = 0; i < 8; ++i) {
    std::string name = "y" + std::to_string(i);
    graph.node("torch.ops.aten.exp.default", {{"self", tensor(last)}},
               {tensor(name)});
    last = name;
  }
  graph.output(last);
  EngineOptions options;
  options.maxMemory = 1000000;
  auto archive = std::make_shared<TestArchive>(graph.object());
  auto engine =
      valueOf(createReferenceEngine(archive, std::nullopt, options));
  for (int run = 0; run < 3; ++run)
    EXPECT_OK(engine->run({at::zeros({100000})}));
  options.maxMemory = 700000;
  engine = valueOf(createReferenceEngine(archive, std::nullopt, options));
  EXPECT_ERROR(engine->run({at::zeros({100000})}),
               "node 1 (torch.ops.aten.exp.default)");
  // Nothing of the failed run is left, and what is beside a run is not counted.
  EXPECT_OK(engine->run({at::zeros({50000})}));
  EXPECT_EQ(at::zeros({1000000}).numel(), 1000000);
}

TEST(Guards, WeightsOfOneNumber) {
  GraphText graph;
  graph.bound("parameter", "p_w", "w").input("x", 7, {-1});
  graph.node("torch.ops.aten.relu.default", {{"self", tensor("p_w")}},
             {tensor("y")});
  graph.output("y");
  auto archive = std::make_shared<TestArchive>(graph.object());
  archive->weight("w", {1}, {1}).stretch("w", {1 << 20, 1 << 20});
  EXPECT_ERROR(createReferenceEngine(archive), "'w': a tensor [1048576, 1048576]");
}

TEST(MemoryBudget, DefaultsFollowTheProgram) {
  using reference::defaultMemoryLimit;
  uint64_t least = uint64_t{512} << 20;
  EXPECT_EQ(defaultMemoryLimit(0), least);
  EXPECT_GT(defaultMemoryLimit(1 << 20), least);
  EXPECT_LE(defaultMemoryLimit(1 << 20), least + (uint64_t{64} << 20));
  EXPECT_GE(defaultMemoryLimit(std::numeric_limits<uint64_t>::max()), least);
}

} // namespace
