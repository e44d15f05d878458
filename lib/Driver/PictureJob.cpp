//===- PictureJob.cpp - Pictures and stories of graphs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/PictureJob.h"

#include "weir/Driver/PythonTool.h"
#include "weir/Support/JobFolder.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

using namespace mlir;
using namespace weir;

bool PictureJob::draws(StringRef path) {
  StringRef extension = llvm::sys::path::extension(path);
  return extension == ".html" || extension == ".svg";
}

LogicalResult PictureJob::run(const char *argv0, MLIRContext &context,
                              GraphReport graphs) const {
  // For this user only, and gone whatever happens.
  llvm::Expected<std::unique_ptr<JobFolder>> folder = JobFolder::make("weir-graphs");
  if (!folder)
    return emitError(UnknownLoc::get(&context))
           << llvm::toString(folder.takeError());
  const std::string path = (*folder)->file("graphs.json");
  auto fail = [&](const std::string &message) {
    return emitError(UnknownLoc::get(&context))
           << "cannot write a temporary file: " << path << ": " << message;
  };
  std::error_code code;
  llvm::raw_fd_ostream os(path, code);
  if (code)
    return fail(code.message());
  graphs.writeJSON(os);
  os.close();
  if (os.has_error()) {
    std::string message = os.error().message();
    os.clear_error();
    return fail(message);
  }
  // Python needs room for as much again.
  graphs = {};
#ifdef __GLIBC__
  malloc_trim(0);
#endif

  std::vector<std::string> arguments = {"picture", path};
  auto add = [&](const std::string &option, const std::string &value) {
    // One word: a value may begin with a dash.
    if (!value.empty())
      arguments.push_back(option + "=" + value);
  };
  if (output.empty())
    arguments.push_back("--story");
  add("--output", output);
  add("--features", features);
  add("--text", text);
  if (!text.empty()) {
    add("--spec", spec);
    add("--model", model);
    add("--cache", cache);
    if (maxTokens)
      add("--max-tokens", std::to_string(*maxTokens));
  }
  return runPythonTool(argv0, context, arguments);
}
