//===- Requests.h - What the rows of a batch ask for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_REQUESTS_H
#define WEIR_RUNTIME_REQUESTS_H

#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir {

/// One row as its author wrote it; what is left out comes from the command line.
struct Request {
  std::string prompt;   ///< or, if not empty, the conversation
  std::string messages; ///< a JSON list, rendered with the chat template
  std::string tools;    ///< a JSON list for the template, or empty
  std::optional<std::string> plan;
  std::vector<std::pair<std::string, double>> knobs;
  std::optional<double> temperature, topP;
  std::optional<uint64_t> seed;
  std::optional<int64_t> topK;
  std::optional<double> repetitionPenalty, frequencyPenalty;
  std::optional<std::vector<std::string>> stop;
  size_t line = 0; ///< of its file, from 1; 0 for a prompt of the command line
};

/// One prompt a line; empty lines are skipped, a final carriage return and a byte
/// order mark at the beginning dropped.
std::vector<Request> parsePromptLines(llvm::StringRef text);

/// JSON Lines, one object a row:
///   {"prompt": "…", "plan": "default", "knobs": {"faith": 2.0},
///    "temperature": 0.7, "top_p": 0.9, "seed": 1, "top_k": 40,
///    "repetition_penalty": 1.1, "frequency_penalty": 0.5, "stop": ["\n"]}
/// "messages": [{"role": "user", "content": "…"}] may stand for the prompt, with
/// "tools" beside it; a content may be a list of parts, and a message have other
/// keys that the model's template reads.
/// Errors name the line: malformed JSON, a key that is not known, a value of
/// another type, neither or both of prompt and messages.
llvm::Expected<std::vector<Request>> parseRequests(llvm::StringRef text);

/// A knob and its values: one for all rows, or one a row.
using KnobAssignment = std::pair<std::string, std::vector<double>>;
/// "name=value" or "name=value,value,…" with finite numbers.
llvm::Expected<KnobAssignment> parseKnobAssignment(llvm::StringRef text);

} // namespace weir

#endif // WEIR_RUNTIME_REQUESTS_H
