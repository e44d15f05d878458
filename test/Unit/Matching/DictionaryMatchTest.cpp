//===- DictionaryMatchTest.cpp - Keys, units, entries and composition ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Dictionary/TestFiles.h"
#include "weir/Matching/DictionaryMatch.h"
#include "weir/Matching/Matrix.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"

#include "llvm/Support/FormatVariadic.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <set>

using namespace weir;
using namespace weir::matching;
using namespace weir::test;
using testing::HasSubstr;

namespace {

/// What a JumpReLU dictionary of width d is made of.
struct Numbers {
  int64_t features = 0, width = 0;
  std::vector<float> encoder;   ///< [d, F], as it is stored
  std::vector<float> decoder;   ///< [F, d]
  std::vector<float> bias, threshold; ///< [F]

  static Numbers random(int64_t features, int64_t width, unsigned seed) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    std::uniform_real_distribution<float> positive(0.25f, 2);
    Numbers made{features, width, {}, {}, {}, {}};
    for (int64_t i = 0; i < features * width; ++i) {
      made.encoder.push_back(normal(engine));
      made.decoder.push_back(normal(engine));
    }
    for (int64_t i = 0; i < features; ++i) {
      made.bias.push_back(normal(engine));
      made.threshold.push_back(positive(engine));
    }
    return made;
  }
};

std::shared_ptr<Dictionary> write(const Folder &folder, const std::string &name,
                                  const Numbers &numbers,
                                  bool hasThresholds = true) {
  folder.write(name + "/cfg.json",
               llvm::formatv(R"({{"architecture": "{0}", "d_in": {1}, "d_sae": )"
                             R"({2}, "apply_b_dec_to_input": false, )"
                             R"("normalize_activations": "none"})",
                             hasThresholds ? "jumprelu" : "standard",
                             numbers.width, numbers.features)
                   .str());
  std::vector<Stored> tensors = {
      {"W_enc", {numbers.width, numbers.features}, numbers.encoder},
      {"W_dec", {numbers.features, numbers.width}, numbers.decoder},
      {"b_enc", {numbers.features}, numbers.bias},
      {"b_dec", {numbers.width}, std::vector<float>(numbers.width, 0.5f)}};
  if (hasThresholds)
    tensors.push_back({"threshold", {numbers.features}, numbers.threshold});
  folder.writeSafetensors(name + "/sae_weights.safetensors", tensors);
  return take(openDictionary(DictionaryFormat::SAELens, folder.path(name)));
}

FeatureRows rowsOf(const Dictionary &dictionary,
                   const MatchOptions &options = {},
                   llvm::StringRef name = "a") {
  return take(FeatureRows::read(name, dictionary, options));
}

/// A dictionary in memory.
std::shared_ptr<Dictionary> inMemory(int64_t features, int64_t width,
                                     std::vector<float> numbers) {
  return take(
      unembeddingDictionary(view({features, width}, std::move(numbers))));
}

ResultCache cacheIn(const Folder &folder, const std::string &name = "cache") {
  return take(ResultCache::open(folder.path(name)));
}

