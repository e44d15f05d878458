//===- ToolProcessTest.cpp - How a tool ends ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Program/Support.h"

#include "weir/Support/JobFolder.h"
#include "weir/Support/ToolProcess.h"

#include "llvm/Support/Compiler.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>
#include <filesystem>
#include <fcntl.h>
#include <iostream>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <vector>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

/// What a process that has begun as a tool says on standard error, and how it
/// ends: its exit code, or minus the signal.
template <typename Body>
std::pair<int, std::string> runTool(Body body) {
  TemporaryFolder folder;
  std::string said = folder.file("said");
  std::fflush(nullptr);
  pid_t child = ::fork();
  if (child == 0) {
    int fd = ::open(said.c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(fd, 2);
    beginTool("tool");
    body();
    std::exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
          readFile(said)};
}

TEST(ToolProcess, AFileThatIsCutWhileItIsMappedIsNamed) {
  TemporaryFolder folder;
  std::string path = folder.file("a name with  blanks.pt2");
  writeFile(path, std::string(100000, 'x'));
  auto [code, said] = runTool([&] {
    auto file = cantFail(FileMapping::open(path));
    std::filesystem::resize_file(path, 10);
    std::exit(file->bytes()[50000] == std::byte{'x'} ? 0 : 1);
  });
  EXPECT_EQ(code, 2);
  EXPECT_EQ(said, "tool: error: " + path +
                      ": was cut short or can no longer be read while it is in "
                      "use; let the file alone until the run has ended\n");
}

TEST(ToolProcess, AFileThatIsCutWhileItIsWrittenOutIsAnError) {
  TemporaryFolder folder;
  writeFile(folder.file("in"), std::string(100000, 'x'));
  auto [code, said] = runTool([&] {
    auto file = cantFail(FileMapping::open(folder.file("in")));
    std::filesystem::resize_file(folder.file("in"), 10);
    Error error = writeAtomically(folder.file("out"), [&](StringRef temporary) {
      auto out = cantFail(OutputFile::open(temporary));
      return out->write(file->bytes().drop_front(50000));
    });
    errs() << toString(std::move(error));
  });
  EXPECT_EQ(code, 0);
  EXPECT_PRED2(contains, said, "a file that it is made from was cut short");
  EXPECT_EQ(folder.entries(), std::vector<std::string>{"in"});
}

TEST(ToolProcess, OtherBusErrorsStaySignals) {
  auto [code, said] = runTool([] { ::raise(SIGBUS); });
  EXPECT_EQ(code, -SIGBUS);
  EXPECT_EQ(said, "");
}

TEST(ToolProcess, AtItsEndAllIsWrittenAndNothingElseIsDone) {
  TemporaryFolder folder;
  auto endedWith = [&](const char *output) {
    return runTool([&] {
      ::dup2(::open(output, O_WRONLY | O_CREAT, 0600), 1);
      std::atexit([] { errs() << "taken back"; });
      outs() << "one,";
      std::cout << "two,";
      std::printf("three");
      endTool(7);
    });
  };
  auto [code, said] = endedWith(folder.file("out").c_str());
  EXPECT_EQ(code, 7);
  EXPECT_EQ(readFile(folder.file("out")), "one,two,three");
#if !LLVM_ADDRESS_SANITIZER_BUILD
  EXPECT_EQ(said, "");
#endif
  std::tie(code, said) = endedWith("/dev/full");
  EXPECT_EQ(code, 2);
  EXPECT_PRED2(contains, said, "tool: error: cannot write to standard output");
}

TEST(ToolProcess, SignalsRemoveScratchFilesAndFolders) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    TemporaryFolder folder;
    std::filesystem::create_directories(folder.file("scratch/below"));
    std::filesystem::create_directory(folder.file("kept"));
    writeFile(folder.file("kept/note"), "a note");
    writeFile(folder.file("note"), "a note");
    std::filesystem::create_directory_symlink(folder.file("kept"),
                                              folder.file("link"));
    auto [code, said] = runTool([&] {
      ScratchFolder outer(folder.file("scratch")),
          inner(folder.file("scratch/below")), released(folder.file("kept")),
          link(folder.file("link"));
      released.release();
      writeFile(folder.file("scratch/below/a"), "x");
      writeFile(folder.file("scratch/b"), "x");
      writeFile(folder.file("out.csv"), "old");
      consumeError(writeAtomically(folder.file("out.csv"), [&](StringRef path) {
        writeFile(path.str(), "half");
        ::raise(signal);
        return Error::success();
      }));
    });
    EXPECT_EQ(code, -signal);
    EXPECT_EQ(said, "");
    EXPECT_EQ(folder.entries(), (std::vector<std::string>{"kept", "link", "note",
                                                          "out.csv"}));
    EXPECT_EQ(readFile(folder.file("out.csv")), "old");
    EXPECT_EQ(readFile(folder.file("kept/note")), "a note");
  }
}

