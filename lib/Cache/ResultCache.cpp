//===- ResultCache.cpp - Results under the hash of their inputs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Cache/ResultCache.h"

#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/TemporaryFile.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

using namespace llvm;
namespace fs = llvm::sys::fs;

namespace weir {

/// Part of every path, so that another layout of entries can live beside this.
static constexpr StringLiteral layout = "v1";
static constexpr StringLiteral extension = ".safetensors";
/// The part of the folder that activationFolder() names.
static constexpr StringLiteral activations = "activations";
static constexpr StringLiteral statistics = ".coactivations";
/// Cases that weirc validate has computed, in the same folder.
static constexpr StringLiteral validations = ".validation";
/// Logs of weirc evaluate and weirc sweep.
static constexpr StringLiteral measures = ".measures";
/// The string of an entry that holds the hash of the rest.
static constexpr StringLiteral contentKey = "content";

static Error problem(const Twine &what, std::error_code code) {
  return createStringError(code, what + ": " + code.message());
}

static bool isKey(StringRef text) {
  return text.size() == 64 && all_of(text, [](char c) {
           return isDigit(c) || (c >= 'a' && c <= 'f');
         });
}

/// The hash of the key, names, types, shapes, bytes and strings: of the key too,
/// so that a file that was moved to another name is not taken for that result.
/// Every part is preceded by its length, so that no two entries give the same
/// sequence.
static std::string contentHash(StringRef key, ArrayRef<NamedTensor> tensors,
                               const std::map<std::string, std::string> &strings) {
  Sha256 hash;
  auto add = [&](StringRef text) {
    hash.update(std::to_string(text.size()) + ":");
    hash.update(text);
  };
  add(key);
  std::vector<const NamedTensor *> ordered;
  for (const NamedTensor &tensor : tensors)
    ordered.push_back(&tensor);
  llvm::sort(ordered, [](auto *a, auto *b) { return a->name < b->name; });
  for (const NamedTensor *named : ordered) {
    const TensorView &tensor = named->tensor;
    add(named->name);
    add(nameOf(tensor.dtype));
    for (int64_t size : tensor.shape)
      hash.update(std::to_string(size) + ",");
    hash.update(";");
    hash.update(ArrayRef<std::byte>(tensor.data, tensor.numBytes()));
  }
  for (const auto &[name, text] : strings)
    if (name != contentKey) {
      add(name);
      add(text);
    }
  return hash.finish();
}

//===----------------------------------------------------------------------===//
// One entry
//===----------------------------------------------------------------------===//

Expected<TensorView> CachedResult::tensor(StringRef name, DType dtype,
                                          ArrayRef<int64_t> shape) const {
  auto view = tensors->tensor(name);
  if (!view)
    return view.takeError();
  bool fits = view->dtype == dtype && view->shape.size() == shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i)
    fits = shape[i] < 0 || shape[i] == view->shape[i];
  if (!fits)
    return createStringError(tensors->path() + ": the tensor '" + name +
                             "' has another type or shape than expected");
  return view;
}

Expected<std::string> CachedResult::text(StringRef name) const {
  auto found = tensors->metadata().find(name.str());
  if (found == tensors->metadata().end())
    return createStringError(tensors->path() + ": has no '" + name + "'");
  return found->second;
}

/// Opens an entry and holds its content against its hash.
static Expected<std::shared_ptr<TensorFile>> openEntry(StringRef path) {
  auto file = TensorFile::open(path);
  if (!file)
    return file.takeError();
  std::vector<NamedTensor> tensors;
  for (const std::string &name : (*file)->names()) {
    auto view = (*file)->tensor(name);
    if (!view)
      return view.takeError();
    tensors.push_back({name, *view});
  }
  const auto &strings = (*file)->metadata();
  auto content = strings.find(contentKey.str());
  if (content == strings.end())
    return createStringError(path + ": is no entry of a cache");
  StringRef key = sys::path::filename(path);
  key.consume_back(extension);
  if (contentHash(key, tensors, strings) != content->second)
    return createStringError(path + ": the content is not what was written");
  return file;
}

//===----------------------------------------------------------------------===//
// The folder
//===----------------------------------------------------------------------===//

