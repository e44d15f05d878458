//===- CoactivationTest.cpp - Tests of activation statistics ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/Coactivation.h"

#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <fstream>
#include <numeric>
#include <random>
#include <set>

using namespace weir;
using namespace weir::matching;

namespace {

using Pairs = std::vector<std::pair<size_t, size_t>>;

/// Activations as a matrix [tokens, F], and as what `add` takes.
struct Dense {
  int64_t features = 0;
  std::vector<std::vector<float>> tokens;
};

struct Rows {
  std::vector<int64_t> starts{0};
  std::vector<int32_t> features;
  std::vector<float> values;
  SparseActivations view() const { return {starts, features, values}; }
};

Rows rowsOf(const Dense &dense, int64_t from, int64_t to) {
  Rows rows;
  for (int64_t t = from; t < to; ++t) {
    for (auto [feature, value] : llvm::enumerate(dense.tokens[t]))
      if (value != 0) {
        rows.features.push_back(static_cast<int32_t>(feature));
        rows.values.push_back(value);
      }
    rows.starts.push_back(static_cast<int64_t>(rows.values.size()));
  }
  return rows;
}

/// Features of all kinds: dead, constant, dense, rare, negative, and doubles of
/// others.
Dense randomActivations(std::mt19937 &random, int64_t tokens,
                        int64_t features) {
  auto uniform = [&] {
    return std::uniform_real_distribution<float>(0, 1)(random);
  };
  Dense dense{features, {}};
  dense.tokens.assign(tokens, std::vector<float>(features));
  for (int64_t f = 0; f < features; ++f) {
    const float kind = uniform();
    const float rate = kind < 0.1f   ? 0.f
                       : kind < 0.3f ? 1.f
                       : kind < 0.6f ? 0.3f
                                     : 2.f / static_cast<float>(tokens);
    const bool constant = kind > 0.1f && kind < 0.15f;
    const bool negative = kind > 0.55f && kind < 0.65f;
    const int64_t twin =
        f > 0 && uniform() < 0.2f ? static_cast<int64_t>(uniform() * f) : -1;
    for (int64_t t = 0; t < tokens; ++t) {
      float value = uniform() < rate ? 0.1f + 3 * uniform() : 0.f;
      if (constant)
        value = 0.7f;
      if (negative && uniform() < 0.5f)
        value = -value;
      dense.tokens[t][f] = twin >= 0 ? dense.tokens[t][twin] : value;
    }
  }
  if (tokens > 1)
    dense.tokens[tokens / 2].assign(features, 0.f);
  return dense;
}

/// Adds tokens in batches that end where `cuts` says.
void addAll(Coactivations &statistics, const std::vector<Dense> &dictionaries,
            std::vector<int64_t> cuts) {
  const int64_t tokens = dictionaries.front().tokens.size();
  cuts.push_back(tokens);
  llvm::sort(cuts);
  int64_t from = 0;
  for (int64_t to : cuts) {
    std::vector<Rows> rows;
    std::vector<SparseActivations> batch;
    for (const Dense &dense : dictionaries)
      rows.push_back(rowsOf(dense, from, to));
    for (const Rows &row : rows)
      batch.push_back(row.view());
    llvm::cantFail(statistics.add(batch));
    from = to;
  }
}

Coactivations statisticsOf(const std::vector<Dense> &dictionaries,
                           const Pairs &pairs,
                           std::vector<int64_t> cuts = {}) {
  std::vector<int64_t> features;
  for (const Dense &dense : dictionaries)
    features.push_back(dense.features);
  Coactivations result = llvm::cantFail(Coactivations::make(features, pairs));
  addAll(result, dictionaries, std::move(cuts));
  return result;
}

/// The textbook's correlation with centred values, in extended precision; NaN
/// where a feature does not vary.
double textbook(const Dense &a, int64_t i, const Dense &b, int64_t j) {
  const long double n = a.tokens.size();
  long double meanA = 0, meanB = 0, ab = 0, aa = 0, bb = 0;
  for (auto [x, y] : llvm::zip(a.tokens, b.tokens)) {
    meanA += x[i] / n;
    meanB += y[j] / n;
  }
  auto varies = [](const Dense &dense, int64_t f) {
    return llvm::any_of(dense.tokens, [&](const std::vector<float> &token) {
      return token[f] != dense.tokens.front()[f];
    });
  };
  if (!varies(a, i) || !varies(b, j))
    return std::nan("");
  for (auto [x, y] : llvm::zip(a.tokens, b.tokens)) {
    ab += (x[i] - meanA) * (y[j] - meanB);
    aa += (x[i] - meanA) * (x[i] - meanA);
    bb += (y[j] - meanB) * (y[j] - meanB);
  }
  return static_cast<double>(ab / std::sqrt(aa * bb));
}

/// The definition in Coactivation.h, pair by pair.
double byDefinition(const Dense &a, int64_t i, const Dense &b, int64_t j) {
  const double n = static_cast<double>(a.tokens.size());
  double s[2] = {}, q[2] = {}, m = 0, deviation[2], mean[2];
  for (auto [x, y] : llvm::zip(a.tokens, b.tokens)) {
    const double values[2] = {x[i], y[j]};
    for (int side : {0, 1}) {
      s[side] += values[side];
      q[side] += values[side] * values[side];
    }
    m += values[0] * values[1];
  }
  for (int side : {0, 1}) {
    const double centred = q[side] - s[side] * s[side] / n;
    if (!(centred > 4 * (n + 2) * std::ldexp(1.0, -53) * q[side]))
      return 0;
    deviation[side] = std::sqrt(centred);
    mean[side] = s[side] / (std::sqrt(n) * deviation[side]);
  }
  const double r =
      m / (deviation[0] * deviation[1]) - mean[0] * mean[1];
  return std::min(1.0, std::max(-1.0, r));
}

std::string temporaryFile() {
  llvm::SmallString<128> path;
  EXPECT_FALSE(llvm::sys::fs::createTemporaryFile("coactivation", "bin", path));
  return path.str().str();
}

std::string contentOf(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  EXPECT_TRUE(static_cast<bool>(buffer));
  return (*buffer)->getBuffer().str();
}

void write(const std::string &path, llvm::StringRef content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content.str();
}

} // namespace