TEST(ToolProcess, AScratchFolderLosesNothingThatIsBelowItsFiles) {
  TemporaryFolder folder;
  std::filesystem::create_directories(folder.file("scratch/of others"));
  writeFile(folder.file("scratch/of others/note"), "a note");
  auto [code, said] = runTool([&] {
    ScratchFolder scratch(folder.file("scratch"));
    ::raise(SIGTERM);
  });
  EXPECT_EQ(code, -SIGTERM);
  EXPECT_EQ(readFile(folder.file("scratch/of others/note")), "a note");
}

TEST(ToolProcess, AFileThatMayNotGrowIsAnError) {
  TemporaryFolder folder;
  auto [code, said] = runTool([&] {
    const struct rlimit limit = {1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    Error error =
        writeTextAtomically(folder.file("large"), std::string(100000, 'x'));
    std::exit(error ? 3 : 0);
  });
  EXPECT_EQ(code, 3);
  EXPECT_EQ(folder.entries(), std::vector<std::string>());
}

TEST(ToolProcess, AJobFolderGoesWithItsFiles) {
  std::string path;
  {
    auto job = JobFolder::make("weir-job");
    ASSERT_TRUE(bool(job));
    path = (*job)->path();
    writeFile((*job)->file("question"), "x");
    writeFile((*job)->file("answer"), "y");
    EXPECT_TRUE(std::filesystem::exists(path + "/answer"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));

  // What holds a folder of somebody else stays.
  std::string below;
  {
    auto job = JobFolder::make("weir-job");
    ASSERT_TRUE(bool(job));
    below = (*job)->file("below");
    std::filesystem::create_directory(below);
    writeFile(below + "/note", "a note");
  }
  EXPECT_EQ(readFile(below + "/note"), "a note");
  std::filesystem::remove_all(std::filesystem::path(below).parent_path());
}

TEST(ToolProcess, NoThreadLeavesAFileBehindASignal) {
  TemporaryFolder folder;
  for (int round = 0; round < 60; ++round) {
    auto [code, said] = runTool([&] {
      // Files by their names, as writers of archives and tensors make them, and
      // folders.
      auto work = [&folder](int number) {
        while (true) {
          cantFail(writeAtomically(
              folder.file("out" + std::to_string(number)), [](StringRef path) {
                return cantFail(OutputFile::open(path))->write(StringRef("x"));
              }));
          cantFail(JobFolder::make(folder.file("job")));
        }
      };
      std::vector<std::thread> threads;
      for (int number = 0; number < 3; ++number)
        threads.emplace_back(work, number);
      ::usleep(1000 * (round % 10));
      ::raise(SIGTERM);
    });
    ASSERT_EQ(code, -SIGTERM) << said;
    for (const std::string &name : folder.entries())
      ASSERT_EQ(name.substr(0, 3), "out") << "in round " << round;
  }
}

TEST(ToolProcess, SignalsEndTheChildFirst) {
  TemporaryFolder folder;
  auto [code, said] = runTool([&] {
    pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGTERM, [](int) { ::_exit(::write(2, "child\n", 6) != 6); });
      ::raise(SIGSTOP);
      while (true)
        ::pause();
    }
    ::waitpid(child, nullptr, WUNTRACED);
    ::kill(child, SIGCONT);
    ChildProcess process(child);
    ::raise(SIGINT);
  });
  EXPECT_EQ(code, -SIGINT);
  EXPECT_EQ(said, "child\n");
}

TEST(ToolProcess, WhatTheCallerIgnoresStaysIgnored) {
  auto before = ::signal(SIGHUP, SIG_IGN);
  auto [code, said] = runTool([] { ::raise(SIGHUP); });
  ::signal(SIGHUP, before);
  EXPECT_EQ(code, 0);
}

TEST(ToolProcess, AFullStandardOutputIsAnError) {
  auto full = [](auto write) {
    return runTool([&] {
      ::dup2(::open("/dev/full", O_WRONLY), 1);
      write();
    });
  };
  const std::pair<int, std::string> expected = {
      2, "tool: error: cannot write to standard output: No space left on "
         "device\n"};
  EXPECT_EQ(full([] { outs() << "x"; }), expected);
  EXPECT_EQ(full([] { std::printf("x"); }), expected);
  EXPECT_EQ(full([] { outs() << "x"; std::exit(1); }), expected);
  EXPECT_EQ(full([] {}), std::make_pair(0, std::string()));
}

TEST(ToolProcess, AClosedStandardOutputIsNoOthersFile) {
  TemporaryFolder folder;
  std::fflush(nullptr);
  pid_t child = ::fork();
  if (child == 0) {
    ::close(1);
    beginTool("tool");
    auto file = cantFail(OutputFile::open(folder.file("out")));
    outs() << "to standard output";
    std::exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_EQ(readFile(folder.file("out")), "");
}

} // namespace