void expectSame(const Match &one, const Match &two) {
  EXPECT_EQ(one.rows, two.rows);
  EXPECT_EQ(one.columns, two.columns);
  EXPECT_EQ(one.k, two.k);
  EXPECT_EQ(one.indices, two.indices);
  EXPECT_EQ(one.values, two.values);
  EXPECT_EQ(one.firing, two.firing);
  EXPECT_EQ(one.cost, two.cost);
  ASSERT_EQ(one.certificate.has_value(), two.certificate.has_value());
  if (!one.certificate)
    return;
  EXPECT_EQ(one.certificate->u, two.certificate->u);
  EXPECT_EQ(one.certificate->v, two.certificate->v);
  EXPECT_EQ(one.certificate->dualCost, two.certificate->dualCost);
  EXPECT_EQ(one.certificate->gap, two.certificate->gap);
  EXPECT_EQ(one.certificate->worstReducedCost,
            two.certificate->worstReducedCost);
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

std::vector<MatchOptions> allOptions() {
  std::vector<MatchOptions> all;
  for (Method method : {Method::TopK, Method::Permutation})
    for (int64_t k : {1, 2, 12})
      for (Similarity similarity : {Similarity::Cosine, Similarity::Dot,
                                    Similarity::MeanSquaredError})
        for (int parts = 1; parts < 8; ++parts)
          for (Fold fold : {Fold::None, Fold::Threshold, Fold::DecoderNorm}) {
            if (method == Method::Permutation && k != 1)
              continue;
            all.push_back({method, similarity, k, (parts & 1) != 0,
                           (parts & 2) != 0, (parts & 4) != 0, fold});
          }
  return all;
}

TEST(MatchKey, DependsOnEveryOption) {
  Folder folder;
  auto dictionary = write(folder, "a", Numbers::random(12, 3, 1));
  auto other = write(folder, "b", Numbers::random(12, 3, 2));
  std::map<std::string, std::string> seen;
  for (const MatchOptions &options : allOptions()) {
    FeatureRows a = rowsOf(*dictionary, options), b = rowsOf(*other, options);
    std::string key = Matcher::keyOf(a, b, options);
    EXPECT_EQ(key.size(), 64u);
    auto [it, isNew] = seen.emplace(key, options.str());
    EXPECT_TRUE(isNew) << options.str() << " has the key of " << it->second;
    // Not the same in the other direction.
    EXPECT_NE(key, Matcher::keyOf(b, a, options));
  }
}

RC_GTEST_PROP(MatchKey, DependsOnEveryByteThatIsCompared, ()) {
  Folder folder;
  Numbers numbers = Numbers::random(*rc::gen::inRange(1, 8),
                                    *rc::gen::inRange(1, 6), 3);
  auto dictionary = write(folder, "a", numbers);
  auto other = write(folder, "b", Numbers::random(4, numbers.width, 4));
  MatchOptions options;
  options.encoder = options.encoderBias = true;
  options.fold = *rc::gen::element(Fold::None, Fold::Threshold);
  FeatureRows a = rowsOf(*dictionary, options), b = rowsOf(*other, options);
  std::string key = Matcher::keyOf(a, b, options);

  Numbers changed = numbers;
  std::vector<float> *parts[] = {&changed.decoder, &changed.encoder,
                                 &changed.bias, &changed.threshold};
  size_t part = *rc::gen::inRange<size_t>(
      0, options.fold == Fold::Threshold ? 4 : 3);
  float &number = (*parts[part])[*rc::gen::inRange<size_t>(
      0, parts[part]->size())];
  // Any bit of the mantissa but the last ones, which may vanish when a fold
  // rounds, or the sign.
  uint32_t bits = 0;
  std::memcpy(&bits, &number, sizeof(bits));
  bits ^= 1u << *rc::gen::inRange(options.fold == Fold::None ? 0 : 3, 23);
  std::memcpy(&number, &bits, sizeof(bits));
  auto second = write(folder, "c", changed);
  FeatureRows c = rowsOf(*second, options);
  RC_ASSERT(Matcher::keyOf(c, b, options) != key);
  RC_ASSERT(Matcher::keyOf(b, c, options) != Matcher::keyOf(b, a, options));
  // A copy, under another name, is the same.
  auto copied = write(folder, "elsewhere/copy", numbers);
  RC_ASSERT(Matcher::keyOf(rowsOf(*copied, options, "z"), b, options) == key);
}

TEST(MatchKey, DoesNotDependOnWhatIsNotCompared) {
  Folder folder;
  Numbers numbers = Numbers::random(5, 3, 1);
  FeatureRows a = rowsOf(*write(folder, "a", numbers));
  numbers.encoder[2] += 1;
  numbers.threshold[1] += 1;
  EXPECT_EQ(rowsOf(*write(folder, "b", numbers)).hash(), a.hash());
}

TEST(MatchKey, DependsOnTheShape) {
  std::vector<float> numbers = {1, 2, 3, 4, 5, 6};
  EXPECT_NE(rowsOf(*inMemory(2, 3, numbers)).hash(),
            rowsOf(*inMemory(3, 2, numbers)).hash());
}

TEST(MatchKey, IsThatOfTheWholeHoweverItIsCut) {
  Folder folder;
  FeatureRows a = rowsOf(*inMemory(7, 2, std::vector<float>(14, 1)));
  MatchOptions options;
  for (int64_t unitRows : {1, 3, 7, 100}) {
    Matcher matcher(cacheIn(folder), {{}, unitRows, {}, {}});
    std::vector<MatchUnit> units = matcher.unitsOf(a, a, options);
    EXPECT_EQ(static_cast<int64_t>(units.size()),
              (7 + unitRows - 1) / unitRows);
    std::set<std::string> keys;
    int64_t next = 0;
    for (const MatchUnit &unit : units) {
      EXPECT_EQ(unit.first, next);
      next = unit.last;
      keys.insert(unit.key);
    }
    EXPECT_EQ(next, 7);
    EXPECT_EQ(keys.size(), units.size());
    EXPECT_EQ(keys.contains(Matcher::keyOf(a, a, options)), unitRows >= 7);
    options.method = Method::Permutation;
    EXPECT_EQ(matcher.unitsOf(a, a, options).size(), 1u);
    options.method = Method::TopK;
  }
}

TEST(MatchOptions, SayWhatTheyAre) {
  MatchOptions options;
  EXPECT_EQ(options.str(),
            "top_k k=1 similarity=cosine weights=decoder fold=none");
  options = {Method::Permutation, Similarity::MeanSquaredError, 1,   true, true,
             true,                Fold::Threshold};
  EXPECT_EQ(options.str(), "permutation similarity=mse "
                           "weights=decoder+encoder+encoder_bias "
                           "fold=threshold");
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

TEST(FeatureRows, AreFoldedByThresholds) {
  Folder folder;
  Numbers numbers = Numbers::random(4, 3, 1);
  numbers.threshold = {0.5f, 0, 2, -1};
  MatchOptions options;
  options.encoder = options.encoderBias = true;
  options.fold = Fold::Threshold;
  FeatureRows rows = rowsOf(*write(folder, "a", numbers), options);
  EXPECT_EQ(rows.unfolded().vec(), (std::vector<int64_t>{1, 3}));
  Matrix matrix = take(rows.matrix(0, 4));
  ASSERT_EQ(matrix.width(), 7);
  // Powers of two: exact. Folding with theta multiplies d and divides W and b.
  const float scales[] = {0.5f, 1, 2, 1};
  for (int64_t i = 0; i < 4; ++i) {
    std::vector<float> row(7);
    matrix.loadRow(i, row.data());
    for (int64_t j = 0; j < 3; ++j) {
      EXPECT_EQ(row[j], numbers.decoder[3 * i + j] * scales[i]);
      EXPECT_EQ(row[3 + j], numbers.encoder[4 * j + i] / scales[i]);
    }
    EXPECT_EQ(row[6], numbers.bias[i] / scales[i]);
  }
  // The same where only the decoder is compared.
  options.encoder = options.encoderBias = false;
  Matrix decoder = take(
      rowsOf(*write(folder, "b", numbers), options).matrix(2, 3));
  ASSERT_EQ(decoder.rows(), 1);
  std::vector<float> row(3);
  decoder.loadRow(0, row.data());
  EXPECT_EQ(row[1], numbers.decoder[7] * 2);
}

TEST(FeatureRows, AreFoldedByDecoderNorms) {
  Folder folder;
  Numbers numbers = Numbers::random(3, 2, 1);
  numbers.decoder = {3, 4, 0, 0, 0, 2};
  MatchOptions options;
  options.decoder = false;
  options.encoder = true;
  options.fold = Fold::DecoderNorm;
  FeatureRows rows = rowsOf(*write(folder, "a", numbers), options);
  EXPECT_EQ(rows.unfolded().vec(), std::vector<int64_t>{1});
  Matrix matrix = take(rows.matrix(0, 3));
  const float norms[] = {5, 1, 2};
  for (int64_t i = 0; i < 3; ++i) {
    std::vector<float> row(2);
    matrix.loadRow(i, row.data());
    for (int64_t j = 0; j < 2; ++j)
      EXPECT_FLOAT_EQ(row[j], numbers.encoder[3 * j + i] * norms[i]);
  }
}

TEST(FeatureRows, SayWhatTheyCannotBeReadBy) {
  Folder folder;
  Numbers numbers = Numbers::random(3, 2, 1);
  auto plain = write(folder, "a", numbers, /*hasThresholds=*/false);
  MatchOptions options;
  options.fold = Fold::Threshold;
  EXPECT_EQ(message(FeatureRows::read("sae.res.1", *plain, options)),
            "sae.res.1: has no thresholds to fold: only JumpReLU dictionaries "
            "have; use fold: none or decoder_norm");
  options = {};
  options.decoder = false;
  EXPECT_EQ(message(FeatureRows::read("sae.res.1", *plain, options)),
            "sae.res.1: no weights to match by");
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    numbers.decoder[3] = bad;
    auto damaged = write(folder, "b", numbers);
    std::string text = message(FeatureRows::read("b", *damaged, {}));
    EXPECT_THAT(text, HasSubstr("W_dec"));
    EXPECT_THAT(text, HasSubstr(folder.path("b")));
  }
}

//===----------------------------------------------------------------------===//
// Units and the cache
//===----------------------------------------------------------------------===//

RC_GTEST_PROP(Matcher, UnitsTogetherAreTheWhole, ()) {
  Folder folder;
  int64_t width = *rc::gen::inRange(1, 7);
  auto numbers = [&](int64_t features) {
    // Few values, so that equal similarities occur.
    auto drawn = *rc::gen::container<std::vector<int>>(features * width,
                                                       rc::gen::inRange(1, 4));
    return std::vector<float>(drawn.begin(), drawn.end());
  };
  int64_t f = *rc::gen::inRange(1, 40), g = *rc::gen::inRange(1, 40);
  FeatureRows a = rowsOf(*inMemory(f, width, numbers(f))),
              b = rowsOf(*inMemory(g, width, numbers(g)), {}, "b");
  MatchOptions options;
  options.method = *rc::gen::element(Method::TopK, Method::Permutation);
  options.similarity = *rc::gen::element(
      Similarity::Cosine, Similarity::Dot, Similarity::MeanSquaredError);
  if (options.method == Method::TopK)
    options.k = *rc::gen::inRange<int64_t>(1, g + 1);
  int64_t unitRows = *rc::gen::inRange<int64_t>(1, 45);

  Matcher whole(cacheIn(folder, "whole"), {{}, 1000, {}, {}});
  Matcher::Outcome expected = take(whole.match(a, b, options));

  // Some of the units by themselves, in any order.
  ResultCache cache = cacheIn(folder, "units");
  std::vector<int64_t> progress;
  Matcher matcher(cache, {{}, unitRows, {}, [&](int64_t done, int64_t total) {
                            progress.push_back(done);
                            EXPECT_LE(done, total);
                          }});
  std::vector<MatchUnit> units = matcher.unitsOf(a, b, options);
  auto order = *rc::gen::container<std::vector<size_t>>(
      rc::gen::inRange<size_t>(0, units.size()));
  for (size_t i : order) {
    RC_ASSERT(!matcher.computeUnit(a, b, options, units[i]));
    RC_ASSERT(matcher.isDone(units[i].key));
  }
  Matcher::Outcome outcome = take(matcher.match(a, b, options));
  RC_ASSERT(outcome.key == expected.key);
  RC_ASSERT(outcome.wasCached == (units.size() == 1 && !order.empty()));
  expectSame(outcome.match, expected.match);
  RC_ASSERT(std::is_sorted(progress.begin(), progress.end()));
  RC_ASSERT(progress.back() == static_cast<int64_t>(units.size()));
  // Only the whole stays, and its parts are not computed again.
  RC_ASSERT(take(cache.list()).size() == 1u);
  RC_ASSERT(!matcher.computeUnit(a, b, options, units.front()));
  RC_ASSERT(take(cache.list()).size() == 1u);
  Matcher::Outcome again = take(matcher.match(a, b, options));
  RC_ASSERT(again.wasCached);
  expectSame(again.match, expected.match);
}

TEST(Matcher, AnErrorLeavesNothing) {
  Folder folder;
  FeatureRows a = rowsOf(*inMemory(3, 2, {1, 2, 3, 4, 5, 6})),
              b = rowsOf(*inMemory(2, 3, {1, 2, 3, 4, 5, 6}), {}, "b");
  ResultCache cache = cacheIn(folder);
  Matcher matcher(cache, {});
  std::string text = message(matcher.match(a, b, {}));
  EXPECT_THAT(text, HasSubstr("a"));
  EXPECT_THAT(text, HasSubstr("2"));
  EXPECT_THAT(text, HasSubstr("3"));
  MatchOptions options;
  options.k = 4;
  EXPECT_THAT(message(matcher.match(a, a, options)), HasSubstr("4"));
  EXPECT_TRUE(take(cache.list()).empty());
}

/// An entry that is damaged in some way is made anew, with one warning.
class DamagedEntry : public testing::Test {
protected:
  DamagedEntry()
      : a(rowsOf(*inMemory(5, 2, {1, 0, 0, 1, 2, 1, -1, 1, 3, 5}))),
        cache(cacheIn(folder)),
        matcher(cache, {{}, 2, [this](llvm::StringRef text) {
                          warnings.push_back(text.str());
                        }, {}}),
        first(take(matcher.match(a, a, options))) {}

  void expectMadeAnew(const std::string &reason) {
    Matcher::Outcome outcome = take(matcher.match(a, a, options));
    EXPECT_FALSE(outcome.wasCached);
    expectSame(outcome.match, first.match);
    ASSERT_EQ(warnings.size(), 1u);
    EXPECT_THAT(warnings[0],
                HasSubstr("a cached result is damaged and is made anew"));
    EXPECT_THAT(warnings[0], HasSubstr(path()));
    EXPECT_THAT(warnings[0], HasSubstr(reason));
    warnings.clear();
    EXPECT_TRUE(take(matcher.match(a, a, options)).wasCached);
    EXPECT_TRUE(warnings.empty());
  }
  std::string path() { return take(cache.list()).front().path; }

  Folder folder;
  FeatureRows a;
  MatchOptions options;
  ResultCache cache;
  std::vector<std::string> warnings;
  Matcher matcher;
  Matcher::Outcome first;
};

TEST_F(DamagedEntry, WithAFlippedByte) {
  std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-1, std::ios::end);
  char last = static_cast<char>(file.get());
  file.seekp(-1, std::ios::end);
  file.put(static_cast<char>(last ^ 1));
  file.close();
  expectMadeAnew("the content is not what was written");
}

