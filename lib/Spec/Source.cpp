//===- Source.cpp - Places in a spec and messages about them ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Spec/Source.h"

#include "weir/Spec/YAML.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

using namespace weir::spec;

//===----------------------------------------------------------------------===//
// SourceFile
//===----------------------------------------------------------------------===//

SourceFile::SourceFile(llvm::StringRef name, llvm::StringRef text)
    : fileName(name), contents(text) {
  lineStarts.push_back(0);
  // A larger text is refused, and its lines do not matter.
  if (text.size() > maxSpecBytes)
    return;
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n')
      lineStarts.push_back(i + 1);
}

std::pair<unsigned, unsigned> SourceFile::lineAndColumn(uint32_t offset) const {
  offset = std::min<uint32_t>(offset, contents.size());
  auto next = llvm::upper_bound(lineStarts, offset);
  unsigned line = next - lineStarts.begin();
  return {line, offset - lineStarts[line - 1] + 1};
}

llvm::StringRef SourceFile::line(unsigned number) const {
  if (number == 0 || number > lineStarts.size())
    return {};
  return contents.substr(lineStarts[number - 1])
      .take_until([](char c) { return c == '\n'; })
      .rtrim('\r');
}

std::string SourceFile::describe(SourceRange range) const {
  auto [line, column] = lineAndColumn(range.begin);
  return (llvm::Twine(line) + ":" + llvm::Twine(column)).str();
}

mlir::Location SourceFile::location(SourceRange range,
                                    mlir::MLIRContext *context) const {
  auto [line, column] = lineAndColumn(range.begin);
  if (range.end <= range.begin)
    return mlir::FileLineColLoc::get(context, fileName, line, column);
  auto [endLine, endColumn] = lineAndColumn(range.end);
  auto name = mlir::StringAttr::get(context, fileName.empty() ? "-" : fileName);
  if (line == endLine)
    return mlir::FileLineColRange::get(name, line, column, endColumn);
  return mlir::FileLineColRange::get(name, line, column, endLine, endColumn);
}

//===----------------------------------------------------------------------===//
// Reporter
//===----------------------------------------------------------------------===//

Reporter::Message &Reporter::Message::note(SourceRange range,
                                           const llvm::Twine &text) {
  if (entry)
    entry->notes.push_back({range, text.str()});
  return *this;
}

Reporter::Message Reporter::error(SourceRange range, const llvm::Twine &text) {
  if (errors > errorLimit)
    return Message(nullptr);
  ++errors;
  if (errors > errorLimit) {
    entries.push_back({/*isError=*/true,
                       range,
                       "too many errors; no more are looked for",
                       {}});
    return Message(nullptr);
  }
  entries.push_back({/*isError=*/true, range, text.str(), {}});
  return Message(&entries.back());
}

Reporter::Message Reporter::warning(SourceRange range,
                                    const llvm::Twine &text) {
  entries.push_back({/*isError=*/false, range, text.str(), {}});
  return Message(&entries.back());
}

void Reporter::flush() {
  // Steps look at the spec one after the other; people read from the top.
  std::vector<std::pair<uint32_t, size_t>> order;
  for (auto [i, entry] : llvm::enumerate(entries))
    order.push_back({entry.range.begin, i});
  llvm::sort(order);
  for (auto [begin, i] : order) {
    const Entry &entry = entries[i];
    mlir::InFlightDiagnostic diagnostic =
        entry.isError ? mlir::emitError(location(entry.range), entry.text)
                      : mlir::emitWarning(location(entry.range), entry.text);
    for (const auto &[range, text] : entry.notes)
      diagnostic.attachNote(location(range)) << text;
  }
  entries.clear();
}

//===----------------------------------------------------------------------===//
// Hints
//===----------------------------------------------------------------------===//

std::string weir::spec::inQuotes(llvm::StringRef text) {
  constexpr size_t longest = 60;
  std::string result = "'";
  llvm::raw_string_ostream os(result);
  llvm::StringRef shown = text.take_front(longest);
  // Do not cut a character of several bytes in two.
  while (shown.size() < text.size() && !shown.empty() &&
         (text[shown.size()] & 0xC0) == 0x80)
    shown = shown.drop_back();
  for (char c : shown) {
    if (c == '\n')
      os << "\\n";
    else if (c == '\t')
      os << "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      os << '?';
    else
      os << c;
  }
  if (shown.size() < text.size())
    os << "...";
  os << "'";
  return result;
}

static std::string canonical(llvm::StringRef word) {
  std::string result = word.lower();
  std::replace(result.begin(), result.end(), '-', '_');
  return result;
}

/// Insertions, deletions and replacements that turn one word into the other. Two
/// neighbours in the wrong order are one slip.
static unsigned editDistance(llvm::StringRef a, llvm::StringRef b) {
  if (a.size() == b.size()) {
    auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin());
    if (a.end() - x >= 2 && x[0] == y[1] && x[1] == y[0] &&
        std::equal(x + 2, a.end(), y + 2))
      return 1;
  }
  return a.edit_distance(b);
}

llvm::StringRef
weir::spec::nearest(llvm::StringRef word,
                    llvm::ArrayRef<llvm::StringRef> candidates) {
  // A name longer than any known one cannot be near; bounding the length keeps
  // the quadratic distance cheap on hostile input.
  if (word.empty() || word.size() > 128)
    return {};
  std::string wanted = canonical(word);
  unsigned allowed = std::max<size_t>(1, word.size() / 3);
  llvm::StringRef best;
  unsigned bestDistance = allowed + 1;
  for (llvm::StringRef candidate : candidates) {
    if (candidate.size() > wanted.size() + allowed ||
        candidate.size() + allowed < wanted.size())
      continue;
    unsigned distance = editDistance(canonical(candidate), wanted);
    // Replacing every letter of a short name is no likeness.
    if (distance < bestDistance && distance < candidate.size()) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

std::string weir::spec::suggest(llvm::StringRef word,
                                llvm::ArrayRef<llvm::StringRef> candidates,
                                llvm::StringRef introduction) {
  if (llvm::StringRef near = nearest(word, candidates); !near.empty())
    return ("; did you mean '" + near + "'?").str();
  if (candidates.empty() || candidates.size() > 20)
    return "";
  std::string result = ("; " + introduction + " ").str();
  for (auto [i, candidate] : llvm::enumerate(candidates)) {
    if (i != 0)
      result += i + 1 == candidates.size() ? " or " : ", ";
    result += ("'" + candidate + "'").str();
  }
  return result;
}
