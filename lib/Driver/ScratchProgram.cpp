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

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <unistd.h>

using namespace mlir;
using namespace weir;

LogicalResult
weir::withScratchProgram(Compiler &compiler,
                         llvm::function_ref<llvm::Error(StringRef path)> open) {
  Location where = UnknownLoc::get(compiler.module().getContext());
  SmallString<256> folder;
  if (std::error_code code =
          llvm::sys::fs::createUniqueDirectory("weir-program", folder))
    return emitError(where) << "cannot make a temporary folder: "
                            << code.message();
  SmallString<256> path(folder);
  llvm::sys::path::append(path, "program");
  ScratchFolder outer(folder), inner(path);
  llvm::scope_exit remove([&] {
    llvm::consumeError(removeArtefact(path));
    ::rmdir(folder.c_str());
  });
  if (failed(compiler.lower()) || failed(compiler.write(path)))
    return failure();
  if (llvm::Error error = open(path))
    return emitError(where) << llvm::toString(std::move(error));
  return success();
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