TEST_F(DamagedEntry, CutShort) {
  std::filesystem::resize_file(path(), 5);
  expectMadeAnew("");
}

TEST_F(DamagedEntry, WithContentThatIsNoMatch) {
  auto store = [&](std::vector<int64_t> indices, const char *columns,
                   int64_t rows) {
    std::vector<double> values(indices.size(), 1);
    auto tensor = [&](const char *name, DType dtype, const void *data,
                      int64_t count) {
      NamedTensor made;
      made.name = name;
      made.tensor.dtype = dtype;
      made.tensor.shape = {count, 1};
      made.tensor.data = static_cast<const std::byte *>(data);
      return made;
    };
    llvm::cantFail(cache.store(
        first.key,
        {tensor("indices", DType::Int64, indices.data(), 5),
         tensor("values", DType::Float64, values.data(), rows)},
        {{"columns", columns}, {"survivors", "0"}}));
  };
  store({0, 1, 2, 3, 5}, "5", 5);
  expectMadeAnew("an index is out of range");
  store({0, 1, 2, 3, -2}, "5", 5);
  expectMadeAnew("an index is out of range");
  store({0, 1, 2, 3, 4}, "five", 5);
  expectMadeAnew("'columns' is no number");
  store({0, 1, 2, 3, 4}, "-5", 5);
  expectMadeAnew("'columns' is no number");
  store({0, 1, 2, 3, 4}, "5", 4);
  expectMadeAnew("the tensor 'values' has another type or shape");
}

