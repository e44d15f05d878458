//===- JobLog.cpp - What a run that was killed has finished ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JobLog.h"

#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

using namespace weir;
using llvm::createStringError;
using llvm::StringRef;

static constexpr size_t hashDigits = 64;

static std::string error(StringRef path) {
  return ("'" + path + "': " + std::strerror(errno)).str();
}

/// A part as it stands in the file.
static std::string framed(const PartWriter &part) {
  PartWriter out;
  out.put<uint64_t>(part.bytes.size());
  return out.bytes + sha256(StringRef(part.bytes)) + part.bytes;
}

llvm::Expected<std::unique_ptr<JobLog>>
JobLog::open(StringRef folder, StringRef key, StringRef kind,
             llvm::function_ref<void(PartReader)> part) {
  if (std::error_code code = llvm::sys::fs::create_directories(folder))
    return createStringError(code, "cannot make '" + folder +
                                       "': " + code.message());
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, key + "." + kind);
  auto lock = JobLock::take((path + ".lock").str(), "computing the same");
  if (!lock)
    return lock.takeError();
  std::unique_ptr<JobLog> log(new JobLog(
      path.str().str(), ("weir-" + kind + "-1\n").str(), std::move(*lock)));
  if (llvm::Error problem = log->openFile())
    return std::move(problem);
  if (llvm::Error problem = log->read(part))
    return std::move(problem);
  return std::move(log);
}

JobLog::~JobLog() {
  if (file >= 0)
    ::close(file);
}

llvm::Error JobLog::openFile() {
  if (file >= 0)
    ::close(file);
  file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (file < 0)
    return createStringError("cannot open " + error(path));
  return llvm::Error::success();
}

llvm::Error JobLog::read(llvm::function_ref<void(PartReader)> take) {
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
    rest = rest.drop_front(sizeof(length) + hashDigits + length);
    size += sizeof(length) + hashDigits + length;
    take(PartReader(part.take_front(length)));
  }
  // What a kill cut short goes.
  if (::ftruncate(file, static_cast<off_t>(size)) != 0)
    return createStringError("cannot write " + error(path));
  return llvm::Error::success();
}

llvm::Error JobLog::append(const PartWriter &part) {
  const std::string bytes = (size == 0 ? magic : "") + framed(part);
  for (size_t done = 0; done < bytes.size();) {
    ssize_t count =
        ::pwrite(file, bytes.data() + done, bytes.size() - done,
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
  size += bytes.size();
  return llvm::Error::success();
}

llvm::Error JobLog::replace(const PartWriter &part) {
  const std::string bytes = magic + framed(part);
  if (llvm::Error problem = writeTextAtomically(path, bytes))
    return createStringError(llvm::toString(std::move(problem)) +
                             "; what was finished before is kept");
  size = bytes.size();
  return openFile();
}
