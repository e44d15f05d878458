//===- CorpusTest.cpp - Inputs that fuzzing found worth keeping ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../../Fuzz/Entries.h"
#include "Support.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void spec(llvm::ArrayRef<std::byte> bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(bytes.data()),
                         bytes.size());
}

static unsigned replay(llvm::StringRef folder,
                       void (*entry)(llvm::ArrayRef<std::byte>) = spec) {
  unsigned count = 0;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator file(folder, error), end;
       file != end && !error; file.increment(error)) {
    if (llvm::sys::fs::is_directory(file->path()))
      continue;
    std::string text = weir::spec::testing::contents(file->path());
    entry({reinterpret_cast<const std::byte *>(text.data()), text.size()});
    ++count;
  }
  EXPECT_FALSE(error) << folder.str() << ": " << error.message();
  return count;
}

TEST(Corpus, KeepsItsPromises) { EXPECT_GE(replay(WEIR_SPEC_CORPUS), 20u); }

TEST(Corpus, TestsKeepThemToo) { EXPECT_GE(replay(WEIR_SPEC_LIT), 20u); }

TEST(Corpus, AttributionGraphsToo) {
  EXPECT_GE(replay(WEIR_ATTRIBUTION_CORPUS, weir::fuzz::attribution), 8u);
}
