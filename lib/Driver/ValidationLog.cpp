//===- ValidationLog.cpp - What a validation that was killed has finished ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ValidationLog.h"

using namespace weir;
using llvm::StringRef;

llvm::Expected<std::unique_ptr<ValidationLog>>
ValidationLog::open(StringRef folder, StringRef key, ValidationResult &result) {
  std::unique_ptr<ValidationLog> made(new ValidationLog);
  auto log = JobLog::open(folder, key, "validation", [&](PartReader part) {
    made->read(part, result);
  });
  if (!log)
    return log.takeError();
  made->log = std::move(*log);
  made->noteState(result, made->next, made->finished);
  return std::move(made);
}

void ValidationLog::noteState(const ValidationResult &result, size_t nextWindow,
                              bool isFinished) {
  occurrences = result.occurrences.size();
  cases = result.cases.size();
  next = nextWindow;
  finished = isFinished;
}

void ValidationLog::read(PartReader in, ValidationResult &result) {
  next = in.get<uint64_t>();
  finished = in.get<uint8_t>();
  for (uint64_t left = in.get<uint64_t>(); left > 0; --left)
    result.occurrences.push_back(in.get<ValidationOccurrence>());
  for (uint64_t left = in.get<uint64_t>(); left > 0; --left) {
    ValidationCase made;
    made.occurrence = in.get<uint32_t>();
    made.method = in.get<ValidationMethod>();
    made.before = in.get<float>();
    made.after = in.get<float>();
    made.loss = in.get<double>();
    made.lossAfter = in.get<double>();
    made.predecessors.resize(in.get<uint32_t>());
    for (ValidationFeature &feature : made.predecessors)
      feature = in.get<ValidationFeature>();
    result.cases.push_back(std::move(made));
  }
}

llvm::Error ValidationLog::append(const ValidationResult &result,
                                  size_t nextWindow, bool isFinished) {
  PartWriter part;
  part.put<uint64_t>(nextWindow);
  part.put<uint8_t>(isFinished);
  part.put<uint64_t>(result.occurrences.size() - occurrences);
  for (size_t i = occurrences; i < result.occurrences.size(); ++i)
    part.put(result.occurrences[i]);
  part.put<uint64_t>(result.cases.size() - cases);
  for (size_t i = cases; i < result.cases.size(); ++i) {
    const ValidationCase &made = result.cases[i];
    part.put(made.occurrence);
    part.put(made.method);
    part.put(made.before);
    part.put(made.after);
    part.put(made.loss);
    part.put(made.lossAfter);
    part.put<uint32_t>(made.predecessors.size());
    for (const ValidationFeature &feature : made.predecessors)
      part.put(feature);
  }
  if (llvm::Error problem = log->append(part))
    return problem;
  noteState(result, nextWindow, isFinished);
  return llvm::Error::success();
}
