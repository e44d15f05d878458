//===- ManifestTest.cpp - What a folder with a program holds ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Manifest.h"

#include "Expect.h"

#include "weir/Program/Files.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <functional>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

const std::string hash(64, 'a');

Manifest steered() {
  Manifest out;
  out.program = {"program.pt2", hash};
  out.aot = Manifest::File{"program.aot.pt2", hash};
  out.spec = Manifest::File{"spec.yaml", hash};
  out.dictionaries = {{"sae/res.12", hash}};
  out.sites = {{"res", 12}, {"mlp", 3}};
  out.plans = {"default", "plain"};
  out.knobs = {{"faith", 1, 0, 8}, {"science", -0.5, -1, 1}};
  out.inputs = {"input_ids", "positions", "prompt_length", "plan", "knobs"};
  out.outputs = {"logits", "watch"};
  out.records = {{"watch", 1, {"12/res/411", "12/res/53"}}};
  return out;
}

std::string text(const Manifest &manifest) {
  return formatv("{0}", manifest.toJSON()).str();
}

TEST(Manifest, SurvivesWritingAndReading) {
  Manifest manifest = steered();
  Manifest again = valueOf(Manifest::parse(text(manifest)));
  EXPECT_EQ(text(again), text(manifest));
  EXPECT_EQ(again.knobs[1].defaultValue, -0.5);
  EXPECT_EQ(again.records[0].features[1], "12/res/53");
  EXPECT_EQ(again.aot->path, "program.aot.pt2");

  std::string folder = testing::TempDir() + "manifest-test";
  ASSERT_FALSE(sys::fs::create_directories(folder));
  EXPECT_OK(manifest.write(folder));
  EXPECT_EQ(text(valueOf(Manifest::read(folder + "/manifest.json"))),
            text(manifest));
  EXPECT_FALSE(sys::fs::remove_directories(folder));
}

TEST(Manifest, UnsteeredProgramsHaveTwoInputs) {
  Manifest manifest;
  manifest.program = {"a.pt2", hash};
  EXPECT_OK(manifest.check());
  Manifest again = valueOf(Manifest::parse(text(manifest)));
  EXPECT_TRUE(again.plans.empty());
  EXPECT_FALSE(again.aot.has_value());
}

TEST(Manifest, Indices) {
  Manifest manifest = steered();
  EXPECT_EQ(valueOf(manifest.planIndex("plain")), 1);
  EXPECT_EQ(valueOf(manifest.planIndex("none")), -1);
  EXPECT_ERROR(manifest.planIndex("plane"),
               "there is no plan 'plane'; the program has default, plain, and "
               "none");
  EXPECT_EQ(valueOf(manifest.knobIndex("science")), 1u);
  EXPECT_ERROR(manifest.knobIndex("x"), "the program has faith, science");
}

TEST(Manifest, ChecksWhatItIsTold) {
  auto broken = [](std::function<void(Manifest &)> damage) {
    Manifest manifest = steered();
    damage(manifest);
    return messageOf(manifest.check());
  };
  auto expect = [&](StringRef part, std::function<void(Manifest &)> damage) {
    std::string message = broken(damage);
    EXPECT_NE(message.find(part.str()), std::string::npos) << message;
  };
  for (const char *path : {"", "/etc/passwd", "../x.pt2", "a/../../x"})
    expect("must stay inside the folder",
           [&](Manifest &m) { m.program.path = path; });
  expect("\"aot.path\"", [](Manifest &m) { m.aot->path = "../x"; });
  for (const char *digits : {"", "abc"})
    expect("64 lower-case", [&](Manifest &m) { m.program.sha256 = digits; });
  expect("64 lower-case", [&](Manifest &m) { m.spec->sha256[3] = 'A'; });
  expect("'plain' twice", [](Manifest &m) { m.plans[0] = "plain"; });
  expect("cannot be called 'none'", [](Manifest &m) { m.plans[0] = "none"; });
  expect("without a name", [](Manifest &m) { m.knobs[0].name = ""; });
  expect("default 9 of knob 'faith' is not within 0..8",
         [](Manifest &m) { m.knobs[0].defaultValue = 9; });
  expect("knob 'faith'", [](Manifest &m) { m.knobs[0].max = INFINITY; });
  expect("knob 'faith'", [](Manifest &m) { m.knobs[0].defaultValue = NAN; });
  expect("takes input_ids, positions, prompt_length, plan, knobs",
         [](Manifest &m) { m.inputs.pop_back(); });
  expect("takes input_ids, positions, prompt_length, plan",
         [](Manifest &m) { m.knobs.clear(); });
  expect("must be logits", [](Manifest &m) { m.outputs[0] = "hidden"; });
  expect("names output 2; the program has 2",
         [](Manifest &m) { m.records[0].output = 2; });
  expect("names output 0", [](Manifest &m) { m.records[0].output = 0; });
  expect("negative layer", [](Manifest &m) { m.sites[0].layer = -1; });
}

TEST(Manifest, ErrorsNameTheKey) {
  EXPECT_ERROR(Manifest::parse("[]"), "not a JSON object");
  EXPECT_ERROR(Manifest::parse("{}"), "\"weir\": 1 is missing");
  EXPECT_ERROR(Manifest::parse(R"({"weir": 2})"), "version 2 is not known");
  auto with = [](StringRef key, StringRef value) {
    json::Value changed = steered().toJSON();
    (*changed.getAsObject())[key] = cantFail(json::parse(value));
    return messageOf(Manifest::parse(formatv("{0}", changed).str()));
  };
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "\"program\" is missing",
                      with("program", "null"));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "\"program.sha256\" must be a string",
                      with("program", R"({"path": "x"})"));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "\"knobs[0].min\" must be a number",
                      with("knobs", R"([{"name": "a", "default": 1, "max": 2}])"));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "\"plans\" must be a list of strings",
                      with("plans", R"(["a", 1])"));
  EXPECT_PRED_FORMAT2(testing::IsSubstring, "\"sites\" must be a list of objects",
                      with("sites", R"(["res"])"));
  EXPECT_PRED_FORMAT2(testing::IsSubstring,
                      "\"records[0].features\" must be a list of strings",
                      with("records", R"([{"name": "watch", "output": 1}])"));
  // Keys of a later time do not disturb.
  EXPECT_EQ(with("report", R"({"cost": 1})"), "");
  EXPECT_ERROR(Manifest::read("/nonexistent/manifest.json"),
               "/nonexistent/manifest.json");
}

} // namespace
