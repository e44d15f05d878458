//===- ValidationLog.cpp - What a run that was killed has finished ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ValidationLog.h"

#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

using namespace weir;
using llvm::createStringError;
using llvm::StringRef;

static constexpr StringRef magic = "weir-validation-1\n";
static constexpr size_t hashDigits = 64;

namespace {

class PartWriter {
public:
  template <typename T> void put(const T &number) {
    bytes.append(reinterpret_cast<const char *>(&number), sizeof(number));
  }
  std::string bytes;
};

/// A part whose hash was right: it is as it was written.
class PartReader {
public:
  explicit PartReader(StringRef bytes) : rest(bytes) {}
  template <typename T> T get() {
    T number{};
    if (rest.size() >= sizeof(number))
      std::memcpy(&number, rest.data(), sizeof(number));
    rest = rest.drop_front(std::min(rest.size(), sizeof(number)));
    return number;
  }

private:
  StringRef rest;
};

} // namespace

static std::string error(StringRef path) {
  return ("'" + path + "': " + std::strerror(errno)).str();
}

llvm::Expected<std::unique_ptr<ValidationLog>>
ValidationLog::open(StringRef folder, StringRef key, ValidationResult &result) {
  if (std::error_code code = llvm::sys::fs::create_directories(folder))
    return createStringError(code, "cannot make '" + folder +
                                       "': " + code.message());
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, key + ".validation");
  auto lock = JobLock::take((path + ".lock").str(), "computing the same");
  if (!lock)
    return lock.takeError();
  std::unique_ptr<ValidationLog> log(
      new ValidationLog(path.str().str(), std::move(*lock)));
  if (llvm::Error problem = log->read(result))
    return std::move(problem);
  return std::move(log);
}

ValidationLog::~ValidationLog() {
  if (file >= 0)
    ::close(file);
}

llvm::Error ValidationLog::read(ValidationResult &result) {
  file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (file < 0)
    return createStringError("cannot open " + error(path));
  auto opened = FileMapping::open(path);
  if (!opened)
    return opened.takeError();
  StringRef text = (*opened)->text();
  StringRef rest = text;
  rest.consume_front(magic);
  if (rest.size() != text.size())
    size = magic.size();
  while (size > 0) {
    uint64_t length = 0;
    if (rest.size() < sizeof(length) + hashDigits)
      break;
    std::memcpy(&length, rest.data(), sizeof(length));
    StringRef hash = rest.substr(sizeof(length), hashDigits);
    StringRef part = rest.drop_front(sizeof(length) + hashDigits);
    if (part.size() < length || sha256(part.take_front(length)) != hash)
      break;
    part = part.take_front(length);
    rest = rest.drop_front(sizeof(length) + hashDigits + length);
    size += sizeof(length) + hashDigits + length;

    PartReader in(part);
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
  occurrences = result.occurrences.size();
  cases = result.cases.size();
  // What a kill cut short goes.
  if (::ftruncate(file, static_cast<off_t>(size)) != 0)
    return createStringError("cannot write " + error(path));
  return llvm::Error::success();
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
  PartWriter out;
  if (size == 0)
    out.bytes = magic.str();
  out.put<uint64_t>(part.bytes.size());
  out.bytes += sha256(StringRef(part.bytes)) + part.bytes;
  for (size_t done = 0; done < out.bytes.size();) {
    ssize_t count = ::pwrite(file, out.bytes.data() + done,
                             out.bytes.size() - done,
                             static_cast<off_t>(size + done));
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0) {
      std::string why = error(path);
      (void)::ftruncate(file, static_cast<off_t>(size));
      return createStringError("cannot write " + why +
                               "; what was finished before is kept");
    }
    done += count;
  }
  size += out.bytes.size();
  occurrences = result.occurrences.size();
  cases = result.cases.size();
  next = nextWindow;
  finished = isFinished;
  return llvm::Error::success();
}
