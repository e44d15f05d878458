//===- ReplayTest.cpp - Runs the kept corpora ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// What a fuzzer once found interesting is fed again in every build. Seeds that
// are meant to open are checked to do so: their names start with "good".
//
//===----------------------------------------------------------------------===//

#include "Entries.h"

#include "weir/Dictionary/Dictionary.h"
#include "weir/Program/Archive.h"
#include "weir/Support/Files.h"

#include "llvm/ADT/StringSet.h"

#include <gtest/gtest.h>

#include <filesystem>

using namespace llvm;
using namespace weir;

namespace {

struct Corpus {
  const char *folder;
  void (*entry)(ArrayRef<std::byte>);
  /// The extension that TensorFile or Archive opens; none for parts of files.
  const char *extension;
};

class Replay : public testing::TestWithParam<Corpus> {};

TEST_P(Replay, NothingBreaks) {
  const Corpus &corpus = GetParam();
  std::filesystem::path folder =
      std::filesystem::path(WEIR_FUZZ_CORPUS) / corpus.folder;
  size_t files = 0, good = 0;
  for (const auto &file : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(file.path().string());
    auto mapping = cantFail(FileMapping::open(file.path().string()));
    // A block of the exact size, so that a sanitizer sees every read outside.
    std::shared_ptr<std::byte[]> block(new std::byte[mapping->bytes().size()]);
    llvm::copy(mapping->bytes(), block.get());
    ArrayRef<std::byte> bytes(block.get(), mapping->bytes().size());
    corpus.entry(bytes);
    ++files;
    StringRef extension = corpus.extension;
    if (extension.empty() ||
        !StringRef(file.path().filename().string()).starts_with("good"))
      continue;
    ++good;
    Error error = Error::success();
    if (extension == ".pt2")
      error = Archive::fromMemory("x.pt2", bytes, block).takeError();
    else
      error = TensorFile::fromMemory(("x" + extension).str(), bytes, block)
                  .takeError();
    EXPECT_EQ(toString(std::move(error)), "");
  }
  EXPECT_GT(files, 1u);
  EXPECT_EQ(good > 0, corpus.extension[0] != 0);
}

INSTANTIATE_TEST_SUITE_P(
    Corpora, Replay,
    testing::Values(Corpus{"npy", fuzz::npy, ".npy"},
                    Corpus{"npz", fuzz::npz, ".npz"},
                    Corpus{"safetensors", fuzz::safetensors, ".safetensors"},
                    Corpus{"gguf", fuzz::gguf, ".gguf"},
                    Corpus{"torch", fuzz::torch, ".pt"},
                    Corpus{"stateDict", fuzz::stateDict, ""},
                    Corpus{"archive", fuzz::archive, ".pt2"},
                    Corpus{"archiveDocuments", fuzz::archiveDocuments, ""},
                    Corpus{"chatTemplate", fuzz::chatTemplate, ""}),
    [](const testing::TestParamInfo<Corpus> &info) {
      return std::string(info.param.folder);
    });

/// Seeds of every format open, and give rows.
TEST(Replay, DictionariesOpen) {
  std::filesystem::path folder =
      std::filesystem::path(WEIR_FUZZ_CORPUS) / "dictionary";
  StringSet<> formats;
  size_t others = 0;
  for (const auto &file : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(file.path().string());
    auto mapping = cantFail(FileMapping::open(file.path().string()));
    ArrayRef<std::byte> bytes = mapping->bytes();
    bool opened = fuzz::openFolder(bytes);
    if (!StringRef(file.path().filename().string()).starts_with("good")) {
      ++others;
      continue;
    }
    EXPECT_TRUE(opened);
    formats.insert(
        StringRef(reinterpret_cast<const char *>(bytes.data()), bytes.size())
            .split(' ')
            .first);
  }
  EXPECT_GT(others, 0u);
  // All but those that are made of a model's weights.
  for (DictionaryFormat format :
       {DictionaryFormat::SAELens, DictionaryFormat::GemmaScope,
        DictionaryFormat::GemmaScope2, DictionaryFormat::LlamaScope,
        DictionaryFormat::Directions, DictionaryFormat::Sparsify,
        DictionaryFormat::DictionaryLearning, DictionaryFormat::CircuitTracer,
        DictionaryFormat::Crosscoder})
    EXPECT_TRUE(formats.contains(nameOf(format))) << nameOf(format).str();
}

} // namespace
