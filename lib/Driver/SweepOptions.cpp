//===- SweepOptions.cpp - What a sweep is asked for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/SweepJob.h"

#include "llvm/Support/Format.h"

#include <cmath>

using namespace mlir;
using namespace weir;
using llvm::createStringError;

std::string weir::shortestFloat(double number) {
  std::string text;
  for (int digits = 6; digits <= 9; ++digits) {
    text.clear();
    llvm::raw_string_ostream(text)
        << llvm::format("%.*g", digits, static_cast<double>(
                                            static_cast<float>(number)));
    if (std::strtof(text.c_str(), nullptr) == static_cast<float>(number))
      break;
  }
  return text == "-0" ? "0" : text;
}

llvm::Expected<SweptKnob> SweptKnob::parse(StringRef text) {
  auto [name, numbers] = text.split('=');
  auto wrong = [&](const Twine &what) {
    return createStringError("'" + text + "': " + what);
  };
  SmallVector<StringRef> parts;
  numbers.split(parts, ':');
  if (name.empty() || numbers.empty() ||
      (parts.size() != 1 && parts.size() != 3))
    return wrong("a knob is swept by NAME=FIRST:LAST:COUNT and set by "
                 "NAME=NUMBER");
  SweptKnob knob{name.str(), {}, parts.size() == 3};
  double ends[2] = {0, 0};
  for (size_t i = 0; i < std::min<size_t>(parts.size(), 2); ++i)
    if (parts[i].getAsDouble(ends[i]) ||
        !std::isfinite(static_cast<float>(ends[i])))
      return wrong("'" + parts[i] + "' is no finite number");
  int64_t count = 1;
  if (knob.isSwept &&
      (parts[2].getAsInteger(10, count) || count < 1 || count > 10000))
    return wrong("'" + parts[2] + "' is no count from 1 to 10,000");
  for (int64_t i = 0; i < count; ++i) {
    const double share =
        count == 1 ? 0 : static_cast<double>(i) / static_cast<double>(count - 1);
    const double value = ends[0] + (ends[1] - ends[0]) * share;
    knob.values.push_back(std::strtod(shortestFloat(value).c_str(), nullptr));
  }
  return knob;
}

llvm::Error SweepOptions::check() const {
  const int64_t swept =
      llvm::count_if(knobs, [](const SweptKnob &knob) { return knob.isSwept; });
  if (swept != 1)
    return createStringError("one knob is swept, by --knob NAME=FIRST:LAST:COUNT");
  for (size_t i = 0; i < knobs.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (knobs[i].name == knobs[j].name)
        return createStringError("--knob: '" + knobs[i].name +
                                 "' is given twice");
  const bool generates = !prompts.empty() || !promptsFile.empty();
  if (text.empty() && !generates)
    return createStringError("give --text, or --prompt or --prompts, or both");
  if (!prompts.empty() && !promptsFile.empty())
    return createStringError("give one of --prompt and --prompts");
  const int scores =
      !words.empty() + !regex.empty() + !feature.empty() + !judge.empty();
  if (scores > 1)
    return createStringError(
        "give one of --words, --regex, --feature and --judge");
  if (scores && !generates)
    return createStringError("what rates texts needs --prompt or --prompts");
  if (!output.empty() && !scores)
    return createStringError("--write needs something that rates texts: --words, "
                             "--regex, --feature or --judge");
  if (samples > 1 && temperature == 0)
    return createStringError("--samples needs a --temperature: without one all "
                             "are the same");
  if (topP <= 0)
    return createStringError("--top-p has to be above 0");
  return llvm::Error::success();
}
