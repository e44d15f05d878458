//===- AttributionTest.cpp - Features that an attribution graph pins ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <gmock/gmock.h>

using namespace weir::spec;
using namespace weir::spec::testing;
using ::testing::HasSubstr;

namespace {

/// A spec of two dictionaries and one policy, whose graph has this text.
Imported withGraph(llvm::StringRef graph,
                   llvm::StringRef selector = "{attribution: g.json, "
                                              "dictionary: clt}",
                   bool confine = false) {
  SpecOptions options;
  options.confinePaths = confine;
  options.readFile =
      [&](llvm::StringRef path) -> llvm::Expected<std::string> {
    if (path != "g.json")
      return llvm::createStringError(path + ": no such file");
    return graph.str();
  };
  return import(
      ("weir: 1\nmodel: {program: a.pt2}\ndictionaries:\n"
       "  clt: {format: circuit_tracer, path: clt, sites: [mlp], layers: 0..5}\n"
       "  sae: {format: sae_lens, path: a, sites: [res], layers: 3}\n"
       "policies:\n  p: {on: " +
       selector + ", do: ablate}\n  q: {on: sae:3/res/1, do: record}\n")
          .str(),
      options);
}

std::string graph(llvm::StringRef pinned) {
  return ("{\"metadata\": {}, \"qParams\": {\"pinnedIds\": [" + pinned +
          R"(], "supernodes": []}, "links": [], "nodes": [
    {"node_id": "E_311_2", "feature_type": "embedding", "layer": "E"},
    {"node_id": "0_4_2", "feature_type": "mlp reconstruction error"},
    {"node_id": "7_99_3", "feature_type": "logit"},
    {"node_id": "4_812_1", "feature_type": "cross layer transcoder"},
    {"node_id": "4_812_3", "feature_type": "cross layer transcoder"},
    {"node_id": "0_5_3", "feature_type": "cross layer transcoder"},
    {"node_id": "9_5_3", "feature_type": "cross layer transcoder"},
    {"node_id": "odd", "feature_type": "cross layer transcoder"}]})")
      .str();
}

TEST(Attribution, PinnedNodesBecomeFeatures) {
  Imported result = withGraph(graph(R"("4_812_3", "0_5_3", "4_812_1")"));
  ASSERT_TRUE(result.succeeded) << result.all();
  EXPECT_EQ(result.all(), "");
  // In the order in which they were pinned, and a feature of two tokens once.
  EXPECT_THAT(result.ir,
              HasSubstr("%p.on = flow.select [#flow.feature<@clt:4/mlp/812>, "
                        "#flow.feature<@clt:0/mlp/5>]"));
}

TEST(Attribution, OtherNodesAreLeftOutWithAWarning) {
  Imported result =
      withGraph(graph(R"("E_311_2", "0_5_3", "0_4_2", "7_99_3")"));
  ASSERT_TRUE(result.succeeded) << result.all();
  EXPECT_EQ(result.all(),
            "7:25: warning: 'g.json' pins 3 nodes that are no features (tokens, "
            "logits or errors), left out here\n");
}

TEST(Attribution, ErrorsPointAtTheSelector) {
  auto said = [](llvm::StringRef text, llvm::StringRef selector =
                                           "{attribution: g.json, dictionary: "
                                           "clt}") {
    Imported result = withGraph(text, selector);
    EXPECT_FALSE(result.succeeded);
    return result.all();
  };
  EXPECT_EQ(said(graph("")), "7:25: error: 'g.json' pins no feature: pin some on "
                             "the page of circuit-tracer, and save the graph\n");
  EXPECT_EQ(said(graph(R"("E_311_2")")).find("7:25: error: 'g.json' pins no"),
            0u);
  EXPECT_EQ(said(graph(R"("9_5_3")")),
            "7:11: error: the dictionary 'clt' has no layer 9; it covers 0 to "
            "5\n4:66: note: its layers\n");
  EXPECT_THAT(said(graph(R"("3_3_3")")),
              HasSubstr("it pins '3_3_3', which is not among its nodes"));
  EXPECT_THAT(said(graph(R"("odd")")),
              HasSubstr("the node 'odd' is not called LAYER_FEATURE_POSITION"));
  EXPECT_THAT(said(graph("3")), HasSubstr("an entry of 'pinnedIds' is no text"));
  for (llvm::StringRef text :
       {"{}", "[]", "{\"nodes\": []}", "{\"qParams\": {\"pinnedIds\": []}}"})
    EXPECT_THAT(said(text), HasSubstr("7:25: error: 'g.json': it has no list"));
  EXPECT_THAT(said(R"({"qParams": {"pinnedIds": []}, "nodes": [3]})"),
              HasSubstr("a node lacks its 'node_id'"));
  EXPECT_THAT(said("{"), HasSubstr("7:25: error: 'g.json': "));
  EXPECT_EQ(said("", "{attribution: none.json, dictionary: clt}"),
            "7:25: error: none.json: no such file\n");
  EXPECT_EQ(said("", "{attribution: g.json, dictionary: cl}"),
            "7:45: error: unknown dictionary 'cl'; did you mean 'clt'?\n");
  EXPECT_EQ(said("", "{attribution: g.json}"),
            "7:11: error: there are 2 dictionaries: say with 'dictionary' whose "
            "features the graph has\n");
  EXPECT_THAT(said("", "{site: clt:3/mlp, dictionary: clt}"),
              HasSubstr("'dictionary' does not belong to 'site'"));
  EXPECT_THAT(said("", "{attribution: g.json, dictionary: clt, count: 2}"),
              HasSubstr("'count' does not belong to 'attribution'"));
  EXPECT_THAT(said("", "{attribution: [a], dictionary: clt}"),
              HasSubstr("7:25: error: 'attribution' must be text"));
}

TEST(Attribution, PathsOfStrangers) {
  Imported result = withGraph(
      "", "{attribution: ../g.json, dictionary: clt}", /*confine=*/true);
  EXPECT_THAT(result.all(), HasSubstr("leaves the spec's folder"));
}

TEST(Attribution, NothingIsReadWithoutBeingAsked) {
  Imported result = import("weir: 1\nmodel: {}\ndictionaries:\n"
                           "  clt: {format: circuit_tracer, path: clt, sites: "
                           "[mlp], layers: 0..5}\npolicies:\n"
                           "  p: {on: {attribution: /etc/passwd}, do: ablate}\n");
  EXPECT_THAT(result.all(),
              HasSubstr("files that a spec names are not read here"));
}

} // namespace
