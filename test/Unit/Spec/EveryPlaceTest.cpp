//===- EveryPlaceTest.cpp - An error in every place of a spec ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A spec that has every key of the language, and a damage of every kind at every
// place of it: each gives an error that points into the damage.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "weir/Spec/Keywords.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

#include <gtest/gtest.h>

using namespace weir::spec;
using namespace weir::spec::testing;

namespace {

constexpr llvm::StringLiteral everything = R"(weir: 1
model: {program: a.pt2, sites: {res: "m.{layer}", mlp: "m.{layer}.mlp", att: "m.{layer}.att", mid: "m.{layer}.mid", head: "m.{layer}.o"}}
dictionaries:
  sae: {format: sae_lens, path: "{site}.{layer}", sites: [res, mlp, att], layers: 9..16, hook: ignore}
  words: {format: unembedding, sites: [res], layers: 29}
  coder: {format: circuit_tracer, path: clt, sites: [mlp], layers: 0..3, reads: mlp_in}
features:
  few: [sae:10/res/811, {antagonists: sae:10/res/5, count: 2}, {site: sae:9/att}]
  one: sae:12/res/411
  before: {predecessors: sae:12/res/411, match: flow, count: 3}
  behind: {successors: sae:12/res/411, match: flow, count: 3}
  pinned: {attribution: graph.json, dictionary: coder}
knobs:
  mood: {default: 1.0, range: [0, 8]}
matches:
  flow: {dictionary: sae, sites: [res, mlp], layers: 10..12, method: top_k, k: 2, similarity: dot, weights: [encoder, decoder], fold: threshold}
  cosines: {dictionary: sae, method: top_k, k: 2}
  heard: {dictionary: sae, method: top_k, similarity: pearson, text: held-out.jsonl}
  one2one: {dictionary: sae, sites: [res], method: permutation}
graphs:
  walk: {from: sae:12/res/411, match: cosines, layers: 10..12, direction: both, width: 2, keep: {res: 0.5, mlp: {similarity: 0.1, null: 0.9, effect: 0.2}, null: 0.5}, text: held-out.jsonl}
  again: {from: [sae:12/res/410, {features: one}], match: cosines, keep: 0.5}
  either: {union: [walk, again]}
  shared: {intersection: [walk, again]}
  rest: {difference: [walk, again]}
  way: {path: [sae:10/res/1, sae:12/res/2], match: cosines, text: held-out.jsonl}
labels: {sae:12/res/411: faith, sae:12/res/412: doubt}
policies:
  nodes: {on: {graph: way, sites: [res], layers: 10..12, roots: true, steps: 2}, do: add, strength: {value: 8, weight: similarity}}
  ends: {on: {antagonists: {graph: walk, leaves: true}, count: 2}, do: record, when: {graph: way, sites: [res], layers: 10..11, nodes: all, above: 0.5}}
  push: {on: sae:12/res/1, do: add, strength: {value: 8, schedule: exponential, rate: -0.05, times: mood}, normalize: true, layers: cumulative, norm: preserve}
  line: {on: sae:12/res/2, do: add, strength: {value: 8, schedule: linear, last: 2}, layers: 9..12}
  bell: {on: sae:12/res/3, do: add, strength: {value: 8, schedule: gaussian, center: 12, width: 2}}
  share: {on: sae:12/res/4, do: add, strength: {dose: 0.4, text: held-out.jsonl, schedule: linear, last: 0.1, times: mood}, layers: 9..12}
  pin: {on: {features: one}, do: set, value: 3, times: mood, only_active: true}
  flip: {on: [sae:12/mlp/3, {features: behind}], do: scale, factor: -1, when: {any: [{feature: sae:9/res/77, above: 0.5, below: 2}, {all: [{feature: sae:9/att/7, below: 3}]}]}}
  bound: {on: sae:13/res/3, do: clamp, min: 0, max: 4, tokens: {part: prompt, skip_first: 2, from: 3, to: 9}}
  off: {on: sae:14/res/3, do: ablate, tokens: {positions: [1, 4]}}
  move: {on: sae:11/res/5, to: sae:12/res/6, do: transfer}
  rise: {on: sae:14/res/7, do: add, strength: 2, tokens: {part: sampled, after: "</think>", until: [9, "<end>"], ramp: {over: 32}, decay: {half: 64}}}
  inside: {on: sae:14/res/8, do: ablate, tokens: {between: ["<think>", ["</think>", 7]]}}
  remove: {on: sae:15/res/6, do: project_out, tokens: generated}
  nowhere: {on: sae:15/res/7, do: project_out, layers: all}
  watch: {on: sae:16/res/6, do: record, after: true}
  acts: {gate: off, do: record}
  raw: {value: [16/res, 9/mlp], do: record, after: true}
  pruned: {do: substitute, layers: 12..13, form: quantile, match: one2one, quantile: 0.9}
  coded: {do: substitute, layers: 10, form: encode_decode_current, dictionary: sae}
plans:
  default: [nodes, ends, push, line, bell, share, pin, flip, bound, off, rise, inside, move, remove, watch, acts, raw]
  shorter: [pruned, coded]
  plain: []
)";

