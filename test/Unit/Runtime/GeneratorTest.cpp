//===- GeneratorTest.cpp - Prefill, decode, record ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Generator.h"

#include "Expect.h"

#include <ATen/ATen.h>

#include <map>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

constexpr int64_t vocabulary = 11;
constexpr int64_t room = 12;

/// A model that one can follow by hand: it keeps what every row was fed, and the
/// next token is (sum of the row's tokens + plan + first knob) mod vocabulary. It
/// complains about everything a real one would get wrong silently.
class FakeEngine final : public Engine {
public:
  explicit FakeEngine(const Manifest &manifest) : manifest(manifest) {}

  StringRef name() const override { return "fake"; }
  ArrayRef<ProgramInput> inputs() const override { return {}; }
  size_t numOutputs() const override { return manifest.outputs.size(); }

  Expected<std::vector<at::Tensor>> run(ArrayRef<at::Tensor> given) override {
    std::map<std::string, at::Tensor> input;
    if (given.size() != manifest.inputs.size())
      return createStringError("wrong number of inputs");
    for (auto [name, tensor] : zip(manifest.inputs, given))
      input[name] = tensor;
    at::Tensor ids = input["input_ids"], positions = input["positions"];
    int64_t rows = ids.size(0), steps = ids.size(1);
    calls.push_back({rows, steps});
    at::Tensor logits = at::zeros({rows, steps, vocabulary});
    at::Tensor record = at::full({rows, steps, 2}, -1.f);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t step = 0; step < steps; ++step) {
        int64_t position = positions[row][step].item<int64_t>();
        int64_t id = ids[row][step].item<int64_t>();
        if (id < 0 || id >= vocabulary)
          return createStringError("an id outside the vocabulary");
        if (position < 0)
          continue;
        if (position >= room)
          return createStringError("a position outside the cache");
        std::vector<int64_t> &seen = cache[row];
        if (position == 0)
          seen.clear();
        if (position != static_cast<int64_t>(seen.size()))
          return createStringError("a gap in the cache");
        seen.push_back(id);
        int64_t sum = 0;
        for (int64_t token : seen)
          sum += token;
        if (input.count("plan"))
          sum += input["plan"][row].item<int64_t>();
        if (input.count("knobs"))
          sum += static_cast<int64_t>(input["knobs"][row][0].item<float>());
        logits[row][step][((sum % vocabulary) + vocabulary) % vocabulary] = 5;
        record[row][step][0] = static_cast<float>(id);
        bool inPrompt = input.count("prompt_length") &&
                        position < input["prompt_length"][row].item<int64_t>();
        record[row][step][1] = inPrompt;
      }
    std::vector<at::Tensor> out = {logits};
    if (manifest.outputs.size() > 1)
      out.push_back(record);
    return out;
  }

  struct Call {
    int64_t rows, steps;
    bool operator==(const Call &) const = default;
  };
  std::vector<Call> calls;

private:
  const Manifest &manifest;
  std::map<int64_t, std::vector<int64_t>> cache;
};

struct GeneratorTest : testing::Test {
  GeneratorTest() {
    model.vocabularySize = vocabulary;
    model.maxBatch = 3;
    model.maxLength = room;
    steered.plans = {"a", "b"};
    steered.knobs = {{"k", 1, 0, 8}};
    steered.inputs = {"input_ids", "positions", "prompt_length", "plan", "knobs"};
    steered.outputs = {"logits", "watch"};
    steered.records = {{"watch", 1, {"0/res/0", "0/res/1"}}};
  }

  Generation generate(const Manifest &manifest,
                      std::vector<GenerationRow> rows,
                      GenerationOptions options) {
    FakeEngine engine(manifest);
    Generation out =
        valueOf(Generator(manifest, model, engine).generate(rows, options));
    calls = engine.calls;
    return out;
  }

