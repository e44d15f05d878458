//===- KernelJob.cpp - Compiling a program's kernels ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelJob.h"

#include "weir/Cache/ResultCache.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/ToolProcess.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace weir;

static constexpr StringLiteral tensorName = "kernels";

/// Beside the program that runs: both are installed into one folder.
static std::string findCodegen() {
  SmallString<256> path;
  if (llvm::sys::fs::real_path("/proc/self/exe", path))
    return {};
  llvm::sys::path::remove_filename(path);
  llvm::sys::path::append(path, "weir-codegen");
  return llvm::sys::fs::can_execute(path) ? path.str().str() : std::string();
}

static LogicalResult runCodegen(MLIRContext *context, StringRef input,
                                StringRef output) {
  Location where = UnknownLoc::get(context);
  std::string tool = findCodegen();
  if (tool.empty())
    return emitError(where) << "kernels are compiled by weir-codegen, which is not "
                               "beside this program: install Weir whole, or build "
                               "with --lower=aten";
  if (auto failure = runProgram({tool, input, "-o", output}))
    return emitError(where) << "weir-codegen failed" << *failure
                            << "; --lower=aten needs no kernels";
  return success();
}

static llvm::Error writeBytes(StringRef path, ArrayRef<std::byte> bytes) {
  return writeAtomically(path, [&](StringRef temporary) -> llvm::Error {
    auto file = OutputFile::open(temporary);
    if (!file)
      return file.takeError();
    if (llvm::Error error = (*file)->write(bytes))
      return error;
    return (*file)->close();
  });
}

LogicalResult weir::compileKernels(ModuleOp kernels, StringRef path,
                                   StringRef cacheFolder) {
  MLIRContext *context = kernels.getContext();
  std::string text;
  llvm::raw_string_ostream(text) << kernels;
  std::string key = sha256("kernels " WEIR_VERSION " " LLVM_VERSION_STRING
                           " " LLVM_DEFAULT_TARGET_TRIPLE "\n" +
                           text);
  auto fail = [&](llvm::Error error) -> LogicalResult {
    return emitError(UnknownLoc::get(context)) << llvm::toString(std::move(error));
  };

  std::optional<ResultCache> cache;
  if (auto opened = ResultCache::open(cacheFolder))
    cache = std::move(*opened);
  else
    llvm::consumeError(opened.takeError());
  if (cache) {
    auto found = cache->find(key);
    if (!found) {
      llvm::consumeError(found.takeError());
      llvm::consumeError(cache->remove(key));
    } else if (*found) {
      auto bytes = (*found)->tensor(tensorName, DType::UInt8, {-1});
      if (bytes) {
        if (llvm::Error error =
                writeBytes(path, {bytes->data, bytes->numBytes()}))
          return fail(std::move(error));
        return success();
      }
      llvm::consumeError(bytes.takeError());
    }
  }

  std::string input = (path + ".mlir").str();
  if (llvm::Error error = writeTextAtomically(input, text))
    return fail(std::move(error));
  LogicalResult made = runCodegen(context, input, path);
  (void)llvm::sys::fs::remove(input);
  if (failed(made) || !cache)
    return made;
  auto file = FileMapping::open(path);
  if (!file)
    return fail(file.takeError());
  ArrayRef<std::byte> bytes = (*file)->bytes();
  NamedTensor tensor{tensorName.str(),
                     {DType::UInt8,
                      {static_cast<int64_t>(bytes.size())},
                      bytes.data(),
                      *file}};
  llvm::consumeError(
      cache->store(key, {tensor}, {{"about", "kernels of a program"}}));
  return success();
}
