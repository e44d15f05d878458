//===- SweepReport.cpp - Tables of weirc sweep ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/SweepJob.h"

#include "weir/Support/Json.h"
#include "weir/Support/Words.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

using namespace llvm;
using namespace weir;

static std::string limited(StringRef text, size_t most) {
  std::string line;
  for (char c : text)
    line += c == '\n' ? ' ' : c;
  if (line.size() <= most)
    return line;
  // Not within a character.
  size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80)
    --end;
  return line.substr(0, end) + " …";
}

std::string Sweep::Form::yaml() const {
  if (value.empty())
    return "";
  return "strength: {value: " + value + (schedule.empty() ? "" : ", ") +
         schedule + "}, layers: " + layers;
}

void Sweep::print(raw_ostream &os) const {
  os << "knob " << knob << " of plan " << plan << "\n";
  if (!feature.empty())
    os << "score: the mean activation of " << withLabel(feature, label) << "\n";
  for (const Form &form : forms)
    if (form.budget)
      os << "  " << left_justify(form.name, 24)
         << format("budget %.4g", *form.budget)
         << (form.value.empty() ? "" : "   ") << form.yaml() << "\n";
  os << "\n" << left_justify("form", 24) << right_justify("value", 9);
  const bool hasLoss = plain.loss.has_value();
  const bool hasTexts = plain.repetition.has_value();
  if (hasLoss)
    os << "     loss   change     ±";
  if (hasTexts)
    os << "  repetition distinct-2";
  if (plain.score)
    os << right_justify(scoredBy, 10);
  os << "\n";
  auto line = [&](StringRef form, const Twine &value, const Point &point,
                  StringRef mark) {
    os << left_justify(form, 24) << right_justify(value.str(), 9);
    if (hasLoss) {
      os << format(" %8.4f %+8.4f", point.loss->value, point.change->value);
      if (point.change->halfWidth)
        os << format(" %.4f", *point.change->halfWidth);
      else
        os << "      -";
    }
    if (hasTexts)
      os << format("  %10.3f %10.3f", *point.repetition, point.distinct[1]);
    if (point.score)
      os << format(" %9.4f", *point.score);
    os << mark << "\n";
  };
  line("(plain)", "", plain, "");
  for (auto [at, point] : enumerate(points))
    line(forms[point.form].name, shortestFloat(point.value), point,
         best == at ? "  best"
                    : (bestOfAll == at ? "  best of all forms" : ""));
  if (!hasTexts)
    return;
  os << "\nAfter '" << limited(prompts.front(), 60) << "':\n";
  auto text = [&](const Twine &name, const Point &point) {
    os << right_justify(name.str(), 9) << "  "
       << limited(point.texts.front(), 100) << "\n";
  };
  text("plain", plain);
  for (const Point &point : points)
    if (point.form == 0)
      text(shortestFloat(point.value), point);
}

static json::Value toJSON(const std::optional<MeanOverWindows> &mean) {
  return mean ? json::Value(mean->toJSON()) : nullptr;
}
static json::Value toJSON(const std::optional<double> &number) {
  return number ? json::Value(*number) : nullptr;
}

static json::Object toJSON(const Sweep::Point &point) {
  json::Object object{{"loss", toJSON(point.loss)},
                      {"change", toJSON(point.change)},
                      {"repetition", toJSON(point.repetition)},
                      {"score", toJSON(point.score)},
                      {"texts", json::Array(point.texts)}};
  object["distinct"] = point.repetition
                           ? json::Value(json::Array{point.distinct[0],
                                                     point.distinct[1],
                                                     point.distinct[2]})
                           : nullptr;
  return object;
}

json::Object Sweep::toJSON() const {
  json::Array formsOut, pointsOut;
  for (const Form &form : forms)
    formsOut.push_back(json::Object{{"name", form.name},
                                    {"yaml", form.yaml()},
                                    {"budget", ::toJSON(form.budget)}});
  for (const Point &point : points) {
    json::Object object = ::toJSON(point);
    object["form"] = forms[point.form].name;
    object["value"] = point.value;
    pointsOut.push_back(std::move(object));
  }
  auto index = [](std::optional<size_t> at) {
    return at ? json::Value(static_cast<int64_t>(*at)) : nullptr;
  };
  return json::Object{{"knob", knob},
                      {"plan", plan},
                      {"scored_by", scoredBy.empty() ? json::Value(nullptr)
                                                     : json::Value(scoredBy)},
                      {"feature", jsonOrNull(feature)},
                      {"label", jsonOrNull(label)},
                      {"forms", std::move(formsOut)},
                      {"prompts", json::Array(prompts)},
                      {"plain", ::toJSON(plain)},
                      {"points", std::move(pointsOut)},
                      {"resumed", json::Object{{"rows", resumedRows},
                                               {"texts", resumedTexts}}},
                      {"best", index(best)},
                      {"best_of_all", index(bestOfAll)}};
}

std::string Sweep::toCSV() const {
  std::string out = csvHead.str();
  raw_string_ostream os(out);
  auto cell = [&](std::optional<double> number) {
    os << ',';
    if (number)
      os << format("%.17g", *number);
  };
  auto mean = [&](const std::optional<MeanOverWindows> &value) {
    cell(value ? std::optional(value->value) : std::nullopt);
    cell(value ? value->halfWidth : std::nullopt);
  };
  auto line = [&](StringRef form, StringRef value, const Point &point) {
    os << form << ',' << value;
    mean(point.loss);
    mean(point.change);
    cell(point.repetition);
    for (double distinct : point.distinct)
      cell(point.repetition ? std::optional(distinct) : std::nullopt);
    cell(point.score);
    os << '\n';
  };
  line("(plain)", "", plain);
  for (const Point &point : points)
    line(forms[point.form].name, shortestFloat(point.value), point);
  return out;
}
