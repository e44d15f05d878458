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
#include "weir/Support/JobFolder.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace weir;

static std::string below(StringRef folder, StringRef name) {
  SmallString<256> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

static llvm::Error writeAndOpen(Compiler &compiler, StringRef path,
                                llvm::function_ref<llvm::Error(StringRef)> open) {
  if (failed(compiler.lower()) || failed(compiler.writeScratch(path)))
    return llvm::make_error<ReportedError>();
  return open(path);
}

llvm::Error weir::openScratchProgram(
    Compiler &compiler, const std::string &folder,
    llvm::function_ref<llvm::Error(StringRef path)> open) {
  constexpr StringLiteral name = "program.pt2";
  if (folder.empty()) {
    auto made = JobFolder::make("weir-program");
    if (!made)
      return made.takeError();
    return writeAndOpen(compiler, (*made)->file(name), open);
  }
  // Older versions wrote a whole artefact there.
  if (llvm::Error error = removeArtefact(below(folder, "program")))
    return error;
  if (std::error_code code = llvm::sys::fs::create_directories(folder))
    return llvm::createStringError(code, "cannot make '" + folder +
                                             "': " + code.message());
  ScratchFolder removal(folder);
  llvm::Error error = writeAndOpen(compiler, below(folder, name), open);
  removal.remove();
  return error;
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