Expected<std::string> ResultCache::defaultFolder() {
  auto from = [](const char *variable) -> StringRef {
    const char *value = std::getenv(variable);
    return value ? value : "";
  };
  if (!from("WEIR_CACHE").empty())
    return from("WEIR_CACHE").str();
  SmallString<256> path(from("XDG_CACHE_HOME"));
  if (path.empty()) {
    path = from("HOME");
    if (path.empty())
      return createStringError("there is no folder for cached results: set "
                               "WEIR_CACHE, or HOME");
    sys::path::append(path, ".cache");
  }
  sys::path::append(path, "weir");
  return path.str().str();
}

Expected<ResultCache> ResultCache::open(StringRef folder) {
  SmallString<256> whole(folder);
  if (folder.empty()) {
    auto standard = defaultFolder();
    if (!standard)
      return standard.takeError();
    whole = *standard;
  }
  if (std::error_code code = fs::make_absolute(whole))
    return problem("cannot use the cache '" + whole + "'", code);
  for (StringRef below : {StringRef(layout), StringRef("locks")}) {
    SmallString<256> path(whole);
    sys::path::append(path, below);
    if (std::error_code code = fs::create_directories(path))
      return problem("cannot make the cache '" + whole + "'", code);
  }
  return ResultCache(whole.str().str());
}

std::string ResultCache::activationFolder() const {
  SmallString<256> path(root);
  sys::path::append(path, activations);
  return path.str().str();
}

std::string ResultCache::pathOf(StringRef key) const {
  SmallString<256> path(root);
  sys::path::append(path, layout, key.take_front(2), key + extension);
  return path.str().str();
}

bool ResultCache::contains(StringRef key) const {
  return isKey(key) && fs::is_regular_file(pathOf(key));
}

Expected<std::optional<CachedResult>> ResultCache::find(StringRef key) const {
  if (!isKey(key))
    return createStringError("'" + key + "' is no key of a cached result");
  std::string path = pathOf(key);
  // A link that leads nowhere is there, too, and damaged.
  auto isThere = [&] {
    struct stat status;
    return ::lstat(path.c_str(), &status) == 0;
  };
  if (!isThere())
    return std::nullopt;
  auto file = openEntry(path);
  if (!file) {
    // Another process may have removed it meanwhile.
    if (!isThere()) {
      consumeError(file.takeError());
      return std::nullopt;
    }
    return file.takeError();
  }
  // For `collect`: the time of last use. Not being allowed to set it is no
  // reason to fail.
  ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
  return CachedResult(*file);
}

Error ResultCache::store(StringRef key, ArrayRef<NamedTensor> tensors,
                         std::map<std::string, std::string> strings) const {
  if (!isKey(key))
    return createStringError("'" + key + "' is no key of a cached result");
  strings[contentKey.str()] = contentHash(key, tensors, strings);
  std::string path = pathOf(key);
  if (std::error_code code =
          fs::create_directories(sys::path::parent_path(path)))
    return problem("cannot write to the cache '" + root + "'", code);
  if (Error error = writeSafetensors(path, tensors, strings))
    return createStringError("cannot write to the cache: " +
                             toString(std::move(error)));
  return Error::success();
}

Error ResultCache::remove(StringRef key) const {
  if (!isKey(key))
    return createStringError("'" + key + "' is no key of a cached result");
  std::string path = pathOf(key);
  // Not through a link, whose own name is what goes.
  if (::unlink(path.c_str()) == 0 || errno == ENOENT)
    return Error::success();
  std::error_code code(errno, std::generic_category());
  // A folder is none of ours: it gets out of the way with all that is in it.
  struct stat status;
  if (::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    std::string aside = path + ".folder-XXXXXX";
    if (::mkdtemp(aside.data()) && ::rename(path.c_str(), aside.c_str()) == 0)
      return Error::success();
    code = std::error_code(errno, std::generic_category());
    ::rmdir(aside.c_str());
  }
  return problem("cannot remove '" + path + "'", code);
}

//===----------------------------------------------------------------------===//
// Locks
//===----------------------------------------------------------------------===//

Expected<ResultCache::Lock> ResultCache::lock(StringRef key) const {
  if (!isKey(key))
    return createStringError("'" + key + "' is no key of a cached result");
  SmallString<256> path(root);
  sys::path::append(path, "locks", key);
  // `collect` may remove the file while this process waits.
  return FileLock::take(path, /*wait=*/true);
}

/// Whether a file's name is one that `writeAtomically` gives an entry, or
/// statistics of activations, before they are whole.
static bool isTemporaryOfEntry(StringRef name) {
  return isTemporaryName(name) && name.consume_front(".") &&
         isKey(name.take_front(64)) &&
         (name.substr(64).starts_with(extension) ||
          name.substr(64).starts_with(statistics) ||
          name.substr(64).starts_with(measures));
}