/// A graph with one pinned feature, and no other file.
SpecOptions withGraph() {
  SpecOptions options;
  options.readFile =
      [](llvm::StringRef path) -> llvm::Expected<std::string> {
    if (path != "graph.json")
      return llvm::createStringError("no such file");
    return std::string(R"({"qParams": {"pinnedIds": ["2_7_1"]}, "nodes": [
        {"node_id": "2_7_1", "feature_type": "cross layer transcoder"}]})");
  };
  return options;
}

/// Keys that the writer of a spec chooses are those of these sections.
bool namesThings(llvm::StringRef section) {
  return llvm::is_contained({"dictionaries", "features", "graphs", "knobs",
                             "matches", "policies", "plans"},
                            section);
}

class Damage {
public:
  void run() {
    Imported whole = import(everything, withGraph());
    ASSERT_TRUE(whole.succeeded) << whole.all();
    ParsedYaml parsed = parse(everything);
    ASSERT_TRUE(parsed.root);
    damaged = true;
    map(*parsed.root, "", 0);
  }
  bool damaged = false;
  unsigned count = 0;
  llvm::StringSet<> keys;

private:
  /// Puts `text` in the place of a range; an error must point there.
  void replace(SourceRange range, const std::string &text,
               const std::string &where) {
    ++count;
    std::string spec = everything.substr(0, range.begin).str() + text +
                       everything.substr(range.end).str();
    SourceFile file("test.yaml", spec);
    auto first = file.lineAndColumn(range.begin);
    auto last = file.lineAndColumn(
        static_cast<uint32_t>(range.begin + text.size()));
    Imported result = import(spec, withGraph());
    EXPECT_FALSE(result.succeeded) << where << " as " << text;
    EXPECT_TRUE(llvm::any_of(result.messages, [&](const Said &said) {
      std::pair at(said.line, said.column);
      return said.severity == "error" && first <= at && at <= last;
    })) << where << " as " << text << ", at " << first.first << ":"
        << first.second << ":\n" << result.all();
  }

  void map(const YamlNode &node, const std::string &where, unsigned depth) {
    const bool chosen = depth == 1 && namesThings(where);
    for (const YamlEntry &entry : node.entries) {
      const std::string path =
          where.empty() ? entry.key.value : where + "." + entry.key.value;
      const std::string key = entry.key.value;
      if (!chosen) {
        keys.insert(key);
        replace(entry.key.range, key + "z", path);
      }
      // Nested keys, and the same key twice.
      replace(entry.key.range, "[" + key + "]", path);
      const uint32_t end = entry.value.range.end;
      if (depth > 0 && everything[node.range.begin] == '{')
        replace({end, end}, ", " + key + ": 1", path);
      // Without a value: the message stands at the key.
      replace({entry.key.range.begin, end}, key + ": ", path);
      value(entry.value, path, depth + 1);
    }
    if (everything[node.range.begin] == '{')
      replace({node.range.begin + 1, node.range.begin + 1}, "zzz: 1, ", where);
  }

  void value(const YamlNode &node, const std::string &where, unsigned depth) {
    replace(node.range, "[[1]]", where);
    replace(node.range, "{zzz: 1}", where);
    // Nothing in the language is written like this.
    replace(node.range, "\"\"", where);
    replace(node.range, "!tag 1", where);
    replace(node.range, "*nowhere", where);
    if (node.isMap())
      map(node, where, depth);
    for (const YamlNode &item : node.items)
      value(item, where + "[]", depth + 1);
  }
};

} // namespace

TEST(EveryPlace, HoldsAnErrorThatIsFound) {
  Damage damage;
  damage.run();
  ASSERT_TRUE(damage.damaged);
  EXPECT_GT(damage.count, 1000u);
  // No key of the language is missing above, but for those of what is not
  // supported yet.
  llvm::StringSet<> later;
  for (llvm::StringRef key : {"form", "quantile", "head", "mid"})
    later.insert(key);
  for (const Keys &keys :
       {specKeys(), modelKeys(), dictionaryKeys(), knobKeys(), matchKeys(),
        graphKeys(), keepKeys(), graphPartKeys(), policyKeys(), strengthKeys(),
        tokensKeys(), rampKeys(), decayKeys(), conditionKeys(),
        selectorKeys()})
    for (llvm::StringRef key : keys.keys)
      EXPECT_TRUE(damage.keys.contains(key) || later.contains(key)) << key.str();
}
