//===- ManifestTest.cpp - What a folder with a program holds ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/EditStats.h"
#include "weir/Runtime/Manifest.h"

#include "Expect.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

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
  out.aot = Manifest::File{"program.aot.pt2", hash, 12345};
  out.table = Manifest::File{"sites.safetensors", hash, 678};
  out.spec = Manifest::File{"spec.yaml", hash, {}};
  out.report = "report.md";
  out.model = Manifest::Model{"tiny", "llama", "f32", hash, hash};
  out.dictionaries = {{"sae/res.12", hash}};
  out.sites = {{"res", 12}, {"mlp", 3}};
  out.plans = {"default", "plain"};
  out.knobs = {{"faith", 1, 0, 8}, {"science", -0.5, -1, 1}};
  out.inputs = {"input_ids", "positions", "prompt_length", "plan", "knobs"};
  out.outputs = {"logits", "watch", "edited/12/res"};
  out.records = {{"watch", 1, {"12/res/411", "12/res/53"}, "watch"}};
  out.policies = {{"calm", true, {"default"}}, {"watch", false, {"plain"}}};
  out.counts = {{"res", 12, 2, {"calm"}}};
  return out;
}

std::string text(const Manifest &manifest) {
  return formatv("{0}", manifest.toJSON()).str();
}

TEST(Manifest, SurvivesWritingAndReading) {
  Manifest manifest = steered();
  Manifest again = valueOf(Manifest::parse(text(manifest)));
  EXPECT_EQ(text(again), text(manifest));
  EXPECT_EQ(text(again).find("arithmetic"), std::string::npos);
  manifest.model->arithmetic = "int8";
  EXPECT_EQ(valueOf(Manifest::parse(text(manifest))).model->arithmetic, "int8");
  EXPECT_EQ(again.knobs[1].defaultValue, -0.5);
  EXPECT_EQ(again.records[0].features[1], "12/res/53");
  EXPECT_EQ(again.aot->path, "program.aot.pt2");
  EXPECT_EQ(again.table->bytes, 678);

  std::string folder = testing::TempDir() + "manifest-test";
  ASSERT_FALSE(sys::fs::create_directories(folder));
  EXPECT_OK(manifest.write(folder));
  EXPECT_EQ(text(valueOf(Manifest::read(folder + "/manifest.json"))),
            text(manifest));
  EXPECT_FALSE(sys::fs::remove_directories(folder));
}

TEST(Manifest, TheRecordIsTheManifestWithoutItsProgram) {
  Manifest manifest = steered();
  Manifest record =
      valueOf(Manifest::parseRecord(printJSON(manifest.recordJSON())));
  EXPECT_OK(manifest.compare(record));
  EXPECT_FALSE(record.aot || record.table || record.report);
  EXPECT_EQ(record.program.path, "");
  EXPECT_EQ(record.spec->sha256, hash);
  EXPECT_EQ(record.model->family, "llama");
  EXPECT_EQ(manifest.files(),
            (std::vector<std::string>{"manifest.json", "program.pt2",
                                      "program.aot.pt2", "sites.safetensors",
                                      "spec.yaml", "report.md"}));
  EXPECT_ERROR(Manifest::parseRecord(R"({"weir": 2})"), "version 2");
  EXPECT_ERROR(Manifest::parseRecord("{}"), "\"weir\": 1 is missing");
}