RC_GTEST_PROP(Coactivation, TopKIsThatOfAllPairs, ()) {
  std::mt19937 random(*rc::gen::arbitrary<uint32_t>());
  const int64_t tokens = *rc::gen::inRange(1, 60);
  const int64_t rows = *rc::gen::inRange(0, 40);
  const int64_t columns = *rc::gen::inRange(1, 40);
  const int64_t k = *rc::gen::inRange<int64_t>(1, columns + 1);
  const std::vector<Dense> given = {randomActivations(random, tokens, rows),
                                    randomActivations(random, tokens, columns)};
  const Coactivations statistics = statisticsOf(given, {{0, 1}});
  const TopK found = llvm::cantFail(statistics.pearsonTopK(0, k));
  RC_ASSERT(found.rows == rows && found.k == k);
  RC_ASSERT(static_cast<int64_t>(found.indices.size()) == rows * k);
  for (int64_t i = 0; i < rows; ++i) {
    std::vector<std::pair<double, int64_t>> all;
    for (int64_t j = 0; j < columns; ++j)
      all.push_back({-byDefinition(given[0], i, given[1], j), j});
    llvm::sort(all);
    for (int64_t t = 0; t < k; ++t) {
      RC_ASSERT(found.indices[i * k + t] == all[t].second);
      RC_ASSERT(found.values[i * k + t] == -all[t].first);
    }
  }
}

RC_GTEST_PROP(Coactivation, CorrelationsAreTheTextbooks, ()) {
  std::mt19937 random(*rc::gen::arbitrary<uint32_t>());
  const int64_t tokens = *rc::gen::inRange(2, 80);
  const std::vector<Dense> given = {randomActivations(random, tokens, 12),
                                    randomActivations(random, tokens, 9)};
  const Coactivations statistics = statisticsOf(given, {{0, 1}, {1, 1}});
  for (int64_t i = 0; i < 12; ++i)
    for (int64_t j = 0; j < 9; ++j) {
      const double want = textbook(given[0], i, given[1], j);
      const double got = llvm::cantFail(statistics.pearson(0, i, j));
      const bool agrees =
          std::isnan(want) ? got == 0 : std::abs(got - want) < 1e-12;
      RC_ASSERT(agrees);
    }
  for (int64_t j = 0; j < 9; ++j) {
    const double self = llvm::cantFail(statistics.pearson(1, j, j));
    const bool isOne = self == 0 || std::abs(self - 1) < 1e-13;
    RC_ASSERT(isOne);
  }
}

