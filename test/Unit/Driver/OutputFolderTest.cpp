//===- OutputFolderTest.cpp - What a build replaces, and what not ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Program/Support.h"

#include "weir/Driver/OutputFolder.h"
#include "weir/Runtime/Manifest.h"
#include "weir/Support/Hashing.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace llvm;
using namespace weir;
using namespace weir::test;
using testing::HasSubstr;
namespace stdfs = std::filesystem;

namespace {

/// Both ways of publishing.
class OutputFolderTest : public testing::TestWithParam<bool> {
protected:
  Expected<std::unique_ptr<OutputFolder>> create(const std::string &name) {
    return OutputFolder::create(name, GetParam());
  }
  /// Writes an artefact whose program is `text`.
  Error build(const std::string &name, StringRef text,
              function_ref<void(OutputFolder &)> before = nullptr) {
    auto output = create(name);
    if (!output)
      return output.takeError();
    fill((*output)->path().str(), text);
    if (before)
      before(**output);
    auto left = (*output)->publish();
    if (!left)
      return left.takeError();
    stayed = *left;
    return Error::success();
  }
  static Manifest manifestOf(StringRef text, std::string program) {
    Manifest manifest;
    manifest.program = {std::move(program), sha256(text)};
    return manifest;
  }
  static void fill(const std::string &path, StringRef text,
                   std::string program = "program.pt2") {
    writeFile(path + "/" + program, text);
    writeFile(path + "/report.md", "a report");
    writeFile(path + "/spec.yaml", "a spec");
    EXPECT_OK(manifestOf(text, std::move(program)).write(path));
  }
  std::string read(const std::string &name) {
    return readFile(folder.file(name));
  }
  using Names = std::vector<std::string>;

