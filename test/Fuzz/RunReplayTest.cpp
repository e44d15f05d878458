//===- RunReplayTest.cpp - Runs the kept programs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Seeds whose names start with "good" run; those that start with "refused" call an
// operator that programs may not call; those that start with "reaches" end at an
// operator that is called (so decisions make graphs that are well-formed). Of all
// others, nothing breaks.
//
//===----------------------------------------------------------------------===//

#include "RunEntry.h"

#include "weir/Support/Files.h"

#include <gtest/gtest.h>

#include <filesystem>

using namespace llvm;
using namespace weir;

namespace {

TEST(RunReplay, NothingBreaks) {
  size_t good = 0, refused = 0, reaches = 0, others = 0;
  for (const auto &file :
       std::filesystem::directory_iterator(WEIR_FUZZ_CORPUS "/run")) {
    SCOPED_TRACE(file.path().string());
    auto mapping = cantFail(FileMapping::open(file.path().string()));
    fuzz::RunResult result = fuzz::run(mapping->bytes());
    StringRef name(file.path().filename().c_str());
    if (name.starts_with("good")) {
      ++good;
      EXPECT_EQ(result.code, 0) << result.messages;
    } else if (name.starts_with("refused")) {
      ++refused;
      EXPECT_EQ(result.code, 1);
      EXPECT_NE(result.messages.find("operators that a program may call"),
                std::string::npos)
          << result.messages;
    } else if (name.starts_with("reaches")) {
      ++reaches;
      EXPECT_EQ(result.code, 2) << result.messages;
      EXPECT_NE(result.messages.find("(torch.ops.aten."), std::string::npos)
          << result.messages;
    } else {
      ++others;
    }
  }
  EXPECT_GT(good, 0u);
  EXPECT_GT(refused, 0u);
  EXPECT_GT(reaches, 0u);
  EXPECT_GT(others, 0u);
}

} // namespace
