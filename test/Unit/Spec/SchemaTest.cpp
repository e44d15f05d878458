//===- SchemaTest.cpp - The schema speaks the language of the reader ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "weir/Spec/Keywords.h"

#include "llvm/Support/JSON.h"

#include <gtest/gtest.h>
#include <set>

using namespace weir::spec;
using namespace weir::spec::testing;
using Words = std::set<std::string>;

namespace {
class Schema : public ::testing::Test {
protected:
  void SetUp() override {
    auto parsed = llvm::json::parse(schema());
    ASSERT_TRUE(bool(parsed)) << llvm::toString(parsed.takeError());
    root = std::move(*parsed);
  }

  /// Follows keys from the root, and indices through arrays.
  const llvm::json::Value *find(llvm::StringRef path) {
    const llvm::json::Value *value = &root;
    llvm::SmallVector<llvm::StringRef> parts;
    path.split(parts, '/');
    for (llvm::StringRef part : parts) {
      size_t index;
      if (auto *object = value->getAsObject())
        value = object->get(part);
      else if (auto *array = value->getAsArray();
               array && !part.getAsInteger(10, index) && index < array->size())
        value = &(*array)[index];
      else
        value = nullptr;
      if (!value) {
        ADD_FAILURE() << "no " << path.str();
        return nullptr;
      }
    }
    return value;
  }

  Words keysAt(llvm::StringRef path) {
    Words words;
    if (auto *value = find(path))
      for (const auto &[key, ignored] : *value->getAsObject())
        words.insert(llvm::StringRef(key).str());
    return words;
  }

  Words enumAt(llvm::StringRef path) {
    Words words;
    if (auto *value = find(path))
      for (const llvm::json::Value &word : *value->getAsArray())
        words.insert(word.getAsString()->str());
    return words;
  }

  llvm::json::Value root = nullptr;
};

Words set(llvm::ArrayRef<llvm::StringRef> words) {
  Words result;
  for (llvm::StringRef word : words)
    result.insert(word.str());
  return result;
}
} // namespace

TEST_F(Schema, IsTheFileInTheDocumentation) {
  EXPECT_EQ(schema().str(), contents(WEIR_SPEC_SCHEMA));
}

TEST_F(Schema, HasTheSameKeys) {
  EXPECT_EQ(keysAt("properties"), set(specKeys().keys));
  EXPECT_EQ(keysAt("properties/model/properties"), set(modelKeys().keys));
  EXPECT_EQ(keysAt("definitions/dictionary/properties"),
            set(dictionaryKeys().keys));
  EXPECT_EQ(keysAt("definitions/match/properties"), set(matchKeys().keys));
  EXPECT_EQ(keysAt("definitions/graph/properties"), set(graphKeys().keys));
  EXPECT_EQ(keysAt("definitions/graph/properties/keep/oneOf/1/properties"),
            set(keepKeys().keys));
  EXPECT_EQ(keysAt("definitions/threshold/oneOf/1/properties"),
            set(thresholdKeys().keys));
  EXPECT_EQ(keysAt("definitions/graphSelector/properties"),
            set(graphPartKeys().keys));
  EXPECT_EQ(keysAt("definitions/knob/properties"), set(knobKeys().keys));
  EXPECT_EQ(keysAt("definitions/policy/properties"), set(policyKeys().keys));
  EXPECT_EQ(keysAt("definitions/strength/oneOf/1/properties"),
            set(strengthKeys().keys));
  EXPECT_EQ(keysAt("definitions/tokens/oneOf/1/properties"),
            set(tokensKeys().keys));
  EXPECT_EQ(keysAt("definitions/tokens/oneOf/1/properties/ramp/properties"),
            set(rampKeys().keys));
  EXPECT_EQ(keysAt("definitions/tokens/oneOf/1/properties/decay/properties"),
            set(decayKeys().keys));
  Words condition = keysAt("definitions/condition/oneOf/0/properties");
  condition.merge(keysAt("definitions/condition/oneOf/1/properties"));
  condition.merge(keysAt("definitions/condition/oneOf/2/properties"));
  condition.merge(keysAt("definitions/condition/oneOf/3/properties"));
  EXPECT_EQ(condition, set(conditionKeys().keys));
  Words selector;
  for (const char *kind : {"antagonists", "wholeSite", "graphSelector",
                           "predecessors", "successors", "attribution",
                           "namedFeatures"})
    selector.merge(
        keysAt((llvm::Twine("definitions/") + kind + "/properties").str()));
  EXPECT_EQ(selector, set(selectorKeys().keys));
}

TEST_F(Schema, HasTheSameWords) {
  EXPECT_EQ(enumAt("definitions/siteKind/enum"), set(siteNames()));
  EXPECT_EQ(enumAt("definitions/dictionary/properties/format/enum"),
            set(formatNames()));
  EXPECT_EQ(enumAt("definitions/dictionary/properties/reads/enum"),
            set(readNames()));
  EXPECT_EQ(enumAt("definitions/match/properties/method/enum"),
            set(methodNames()));
  EXPECT_EQ(enumAt("definitions/match/properties/similarity/enum"),
            set(similarityNames()));
  EXPECT_EQ(enumAt("definitions/match/properties/fold/enum"),
            set(foldingNames()));
  EXPECT_EQ(enumAt("definitions/match/properties/weights/items/enum"),
            set(weightNames()));
  EXPECT_EQ(enumAt("definitions/policy/properties/do/enum"),
            set(actionNames()));
  EXPECT_EQ(enumAt("definitions/policy/properties/form/enum"),
            set(substituteFormNames()));
  EXPECT_EQ(enumAt("definitions/policy/properties/layers/oneOf/0/enum"),
            set(layersNames()));
  EXPECT_EQ(enumAt("definitions/strength/oneOf/1/properties/schedule/enum"),
            set(scheduleNames()));
  EXPECT_EQ(enumAt("definitions/strength/oneOf/1/properties/weight/enum"),
            set(strengthWeightNames()));
  EXPECT_EQ(enumAt("definitions/graph/properties/direction/enum"),
            set(directionNames()));
  EXPECT_EQ(enumAt("definitions/condition/oneOf/1/properties/nodes/enum"),
            set(nodesNames()));
  EXPECT_EQ(enumAt("definitions/tokens/oneOf/0/enum"), set(tokenPartNames()));
  EXPECT_EQ(enumAt("definitions/tokens/oneOf/1/properties/part/enum"),
            set(tokenPartNames()));
}

TEST_F(Schema, GivesActionsTheSameKeys) {
  auto *rules = find("definitions/policy/allOf")->getAsArray();
  ASSERT_EQ(rules->size(), actionNames().size());
  for (size_t i = 0; i < rules->size(); ++i) {
    std::string rule = "definitions/policy/allOf/" + std::to_string(i) + "/";
    auto action = find(rule + "if/properties/do/const")->getAsString();
    auto index = llvm::find(actionNames(), *action) - actionNames().begin();
    ASSERT_LT(size_t(index), actionNames().size());
    Words expected = set(actionKeys(static_cast<Action>(index)));
    expected.merge(Words{"do", "tokens", "when"});
    if (*action != "substitute") // which has layers in place of features
      expected.insert("on");
    EXPECT_EQ(enumAt(rule + "then/propertyNames/enum"), expected)
        << action->str();
  }
}