  TemporaryFolder folder;
  std::string out = folder.file("out");
  std::string stayed;
};
INSTANTIATE_TEST_SUITE_P(, OutputFolderTest, testing::Values(true, false),
                         [](auto &info) {
                           return info.param ? "Exchanged" : "Renamed";
                         });

TEST_P(OutputFolderTest, ReplacesNothingAnEmptyFolderAndAnArtefact) {
  EXPECT_OK(build(out, "first"));
  EXPECT_OK(build(out + "/", "second"));
  EXPECT_EQ(read("out/program.pt2"), "second");
  EXPECT_EQ(stayed, "");
  stdfs::create_directory(folder.file("empty"));
  EXPECT_OK(build(folder.file("empty"), "third"));
  EXPECT_OK(build(folder.file("new/below"), "fourth"));
  EXPECT_EQ(read("new/below/program.pt2"), "fourth");
  EXPECT_EQ(folder.entries(), (Names{"empty", "new", "out"}));
  struct stat status;
  ASSERT_EQ(::stat(out.c_str(), &status), 0);
  mode_t mask = ::umask(0);
  ::umask(mask);
  EXPECT_EQ(status.st_mode & 0777, 0777 & ~mask);
}

TEST_P(OutputFolderTest, ReplacesFilesThatTheManifestNames) {
  stdfs::create_directory(out);
  fill(out, "first", "other name.pt2");
  EXPECT_OK(build(out, "second"));
  EXPECT_FALSE(stdfs::exists(out + "/other name.pt2"));
  EXPECT_EQ(read("out/program.pt2"), "second");
}

TEST_P(OutputFolderTest, RefusesAManifestThatIsNotWeirs) {
  stdfs::create_directory(out);
  writeFile(out + "/photo", "of a cat");
  EXPECT_THAT(messageOf(create(out)),
              HasSubstr("holds other files and no manifest.json; it is not "
                        "replaced: choose another folder"));
  for (StringRef text :
       {"{}", "", "{\"name\": \"an extension of a browser\", \"version\": 1}",
        "[1]", "{\"weir\": 1}",
        // What it names must be in the folder.
        "{\"weir\": 1, \"program\": {\"path\": \"../photo\", \"sha256\": \"\"}}",
        "{\"weir\": 1, \"program\": {\"path\": \"/photo\", \"sha256\": \"\"}}"}) {
    writeFile(out + "/manifest.json", text);
    EXPECT_THAT(messageOf(create(out)),
                HasSubstr("holds a manifest.json that is not Weir's ("))
        << text.str();
  }
  EXPECT_EQ(read("out/photo"), "of a cat");
  EXPECT_EQ(folder.entries(), Names{"out"});
}

TEST_P(OutputFolderTest, NamesWhatIsNoPartOfTheArtefact) {
  EXPECT_OK(build(out, "first"));
  auto expectRefused = [&](const std::string &what, const std::string &name) {
    std::string message = messageOf(create(out));
    EXPECT_THAT(message, HasSubstr("holds " + what + "'" + name +
                                   "', which is no part of the artefact"));
    EXPECT_THAT(message, HasSubstr("move '" + name + "' away, or choose"));
    EXPECT_EQ(read("out/program.pt2"), "first");
    stdfs::remove_all(out + "/" + name);
  };
  writeFile(out + "/notes.txt", "a note");
  expectRefused("", "notes.txt");
  writeFile(out + "/.hidden", "a note");
  expectRefused("", ".hidden");
  writeFile(out + "/program.pt2.bak", "a note");
  expectRefused("", "program.pt2.bak");
  // Not in the manifest, so that it is not of this build.
  writeFile(out + "/program.aot.pt2", "a package");
  expectRefused("", "program.aot.pt2");
  stdfs::create_directory(out + "/more");
  expectRefused("the folder ", "more");
  ASSERT_EQ(::mkfifo((out + "/pipe").c_str(), 0600), 0);
  expectRefused("the special file ", "pipe");
  stdfs::create_symlink("/", out + "/root");
  expectRefused("the link ", "root");
  // A known name, but not of a file.
  writeFile(folder.file("mine.md"), "mine");
  stdfs::remove(out + "/report.md");
  stdfs::create_symlink("../mine.md", out + "/report.md");
  expectRefused("the link ", "report.md");
  stdfs::create_directory(out + "/report.md");
  expectRefused("the folder ", "report.md");
  EXPECT_EQ(read("mine.md"), "mine");
  EXPECT_OK(build(out, "second"));
}

TEST_P(OutputFolderTest, RefusesAManifestThatIsALink) {
  stdfs::create_directory(out);
  fill(out, "first");
  stdfs::rename(out + "/manifest.json", folder.file("manifest.json"));
  stdfs::create_symlink("../manifest.json", out + "/manifest.json");
  EXPECT_THAT(messageOf(create(out)), HasSubstr("the link 'manifest.json'"));
  // Files below other folders are none that a build makes.
  stdfs::remove(out + "/manifest.json");
  stdfs::create_directory(out + "/below");
  writeFile(out + "/below/note", "a note");
  EXPECT_OK(manifestOf("x", "below/note").write(out));
  EXPECT_THAT(messageOf(create(out)), HasSubstr("the folder 'below'"));
}

TEST_P(OutputFolderTest, BuildsWhereALinkLeadsTo) {
  stdfs::create_directories(folder.file("real/artefact"));
  stdfs::create_directory_symlink("real/artefact", out);
  EXPECT_OK(build(out, "first"));
  EXPECT_OK(build(out + "/", "second"));
  EXPECT_TRUE(stdfs::is_symlink(out));
  EXPECT_EQ(read("real/artefact/program.pt2"), "second");
  writeFile(folder.file("real/artefact/note"), "a note");
  EXPECT_THAT(messageOf(create(out)), HasSubstr("'note', which is no part"));
  // The parent is a link.
  stdfs::create_directory_symlink("real", folder.file("link"));
  EXPECT_OK(build(folder.file("link/../second"), "third"));
  EXPECT_EQ(read("second/program.pt2"), "third");
  EXPECT_OK(build(folder.file("link/third"), "fourth"));
  EXPECT_EQ(read("real/third/program.pt2"), "fourth");
  EXPECT_EQ(folder.entries(), (Names{"link", "out", "real", "second"}));
}

TEST_P(OutputFolderTest, RefusesNamesThatLeadNowhereOrCannotMove) {
  stdfs::create_symlink("nowhere", out);
  EXPECT_THAT(messageOf(create(out)), HasSubstr("is a link that leads nowhere"));
  stdfs::remove(out);
  writeFile(out, "a file");
  EXPECT_THAT(messageOf(create(out)), HasSubstr("is not a folder"));
  stdfs::remove(out);
  stdfs::create_symlink("file", out);
  writeFile(folder.file("file"), "a file");
  EXPECT_THAT(messageOf(create(out)), HasSubstr("is not a folder"));
  EXPECT_EQ(read("file"), "a file");
  EXPECT_THAT(messageOf(create("")), HasSubstr("cannot be an output folder"));
  EXPECT_THAT(messageOf(create(folder.file("a/.."))),
              HasSubstr("cannot be an output folder"));
  EXPECT_THAT(messageOf(create("/")), HasSubstr("is the root folder"));
  EXPECT_THAT(messageOf(create("/proc")),
              HasSubstr("is the root of a mounted file system"));
  stdfs::path before = stdfs::current_path();
  stdfs::create_directory(folder.file("here"));
  stdfs::current_path(folder.file("here"));
  EXPECT_THAT(messageOf(create(".")), HasSubstr("is the folder that you are in"));
  EXPECT_OK(build("below", "first"));
  stdfs::current_path(before);
  EXPECT_EQ(read("here/below/program.pt2"), "first");
}

TEST_P(OutputFolderTest, LooksAgainBeforeItReplaces) {
  EXPECT_OK(build(out, "first"));
  EXPECT_THAT(messageOf(build(out, "second",
                              [&](OutputFolder &) {
                                writeFile(out + "/note", "a note");
                              })),
              HasSubstr("'note', which is no part"));
  EXPECT_EQ(read("out/program.pt2"), "first");
  EXPECT_EQ(read("out/note"), "a note");
  stdfs::remove(out + "/note");
  // Something else has taken the name.
  EXPECT_THAT(messageOf(build(folder.file("new"), "second",
                              [&](OutputFolder &) {
                                writeFile(folder.file("new"), "a note");
                              })),
              HasSubstr("is not a folder"));
  EXPECT_EQ(read("new"), "a note");
  EXPECT_EQ(folder.entries(), (Names{"new", "out"}));
}

TEST_P(OutputFolderTest, AnErrorLeavesTheOlderArtefact) {
  EXPECT_OK(build(out, "first"));
  {
    auto output = valueOf(create(out));
    fill(output->path().str(), "second");
    EXPECT_EQ(folder.entries().size(), 2u);
  }
  EXPECT_EQ(folder.entries(), Names{"out"});
  EXPECT_EQ(read("out/program.pt2"), "first");
}

TEST_P(OutputFolderTest, KnowsTheInputsItWouldRemove) {
  EXPECT_OK(build(out, "first"));
  writeFile(folder.file("other.pt2"), "x");
  auto output = valueOf(create(out));
  EXPECT_THAT(messageOf(output->checkInput(out + "/program.pt2")),
              HasSubstr("is a part of the artefact that would be replaced"));
  EXPECT_OK(output->checkInput(folder.file("other.pt2")));
  EXPECT_OK(output->checkInput(folder.file("absent.pt2")));
}

TEST_P(OutputFolderTest, RemovesWhatKilledBuildsLeftAndNothingElse) {
  pid_t child = ::fork();
  if (child == 0) {
    auto output = cantFail(create(out));
    writeFile(output->path().str() + "/program.pt2", "half");
    writeFile(output->path().str() +
                  "/.report.md.weir-part-01234567.md", "half");
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ASSERT_EQ(folder.entries().size(), 1u);
  // An older artefact whose removal was interrupted.
  std::string older = folder.file("out.weir-part-00000a");
  stdfs::create_directory(older);
  fill(older, "older", "named so.pt2");
  // Not ours, or not certainly.
  std::string note = folder.file("out.weir-part-00000b"),
              below = folder.file("out.weir-part-00000c"),
              other = folder.file("out.weir-part-00000-"),
              file = folder.file("out.weir-part-00000d"),
              busy = folder.file("out.weir-part-00000e"),
              link = folder.file("out.weir-part-00000f");
  for (const std::string &path : {note, below, other, busy})
    stdfs::create_directory(path);
  writeFile(note + "/program.pt2", "x");
  writeFile(note + "/note", "a note");
  stdfs::create_directory(below + "/program.pt2");
  writeFile(file, "a note");
  stdfs::create_directory_symlink(older, link);
  int held = ::open(busy.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(held, LOCK_EX), 0);
  EXPECT_OK(build(out, "second"));
  ::close(held);
  for (const std::string &path : {note + "/note", note + "/program.pt2",
                                  below + "/program.pt2", other, file, busy})
    EXPECT_TRUE(stdfs::exists(path)) << path;
  EXPECT_TRUE(stdfs::is_symlink(link));
  EXPECT_FALSE(stdfs::exists(older));
  EXPECT_EQ(folder.entries().size(), 7u);
}

TEST_P(OutputFolderTest, GivesAnArtefactItsNameAgain) {
  // Killed between the two renames.
  std::string aside = folder.file("out.weir-old-00000a");
  stdfs::create_directory(aside);
  fill(aside, "first");
  {
    auto output = valueOf(create(out));
    EXPECT_EQ(read("out/program.pt2"), "first");
  }
  EXPECT_EQ(folder.entries(), Names{"out"});
  // Killed behind them; and one that holds something else.
  stdfs::create_directory(aside);
  fill(aside, "zeroth");
  std::string mixed = folder.file("out.weir-old-00000b");
  stdfs::create_directory(mixed);
  fill(mixed, "zeroth");
  writeFile(mixed + "/note", "a note");
  EXPECT_OK(build(out, "second"));
  EXPECT_EQ(folder.entries(), (Names{"out", "out.weir-old-00000b"}));
  EXPECT_EQ(readFile(mixed + "/note"), "a note");
  EXPECT_EQ(read("out/program.pt2"), "second");
}

TEST(RemoveArtefact, RemovesOnlyArtefacts) {
  TemporaryFolder folder;
  std::string path = folder.file("program");
  EXPECT_OK(removeArtefact(path));
  stdfs::create_directory(path);
  writeFile(path + "/note", "a note");
  EXPECT_ERROR(removeArtefact(path), "holds other files and no manifest.json");
  EXPECT_EQ(readFile(path + "/note"), "a note");
}

} // namespace
