//===- Loader.cpp - Loads libWeirTorch.so on demand ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Entry.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <dlfcn.h>
#include <link.h>

using namespace llvm;

namespace weir {

static constexpr StringLiteral libraryName = "libWeirTorch.so";

/// The file that this code is in: a program, or a shared library such as
/// libweir_matching.so. Without links, so that its neighbours are found where it
/// was installed.
static Expected<std::string> ownFile() {
  Dl_info info;
  link_map *map = nullptr;
  std::string name;
  if (::dladdr1(reinterpret_cast<void *>(&ownFile), &info,
                reinterpret_cast<void **>(&map), RTLD_DL_LINKMAP) != 0 &&
      map)
    name = map->l_name;
  // The program itself has no name there, and argv[0] is what somebody says.
  if (name.empty())
    name = "/proc/self/exe";
  SmallString<256> path;
  if (std::error_code code = sys::fs::real_path(name, path))
    return createStringError(code, formatv("cannot find the file of this "
                                           "program: {0}: {1}",
                                           name, code.message()));
  return path.str().str();
}

/// Only where it was built or installed: beside a library in lib/, in lib/ beside
/// bin/ of a program.
static Expected<std::string> findLibrary() {
  Expected<std::string> self = ownFile();
  if (!self)
    return self.takeError();
  StringRef folder = sys::path::parent_path(*self);
  SmallString<256> beside(folder), inLib(sys::path::parent_path(folder));
  sys::path::append(beside, libraryName);
  sys::path::append(inLib, "lib", libraryName);
  for (StringRef path : {StringRef(inLib), StringRef(beside)})
    if (sys::fs::exists(path))
      return path.str();
  return createStringError(
      formatv("this needs LibTorch, and '{0}' is not there: install Weir whole",
              inLib));
}

static Expected<const TorchEntry *> loadEntry() {
  Expected<std::string> path = findLibrary();
  if (!path)
    return path.takeError();
  void *library = ::dlopen(path->c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (!library)
    return createStringError(
        formatv("LibTorch cannot be loaded: {0}", ::dlerror()));
  auto *function = reinterpret_cast<TorchEntryFunction *>(
      ::dlsym(library, "weirTorchEntry"));
  const TorchEntry *entry = function ? function() : nullptr;
  if (!entry || StringRef(entry->build) != WEIR_TORCH_BUILD)
    return createStringError(
        formatv("'{0}' is of another build than this program ({1}): build or "
                "install Weir whole",
                *path, WEIR_TORCH_BUILD));
  return entry;
}

/// Loaded once; an error is told to each who asks.
static Expected<const TorchEntry *> entry() {
  static const auto *result = new std::pair<const TorchEntry *, std::string>([] {
    Expected<const TorchEntry *> loaded = loadEntry();
    if (loaded)
      return std::pair<const TorchEntry *, std::string>(*loaded, "");
    return std::pair<const TorchEntry *, std::string>(
        nullptr, toString(loaded.takeError()));
  }());
  if (!result->first)
    return createStringError(result->second);
  return result->first;
}

Expected<const TensorMath &> TensorMath::load() {
  Expected<const TorchEntry *> loaded = entry();
  if (!loaded)
    return loaded.takeError();
  return *(*loaded)->math;
}

Expected<TorchRuntime &> TorchRuntime::load() {
  Expected<const TorchEntry *> loaded = entry();
  if (!loaded)
    return loaded.takeError();
  return *(*loaded)->runtime;
}

static Error errorOf(const std::string &message) {
  return message.empty() ? Error::success() : createStringError(message);
}

Error RecordedActivations::seek(size_t window) { return errorOf(trySeek(window)); }

Expected<const ActivationBatch *> RecordedActivations::read() {
  const ActivationBatch *batch = nullptr;
  if (Error error = errorOf(tryRead(batch)))
    return std::move(error);
  return batch;
}

Expected<ModelInfo> TorchRuntime::checkProgram(const Archive &archive,
                                               const Manifest &description,
                                               const OperatorPolicy &operators) {
  ModelInfo info;
  if (Error error =
          errorOf(tryCheckProgram(archive, description, operators, info)))
    return std::move(error);
  return std::move(info);
}

Expected<TokenWindows>
TorchRuntime::readWindows(StringRef text, StringRef model,
                          const OperatorPolicy &operators,
                          const WindowOptions &options) {
  TokenWindows windows;
  if (Error error =
          errorOf(tryReadWindows(text, model, operators, options, windows)))
    return std::move(error);
  return std::move(windows);
}

Expected<std::unique_ptr<RecordedActivations>>
TorchRuntime::openActivations(StringRef program, StringRef model,
                              const OperatorPolicy &operators,
                              const TokenWindows &windows,
                              const ActivationStreamOptions &options) {
  std::unique_ptr<RecordedActivations> source;
  if (Error error = errorOf(
          tryOpenActivations(program, model, operators, windows, options,
                             source)))
    return std::move(error);
  return std::move(source);
}

Expected<ModelTokens> TorchRuntime::encode(ArrayRef<std::string> texts,
                                           StringRef model,
                                           const OperatorPolicy &operators) {
  ModelTokens tokens;
  if (Error error = errorOf(tryEncode(texts, model, operators, tokens)))
    return std::move(error);
  return std::move(tokens);
}

Expected<const RecordedWindows *> RecordedCases::record(size_t firstWindow,
                                                        size_t count) {
  const RecordedWindows *recorded = nullptr;
  if (Error error = errorOf(tryRecord(firstWindow, count, recorded)))
    return std::move(error);
  return recorded;
}

Expected<CaseResults> RecordedCases::run(const CaseBatch &batch) {
  CaseResults results;
  if (Error error = errorOf(tryRun(batch, results)))
    return std::move(error);
  return std::move(results);
}

Expected<std::unique_ptr<RecordedCases>>
TorchRuntime::openCases(StringRef program, StringRef model,
                        const OperatorPolicy &operators, CaseProgram parts,
                        const TokenWindows &windows, int threads) {
  std::unique_ptr<RecordedCases> cases;
  if (Error error = errorOf(tryOpenCases(program, model, operators,
                                         std::move(parts), windows, threads,
                                         cases)))
    return std::move(error);
  return std::move(cases);
}

} // namespace weir
