//===- Cache.cpp - weirc cache: the matches that were computed ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"

#include "weir/Driver/CacheJob.h"

#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace weir;

namespace {
struct CacheOptions {
  CacheJob job;
  bool remove = false;
  std::string maxSize, unusedFor;
};

} // namespace

static int runCache(const CacheOptions &options, StringRef command) {
  auto report = [](llvm::Error error, int code) {
    llvm::errs() << "weirc: " << llvm::toString(std::move(error)) << "\n";
    return code;
  };
  int64_t damaged = 0;
  llvm::Error error = llvm::Error::success();
  if (command == "ls") {
    error = options.job.list(llvm::outs());
  } else if (command == "verify") {
    error = options.job.verify(options.remove, damaged, llvm::outs());
  } else {
    std::optional<uint64_t> bytes;
    std::optional<std::chrono::seconds> unusedFor;
    if (!options.maxSize.empty()) {
      auto parsed = parseBytes(options.maxSize);
      if (!parsed)
        return report(parsed.takeError(), 1);
      bytes = *parsed;
    }
    if (!options.unusedFor.empty()) {
      auto parsed = parseDuration(options.unusedFor);
      if (!parsed)
        return report(parsed.takeError(), 1);
      unusedFor = *parsed;
    }
    error = options.job.collect(bytes, unusedFor, llvm::outs());
  }
  if (error)
    return report(std::move(error), 2);
  return damaged ? 2 : 0;
}

Command weir::addCache(CLI::App &app) {
  auto options = std::make_shared<CacheOptions>();
  CLI::App *cache = app.add_subcommand(
      "cache", "List, check or clean up the matches that were computed");
  cache->require_subcommand(1);
  auto *ls = cache->add_subcommand("ls", "List the entries");
  auto *verify = cache->add_subcommand(
      "verify", "Read every entry; exit with 2 if one is damaged");
  verify->add_flag("--remove", options->remove, "remove what is damaged");
  auto *gc = cache->add_subcommand(
      "gc", "Remove entries beyond --max-size and --unused-for, and what killed "
            "processes left");
  gc->add_option("--max-size", options->maxSize,
                 "keep what was used last, up to this size, such as 10G");
  gc->add_option("--unused-for", options->unusedFor,
                 "remove what was not used for this long, such as 30d");
  for (CLI::App *command : {ls, verify, gc}) {
    command->add_option("--cache", options->job.folder,
                        "the folder; $WEIR_CACHE or ~/.cache/weir if not given");
    command->add_flag("--json", options->job.json, "print JSON");
  }
  return {cache, [=] {
            return runCache(*options,
                            cache->get_subcommands().front()->get_name());
          }};
}