  std::string errorOf(const Manifest &manifest, std::vector<GenerationRow> rows,
                      GenerationOptions options = {}) {
    FakeEngine engine(manifest);
    return messageOf(Generator(manifest, model, engine).generate(rows, options));
  }

  static GenerationOptions count(int64_t tokens) {
    GenerationOptions options;
    options.maxNewTokens = tokens;
    return options;
  }

  ModelInfo model;
  Manifest unsteered, steered;
  std::vector<FakeEngine::Call> calls;
};

using Tokens = std::vector<int64_t>;

TEST_F(GeneratorTest, ContinuesOneRow) {
  Generation out = generate(unsteered, {{{1, 2}, -1, {}, {}}}, count(4));
  EXPECT_EQ(out.rows[0].tokens, Tokens({3, 6, 1, 2})); // 3, 6, 12, 24 mod 11
  EXPECT_EQ(out.rows[0].finish, FinishReason::MaxNewTokens);
  EXPECT_EQ(calls, (std::vector<FakeEngine::Call>{{1, 2}, {1, 1}, {1, 1}, {1, 1}}));
  EXPECT_EQ(out.timing.prefillTokens, 2);
  EXPECT_EQ(out.timing.decodeTokens, 3);
}

TEST_F(GeneratorTest, RowsOfABatchAreWhatTheyAreAlone) {
  std::vector<GenerationRow> rows = {
      {{1, 2}, -1, {}, {}}, {{4}, -1, {}, {}}, {{1, 1, 1, 1, 5}, -1, {}, {}},
      {{2, 9, 10}, -1, {}, {}}, {{7, 7}, -1, {}, {}}};
  GenerationOptions options = count(5);
  options.endOfSequence = {6};
  Generation together = generate(unsteered, rows, options);
  EXPECT_EQ(together.rows[0].tokens, Tokens({3, 6}));
  EXPECT_EQ(together.rows[0].finish, FinishReason::EndOfSequence);
  for (auto [index, row] : enumerate(rows)) {
    Generation alone = generate(unsteered, {row}, options);
    EXPECT_EQ(together.rows[index].tokens, alone.rows[0].tokens) << index;
    EXPECT_EQ(together.rows[index].finish, alone.rows[0].finish) << index;
  }
}

TEST_F(GeneratorTest, FinishedRowsAtTheEndAreLeftOut) {
  GenerationOptions options = count(5);
  options.endOfSequence = {4};
  generate(unsteered, {{{1}, -1, {}, {}}, {{2, 2}, -1, {}, {}}}, options);
  // Row 1 ends with its first token, row 0 runs on alone: 1, 2, 4.
  EXPECT_EQ(calls, (std::vector<FakeEngine::Call>{{2, 2}, {1, 1}, {1, 1}}));
}

TEST_F(GeneratorTest, WhatWasSaidMayEndARow) {
  GenerationOptions options = count(5);
  options.isStopped = [](size_t row, ArrayRef<int64_t> tokens) {
    return row == 0 && tokens.size() == 2 && tokens[0] == 3;
  };
  Generation out =
      generate(unsteered, {{{1, 2}, -1, {}, {}}, {{1, 2}, -1, {}, {}}}, options);
  EXPECT_EQ(out.rows[0].tokens, Tokens({3, 6}));
  EXPECT_EQ(out.rows[0].finish, FinishReason::Stop);
  EXPECT_EQ(nameOf(out.rows[0].finish), "stop");
  EXPECT_EQ(out.rows[1].tokens.size(), 5u);
}

TEST_F(GeneratorTest, ASampleSeesItsPromptAndItsTokens) {
  SamplingOptions sampling;
  // The most likely token has the logit 5, the others 0. After 0 that is 0.
  sampling.frequencyPenalty = 6;
  Generation out = generate(unsteered, {{{0}, -1, {}, sampling}}, count(3));
  EXPECT_EQ(out.rows[0].tokens, Tokens({0, 1, 2}));
  sampling.frequencyPenalty = 4;
  out = generate(unsteered, {{{0}, -1, {}, sampling}}, count(3));
  EXPECT_EQ(out.rows[0].tokens, Tokens({0, 0, 1}));
}

