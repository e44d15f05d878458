//===- ScratchProgram.cpp - A program that is run and thrown away ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScratchProgram.h"

#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Driver/OutputFolder.h"
#include "weir/Program/TensorSource.h"
#include "weir/Support/ThreadStop.h"
#include "weir/Support/ToolProcess.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <optional>
#include <unistd.h>

using namespace mlir;
using namespace weir;

static std::string below(StringRef folder, StringRef name) {
  SmallString<256> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

llvm::Error weir::openScratchProgram(
    Compiler &compiler, std::string folder,
    llvm::function_ref<llvm::Error(StringRef path)> open) {
  std::optional<Unstopped> whole;
  if (folder.empty()) {
    SmallString<256> unique;
    whole.emplace();
    if (std::error_code code =
            llvm::sys::fs::createUniqueDirectory("weir-program", unique))
      return llvm::createStringError(code, "cannot make a temporary folder: " +
                                               code.message());
    folder = unique.str().str();
  } else {
    if (llvm::Error error = removeArtefact(below(folder, "program")))
      return error;
    if (std::error_code code = llvm::sys::fs::create_directories(folder))
      return llvm::createStringError(code, "cannot make '" + folder +
                                               "': " + code.message());
  }
  std::string path = below(folder, "program");
  ScratchFolder outer(folder), inner(path);
  whole.reset();
  llvm::scope_exit remove([&] {
    llvm::consumeError(removeArtefact(path));
    ::rmdir(folder.c_str());
  });
  if (failed(compiler.lower()) || failed(compiler.write(path)))
    return llvm::make_error<ReportedError>();
  return open(path);
}

LogicalResult
weir::withScratchProgram(Compiler &compiler,
                         llvm::function_ref<llvm::Error(StringRef path)> open) {
  llvm::Error error = openScratchProgram(compiler, "", open);
  if (!error)
    return success();
  if (error.isA<ReportedError>()) {
    llvm::consumeError(std::move(error));
    return failure();
  }
  return emitError(UnknownLoc::get(compiler.module().getContext()))
         << llvm::toString(std::move(error));
}

OwningOpRef<ModuleOp> weir::specWithoutProgram(ModuleOp module) {
  OwningOpRef<ModuleOp> result = ModuleOp::create(module.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(result->getBody());
  IRMapping mapping;
  for (Operation &op : module.getOps())
    if (!isa<fx::ProgramOp>(op))
      builder.clone(op, mapping);
  return result;
}
