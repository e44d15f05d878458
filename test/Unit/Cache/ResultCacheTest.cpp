//===- ResultCacheTest.cpp - Entries, damage, and keeping order ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "llvm/Support/FileSystem.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

using namespace weir;
using namespace weir::test;
using testing::HasSubstr;

namespace {

/// Sets when an entry was last used, in seconds before now.
void usedBefore(const std::string &path, int64_t seconds) {
  timespec times[2];
  ::clock_gettime(CLOCK_REALTIME, &times[0]);
  times[0].tv_sec -= seconds;
  times[1] = times[0];
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

std::vector<std::string> keysOf(const std::vector<ResultCache::Entry> &entries) {
  std::vector<std::string> keys;
  for (const ResultCache::Entry &entry : entries)
    keys.push_back(entry.key);
  return keys;
}

RC_GTEST_PROP(ResultCache, FindsWhatWasStored, ()) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  std::string key = keyOf(*rc::gen::arbitrary<int>());
  int64_t rows = *rc::gen::inRange(0, 9), columns = *rc::gen::inRange(0, 5);
  auto whole = *rc::gen::container<std::vector<int64_t>>(
      rows * columns, rc::gen::arbitrary<int64_t>());
  auto real = *rc::gen::container<std::vector<double>>(
      rows, rc::gen::arbitrary<double>());
  std::map<std::string, std::string> strings;
  for (int count = *rc::gen::inRange(0, 4); count > 0; --count)
    strings["text" + std::to_string(count)] =
        *rc::gen::container<std::string>(rc::gen::elementOf(
            std::string("ab {}[]:,\"\\/\n\t\x01'")));
  strings["about"] = "καὶ 42 \"→\"";

  RC_ASSERT(!cache.contains(key));
  RC_ASSERT(!llvm::cantFail(cache.find(key)));
  llvm::cantFail(cache.store(
      key,
      {named("whole", DType::Int64, {rows, columns}, whole),
       named("real", DType::Float64, {rows}, real)},
      strings));
  RC_ASSERT(cache.contains(key));
  std::optional<CachedResult> entry = llvm::cantFail(cache.find(key));
  RC_ASSERT(entry.has_value());
  TensorView found =
      llvm::cantFail(entry->tensor("whole", DType::Int64, {-1, columns}));
  RC_ASSERT(found.numElements() == rows * columns);
  RC_ASSERT(!found.numBytes() ||
            !std::memcmp(found.data, whole.data(), found.numBytes()));
  found = llvm::cantFail(entry->tensor("real", DType::Float64, {rows}));
  RC_ASSERT(!found.numBytes() ||
            !std::memcmp(found.data, real.data(), found.numBytes()));
  for (const auto &[name, text] : strings)
    RC_ASSERT(llvm::cantFail(entry->text(name)) == text);
}

TEST(ResultCache, SaysWhatAnEntryDoesNotHave) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  llvm::cantFail(storeSample(cache, keyOf(1)));
  CachedResult entry = *llvm::cantFail(cache.find(keyOf(1)));
  EXPECT_THAT(messageOf(entry.tensor("other", DType::Int64, {-1})),
              HasSubstr("other"));
  EXPECT_THAT(messageOf(entry.tensor("indices", DType::Float64, {-1})),
              HasSubstr("the tensor 'indices' has another type or shape"));
  EXPECT_THAT(messageOf(entry.tensor("indices", DType::Int64, {5})),
              HasSubstr("another type or shape"));
  EXPECT_THAT(messageOf(entry.tensor("indices", DType::Int64, {-1, -1})),
              HasSubstr("another type or shape"));
  EXPECT_THAT(messageOf(entry.text("other")), HasSubstr("has no 'other'"));
}

TEST(ResultCache, RefusesWhatIsNoKey) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  std::string upper = keyOf(1);
  upper[0] = 'A';
  for (const std::string &key :
       {std::string(), std::string("../../etc/passwd"), keyOf(1) + "0",
        keyOf(1).substr(1), upper}) {
    EXPECT_FALSE(cache.contains(key));
    EXPECT_THAT(messageOf(cache.find(key)), HasSubstr("is no key"));
    EXPECT_THAT(messageOf(storeSample(cache, key)), HasSubstr("is no key"));
    EXPECT_THAT(messageOf(cache.remove(key)), HasSubstr("is no key"));
    EXPECT_THAT(messageOf(cache.lock(key)), HasSubstr("is no key"));
  }
  EXPECT_TRUE(folder.files().empty());
}