TEST_F(GeneratorTest, StopsWhereTheCacheEnds) {
  Generation out = generate(unsteered, {{Tokens(10, 1), -1, {}, {}}}, count(50));
  // Positions 10 and 11 are fed; the token after that needs no place.
  EXPECT_EQ(out.rows[0].tokens.size(), 3u);
  EXPECT_EQ(out.rows[0].finish, FinishReason::MaxLength);
}

TEST_F(GeneratorTest, LongPrefillsGoInPieces) {
  model.vocabularySize = vocabulary;
  GenerationOptions options = count(3);
  options.prefillLogitBytes = vocabulary * 4 * 2 * 3; // 3 positions of 2 rows
  Generation out = generate(
      unsteered, {{{1, 2, 3, 4, 5, 6, 7}, -1, {}, {}}, {{3, 5}, -1, {}, {}}},
      options);
  EXPECT_EQ(out.rows[0].tokens, Tokens({6, 1, 2})); // 28, 34, 35 mod 11
  EXPECT_EQ(out.rows[1].tokens, Tokens({8, 5, 10}));
  ASSERT_GE(calls.size(), 3u);
  EXPECT_EQ(calls[0], (FakeEngine::Call{2, 3}));
  EXPECT_EQ(calls[1], (FakeEngine::Call{2, 3}));
  EXPECT_EQ(calls[2], (FakeEngine::Call{2, 1}));
}

TEST_F(GeneratorTest, PlansAndKnobsReachTheirRows) {
  Generation out = generate(steered,
                            {{{1}, 1, {2}, {}}, {{1}, 0, {0}, {}}, {{1}, -1, {0}, {}}},
                            count(1));
  EXPECT_EQ(out.rows[0].tokens, Tokens({4}));
  EXPECT_EQ(out.rows[1].tokens, Tokens({1}));
  EXPECT_EQ(out.rows[2].tokens, Tokens({0}));
}