TEST(Manifest, ComparesEveryKeyWithTheRecord) {
  auto differs = [](StringRef words, std::function<void(Manifest &)> edit) {
    Manifest manifest = steered();
    edit(manifest);
    std::string message = messageOf(manifest.compare(steered()));
    EXPECT_EQ(message, words.str());
  };
  differs("", [](Manifest &m) { m.program.sha256[0] = 'b'; });
  differs("", [](Manifest &m) { m.aot.reset(); });
  differs("\"plans[0]\" is \"other\" in the manifest and \"default\" in the "
          "program",
          [](Manifest &m) { m.plans[0] = "other"; });
  differs("\"plans\" has 1 entries in the manifest and 2 in the program",
          [](Manifest &m) { m.plans.pop_back(); });
  differs("\"knobs[0].max\" is 9 in the manifest and 8 in the program",
          [](Manifest &m) { m.knobs[0].max = 9; });
  differs("\"knobs[1].default\" is 0.5 in the manifest and -0.5 in the program",
          [](Manifest &m) { m.knobs[1].defaultValue = 0.5; });
  differs("\"model\" is only in the program",
          [](Manifest &m) { m.model.reset(); });
  differs("\"model.dtype\" is \"bf16\" in the manifest and \"f32\" in the "
          "program",
          [](Manifest &m) { m.model->dtype = "bf16"; });
  differs("\"sites[1].layer\" is 4 in the manifest and 3 in the program",
          [](Manifest &m) { m.sites[1].layer = 4; });
  differs("\"dictionaries\" has 0 entries in the manifest and 1 in the program",
          [](Manifest &m) { m.dictionaries.clear(); });
  differs("\"inputs\" has 4 entries in the manifest and 5 in the program",
          [](Manifest &m) { m.inputs.pop_back(); });
  differs("\"outputs[1]\" is \"seen\" in the manifest and \"watch\" in the "
          "program",
          [](Manifest &m) { m.outputs[1] = "seen"; });
  differs("\"records[0].features[1]\" is \"12/res/54\" in the manifest and "
          "\"12/res/53\" in the program",
          [](Manifest &m) { m.records[0].features[1] = "12/res/54"; });
  differs("\"policies[0].plans\" has 0 entries in the manifest and 1 in the "
          "program",
          [](Manifest &m) { m.policies[0].plans.clear(); });
  differs("\"counts\" is only in the program",
          [](Manifest &m) { m.counts.clear(); });
  differs("\"spec\" is only in the program",
          [](Manifest &m) { m.spec.reset(); });
}

TEST(Manifest, KnowsWhatPlansDo) {
  Manifest manifest = steered();
  EXPECT_TRUE(manifest.planEdits(0));
  EXPECT_FALSE(manifest.planRecords(0));
  EXPECT_FALSE(manifest.planEdits(1));
  EXPECT_TRUE(manifest.planRecords(1));
  EXPECT_FALSE(manifest.planEdits(-1) || manifest.planRecords(-1));
  // Older versions did not say.
  manifest.policies.clear();
  manifest.counts.clear();
  manifest.records[0].policy.clear();
  EXPECT_OK(manifest.check());
  EXPECT_TRUE(manifest.planEdits(1) && manifest.planRecords(0));
  EXPECT_FALSE(manifest.planEdits(-1));
}