TEST(ResultCache, FindsEveryFlippedBit) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  std::string key = keyOf(1), path = folder.pathOf(key);
  llvm::cantFail(storeSample(cache, key));
  ResultCache::Entry listed = llvm::cantFail(cache.list()).front();
  const std::string bytes = readAll(path);
  ASSERT_GT(bytes.size(), 100u);
  for (size_t at = 0; at < bytes.size(); ++at)
    for (int mask : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ mask);
      writeAll(path, damaged);
      ASSERT_NE(messageOf(cache.find(key)), "")
          << "byte " << at << " with " << mask;
      ASSERT_NE(messageOf(cache.verify(listed)), "");
    }
  writeAll(path, bytes);
  EXPECT_EQ(messageOf(cache.find(key)), "");
  EXPECT_EQ(messageOf(cache.verify(listed)), "");
}

TEST(ResultCache, FindsWhatWasCutOrAdded) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  std::string key = keyOf(1), path = folder.pathOf(key);
  llvm::cantFail(storeSample(cache, key));
  const std::string bytes = readAll(path);
  for (size_t size = 0; size < bytes.size(); ++size) {
    writeAll(path, bytes.substr(0, size));
    ASSERT_NE(messageOf(cache.find(key)), "") << size;
  }
  writeAll(path, bytes + std::string(8, '\0'));
  EXPECT_NE(messageOf(cache.find(key)), "");
  // What is damaged can be removed and stored anew.
  llvm::cantFail(cache.remove(key));
  EXPECT_FALSE(llvm::cantFail(cache.find(key)));
  llvm::cantFail(storeSample(cache, key));
  EXPECT_TRUE(llvm::cantFail(cache.find(key)));
  // Nothing happens where nothing is.
  llvm::cantFail(cache.remove(keyOf(2)));
}

TEST(ResultCache, FindsAnEntryUnderAnotherKey) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  llvm::cantFail(storeSample(cache, keyOf(1)));
  std::filesystem::create_directories(
      std::filesystem::path(folder.pathOf(keyOf(2))).parent_path());
  std::filesystem::copy(folder.pathOf(keyOf(1)), folder.pathOf(keyOf(2)));
  EXPECT_THAT(messageOf(cache.find(keyOf(2))),
              HasSubstr("the content is not what was written"));
  // A file of somebody else's with the name of an entry.
  std::vector<double> one = {1};
  llvm::cantFail(writeSafetensors(folder.pathOf(keyOf(2)),
                                  {named("x", DType::Float64, {1}, one)}));
  EXPECT_THAT(messageOf(cache.find(keyOf(2))),
              HasSubstr("is no entry of a cache"));
}

TEST(ResultCache, ListsEntriesOnly) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  EXPECT_TRUE(llvm::cantFail(cache.list()).empty());
  std::vector<std::string> keys = {keyOf(1), keyOf(2), keyOf(3)};
  for (const std::string &key : keys)
    llvm::cantFail(storeSample(cache, key));
  std::sort(keys.begin(), keys.end());
  // Neither temporaries nor files in the wrong place are entries.
  writeAll(folder.path("v1/." + keyOf(4) +
                       ".safetensors.weir-part-12345678.safetensors"),
           "x");
  writeAll(folder.path("v1/" + keyOf(4) + ".safetensors"), "x");
  writeAll(folder.path("v1/README"), "x");
  std::vector<ResultCache::Entry> entries = llvm::cantFail(cache.list());
  EXPECT_EQ(keysOf(entries), keys);
  for (const ResultCache::Entry &entry : entries) {
    EXPECT_EQ(entry.path, folder.pathOf(entry.key));
    EXPECT_EQ(entry.bytes, std::filesystem::file_size(entry.path));
    EXPECT_EQ(messageOf(cache.verify(entry)), "");
  }
}

