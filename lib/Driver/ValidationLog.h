//===- ValidationLog.h - What a validation that was killed has finished ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_VALIDATIONLOG_H
#define WEIR_LIB_DRIVER_VALIDATIONLOG_H

#include "JobLog.h"

#include "weir/Driver/Validation.h"

namespace weir {

/// A JobLog whose parts are what some windows gave.
class ValidationLog {
public:
  /// Opens the file of a job and adds what is in it to `result`. Errors as those of
  /// JobLog.
  static llvm::Expected<std::unique_ptr<ValidationLog>>
  open(llvm::StringRef folder, llvm::StringRef key, ValidationResult &result);

  /// Windows that are finished; whether the job is.
  size_t nextWindow() const { return next; }
  bool isFinished() const { return finished; }

  /// Adds what `result` has more than when this was last called. An error leaves
  /// the parts that were written before.
  llvm::Error append(const ValidationResult &result, size_t nextWindow,
                     bool isFinished);

private:
  ValidationLog() = default;
  void read(PartReader in, ValidationResult &result);
  void noteState(const ValidationResult &result, size_t nextWindow,
                 bool isFinished);

  std::unique_ptr<JobLog> log;
  size_t next = 0, occurrences = 0, cases = 0;
  bool finished = false;
};

} // namespace weir

#endif // WEIR_LIB_DRIVER_VALIDATIONLOG_H
