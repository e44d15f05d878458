//===- ChatJob.h - What weirc chat does ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_CHATJOB_H
#define WEIR_RUNTIME_CHATJOB_H

#include "llvm/Support/raw_ostream.h"

namespace weir {

/// Renders chats as a program would see them, in one process for all.
///
/// Every line of `input` is a JSON object: "template" (Jinja), "messages", and,
/// if wanted, "tools", "variables" (an object: the special tokens and whatever
/// else the template reads), "add_generation_prompt" (false unless given, as in
/// transformers) and "continue_final_message". Every line of `out` is the JSON
/// object of one result: "text", or "error". Empty lines are skipped.
///
/// Returns the exit code: 0, also where a chat gave an error; 2 if `out` cannot
/// be written.
int runChatJob(llvm::StringRef input, llvm::raw_fd_ostream &out);

} // namespace weir

#endif // WEIR_RUNTIME_CHATJOB_H
