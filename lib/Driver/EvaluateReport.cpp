//===- EvaluateReport.cpp - Tables of weirc evaluate ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/EvaluateJob.h"

#include "weir/Support/Json.h"
#include "weir/Support/Words.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

#include <map>
#include <tuple>

using namespace llvm;
using namespace weir;

json::Object MeanOverWindows::toJSON() const {
  json::Object object{{"mean", value}};
  object["half_width"] = halfWidth ? json::Value(*halfWidth) : nullptr;
  return object;
}

std::vector<Evaluation::DecayPoint> Evaluation::decay() const {
  struct Sums {
    double cosine = 0, givenFeature = 0, givenMatch = 0, jaccard = 0;
    int64_t pairs = 0, features = 0;
  };
  std::map<std::tuple<StringRef, StringRef, int64_t>, Sums> groups;
  for (const MatchScore &match : matches) {
    if (!match.sameKind)
      continue;
    Sums &sums = groups[{match.matching, match.kind, match.distance}];
    const auto features = static_cast<double>(match.active.features);
    sums.cosine += match.cosine * static_cast<double>(match.pairs);
    sums.pairs += match.pairs;
    sums.givenFeature += match.active.givenFeature * features;
    sums.givenMatch += match.active.givenMatch * features;
    sums.jaccard += match.active.jaccard * features;
    sums.features += match.active.features;
  }
  std::vector<DecayPoint> points;
  for (const auto &[key, sums] : groups) {
    auto over = [](double sum, int64_t count) {
      return count ? sum / static_cast<double>(count) : 0;
    };
    const auto &[matching, kind, distance] = key;
    points.push_back({matching.str(), kind.str(), distance, sums.pairs,
                      over(sums.cosine, sums.pairs),
                      {sums.features, over(sums.givenFeature, sums.features),
                       over(sums.givenMatch, sums.features),
                       over(sums.jaccard, sums.features)}});
  }
  return points;
}

static std::string withWidth(const MeanOverWindows &mean, const char *form) {
  std::string text;
  raw_string_ostream os(text);
  os << format(form, mean.value);
  if (mean.halfWidth)
    os << " ±" << format("%.4f", *mean.halfWidth);
  return text;
}

void Evaluation::print(raw_ostream &os) const {
  size_t widest = 22; // of the names of plans
  for (const PlanLoss &plan : plans)
    widest = std::max(widest, plan.plan.size());
  os << text << ": " << windows << " windows of at most " << context
     << " tokens, " << tokens << " tokens count, " << predicted
     << " are predicted\n\n"
     << left_justify("plan", widest + 2) << left_justify("loss", 18) << "change\n"
     << left_justify("(plain)", widest + 2) << withWidth(plain, "%.4f") << "\n";
  for (const PlanLoss &plan : plans)
    os << left_justify(plan.plan, widest + 2)
       // The sign is one character of two bytes.
       << left_justify(withWidth(plan.loss, "%.4f"),
                       plan.loss.halfWidth ? 19 : 18)
       << withWidth(plan.change, "%+.4f") << "\n";
  if (!dictionaries.empty())
    os << "\ndictionary     site     features  silent      L0  explained "
          "variance\n";
  for (const DictionaryEntry &entry : dictionaries) {
    os << left_justify(entry.collection, 14) << ' '
       << left_justify(entry.kind + "." + std::to_string(entry.layer), 8)
       << format("%9lld %7lld %7.1f  ", static_cast<long long>(entry.features),
                 static_cast<long long>(entry.silent), entry.l0);
    if (entry.explainedVariance)
      os << format("%.4f\n", *entry.explainedVariance);
    else
      os << "-\n";
  }
  bool any = false;
  for (const MatchScore &match : matches) {
    if (match.steps != 1)
      continue;
    if (!any)
      os << "\nmatch         from     to          pairs cosine  P(match|feature)"
            " P(feature|match) Jaccard\n";
    any = true;
    os << left_justify(match.matching, 13) << ' '
       << left_justify(match.source, 8) << ' '
       << left_justify(match.target, 8)
       << format("%9lld %6.3f  %16.3f %16.3f %7.3f\n",
                 static_cast<long long>(match.pairs), match.cosine,
                 match.active.givenFeature, match.active.givenMatch,
                 match.active.jaccard);
  }
  std::vector<DecayPoint> points = decay();
  if (any_of(points, [](auto &point) { return point.distance > 1; })) {
    os << "\nOver distance, matches composed layer by layer\n\n"
          "match         site  layers    pairs cosine  P(match|feature) "
          "P(feature|match) Jaccard\n";
    for (const DecayPoint &point : points)
      os << left_justify(point.matching, 13) << ' '
         << left_justify(point.kind, 5)
         << format("%7lld %8lld %6.3f  %16.3f %16.3f %7.3f\n",
                   static_cast<long long>(point.distance),
                   static_cast<long long>(point.pairs), point.cosine,
                   point.active.givenFeature, point.active.givenMatch,
                   point.active.jaccard);
  }
  if (judged.empty())
    return;
  auto share = [&](StringRef verdict) {
    return static_cast<long long>(count_if(
        judged, [&](auto &pair) { return pair.verdict == verdict; }));
  };
  os << format("\nOf %lld matched pairs the judge calls %lld SAME, %lld MAYBE, "
               "%lld DIFFERENT.\n",
               static_cast<long long>(judged.size()), share("SAME"),
               share("MAYBE"), share("DIFFERENT"));
  // Those that the spec has a name for; --json has all.
  for (const JudgedPair &pair : judged)
    if (!pair.sourceLabel.empty() || !pair.targetLabel.empty())
      os << "  " << left_justify(pair.verdict, 10)
         << withLabel(pair.source, pair.sourceLabel) << " and "
         << withLabel(pair.target, pair.targetLabel) << "\n";
}

