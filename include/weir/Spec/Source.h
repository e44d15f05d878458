//===- Source.h - Places in a spec and messages about them ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A spec is kept as bytes; everything made from it remembers a half-open range
// of them. Lines and columns are computed when a message or a location is made:
// both count from 1, columns in bytes, as llvm::SourceMgr does.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SPEC_SOURCE_H
#define WEIR_SPEC_SOURCE_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace weir::spec {

/// Bytes [begin, end) of a spec.
struct SourceRange {
  uint32_t begin = 0;
  uint32_t end = 0;

  /// The part of this range that starts `offset` bytes in and is `length` long.
  SourceRange sub(size_t offset, size_t length) const {
    uint32_t first = std::min<uint32_t>(begin + offset, end);
    return {first, std::min<uint32_t>(first + length, end)};
  }
};

/// A value and where it is written.
template <typename T> struct Marked {
  T value{};
  SourceRange range;
};

/// A spec's text with an index of its lines. Does not own the text.
class SourceFile {
public:
  SourceFile(llvm::StringRef name, llvm::StringRef text);

  llvm::StringRef name() const { return fileName; }
  llvm::StringRef text() const { return contents; }
  /// Line and column of a byte; the end of the text is a valid offset.
  std::pair<unsigned, unsigned> lineAndColumn(uint32_t offset) const;
  /// The text of a line (from 1), without its line break.
  llvm::StringRef line(unsigned number) const;
  /// "line:column" as people read it.
  std::string describe(SourceRange range) const;
  mlir::Location location(SourceRange range, mlir::MLIRContext *context) const;

private:
  llvm::StringRef fileName, contents;
  llvm::SmallVector<uint32_t, 0> lineStarts;
};

/// Messages about one spec. They are collected and go to the context's
/// DiagnosticEngine in the order of the lines when the reporter is flushed or
/// destroyed. After `errorLimit` errors it says so and takes no more.
class Reporter {
  struct Entry;

public:
  static constexpr unsigned errorLimit = 100;

  Reporter(const SourceFile &file, mlir::MLIRContext *context)
      : file(file), context(context) {}
  Reporter(const Reporter &) = delete;
  Reporter &operator=(const Reporter &) = delete;
  ~Reporter() { flush(); }

  /// A message to which notes can be added in the same statement.
  class Message {
  public:
    Message &note(SourceRange range, const llvm::Twine &text);

  private:
    friend class Reporter;
    explicit Message(Entry *entry) : entry(entry) {}
    Entry *entry;
  };

  Message error(SourceRange range, const llvm::Twine &text);
  Message warning(SourceRange range, const llvm::Twine &text);
  void flush();

  bool failed() const { return errors != 0; }
  unsigned numErrors() const { return errors; }
  /// True once the limit is passed: further checks are of no use.
  bool isFull() const { return errors > errorLimit; }
  const SourceFile &source() const { return file; }
  mlir::MLIRContext *getContext() const { return context; }
  mlir::Location location(SourceRange range) const {
    return file.location(range, context);
  }

private:
  struct Entry {
    bool isError;
    SourceRange range;
    std::string text;
    std::vector<std::pair<SourceRange, std::string>> notes;
  };

  const SourceFile &file;
  mlir::MLIRContext *context;
  unsigned errors = 0;
  std::vector<Entry> entries;
};

/// The text in quotes, as a message shows it: shortened where it is long, with
/// line breaks and the like escaped.
std::string inQuotes(llvm::StringRef text);

/// The candidate nearest to `word` by edit distance, upper and lower case, `-`
/// and `_` taken as equal; empty if none is near enough to be meant.
llvm::StringRef nearest(llvm::StringRef word,
                        llvm::ArrayRef<llvm::StringRef> candidates);

/// "; did you mean 'x'?", or "; <introduction> 'a', 'b' or 'c'" when nothing is
/// near and there are few enough to list, or nothing.
std::string suggest(llvm::StringRef word,
                    llvm::ArrayRef<llvm::StringRef> candidates,
                    llvm::StringRef introduction = "expected");

} // namespace weir::spec

#endif // WEIR_SPEC_SOURCE_H
