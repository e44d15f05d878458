//===- YAML.cpp - YAML as a tree with places ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Spec/YAML.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/ConvertUTF.h"

#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

using namespace weir::spec;

/// [-+]? (digits [. digits?] | . digits) ([eE] [-+]? digits)?
bool weir::spec::looksLikeNumber(llvm::StringRef text) {
  if (!text.consume_front("-"))
    text.consume_front("+");
  auto takeDigits = [&] {
    size_t count = text.find_if_not(llvm::isDigit);
    count = std::min(count, text.size());
    text = text.drop_front(count);
    return count;
  };
  size_t whole = takeDigits();
  size_t fraction = text.consume_front(".") ? takeDigits() : 0;
  if (whole + fraction == 0)
    return false;
  if (text.consume_front("e") || text.consume_front("E")) {
    if (!text.consume_front("-"))
      text.consume_front("+");
    if (takeDigits() == 0)
      return false;
  }
  return text.empty();
}

llvm::StringRef YamlNode::describe() const {
  switch (kind) {
  case Kind::Null:
    return "nothing";
  case Kind::Sequence:
    return "a list";
  case Kind::Map:
    return "a mapping";
  case Kind::Invalid:
    return "something invalid";
  case Kind::Scalar:
    break;
  }
  if (!quoted && (text == "true" || text == "false"))
    return "a boolean";
  if (!quoted && looksLikeNumber(text))
    return "a number";
  return "text";
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

static constexpr llvm::StringLiteral utf8Mark = "\xEF\xBB\xBF";

/// Refuses what must not reach the YAML library: it takes some control
/// characters for the end of the file, and others it cannot place.
static bool checkBytes(const SourceFile &file, Reporter &reporter) {
  llvm::StringRef text = file.text();
  if (text.size() > maxSpecBytes) {
    reporter.error({0, 0}, "the spec has " + llvm::Twine(text.size()) +
                               " bytes; at most " + llvm::Twine(maxSpecBytes) +
                               " are read");
    return false;
  }
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
      text.starts_with(llvm::StringRef("\0\0\xFE\xFF", 4))) {
    reporter.error({0, 0}, "the spec is encoded as UTF-16 or UTF-32; save it "
                           "as UTF-8");
    return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = text[i];
    uint32_t at = i;
    if (c == '\r' && (i + 1 == text.size() || text[i + 1] != '\n')) {
      reporter.error({at, at}, "a carriage return without a line feed; end "
                               "lines with LF or CRLF");
      return false;
    }
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
      reporter.error({at, at},
                     c == 0 ? llvm::Twine("a NUL byte; a spec is text")
                            : "a control character (0x" +
                                  llvm::Twine(llvm::utohexstr(c, false, 2)) +
                                  "); a spec is text");
      return false;
    }
  }
  auto *cursor = reinterpret_cast<const llvm::UTF8 *>(text.begin());
  if (!llvm::isLegalUTF8String(
          &cursor, reinterpret_cast<const llvm::UTF8 *>(text.end()))) {
    uint32_t at = reinterpret_cast<const char *>(cursor) - text.begin();
    reporter.error({at, at}, "invalid UTF-8; save the spec as UTF-8");
    return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Events to tree
//===----------------------------------------------------------------------===//

namespace {
/// Thrown through the YAML library to leave it early.
struct StopParsing {};

class TreeBuilder : public YAML::EventHandler {
public:
  TreeBuilder(const SourceFile &file, Reporter &reporter, uint32_t skipped)
      : file(file), reporter(reporter), skipped(skipped) {}

  std::optional<YamlNode> root;

  uint32_t offset(const YAML::Mark &mark) const {
    if (mark.pos < 0)
      return skipped;
    return std::min<size_t>(size_t(mark.pos) + skipped, file.text().size());
  }

  void OnDocumentStart(const YAML::Mark &mark) override {
    if (++documents == 1)
      return;
    uint32_t at = offset(mark);
    reporter.error({at, at}, "more content after the end of the spec; a spec "
                             "is one YAML document");
    throw StopParsing();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark &mark, YAML::anchor_t) override {
    YamlNode node;
    node.range = nullRange(offset(mark));
    finish(std::move(node));
  }

  void OnAlias(const YAML::Mark &mark, YAML::anchor_t) override {
    YamlNode node;
    node.kind = YamlNode::Kind::Invalid;
    node.range = wordRange(offset(mark));
    reporter.error(node.range,
                   "aliases are not part of the language; give a list of "
                   "features a name under 'features' to use it twice");
    finish(std::move(node));
  }

  void OnAnchor(const YAML::Mark &mark, const std::string &name) override {
    reporter.error(wordRange(offset(mark)),
                   "anchors are not part of the language");
  }

  void OnScalar(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t,
                const std::string &value) override {
    YamlNode node;
    node.kind = YamlNode::Kind::Scalar;
    node.range = scalarRange(offset(mark), value);
    node.text = value;
    node.quoted = tag == "!";
    checkTag(node.range, tag);
    finish(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark &mark, const std::string &tag,
                       YAML::anchor_t,
                       YAML::EmitterStyle::value style) override {
    begin(YamlNode::Kind::Sequence, mark, tag, style);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark &mark, const std::string &tag,
                  YAML::anchor_t, YAML::EmitterStyle::value style) override {
    begin(YamlNode::Kind::Map, mark, tag, style);
  }
  void OnMapEnd() override { end(); }

  /// Where the innermost bracket is that was opened and not closed.
  std::optional<SourceRange> openBracket() const {
    for (const Frame &frame : llvm::reverse(stack))
      if (frame.isFlow)
        return frame.node.range;
    return std::nullopt;
  }

private:
  struct Frame {
    YamlNode node;
    bool isFlow = false;   ///< in brackets
    bool hasKey = false;   ///< a key was read, its value comes next
    bool keepValue = true; ///< false where the key was refused
    Marked<std::string> key;
    llvm::StringMap<SourceRange> seen;
  };

  void checkTag(SourceRange range, const std::string &tag) {
    // "?" stands for a plain and "!" for a quoted scalar without a tag.
    if (!tag.empty() && tag != "?" && tag != "!")
      reporter.error(range, "explicit tags are not part of the language");
  }

  void begin(YamlNode::Kind kind, const YAML::Mark &mark,
             const std::string &tag, YAML::EmitterStyle::value style) {
    uint32_t at = offset(mark);
    if (stack.size() >= maxSpecDepth) {
      reporter.error({at, at}, "nested more than " + llvm::Twine(maxSpecDepth) +
                                   " levels deep");
      throw StopParsing();
    }
    Frame frame;
    frame.node.kind = kind;
    frame.node.range = {at, at + 1};
    frame.isFlow = style == YAML::EmitterStyle::Flow;
    checkTag({at, at}, tag);
    stack.push_back(std::move(frame));
  }

  void end() {
    YamlNode node = std::move(stack.back().node);
    bool isFlow = stack.back().isFlow;
    stack.pop_back();
    uint32_t &last = node.range.end;
    if (!node.items.empty())
      last = std::max(last, node.items.back().range.end);
    if (!node.entries.empty())
      last = std::max(last, node.entries.back().value.range.end);
    llvm::StringRef rest = file.text().substr(last).ltrim(" ");
    char close = node.isMap() ? '}' : ']';
    if (isFlow && rest.starts_with(llvm::StringRef(&close, 1)))
      last = rest.begin() - file.text().begin() + 1;
    finish(std::move(node));
  }

  /// A node is complete: give it to whatever encloses it.
  void finish(YamlNode node) {
    if (reporter.isFull())
      throw StopParsing();
    if (++nodes > maxSpecNodes) {
      reporter.error(node.range, "the spec has more than " +
                                     llvm::Twine(maxSpecNodes) +
                                     " keys and values");
      throw StopParsing();
    }
    if (stack.empty()) {
      root = std::move(node);
      return;
    }
    Frame &frame = stack.back();
    if (frame.node.isSequence()) {
      frame.node.items.push_back(std::move(node));
      return;
    }
    if (!frame.hasKey) {
      acceptKey(frame, node);
      return;
    }
    frame.hasKey = false;
    if (frame.keepValue)
      frame.node.entries.push_back({std::move(frame.key), std::move(node)});
  }

  void acceptKey(Frame &frame, YamlNode &node) {
    frame.hasKey = true;
    frame.keepValue = false;
    // A word like others where no value is expected: `keep: {null: 0.99}`.
    constexpr llvm::StringLiteral null = "null";
    if (node.kind == YamlNode::Kind::Null &&
        file.text().substr(node.range.begin).starts_with(null)) {
      node.kind = YamlNode::Kind::Scalar;
      node.text = null.str();
      node.range.end = node.range.begin + null.size();
    }
    frame.key = {node.text, node.range};
    if (!node.isScalar() || node.text.empty()) {
      if (!node.isInvalid())
        reporter.error(node.range,
                       "a key is text, not " +
                           (node.isScalar() ? "empty text" : node.describe()));
      return;
    }
    if (node.text == "<<" && !node.quoted) {
      reporter.error(node.range, "merge keys are not part of the language");
      return;
    }
    auto [previous, isNew] = frame.seen.try_emplace(node.text, node.range);
    if (!isNew) {
      reporter
          .error(node.range,
                 "the key " + inQuotes(node.text) + " is written twice here")
          .note(previous->second, "the first one");
      return;
    }
    frame.keepValue = true;
  }

  //===--------------------------------------------------------------------===//
  // Ends of nodes, which the YAML library does not tell
  //===--------------------------------------------------------------------===//

  SourceRange wordRange(uint32_t at) const {
    size_t length = file.text().substr(at).find_first_of(" \t\r\n,[]{}");
    return {at, uint32_t(std::min(length, file.text().size() - at)) + at};
  }

  SourceRange scalarRange(uint32_t at, llvm::StringRef value) const {
    llvm::StringRef rest = file.text().substr(at);
    if (rest.empty())
      return {at, at};
    char first = rest.front();
    if (first == '"' || first == '\'') {
      for (size_t i = 1; i < rest.size(); ++i) {
        if (first == '"' && rest[i] == '\\') {
          ++i;
        } else if (rest[i] == first) {
          if (first == '\'' && rest.substr(i + 1).starts_with("'"))
            ++i;
          else
            return {at, uint32_t(at + i + 1)};
        }
      }
      return {at, at + 1};
    }
    if (!value.empty() && rest.starts_with(value))
      return {at, uint32_t(at + value.size())};
    return wordRange(at);
  }

  /// Where a missing value is: at its key, or at the indicator before it, since
  /// the mark given for it is that of whatever follows.
  SourceRange nullRange(uint32_t at) const {
    llvm::StringRef rest = file.text().substr(at);
    for (llvm::StringRef word : {"~", "null", "Null", "NULL"})
      if (rest.starts_with(word) &&
          rest.drop_front(word.size()).find_first_of(" \t\r\n,]}") == 0)
        return {at, uint32_t(at + word.size())};
    if (!stack.empty() && stack.back().hasKey)
      return stack.back().key.range;
    if (!stack.empty() && stack.back().node.isMap())
      return {at, at}; // a missing key
    // Back over white space and comments, but not so far that many missing
    // values would take quadratic time.
    constexpr size_t farthest = 256;
    llvm::StringRef before = file.text().take_front(at);
    while (before.size() + farthest > at) {
      before = before.rtrim();
      size_t lineStart = before.take_back(farthest).rfind('\n');
      lineStart = lineStart == llvm::StringRef::npos
                      ? before.size() - before.take_back(farthest).size()
                      : before.size() - before.take_back(farthest).size() +
                            lineStart + 1;
      llvm::StringRef line = before.substr(lineStart);
      size_t comment = line.ltrim().starts_with("#") ? 0 : line.find(" #");
      if (line.empty() || comment == llvm::StringRef::npos)
        break;
      before = before.take_front(lineStart + comment);
    }
    uint32_t last = before.empty() ? 0 : before.size() - 1;
    return {last, before.empty() ? 0 : last + 1};
  }

  const SourceFile &file;
  Reporter &reporter;
  uint32_t skipped; ///< bytes at the front that the library does not see
  unsigned documents = 0;
  size_t nodes = 0;
  std::vector<Frame> stack;
};
} // namespace

/// The text around a `{site}` or `{layer}` without quotes at which the reader of YAML
/// stopped, since it takes braces inside of brackets for a mapping.
static std::optional<SourceRange> findUnquotedBrace(llvm::StringRef text,
                                                    uint32_t at) {
  for (llvm::StringRef name : {"{site}", "{layer}"}) {
    // It stops at the brace that opens, or behind the one that closes.
    size_t brace = text.take_front(at + name.size()).rfind(name);
    if (brace == llvm::StringRef::npos || at > brace + name.size())
      continue;
    size_t begin = brace, end = brace;
    while (begin > 0 && !llvm::StringRef(" \t\n\r,[\"'").contains(text[begin - 1]) &&
           text[begin - 1] != '{')
      --begin;
    for (size_t open = 0; end < text.size(); ++end) {
      if (llvm::StringRef(" \t\n\r,]\"'").contains(text[end]) ||
          (text[end] == '}' && open == 0))
        break;
      open += text[end] == '{';
      open -= text[end] == '}';
    }
    llvm::StringRef whole = text.slice(begin, end);
    // Inside of quotes braces are fine, and something else is wrong.
    if (begin > 0 && llvm::StringRef("\"'").contains(text[begin - 1]))
      continue;
    return SourceRange{uint32_t(begin), uint32_t(begin + whole.size())};
  }
  return std::nullopt;
}

std::string weir::spec::bracesNeedQuotes(llvm::StringRef text) {
  return ("text with braces needs quotes inside of brackets: \"" + text + "\"")
      .str();
}

std::optional<YamlNode> weir::spec::parseYaml(const SourceFile &file,
                                              Reporter &reporter) {
  if (!checkBytes(file, reporter))
    return std::nullopt;
  llvm::StringRef text = file.text();
  uint32_t skipped = text.starts_with(utf8Mark) ? utf8Mark.size() : 0;
  std::istringstream stream(text.drop_front(skipped).str());
  TreeBuilder builder(file, reporter, skipped);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder))
      ;
  } catch (const StopParsing &) {
  } catch (const YAML::Exception &exception) {
    uint32_t at = builder.offset(exception.mark);
    if (builder.openBracket())
      if (auto unquoted = findUnquotedBrace(text, at)) {
        reporter.error(*unquoted, bracesNeedQuotes(text.slice(
                                      unquoted->begin, unquoted->end)));
        return std::nullopt;
      }
    Reporter::Message message =
        reporter.error({at, at}, "invalid YAML: " + llvm::Twine(exception.msg));
    llvm::StringRef line = file.line(file.lineAndColumn(at).first);
    if (llvm::StringRef(exception.msg).contains("flow not found"))
      if (auto bracket = builder.openBracket())
        message.note(*bracket, "this bracket is not closed");
    if (line.take_while([](char c) { return c == ' ' || c == '\t'; })
            .contains('\t'))
      message.note({at, at},
                   "the line is indented with a tab; YAML wants spaces");
    return std::nullopt;
  } catch (const std::exception &exception) {
    reporter.error({0, 0},
                   llvm::Twine("the YAML reader failed: ") + exception.what());
    return std::nullopt;
  }
  if (!builder.root && !reporter.failed())
    reporter.error({0, 0}, "the spec is empty; it begins with 'weir: 1'");
  return std::move(builder.root);
}
