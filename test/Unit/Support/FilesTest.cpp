//===- FilesTest.cpp - Mapped input, atomic output, hashes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Program/Support.h"

#include "weir/Support/Hashing.h"
#include "weir/Support/TemporaryFile.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <rapidcheck/gtest.h>

#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

TEST(Files, MapsWhatIsThere) {
  TemporaryFolder folder;
  writeFile(folder.file("a"), "some text");
  auto mapping = valueOf(FileMapping::open(folder.file("a")));
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->text(), "some text");
  EXPECT_EQ(mapping->path(), folder.file("a"));
  // The mapping survives the name.
  std::filesystem::remove(folder.file("a"));
  EXPECT_EQ(mapping->text(), "some text");
}

TEST(Files, EmptyFileMapsToNothing) {
  TemporaryFolder folder;
  writeFile(folder.file("empty"), "");
  auto mapping = valueOf(FileMapping::open(folder.file("empty")));
  ASSERT_TRUE(mapping);
  EXPECT_TRUE(mapping->bytes().empty());
}

TEST(Files, RefusesWhatIsNoFile) {
  TemporaryFolder folder;
  EXPECT_ERROR(FileMapping::open(folder.file("missing")),
               "missing: cannot open: No such file");
  EXPECT_ERROR(FileMapping::open(folder.file("")), "not a regular file");
  EXPECT_ERROR(FileMapping::open(StringRef("a\0b", 3)), "NUL");
  // A pipe must not block, and a device has no end.
  ASSERT_EQ(::mkfifo(folder.file("pipe").c_str(), 0600), 0);
  for (const std::string &path : {folder.file("pipe"), std::string("/dev/zero")}) {
    EXPECT_ERROR(FileMapping::open(path), "not a regular file");
    EXPECT_ERROR(readText(path), "not a regular file");
    EXPECT_ERROR(sha256OfFile(path), "not a regular file");
  }
}

TEST(Files, OneOpenFileIsHashedReadAndMapped) {
  TemporaryFolder folder;
  writeFile(folder.file("a"), "compared");
  auto file = valueOf(InputFile::open(folder.file("a")));
  ASSERT_TRUE(file);
  // Another file takes the name.
  EXPECT_OK(writeTextAtomically(folder.file("a"), "exchanged"));
  EXPECT_EQ(file->size(), 8u);
  EXPECT_EQ(valueOf(file->sha256()), sha256(StringRef("compared")));
  EXPECT_EQ(valueOf(file->text()), "compared");
  EXPECT_EQ(valueOf(file->map())->text(), "compared");
  auto buffer = valueOf(file->buffer());
  EXPECT_EQ(buffer->getBuffer(), "compared");
  EXPECT_EQ(*buffer->getBufferEnd(), '\0');
}

TEST(Files, AFileThatBecomesShorterIsAnError) {
  TemporaryFolder folder;
  writeFile(folder.file("a"), "some text");
  auto file = valueOf(InputFile::open(folder.file("a")));
  ASSERT_EQ(::truncate(folder.file("a").c_str(), 4), 0);
  EXPECT_ERROR(file->text(), "a: became shorter while it was read");
  EXPECT_ERROR(file->sha256(), "a: became shorter while it was read");
}

TEST(Files, ReadTextHasALimit) {
  TemporaryFolder folder;
  writeFile(folder.file("a"), "12345");
  EXPECT_EQ(valueOf(readText(folder.file("a"), 5)), "12345");
  EXPECT_ERROR(readText(folder.file("a"), 4), "5 bytes, more than the 4");
  // It comes before reading: no machine has the memory for this.
  ASSERT_EQ(::truncate(folder.file("a").c_str(), off_t(1) << 42), 0);
  EXPECT_ERROR(readText(folder.file("a")), "4398046511104 bytes, more than");
  EXPECT_ERROR(InputFile::open(folder.file("a"), 1 << 20), "more than the 1048576");
}

TEST(Files, ReleasedPagesStayReadable) {
  TemporaryFolder folder;
  std::string text(50000, 'x');
  writeFile(folder.file("a"), text);
  auto mapping = valueOf(FileMapping::open(folder.file("a")));
  mapping->releasePages(mapping->bytes());
  mapping->releasePages(mapping->bytes().slice(100, 30000));
  mapping->releasePages(mapping->bytes().slice(5, 10));
  mapping->releasePages({});
  EXPECT_EQ(mapping->text(), text);
  // Memory of others is left alone.
  mapping->releasePages(bytesOf(text));
  EXPECT_EQ(text, std::string(50000, 'x'));
}

TEST(Files, WritesAtomically) {
  TemporaryFolder folder;
  std::string path = folder.file("out.txt");
  EXPECT_OK(writeTextAtomically(path, "first"));
  EXPECT_EQ(readFile(path), "first");
  EXPECT_OK(writeTextAtomically(path, ""));
  EXPECT_EQ(readFile(path), "");
  EXPECT_EQ(folder.entries(), std::vector<std::string>{"out.txt"});
}

TEST(Files, AFailedWriteLeavesTheOldFileAndNothingElse) {
  TemporaryFolder folder;
  std::string path = folder.file("out.txt");
  writeFile(path, "old");
  std::string temporaryName;
  EXPECT_ERROR(writeAtomically(path,
                               [&](StringRef temporary) -> Error {
                                 temporaryName = temporary.str();
                                 writeFile(temporaryName, "half of the n");
                                 return createStringError("no more ink");
                               }),
               "no more ink");
  EXPECT_TRUE(StringRef(temporaryName).ends_with(".txt"));
  EXPECT_EQ(std::filesystem::path(temporaryName).parent_path(),
            std::filesystem::path(path).parent_path());
  EXPECT_EQ(readFile(path), "old");
  EXPECT_EQ(folder.entries(), std::vector<std::string>{"out.txt"});
}

