//===- PythonTool.cpp - Steps that only Python can do ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/PythonTool.h"

#include "weir/Support/ToolProcess.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

#include <cstdlib>

using namespace mlir;
using namespace weir;

/// The source tree of a tool in build/bin, where there is one.
static std::string sourceTree(const char *argv0) {
  static int anchor;
  std::string tool = llvm::sys::fs::getMainExecutable(argv0, &anchor);
  StringRef bin = llvm::sys::path::parent_path(tool);
  return llvm::sys::path::parent_path(llvm::sys::path::parent_path(bin)).str();
}

static std::string findPython(StringRef tree) {
  if (auto named = llvm::sys::Process::GetEnv("WEIR_PYTHON"))
    return *named;
  SmallString<256> venv(tree);
  llvm::sys::path::append(venv, ".venv", "bin", "python");
  if (llvm::sys::fs::can_execute(venv))
    return venv.str().str();
  auto found = llvm::sys::findProgramByName("python3");
  return found ? *found : std::string();
}

LogicalResult weir::runPythonTool(const char *argv0, MLIRContext &context,
                                  ArrayRef<std::string> arguments) {
  Location where = UnknownLoc::get(&context);
  std::string tree = sourceTree(argv0);
  std::string python = findPython(tree);
  if (python.empty())
    return emitError(where) << "this step needs Python: set WEIR_PYTHON to an "
                               "interpreter that has torch";
  SmallString<256> package(tree);
  llvm::sys::path::append(package, "python");
  if (llvm::sys::fs::is_directory(package)) {
    std::string path = package.str().str();
    // An empty part of it would be the current folder, see below.
    if (auto old = llvm::sys::Process::GetEnv("PYTHONPATH"))
      for (StringRef part : llvm::split(*old, ':'))
        if (!part.empty())
          path += (":" + part).str();
    ::setenv("PYTHONPATH", path.c_str(), 1);
  }
  // -P: modules are not looked for in the current folder, which may be that of
  // somebody else's spec.
  SmallVector<StringRef> command = {python, "-P", "-m", "weir"};
  command.append(arguments.begin(), arguments.end());
  std::string message;
  bool notStarted = false;
  llvm::sys::ProcessInfo process = llvm::sys::ExecuteNoWait(
      python, command, std::nullopt, {}, 0, &message, &notStarted);
  int code = -1;
  if (!notStarted) {
    ChildProcess child(process.Pid);
    code = llvm::sys::Wait(process, std::nullopt, &message).ReturnCode;
  }
  if (code == 0)
    return success();
  return emitError(where) << "`python -m weir " << arguments.front()
                          << "` failed"
                          << (message.empty() ? " with exit code " +
                                                    std::to_string(code)
                                              : ": " + message);
}
