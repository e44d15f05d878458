//===- Judge.cpp - Asking a command that rates texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/Judge.h"

#include "weir/Support/Files.h"
#include "weir/Support/JobFolder.h"
#include "weir/Support/JsonLines.h"
#include "weir/Support/ToolProcess.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Program.h"

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace llvm;
using namespace weir;
namespace fs = llvm::sys::fs;

/// What a judge may write.
static constexpr uint64_t mostOutput = 64u << 20;

template <typename... Args>
static Error fail(const char *format, Args &&...args) {
  return createStringError(
      formatv(format, std::forward<Args>(args)...).str());
}

/// A line of somebody else for a message: one line of at most 200 bytes.
static std::string shown(StringRef line) {
  std::string text;
  for (char c : line.take_front(200))
    text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  text = json::fixUTF8(text);
  return line.size() > 200 ? text + " …" : text;
}

Expected<std::string> Judge::run(StringRef input) const {
  auto folder = JobFolder::make("weir-judge");
  if (!folder)
    return folder.takeError();
  const std::string questions = (*folder)->file("questions.jsonl");
  const std::string answers = (*folder)->file("answers.jsonl");
  if (Error error = writeTextAtomically(questions, input))
    return std::move(error);
  if (Error error = writeTextAtomically(answers, ""))
    return std::move(error);

  StringRef arguments[] = {"/bin/sh", "-c", command};
  std::optional<StringRef> redirects[] = {StringRef(questions), StringRef(answers),
                                          std::nullopt};
  std::string message;
  bool notStarted = false;
  // A session of its own, so that all of it can be ended.
  sys::ProcessInfo process = sys::ExecuteNoWait(
      arguments[0], arguments, std::nullopt, redirects, /*MemoryLimit=*/0,
      &message, &notStarted, /*AffinityMask=*/nullptr, /*DetachProcess=*/true);
  if (notStarted)
    return fail("the judge cannot be started: {0}", message);
  ChildProcess child(process.Pid, /*withGroup=*/true);
  auto endAll = [&] { ::kill(-process.Pid, SIGKILL); };

  const auto start = std::chrono::steady_clock::now();
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(process.Pid, &status, WNOHANG);
    if (ended == process.Pid)
      break;
    if (ended < 0 && errno != EINTR)
      return fail("waiting for the judge: {0}", std::strerror(errno));
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - start;
    uint64_t size = 0;
    (void)fs::file_size(answers, size);
    if (took.count() > seconds || size > mostOutput) {
      endAll();
      while (::waitpid(process.Pid, &status, 0) < 0 && errno == EINTR)
        ;
      if (size > mostOutput)
        return fail("the judge wrote more than {0} MiB; it has been ended",
                    mostOutput >> 20);
      return fail("the judge took longer than {0} s; it has been ended (see "
                  "--judge-seconds)",
                  formatv("{0:f1}", seconds));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  endAll(); // what it left running could still write
  if (WIFSIGNALED(status))
    return fail("the judge was ended by signal {0}", WTERMSIG(status));
  if (WEXITSTATUS(status) != 0)
    return fail("the judge ended with exit code {0}", WEXITSTATUS(status));
  return readText(answers, mostOutput);
}

template <typename T, typename Read>
Expected<std::vector<T>> Judge::ask(std::vector<json::Object> questions,
                                    Read read) const {
  if (questions.empty())
    return std::vector<T>();
  std::string input;
  const size_t count = questions.size();
  for (size_t id = 0; id < count; ++id) {
    questions[id]["id"] = static_cast<int64_t>(id);
    input += printJSON(questions[id]) + "\n";
  }
  Expected<std::string> output = run(input);
  if (!output)
    return output.takeError();

  std::vector<std::optional<T>> answers(count);
  StringRef rest(*output);
  for (size_t number = 1; !rest.empty(); ++number) {
    StringRef line;
    std::tie(line, rest) = rest.split('\n');
    if (line.trim().empty())
      continue;
    auto wrong = [&](const Twine &what) {
      return fail("line {0} of the judge's answers {1}: {2}", number,
                  what.str(), shown(line));
    };
    Expected<json::Value> value = parseJSONLine(line);
    if (!value) {
      consumeError(value.takeError());
      return wrong("is not JSON");
    }
    const json::Object *object = value->getAsObject();
    std::optional<int64_t> id =
        object ? object->getInteger("id") : std::nullopt;
    if (!id)
      return wrong("is no object with an integer \"id\"");
    if (*id < 0 || *id >= static_cast<int64_t>(count))
      return wrong("has an id outside of 0.." + Twine(count - 1));
    if (answers[*id])
      return wrong("answers a question a second time");
    std::string problem;
    answers[*id] = read(*object, problem);
    if (!answers[*id])
      return wrong(problem);
  }
  std::vector<T> out;
  for (auto [id, answer] : enumerate(answers)) {
    if (!answer)
      return fail("the judge left {0} of {1} questions without an answer, the "
                  "first is the one with id {2}",
                  count_if(answers, [](auto &each) { return !each; }), count,
                  id);
    out.push_back(std::move(*answer));
  }
  return out;
}

Expected<std::vector<double>>
Judge::scores(std::vector<json::Object> questions) const {
  return ask<double>(
      std::move(questions),
      [](const json::Object &answer,
         std::string &problem) -> std::optional<double> {
        std::optional<double> score = answer.getNumber("score");
        if (score && *score >= 0 && *score <= 1)
          return score;
        problem = "has no \"score\" from 0 to 1";
        return std::nullopt;
      });
}

Expected<std::vector<std::string>>
Judge::verdicts(std::vector<json::Object> questions) const {
  return ask<std::string>(
      std::move(questions),
      [](const json::Object &answer,
         std::string &problem) -> std::optional<std::string> {
        std::optional<StringRef> verdict = answer.getString("verdict");
        if (verdict && is_contained({"SAME", "MAYBE", "DIFFERENT"}, *verdict))
          return verdict->str();
        problem = "has no \"verdict\" SAME, MAYBE or DIFFERENT";
        return std::nullopt;
      });
}
