//===- CacheJob.cpp - The commands about the cache ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/CacheJob.h"

#include "weir/Cache/ResultCache.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Chrono.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace weir;
using llvm::StringRef;

/// A number and the unit behind it; none if the text is something else.
static std::optional<uint64_t>
scaled(StringRef text, llvm::function_ref<uint64_t(StringRef)> factorOf) {
  uint64_t number = 0;
  if (text.consumeInteger(10, number))
    return std::nullopt;
  uint64_t factor = factorOf(text), product = 0;
  if (factor == 0 || __builtin_mul_overflow(number, factor, &product) ||
      product > static_cast<uint64_t>(INT64_MAX))
    return std::nullopt;
  return product;
}

llvm::Expected<uint64_t> weir::parseBytes(StringRef text) {
  auto bytes = scaled(text, [](StringRef unit) {
    return llvm::StringSwitch<uint64_t>(unit)
        .Case("", 1)
        .Case("K", 1000)
        .Case("M", 1000'000)
        .Case("G", 1000'000'000)
        .Case("T", 1000'000'000'000)
        .Default(0);
  });
  if (!bytes)
    return llvm::createStringError(
        "'" + text + "' is no size: write a number of bytes, or one with K, M, "
                     "G or T, such as 10G");
  return *bytes;
}

llvm::Expected<std::chrono::seconds> weir::parseDuration(StringRef text) {
  auto seconds = scaled(text, [](StringRef unit) {
    return llvm::StringSwitch<uint64_t>(unit)
        .Case("s", 1)
        .Case("m", 60)
        .Case("h", 3600)
        .Case("d", 86400)
        .Default(0);
  });
  if (!seconds || *seconds > uint64_t(86400) * 36500)
    return llvm::createStringError("'" + text +
                                   "' is no time: write a number with s, m, h "
                                   "or d, such as 30d");
  return std::chrono::seconds(*seconds);
}

/// What the entry says about itself; "(damaged)" if it cannot be read.
static std::string aboutOf(const ResultCache &cache,
                           const ResultCache::Entry &entry) {
  if (llvm::Error e = cache.verify(entry)) {
    llvm::consumeError(std::move(e));
    return "(damaged)";
  }
  auto file = TensorFile::open(entry.path);
  if (!file) {
    llvm::consumeError(file.takeError());
    return "(damaged)";
  }
  auto found = (*file)->metadata().find("about");
  return found == (*file)->metadata().end() ? "" : found->second;
}

static std::string timeOf(const ResultCache::Entry &entry) {
  return llvm::formatv(
             "{0:%Y-%m-%d %H:%M}",
             std::chrono::time_point_cast<std::chrono::nanoseconds>(entry.used))
      .str();
}

static void printJSON(llvm::json::Object object, llvm::raw_ostream &os) {
  os << llvm::formatv("{0:2}", llvm::json::Value(std::move(object))) << "\n";
}

/// The folder, which looking at a cache does not make: `isThere` is false where
/// there is no default one yet. One that was named has to be there.
static llvm::Expected<std::string> existingFolder(StringRef named,
                                                  bool &isThere) {
  std::string path = named.str();
  if (path.empty()) {
    auto folder = ResultCache::defaultFolder();
    if (!folder)
      return folder.takeError();
    path = std::move(*folder);
  }
  isThere = llvm::sys::fs::exists(path);
  if (!isThere && !named.empty())
    return llvm::createStringError("there is no cache at '" + path +
                                   "': it is made when matches are computed");
  return path;
}

llvm::Error CacheJob::nothingYet(StringRef path, llvm::raw_ostream &os) const {
  if (json)
    printJSON(llvm::json::Object{{"folder", path},
                                 {"entries", llvm::json::Array()},
                                 {"bytes", 0}},
              os);
  else
    os << "0 entries: there is no cache at " << path << " yet\n";
  return llvm::Error::success();
}

llvm::Error CacheJob::list(llvm::raw_ostream &os) const {
  bool isThere = false;
  auto path = existingFolder(folder, isThere);
  if (!path)
    return path.takeError();
  if (!isThere)
    return nothingYet(*path, os);
  auto cache = ResultCache::open(*path);
  if (!cache)
    return cache.takeError();
  auto entries = cache->list();
  if (!entries)
    return entries.takeError();
  llvm::json::Array rows;
  uint64_t total = 0;
  for (const ResultCache::Entry &entry : *entries) {
    total += entry.bytes;
    std::string about = aboutOf(*cache, entry);
    if (json)
      rows.push_back(llvm::json::Object{{"key", entry.key},
                                        {"bytes", static_cast<int64_t>(entry.bytes)},
                                        {"used", timeOf(entry)},
                                        {"about", about}});
    else
      os << entry.key.substr(0, 16) << "  "
         << llvm::format("%10llu", static_cast<unsigned long long>(entry.bytes))
         << "  " << timeOf(entry) << "  " << about << "\n";
  }
  if (json)
    printJSON(llvm::json::Object{{"folder", cache->folder().str()},
               {"entries", std::move(rows)},
               {"bytes", static_cast<int64_t>(total)}},
              os);
  else
    os << entries->size() << " entries, " << total << " bytes in "
       << cache->folder() << "\n";
  return llvm::Error::success();
}

llvm::Error CacheJob::verify(bool remove, int64_t &damaged,
                             llvm::raw_ostream &os) const {
  bool isThere = false;
  auto path = existingFolder(folder, isThere);
  if (!path)
    return path.takeError();
  if (!isThere)
    return nothingYet(*path, os);
  auto cache = ResultCache::open(*path);
  if (!cache)
    return cache.takeError();
  auto entries = cache->list();
  if (!entries)
    return entries.takeError();
  llvm::json::Array rows;
  damaged = 0;
  for (const ResultCache::Entry &entry : *entries) {
    llvm::Error problem = cache->verify(entry);
    if (!problem)
      continue;
    ++damaged;
    std::string what = llvm::toString(std::move(problem));
    if (remove)
      if (llvm::Error e = cache->remove(entry.key))
        return e;
    if (json)
      rows.push_back(llvm::json::Object{{"key", entry.key}, {"problem", what}});
    else
      os << what << (remove ? " (removed)" : "") << "\n";
  }
  if (json)
    printJSON(llvm::json::Object{{"folder", cache->folder().str()},
               {"entries", static_cast<int64_t>(entries->size())},
               {"damaged", std::move(rows)},
               {"removed", remove}},
              os);
  else
    os << entries->size() << " entries, " << damaged << " damaged"
       << (damaged && !remove ? "; --remove removes them" : "") << "\n";
  return llvm::Error::success();
}

llvm::Error CacheJob::collect(std::optional<uint64_t> maxBytes,
                              std::optional<std::chrono::seconds> unusedFor,
                              llvm::raw_ostream &os) const {
  bool isThere = false;
  auto path = existingFolder(folder, isThere);
  if (!path)
    return path.takeError();
  if (!isThere)
    return nothingYet(*path, os);
  auto cache = ResultCache::open(*path);
  if (!cache)
    return cache.takeError();
  ResultCache::CollectOptions options;
  if (maxBytes)
    options.maxBytes = *maxBytes;
  options.unusedFor = unusedFor;
  auto collected = cache->collect(options);
  if (!collected)
    return collected.takeError();
  uint64_t removed = 0;
  for (const ResultCache::Entry &entry : collected->removed)
    removed += entry.bytes;
  if (json)
    printJSON(llvm::json::Object{{"folder", cache->folder().str()},
               {"removed", static_cast<int64_t>(collected->removed.size())},
               {"removed_bytes", static_cast<int64_t>(removed)},
               {"temporaries", collected->temporaries},
               {"kept", static_cast<int64_t>(collected->entriesKept)},
               {"kept_bytes", static_cast<int64_t>(collected->bytesKept)}},
              os);
  else
    os << "removed " << collected->removed.size() << " entries (" << removed
       << " bytes) and " << collected->temporaries << " unfinished files; kept "
       << collected->entriesKept << " (" << collected->bytesKept
       << " bytes) in " << cache->folder() << "\n";
  return llvm::Error::success();
}