/// Removes the lock files that nobody holds: files that have a lock's name and,
/// as all locks, nothing in them.
static void removeFreeLocks(StringRef root) {
  SmallString<256> folder(root);
  sys::path::append(folder, "locks");
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end;
       it.increment(code)) {
    if (!isKey(sys::path::filename(it->path())))
      continue;
    int fd = ::open(it->path().c_str(),
                    O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
      continue;
    struct stat status;
    if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size == 0 && lockNamed(fd, it->path()) == LockState::Held)
      ::unlink(it->path().c_str());
    ::close(fd);
  }
}

//===----------------------------------------------------------------------===//
// Keeping the folder in order
//===----------------------------------------------------------------------===//

/// Calls `visit` with the path and status of every file in a part of the folder.
static Error walk(StringRef root, StringRef part,
                  function_ref<void(StringRef, const fs::file_status &)> visit) {
  SmallString<256> folder(root);
  sys::path::append(folder, part);
  std::error_code code;
  for (fs::recursive_directory_iterator it(folder, code, false), end;
       !code && it != end; it.increment(code)) {
    fs::file_status status;
    // Not there any more: another process removed it.
    if (!fs::status(it->path(), status, /*follow=*/false) &&
        status.type() == fs::file_type::regular_file)
      visit(it->path(), status);
  }
  if (code && code != std::errc::no_such_file_or_directory)
    return problem("cannot read the cache '" + root + "'", code);
  return Error::success();
}

Expected<std::vector<ResultCache::Entry>> ResultCache::list() const {
  std::vector<Entry> entries;
  Error error = walk(root, layout, [&](StringRef path, const fs::file_status &status) {
    StringRef name = sys::path::filename(path);
    if (name.consume_back(extension) && isKey(name) && path == pathOf(name))
      entries.push_back({name.str(), path.str(), status.getSize(),
                         status.getLastModificationTime()});
  });
  if (error)
    return std::move(error);
  llvm::sort(entries, [](auto &a, auto &b) { return a.key < b.key; });
  return entries;
}

Error ResultCache::verify(const Entry &entry) const {
  auto file = openEntry(entry.path);
  return file ? Error::success() : file.takeError();
}

Expected<ResultCache::Collected>
ResultCache::collect(const CollectOptions &options) const {
  auto entries = list();
  if (!entries)
    return entries.takeError();
  auto now = std::chrono::system_clock::now();
  Collected result;

  std::vector<std::string> temporaries;
  for (StringRef part : {StringRef(layout), StringRef(activations)}) {
    Error error = walk(root, part, [&](StringRef path, const fs::file_status &) {
      if (isTemporaryOfEntry(sys::path::filename(path)))
        temporaries.push_back(path.str());
    });
    if (error)
      return std::move(error);
  }
  for (const std::string &path : temporaries)
    result.temporaries += removeAbandonedFile(path);

  // Statistics of activations are no entries, since they grow while they are
  // collected, and can be collected anew like these.
  Error error = walk(root, activations,
               [&](StringRef path, const fs::file_status &status) {
                 StringRef kind = sys::path::extension(path);
                 if ((kind == statistics || kind == validations ||
                      kind == measures) &&
                     isKey(sys::path::stem(path)))
                   entries->push_back({sys::path::stem(path).str(), path.str(),
                                       status.getSize(),
                                       status.getLastModificationTime()});
               });
  if (error)
    return std::move(error);

  llvm::sort(*entries, [](const Entry &a, const Entry &b) {
    return std::tie(b.used, a.path) < std::tie(a.used, b.path);
  });
  // Once one does not fit, none that was used before it is kept.
  bool isFull = false;
  for (Entry &entry : *entries) {
    bool tooOld = options.unusedFor && now - entry.used > *options.unusedFor;
    isFull |= entry.bytes > options.maxBytes - result.bytesKept;
    if (!tooOld && !isFull) {
      result.bytesKept += entry.bytes;
      ++result.entriesKept;
      continue;
    }
    if (std::error_code code =
            fs::remove(entry.path, /*IgnoreNonExisting=*/true))
      return problem("cannot remove '" + entry.path + "'", code);
    result.removed.push_back(std::move(entry));
  }
  removeFreeLocks(root);
  return result;
}

} // namespace weir
