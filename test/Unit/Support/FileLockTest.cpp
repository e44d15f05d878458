//===- FileLockTest.cpp - Tests of locks on named files ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/FileLock.h"

#include "gtest/gtest.h"

#include <fcntl.h>
#include <unistd.h>

using namespace weir;

static FileLock take(const std::string &path) {
  llvm::Expected<FileLock> lock = FileLock::take(path, /*wait=*/false);
  EXPECT_TRUE(bool(lock)) << llvm::toString(lock.takeError());
  return std::move(*lock);
}

TEST(FileLock, IsHeldByOne) {
  std::string path = ::testing::TempDir() + "weir-lock-" + std::to_string(::getpid());
  {
    FileLock first = take(path);
    EXPECT_TRUE(first.isHeld());
    EXPECT_FALSE(take(path).isHeld());
    // A lock on a file without a name keeps nobody out of the next one.
    int open = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(lockNamed(open, path), LockState::Busy);
    ::unlink(path.c_str());
    EXPECT_FALSE(hasName(open, path));
    ::close(open);
    FileLock second = take(path);
    EXPECT_TRUE(second.isHeld());
  }
  int open = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(open, 0);
  ::unlink(path.c_str());
  EXPECT_EQ(lockNamed(open, path), LockState::Gone);
  ::close(open);
}

TEST(FileLock, TellsWhatCannotBeLocked) {
  llvm::Expected<FileLock> lock =
      FileLock::take("/nonexistent/folder/lock", /*wait=*/true);
  ASSERT_FALSE(bool(lock));
  EXPECT_EQ(llvm::toString(lock.takeError()),
            "cannot lock '/nonexistent/folder/lock': No such file or directory");
}