TEST_F(DamagedEntry, OfOtherDictionaries) {
  Matcher::Outcome other = take(
      matcher.match(rowsOf(*inMemory(1, 2, {1, 2}), {}, "b"), a, options));
  llvm::cantFail(other.match.store(cache, first.key, "b -> a"));
  expectMadeAnew("it does not fit the dictionaries");
}

/// Entries with a right hash, by somebody who may write to the cache.
TEST_F(DamagedEntry, OfAPermutationThatIsNotTheBest) {
  cantFail(cache.remove(first.key));
  options.method = Method::Permutation;
  FeatureRows b =
      rowsOf(*inMemory(6, 2, {0, 1, 1, 0, 1, 2, 3, 1, -2, 1, 5, 3}), {}, "b");
  for (auto [left, right] :
       {std::pair(&a, &b), std::pair(&b, &a), std::pair(&a, &a)}) {
    for (Similarity kind :
         {Similarity::Cosine, Similarity::Dot, Similarity::MeanSquaredError}) {
      options.similarity = kind;
      Matcher::Outcome right_ = take(matcher.match(*left, *right, options));
      EXPECT_TRUE(take(matcher.match(*left, *right, options)).wasCached);
      ASSERT_TRUE(warnings.empty());
      auto expectRefused = [&](const char *reason, auto forge) {
        Match forged = right_.match;
        forge(forged);
        cantFail(forged.store(cache, right_.key, "forged"));
        Matcher::Outcome again = take(matcher.match(*left, *right, options));
        EXPECT_FALSE(again.wasCached) << reason;
        expectSame(again.match, right_.match);
        ASSERT_EQ(warnings.size(), 1u) << reason;
        EXPECT_THAT(warnings[0], HasSubstr(reason));
        warnings.clear();
      };
      Matrix rows = take(left->matrix(0, left->features())),
             columns = take(right->matrix(0, right->features()));
      // Two rows exchanged, with the cost and similarities that they have, and
      // duals that add up to it but are not feasible.
      auto exchange = [&](Match &match) {
        std::vector<int64_t> matched;
        for (int64_t i = 0; i < match.rows; ++i)
          if (match.indices[i] >= 0)
            matched.push_back(i);
        std::swap(match.indices[matched[0]], match.indices[matched[1]]);
        match.cost = 0;
        for (int64_t i : matched) {
          match.values[i] =
              similarity(rows, i, columns, match.indices[i], kind);
          match.cost -= match.values[i];
        }
      };
      expectRefused("there is a gap", [&](Match &match) { exchange(match); });
      expectRefused("is better than its duals", [&](Match &match) {
        double before = match.cost;
        exchange(match);
        std::vector<double> &duals = match.rows <= match.columns
                                         ? match.certificate->u
                                         : match.certificate->v;
        duals[0] += match.cost - before;
        match.certificate->dualCost = match.cost;
      });
      expectRefused("is matched twice", [&](Match &match) {
        match.indices.assign(match.rows, 1);
      });
      expectRefused("is not that of the dictionaries",
                    [&](Match &match) { match.values[0] += 0.25; });
      expectRefused("the cost is", [&](Match &match) { match.cost -= 1; });
      expectRefused("the duals add up to",
                    [&](Match &match) { match.certificate->u[0] -= 1; });
      expectRefused("a permutation without its proof",
                    [&](Match &match) { match.certificate.reset(); });
      if (left->features() != right->features())
        expectRefused("has the wrong sign", [&](Match &match) {
          std::vector<double> &many = match.rows < match.columns
                                          ? match.certificate->v
                                          : match.certificate->u,
                              &few = match.rows < match.columns
                                         ? match.certificate->u
                                         : match.certificate->v;
          // The sum stays, and every pair of the other side has room.
          for (double &dual : many)
            dual += 1;
          few[0] -= static_cast<double>(many.size());
        });
    }
  }
}