TEST(Files, AKilledWriterLeavesTheOldFile) {
  TemporaryFolder folder;
  std::string path = folder.file("out.txt");
  writeFile(path, "old");
  pid_t child = ::fork();
  if (child == 0) {
    consumeError(writeAtomically(path, [](StringRef temporary) -> Error {
      writeFile(temporary.str(), "half of the n");
      ::_exit(3);
    }));
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_EQ(readFile(path), "old");
}

TEST(Files, TheNextWriteRemovesWhatAKilledOneLeft) {
  TemporaryFolder folder;
  std::string path = folder.file("50%.csv");
  pid_t child = ::fork();
  if (child == 0) {
    consumeError(writeAtomically(path, [](StringRef temporary) -> Error {
      writeFile(temporary.str(), "half of the n");
      ::_exit(3);
    }));
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  std::vector<std::string> left = folder.entries();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_TRUE(isTemporaryName(left[0]));
  // None of ours: other names, other kinds of file, or being written.
  std::vector<std::string> others = {
      ".50%.csv", ".50%.csv.weir-part-0123456.csv",
      ".50%.csv.weir-part-0123456x.csv", ".50%.csv.weir-part-01234567.txt",
      ".other.csv.weir-part-01234567.csv", "50%.csv.weir-part-01234567.csv"};
  for (const std::string &name : others)
    writeFile(folder.file(name), "a note");
  std::string link = ".50%.csv.weir-part-00000001.csv",
              below = ".50%.csv.weir-part-00000002.csv",
              busy = ".50%.csv.weir-part-00000003.csv";
  std::filesystem::create_symlink("nowhere", folder.file(link));
  std::filesystem::create_directory(folder.file(below));
  writeFile(folder.file(busy), "another process is at it");
  int held = ::open(folder.file(busy).c_str(), O_RDONLY);
  ASSERT_EQ(::flock(held, LOCK_EX | LOCK_NB), 0);
  EXPECT_OK(writeTextAtomically(path, "new"));
  ::close(held);
  others.insert(others.end(), {link, below, busy, "50%.csv"});
  llvm::sort(others);
  EXPECT_EQ(folder.entries(), others);
  // It is not held any more.
  EXPECT_OK(writeTextAtomically(path, "newer"));
  EXPECT_FALSE(std::filesystem::exists(folder.file(busy)));
}

TEST(Files, ALongNameHasATemporaryToo) {
  TemporaryFolder folder;
  std::string name = std::string(251, 'x') + ".csv";
  EXPECT_OK(writeAtomically(folder.file(name), [&](StringRef temporary) {
    EXPECT_TRUE(isTemporaryName(sys::path::filename(temporary)));
    return writeTextAtomically(folder.file("other"), "x");
  }));
  EXPECT_EQ(folder.entries(), (std::vector<std::string>{"other", name}));
}

TEST(Files, WritesThroughLinksAndKeepsPermissions) {
  TemporaryFolder folder;
  writeFile(folder.file("real"), "old");
  ASSERT_EQ(::chmod(folder.file("real").c_str(), 0640), 0);
  std::filesystem::create_symlink("real", folder.file("link"));
  EXPECT_OK(writeTextAtomically(folder.file("link"), "new"));
  EXPECT_EQ(readFile(folder.file("real")), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder.file("link")));
  struct stat status;
  ASSERT_EQ(::stat(folder.file("real").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(Files, RefusesToReplaceWhatIsNoFile) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder.file("folder"));
  EXPECT_ERROR(writeTextAtomically(folder.file("folder"), "x"),
               "not a regular file");
  EXPECT_ERROR(writeTextAtomically("/dev/null", "x"), "not a regular file");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_ERROR(writeTextAtomically(folder.file("no/such/folder"), "x"),
               "cannot create a temporary file");
}

TEST(Files, OutputFileReportsAFullDisk) {
  auto file = valueOf(OutputFile::open("/dev/full"));
  ASSERT_TRUE(file);
  EXPECT_ERROR(file->write(StringRef("x")), "No space left");
}

// The vectors are those of FIPS 180-2, appendix B.
TEST(Files, HashesAreSHA256) {
  EXPECT_EQ(sha256(StringRef("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(StringRef()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256(StringRef(std::string(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  TemporaryFolder folder;
  writeFile(folder.file("a"), "abc");
  EXPECT_EQ(valueOf(sha256OfFile(folder.file("a"))), sha256(StringRef("abc")));
}

TEST(Files, HashesCountPastHalfAGigabyte) {
  // 2^29 bytes are 2^32 bits; the digest is that of coreutils' sha256sum.
  TemporaryFolder folder;
  std::string path = folder.file("zeros");
  writeFile(path, "");
  ASSERT_EQ(::truncate(path.c_str(), off_t(1) << 29), 0);
  EXPECT_EQ(valueOf(sha256OfFile(path)),
            "9acca8e8c22201155389f65abbf6bc9723edc7384ead80503839f49dcc56d767");
}

RC_GTEST_PROP(Files, TextComesBack, (std::string text)) {
  TemporaryFolder folder;
  RC_ASSERT(!writeTextAtomically(folder.file("a"), text));
  RC_ASSERT(cantFail(readText(folder.file("a"))) == text);
}

} // namespace