TEST(ResultCache, ReadingIsUse) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  llvm::cantFail(storeSample(cache, keyOf(1)));
  usedBefore(folder.pathOf(keyOf(1)), 1000);
  auto age = [&] {
    return std::chrono::system_clock::now() -
           llvm::cantFail(cache.list()).front().used;
  };
  EXPECT_GT(age(), std::chrono::seconds(900));
  llvm::cantFail(cache.find(keyOf(1)));
  EXPECT_LT(age(), std::chrono::seconds(900));
}

TEST(ResultCache, CollectsByAge) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  for (int i = 0; i < 4; ++i) {
    llvm::cantFail(storeSample(cache, keyOf(i)));
    usedBefore(folder.pathOf(keyOf(i)), 1000 * i);
  }
  // Without a wish nothing is removed.
  ResultCache::Collected all = llvm::cantFail(cache.collect({}));
  EXPECT_TRUE(all.removed.empty());
  EXPECT_EQ(all.entriesKept, 4u);
  ResultCache::CollectOptions options;
  options.unusedFor = std::chrono::seconds(1500);
  ResultCache::Collected collected = llvm::cantFail(cache.collect(options));
  EXPECT_EQ(keysOf(collected.removed),
            (std::vector<std::string>{keyOf(2), keyOf(3)}));
  EXPECT_EQ(collected.entriesKept, 2u);
  EXPECT_TRUE(cache.contains(keyOf(0)) && cache.contains(keyOf(1)));
  EXPECT_FALSE(cache.contains(keyOf(2)) || cache.contains(keyOf(3)));
}

TEST(ResultCache, CollectsStatisticsOfActivations) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  llvm::cantFail(storeSample(cache, keyOf(1)));
  std::string path =
                  cache.activationFolder() + "/" + keyOf(7) + ".coactivations",
              other = cache.activationFolder() + "/mine.coactivations";
  ASSERT_FALSE(llvm::sys::fs::create_directories(cache.activationFolder()));
  llvm::cantFail(writeTextAtomically(path, "statistics"));
  llvm::cantFail(writeTextAtomically(other, "not by that name"));
  usedBefore(path, 1000);
  usedBefore(other, 1000);
  // They are no entries, and count all the same.
  EXPECT_EQ(llvm::cantFail(cache.list()).size(), 1u);
  EXPECT_EQ(llvm::cantFail(cache.collect({})).entriesKept, 2u);
  ResultCache::CollectOptions options;
  options.unusedFor = std::chrono::seconds(500);
  EXPECT_EQ(llvm::cantFail(cache.collect(options)).removed.size(), 1u);
  EXPECT_FALSE(llvm::sys::fs::exists(path));
  EXPECT_TRUE(llvm::sys::fs::exists(other));
  EXPECT_TRUE(cache.contains(keyOf(1)));
}

TEST(ResultCache, CollectsWhatWasUnusedForLongestUntilTheRestFits) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  // From the last used to the first; the third is large.
  std::vector<uint64_t> bytes;
  for (int i = 0; i < 5; ++i) {
    llvm::cantFail(storeSample(cache, keyOf(i), i == 2 ? 1000 : 6));
    usedBefore(folder.pathOf(keyOf(i)), 10 * i + 10);
    bytes.push_back(std::filesystem::file_size(folder.pathOf(keyOf(i))));
  }
  ResultCache::CollectOptions options;
  options.maxBytes = bytes[0] + bytes[1] + bytes[2] - 1;
  // An old entry does not outlive one that was used after it, even if it would
  // fit into what is left.
  ResultCache::Collected collected = llvm::cantFail(cache.collect(options));
  EXPECT_EQ(keysOf(collected.removed),
            (std::vector<std::string>{keyOf(2), keyOf(3), keyOf(4)}));
  EXPECT_EQ(collected.bytesKept, bytes[0] + bytes[1]);
  options.maxBytes = bytes[0] + bytes[1];
  EXPECT_TRUE(llvm::cantFail(cache.collect(options)).removed.empty());
  options.maxBytes = 0;
  EXPECT_EQ(llvm::cantFail(cache.collect(options)).removed.size(), 2u);
  EXPECT_TRUE(folder.files().empty());
}

