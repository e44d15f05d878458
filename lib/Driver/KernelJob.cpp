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
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace weir;

/// In cache entries: a file, and the names of what else is in them.
static constexpr StringLiteral fileName = "file";
static constexpr StringLiteral variantsName = "variants";

/// Beside the program that runs: both are installed into one folder.
static std::string findCodegen() {
  SmallString<256> path;
  if (llvm::sys::fs::real_path("/proc/self/exe", path))
    return {};
  llvm::sys::path::remove_filename(path);
  llvm::sys::path::append(path, "weir-codegen");
  return llvm::sys::fs::can_execute(path) ? path.str().str() : std::string();
}

static LogicalResult runCodegen(MLIRContext *context, StringRef tool,
                                StringRef input, StringRef output,
                                StringRef objects) {
  Location where = UnknownLoc::get(context);
  if (tool.empty())
    return emitError(where) << "kernels are compiled by weir-codegen, which is not "
                               "beside this program: install Weir whole, or build "
                               "with --lower=aten";
  if (auto failure =
          runProgram({tool, input, "-o", output, "--objects", objects}))
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

namespace {

/// Files under the hash of the text that they were made from and of what made
/// them. A cache that cannot be used costs time only.
class KernelCache {
public:
  KernelCache(StringRef folder, StringRef tool) {
    if (auto opened = ResultCache::open(folder))
      cache = std::move(*opened);
    else
      llvm::consumeError(opened.takeError());
    maker = WEIR_VERSION " " LLVM_VERSION_STRING " " LLVM_DEFAULT_TARGET_TRIPLE;
    if (auto file = FileMapping::open(tool)) {
      ArrayRef<std::byte> bytes = (*file)->bytes();
      maker += " " + sha256(StringRef(
                         reinterpret_cast<const char *>(bytes.data()),
                         bytes.size()));
    } else {
      llvm::consumeError(file.takeError());
    }
  }

  std::string keyOf(StringRef kind, StringRef text) const {
    return sha256((kind + " " + maker + "\n" + text).str());
  }

  std::optional<CachedResult> find(StringRef key) {
    if (!cache)
      return std::nullopt;
    auto found = cache->find(key);
    if (found)
      return std::move(*found);
    llvm::consumeError(found.takeError());
    llvm::consumeError(cache->remove(key));
    return std::nullopt;
  }

  /// Writes a file of an entry; false if the entry has none.
  static llvm::Expected<bool> write(const CachedResult &entry, StringRef name,
                                    StringRef path) {
    auto bytes = entry.tensor(name, DType::UInt8, {-1});
    if (!bytes) {
      llvm::consumeError(bytes.takeError());
      return false;
    }
    if (llvm::Error error = writeBytes(path, {bytes->data, bytes->numBytes()}))
      return std::move(error);
    return true;
  }

  /// Keeps files, each under a name.
  void store(StringRef key, ArrayRef<std::pair<std::string, std::string>> files,
             std::map<std::string, std::string> strings) {
    if (!cache)
      return;
    SmallVector<NamedTensor> tensors;
    for (auto &[name, path] : files) {
      auto file = FileMapping::open(path);
      if (!file)
        return llvm::consumeError(file.takeError());
      ArrayRef<std::byte> bytes = (*file)->bytes();
      tensors.push_back({name,
                         {DType::UInt8,
                          {static_cast<int64_t>(bytes.size())},
                          bytes.data(),
                          *file}});
    }
    llvm::consumeError(cache->store(key, tensors, std::move(strings)));
  }

private:
  std::optional<ResultCache> cache;
  std::string maker;
};

/// The objects of a module's kernels in a folder, NAME.VARIANT.o: those that some
/// build before made, and afterwards the others, for the next one.
class KernelObjects {
public:
  KernelObjects(ModuleOp kernels, StringRef folder, KernelCache &cache)
      : folder(folder), cache(cache) {
    for (Operation &op : *kernels.getBody()) {
      std::string text;
      llvm::raw_string_ostream os(text);
      op.print(os, OpPrintingFlags().useLocalScope());
      all.push_back({SymbolTable::getSymbolName(&op).str(),
                     cache.keyOf("kernel", text), false});
    }
  }

  llvm::Error fetch() {
    for (Kernel &kernel : all) {
      std::optional<CachedResult> entry = cache.find(kernel.key);
      if (!entry)
        continue;
      auto variants = entry->text(variantsName);
      if (!variants) {
        llvm::consumeError(variants.takeError());
        continue;
      }
      SmallVector<StringRef> names;
      StringRef(*variants).split(names, ' ', -1, /*KeepEmpty=*/false);
      kernel.isKnown = !names.empty();
      for (StringRef variant : names) {
        auto wrote = KernelCache::write(*entry, variant, pathOf(kernel, variant));
        if (!wrote)
          return wrote.takeError();
        kernel.isKnown &= *wrote;
      }
    }
    return llvm::Error::success();
  }

  void store() {
    for (const Kernel &kernel : all) {
      if (kernel.isKnown)
        continue;
      SmallVector<std::pair<std::string, std::string>> files;
      std::string variants;
      std::error_code code;
      for (llvm::sys::fs::directory_iterator at(folder, code), end;
           !code && at != end; at.increment(code)) {
        StringRef variant = llvm::sys::path::filename(at->path());
        if (!variant.consume_front(kernel.name + ".") ||
            !variant.consume_back(".o"))
          continue;
        files.push_back({variant.str(), at->path()});
      }
      llvm::sort(files);
      for (auto &[variant, path] : files)
        variants += (variants.empty() ? "" : " ") + variant;
      if (!files.empty())
        cache.store(kernel.key, files,
                    {{"about", "a kernel"}, {variantsName.str(), variants}});
    }
  }

private:
  struct Kernel {
    std::string name, key;
    bool isKnown;
  };
  std::string pathOf(const Kernel &kernel, StringRef variant) const {
    SmallString<256> path(folder);
    llvm::sys::path::append(path, kernel.name + "." + variant + ".o");
    return path.str().str();
  }

  std::string folder;
  KernelCache &cache;
  std::vector<Kernel> all;
};

} // namespace

LogicalResult weir::compileKernels(ModuleOp kernels, StringRef path,
                                   StringRef cacheFolder) {
  MLIRContext *context = kernels.getContext();
  auto fail = [&](llvm::Error error) -> LogicalResult {
    return emitError(UnknownLoc::get(context)) << llvm::toString(std::move(error));
  };
  std::string text;
  llvm::raw_string_ostream(text) << kernels;
  std::string tool = findCodegen();
  KernelCache cache(cacheFolder, tool);
  std::string key = cache.keyOf("kernels", text);
  if (std::optional<CachedResult> entry = cache.find(key)) {
    auto wrote = KernelCache::write(*entry, fileName, path);
    if (!wrote)
      return fail(wrote.takeError());
    if (*wrote)
      return success();
  }

  std::string input = (path + ".mlir").str(), folder = (path + ".objects").str();
  if (std::error_code code = llvm::sys::fs::create_directory(folder))
    return fail(llvm::createStringError(code, folder + ": " + code.message()));
  llvm::scope_exit removeFiles([&] {
    (void)llvm::sys::fs::remove(input);
    (void)llvm::sys::fs::remove_directories(folder);
  });
  KernelObjects objects(kernels, folder, cache);
  if (llvm::Error error = objects.fetch())
    return fail(std::move(error));
  if (llvm::Error error = writeTextAtomically(input, text))
    return fail(std::move(error));
  if (failed(runCodegen(context, tool, input, path, folder)))
    return failure();
  objects.store();
  cache.store(key, {{fileName.str(), path.str()}},
              {{"about", "kernels of a program"}});
  return success();
}
