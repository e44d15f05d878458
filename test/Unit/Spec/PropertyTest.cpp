//===- PropertyTest.cpp - Random specs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A generator of correct specs in random dress (block or flow style, quotes,
// comments, order of keys) with a model of what they mean, against which the
// imported operations are compared; and random damage to correct specs.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "weir/Spec/Keywords.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

using namespace weir::spec;
using namespace weir::spec::testing;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace {
int64_t pick(int64_t first, int64_t last) {
  return *rc::gen::inRange<int64_t>(first, last + 1);
}
bool coin() { return pick(0, 1) == 1; }
template <typename T> const T &oneOf(const std::vector<T> &from) {
  return from[pick(0, from.size() - 1)];
}

std::string number() {
  return oneOf<std::string>({"0", "1", "-1", "0.5", "-2.25", "8", "1e3", "+4",
                             ".125", "6.", "-1E-3"});
}

/// A mapping that is written in flow or block style.
struct Map {
  std::vector<std::pair<std::string, std::string>> entries;

  void add(std::string key, std::string value) {
    entries.push_back({std::move(key), std::move(value)});
  }
  std::string flow() const {
    std::string text = "{";
    for (size_t i = 0; i < entries.size(); ++i)
      text += (i ? ", " : "") + entries[i].first + ": " + entries[i].second;
    return text + "}";
  }
  std::string write(unsigned indent) {
    if (coin())
      std::reverse(entries.begin(), entries.end());
    if (coin())
      return " " + flow() + "\n";
    std::string text = "\n", space(indent, ' ');
    for (auto &[key, value] : entries) {
      if (coin())
        text += space + "# a comment: with {brackets\n";
      std::string name = coin() ? key : "\"" + key + "\"";
      text += space + name + ": " + value + (coin() ? "  # more" : "") + "\n";
    }
    return text;
  }
};

/// Writes correct specs and counts what is in them.
class Writer {
public:
  std::string spec;
  unsigned policies = 0, plans = 0, knobs = 0, dictionaries = 0;
  unsigned lists = 0; ///< flow.select operations

  void write() {
    dictionaries = pick(1, 3);
    for (unsigned i = 0; i < dictionaries; ++i)
      names.push_back("d" + std::to_string(i));
    spec = "weir: 1\nmodel: {program: \"some model.pt2\"}\n";
    writeDictionaries();
    writeLists();
    writeKnobs();
    writePolicies();
    writePlans();
  }

private:
  std::string site(int64_t first = 4) {
    std::string text = dictionaries > 1 || coin() ? oneOf(names) + ":" : "";
    layer = pick(first, 12);
    kind = oneOf<std::string>({"res", "mlp", "att", "mid", "head"});
    return text + std::to_string(layer) + "/" + kind;
  }
  /// Never the same feature twice, so that nothing conflicts.
  std::string feature() {
    std::string text = site() + "/" + std::to_string(next++);
    return coin() ? text : "\"" + text + "\"";
  }
  std::string selector() {
    switch (pick(0, 4)) {
    case 0:
      return "{antagonists: " + feature() + "}";
    case 1:
      return "{antagonists: " + feature() +
             ", count: " + std::to_string(pick(1, 9)) + "}";
    default:
      return feature();
    }
  }
  std::string list() {
    std::string text = "[";
    for (int64_t i = 0, count = pick(1, 4); i < count; ++i)
      text += (i ? ", " : "") + selector();
    return text + "]";
  }

  void writeDictionaries() {
    spec += "dictionaries:\n";
    for (const std::string &name : names) {
      Map map;
      map.add("format",
              oneOf<std::string>({"sae_lens", "gemma_scope", "gemma_scope_2",
                                  "llama_scope", "directions"}));
      map.add("path", "\"some/{site}.{layer}/x\"");
      map.add("sites", "[res, mlp, att, mid, head]");
      map.add("layers", "4..12");
      spec += "  " + name + ":" + map.write(4);
    }
  }
  void writeLists() {
    int64_t count = pick(0, 3);
    if (count)
      spec += "features:\n";
    for (int64_t i = 0; i < count; ++i) {
      named.push_back("list" + std::to_string(i));
      spec +=
          "  " + named.back() + ": " + (coin() ? list() : selector()) + "\n";
      ++lists;
    }
  }
  void writeKnobs() {
    knobs = pick(0, 3);
    if (knobs)
      spec += "knobs:\n";
    for (unsigned i = 0; i < knobs; ++i) {
      Map map;
      map.add("default", std::to_string(pick(-3, 3)));
      if (coin())
        map.add("range", "[-3.0, 3]");
      spec += "  k" + std::to_string(i) + ":" + map.write(4);
    }
  }

  std::string strength() {
    if (coin())
      return number();
    Map map;
    map.add("value", number());
    switch (pick(0, 4)) {
    case 0:
      map.add("schedule", "linear");
      if (coin())
        map.add("last", number());
      break;
    case 1:
      map.add("schedule", "exponential");
      if (coin())
        map.add("rate", "-0.25");
      break;
    case 2:
      map.add("schedule", "gaussian");
      map.add("center", number());
      map.add("width", "1.5");
      break;
    case 3:
      map.add("schedule", "constant");
      break;
    default:
      break;
    }
    return map.flow();
  }
  /// A token, or a list of some; none of another call.
  std::string token() {
    std::string number = std::to_string(next++);
    if (coin())
      return coin() ? number : "\"<" + number + ">\"";
    return "[" + number + ", \"<" + std::to_string(next++) + "\\n>\"]";
  }
  std::string tokens(bool takesShare) {
    if (coin())
      return oneOf<std::string>(
          {"all", "prompt", "generated", "last", "sampled"});
    Map map;
    map.add("skip_first", std::to_string(pick(0, 4)));
    if (coin())
      map.add("part", oneOf<std::string>({"prompt", "generated", "all"}));
    if (coin())
      map.add("positions", "[" + std::to_string(pick(4, 8)) + "]");
    if (coin())
      map.add("to", std::to_string(pick(8, 20)));
    if (coin())
      map.add("after", token());
    if (coin())
      map.add("until", token());
    if (coin())
      map.add("between", "[" + token() + ", " + token() + "]");
    if (takesShare && coin())
      map.add("ramp", "{over: " + std::to_string(pick(1, 40)) + "}");
    if (takesShare && coin())
      map.add("decay", "{half: " + oneOf<std::string>({"64", "0.5", "1e3"}) + "}");
    return map.flow();
  }
  /// A condition on the first site of all, which is before any other.
  std::string condition(unsigned depth = 0) {
    std::string of = (dictionaries > 1 ? names[0] + ":" : "") + "4/head/" +
                     std::to_string(pick(0, 99));
    if (depth < 3 && coin()) {
      std::string text = coin() ? "{any: [" : "{all: [";
      for (int64_t i = 0, count = pick(1, 3); i < count; ++i)
        text += (i ? ", " : "") + condition(depth + 1);
      return text + "]}";
    }
    switch (pick(0, 2)) {
    case 0:
      return "{feature: " + of + ", above: " + number() + "}";
    case 1:
      return "{feature: " + of + ", below: " + number() + "}";
    default:
      return "{feature: " + of + ", above: -3, below: 9}";
    }
  }

  void writePolicies() {
    policies = pick(0, 5);
    spec += policies ? "policies:\n" : "policies: {}\n";
    for (unsigned i = 0; i < policies; ++i)
      writePolicy("p" + std::to_string(i));
  }
  void writePolicy(const std::string &name) {
    Map map;
    std::string action =
        oneOf<std::string>({"add", "set", "scale", "clamp", "ablate",
                            "transfer", "project_out", "record"});
    map.add("do", action);
    // A named list is used once only: two absolute writes would conflict.
    if (action == "transfer") {
      std::string from = feature();
      map.add("on", from);
      // The partner lives at the last site, at or behind any other.
      map.add("to", (dictionaries > 1 ? names[0] + ":" : "") + "12/res/" +
                        std::to_string(next++));
      lists += 2;
    } else if (!named.empty() && coin()) {
      map.add("on", "{features: " + named.back() + "}");
      named.pop_back();
    } else {
      map.add("on", coin() ? list() : feature());
      ++lists;
    }
    if (action == "add") {
      map.add("strength", strength());
      if (coin())
        map.add("layers",
                oneOf<std::string>({"own", "cumulative", "4..9", "7"}));
      if (coin())
        map.add("normalize", coin() ? "true" : "false");
    } else if (action == "set") {
      map.add("value", number());
    } else if (action == "scale") {
      map.add("factor", number());
    } else if (action == "clamp") {
      map.add("min", "-2");
      if (coin())
        map.add("max", "7.5");
    }
    llvm::ArrayRef<llvm::StringRef> keys = actionKeys(static_cast<Action>(
        llvm::find(actionNames(), action) - actionNames().begin()));
    if (llvm::is_contained(keys, "times") && knobs && coin())
      map.add("times", "k" + std::to_string(pick(0, knobs - 1)));
    if (llvm::is_contained(keys, "only_active") && coin())
      map.add("only_active", "true");
    if (llvm::is_contained(keys, "norm") && coin())
      map.add("norm", "preserve");
    if (coin())
      map.add("tokens",
              tokens(action != "project_out" && action != "record"));
    if (coin())
      map.add("when", condition());
    spec += "  " + name + ":" + map.write(4);
  }
  void writePlans() {
    plans = 1; // the default
    if (coin())
      return;
    plans = pick(1, 3);
    spec += "plans:\n";
    for (unsigned i = 0; i < plans; ++i) {
      std::string names;
      for (unsigned policy = 0; policy < policies; ++policy)
        if (coin())
          names += (names.empty() ? "p" : ", p") + std::to_string(policy);
      spec += "  plan" + std::to_string(i) + ": [" + names + "]\n";
    }
  }

  std::vector<std::string> names, named;
  unsigned next = 0;
  int64_t layer = 0;
  std::string kind;
};

unsigned count(const std::string &text, llvm::StringRef operation) {
  return llvm::StringRef(text).count(("\n  " + operation + " ").str());
}
} // namespace

