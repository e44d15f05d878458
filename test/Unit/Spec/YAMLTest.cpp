//===- YAMLTest.cpp - YAML as a tree with places ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <gtest/gtest.h>

using namespace weir::spec;
using namespace weir::spec::testing;

static std::string at(llvm::StringRef text, const YamlNode &node) {
  return text.slice(node.range.begin, node.range.end).str();
}

TEST(Yaml, RangesCoverWhatIsWritten) {
  llvm::StringRef text = "plain: some words\n"
                         "single: 'it''s'\n"
                         "double: \"a\\\"b\"\n"
                         "list: [1, 2 ]\n"
                         "map: {a: 1,  b: c }\n"
                         "empty: {}\n"
                         "block:\n"
                         "  - x\n"
                         "  - yy\n";
  ParsedYaml yaml = parse(text);
  ASSERT_TRUE(yaml.root);
  ASSERT_TRUE(yaml.messages.empty()) << yaml.messages.front();
  std::vector<std::string> values;
  for (const YamlEntry &entry : yaml.root->entries) {
    EXPECT_EQ(text.slice(entry.key.range.begin, entry.key.range.end),
              entry.key.value);
    values.push_back(at(text, entry.value));
  }
  EXPECT_EQ(values, (std::vector<std::string>{
                        "some words", "'it''s'", "\"a\\\"b\"", "[1, 2 ]",
                        "{a: 1,  b: c }", "{}", "- x\n  - yy"}));
}

TEST(Yaml, KnowsPlainFromQuoted) {
  ParsedYaml yaml = parse("[8, \"8\", '8', eight]");
  ASSERT_TRUE(yaml.root);
  const auto &items = yaml.root->items;
  EXPECT_TRUE(items[0].isPlain());
  EXPECT_FALSE(items[1].isPlain());
  EXPECT_FALSE(items[2].isPlain());
  EXPECT_EQ(items[0].describe(), "a number");
  EXPECT_EQ(items[1].describe(), "text");
  EXPECT_EQ(items[3].describe(), "text");
}

TEST(Yaml, PlacesMissingValues) {
  llvm::StringRef text = "a:\n"
                         "b: ~ \n"
                         "c: null\n"
                         "d:\n"
                         "  -\n"
                         "  # comment\n"
                         "  - # another\n"
                         "\n"
                         "  - x\n"
                         "e: [1, ~]\n";
  ParsedYaml yaml = parse(text);
  ASSERT_TRUE(yaml.root);
  const auto &entries = yaml.root->entries;
  EXPECT_EQ(entries[0].value.kind, YamlNode::Kind::Null);
  EXPECT_EQ(at(text, entries[0].value), "a"); // at its key
  EXPECT_EQ(at(text, entries[1].value), "~");
  EXPECT_EQ(at(text, entries[2].value), "null");
  const auto &items = entries[3].value.items;
  SourceFile file("test.yaml", text);
  EXPECT_EQ(file.describe(items[0].range), "5:3");
  EXPECT_EQ(file.describe(items[1].range), "7:3");
  EXPECT_EQ(at(text, entries[4].value.items[1]), "~");
}

TEST(Yaml, KeepsTheFirstOfTwoKeys) {
  ParsedYaml yaml = parse("{a: 1, b: 2, a: 3, a: 4}");
  ASSERT_TRUE(yaml.root);
  ASSERT_EQ(yaml.root->entries.size(), 2u);
  EXPECT_EQ(yaml.root->entries[0].value.text, "1");
  EXPECT_EQ(yaml.messages, (std::vector<std::string>{
                               "1:14: error: the key 'a' is written twice here",
                               "1:2: note: the first one",
                               "1:20: error: the key 'a' is written twice here",
                               "1:2: note: the first one"}));
}

TEST(Yaml, QuotedKeysAreKeysToo) {
  ParsedYaml yaml = parse("{a: 1, \"a\": 2, '<<': 3}");
  ASSERT_TRUE(yaml.root);
  ASSERT_EQ(yaml.root->entries.size(), 2u);
  EXPECT_EQ(yaml.root->entries[1].key.value, "<<");
  EXPECT_EQ(yaml.messages.front(),
            "1:8: error: the key 'a' is written twice here");
}

TEST(Yaml, AliasesDoNotMultiply) {
  // Nine levels of nine aliases each would be 387,420,489 nodes.
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    std::string before(1, char(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i)
      bomb += (i ? ", *" : "*") + before;
    bomb += "]\n";
  }
  ParsedYaml yaml = parse(bomb);
  EXPECT_FALSE(yaml.messages.empty());
  EXPECT_EQ(yaml.messages[0],
            "1:4: error: anchors are not part of the language");
}

TEST(Yaml, ColumnsCountBytes) {
  ParsedYaml yaml = parse("{\xC3\xA4: 1, \xC3\xA4: 2}");
  ASSERT_EQ(yaml.messages.size(), 2u);
  EXPECT_EQ(yaml.messages[0],
            "1:9: error: the key '\xC3\xA4' is written twice here");
}

TEST(Yaml, MarkOfUtf8ShiftsTheFirstLine) {
  llvm::StringRef text = "\xEF\xBB\xBF{a: b}";
  ParsedYaml yaml = parse(text);
  ASSERT_TRUE(yaml.root);
  EXPECT_EQ(at(text, yaml.root->entries[0].value), "b");
  EXPECT_EQ(at(text, *yaml.root), "{a: b}");
}
