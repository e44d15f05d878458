//===- TokenizerTest.cpp - Hugging Face's tokenizer.json ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Tokenizer.h"

#include "Expect.h"

#include "llvm/Support/JSON.h"

#include <rapidcheck/gtest.h>

#include <array>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

using Ids = std::vector<int64_t>;

/// A tokenizer.json as a DOM that a test can change. Byte level: the alphabet
/// is a, b, c, space (Ġ) and the two bytes of é.
json::Object byteLevel() {
  return *json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [
      {"id": 0, "content": "<s>", "special": true, "normalized": false,
       "lstrip": false, "rstrip": false, "single_word": false}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false,
                      "trim_offsets": true, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "dropout": null, "unk_token": null,
      "continuing_subword_prefix": null, "end_of_word_suffix": null,
      "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
      "vocab": {"<s>": 0, "a": 1, "b": 2, "c": 3, "Ġ": 4, "Ã": 5, "©": 6,
                "ab": 7, "bc": 8, "abc": 9, "Ġa": 10, "aa": 11, "Ã©": 12,
                "cab": 13},
      "merges": [["b", "c"], ["a", "b"], ["Ġ", "a"], ["a", "a"], ["a", "bc"]]}
  })")->getAsObject();
}

std::unique_ptr<Tokenizer> make(const json::Object &object) {
  std::string text;
  raw_string_ostream(text) << json::Value(json::Object(object));
  return valueOf(Tokenizer::parse(text));
}

std::string errorOf(const json::Object &object) {
  std::string text;
  raw_string_ostream(text) << json::Value(json::Object(object));
  return messageOf(Tokenizer::parse(text));
}

Ids encode(const Tokenizer &tokenizer, StringRef text, bool special = true) {
  return valueOf(tokenizer.encode(text, special));
}

json::Object &model(json::Object &object) { return *object.getObject("model"); }

json::Value parsed(StringRef text) { return cantFail(json::parse(text)); }

TEST(Tokenizer, MergesByRankFromTheLeft) {
  auto tokenizer = make(byteLevel());
  EXPECT_EQ(encode(*tokenizer, ""), Ids());
  EXPECT_EQ(encode(*tokenizer, "abc"), Ids({9})); // b c first, then a bc
  EXPECT_EQ(encode(*tokenizer, "aba"), Ids({7, 1}));
  EXPECT_EQ(encode(*tokenizer, "aaa"), Ids({11, 1}));
  EXPECT_EQ(encode(*tokenizer, "aaaa"), Ids({11, 11}));
  // "cab" is in the vocabulary, but no merge leads there.
  EXPECT_EQ(encode(*tokenizer, "cab"), Ids({3, 7}));
  json::Object ignoring = byteLevel();
  model(ignoring)["ignore_merges"] = true;
  EXPECT_EQ(encode(*make(ignoring), "cab"), Ids({13}));
}

TEST(Tokenizer, SplitsBeforeItMerges) {
  auto tokenizer = make(byteLevel());
  EXPECT_EQ(encode(*tokenizer, "a ab"), Ids({1, 4, 7}));
  EXPECT_EQ(encode(*tokenizer, "a a"), Ids({1, 10}));
  EXPECT_EQ(encode(*tokenizer, "a  a"), Ids({1, 4, 10}));
  json::Object whole = byteLevel();
  (*whole.getObject("pre_tokenizer"))["use_regex"] = false;
  EXPECT_EQ(encode(*make(whole), "a b"), Ids({1, 4, 2}));
  (*whole.getObject("pre_tokenizer"))["add_prefix_space"] = true;
  EXPECT_EQ(encode(*make(whole), "a"), Ids({10}));
  EXPECT_EQ(encode(*make(whole), " a"), Ids({10}));
}

TEST(Tokenizer, DropsBytesOutsideTheVocabularyAsTheLibraryDoes) {
  EXPECT_EQ(encode(*make(byteLevel()), "axc"), Ids({1, 3}));
  EXPECT_EQ(encode(*make(byteLevel()), "axb"), Ids({7}));
}

