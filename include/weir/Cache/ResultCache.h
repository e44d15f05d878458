//===- ResultCache.h - Results under the hash of their inputs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A folder of results that are computed once: a result's key is the SHA-256 of
// everything it was made from, so an entry is never out of date and two
// processes that make the same one write the same file.
//
//   FOLDER/v1/ab/ab12….safetensors   one entry: tensors, and strings about them
//   FOLDER/activations/…             statistics of activations
//   FOLDER/locks/ab12…               held by the process that is computing it
//   FOLDER/id                        a random name, by which the machines of a
//                                    cluster tell that they see the same folder
//
// Entries appear whole or not at all (writeAtomically) and carry the hash of
// their key and content, which is checked whenever they are read. All functions may be
// called by several threads and processes at once.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_CACHE_RESULTCACHE_H
#define WEIR_CACHE_RESULTCACHE_H

#include "weir/Program/TensorWriter.h"
#include "weir/Support/FileLock.h"

#include <chrono>

namespace weir {

/// An entry that was read and whose content has the hash it should have. The
/// tensors are mapped.
class CachedResult {
public:
  /// Errors: no tensor of this name, or another element type or shape (-1: any
  /// size) than asked for.
  llvm::Expected<TensorView> tensor(llvm::StringRef name, DType dtype,
                                    llvm::ArrayRef<int64_t> shape) const;
  /// A string of the entry; an error if it is not there.
  llvm::Expected<std::string> text(llvm::StringRef name) const;
  const TensorFile &file() const { return *tensors; }

private:
  friend class ResultCache;
  explicit CachedResult(std::shared_ptr<TensorFile> tensors)
      : tensors(std::move(tensors)) {}
  std::shared_ptr<TensorFile> tensors;
};

class ResultCache {
public:
  /// $WEIR_CACHE, else weir in $XDG_CACHE_HOME, else ~/.cache/weir. An error if
  /// none of these is set.
  static llvm::Expected<std::string> defaultFolder();
  /// Makes the folder where it is not there yet. An empty name stands for the
  /// default.
  static llvm::Expected<ResultCache> open(llvm::StringRef folder);

  llvm::StringRef folder() const { return root; }
  /// Where statistics of activations are kept while and after they are
  /// collected; `collect` looks after them too.
  std::string activationFolder() const;

  /// Whether an entry is there. Its content is not looked at.
  bool contains(llvm::StringRef key) const;
  /// The entry, or nothing if there is none. An error if it is damaged (cut
  /// short, with other bytes than were written, or written under another key):
  /// `remove` it then.
  llvm::Expected<std::optional<CachedResult>> find(llvm::StringRef key) const;
  /// Stores an entry under a key of 64 lower-case hexadecimal digits. `strings`
  /// are kept with it; "about" is what `list` shows.
  llvm::Error store(llvm::StringRef key, llvm::ArrayRef<NamedTensor> tensors,
                    std::map<std::string, std::string> strings) const;
  /// Removes an entry; nothing happens if there is none. A folder in its place
  /// is renamed, not removed.
  llvm::Error remove(llvm::StringRef key) const;

  /// Held while one process computes a result, so that others wait for it
  /// instead of computing it too. Given up by the system when a process dies.
  using Lock = FileLock;
  llvm::Expected<Lock> lock(llvm::StringRef key) const;

  struct Entry {
    std::string key, path;
    uint64_t bytes = 0;
    std::chrono::system_clock::time_point used; ///< last read or written
  };
  /// All entries, by key.
  llvm::Expected<std::vector<Entry>> list() const;
  /// What is wrong with an entry; success if nothing is.
  llvm::Error verify(const Entry &entry) const;

  struct CollectOptions {
    /// Entries are removed, those unused for longest first, until the others
    /// take no more than this.
    uint64_t maxBytes = UINT64_MAX;
    /// Entries that were not used for longer are removed.
    std::optional<std::chrono::seconds> unusedFor;
  };
  struct Collected {
    std::vector<Entry> removed;
    uint64_t bytesKept = 0, entriesKept = 0;
    int64_t temporaries = 0; ///< left by killed processes, removed
  };
  /// Also removes what killed writers left, and locks that nobody holds; no file
  /// that has another name than a cache gives. A damaged entry is one like the others: see `verify`.
  llvm::Expected<Collected> collect(const CollectOptions &options) const;

private:
  explicit ResultCache(std::string root) : root(std::move(root)) {}
  std::string pathOf(llvm::StringRef key) const;
  std::string root;
};

} // namespace weir

#endif // WEIR_CACHE_RESULTCACHE_H
