//===- ResultFiles.cpp - Tables and plots that commands write ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/ResultFiles.h"

#include "weir/Driver/PythonTool.h"
#include "weir/Support/Files.h"
#include "weir/Support/JobFolder.h"
#include "weir/Support/Json.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace weir;

/// What weir.plots writes into the files that it makes.
static constexpr StringLiteral plotMark = "weir plot";

/// An error if a file is there that does not hold `mark` near its beginning.
static llvm::Error checkReplaceable(StringRef path, StringRef mark) {
  if (!holdsSomething(path))
    return llvm::Error::success();
  auto file = FileMapping::open(path);
  if (!file)
    return file.takeError();
  if ((*file)->text().take_front(8192).contains(mark))
    return llvm::Error::success();
  return llvm::createStringError(
      "'" + path + "' is no older result of this command and is not replaced; "
      "remove it, or choose another name");
}

llvm::Error ResultFiles::check(StringRef head) const {
  if (!table.empty()) {
    if (llvm::sys::path::extension(table) != ".csv")
      return llvm::createStringError("'" + table +
                                     "': a table's name ends in .csv");
    if (llvm::Error error = checkReplaceable(table, head))
      return error;
  }
  for (const std::string &plot : plots) {
    StringRef extension = llvm::sys::path::extension(plot);
    if (extension != ".svg" && extension != ".png")
      return llvm::createStringError("'" + plot +
                                     "': a plot's name ends in .svg or .png");
    if (llvm::Error error = checkReplaceable(plot, plotMark))
      return error;
  }
  return llvm::Error::success();
}

LogicalResult ResultFiles::write(MLIRContext &context, const char *argv0,
                                 StringRef command, StringRef csv,
                                 const llvm::json::Object &results) const {
  Location where = UnknownLoc::get(&context);
  if (!table.empty())
    if (llvm::Error error = writeTextAtomically(table, csv))
      return emitError(where) << llvm::toString(std::move(error));
  if (plots.empty())
    return success();
  auto folder = JobFolder::make("weir-plot");
  if (!folder)
    return emitError(where) << llvm::toString(folder.takeError());
  const std::string path = (*folder)->file("results.json");
  if (llvm::Error error = writeTextAtomically(path, printJSON(results)))
    return emitError(where) << llvm::toString(std::move(error));
  std::vector<std::string> arguments = {"plot", command.str(),
                                        path};
  llvm::append_range(arguments, plots);
  return runPythonTool(argv0, context, arguments);
}