TEST_F(GeneratorTest, RecordsCoverPromptAndGeneratedTokens) {
  GenerationOptions options = count(3);
  options.record = true;
  std::vector<size_t> seen;
  options.onToken = [&](size_t row, int64_t) { seen.push_back(row); };
  Generation out =
      generate(steered, {{{3, 4}, 0, {0}, {}}, {{5}, 0, {0}, {}}}, options);
  ASSERT_EQ(out.recordWidths, std::vector<int64_t>({2}));
  EXPECT_EQ(out.rows[0].tokens, Tokens({7, 3, 6}));
  EXPECT_EQ(out.rows[0].records[0],
            std::vector<float>({3, 1, 4, 1, 7, 0, 3, 0, 6, 0}));
  EXPECT_EQ(out.rows[1].records[0], std::vector<float>({5, 1, 5, 0, 10, 0, 9, 0}));
  EXPECT_EQ(seen, std::vector<size_t>({0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(out.timing.decodeTokens, 4);
}

TEST_F(GeneratorTest, RefusesWhatTheProgramDoesNotHold) {
  EXPECT_EQ(errorOf(unsteered, {{{}, -1, {}, {}}}), "row 0: the prompt has no token");
  EXPECT_NE(errorOf(unsteered, {{{1}, -1, {}, {}}, {Tokens(12, 1), -1, {}, {}}})
                .find("row 1: the prompt has 12 tokens; the program holds 12"),
            std::string::npos);
  EXPECT_EQ(errorOf(unsteered, {{{11}, -1, {}, {}}}),
            "row 0: token 11 is outside the vocabulary of 11");
  EXPECT_EQ(errorOf(unsteered, {{{1}, 0, {}, {}}}),
            "row 0: plan 0 is none of the program's 0");
  EXPECT_EQ(errorOf(steered, {{{1}, 2, {1}, {}}}),
            "row 0: plan 2 is none of the program's 2");
  EXPECT_EQ(errorOf(steered, {{{1}, 0, {}, {}}}),
            "row 0: 0 knobs are given, the program has 1");
  EXPECT_NE(errorOf(unsteered, {{{1}, -1, {}, {-1, 1, 0}}}).find("temperature"),
            std::string::npos);
  EXPECT_NE(errorOf(unsteered, {{{1}, -1, {}, {1, 0, 0}}}).find("top-p"),
            std::string::npos);
  EXPECT_NE(errorOf(unsteered, {{{1}, -1, {}, {}}}, count(0)).find("at least one"),
            std::string::npos);
}

TEST_F(GeneratorTest, ForwardGivesEveryPosition) {
  FakeEngine engine(steered);
  Generator generator(steered, model, engine);
  at::Tensor ids = at::tensor({1, 2, 3, 4, -1, -1, 5, 6, -1, 7, 8, 9}, at::kLong)
                       .view({4, 3});
  std::vector<RowSettings> settings(4, {2, 0, {0}});
  settings[1].promptLength = 1;
  Generator::Logits out = valueOf(generator.forward(ids, settings));
  EXPECT_EQ(out.logits.sizes(), at::IntArrayRef({4, 3, vocabulary}));
  at::Tensor best = out.logits.argmax(-1);
  EXPECT_TRUE(at::equal(best[0], at::tensor({1, 3, 6}, at::kLong)));
  EXPECT_EQ(best[3][2].item<int64_t>(), 24 % vocabulary);
  EXPECT_EQ(out.logits[1][1].abs().sum().item<float>(), 0); // padding
  EXPECT_EQ(out.records[0].sizes(), at::IntArrayRef({4, 3, 2}));
  EXPECT_EQ(out.records[0][1][2][0].item<float>(), 0);
  // Three rows fit at a time.
  EXPECT_EQ(engine.calls, (std::vector<FakeEngine::Call>{{3, 3}, {1, 3}}));

  engine.calls.clear();
  Generator::Logits stepwise = valueOf(generator.forward(ids, settings, 1));
  EXPECT_TRUE(at::equal(stepwise.logits, out.logits));
  EXPECT_TRUE(at::equal(stepwise.records[0], out.records[0]));
  EXPECT_EQ(engine.calls, (std::vector<FakeEngine::Call>{
                              {3, 1}, {3, 1}, {3, 1}, {1, 1}, {1, 1}, {1, 1}}));
  EXPECT_TRUE(at::equal(valueOf(generator.forward(ids, settings, 2)).logits,
                        out.logits));
  EXPECT_TRUE(at::equal(valueOf(generator.forward(ids, settings, 9)).logits,
                        out.logits));
  EXPECT_ERROR(generator.forward(ids, settings, 0), "at least one token");

  EXPECT_ERROR(generator.forward(ids.slice(0, 0, 1), settings), "1 rows with settings for 4");
  EXPECT_ERROR(generator.forward(at::tensor({1, -1, 2}, at::kLong).view({1, 3}),
                                 ArrayRef(settings).take_front(1)),
               "padding (-1) is allowed on the right only");
  EXPECT_ERROR(generator.forward(at::tensor({11}, at::kLong).view({1, 1}),
                                 ArrayRef(settings).take_front(1)),
               "id 11 is outside the vocabulary of 11");
  EXPECT_ERROR(generator.forward(at::zeros({1, 13}, at::kLong),
                                 ArrayRef(settings).take_front(1)),
               "rows of 13 tokens; the program holds 12");
  settings[2].promptLength = 3;
  EXPECT_ERROR(generator.forward(ids, settings),
               "row 2: a prompt of 3 tokens, but the row has 2");
  settings[2].promptLength = -1;
  EXPECT_ERROR(generator.forward(ids, settings),
               "row 2: a prompt of -1 tokens, but the row has 2");
}

} // namespace
