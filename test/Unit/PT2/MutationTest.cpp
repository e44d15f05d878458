//===- MutationTest.cpp - Importing and exporting damaged programs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"
#include "Importer.h"

#include "weir/Program/GraphCheck.h"
#include "weir/Runtime/ProgramCheck.h"
#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

#include <cstdlib>

using namespace mlir;
using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;

namespace {

/// An archive that is in memory and has payloads without bytes.
class FakeArchive : public Archive {
public:
  explicit FakeArchive(json::Object document) : document(std::move(document)) {
    add(stored, "table", {8, 4}, {4, 1});
    add(fixed, "bias", {4}, {1});
    add(fixed, "scale", {}, {});
  }
  StringRef path() const override { return "fake.pt2"; }
  std::shared_ptr<InputFile> file() const override { return nullptr; }
  ArrayRef<std::byte> bytes() const override { return {}; }
  const json::Object &model() const override { return document; }
  const llvm::StringMap<ArchiveTensor> &weights() const override {
    return stored;
  }
  const llvm::StringMap<ArchiveTensor> &constants() const override {
    return fixed;
  }
  ArrayRef<std::string> records() const override { return {}; }
  llvm::Expected<ArrayRef<std::byte>> record(StringRef name) const override {
    return llvm::createStringError("there is no record '" + name + "'");
  }
  llvm::Expected<uint32_t> checksum(StringRef name) const override {
    return llvm::createStringError("there is no record '" + name + "'");
  }
  void releasePages(ArrayRef<std::byte>) const override {}
  llvm::Error verify() const override { return llvm::Error::success(); }
  llvm::Error verify(StringRef name) const override {
    return llvm::createStringError("there is no record '" + name + "'");
  }
  StringRef modelName() const override { return "model"; }

private:
  static void add(llvm::StringMap<ArchiveTensor> &table, StringRef name,
                  ArrayRef<int64_t> sizes, ArrayRef<int64_t> strides) {
    ArchiveTensor &tensor = table[name];
    tensor.dtype = 7;
    tensor.sizes.assign(sizes.begin(), sizes.end());
    tensor.strides.assign(strides.begin(), strides.end());
  }
  json::Object document;
  llvm::StringMap<ArchiveTensor> stored, fixed;
};

json::Object readProgram() {
  auto text = llvm::cantFail(readText(WEIR_PROGRAM_JSON));
  return std::move(*llvm::cantFail(json::parse(text)).getAsObject());
}

/// A null and a missing key mean the same in the schema.
json::Value withoutNulls(const json::Value &value) {
  if (const json::Object *object = value.getAsObject()) {
    json::Object result;
    for (const auto &[key, entry] : *object)
      if (entry.kind() != json::Value::Null)
        result[key] = withoutNulls(entry);
    return result;
  }
  if (const json::Array *array = value.getAsArray()) {
    json::Array result;
    for (const json::Value &entry : *array)
      result.push_back(withoutNulls(entry));
    return result;
  }
  return value;
}

/// All values of a document below `root`.
void collect(json::Value &root, std::vector<json::Value *> &into) {
  into.push_back(&root);
  if (json::Object *object = root.getAsObject())
    for (auto &[key, value] : *object)
      collect(value, into);
  else if (json::Array *array = root.getAsArray())
    for (json::Value &value : *array)
      collect(value, into);
}

/// Puts a value back. What is below it has moved, so all places are found again.
void restore(json::Value &root, std::vector<json::Value *> &places, size_t i,
             const json::Value &value) {
  *places[i] = value;
  places.clear();
  collect(root, places);
}

std::string textOfModule(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module.print(os);
  return text;
}

class Mutation : public testing::Test {
protected:
  Mutation()
      : handler(&context, [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
            ++errors;
            lastError = diagnostic.str();
          }
        }) {}