RC_GTEST_PROP(Coactivation, FiringTogetherCountsTokens, ()) {
  std::mt19937 random(*rc::gen::arbitrary<uint32_t>());
  const int64_t tokens = *rc::gen::inRange(1, 50);
  const std::vector<Dense> given = {randomActivations(random, tokens, 10),
                                    randomActivations(random, tokens, 7)};
  const Coactivations statistics = statisticsOf(given, {{0, 1}});
  const ActivationMatches matches = llvm::cantFail(statistics.matches(0, 7));
  for (int64_t at = 0; at < 70; ++at) {
    const int64_t i = at / 7, j = matches.pearson.indices[at];
    double first = 0, second = 0, both = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      first += given[0].tokens[t][i] > 0;
      second += given[1].tokens[t][j] > 0;
      both += given[0].tokens[t][i] > 0 && given[1].tokens[t][j] > 0;
    }
    auto same = [](double got, double want) {
      return got == want || (std::isnan(got) && std::isnan(want));
    };
    RC_ASSERT(matches.together.tokens[at] == both);
    RC_ASSERT(same(matches.together.givenFirst[at], both / first));
    RC_ASSERT(same(matches.together.givenSecond[at], both / second));
    RC_ASSERT(
        same(matches.together.jaccard[at], both / (first + second - both)));
  }
}

RC_GTEST_PROP(Coactivation, MeansAreOverTheTokensThatFire, ()) {
  std::mt19937 random(*rc::gen::arbitrary<uint32_t>());
  const Dense dense = randomActivations(random, *rc::gen::inRange(1, 60), 12);
  const Coactivations statistics = statisticsOf({dense}, {});
  const std::vector<float> means = statistics.meansWhereFired(0);
  RC_ASSERT(means.size() == 12u);
  for (int64_t f = 0; f < 12; ++f) {
    double sum = 0;
    int64_t fired = 0;
    for (const std::vector<float> &token : dense.tokens) {
      sum += token[f];
      fired += token[f] > 0;
    }
    RC_ASSERT(means[f] == (fired ? static_cast<float>(sum / fired) : 0.0f));
  }
}

RC_GTEST_PROP(Coactivation, CutsDoNotMatterAndFilesGoOn, ()) {
  std::mt19937 random(*rc::gen::arbitrary<uint32_t>());
  const int64_t tokens = *rc::gen::inRange(1, 60);
  const std::vector<Dense> given = {randomActivations(random, tokens, 30),
                                    randomActivations(random, tokens, 20),
                                    randomActivations(random, tokens, 5)};
  const Pairs pairs = {{0, 1}, {2, 2}, {1, 0}, {0, 1}};
  auto cuts = *rc::gen::container<std::vector<int64_t>>(
      rc::gen::inRange<int64_t>(0, tokens + 1));
  const std::string whole = temporaryFile(), cut = temporaryFile();
  llvm::cantFail(statisticsOf(given, pairs).save(whole, "key", 3));
  llvm::cantFail(statisticsOf(given, pairs, cuts).save(cut, "key", 3));
  RC_ASSERT(contentOf(whole) == contentOf(cut));

  // The first half, saved, loaded, and the second half.
  std::vector<Dense> first = given, second = given;
  for (auto [one, two] : llvm::zip(first, second)) {
    one.tokens.resize(tokens / 2);
    two.tokens.erase(two.tokens.begin(), two.tokens.begin() + tokens / 2);
  }
  llvm::cantFail(statisticsOf(first, pairs).save(cut, "half", 1));
  Coactivations::Checkpoint half = llvm::cantFail(Coactivations::load(cut));
  RC_ASSERT(half.key == "half" && half.position == 1);
  RC_ASSERT(half.statistics.tokens() == tokens / 2);
  addAll(half.statistics, second, {});
  llvm::cantFail(half.statistics.save(cut, "key", 3));
  RC_ASSERT(contentOf(whole) == contentOf(cut));
  llvm::sys::fs::remove(whole);
  llvm::sys::fs::remove(cut);
}