static json::Object scoresOf(const MatchStatistics::Scores &scores) {
  return json::Object{{"features", scores.features},
                      {"given_feature", scores.givenFeature},
                      {"given_match", scores.givenMatch},
                      {"jaccard", scores.jaccard}};
}

json::Object Evaluation::toJSON() const {
  json::Array plansOut, dictionariesOut, matchesOut, decayOut, judgedOut;
  for (const PlanLoss &plan : plans)
    plansOut.push_back(json::Object{{"plan", plan.plan},
                                    {"loss", plan.loss.toJSON()},
                                    {"change", plan.change.toJSON()},
                                    {"has_effect", !plan.hasNoEffect}});
  for (const DictionaryEntry &entry : dictionaries) {
    json::Object object{{"dictionary", entry.collection}, {"site", entry.kind},
                        {"layer", entry.layer},   {"features", entry.features},
                        {"silent", entry.silent}, {"l0", entry.l0}};
    object["explained_variance"] =
        entry.explainedVariance ? json::Value(*entry.explainedVariance)
                                : nullptr;
    dictionariesOut.push_back(std::move(object));
  }
  for (const MatchScore &match : matches)
    matchesOut.push_back(json::Object{{"matching", match.matching},
                                      {"source", match.source},
                                      {"target", match.target},
                                      {"steps", match.steps},
                                      {"distance", match.distance},
                                      {"pairs", match.pairs},
                                      {"cosine", match.cosine},
                                      {"active", scoresOf(match.active)}});
  for (const DecayPoint &point : decay())
    decayOut.push_back(json::Object{{"matching", point.matching},
                                    {"site", point.kind},
                                    {"distance", point.distance},
                                    {"pairs", point.pairs},
                                    {"cosine", point.cosine},
                                    {"active", scoresOf(point.active)}});
  for (const JudgedPair &pair : judged)
    judgedOut.push_back(json::Object{{"matching", pair.matching},
                                     {"source", pair.source},
                                     {"target", pair.target},
                                     {"source_label", jsonOrNull(pair.sourceLabel)},
                                     {"target_label", jsonOrNull(pair.targetLabel)},
                                     {"similarity", pair.similarity},
                                     {"verdict", pair.verdict}});
  return json::Object{{"text", json::Object{{"file", text},
                                            {"windows", windows},
                                            {"context", context},
                                            {"tokens", tokens},
                                            {"predicted", predicted}}},
                      {"resumed", json::Object{{"rows", resumedRows},
                                               {"windows", resumedWindows}}},
                      {"plain", plain.toJSON()},
                      {"plans", std::move(plansOut)},
                      {"dictionaries", std::move(dictionariesOut)},
                      {"matches", std::move(matchesOut)},
                      {"decay", std::move(decayOut)},
                      {"judged", std::move(judgedOut)}};
}

std::string Evaluation::toCSV() const {
  std::string out;
  raw_string_ostream os(out);
  // Names of a spec are identifiers, so that no field needs quotes.
  auto line = [&](StringRef section, const Twine &name, StringRef measure,
                  double value) {
    os << section << ',' << name << ',' << measure << ','
       << format("%.17g", value) << '\n';
  };
  auto mean = [&](const Twine &name, StringRef measure,
                  const MeanOverWindows &value) {
    line("loss", name, measure, value.value);
    if (value.halfWidth)
      line("loss", name, (measure + "_half_width").str(), *value.halfWidth);
  };
  auto scores = [&](StringRef section, const Twine &name, double cosine,
                    const MatchStatistics::Scores &active) {
    line(section, name, "cosine", cosine);
    line(section, name, "given_feature", active.givenFeature);
    line(section, name, "given_match", active.givenMatch);
    line(section, name, "jaccard", active.jaccard);
  };
  os << csvHead;
  mean("(plain)", "loss", plain);
  for (const PlanLoss &plan : plans) {
    mean(plan.plan, "loss", plan.loss);
    mean(plan.plan, "change", plan.change);
  }
  for (const DictionaryEntry &entry : dictionaries) {
    const std::string name = entry.collection + "." + entry.kind + "." +
                             std::to_string(entry.layer);
    line("dictionary", name, "l0", entry.l0);
    line("dictionary", name, "silent", static_cast<double>(entry.silent));
    if (entry.explainedVariance)
      line("dictionary", name, "explained_variance", *entry.explainedVariance);
  }
  for (const MatchScore &match : matches)
    scores("match", match.matching + "/" + match.source + "/" + match.target,
           match.cosine, match.active);
  for (const DecayPoint &point : decay())
    scores("decay",
           point.matching + "/" + point.kind + "/" +
               std::to_string(point.distance),
           point.cosine, point.active);
  return out;
}
