//===- JobLog.h - What a run that was killed has finished ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   FOLDER/KEY.KIND   parts, each with its length and its hash
//   FOLDER/KEY.KIND.lock
//
// Parts are added at the end, or one takes the place of all. One that was cut short
// by a kill or a full disk is dropped when the file is opened again.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_JOBLOG_H
#define WEIR_LIB_DRIVER_JOBLOG_H

#include "JobLock.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <cstring>
#include <type_traits>
#include <vector>

namespace weir {

/// Plain numbers, as this machine has them.
class PartWriter {
public:
  template <typename T> void put(const T &number) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes.append(reinterpret_cast<const char *>(&number), sizeof(number));
  }
  template <typename T> void putAll(llvm::ArrayRef<T> numbers) {
    static_assert(std::is_trivially_copyable_v<T>);
    put<uint64_t>(numbers.size());
    bytes.append(reinterpret_cast<const char *>(numbers.data()),
                 numbers.size() * sizeof(T));
  }
  std::string bytes;
};

/// A part whose hash was right: it is as it was written.
class PartReader {
public:
  explicit PartReader(llvm::StringRef bytes) : rest(bytes) {}
  template <typename T> T get() {
    T number{};
    if (rest.size() >= sizeof(number))
      std::memcpy(&number, rest.data(), sizeof(number));
    rest = rest.drop_front(std::min(rest.size(), sizeof(number)));
    return number;
  }
  template <typename T> std::vector<T> getAll() {
    const auto count = std::min<uint64_t>(get<uint64_t>(), rest.size() / sizeof(T));
    std::vector<T> numbers(count);
    if (count > 0)
      std::memcpy(numbers.data(), rest.data(), count * sizeof(T));
    rest = rest.drop_front(count * sizeof(T));
    return numbers;
  }

private:
  llvm::StringRef rest;
};

class JobLog {
public:
  /// Opens the file of a job, which belongs to this process from here on, and calls
  /// `part` with what is in it. Errors: the folder or file cannot be made; another
  /// process has this job.
  static llvm::Expected<std::unique_ptr<JobLog>>
  open(llvm::StringRef folder, llvm::StringRef key, llvm::StringRef kind,
       llvm::function_ref<void(PartReader part)> part);
  ~JobLog();

  /// Adds a part. An error leaves those that were written before.
  llvm::Error append(const PartWriter &part);
  /// Puts a part in the place of all others.
  llvm::Error replace(const PartWriter &part);

private:
  JobLog(std::string path, std::string magic, std::unique_ptr<JobLock> lock)
      : path(std::move(path)), magic(std::move(magic)), lock(std::move(lock)) {}
  llvm::Error openFile();
  llvm::Error read(llvm::function_ref<void(PartReader part)> part);

  std::string path, magic;
  std::unique_ptr<JobLock> lock;
  int file = -1;
  uint64_t size = 0;
};

} // namespace weir

#endif // WEIR_LIB_DRIVER_JOBLOG_H