/// Random problems of both solvers prove themselves.
RC_GTEST_PROP(CheckAssignment, TakesWhatTheSolversFind, ()) {
  auto size = [] { return *rc::gen::element<int64_t>(1, 3, 40, 300, 420); };
  const int64_t rows = size(), columns = size(), width = 6;
  std::mt19937 engine(*rc::gen::inRange(0, 1000000));
  std::normal_distribution<float> normal;
  auto random = [&](int64_t count) {
    std::vector<float> numbers(count * width);
    for (float &number : numbers)
      number = normal(engine);
    // Some equal rows.
    for (int64_t i = 5; i < count; i += 5)
      std::copy_n(numbers.begin(), width, numbers.begin() + i * width);
    return numbers;
  };
  FeatureRows a = rowsOf(*inMemory(rows, width, random(rows))),
              b = rowsOf(*inMemory(columns, width, random(columns)));
  Similarity kind = *rc::gen::element(Similarity::Cosine, Similarity::Dot,
                                      Similarity::MeanSquaredError);
  Matrix left = take(a.matrix(0, rows)), right = take(b.matrix(0, columns));
  AssignmentOptions options;
  options.denseSize = *rc::gen::element(0, 256);
  Assignment found = take(assign(left, right, kind, options));
  RC_ASSERT(llvm::toString(checkAssignment(left, right, kind, found.permutation,
                                    found.certificate, found.cost)) == "");
}

