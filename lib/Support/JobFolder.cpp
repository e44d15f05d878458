//===- JobFolder.cpp - The files of one job ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/JobFolder.h"

#include "weir/Support/ThreadStop.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

namespace weir {

llvm::Expected<std::unique_ptr<JobFolder>> JobFolder::make(llvm::StringRef name) {
  llvm::SmallString<256> path;
  Unstopped whole;
  if (std::error_code code = llvm::sys::fs::createUniqueDirectory(name, path))
    return llvm::createStringError(code, "cannot make a temporary folder: " +
                                             code.message());
  return std::unique_ptr<JobFolder>(new JobFolder(path.str().str()));
}

std::string JobFolder::file(llvm::StringRef name) const {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

} // namespace weir