TEST(Coactivation, LargeDictionariesTakeMemoryForWhatOccurs) {
  constexpr int64_t features = 65536;
  constexpr int64_t tokens = 300;
  std::mt19937 random(5);
  Coactivations statistics =
      llvm::cantFail(Coactivations::make({features, features}, {{0, 1}}));
  std::vector<Rows> rows(2);
  for (int64_t t = 0; t < tokens; ++t)
    for (Rows &row : rows) {
      std::set<int32_t> active = {7};
      while (active.size() < 32)
        active.insert(random() % features);
      for (int32_t feature : active) {
        row.features.push_back(feature);
        row.values.push_back(feature == 7 ? 1.f + t % 3 : 1.5f);
      }
      row.starts.push_back(row.values.size());
    }
  llvm::cantFail(statistics.add({rows[0].view(), rows[1].view()}));
  EXPECT_LE(statistics.coactivePairs(0), tokens * 32 * 32);
  EXPECT_GT(statistics.coactivePairs(0), tokens * 900);
  const TopK best = llvm::cantFail(statistics.pearsonTopK(0, 3));
  EXPECT_EQ(best.indices[7 * 3], 7);
  EXPECT_NEAR(best.values[7 * 3], 1, 1e-12);
  // Feature 7 fires everywhere: the rest of the row is small.
  EXPECT_LT(best.values[7 * 3 + 1], 0.5);
}

TEST(Coactivation, ConstantAndDeadFeaturesCorrelateWithNothing) {
  // 0.1f is no short binary number: its sums are rounded.
  Dense a{3, {}};
  for (int t = 0; t < 1000; ++t)
    a.tokens.push_back({0.1f, 0.f, t % 2 ? 1.f : 0.f});
  const Coactivations statistics = statisticsOf({a}, {{0, 0}});
  const TopK all = llvm::cantFail(statistics.pearsonTopK(0, 3));
  EXPECT_EQ(all.indices, (std::vector<int64_t>{0, 1, 2, 0, 1, 2, 2, 0, 1}));
  EXPECT_EQ(std::vector<double>(all.values.begin(), all.values.begin() + 6),
            std::vector<double>(6, 0.0));
  EXPECT_NEAR(all.values[6], 1, 1e-13);
  const FiringTogether together =
      llvm::cantFail(statistics.firingTogether(0, {0, 1, 2}, {2, 2, -1}));
  EXPECT_EQ(together.tokens, (std::vector<int64_t>{500, 0, 0}));
  EXPECT_EQ(together.givenFirst[0], 0.5);
  EXPECT_EQ(together.givenSecond[0], 1.0);
  EXPECT_EQ(together.jaccard[0], 0.5);
  EXPECT_TRUE(std::isnan(together.givenFirst[1]));
  EXPECT_EQ(together.givenSecond[1], 0.0);
  EXPECT_TRUE(std::isnan(together.jaccard[2]));
}