RC_GTEST_PROP(Match, IsLoadedAsItWasStored, ()) {
  Folder folder;
  ResultCache cache = cacheIn(folder);
  Match match;
  match.rows = *rc::gen::inRange(0, 9);
  match.columns = *rc::gen::inRange(1, 9);
  bool isPermutation = *rc::gen::arbitrary<bool>();
  match.k = isPermutation ? 1 : *rc::gen::inRange(1, 4);
  auto numbers = [](int64_t count) {
    return *rc::gen::container<std::vector<double>>(
        count, rc::gen::arbitrary<double>());
  };
  match.indices = *rc::gen::container<std::vector<int64_t>>(
      match.rows * match.k, rc::gen::inRange<int64_t>(-1, match.columns));
  match.values = numbers(match.rows * match.k);
  match.survivors = *rc::gen::inRange(0, 1000000);
  if (*rc::gen::arbitrary<bool>())
    match.firing = numbers(match.rows * match.k);
  if (isPermutation) {
    match.cost = *rc::gen::arbitrary<double>();
    Certificate &certificate = match.certificate.emplace();
    certificate.u = numbers(match.rows);
    certificate.v = numbers(match.columns);
    certificate.dualCost = *rc::gen::arbitrary<double>();
    certificate.gap = *rc::gen::arbitrary<double>();
    certificate.worstReducedCost = 5e-324;
  }
  std::string key = sha256(llvm::StringRef("x"));
  llvm::cantFail(match.store(cache, key, "a -> b"));
  std::optional<CachedResult> entry = take(cache.find(key));
  RC_ASSERT(entry.has_value());
  RC_ASSERT(take(entry->text("about")) == "a -> b");
  expectSame(take(Match::load(*entry)), match);
}

