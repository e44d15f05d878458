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

/// What the running tool was installed into: PREFIX of PREFIX/bin/weirc.
static std::string prefixOf(const char *argv0) {
  static int anchor;
  std::string tool = llvm::sys::fs::getMainExecutable(argv0, &anchor);
  return llvm::sys::path::parent_path(llvm::sys::path::parent_path(tool)).str();
}

static std::string below(StringRef folder, const llvm::Twine &a,
                         const llvm::Twine &b = "", const llvm::Twine &c = "") {
  SmallString<256> path(folder);
  llvm::sys::path::append(path, a, b, c);
  return path.str().str();
}

static std::string findPython(StringRef prefix) {
  if (auto named = llvm::sys::Process::GetEnv("WEIR_PYTHON"))
    return *named;
  // A virtual environment that it was installed into, or that it was built with.
  std::string own = below(prefix, "bin", "python");
  if (llvm::sys::fs::exists(below(prefix, "pyvenv.cfg")) &&
      llvm::sys::fs::can_execute(own))
    return own;
  if (llvm::sys::fs::can_execute(WEIR_DEFAULT_PYTHON))
    return WEIR_DEFAULT_PYTHON;
  auto found = llvm::sys::findProgramByName("python3");
  return found ? *found : std::string();
}

LogicalResult weir::runPythonTool(const char *argv0, MLIRContext &context,
                                  ArrayRef<std::string> arguments) {
  Location where = UnknownLoc::get(&context);
  std::string prefix = prefixOf(argv0);
  std::string python = findPython(prefix);
  if (python.empty())
    return emitError(where) << "this step needs Python: set WEIR_PYTHON to an "
                               "interpreter that has torch";
  std::string path = below(prefix, WEIR_PYTHON_PACKAGES);
  if (llvm::sys::fs::is_directory(below(path, "weir"))) {
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
  if (auto failure = runProgram(command))
    return emitError(where) << "`python -m weir " << arguments.front()
                            << "` failed" << *failure;
  return success();
}
