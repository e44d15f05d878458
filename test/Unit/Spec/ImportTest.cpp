//===- ImportTest.cpp - Importing specs through the library ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Spec/Locations.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

#include <gtest/gtest.h>

using namespace weir;
using namespace weir::spec;
using namespace weir::spec::testing;

namespace {
/// A module and the context that owns it.
struct Module {
  explicit Module(llvm::StringRef text)
      : context(mlir::MLIRContext::Threading::DISABLED) {
    mlir::ScopedDiagnosticHandler silent(
        &context, [](mlir::Diagnostic &) { return mlir::success(); });
    llvm::SourceMgr sourceMgr;
    sourceMgr.AddNewSourceBuffer(
        llvm::MemoryBuffer::getMemBufferCopy(text, "test.yaml"), llvm::SMLoc());
    module = importSpec(sourceMgr, &context);
  }
  template <typename Op> Op get(llvm::StringRef symbol) {
    return mlir::SymbolTable::lookupNearestSymbolFrom<Op>(
        *module, mlir::StringAttr::get(&context, symbol));
  }
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

std::string place(mlir::Location location) {
  auto found = location->findInstanceOf<mlir::FileLineColLoc>();
  return std::to_string(found.getLine()) + ":" +
         std::to_string(found.getColumn());
}
} // namespace

TEST(Import, PartsOfOperationsKnowTheirPlace) {
  Module m(withDictionary("features:\n"
                          "  some: [9/res/1,\n"
                          "         9/res/2]\n"
                          "policies:\n"
                          "  p:\n"
                          "    on: {features: some}\n"
                          "    do: add\n"
                          "    strength: 3\n"
                          "  q: {on: [9/res/3, {features: some}], do: ablate,\n"
                          "      when: {any: [{feature: 9/att/7, above: 1},\n"
                          "                   {feature: 9/mlp/7, above: 1}]}}\n"
                          "plans:\n"
                          "  default: [p,\n"
                          "            q]\n"));
  ASSERT_TRUE(m.module);
  auto list = [&](llvm::StringRef policy) {
    return m.get<steer::PolicyOp>(policy).getOn().getDefiningOp();
  };
  auto features = llvm::dyn_cast<flow::SelectOp>(list("p"));
  ASSERT_TRUE(features);
  EXPECT_EQ(place(features.getLoc()), "6:3");
  EXPECT_EQ(place(features.getSelectorLoc(0)), "6:10");
  EXPECT_EQ(place(features.getSelectorLoc(1)), "7:10");
  // A named list is one value, wherever it is used.
  auto joined = llvm::dyn_cast<flow::ListOp>(list("q"));
  ASSERT_TRUE(joined);
  EXPECT_EQ(place(joined.getLoc()), "13:11");
  auto inlined = joined.getSets()[0].getDefiningOp<flow::SelectOp>();
  ASSERT_TRUE(inlined);
  EXPECT_EQ(place(inlined.getSelectorLoc(0)), "13:12");
  EXPECT_EQ(joined.getSets()[1], features.getFeatures());
  auto policy = m.get<steer::PolicyOp>("p");
  ASSERT_TRUE(policy);
  EXPECT_EQ(place(policy.getLoc()), "9:3");
  EXPECT_EQ(place(locationOf(policy, "on")), "10:9");
  EXPECT_EQ(place(locationOf(policy, "do")), "11:9");
  EXPECT_EQ(place(locationOf(policy, "strength")), "12:15");
  EXPECT_EQ(place(locationOf(policy, "when")), "9:3"); // not written
  auto gated = m.get<steer::PolicyOp>("q");
  EXPECT_EQ(place(locationOf(gated, "when")), "14:13");
  EXPECT_EQ(place(locationOf(gated, "sae:9/att/7")), "14:30");
  EXPECT_EQ(place(locationOf(gated, "sae:9/mlp/7")), "15:30");
  auto plan = m.get<steer::PlanOp>("default");
  EXPECT_EQ(place(locationOf(plan, "q")), "18:13");
}

TEST(Import, SymbolsTellTheNameInTheSpec) {
  EXPECT_EQ(specName("happy"), "happy");
  EXPECT_EQ(specName("happy.policy"), "happy");
  EXPECT_EQ(specName("happy.on"), "happy");
}

TEST(Import, ConfinesPathsOnRequest) {
  auto spec = [](llvm::StringRef program, llvm::StringRef path) {
    return ("weir: 1\nmodel: {program: \"" + program +
            "\"}\ndictionaries:\n  d: {format: directions, path: \"" + path +
            "\", sites: [res], layers: 3}\npolicies: {p: {on: 3/res/0, do: "
            "record}}\n")
        .str();
  };
  SpecOptions confined;
  confined.confinePaths = true;
  EXPECT_TRUE(import(spec("/a.pt2", "../b"), {}).succeeded);
  EXPECT_TRUE(import(spec("a/b..c.pt2", "b/{layer}/c"), confined).succeeded);
  Imported absolute = import(spec("/a.pt2", "b"), confined);
  EXPECT_FALSE(absolute.succeeded);
  EXPECT_EQ(absolute.all(),
            "2:18: error: the path '/a.pt2' leaves the spec's folder\n");
  Imported above = import(spec("a.pt2", "b/../../c"), confined);
  EXPECT_EQ(above.all(),
            "4:33: error: the path 'b/../../c' leaves the spec's folder\n");
}

TEST(Import, NumbersAreExact) {
  auto value = [](llvm::StringRef number) {
    Module m(withDictionary(
        ("policies: {p: {on: 9/res/1, do: set, value: " + number + "}}\n")
            .str()));
    if (!m.module)
      return std::string("refused");
    auto action =
        llvm::cast<steer::SetAttr>(m.get<steer::PolicyOp>("p").getAction());
    char text[40];
    snprintf(text, sizeof(text), "%.17g", action.getValue().getValueAsDouble());
    return std::string(text);
  };
  EXPECT_EQ(value("0.1"), "0.10000000000000001");
  EXPECT_EQ(value("-0"), "-0");
  EXPECT_EQ(value("+2.5E+1"), "25");
  EXPECT_EQ(value(".5"), "0.5");
  EXPECT_EQ(value("5."), "5");
  EXPECT_EQ(value("3.4028234663852886e38"), "3.4028234663852886e+38");
  EXPECT_EQ(value("0e99999"), "0");
  for (const char *wrong : {"1e999999999999",
                            "1e-999999999999",
                            "3.41e38",
                            "1e-46",
                            "1_000",
                            "0x1p3",
                            "1e",
                            "e5",
                            ".",
                            "-",
                            "--1",
                            "1.2.3",
                            "1,5",
                            "inf",
                            "-.NaN",
                            "'1'",
                            "01",
                            "-00.5",
                            "true",
                            "[1]",
                            "1:30",
                            "~"})
    EXPECT_EQ(value(wrong), "refused") << wrong;
}

TEST(Import, IsRepeatable) {
  // The module of one spec does not depend on the context's history.
  std::string text = withDictionary(
      "policies: {p: {on: {site: 9/res}, do: scale, factor: 2}}\n");
  EXPECT_EQ(import(text).ir, import(text).ir);
}

TEST(Import, ReportsManyErrorsAtOnce) {
  Imported result = import("weir: 3\nmodel: {program: 3a, site: b}\npolicies: "
                           "{p: {}, q: {do: ad}}\nplan: {}\n");
  EXPECT_EQ(
      result.all(),
      "1:7: error: this compiler reads version 1 of the spec language, "
      "written 'weir: 1'; found '3'\n"
      "2:22: error: unknown key 'site' in a model; did you mean 'sites'?\n"
      "3:12: error: a policy must have the key 'on'\n"
      "3:12: error: a policy must have the key 'do'\n"
      "3:19: error: a policy must have the key 'on'\n"
      "3:27: error: unknown action 'ad'; did you mean 'add'?\n"
      "4:1: error: unknown key 'plan' in a spec; did you mean 'plans'?\n");
}