  /// Imports a document; if it is taken, it has to come out as it went in, also
  /// after being printed and parsed. Returns whether it was taken.
  bool check(const json::Object &document, const std::string &what) {
    FakeArchive archive{json::Object(document)};
    errors = 0;
    OwningOpRef<ModuleOp> module = importPT2(archive, &context);
    // The checks know all reasons that the importer has.
    std::string reason = llvm::toString(checkGraph(archive));
    if (reason.empty())
      reason = llvm::toString(OperatorPolicy().check(archive.model()));
    EXPECT_EQ(reason.empty(), static_cast<bool>(module))
        << what << ": " << lastError;
    if (!module) {
      EXPECT_EQ(reason, lastError) << what;
      EXPECT_GT(errors, 0u) << what << ": refused without a reason";
      return false;
    }
    EXPECT_EQ(errors, 0u) << what << ": " << lastError;
    std::string text = textOfModule(*module);
    OwningOpRef<ModuleOp> parsed =
        parseSourceString<ModuleOp>(text, ParserConfig(&context));
    EXPECT_TRUE(parsed) << what << ": " << lastError << "\n" << text;
    if (!parsed)
      return true;
    EXPECT_EQ(text, textOfModule(*parsed)) << what;
    for (ModuleOp either : {*module, *parsed}) {
      Exporter exporter(*either.getOps<fx::ProgramOp>().begin(), archive,
                        nullptr);
      EXPECT_TRUE(succeeded(exporter.run())) << what << ": " << lastError;
      bool same = withoutNulls(json::Object(exporter.model)) ==
                  withoutNulls(json::Object(document));
      EXPECT_TRUE(same) << what << "\n"
                        << printJSON(document) << "\n"
                        << printJSON(exporter.model);
    }
    return true;
  }

  MLIRContext context;
  unsigned errors = 0;
  std::string lastError;
  ScopedDiagnosticHandler handler;
};

TEST_F(Mutation, TheProgramItselfIsTaken) {
  EXPECT_TRUE(check(readProgram(), "the program")) << lastError;
}

/// Every value of the document becomes something else, one at a time. Nothing
/// may crash, and what is taken may not be changed silently. Neighbours get
/// different replacements, a third of them each; WEIR_EXAMPLES asks for all.
TEST_F(Mutation, EveryValueReplaced) {
  json::Value root = readProgram();
  std::vector<json::Value *> places;
  collect(root, places);
  const json::Value replacements[] = {
      nullptr,
      true,
      -1,
      int64_t(1) << 62,
      0.5,
      "",
      "expand",
      "as_tensor",
      json::Array{},
      json::Array{json::Array{}},
      json::Object{},
      json::Object{{"name", "add"}},
      json::Object{{"as_tensor", json::Object{{"name", "expand"}}}},
      json::Object{{"as_int", 3}}};
  const size_t share = std::getenv("WEIR_EXAMPLES") ? 1 : 3;
  unsigned taken = 0, refused = 0;
  for (size_t i = 1; i < places.size() && !HasFailure(); ++i) {
    json::Value before = *places[i];
    for (size_t j = i % share; j < std::size(replacements); j += share) {
      const json::Value &replacement = replacements[j];
      *places[i] = replacement;
      bool ok = check(*root.getAsObject(),
                      "value " + std::to_string(i) + ", " + textOf(before) +
                          ", replaced by " + textOf(replacement));
      ++(ok ? taken : refused);
    }
    restore(root, places, i, before);
  }
  // Both happen often, or this tests little.
  EXPECT_GT(taken, 500u);
  EXPECT_GT(refused, 500u);
}

