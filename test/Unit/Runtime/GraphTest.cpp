//===- GraphTest.cpp - The checked form of an exported graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reference/Graph.h"

#include "Expect.h"
#include "TestArchive.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include <rapidcheck/gtest.h>

using namespace llvm;
using namespace weir;
using namespace weir::reference;
using namespace weir::test;

namespace {

/// x [s0, 2] f32 and w, y = x + w.
GraphText simple() {
  return GraphText().bound("parameter", "p_w", "w").input("x", 7, {-1, 2});
}

GraphText &add(GraphText &graph, const std::string &other = tensor("p_w"),
               const std::string &result = "y") {
  return graph.node("torch.ops.aten.add.Tensor",
                    {{"self", tensor("x")}, {"other", other}},
                    {tensor(result)});
}

std::string errorOf(const GraphText &graph) {
  return messageOf(buildGraph(graph.object()));
}

void expectError(const GraphText &graph, StringRef part) {
  std::string message = errorOf(graph);
  EXPECT_NE(message.find(part.str()), std::string::npos) << message;
}

TEST(Graph, ResolvesNamesAndDefaults) {
  GraphText text = simple();
  add(text).output("y");
  Graph graph = valueOf(buildGraph(text.object()));
  ASSERT_EQ(graph.nodes.size(), 1u);
  ASSERT_EQ(graph.inputs.size(), 1u);
  EXPECT_EQ(graph.names[graph.inputs[0]], "x");
  ASSERT_EQ(graph.bindings.size(), 1u);
  EXPECT_EQ(graph.bindings[0].fqn, "w");
  const Node &node = graph.nodes[0];
  ASSERT_EQ(node.operands.size(), 3u); // alpha has a default
  EXPECT_EQ(node.operands[2].literal.toScalar().toLong(), 1);
  // x is not needed any more; the weight and the output stay.
  ASSERT_EQ(node.lastUses.size(), 1u);
  EXPECT_EQ(node.lastUses[0], graph.inputs[0]);
}

TEST(Graph, UnusedResultsAreFreedAtOnce) {
  GraphText text = simple();
  add(text, tensor("p_w"), "unused");
  add(text).output("y");
  Graph graph = valueOf(buildGraph(text.object()));
  ASSERT_EQ(graph.nodes[0].lastUses.size(), 1u);
  EXPECT_EQ(graph.names[graph.nodes[0].lastUses[0]], "unused");
}

TEST(Graph, Names) {
  GraphText text = simple();
  expectError(add(text, tensor("late")).output("y"),
              "node 0: torch.ops.aten.add.Tensor: argument 'other': value "
              "'late' is used before it is defined");
  text = simple();
  add(text);
  expectError(add(text).output("y"), "node 1: torch.ops.aten.add.Tensor: value "
                                     "'y' is defined twice");
  text = simple();
  expectError(text.input("x", 7, {2}), "value 'x' is defined twice");
  text = simple();
  expectError(add(text).output("z"),
              "output 0: value 'z' is used before it is defined");
}

TEST(Graph, Operators) {
  auto with = [&](const std::string &target) {
    return simple().node(target, {{"self", tensor("x")}}, {tensor("y")});
  };
  expectError(with("torch.ops.aten.no_such_thing.default"),
              "node 0 calls aten.no_such_thing.default, which is not one of the "
              "operators that a program may call");
  expectError(with("torch.ops.aten.add.NoOverload"), "not one of the operators");
  expectError(with("torch.ops.aten"), "not one of the operators");
  expectError(with("aten.relu.default"), "not one of the operators");
  expectError(with("os.system"), "node 0 calls os.system, which is not one of");
  expectError(with("torch.ops.higher_order.cond"), "higher-order operators");
  expectError(simple().node("torch.ops.aten.from_file.default",
                            {{"filename", R"({"as_string": "/etc/passwd"})"}},
                            {tensor("y")}),
              "--allow-operator aten.from_file.default");
  expectError(simple().node("torch.ops.aten.resize_.default",
                            {{"self", tensor("x")},
                             {"size", R"({"as_ints": [1000000]})"}},
                            {tensor("y")}),
              "--allow-operator aten.resize_.default");
}

TEST(Graph, OperatorsThatTheUserAllows) {
  auto with = [](const std::string &target) {
    return simple()
        .node(target, {{"self", tensor("x")}}, {tensor("y")})
        .output("y");
  };
  OperatorPolicy policy;
  EXPECT_OK(policy.allow("torch.ops.aten.fft_rfft.default"));
  EXPECT_OK(policy.allow("aten.no_such_thing.default"));
  EXPECT_OK(policy.allow("_operator.concat"));
  EXPECT_OK(buildGraph(with("torch.ops.aten.fft_rfft.default").object(), policy));
  EXPECT_ERROR(
      buildGraph(with("torch.ops.aten.fft_irfft.default").object(), policy),
      "calls aten.fft_irfft.default");
  EXPECT_ERROR(
      buildGraph(with("torch.ops.aten.no_such_thing.default").object(), policy),
      "LibTorch has no such operator");
  EXPECT_ERROR(buildGraph(with("_operator.concat").object(), policy),
               "_operator.concat: unknown operator");
}

TEST(Graph, EveryBuiltinOfTheCatalogueIsKnown) {
  size_t count = 0;
  for (const OperatorInfo &info : operatorCatalogue())
    if (info.isBuiltin()) {
      ++count;
      EXPECT_TRUE(parseSymbolicOp(info.name).has_value()) << info.name.str();
    }
  EXPECT_GT(count, 20u);
}

TEST(Graph, ArgumentsFollowTheSchema) {
  auto sum = [&](std::vector<std::pair<std::string, std::string>> arguments) {
    arguments.insert(arguments.begin(), {"self", tensor("x")});
    return simple()
        .node("torch.ops.aten.sum.dim_IntList", arguments, {tensor("y")})
        .output("y");
  };
  EXPECT_EQ(errorOf(sum({{"dim", R"({"as_ints": [1]})"}})), "");
  EXPECT_EQ(errorOf(sum({{"dim", R"({"as_int": 1})"}})), "");
  EXPECT_EQ(errorOf(sum({{"dim", R"({"as_none": true})"}})), "");
  EXPECT_EQ(errorOf(sum({{"dim", R"({"as_ints": [1]})"},
                         {"keepdim", R"({"as_bool": true})"},
                         {"dtype", R"({"as_scalar_type": 8})"}})), "");
  expectError(sum({}), "argument 'dim' is missing");
  expectError(sum({{"dim", R"({"as_ints": [1]})"}, {"depth", R"({"as_int": 1})"}}),
              "no argument 'depth'");
  expectError(sum({{"dim", R"({"as_ints": [1]})"}, {"dim", R"({"as_ints": [1]})"}}),
              "argument 'dim' is given twice");
  expectError(sum({{"dim", R"({"as_ints": [1.5]})"}}), "malformed list element");
  expectError(sum({{"dim", R"({"as_floats": [1.5]})"}}), "not an integer");
  expectError(sum({{"dim", tensor("x")}}), "another kind where a list");
  expectError(sum({{"dim", R"({"as_string": "1"})"}}), "a string where a list");
  expectError(sum({{"dim", R"({"as_ints": [1]})"},
                   {"keepdim", R"({"as_int": 1})"}}),
              "argument 'keepdim': a number where a boolean");
  expectError(sum({{"dim", R"({"as_ints": [1]})"},
                   {"keepdim", R"({"as_none": true})"}}),
              "None where a boolean");
  expectError(sum({{"dim", R"({"as_ints": [1]})"},
                   {"dtype", R"({"as_scalar_type": 99})"}}),
              "99 is not the number of a dtype");
  expectError(sum({{"dim", R"({"as_graph": {}})"}}), "'as_graph' are not supported");
  expectError(sum({{"dim", R"({})"}}), "exactly one form");
  expectError(sum({{"dim", R"({"as_ints": [1], "as_int": 1})"}}),
              "exactly one form");
}

TEST(Graph, DevicesAndLayouts) {
  auto zeros = [&](const std::string &name, const std::string &form) {
    return simple()
        .node("torch.ops.aten.zeros.default",
              {{"size", R"({"as_ints": [1]})"}, {name, form}}, {tensor("y")})
        .output("y");
  };
  EXPECT_EQ(errorOf(zeros("device", R"({"as_device": {"type": "cpu", "index": null}})")), "");
  expectError(zeros("device", R"({"as_device": {"type": "cuda", "index": 0}})"),
              "device 'cuda': programs run on the CPU");
  EXPECT_EQ(errorOf(zeros("layout", R"({"as_layout": 7})")), "");
  expectError(zeros("layout", R"({"as_layout": 1})"), "not the number of a layout");
}

TEST(Graph, ResultsFollowTheSchema) {
  auto with = [&](std::vector<std::string> results) {
    GraphText text = simple();
    return text.node("torch.ops.aten.sym_size.int",
                     {{"self", tensor("x")}, {"dim", R"({"as_int": 0})"}},
                     results);
  };
  EXPECT_EQ(errorOf(with({symInt("n")})), "");
  expectError(with({tensor("n")}), "result 'n' is not what the operator returns");
  expectError(with({}), "returns 1 values, the graph names 0");
  expectError(with({symInt("n"), symInt("m")}), "names 2");
  expectError(with({R"({"as_tensors": [{"name": "a"}]})"}),
              "does not return a list of tensors");
  expectError(with({R"({"as_string": "n"})"}), "results of the form 'as_string'");
}

TEST(Graph, SymbolicNumbersAreNoTensors) {
  GraphText text = simple();
  text.node("torch.ops.aten.sym_size.int",
            {{"self", tensor("x")}, {"dim", R"({"as_int": 0})"}}, {symInt("n")});
  GraphText builtin = text;
  builtin.node("_operator.add",
               {{"a", symInt("n")}, {"b", R"({"as_int": 1})"}}, {symInt("m")});
  EXPECT_EQ(errorOf(builtin), "");
  GraphText wrong = text;
  expectError(wrong.node("_operator.add", {{"a", tensor("x")}, {"b", symInt("n")}},
                         {symInt("m")}),
              "another kind where a number");
  wrong = text;
  expectError(wrong.node("_operator.add", {{"a", symInt("n")}}, {symInt("m")}),
              "1 arguments where 2 are expected");
  wrong = text;
  expectError(wrong.node("_operator.neg", {{"a", symInt("n")}}, {tensor("m")}),
              "a builtin gives one number");
  wrong = text;
  expectError(wrong.node("torch.ops.aten.relu.default",
                         {{"self", R"({"as_tensor": {"name": "n"}})"}},
                         {tensor("m")}),
              "'n' is not a tensor");
  wrong = text;
  expectError(wrong.output("n"), "output 0: 'n' is not a tensor");
}

TEST(Graph, Mutations) {
  GraphText text = GraphText().bound("buffer", "b_c", "cache").input("x", 7, {2});
  text.node("torch.ops.aten.relu.default", {{"self", tensor("x")}}, {tensor("y")});
  GraphText good = text, wrong = text;
  EXPECT_EQ(errorOf(good.writes("y", "cache")), "");
  expectError(wrong.writes("y", "other"), "written to 'other', which is no input");
}

/// The targets of what `keepOutputs` leaves, without "torch.ops.aten.".
std::vector<std::string> keptFor(const GraphText &text,
                                 std::vector<size_t> wanted,
                                 const OperatorPolicy &policy = {}) {
  Graph graph = valueOf(buildGraph(text.object(), policy));
  keepOutputs(graph, wanted, [](Slot slot) { return slot; });
  std::vector<std::string> targets;
  for (const Node &node : graph.nodes) {
    StringRef target = node.target;
    target.consume_front("torch.ops.aten.");
    targets.push_back(target.str());
  }
  return targets;
}

using Targets = std::vector<std::string>;

TEST(Graph, TemporariesAreWrittenWhereTheyAreRead) {
  // A clone is written through a view of it, and read as itself for the second
  // output only.
  GraphText text = simple();
  add(text);
  text.node("torch.ops.aten.clone.default", {{"self", tensor("y")}}, {tensor("c")})
      .node("torch.ops.aten.view.default",
            {{"self", tensor("c")}, {"size", R"({"as_ints": [-1]})"}}, {tensor("v")})
      .node("torch.ops.aten.neg_.default", {{"self", tensor("v")}}, {tensor("w")})
      .node("torch.ops.aten.exp.default", {{"self", tensor("c")}}, {tensor("z")})
      .output("y")
      .output("z");
  EXPECT_EQ(keptFor(text, {0}), Targets({"add.Tensor"}));
  EXPECT_EQ(keptFor(text, {1}),
            Targets({"add.Tensor", "clone.default", "view.default",
                     "neg_.default", "exp.default"}));
}

TEST(Graph, MemoryOfTheCallerIsWritten) {
  GraphText text = simple();
  add(text);
  text.node("torch.ops.aten.view.default",
            {{"self", tensor("x")}, {"size", R"({"as_ints": [-1]})"}}, {tensor("v")})
      .node("torch.ops.aten.neg_.default", {{"self", tensor("v")}}, {tensor("w")})
      .output("y")
      .output("p_w");
  EXPECT_EQ(keptFor(text, {1}), Targets({"view.default", "neg_.default"}));
}

TEST(Graph, ChecksStayWithWhatTheyLookAt) {
  auto check = [](GraphText &text, const std::string &what) {
    text.node("torch.ops.aten._assert_tensor_metadata.default",
              {{"a", tensor(what)}, {"dtype", R"({"as_scalar_type": 7})"}}, {});
  };
  // Of a number that is made of sizes, too.
  auto checkSize = [](GraphText &text, const std::string &what) {
    text.node("torch.ops.aten.sym_size.int",
              {{"self", tensor(what)}, {"dim", R"({"as_int": 0})"}},
              {symInt("n_" + what)})
        .node("_operator.ge",
              {{"a", symInt("n_" + what)}, {"b", R"({"as_int": 1})"}},
              {R"({"as_sym_bool": {"as_name": "g_)" + what + R"("}})"})
        .node("torch.ops.aten._assert_scalar.default",
              {{"self", R"({"as_sym_bool": {"as_name": "g_)" + what + R"("}})"},
               {"assert_msg", R"({"as_string": "none"})"}},
              {});
  };
  GraphText text = simple();
  add(text);
  check(text, "y");
  text.node("torch.ops.aten.exp.default", {{"self", tensor("y")}}, {tensor("z")});
  check(text, "z");
  checkSize(text, "x");
  checkSize(text, "z");
  text.output("y").output("z");
  EXPECT_EQ(keptFor(text, {0}),
            Targets({"add.Tensor", "_assert_tensor_metadata.default",
                     "sym_size.int", "_operator.ge", "_assert_scalar.default"}));
  EXPECT_EQ(keptFor(text, {1}).size(), 10u);
}

TEST(Graph, WhatTheCatalogueDoesNotKnowStays) {
  GraphText text = simple();
  add(text);
  text.node("torch.ops.aten.exp.default", {{"self", tensor("x")}}, {tensor("e")})
      .node("torch.ops.aten.fft_rfft.default", {{"self", tensor("e")}},
            {tensor("f")})
      .output("y");
  OperatorPolicy policy;
  EXPECT_OK(policy.allow("aten.fft_rfft.default"));
  EXPECT_EQ(keptFor(text, {0}, policy),
            Targets({"add.Tensor", "exp.default", "fft_rfft.default"}));
}

TEST(Graph, Structure) {
  EXPECT_ERROR(buildGraph(json::Object{}), "the archive has no graph");
  EXPECT_ERROR(buildGraph(*cantFail(json::parse(
                   R"({"graph_module": {"graph": {}, "signature": {}}})"))
                               .getAsObject()),
               "lacks its inputs, nodes or outputs");
  json::Object model = simple().object();
  model.getObject("graph_module")->getObject("signature")
      ->getArray("input_specs")->pop_back();
  EXPECT_ERROR(buildGraph(model), "2 inputs and its signature 1");
}

/// A graph with most kinds of arguments, for damage.
std::string rich() {
  GraphText text = simple();
  text.bound("buffer", "b_c", "cache").input("ids", 5, {-1});
  text.node("torch.ops.aten.sym_size.int",
            {{"self", tensor("x")}, {"dim", R"({"as_int": 0})"}}, {symInt("n")});
  text.node("_operator.mul", {{"a", symInt("n")}, {"b", R"({"as_int": 2})"}},
            {symInt("m")});
  text.node("torch.ops.aten.view.default",
            {{"self", tensor("x")},
             {"size", R"({"as_sym_ints": [{"as_name": "m"}, {"as_int": 1}]})"}},
            {tensor("v")});
  text.node("torch.ops.aten.split.Tensor",
            {{"self", tensor("v")}, {"split_size", R"({"as_int": 1})"}},
            {R"({"as_tensors": [{"name": "s0"}, {"name": "s1"}]})"});
  text.node("torch.ops.aten.cat.default",
            {{"tensors", R"({"as_tensors": [{"name": "s0"}, {"name": "v"}]})"}},
            {tensor("c")});
  text.node("torch.ops.aten.index.Tensor",
            {{"self", tensor("c")},
             {"indices", R"({"as_optional_tensors": [{"as_tensor": {"name": "ids"}}, {"as_none": true}]})"}},
            {tensor("i")});
  text.node("torch.ops.aten.mul.Scalar",
            {{"self", tensor("i")}, {"other", R"({"as_float": "Infinity"})"}},
            {tensor("y")});
  return text.output("y").writes("v", "cache").text();
}

TEST(Graph, RichGraphIsGood) {
  EXPECT_OK(buildGraph(*cantFail(json::parse(rich())).getAsObject()));
}

RC_GTEST_PROP(Graph, DamageIsAnErrorOrAGraph, ()) {
  static const std::string good = rich();
  std::string bad = good;
  for (int count = *rc::gen::inRange(1, 4); count > 0; --count) {
    size_t at = *rc::gen::inRange<size_t>(0, bad.size());
    switch (*rc::gen::inRange(0, 3)) {
    case 0:
      bad[at] = *rc::gen::element('"', '{', '}', '[', ']', ',', '0', '9', 'x', 's');
      break;
    case 1:
      bad.erase(at, *rc::gen::inRange<size_t>(1, 30));
      break;
    default: { // one part of the text in place of another
      size_t from = *rc::gen::inRange<size_t>(0, bad.size());
      size_t length = *rc::gen::inRange<size_t>(1, 40);
      bad.replace(at, length, bad.substr(from, length));
    }
    }
    if (bad.empty())
      bad = "x";
  }
  Expected<json::Value> value = parseJSON(bad);
  if (!value) {
    consumeError(value.takeError());
    RC_DISCARD("no JSON");
  }
  if (const json::Object *object = value->getAsObject()) {
    Expected<Graph> graph = buildGraph(*object);
    if (!graph)
      RC_ASSERT(!messageOf(graph.takeError()).empty());
  }
}

} // namespace
