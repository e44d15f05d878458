//===- DocsTest.cpp - The examples in the reference of the language ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every block of YAML in docs/spec.md is read:
//
//   ```yaml            a spec, or some sections of one; it must be right
//   ```yaml wrong      a spec with the error that the next block shows
//
// Sections that a block leaves out are filled in by the frame below.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <gtest/gtest.h>

using namespace weir::spec;
using namespace weir::spec::testing;

namespace {
struct Block {
  unsigned line = 0;
  std::string info, text;
};

std::vector<Block> blocks() {
  std::vector<Block> result;
  std::string docs = contents(WEIR_SPEC_DOCS);
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::StringRef(docs).split(lines, '\n');
  bool inside = false;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].starts_with("```")) {
      inside = !inside;
      if (inside)
        result.push_back({unsigned(i + 1), lines[i].drop_front(3).str(), ""});
    } else if (inside) {
      result.back().text += lines[i].str() + "\n";
    }
  }
  EXPECT_FALSE(inside) << "a block is not closed";
  return result;
}

/// Puts in front of a block whatever sections it does not have itself.
std::string framed(llvm::StringRef text) {
  std::pair<llvm::StringRef, llvm::StringRef> frame[] = {
      {"weir", "weir: 1\n"},
      {"model", "model: {program: smollm2.pt2}\n"},
      {"dictionaries",
       "dictionaries:\n"
       "  sae: {format: sae_lens, path: \"sae/{site}.{layer}\", sites: [res, "
       "mlp, att], layers: 9..16}\n"},
      {"features", "features: {science: [10/res/811, 14/res/53]}\n"},
      {"knobs", "knobs: {faith: {default: 1.0, range: [0, 8]}}\n"},
      {"policies",
       "policies: {more_faith: {on: 12/res/411, do: add, strength: 8}, "
       "less_science: {on: {features: science}, do: ablate}}\n"},
  };
  std::string result;
  for (auto [key, section] : frame)
    if (!llvm::StringRef(("\n" + text).str())
             .contains(("\n" + key + ":").str()))
      result += section;
  return result + text.str();
}
} // namespace

TEST(Docs, ExamplesAreRight) {
  unsigned count = 0;
  for (const Block &block : blocks()) {
    if (block.info != "yaml")
      continue;
    ++count;
    Imported result = import(framed(block.text));
    std::string errors;
    for (const Said &message : result.messages)
      if (message.severity == "error")
        errors += message.str() + "\n";
    EXPECT_TRUE(result.succeeded) << "docs/spec.md:" << block.line << "\n"
                                  << errors;
  }
  EXPECT_GE(count, 12u);
}

TEST(Docs, WrongExamplesSayWhatIsShown) {
  unsigned count = 0;
  std::vector<Block> all = blocks();
  for (size_t i = 0; i + 1 < all.size(); ++i) {
    if (all[i].info != "yaml wrong")
      continue;
    ++count;
    std::string shown;
    for (const Said &message : import(all[i].text).messages)
      shown += "spec.yaml:" + message.str() + "\n";
    EXPECT_EQ(all[i + 1].text, shown) << "docs/spec.md:" << all[i + 1].line;
  }
  EXPECT_GE(count, 1u);
}

