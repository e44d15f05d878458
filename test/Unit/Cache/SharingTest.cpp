//===- SharingTest.cpp - Several users of a cache, and none it can write ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <gmock/gmock.h>

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace weir;
using namespace weir::test;
using testing::HasSubstr;

namespace {

/// What every user of the cache does: look, wait, look again, compute.
template <typename Compute>
llvm::Error obtain(const ResultCache &cache, const std::string &key,
                   Compute compute) {
  auto lock = cache.lock(key);
  if (!lock)
    return lock.takeError();
  auto found = cache.find(key);
  if (!found)
    return found.takeError();
  if (*found)
    return llvm::Error::success();
  compute();
  return storeSample(cache, key);
}

void pause(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

TEST(SharedCache, ThreadsComputeAResultOnce) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  std::atomic<int> computed = 0, failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      if (llvm::errorToBool(obtain(cache, keyOf(1), [&] {
            ++computed;
            pause(20);
          })))
        ++failed;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(computed, 1);
  EXPECT_EQ(failed, 0);
}

TEST(SharedCache, ProcessesComputeAResultOnce) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  const std::string log = folder.path("log");
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      bool failed = llvm::errorToBool(obtain(cache, keyOf(1), [&] {
        int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
        (void)!::write(fd, "x", 1);
        ::close(fd);
        pause(30);
      }));
      ::_exit(failed ? 1 : 0);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(readAll(log), "x");
}

TEST(SharedCache, AKilledHolderFreesTheLock) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto lock = cache.lock(keyOf(1));
    (void)!::write(ready[1], lock ? "y" : "n", 1);
    while (true)
      ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  int probe = ::open(folder.path("locks/" + keyOf(1)).c_str(), O_RDWR);
  ASSERT_GE(probe, 0);
  EXPECT_NE(::flock(probe, LOCK_EX | LOCK_NB), 0) << "nobody held the lock";
  // Another key is free.
  { auto other = llvm::cantFail(cache.lock(keyOf(2))); }
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(::flock(probe, LOCK_EX | LOCK_NB), 0);
  ::close(probe);
  auto lock = llvm::cantFail(cache.lock(keyOf(1)));
  ::close(ready[0]);
  ::close(ready[1]);
}

/// Removing free locks while others take them keeps everyone out all the same.
TEST(SharedCache, CollectingLeavesLocksExclusive) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  std::atomic<bool> stop = false;
  std::atomic<int> inside = 0, overlaps = 0, failed = 0;
  std::thread collector([&] {
    while (!stop)
      if (!cache.collect({}))
        ++failed;
  });
  std::vector<std::thread> users;
  for (int i = 0; i < 3; ++i)
    users.emplace_back([&] {
      for (int round = 0; round < 300; ++round) {
        auto lock = llvm::cantFail(cache.lock(keyOf(1)));
        overlaps += ++inside != 1;
        std::this_thread::yield();
        --inside;
      }
    });
  for (std::thread &user : users)
    user.join();
  stop = true;
  collector.join();
  EXPECT_EQ(overlaps, 0);
  EXPECT_EQ(failed, 0);
}

/// Readers meet an old entry, a new one or none, never a part of one.
TEST(SharedCache, ReadersSeeWholeEntries) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  std::atomic<bool> stop = false;
  std::atomic<int> failed = 0, found = 0;
  std::thread reader([&] {
    while (!stop) {
      auto entry = cache.find(keyOf(1));
      if (!entry) {
        ADD_FAILURE() << llvm::toString(entry.takeError());
        ++failed;
      } else {
        found += entry->has_value();
      }
    }
  });
  for (int round = 0; round < 100; ++round) {
    llvm::cantFail(storeSample(cache, keyOf(1), 500));
    if (round % 3 == 0)
      llvm::cantFail(cache.remove(keyOf(1)));
  }
  stop = true;
  reader.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(found, 0);
}