TEST(Coactivation, WrongInputLeavesTheStatisticsAlone) {
  auto message = [](llvm::Error error) {
    return llvm::toString(std::move(error));
  };
  EXPECT_EQ(message(Coactivations::make({3}, {{0, 1}}).takeError()),
            "pair 0 names dictionary 1 of 1");
  EXPECT_EQ(message(Coactivations::make({-3}, {}).takeError()),
            "dictionary 0 has -3 features");
  Coactivations statistics =
      llvm::cantFail(Coactivations::make({3, 2}, {{0, 1}}));
  const Rows good = rowsOf({2, {{1, 2}, {0, 3}}}, 0, 2);
  auto adding = [&](const Rows &rows) {
    return message(statistics.add({rows.view(), good.view()}));
  };
  const std::string of = "activations of dictionary 0: ";
  EXPECT_EQ(adding({{0, 1, 2}, {0, 3}, {1, 1}}),
            of + "feature 3 at token 1 is outside of 0..2");
  EXPECT_EQ(adding({{0, 2, 2}, {1, 1}, {1, 1}}),
            of + "feature 1 at token 0 is not in ascending order");
  EXPECT_EQ(adding({{0, 1, 2}, {0, -1}, {1, 1}}),
            of + "feature -1 at token 1 is outside of 0..2");
  EXPECT_EQ(adding({{0, 0, 1}, {1}, {NAN}}), of + "NaN at token 1, feature 1");
  EXPECT_EQ(adding({{0, 1, 1}, {2}, {-INFINITY}}),
            of + "infinity at token 0, feature 2");
  const std::string misfit =
      of + "starts, features and values do not fit each other";
  EXPECT_EQ(adding({{0, 2, 1}, {1}, {1}}), misfit);
  EXPECT_EQ(adding({{1, 1, 1}, {1}, {1}}), misfit);
  EXPECT_EQ(adding({{0, 1, 1}, {1, 2}, {1}}), misfit);
  EXPECT_EQ(adding({{}, {}, {}}), misfit);
  EXPECT_EQ(adding({{0, 1}, {1}, {1}}),
            "activations of dictionary 1: 2 tokens, where others have 1");
  EXPECT_EQ(message(statistics.add({good.view()})),
            "activations of 1 dictionaries for 2");
  EXPECT_EQ(statistics.tokens(), 0);
  EXPECT_EQ(message(statistics.pearsonTopK(0, 1).takeError()),
            "no token has been seen");
  ASSERT_EQ(adding({{0, 1, 1}, {2}, {1}}), "");
  EXPECT_EQ(statistics.tokens(), 2);
  EXPECT_EQ(message(statistics.pearsonTopK(0, 3).takeError()),
            "k = 3 is outside 1..2");
  EXPECT_EQ(message(statistics.pearsonTopK(1, 1).takeError()),
            "there is no pair 1, only 1");
  EXPECT_EQ(message(statistics.firingTogether(0, {3}, {0}).takeError()),
            "entry 0: there are no features 3 and 0 among 3 and 2");
}

TEST(Coactivation, DamagedFilesAreRefused) {
  std::mt19937 random(1);
  const std::vector<Dense> given = {randomActivations(random, 20, 9),
                                    randomActivations(random, 20, 6)};
  const std::string path = temporaryFile();
  llvm::cantFail(statisticsOf(given, {{0, 1}}).save(path, "k", 0));
  const std::string good = contentOf(path);
  ASSERT_TRUE(static_cast<bool>(Coactivations::load(path)));
  auto refused = [&](llvm::StringRef content) {
    write(path, content);
    llvm::Expected<Coactivations::Checkpoint> loaded =
        Coactivations::load(path);
    if (loaded)
      return std::string();
    return llvm::toString(loaded.takeError());
  };
  for (size_t size = 0; size < good.size(); size += size < 200 ? 1 : 37)
    EXPECT_NE(refused(llvm::StringRef(good).take_front(size)), "") << size;
  for (size_t at = 0; at < good.size(); at += at < 200 ? 1 : 29) {
    std::string flipped = good;
    flipped[at] ^= 0x10;
    EXPECT_NE(refused(flipped), "") << at;
  }
  EXPECT_NE(refused(good + "x"), "");

  // With a checksum that fits, what is inside is looked at all the same.
  auto signedAgain = [](std::string content) {
    return content + sha256(llvm::StringRef(content));
  };
  const std::string body = good.substr(0, good.size() - 64);
  ASSERT_EQ(refused(signedAgain(body)), "");
  for (size_t size = 21; size < body.size(); size += 11)
    EXPECT_NE(refused(signedAgain(body.substr(0, size))), "") << size;
  for (size_t at = 21; at < body.size(); ++at) {
    std::string flipped = body;
    flipped[at] = static_cast<char>(~flipped[at]);
    (void)refused(signedAgain(flipped)); // no crash, no endless memory
  }
  std::string huge = body;
  const size_t number = huge.find("\"features\":[9,6]");
  ASSERT_NE(number, std::string::npos);
  huge.replace(number, 16, "\"features\":[2147483647,6]");
  const int64_t length = huge.find('}') + 1 - 21 - 8;
  std::memcpy(huge.data() + 21, &length, 8);
  EXPECT_NE(refused(signedAgain(huge)).find("malformed"), std::string::npos);
  llvm::sys::fs::remove(path);
}
