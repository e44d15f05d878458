//===- SweepScores.cpp - How the texts of a sweep are rated ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Sweeper.h"

#include "weir/Driver/Judge.h"
#include "weir/Support/Json.h"

#include <cmath>

using namespace mlir;
using namespace weir;

LogicalResult Sweeper::rate(ArrayRef<std::vector<int64_t>> tokens) {
  if (!options.words.empty() || !options.regex.empty()) {
    auto score = options.words.empty() ? TextScore::regex(options.regex)
                                       : TextScore::words(options.words);
    if (!score)
      return error() << (options.words.empty() ? "--regex: " : "--words: ")
                     << llvm::toString(score.takeError());
    result.scoredBy = options.words.empty() ? "regex" : "words";
    return rateAlone(**score);
  }
  if (!options.feature.empty())
    return rateByFeature(tokens);
  if (!options.judge.empty())
    return rateByJudge();
  return success();
}

/// Means of the texts of each point; `scores` are by point, then text.
void Sweeper::setScores(ArrayRef<double> scores) {
  for (size_t at = 0; at < numPoints(); ++at) {
    double sum = 0;
    for (double score : scores.slice(at * textsOfPoint(), textsOfPoint()))
      sum += score;
    point(at).score = sum / static_cast<double>(textsOfPoint());
  }
}

LogicalResult Sweeper::rateAlone(const TextScore &score) {
  std::vector<double> scores;
  for (size_t at = 0; at < numPoints(); ++at)
    for (const std::string &text : point(at).texts) {
      auto rated = score.of(text);
      if (!rated)
        return error() << llvm::toString(rated.takeError());
      scores.push_back(*rated);
    }
  setScores(scores);
  return success();
}

/// How active the feature is when the model, unsteered, reads the texts: a plan
/// that adds a feature makes it active wherever it acts.
LogicalResult
Sweeper::rateByFeature(ArrayRef<std::vector<int64_t>> tokens) {
  stage("reading the texts");
  const Manifest &manifest = program().manifest();
  auto plan = manifest.planIndex(readerName);
  if (!plan)
    return error() << llvm::toString(plan.takeError());
  std::string record;
  for (const Manifest::Record &each : manifest.records)
    if (each.policy == (readerName + "-policy").str())
      record = each.name;
  std::vector<ReadRow> rows;
  for (size_t at = 0; at < numPoints(); ++at)
    for (size_t text = 0; text < textsOfPoint(); ++text) {
      ReadRow row{prompts[text / options.samples], 0};
      row.from = row.tokens.size();
      llvm::append_range(row.tokens, tokens[text * settings.size() + at]);
      rows.push_back(std::move(row));
    }
  auto means = program().readRecord(record, *plan, rows);
  if (!means)
    return error() << "--feature: " << llvm::toString(means.takeError());
  result.scoredBy = "feature";
  setScores(*means);
  return success();
}

LogicalResult Sweeper::rateByJudge() {
  stage("waiting for the judge");
  std::vector<llvm::json::Object> questions;
  for (size_t at = 0; at < numPoints(); ++at)
    for (auto [text, answer] : llvm::enumerate(point(at).texts))
      questions.push_back(llvm::json::Object{
          {"kind", "text"},
          {"prompt", llvm::json::fixUTF8(result.prompts[text / options.samples])},
          {"text", answer}});
  auto scores = Judge(options.judge, options.judgeSeconds)
                    .scores(std::move(questions));
  if (!scores)
    return error() << "--judge: " << llvm::toString(scores.takeError());
  result.scoredBy = "judge";
  setScores(*scores);
  return success();
}

void Sweeper::chooseBest() {
  auto isWithin = [&](const Sweep::Point &point) {
    return point.score && *point.score > *result.plain.score &&
           (!point.change || point.change->value <= options.maxLossIncrease) &&
           (!point.repetition || *point.repetition <= options.maxRepetition);
  };
  auto costOf = [](const Sweep::Point &point) {
    return std::abs(point.change ? point.change->value : point.value);
  };
  // Of equal scores the one that costs least.
  auto isBetter = [&](const Sweep::Point &a, std::optional<size_t> than) {
    if (!than)
      return true;
    const Sweep::Point &b = result.points[*than];
    return *a.score != *b.score ? *a.score > *b.score : costOf(a) < costOf(b);
  };
  for (auto [at, point] : llvm::enumerate(result.points)) {
    if (!isWithin(point))
      continue;
    if (isBetter(point, result.bestOfAll))
      result.bestOfAll = at;
    if (point.form == 0 && isBetter(point, result.best))
      result.best = at;
  }
}