TEST(ResultCache, CollectsWhatKilledProcessesLeft) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  llvm::cantFail(storeSample(cache, keyOf(1)));
  auto temporary = [&](int number) {
    return folder.path("v1/." + keyOf(number) +
                       ".safetensors.weir-part-00000000.safetensors");
  };
  std::string abandoned = temporary(2), written = temporary(3);
  writeAll(abandoned, "half");
  writeAll(written, "half");
  int writer = ::open(written.c_str(), O_RDONLY);
  ASSERT_EQ(::flock(writer, LOCK_EX), 0);
  // Hidden files and notes among the locks are none of the cache's.
  std::vector<std::string> others = {
      folder.path("v1/.nfs0001"), folder.path("v1/.keep"),
      folder.path("v1/.mine.weir-part-00000000"), folder.path("locks/README")};
  for (const std::string &other : others)
    writeAll(other, "a note");
  std::string full = folder.path("locks/" + keyOf(6));
  writeAll(full, "a note with a lock's name");
  others.push_back(full);
  { auto free = llvm::cantFail(cache.lock(keyOf(4))); }
  auto held = llvm::cantFail(cache.lock(keyOf(5)));
  ResultCache::Collected collected = llvm::cantFail(cache.collect({}));
  EXPECT_EQ(collected.temporaries, 1);
  EXPECT_FALSE(std::filesystem::exists(abandoned));
  // Somebody is still writing it.
  EXPECT_TRUE(std::filesystem::exists(written));
  ::close(writer);
  for (const std::string &other : others)
    EXPECT_TRUE(std::filesystem::exists(other)) << other;
  EXPECT_TRUE(cache.contains(keyOf(1)));
  EXPECT_FALSE(std::filesystem::exists(folder.path("locks/" + keyOf(4))));
  EXPECT_TRUE(std::filesystem::exists(folder.path("locks/" + keyOf(5))));
}

TEST(ResultCache, MakesRoomForAnEntryWhereSomethingElseIs) {
  TemporaryCache folder;
  ResultCache cache = folder.open();
  std::string key = keyOf(1), path = folder.pathOf(key);
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::string elsewhere = folder.path("elsewhere");
  writeAll(elsewhere, "a note");
  auto expectReplaced = [&](const std::string &what) {
    EXPECT_FALSE(cache.contains(key)) << what;
    EXPECT_NE(messageOf(cache.find(key)), "") << what;
    EXPECT_EQ(messageOf(cache.remove(key)), "") << what;
    EXPECT_EQ(messageOf(storeSample(cache, key)), "") << what;
    EXPECT_TRUE(llvm::cantFail(cache.find(key)).has_value()) << what;
    EXPECT_EQ(messageOf(cache.remove(key)), "") << what;
  };
  std::filesystem::create_directory(path);
  expectReplaced("an empty folder");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  expectReplaced("a pipe");
  std::filesystem::create_symlink("nowhere", path);
  expectReplaced("a link that leads nowhere");
  std::filesystem::create_symlink(folder.path(), path);
  expectReplaced("a link to a folder");
  std::filesystem::create_directory(path);
  writeAll(path + "/note", "a note");
  expectReplaced("a folder");
  EXPECT_EQ(readAll(elsewhere), "a note");
  // Nothing in it is lost.
  std::vector<std::string> files = folder.files();
  EXPECT_EQ(files, std::vector<std::string>{"note"});
}

TEST(ResultCache, HasADefaultFolder) {
  auto set = [](const char *name, const char *value) {
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  };
  std::map<const char *, std::optional<std::string>> before;
  for (const char *name : {"WEIR_CACHE", "XDG_CACHE_HOME", "HOME"}) {
    const char *value = std::getenv(name);
    before[name] = value ? std::optional<std::string>(value) : std::nullopt;
  }
  set("WEIR_CACHE", "/w");
  set("XDG_CACHE_HOME", "/x");
  set("HOME", "/h");
  EXPECT_EQ(llvm::cantFail(ResultCache::defaultFolder()), "/w");
  set("WEIR_CACHE", "");
  EXPECT_EQ(llvm::cantFail(ResultCache::defaultFolder()), "/x/weir");
  set("XDG_CACHE_HOME", nullptr);
  EXPECT_EQ(llvm::cantFail(ResultCache::defaultFolder()), "/h/.cache/weir");
  set("HOME", nullptr);
  EXPECT_THAT(messageOf(ResultCache::open("")),
              HasSubstr("set WEIR_CACHE, or HOME"));
  for (const auto &[name, value] : before)
    set(name, value ? value->c_str() : nullptr);
}

} // namespace
