//===- Judge.h - Asking a command that rates texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A judge is a command of the user's that gets JSON, one object a line, on its
// standard input and answers one object a line on its standard output, in any
// order; "id" says which question an answer belongs to. Its standard error is
// that of the tool.
//
//   {"id": 0, "kind": "text", "prompt": "I think", "text": " of war."}
//   {"id": 0, "score": 0.75}                       0 to 1
//
//   {"id": 0, "kind": "pair", "features": ["11/res/743", "12/res/1438"],
//    "contexts": [[{"text": "at war with", "token": " war", "activation": 3.1},
//                  …], […]]}
//   {"id": 0, "verdict": "SAME"}                   SAME, MAYBE or DIFFERENT
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_JUDGE_H
#define WEIR_DRIVER_JUDGE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <string>
#include <vector>

namespace weir {

class Judge {
public:
  /// `command` is given to /bin/sh; it may take `seconds` for all questions of a
  /// call together.
  Judge(std::string command, double seconds)
      : command(std::move(command)), seconds(seconds) {}

  /// Scores from 0 to 1 of questions of the kind "text". Errors of both: the
  /// command cannot be started, ends with another exit code than 0, takes too
  /// long (it is ended, with all that it started), writes more than 64 MiB, or
  /// answers what is no answer; the line that is none is shown. Questions must
  /// have no "id".
  llvm::Expected<std::vector<double>>
  scores(std::vector<llvm::json::Object> questions) const;
  /// "SAME", "MAYBE" or "DIFFERENT" for questions of the kind "pair".
  llvm::Expected<std::vector<std::string>>
  verdicts(std::vector<llvm::json::Object> questions) const;

private:
  llvm::Expected<std::string> run(llvm::StringRef input) const;
  /// The answers in the order of the questions, each read by `read`.
  template <typename T, typename Read>
  llvm::Expected<std::vector<T>> ask(std::vector<llvm::json::Object> questions,
                                     Read read) const;

  std::string command;
  double seconds;
};

} // namespace weir

#endif // WEIR_DRIVER_JUDGE_H