TEST(Tokenizer, AddedTokensAreFoundLongestFirst) {
  json::Object object = byteLevel();
  *object.getArray("added_tokens") = *parsed(R"([
    {"id": 0, "content": "<s>", "special": true},
    {"id": 14, "content": "<s>a", "special": false},
    {"id": 15, "content": "<l>", "special": true, "lstrip": true, "rstrip": true},
    {"id": 16, "content": "ca", "normalized": true}])").getAsArray();
  auto tokenizer = make(object);
  EXPECT_EQ(encode(*tokenizer, "<s>b<s>ab"), Ids({0, 2, 14, 2}));
  EXPECT_EQ(encode(*tokenizer, "a \n<l> \tb"), Ids({1, 15, 2}));
  EXPECT_EQ(encode(*tokenizer, "bcab"), Ids({2, 16, 2}));
  EXPECT_EQ(tokenizer->idOf("<l>"), 15);
  EXPECT_EQ(tokenizer->idOf("abc"), 9);
  EXPECT_EQ(tokenizer->idOf("nothing"), std::nullopt);
  EXPECT_TRUE(tokenizer->isSpecial(15));
  EXPECT_FALSE(tokenizer->isSpecial(14));
}

TEST(Tokenizer, PostProcessorAddsTokens) {
  json::Object object = byteLevel();
  object["post_processor"] = parsed(R"({"type": "Sequence", "processors": [
    {"type": "ByteLevel"},
    {"type": "TemplateProcessing",
     "single": [{"SpecialToken": {"id": "B", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "E", "type_id": 0}}],
     "pair": [],
     "special_tokens": {"B": {"id": "B", "ids": [0, 5], "tokens": ["x", "y"]},
                        "E": {"id": "E", "ids": [6], "tokens": ["z"]}}}]})");
  auto tokenizer = make(object);
  EXPECT_EQ(encode(*tokenizer, "a"), Ids({0, 5, 1, 6}));
  EXPECT_EQ(encode(*tokenizer, "a", false), Ids({1}));
}

TEST(Tokenizer, NormalFormC) {
  json::Object object = byteLevel();
  object["normalizer"] = parsed(R"({"type": "NFC"})");
  auto tokenizer = make(object);
  // e, U+0301 is composed to é; the merge to one token is not among the merges.
  EXPECT_EQ(encode(*tokenizer, "e\xCC\x81"), Ids({5, 6}));
  EXPECT_EQ(encode(*make(byteLevel()), "e\xCC\x81"), Ids());
}