//===----------------------------------------------------------------------===//
// Composition
//===----------------------------------------------------------------------===//

/// Distinct indices in every row, best first, some rows not full.
Match randomMatch(int64_t rows, int64_t columns, int64_t k) {
  Match match;
  match.rows = rows;
  match.columns = columns;
  match.k = k;
  for (int64_t i = 0; i < rows; ++i) {
    std::vector<int64_t> order(columns);
    std::iota(order.begin(), order.end(), 0);
    std::mt19937 engine(*rc::gen::inRange(0, 1000000));
    std::shuffle(order.begin(), order.end(), engine);
    auto eighths = *rc::gen::container<std::vector<int>>(
        k, rc::gen::inRange(-3, 9));
    std::sort(eighths.rbegin(), eighths.rend());
    for (int64_t t = 0; t < k; ++t) {
      bool isFree = t >= columns;
      match.indices.push_back(isFree ? -1 : order[t]);
      match.values.push_back(isFree ? 0 : eighths[t] / 8.0);
    }
  }
  return match;
}

RC_GTEST_PROP(ComposeMatches, EqualsAllPaths, ()) {
  int64_t f = *rc::gen::inRange(1, 7), g = *rc::gen::inRange(1, 7),
          h = *rc::gen::inRange(1, 7);
  Match first = randomMatch(f, g, *rc::gen::inRange(1, 4)),
        second = randomMatch(g, h, *rc::gen::inRange(1, 4));
  int64_t keep = *rc::gen::inRange(1, 9);
  Match composed = take(composeMatches(first, second, keep));
  RC_ASSERT(composed.rows == f && composed.columns == h && composed.k == keep);
  for (int64_t i = 0; i < f; ++i) {
    std::vector<double> best(h, 0);
    for (int64_t s = 0; s < first.k; ++s) {
      int64_t middle = first.indices[i * first.k + s];
      double one = first.values[i * first.k + s];
      if (middle < 0 || one <= 0)
        continue;
      for (int64_t t = 0; t < second.k; ++t) {
        int64_t end = second.indices[middle * second.k + t];
        double two = second.values[middle * second.k + t];
        if (end >= 0 && two > 0)
          best[end] = std::max(best[end], one * two);
      }
    }
    std::vector<std::pair<double, int64_t>> expected;
    for (int64_t j = 0; j < h; ++j)
      if (best[j] > 0)
        expected.push_back({-best[j], j});
    std::sort(expected.begin(), expected.end());
    expected.resize(keep, {0, -1});
    for (int64_t t = 0; t < keep; ++t) {
      RC_ASSERT(composed.indices[i * keep + t] == expected[t].second);
      RC_ASSERT(composed.values[i * keep + t] ==
                (expected[t].second < 0 ? 0 : -expected[t].first));
    }
  }
}