// What a run edited, of which every number was put in.
TEST(EditStats, SumsByPolicyAndSiteAndTellsIdlePlans) {
  Manifest manifest = steered();
  manifest.policies.push_back({"push", true, {"default"}});
  manifest.counts = {{"res", 12, 2, {"calm", "push"}}, {"mlp", 3, 2, {"calm"}}};
  EXPECT_OK(EditStats::check(manifest));
  EditStats stats(manifest);
  stats.add(0, 10, {{4, 0}, {1}});
  stats.add(-1, 7, {{0, 0}, {0}});
  stats.add(1, 5, {{0, 0}, {0}}); // has nothing to edit
  EXPECT_OK(stats.assertSteered());
  std::string text;
  raw_string_ostream os(text);
  stats.print(os);
  EXPECT_EQ(text, "edited, of 22 tokens:\n"
                  "policy  site      tokens\n"
                  "calm    12/res         4\n"
                  "push    12/res         0\n"
                  "calm    3/mlp          1\n");
  EXPECT_EQ(formatv("{0}", stats.toJSON()).str(),
            R"({"edited":[{"policy":"calm","rows":[4,0,0],"site":"12/res","tokens":4},)"
            R"({"policy":"push","rows":[0,0,0],"site":"12/res","tokens":0},)"
            R"({"policy":"calm","rows":[1,0,0],"site":"3/mlp","tokens":1}],"tokens":[10,7,5]})");
  stats.add(0, 3, {{0, 0}, {0}});
  EXPECT_ERROR(stats.assertSteered(),
               "not steered: row 3: the plan 'default' edited none of 3 tokens");

  EditStats plain(manifest);
  plain.add(-1, 7, {{0, 0}, {0}});
  plain.add(1, 7, {{0, 0}, {0}});
  EXPECT_ERROR(plain.assertSteered(), "no row follows a plan that edits");

  manifest.counts.clear();
  EXPECT_ERROR(EditStats::check(manifest), "weirc build --stats");
  manifest.policies = {{"watch", false, {"plain"}}};
  EXPECT_ERROR(EditStats::check(manifest), "edits nothing");
  EXPECT_ERROR(EditStats::check(Manifest()), "edits nothing");
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
  expect("\"table.path\"", [](Manifest &m) { m.table->path = "../x"; });
  for (const char *digits : {"", "abc"})
    expect("64 lower-case", [&](Manifest &m) { m.program.sha256 = digits; });
  expect("64 lower-case", [&](Manifest &m) { m.spec->sha256[3] = 'A'; });
  expect("\"report.path\"", [](Manifest &m) { m.report = "../x"; });
  expect("'spec.yaml' twice", [](Manifest &m) { m.report = "spec.yaml"; });
  expect("'manifest.json' twice",
         [](Manifest &m) { m.program.path = "manifest.json"; });
  expect("\"model.weights\" must be 64",
         [](Manifest &m) { m.model->weights = "x"; });
  expect("'plain' twice", [](Manifest &m) { m.plans[0] = "plain"; });
  expect("cannot be called 'none'", [](Manifest &m) { m.plans[0] = "none"; });
  expect("without a name", [](Manifest &m) { m.knobs[0].name = ""; });
  expect("default 9 of knob 'faith' is not within 0..8",
         [](Manifest &m) { m.knobs[0].defaultValue = 9; });
  expect("knob 'faith'", [](Manifest &m) { m.knobs[0].max = INFINITY; });
  expect("knob 'faith'", [](Manifest &m) { m.knobs[0].defaultValue = NAN; });
  // The input is float32.
  expect("knob 'faith'", [](Manifest &m) { m.knobs[0].max = 1e300; });
  expect("takes input_ids, positions, prompt_length, plan, knobs",
         [](Manifest &m) { m.inputs.pop_back(); });
  expect("takes input_ids, positions, prompt_length, plan",
         [](Manifest &m) { m.knobs.clear(); });
  expect("must be logits", [](Manifest &m) { m.outputs[0] = "hidden"; });
  expect("names output 3; the program has 3",
         [](Manifest &m) { m.records[0].output = 3; });
  expect("names output 0", [](Manifest &m) { m.records[0].output = 0; });
  expect("negative layer", [](Manifest &m) { m.sites[0].layer = -1; });
  expect("policy 'calm' is in the plan 'other'",
         [](Manifest &m) { m.policies[0].plans = {"other"}; });
  expect("record 'watch' is of the policy 'seen'",
         [](Manifest &m) { m.records[0].policy = "seen"; });
  expect("\"counts\" names the policy 'push'",
         [](Manifest &m) { m.counts[0].policies = {"push"}; });
  expect("\"counts\" has an entry without a site or an output",
         [](Manifest &m) { m.counts[0].output = 3; });
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
  EXPECT_EQ(with("signature", R"({"by": 1})"), "");
  EXPECT_ERROR(Manifest::read("/nonexistent/manifest.json"),
               "/nonexistent/manifest.json");
}

} // namespace
