//===- SweepTexts.cpp - The texts of a sweep ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Sweeper.h"

#include "weir/Support/Files.h"
#include "weir/Support/JsonLines.h"

#include "llvm/Support/Path.h"

#include <cmath>

using namespace mlir;
using namespace weir;
using llvm::createStringError;

/// One prompt a line, or JSON lines with a key "prompt".
static llvm::Expected<std::vector<std::string>> promptsOf(StringRef path) {
  auto text = readText(path);
  if (!text)
    return text.takeError();
  const bool isJSON = llvm::sys::path::extension(path) == ".jsonl";
  std::vector<std::string> prompts;
  StringRef rest = *text;
  rest.consume_front("\xEF\xBB\xBF"); // a byte order mark
  for (size_t number = 1; !rest.empty(); ++number) {
    StringRef line;
    std::tie(line, rest) = rest.split('\n');
    line.consume_back("\r");
    if (line.trim().empty())
      continue;
    if (!isJSON) {
      prompts.push_back(line.str());
      continue;
    }
    auto wrong = [&](const Twine &what) {
      return createStringError(path + ":" + Twine(number) + ": " + what);
    };
    auto value = parseJSONLine(line);
    if (!value)
      return wrong(llvm::toString(value.takeError()));
    const llvm::json::Object *object = value->getAsObject();
    std::optional<StringRef> prompt =
        object ? object->getString("prompt") : std::nullopt;
    if (!prompt || object->size() != 1)
      return wrong("a line is an object with a string \"prompt\" and nothing "
                   "else");
    prompts.push_back(prompt->str());
  }
  if (prompts.empty())
    return createStringError(path + ": there is no prompt");
  return prompts;
}

LogicalResult Sweeper::readPrompts() {
  result.prompts = options.prompts;
  if (!options.promptsFile.empty()) {
    auto read = promptsOf(options.promptsFile);
    if (!read)
      return error() << llvm::toString(read.takeError());
    result.prompts = std::move(*read);
  }
  if (result.prompts.empty())
    return success();
  auto archive = compiler.opened()->model();
  if (!archive)
    return error() << llvm::toString(archive.takeError());
  auto made = tokenizerOf(**archive);
  if (!made)
    return error() << llvm::toString(made.takeError());
  tokenizer = std::move(*made);
  for (auto [index, prompt] : llvm::enumerate(result.prompts)) {
    auto ids = tokenizer->encode(prompt);
    if (!ids)
      return error() << "prompt " << index << ": "
                     << llvm::toString(ids.takeError());
    prompts.push_back(std::move(*ids));
  }
  return success();
}

/// The texts of the rows, as many of them at a time as the program takes. A run that
/// was killed goes on behind those that it had finished.
FailureOr<std::vector<std::vector<int64_t>>>
Sweeper::tokensOf(ArrayRef<PromptRow> rows, ContinueOptions how) {
  llvm::json::Array asked;
  for (const PromptRow &row : rows)
    asked.push_back(llvm::json::Array{llvm::json::Array(row.prompt),
                                      describe(row.setting),
                                      std::to_string(row.seed)});
  std::vector<std::vector<int64_t>> tokens;
  auto log = openLog(
      llvm::json::Object{{"what", "texts"},
                         {"program", measured.hash},
                         {"rows", std::move(asked)},
                         {"newTokens", how.maxNewTokens},
                         {"temperature", how.temperature},
                         {"topP", how.topP},
                         {"topK", how.topK}},
      [&](PartReader part) {
        for (auto left = part.get<uint64_t>(); left > 0; --left)
          tokens.push_back(part.getAll<int64_t>());
      });
  if (failed(log))
    return failure();
  result.resumedTexts = static_cast<int64_t>(tokens.size() / settings.size());
  // Whole texts, so that all settings of one are of one batch where that is possible.
  const size_t together =
      std::max<size_t>(1, program().model().maxBatch / settings.size()) *
      settings.size();
  const int64_t most = static_cast<int64_t>(rows.size()) * how.maxNewTokens;
  while (tokens.size() < rows.size()) {
    const int64_t before = static_cast<int64_t>(tokens.size()) * how.maxNewTokens;
    how.progress = [&](int64_t count) {
      if (count % 16 == 0)
        stage("texts, " + Twine(before + count) + " of at most " + Twine(most) +
              " tokens");
    };
    auto some = program().generate(
        rows.slice(tokens.size(), std::min(together, rows.size() - tokens.size())),
        how);
    if (!some)
      return error() << llvm::toString(some.takeError());
    PartWriter part;
    part.put<uint64_t>(some->size());
    for (std::vector<int64_t> &text : *some) {
      part.putAll(ArrayRef(text));
      tokens.push_back(std::move(text));
    }
    if (llvm::Error problem = (*log)->append(part))
      return error() << llvm::toString(std::move(problem));
  }
  return tokens;
}

LogicalResult Sweeper::generate() {
  if (prompts.empty())
    return success();
  // All settings of a prompt are neighbours, so that they are of one batch.
  std::vector<PromptRow> rows;
  for (size_t text = 0; text < textsOfPoint(); ++text)
    for (const RowSetting &setting : settings)
      rows.push_back({prompts[text / options.samples], setting,
                      options.seed + text});
  ContinueOptions how;
  how.maxNewTokens = options.maxNewTokens;
  how.temperature = options.temperature;
  how.topP = options.topP;
  how.topK = options.topK;
  auto tokens = tokensOf(rows, how);
  if (failed(tokens))
    return failure();
  for (size_t at = 0; at < numPoints(); ++at) {
    double repeated = 0;
    std::array<double, 3> sums = {}, counts = {};
    for (size_t text = 0; text < textsOfPoint(); ++text) {
      const std::vector<int64_t> &ids = (*tokens)[text * settings.size() + at];
      auto decoded = tokenizer->decode(ids);
      if (!decoded)
        return error() << llvm::toString(decoded.takeError());
      point(at).texts.push_back(std::move(*decoded));
      repeated += repetition(ids);
      for (size_t n = 1; n <= sums.size(); ++n) {
        const double distinct = distinctNGrams(ids, n);
        if (std::isnan(distinct))
          continue;
        sums[n - 1] += distinct;
        counts[n - 1] += 1;
      }
    }
    point(at).repetition = repeated / static_cast<double>(textsOfPoint());
    for (size_t n = 0; n < sums.size(); ++n)
      point(at).distinct[n] = counts[n] > 0 ? sums[n] / counts[n] : 0;
  }
  return rate(*tokens);
}
