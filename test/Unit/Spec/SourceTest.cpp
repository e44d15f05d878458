//===- SourceTest.cpp - Places, messages and hints ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

using namespace weir::spec;
using namespace weir::spec::testing;

using Place = std::pair<unsigned, unsigned>;

TEST(SourceFile, CountsLinesAndColumnsFromOne) {
  SourceFile file("a", "ab\n\ncd");
  EXPECT_EQ(file.lineAndColumn(0), Place(1, 1));
  EXPECT_EQ(file.lineAndColumn(2), Place(1, 3));
  EXPECT_EQ(file.lineAndColumn(3), Place(2, 1));
  EXPECT_EQ(file.lineAndColumn(4), Place(3, 1));
  EXPECT_EQ(file.lineAndColumn(6), Place(3, 3));
  EXPECT_EQ(file.lineAndColumn(1000), Place(3, 3));
}

TEST(SourceFile, GivesLinesWithoutBreaks) {
  SourceFile file("a", "ab\r\ncd\n");
  EXPECT_EQ(file.line(1), "ab");
  EXPECT_EQ(file.line(2), "cd");
  EXPECT_EQ(file.line(3), "");
  EXPECT_EQ(file.line(0), "");
  EXPECT_EQ(file.line(4), "");
}

TEST(SourceFile, MakesLocationsWithEnds) {
  mlir::MLIRContext context;
  SourceFile file("a.yaml", "ab: cd\nef: gh\n");
  auto print = [&](SourceRange range) {
    std::string text;
    llvm::raw_string_ostream os(text);
    file.location(range, &context).print(os);
    return text;
  };
  EXPECT_EQ(print({4, 6}), "loc(\"a.yaml\":1:5 to :7)");
  EXPECT_EQ(print({4, 9}), "loc(\"a.yaml\":1:5 to 2:3)");
  EXPECT_EQ(print({4, 4}), "loc(\"a.yaml\":1:5)");
}

TEST(SourceRange, SubrangesStayInside) {
  SourceRange range{10, 14};
  EXPECT_EQ(range.sub(1, 2).begin, 11u);
  EXPECT_EQ(range.sub(1, 2).end, 13u);
  EXPECT_EQ(range.sub(3, 9).end, 14u);
  EXPECT_EQ(range.sub(9, 9).begin, 14u);
}

TEST(Hints, FindWhatWasMeant) {
  llvm::StringRef words[] = {"policies", "plans", "model", "strength", "add"};
  EXPECT_EQ(nearest("plicies", words), "policies");
  EXPECT_EQ(nearest("Policies", words), "policies");
  EXPECT_EQ(nearest("modle", words), "model"); // an exchange is one edit
  EXPECT_EQ(nearest("strenght", words), "strength");
  EXPECT_EQ(nearest("strength", words), "strength");
  EXPECT_EQ(nearest("ad", words), "add");
  EXPECT_EQ(nearest("set", words), "");
  EXPECT_EQ(nearest("", words), "");
  EXPECT_EQ(nearest(std::string(1000, 'a'), words), "");
  EXPECT_EQ(nearest("model", {}), "");
}

TEST(Hints, TreatDashAndUnderscoreAlike) {
  llvm::StringRef words[] = {"sae_lens", "only_active"};
  EXPECT_EQ(nearest("sae-lens", words), "sae_lens");
  EXPECT_EQ(nearest("ONLY-ACTIVE", words), "only_active");
}

TEST(Hints, ListWhatThereIs) {
  llvm::StringRef words[] = {"own", "cumulative"};
  EXPECT_EQ(suggest("onw", words), "; did you mean 'own'?");
  EXPECT_EQ(suggest("12", words), "; expected 'own' or 'cumulative'");
  EXPECT_EQ(suggest("x", {}), "");
}

TEST(InQuotes, ShortensAndEscapes) {
  EXPECT_EQ(inQuotes("a b"), "'a b'");
  EXPECT_EQ(inQuotes("a\n\tb"), "'a\\n\\tb'");
  EXPECT_EQ(inQuotes("\x1b[31m"), "'?[31m'");
  EXPECT_EQ(inQuotes(std::string(60, 'a')), "'" + std::string(60, 'a') + "'");
  EXPECT_EQ(inQuotes(std::string(61, 'a')),
            "'" + std::string(60, 'a') + "...'");
  // Characters of two bytes are not cut in the middle.
  std::string umlauts;
  for (int i = 0; i < 40; ++i)
    umlauts += "\xC3\xA4";
  EXPECT_EQ(inQuotes("b" + umlauts), "'b" + umlauts.substr(0, 58) + "...'");
}

TEST(Reporter, SpeaksInTheOrderOfLines) {
  mlir::MLIRContext context;
  std::vector<std::string> texts;
  mlir::ScopedDiagnosticHandler handler(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          texts.push_back(diagnostic.str());
                                          return mlir::success();
                                        });
  SourceFile file("a", "one\ntwo\nthree\n");
  {
    Reporter reporter(file, &context);
    reporter.error({8, 9}, "third");
    reporter.warning({4, 5}, "second").note({0, 1}, "a note");
    reporter.error({0, 1}, "first");
    reporter.error({8, 9}, "fourth");
    EXPECT_TRUE(reporter.failed());
    EXPECT_EQ(reporter.numErrors(), 3u);
    EXPECT_TRUE(texts.empty());
  }
  EXPECT_EQ(texts,
            (std::vector<std::string>{"first", "second", "third", "fourth"}));
}

TEST(Reporter, StopsAtTheLimit) {
  mlir::MLIRContext context;
  unsigned count = 0;
  std::string last;
  mlir::ScopedDiagnosticHandler handler(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          ++count;
                                          last = diagnostic.str();
                                          return mlir::success();
                                        });
  SourceFile file("a", "text");
  Reporter reporter(file, &context);
  for (int i = 0; i < 1000; ++i)
    reporter.error({0, 0}, "wrong").note({0, 0}, "note");
  EXPECT_TRUE(reporter.isFull());
  reporter.flush();
  EXPECT_EQ(count, Reporter::errorLimit + 1);
  EXPECT_EQ(last, "too many errors; no more are looked for");
}
