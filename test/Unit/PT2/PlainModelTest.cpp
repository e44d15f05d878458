//===- PlainModelTest.cpp - What PyTorch may have of a graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Importer.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"
#include "weir/Target/PT2/PT2.h"

#include <gtest/gtest.h>

using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;
using llvm::StringRef;

namespace {

json::Array &nodesOf(json::Value &root) {
  return *root.getAsObject()
              ->getObject("graph_module")
              ->getObject("graph")
              ->getArray("nodes");
}

void eraseIf(json::Array &array, llvm::function_ref<bool(StringRef)> matches) {
  json::Array kept;
  for (json::Value &value : array)
    if (std::string text = textOf(value); !matches(text))
      kept.push_back(std::move(value));
  array = std::move(kept);
}

/// The program of the mutation tests without what no program of Weir has:
/// arguments that are operators, dictionaries, not known or on a GPU, and an output that
/// is None.
json::Value plainProgram() {
  auto text = llvm::cantFail(readText(WEIR_PROGRAM_JSON));
  json::Value root = llvm::cantFail(json::parse(text));
  for (json::Value &node : nodesOf(root)) {
    node.getAsObject()->erase("later");
    eraseIf(*node.getAsObject()->getArray("inputs"), [](StringRef text) {
      return llvm::any_of(
          std::initializer_list<StringRef>{"as_operator", "as_nested_tensors",
                                           "as_string_to_argument", "as_later",
                                           "as_int_lists", "cuda"},
          [&](StringRef tag) { return text.contains(tag); });
    });
  }
  json::Object &module = *root.getAsObject()->getObject("graph_module");
  auto isNone = [](StringRef text) { return text.contains("as_none"); };
  eraseIf(*module.getObject("graph")->getArray("outputs"), isNone);
  eraseIf(*module.getObject("signature")->getArray("output_specs"), isNone);
  return root;
}

std::string refusal(const json::Value &root) {
  llvm::Expected<json::Object> plain = plainModel(*root.getAsObject());
  if (plain)
    return "";
  return llvm::toString(plain.takeError());
}

/// Every place of a document that holds text, as the object or list around it.
void forEachText(json::Value &root,
                 llvm::function_ref<void(json::Value &)> visit) {
  if (root.getAsString())
    visit(root);
  else if (json::Object *object = root.getAsObject())
    for (auto &[key, value] : *object)
      forEachText(value, visit);
  else if (json::Array *array = root.getAsArray())
    for (json::Value &value : *array)
      forEachText(value, visit);
}

void forEachObject(json::Value &root,
                   llvm::function_ref<void(json::Object &)> visit) {
  if (json::Object *object = root.getAsObject()) {
    for (auto &[key, value] : *object)
      forEachObject(value, visit);
    visit(*object);
  } else if (json::Array *array = root.getAsArray()) {
    for (json::Value &value : *array)
      forEachObject(value, visit);
  }
}

TEST(PlainModel, IsAFixedPoint) {
  json::Value root = plainProgram();
  ASSERT_EQ(refusal(root), "");
  json::Object once = llvm::cantFail(plainModel(*root.getAsObject()));
  json::Object twice = llvm::cantFail(plainModel(once));
  EXPECT_EQ(json::Value(std::move(once)), json::Value(std::move(twice)));
}

TEST(PlainModel, LeavesOutWhatPyTorchWouldRun) {
  json::Value root = plainProgram();
  json::Object &model = *root.getAsObject();
  json::Object &module = *model.getObject("graph_module");
  model["guards_code"] = json::Array{"MARK()"};
  module["metadata"] = json::Object{{"custom", "MARK"}};
  module["treespec_namedtuple_fields"] = json::Object{{"MARK", nullptr}};
  module.getArray("module_call_graph")
      ->push_back(json::Object{{"fqn", "MARK"}, {"signature", nullptr}});
  json::Object &metadata = *module.getObject("graph")
                                ->getArray("nodes")
                                ->front()
                                .getAsObject()
                                ->getObject("metadata");
  for (StringRef key :
       {"source_fn_stack", "from_node", "stack_trace", "custom", "torch_fn"})
    metadata[key] = "MARK";
  llvm::Expected<json::Object> plain = plainModel(model);
  ASSERT_TRUE(bool(plain)) << llvm::toString(plain.takeError());
  EXPECT_FALSE(StringRef(printJSON(*plain)).contains("MARK"));
}

/// Python and C++ that would end a literal, a comment or a name: wherever it
/// stands, it is refused or left out.
TEST(PlainModel, NoTextOfTheDocumentGetsThroughThatIsNotOfItsKind) {
  for (StringRef hostile : {"x(); MARK", "\");MARK;(\"", "a\nMARK", "*/MARK"}) {
    json::Value root = plainProgram();
    std::vector<json::Value *> places;
    forEachText(root, [&](json::Value &text) { places.push_back(&text); });
    ASSERT_GT(places.size(), 100u);
    unsigned refused = 0, passed = 0;
    for (json::Value *place : places) {
      json::Value before = *place;
      *place = hostile.str();
      llvm::Expected<json::Object> plain = plainModel(*root.getAsObject());
      if (!plain) {
        EXPECT_FALSE(llvm::toString(plain.takeError()).empty());
        ++refused;
      } else if (StringRef(printJSON(*plain)).contains("MARK")) {
        // Text between quotes, which has nothing that would end them.
        ++passed;
        EXPECT_EQ(hostile, "x(); MARK") << textOf(before);
      }
      *place = std::move(before);
    }
    EXPECT_GT(refused, 80u);
    EXPECT_LT(passed, 20u);
  }
}

TEST(PlainModel, NoKeyGetsThroughThatIsNotKnown) {
  json::Value root = plainProgram();
  std::vector<json::Object *> places;
  forEachObject(root, [&](json::Object &object) { places.push_back(&object); });
  unsigned refused = 0;
  for (json::Object *place : places) {
    (*place)["MARK; x"] = 1;
    llvm::Expected<json::Object> plain = plainModel(*root.getAsObject());
    if (plain)
      EXPECT_FALSE(StringRef(printJSON(*plain)).contains("MARK"));
    else
      llvm::consumeError(plain.takeError()), ++refused;
    place->erase("MARK; x");
  }
  EXPECT_GT(refused, 100u);
}

TEST(PlainModel, OperatorsAreThoseOfATenAndOfNumbers) {
  for (StringRef target :
       {"torch.os.getcwd", "torch.ops.load_library", "torch.ops.aten.add",
        "torch.ops.aten.__class__.default", "torch.ops.aten.add.__call__",
        "torch.ops.higher_order.cond.x", "torch.ops.prim.Print.default",
        "_operator.call", "_operator.methodcaller", "math.sqrt", "#x:y",
        "builtins.open", "torch.ops.aten.add.Tensor.x", "",
        "torch.ops.weir.load_kernels.default", "torch.ops.weir.edit",
        "torch.ops.weir.edit_.default", "torch.ops.weir.edit.default.x",
        "weir.edit.default", "torch.ops.weir.__class__.default"}) {
    json::Value root = plainProgram();
    (*nodesOf(root)[0].getAsObject())["target"] = target.str();
    EXPECT_TRUE(StringRef(refusal(root)).contains("the graph's node 0 has"))
        << target.str() << ": " << refusal(root);
  }
}

/// What the catalogue has of kernels is a name like any other: who opens the
/// program says whether it may call them.
TEST(PlainModel, CallsOfKernels) {
  for (StringRef target : {"torch.ops.weir.edit.default",
                           "torch.ops.weir.edit_and_read.default"}) {
    json::Value root = plainProgram();
    (*nodesOf(root)[0].getAsObject())["target"] = target.str();
    EXPECT_EQ(refusal(root), "");
  }
}

TEST(PlainModel, SizesThatAreNotOfInputs) {
  for (StringRef symbol : {"u0", "s", "zuf3", "s12345678901", "os"}) {
    json::Value root = plainProgram();
    (*root.getAsObject()->getObject("range_constraints"))[symbol.str()] =
        json::Object{{"min_val", 0}, {"max_val", 3}};
    EXPECT_TRUE(
        StringRef(refusal(root)).contains("belongs to no size of an input"))
        << symbol.str();
  }
}

} // namespace