/// Every key of every object is left out, and every element of every list is
/// left out or there twice, one at a time.
void forEachPart(json::Value root,
                 llvm::function_ref<bool(const json::Object &,
                                         const std::string &)> attemptOn) {
  std::vector<json::Value *> places;
  collect(root, places);
  bool goOn = true;
  for (size_t i = 0; i < places.size() && goOn; ++i) {
    json::Value before = *places[i];
    auto attempt = [&](const std::string &what) {
      goOn = goOn && attemptOn(*root.getAsObject(),
                               "value " + std::to_string(i) + ", " +
                                   textOf(before) + ", " + what);
    };
    if (const json::Object *object = before.getAsObject()) {
      for (const auto &entry : *object) {
        json::Object less = *object;
        less.erase(entry.first);
        *places[i] = std::move(less);
        attempt("without " + entry.first.str());
      }
    } else if (const json::Array *array = before.getAsArray()) {
      for (size_t j = 0; j < array->size(); ++j) {
        json::Array less, more;
        for (size_t k = 0; k < array->size(); ++k) {
          if (k != j)
            less.push_back((*array)[k]);
          more.push_back((*array)[k]);
          if (k == j)
            more.push_back((*array)[k]);
        }
        *places[i] = std::move(less);
        attempt("without element " + std::to_string(j));
        *places[i] = std::move(more);
        attempt("with element " + std::to_string(j) + " twice");
      }
    }
    restore(root, places, i, before);
  }
}

TEST_F(Mutation, EveryPartRemovedOrRepeated) {
  unsigned taken = 0, refused = 0;
  forEachPart(readProgram(),
              [&](const json::Object &document, const std::string &what) {
                ++(check(document, what) ? taken : refused);
                return !HasFailure();
              });
  EXPECT_GT(taken, 50u);
  EXPECT_GT(refused, 100u);
}

/// The program with nothing but what can run.
json::Object runnable() {
  json::Object document = readProgram();
  json::Object &module = *document.getObject("graph_module");
  json::Object &graph = *module.getObject("graph");
  auto cut = [](json::Array &array, size_t size) {
    while (array.size() > size)
      array.pop_back();
  };
  json::Array &nodes = *graph.getArray("nodes");
  cut(*nodes[3].getAsObject()->getArray("inputs"), 3);
  cut(*graph.getArray("outputs"), 1);
  cut(*module.getObject("signature")->getArray("output_specs"), 1);
  return document;
}

/// The builder refuses what the runner refuses, since it asks the same; and it
/// can take in whatever the runner would run, damaged or not.
TEST_F(Mutation, BuilderAndRunnerAgree) {
  unsigned runs = 0, refused = 0;
  auto attempt = [&](const json::Object &document, const std::string &what) {
    FakeArchive archive{json::Object(document)};
    if (llvm::Error error = checkCalls(archive)) {
      llvm::consumeError(std::move(error));
      ++refused;
      return true;
    }
    ++runs;
    OwningOpRef<ModuleOp> module = importPT2(archive, &context);
    EXPECT_TRUE(module) << what << ": " << lastError;
    return static_cast<bool>(module);
  };
  ASSERT_TRUE(attempt(runnable(), "the program"));
  ASSERT_EQ(runs, 1u) << llvm::toString(checkCalls(FakeArchive{runnable()}));
  forEachPart(runnable(), attempt);

  json::Value root = runnable();
  std::vector<json::Value *> places;
  collect(root, places);
  const json::Value replacements[] = {
      nullptr, -1, 1, "expand", json::Array{}, json::Object{},
      json::Object{{"name", "expand"}},
      json::Object{{"as_tensor", json::Object{{"name", "expand"}}}},
      json::Object{{"as_sym_int", json::Object{{"as_name", "rows"}}}},
      json::Object{{"as_none", true}}};
  for (size_t i = 1; i < places.size() && !HasFailure(); ++i) {
    json::Value before = *places[i];
    for (const json::Value &replacement : replacements) {
      *places[i] = replacement;
      attempt(*root.getAsObject(), textOf(before) + " replaced by " +
                                       textOf(replacement));
    }
    restore(root, places, i, before);
  }
  EXPECT_GT(runs, 300u);
  EXPECT_GT(refused, 1000u);
}

} // namespace
