//===- ValidationLog.h - What a run that was killed has finished ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   FOLDER/KEY.validation   parts, each with its length and its hash
//   FOLDER/KEY.validation.lock
//
// A part is what some windows gave. Parts are added at the end; one that was cut
// short by a kill or a full disk is dropped when the file is opened again.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_VALIDATIONLOG_H
#define WEIR_LIB_DRIVER_VALIDATIONLOG_H

#include "JobLock.h"

#include "weir/Driver/Validation.h"

namespace weir {

class ValidationLog {
public:
  /// Opens the file of a job and adds what is in it to `result`. Errors: the
  /// folder or file cannot be made; another process has this job.
  static llvm::Expected<std::unique_ptr<ValidationLog>>
  open(llvm::StringRef folder, llvm::StringRef key, ValidationResult &result);
  ~ValidationLog();

  /// Windows that are finished; whether the job is.
  size_t nextWindow() const { return next; }
  bool isFinished() const { return finished; }

  /// Adds what `result` has more than when this was last called. An error leaves
  /// the parts that were written before.
  llvm::Error append(const ValidationResult &result, size_t nextWindow,
                     bool isFinished);

private:
  ValidationLog(std::string path, std::unique_ptr<JobLock> lock)
      : path(std::move(path)), lock(std::move(lock)) {}
  llvm::Error read(ValidationResult &result);

  std::string path;
  std::unique_ptr<JobLock> lock;
  int file = -1;
  uint64_t size = 0;
  size_t next = 0, occurrences = 0, cases = 0;
  bool finished = false;
};

} // namespace weir

#endif // WEIR_LIB_DRIVER_VALIDATIONLOG_H