TEST(Tokenizer, StreamsCompleteCharacters) {
  auto tokenizer = make(byteLevel());
  TextStream stream(*tokenizer);
  EXPECT_EQ(valueOf(stream.push(5)), "");
  EXPECT_EQ(valueOf(stream.push(6)), "\xC3\xA9");
  EXPECT_EQ(valueOf(stream.push(0)), ""); // special
  EXPECT_EQ(valueOf(stream.push(5)), "");
  EXPECT_EQ(valueOf(stream.push(1)), "\xEF\xBF\xBD" "a");
  EXPECT_EQ(valueOf(stream.push(5)), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
  EXPECT_ERROR(stream.push(99), "token 99 is not in the vocabulary");
  EXPECT_ERROR(stream.push(-1), "token -1 is not in the vocabulary");
  EXPECT_EQ(valueOf(tokenizer->decode({0, 10, 9}, false)), "<s> aabc");
  EXPECT_EQ(valueOf(tokenizer->decode({0, 10, 9})), " aabc");
}

/// A SentencePiece vocabulary in the way Gemma's and Llama 2's are written.
json::Object sentencePiece() {
  return *json::parse(R"({
    "added_tokens": [],
    "normalizer": {"type": "Sequence", "normalizers": [
      {"type": "Prepend", "prepend": "▁"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "pre_tokenizer": null,
    "post_processor": null,
    "decoder": {"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>",
      "fuse_unk": true,
      "vocab": {"<unk>": 0, "<0xC3>": 1, "<0xA9>": 2, "▁": 3, "a": 4, "▁a": 5,
                "b": 6},
      "merges": ["▁ a"]}
  })")->getAsObject();
}

TEST(Tokenizer, FallsBackToBytesThenToTheUnknownToken) {
  auto tokenizer = make(sentencePiece());
  EXPECT_EQ(encode(*tokenizer, "a b"), Ids({5, 3, 6}));
  EXPECT_EQ(encode(*tokenizer, "\xC3\xA9"), Ids({3, 1, 2}));
  EXPECT_EQ(encode(*tokenizer, "xyazz"), Ids({3, 0, 4, 0}));
  EXPECT_EQ(valueOf(tokenizer->decode({5, 3, 1, 2})), "a \xC3\xA9");
  json::Object apart = sentencePiece();
  model(apart)["fuse_unk"] = false;
  EXPECT_EQ(encode(*make(apart), "xy"), Ids({3, 0, 0}));
}

TEST(Tokenizer, MetaspacePutsItsCharacterBeforeTexts) {
  auto encoded = [](StringRef scheme, StringRef text) {
    json::Object object = sentencePiece();
    object["normalizer"] = nullptr;
    *object.getArray("added_tokens") =
        *parsed(R"([{"id": 7, "content": "<s>", "special": true}])").getAsArray();
    object["pre_tokenizer"] = json::Object{{"type", "Metaspace"},
                                           {"replacement", "▁"},
                                           {"prepend_scheme", scheme},
                                           {"split", false}};
    return encode(*make(object), text);
  };
  EXPECT_EQ(encoded("always", "a b<s>a"), Ids({5, 3, 6, 7, 5}));
  EXPECT_EQ(encoded("always", " a"), Ids({5}));
  EXPECT_EQ(encoded("first", "a b<s>a"), Ids({5, 3, 6, 7, 4}));
  EXPECT_EQ(encoded("first", "<s>a"), Ids({7, 4}));
  EXPECT_EQ(encoded("never", "a b<s>a"), Ids({4, 3, 6, 7, 4}));
}

TEST(Tokenizer, SplitBehaviours) {
  auto split = [&](StringRef behavior, StringRef pattern, bool invert) {
    json::Object object = byteLevel();
    object["pre_tokenizer"] = json::Object{
        {"type", "Sequence"},
        {"pretokenizers",
         json::Array{json::Object{{"type", "Split"},
                                  {"pattern", parsed(pattern)},
                                  {"behavior", behavior},
                                  {"invert", invert}},
                     json::Object{{"type", "ByteLevel"},
                                  {"add_prefix_space", true},
                                  {"use_regex", false}}}}};
    // Every piece begins with a space now, which shows where it begins.
    return valueOf(make(object)->decode(encode(*make(object), "abcbba")));
  };
  EXPECT_EQ(split("Isolated", R"({"String": "b"})", false), " a b c b b a");
  EXPECT_EQ(split("Removed", R"({"String": "b"})", false), " a c a");
  EXPECT_EQ(split("Removed", R"({"String": "b"})", true), " b b b");
  EXPECT_EQ(split("MergedWithPrevious", R"({"String": "b"})", false),
            " ab cb b a");
  EXPECT_EQ(split("MergedWithNext", R"({"String": "b"})", false), " a bc b ba");
  EXPECT_EQ(split("Contiguous", R"({"Regex": "b"})", false), " a b c bb a");
  EXPECT_EQ(split("Isolated", R"j({"Regex": "b+(?=a)"})j", false), " abc bb a");
  EXPECT_EQ(split("Isolated", R"({"Regex": "x*"})", false), " a b c b b a");
}

TEST(Tokenizer, RefusesCharactersOfUnknownClass) {
  auto tokenizer = make(byteLevel());
  // U+10D40, a digit of Garay, came with Unicode 16.
  EXPECT_ERROR(tokenizer->encode("a\xF0\x90\xB5\x80"), "U+10D40");
  EXPECT_ERROR(tokenizer->encode("\xE1\xA0\x8E"), "U+180E");
  // U+1FAE9 is newer, too, but its block is reserved for pictographs.
  EXPECT_OK(tokenizer->encode("a\xF0\x9F\xAB\xA9"));
  // No classes are needed without a regular expression.
  EXPECT_OK(make(sentencePiece())->encode("a\xF0\x90\xB5\x80"));
}

TEST(Tokenizer, LongWordsAreSplitWithoutRecursion) {
  json::Object object = byteLevel();
  std::string text(1 << 20, 'a');
  EXPECT_EQ(encode(*make(object), text), Ids(text.size() / 2, 11));
  object["pre_tokenizer"] = parsed(R"j({"type": "Sequence", "pretokenizers": [
    {"type": "Digits", "individual_digits": true},
    {"type": "Split", "pattern": {"Regex": "\\s+(?!\\S)|\\s+|\\p{L}+"},
     "behavior": "Isolated", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})j");
  EXPECT_EQ(encode(*make(object), text), Ids(text.size() / 2, 11));
  EXPECT_EQ(encode(*make(sentencePiece()), text).size(), text.size());
}

TEST(Tokenizer, RefusesTextThatIsNoUtf8) {
  EXPECT_ERROR(make(byteLevel())->encode("a\xFF"), "not UTF-8");
}

TEST(Tokenizer, RefusesWhatItDoesNotKnow) {
  EXPECT_ERROR(Tokenizer::parse("[]"), "not a JSON object");
  EXPECT_ERROR(Tokenizer::parse("{"), "tokenizer.json");
  auto with = [&](StringRef key, StringRef value) {
    json::Object object = byteLevel();
    object[key] = parsed(value);
    return errorOf(object);
  };
  auto withModel = [&](StringRef key, StringRef value) {
    json::Object object = byteLevel();
    model(object)[key] = parsed(value);
    return errorOf(object);
  };
  auto expect = [](StringRef part, const std::string &message) {
    EXPECT_NE(message.find(part.str()), std::string::npos) << message;
  };
  expect("option 'future' is not known", with("future", "1"));
  expect("normalizer 'NFKC': this type is not known",
         with("normalizer", R"({"type": "NFKC"})"));
  expect("option 'left' is not known",
         with("normalizer", R"({"type": "NFC", "left": 1})"));
  expect("more than 64 bytes",
         with("normalizer", R"({"type": "Prepend", "prepend": ")" +
                                std::string(65, 'a') + "\"}"));
  expect("pre_tokenizer 'Whitespace': this type is not known",
         with("pre_tokenizer", R"({"type": "Whitespace"})"));
  expect("\"replacement\" must be one character",
         with("pre_tokenizer", R"({"type": "Metaspace"})"));
  expect("unknown prepend_scheme 'last'",
         with("pre_tokenizer", R"({"type": "Metaspace", "replacement": "_",
              "prepend_scheme": "last"})"));
  expect("a step before Metaspace",
         with("pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [
              {"type": "Digits"}, {"type": "Metaspace", "replacement": "_"}]})"));
  expect("only a string is replaced",
         with("normalizer", R"({"type": "Replace", "pattern": {"Regex": "a"},
              "content": "b"})"));
  expect("a step after ByteLevel",
         with("pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [
              {"type": "ByteLevel"}, {"type": "Digits"}]})"));
  expect("unknown behaviour 'Sideways'",
         with("pre_tokenizer", R"({"type": "Split", "pattern": {"String": "a"},
              "behavior": "Sideways", "invert": false})"));
  expect("missing closing parenthesis",
         with("pre_tokenizer", R"j({"type": "Split", "pattern": {"Regex": "("},
              "behavior": "Isolated", "invert": false})j"));
  expect("post_processor 'BertProcessing': this type is not known",
         with("post_processor", R"({"type": "BertProcessing"})"));
  expect("decoder 'WordPiece': this type is not known",
         with("decoder", R"({"type": "WordPiece"})"));
  expect("model 'Unigram' is not known", withModel("type", R"("Unigram")"));
  expect("option 'cache' is not known", withModel("cache", "1"));
  expect("dropout", withModel("dropout", "0.1"));
  expect("'end_of_word_suffix' is not known",
         withModel("end_of_word_suffix", R"("</w>")"));
  expect("unknown token '<unk>' is not in the vocabulary",
         withModel("unk_token", R"("<unk>")"));
  expect("merge 0 ('a' with 'q') is not in the vocabulary",
         withModel("merges", R"([["a", "q"]])"));
  expect("merge 1", withModel("merges", R"(["a b", 5])"));
  expect("the same id", withModel("vocab", R"({"a": 1, "b": 1})"));
  expect("not usable", withModel("vocab", R"({"a": -1})"));
  expect("not usable", withModel("vocab", R"({"a": 99999999999})"));
  expect("has the id 20 where it would get 14",
         with("added_tokens", R"([{"id": 20, "content": "x"}])"));
  expect("has the id 3 where it would get 1",
         with("added_tokens", R"([{"id": 3, "content": "a"}])"));
  expect("single_word is not known",
         with("added_tokens", R"([{"id": 1, "content": "x", "single_word": true}])"));
}

RC_GTEST_PROP(Tokenizer, BytesSurvive, ()) {
  static const std::unique_ptr<Tokenizer> tokenizer = make(byteLevel());
  std::string text;
  for (int piece : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 5)))
    text += std::array<const char *, 5>{"a", "b", "c", " ", "\xC3\xA9"}[piece];
  RC_ASSERT(valueOf(tokenizer->decode(encode(*tokenizer, text))) == text);
}

RC_GTEST_PROP(Tokenizer, DamageIsAnErrorOrATokenizer, ()) {
  json::Object good = *rc::gen::arbitrary<bool>() ? sentencePiece() : byteLevel();
  std::string bad;
  raw_string_ostream(bad) << json::Value(std::move(good));
  size_t at = *rc::gen::inRange<size_t>(0, bad.size());
  if (*rc::gen::arbitrary<bool>())
    bad[at] = *rc::gen::element('"', '{', '}', '[', ']', ',', '0', '-', 'x');
  else
    bad.erase(at, *rc::gen::inRange<size_t>(1, 20));
  Expected<std::unique_ptr<Tokenizer>> result = Tokenizer::parse(bad);
  if (!result)
    RC_ASSERT(!messageOf(result.takeError()).empty());
  else
    RC_ASSERT(messageOf((*result)->encode("a b \xC3\xA9 x")).empty());
}

} // namespace