/// An injective map; features are free where there are too few to map to.
Match randomPermutation(int64_t rows, int64_t columns) {
  Match match;
  match.rows = rows;
  match.columns = columns;
  match.k = 1;
  std::vector<int64_t> order(std::max(rows, columns));
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 engine(*rc::gen::inRange(0, 1000000));
  std::shuffle(order.begin(), order.end(), engine);
  for (int64_t i = 0; i < rows; ++i) {
    bool isFree = order[i] >= columns;
    match.indices.push_back(isFree ? -1 : order[i]);
    match.values.push_back(isFree ? 0 : *rc::gen::inRange(-9, 9) / 8.0);
  }
  return match;
}

RC_GTEST_PROP(ComposeMatches, PermutationsGiveAPermutation, ()) {
  int64_t f = *rc::gen::inRange(1, 9), g = *rc::gen::inRange(1, 9),
          h = *rc::gen::inRange(1, 9);
  Match first = randomPermutation(f, g), second = randomPermutation(g, h);
  first.certificate.emplace();
  Match composed = take(composeMatches(first, second, std::nullopt));
  RC_ASSERT(composed.rows == f && composed.columns == h && composed.k == 1);
  RC_ASSERT(!composed.certificate);
  std::set<int64_t> used;
  for (int64_t i = 0; i < f; ++i) {
    int64_t middle = first.indices[i];
    int64_t end = middle < 0 ? -1 : second.indices[middle];
    RC_ASSERT(composed.indices[i] == end);
    RC_ASSERT(composed.values[i] ==
              (end < 0 ? 0 : std::min(first.values[i], second.values[middle])));
    RC_ASSERT(end < 0 || used.insert(end).second);
  }
}

TEST(ComposeMatches, SaysWhatDoesNotFit) {
  Match match;
  match.rows = match.columns = match.k = 2;
  match.indices = {0, 1, 1, 0};
  match.values = {1, 1, 1, 1};
  EXPECT_THAT(message(composeMatches(match, match, std::nullopt)),
              HasSubstr("only permutations compose without"));
  EXPECT_NE(message(composeMatches(match, match, 0)), "");
  Match wide = match;
  wide.rows = 3;
  wide.indices.resize(6);
  wide.values.resize(6);
  EXPECT_EQ(message(composeMatches(match, wide, 2)),
            "a match to 2 features is followed by one from 3");
}

} // namespace