RC_GTEST_PROP(Property, CorrectSpecsBecomeWhatTheySay, ()) {
  Writer writer;
  writer.write();
  Imported result = import(writer.spec);
  RC_LOG() << writer.spec << result.all();
  RC_ASSERT(result.succeeded);
  for (const Said &message : result.messages)
    RC_ASSERT(message.severity == "warning");
  RC_ASSERT(count(result.ir, "steer.model") == 1u);
  RC_ASSERT(count(result.ir, "flow.collection") == writer.dictionaries);
  RC_ASSERT(llvm::StringRef(result.ir).count(" = flow.select ") == writer.lists);
  RC_ASSERT(count(result.ir, "steer.knob") == writer.knobs);
  RC_ASSERT(count(result.ir, "steer.policy") == writer.policies);
  RC_ASSERT(count(result.ir, "steer.plan") == writer.plans);
  // Prints, reads back and prints the same.
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(writer.spec.data()),
                         writer.spec.size());
}

static void damage(std::string text) {
  for (int64_t i = 0, edits = pick(1, 6); i < edits && !text.empty(); ++i) {
    size_t at = pick(0, text.size() - 1);
    switch (pick(0, 4)) {
    case 0: // lose some
      text.erase(at, pick(1, 12));
      break;
    case 1: // repeat some
      text.insert(at, text.substr(pick(0, text.size() - 1), pick(1, 40)));
      break;
    case 2:
      text[at] = char(pick(0, 255));
      break;
    case 3:
      text.insert(at, oneOf<std::string>({"{", "}", "[", "]", ":", ": ", ",",
                                          "\n", "- ", "# ", "'", "\"", "&a ",
                                          "*a", "|", "\t", "-", "/", "9"}));
      break;
    default: // exchange neighbours
      if (at + 1 < text.size())
        std::swap(text[at], text[at + 1]);
    }
  }
  RC_LOG() << text;
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(text.data()),
                         text.size());
}

RC_GTEST_PROP(Property, DamageIsReportedOrHarmless, ()) {
  Writer writer;
  writer.write();
  for (int i = 0; i < 20; ++i)
    damage(writer.spec);
}
