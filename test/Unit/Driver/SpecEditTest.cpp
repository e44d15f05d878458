//===- SpecEditTest.cpp - Specs with other settings in them ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecEdit.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

using namespace weir;
using testing::HasSubstr;
using testing::Not;

namespace {

constexpr llvm::StringLiteral knobs = R"(knobs:
  other: {default: 3}
  force: {default: 1.50, range: [-2, 8]} # not the other one
)";

std::string specOf(llvm::StringRef policy) {
  return (knobs + "policies:\n" + policy + "plans: {one: [push]}\n").str();
}

/// The text, or what is wrong.
std::string edited(llvm::StringRef text, const SpecSetting &setting) {
  mlir::MLIRContext context;
  auto result = withSetting(text, setting, &context);
  return result ? *result : "error: " + llvm::toString(result.takeError());
}

SpecSetting form(std::string schedule = "", std::string layers = "own") {
  SpecSetting setting;
  setting.policy = "push";
  setting.value = "2.5";
  setting.schedule = std::move(schedule);
  setting.layers = std::move(layers);
  return setting;
}

TEST(SpecEdit, ChangesOneNumberOfAKnob) {
  SpecSetting setting;
  setting.knobs = {{"force", "2"}};
  const std::string before = specOf("  push: {on: 1/res/1, do: add, strength: 4}\n");
  std::string want = before;
  want.replace(want.find("1.50"), 4, "2");
  EXPECT_EQ(edited(before, setting), want);
  setting.knobs = {{"absent", "2"}};
  EXPECT_THAT(edited(before, setting), HasSubstr("the knob 'absent' has no default"));
}

TEST(SpecEdit, StrengthsKeepTheirKnobAndTheirWeight) {
  struct {
    llvm::StringRef policy, want;
  } const layouts[] = {
      {"  push: {on: {graph: g}, do: add, strength: {value: 4, times: force, weight: similarity}}\n",
       "strength: {value: 2.5, times: force, weight: similarity}}\n"},
      // In any order and quoted, over lines, with comments.
      {"  push: {on: {graph: g}, do: add, strength: {\"weight\": 'similarity', value: 4, 'times': \"force\"}}\n",
       "strength: {value: 2.5, weight: 'similarity', times: \"force\"}}\n"},
      {"  push:\n    on: {graph: g}\n    do: add\n    strength:\n      weight: effect # as it acts\n      schedule: linear\n"
       "      last: 0\n      times:\n        force\n      value: 4\n",
       "    strength:\n      {value: 2.5, weight: effect, times: force}\n"},
      {"  push: {on: {graph: g}, do: add, strength: {value: 4,\n      weight: none, # for now\n      times: force\n    }}\n",
       "strength: {value: 2.5, weight: none, times: force}}\n"},
      {"  push: {on: {graph: g}, do: add, times: force, strength: 4}\n",
       "times: force, strength: {value: 2.5}}\n"}};
  for (const auto &layout : layouts)
    EXPECT_THAT(edited(specOf(layout.policy), form()), HasSubstr(layout.want))
        << layout.policy.str();
}

TEST(SpecEdit, FormsHaveSchedulesAndLayers) {
  const std::string cumulative =
      edited(specOf("  push: {on: 1/res/1, do: add, strength: {value: 4, times: force}}\n"),
             form("schedule: linear, last: 0", "cumulative"));
  EXPECT_THAT(cumulative,
              HasSubstr("do: add, layers: cumulative, strength: {value: 2.5, "
                        "schedule: linear, last: 0, times: force}}"));
  // What is there is replaced, and nothing is put in that is the default.
  EXPECT_THAT(edited(cumulative, form()),
              HasSubstr("layers: own, strength: {value: 2.5, times: force}}"));
  EXPECT_THAT(edited(specOf("  push: {on: 1/res/1, do: add, strength: 4}\n"), form()),
              Not(HasSubstr("layers")));
}

/// YAML has more ways to write a thing than are looked for: what comes out is what it
/// was asked to be, or an error.
TEST(SpecEdit, WhatCannotBeReplacedIsAnError) {
  EXPECT_THAT(edited(specOf("  push: {on: 1/res/1, do: add, strength: {value: 4, times: >-\n      force\n    }}\n"), form()),
              HasSubstr("error: "));
  EXPECT_THAT(edited(specOf("  push:\n    on: 1/res/1\n    do: add\n    strength:\n      value: 4\n      times: >-\n        force\n"),
                     form()),
              HasSubstr("write it by hand"));
  EXPECT_THAT(edited(specOf("  push: {on: 1/res/1, do: scale, factor: 2}\n"), form()),
              HasSubstr("has no strength in the spec"));
}

} // namespace