TEST(UnwritableCache, IsAnErrorThatSaysWhere) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  // A file in the place of the folder, which not even root can write below.
  writeAll(folder.path("file"), "");
  EXPECT_THAT(messageOf(ResultCache::open(folder.path("file"))),
              HasSubstr("cannot make the cache '" + folder.path("file") + "'"));
  std::filesystem::remove_all(folder.path("v1"));
  writeAll(folder.path("v1"), "");
  EXPECT_THAT(messageOf(storeSample(cache, keyOf(1))),
              HasSubstr("cannot write to the cache"));
  std::filesystem::remove_all(folder.path("locks"));
  EXPECT_THAT(messageOf(cache.lock(keyOf(1))), HasSubstr("cannot lock '"));
}

/// What `check` says in a child process that is no root, who may write
/// everywhere.
std::string asPlainUser(llvm::function_ref<std::string()> check) {
  int ends[2];
  if (::pipe(ends) != 0)
    return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t nobody = 65534;
    std::string said = "cannot become another user";
    if (::geteuid() != 0 || (::setgid(nobody) == 0 && ::setuid(nobody) == 0))
      said = check();
    const bool written =
        ::write(ends[1], said.data(), said.size()) == ssize_t(said.size());
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  std::string said;
  char buffer[256];
  for (ssize_t count; (count = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    said.append(buffer, count);
  ::close(ends[0]);
  int status = -1;
  ::waitpid(child, &status, 0);
  return status == 0 ? said : "the child failed: " + said;
}

TEST(UnwritableCache, ReadOnlyStillGivesWhatIsThere) {
  TemporaryCache folder;
  {
    ResultCache cache = folder.open();
    llvm::cantFail(storeSample(cache, keyOf(1)));
  }
  namespace fs = std::filesystem;
  auto protect = [&](fs::perms permissions) {
    fs::permissions(folder.path(), permissions);
    for (const auto &entry : fs::recursive_directory_iterator(folder.path()))
      if (entry.is_directory())
        fs::permissions(entry.path(), permissions);
  };
  constexpr fs::perms readable =
      fs::perms::owner_read | fs::perms::owner_exec | fs::perms::group_read |
      fs::perms::group_exec | fs::perms::others_read | fs::perms::others_exec;
  protect(readable);
  // mkdtemp lets its owner in only.
  fs::permissions(fs::path(folder.path()).parent_path().parent_path(),
                  readable);
  std::string said = asPlainUser([&]() -> std::string {
    auto cache = ResultCache::open(folder.path());
    if (!cache)
      return llvm::toString(cache.takeError());
    auto found = cache->find(keyOf(1));
    if (!found)
      return llvm::toString(found.takeError());
    return (*found ? "found; " : "not found; ") +
           messageOf(storeSample(*cache, keyOf(2)));
  });
  EXPECT_THAT(said, testing::StartsWith("found; "));
  EXPECT_THAT(said, HasSubstr("cannot write to the cache"));
  fs::permissions(fs::path(folder.path()).parent_path().parent_path(),
                  fs::perms::owner_all);
  protect(fs::perms::owner_all);
}

TEST(UnwritableCache, AFullDiskLeavesNoHalfEntry) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  llvm::cantFail(storeSample(cache, keyOf(1)));
  // A limit on the size of files stands for a full disk: writing stops in the
  // middle of one.
  auto *before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit, small;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  small = limit;
  small.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message = messageOf(storeSample(cache, keyOf(2), 100000));
  std::string again = messageOf(storeSample(cache, keyOf(1), 100000));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::signal(SIGXFSZ, before);
  EXPECT_THAT(message, HasSubstr("cannot write to the cache"));
  EXPECT_THAT(message, HasSubstr(folder.path("v1")));
  EXPECT_THAT(message, HasSubstr("File too large"));
  EXPECT_NE(again, "");
  // What was there is there, and nothing else.
  EXPECT_EQ(folder.files(),
            std::vector<std::string>{keyOf(1) + ".safetensors"});
  EXPECT_TRUE(llvm::cantFail(cache.find(keyOf(1))));
  EXPECT_FALSE(llvm::cantFail(cache.find(keyOf(2))));
}

} // namespace
