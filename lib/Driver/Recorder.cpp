//===- Recorder.cpp - A program that records, run over a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Recorder.h"

#include "weir/Driver/OutputFolder.h"
#include "weir/Support/TemporaryFile.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <unistd.h>

using namespace mlir;
using namespace weir;
using llvm::createStringError;
namespace fs = llvm::sys::fs;

llvm::Expected<std::unique_ptr<RecordedActivations>>
weir::openRecorder(Compiler &compiler, TorchRuntime &runtime,
                   const TokenWindows &windows, RecorderOptions options) {
  std::string folder = options.folder;
  auto below = [](StringRef outer, StringRef name) {
    SmallString<256> path(outer);
    llvm::sys::path::append(path, name);
    return path.str().str();
  };
  if (folder.empty()) {
    SmallString<256> unique;
    if (std::error_code code = fs::createUniqueDirectory("weir-record", unique))
      return createStringError(code, "cannot make a temporary folder: " +
                                         code.message());
    folder = unique.str().str();
  } else {
    if (llvm::Error error = removeArtefact(below(folder, "program")))
      return std::move(error);
    if (std::error_code code = fs::create_directories(folder))
      return createStringError(code, "cannot make '" + folder +
                                         "': " + code.message());
  }
  std::string path = below(folder, "program");
  ScratchFolder outer(folder), inner(path);
  llvm::scope_exit remove([&] {
    llvm::consumeError(removeArtefact(path));
    ::rmdir(folder.c_str());
  });
  if (failed(compiler.lower()) || failed(compiler.write(path)))
    return createStringError(
        "the program that records cannot be made; the messages before this one "
        "say why");
  if (options.stage)
    options.stage("loading the program");
  return runtime.openActivations(path, options.operators, windows,
                                 options.stream);
}
