//===- Program.cpp - A program as the runner sees it ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Program.h"

#include "Support.h"

#include "weir/Kernels/weir_kernels.h"
#include "weir/Operators/KernelCalls.h"
#include "weir/Program/ArchiveGraph.h"
#include "weir/Program/Fingerprint.h"
#include "weir/Runtime/ProgramCheck.h"
#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace weir {
namespace {

/// A spec is written by hand.
constexpr uint64_t largestSpec = 64 << 20;

/// Opens a file that a manifest names. With `verify` its hash is compared, and
/// what is used afterwards is the file that was compared.
Expected<std::shared_ptr<InputFile>>
openNamed(StringRef folder, const Manifest::File &file, bool verify,
          uint64_t limit = InputFile::unlimited) {
  SmallString<128> path(folder);
  sys::path::append(path, file.path);
  Expected<std::shared_ptr<InputFile>> opened = InputFile::open(path, limit);
  if (!opened || !verify)
    return opened;
  if (file.bytes &&
      static_cast<uint64_t>(*file.bytes) != (*opened)->size())
    return fail("{0}: it has {1} bytes, the manifest says {2}", path,
                (*opened)->size(), *file.bytes);
  Expected<std::string> hash = (*opened)->sha256();
  if (!hash)
    return hash.takeError();
  if (*hash != file.sha256)
    return fail("{0}: its SHA-256 is {1}, the manifest says {2}", path, *hash,
                file.sha256);
  return opened;
}

/// The text of a token entry of tokenizer_config.json: a string, or an object
/// with "content".
std::optional<std::string> tokenText(const json::Value &entry) {
  std::optional<StringRef> text = entry.getAsString();
  if (const json::Object *object = entry.getAsObject())
    text = object->getString("content");
  return text ? std::optional(text->str()) : std::nullopt;
}

/// Loads the kernels that are in exactly this open file. It stays open: the loader
/// knows files by their names, and another one would get this one's.
Error loadKernels(std::shared_ptr<InputFile> file) {
  static std::vector<std::shared_ptr<InputFile>> loaded;
  std::string name = formatv("/proc/self/fd/{0}", file->descriptor()).str();
  if (const char *message = weir_kernels_load(name.c_str()))
    return fail("{0}: {1}", file->path(), message);
  loaded.push_back(std::move(file));
  return Error::success();
}

} // namespace

Expected<std::shared_ptr<InputFile>> Program::openFiles(StringRef folder,
                                                        bool verify) {
  Expected<std::shared_ptr<InputFile>> program =
      openNamed(folder, description.program, verify);
  if (!program)
    return program;
  if (description.aot) {
    Expected<std::shared_ptr<InputFile>> opened =
        openNamed(folder, *description.aot, verify);
    if (!opened)
      return opened;
    package = std::move(*opened);
  }
  // Native code is loaded with its hash only, whatever else is not compared.
  if (description.kernels) {
    Expected<std::shared_ptr<InputFile>> opened =
        openNamed(folder, *description.kernels, /*verify=*/true);
    if (!opened)
      return opened;
    kernels = std::move(*opened);
  }
  // The spec is for its reader. It may be missing, but not be another one.
  if (!description.spec || !verify)
    return program;
  SmallString<128> spec(folder);
  sys::path::append(spec, description.spec->path);
  // A link that leads nowhere is there.
  sys::fs::file_status status;
  (void)sys::fs::status(spec, status, /*follow=*/false);
  if (status.type() != sys::fs::file_type::file_not_found)
    if (Error error =
            openNamed(folder, *description.spec, verify, largestSpec)
                .takeError())
      return std::move(error);
  return program;
}

/// What is steered says so itself; a manifest may only repeat it.
Error Program::readRecord(StringRef manifestPath) {
  Expected<std::optional<Manifest>> record = readSteering(*pt2);
  if (!record)
    return fail("{0}: {1}", pt2->path(), toString(record.takeError()));
  if (manifestPath.empty()) {
    if (*record)
      description = std::move(**record);
    return Error::success();
  }
  if (!*record)
    return isSteered()
               ? fail("{0}: the program has no record of what was steered "
                      "({1}); build it again",
                      pt2->path(), Manifest::recordName)
               : Error::success();
  if (Error error = description.compare(**record))
    return fail("{0} does not fit its program, {1}: {2}", manifestPath,
                pt2->path(), toString(std::move(error)));
  return Error::success();
}

Expected<std::unique_ptr<Program>> Program::open(StringRef path,
                                                 OpenOptions options) {
  std::unique_ptr<Program> out(new Program);
  SmallString<128> folder(path), archivePath(path), manifestPath;
  bool isFolder = sys::fs::is_directory(path);
  if (!isFolder)
    folder = sys::path::parent_path(path);
  manifestPath = folder;
  sys::path::append(manifestPath, Manifest::fileName);

  bool hasManifest = false;
  if (isFolder || sys::fs::exists(manifestPath)) {
    Expected<Manifest> manifest = Manifest::read(manifestPath);
    if (!manifest)
      return manifest.takeError();
    if (isFolder) {
      archivePath = folder;
      sys::path::append(archivePath, manifest->program.path);
    }
    hasManifest =
        isFolder || sys::path::filename(path) == manifest->program.path;
    if (hasManifest)
      out->description = std::move(*manifest);
  }
  std::shared_ptr<InputFile> file;
  if (hasManifest) {
    if (!options.packageAsked && !(isFolder && options.verify))
      out->description.aot.reset();
    // Nor is native code loaded that only lies beside what was asked for.
    if (!isFolder)
      out->description.kernels.reset();
    Expected<std::shared_ptr<InputFile>> opened =
        out->openFiles(folder, options.verify);
    if (!opened)
      return opened.takeError();
    file = std::move(*opened);
  } else {
    Expected<std::shared_ptr<InputFile>> opened = InputFile::open(archivePath);
    if (!opened)
      return opened.takeError();
    file = std::move(*opened);
    // `python -m weir aot x.pt2` puts x.aot.pt2 beside it.
    SmallString<128> package(path);
    sys::path::replace_extension(package, "aot.pt2");
    if (options.packageAsked && sys::fs::exists(package)) {
      opened = InputFile::open(package);
      if (!opened)
        return opened.takeError();
      out->package = std::move(*opened);
    }
  }

  Expected<std::shared_ptr<Archive>> archive = Archive::open(file);
  if (!archive)
    return archive.takeError();
  out->pt2 = std::move(*archive);
  if (!hasManifest && options.verify)
    if (Error error = out->pt2->verify())
      return std::move(error);
  if (Error error = out->readRecord(hasManifest ? manifestPath.str() : ""))
    return std::move(error);
  if (!out->kernels && options.kernels.empty())
    if (Error error = refuseKernelCalls(
            out->pt2->model(),
            "give the whole folder that weirc build made or, if you trust the "
            "file, --kernels kernels.so"))
      return fail("{0}: {1}", archivePath, toString(std::move(error)));
  Expected<ModelInfo> info = checkProgram(
      *out->pt2, out->description, options.engine.operators,
      options.engine.tensors.get());
  if (!info)
    return fail("{0}: {1}", archivePath, toString(info.takeError()));
  out->info = std::move(*info);
  // A manifest has the hash of the whole file instead.
  const Manifest &steered = out->description;
  bool hasAll = !steered.fixed || steered.fixed->weights.empty();
  if (!hasManifest && options.verify && steered.model &&
      weightsHash(*out->pt2) !=
          (hasAll ? steered.model->weights : steered.fixed->weights))
    return fail("{0}: the weights are not those of the model that was steered",
                archivePath);
  if (!options.kernels.empty()) {
    Expected<std::shared_ptr<InputFile>> opened =
        InputFile::open(options.kernels);
    if (!opened)
      return opened.takeError();
    out->kernels = std::move(*opened);
  }
  if (out->kernels)
    if (Error error = loadKernels(out->kernels))
      return std::move(error);
  out->engine = std::move(options.engine);
  out->isNamed = hasManifest;
  return out;
}

Expected<std::unique_ptr<Engine>> Program::createEngine(EngineKind kind) const {
  if (kind == EngineKind::Reference)
    return weir::createReferenceEngine(pt2, std::nullopt, engine);
  if (!package)
    return fail("{0}: there is no AOTInductor package; {1}", pt2->path(),
                isNamed ? "build it with `weirc build --engine aot`"
                        : "make one with `python -m weir aot`");
  return createAOTEngine(package, pt2);
}

Expected<std::unique_ptr<Engine>>
Program::createReferenceEngine(ArrayRef<size_t> outputs) const {
  return weir::createReferenceEngine(pt2, outputs, engine);
}

void Program::releaseGraph() { weir::releaseGraph(*pt2); }

Expected<std::unique_ptr<Tokenizer>> Program::loadTokenizer() const {
  Expected<StringRef> text = textRecord(*pt2, "extra/tokenizer.json");
  if (!text)
    return text.takeError();
  Expected<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::parse(*text);
  if (!tokenizer)
    return fail("{0}: {1}", pt2->path(), toString(tokenizer.takeError()));
  return tokenizer;
}

Expected<std::unique_ptr<ChatTemplate>>
Program::loadChatTemplate(StringRef name, bool withTools) const {
  if (info.chatTemplates.empty())
    return fail("{0}: the model has no chat template", pt2->path());
  std::string chosen = !name.empty() ? name.str()
                       : withTools && info.chatTemplates.count("tool_use")
                           ? "tool_use"
                           : "default";
  auto source = info.chatTemplates.find(chosen);
  if (source == info.chatTemplates.end())
    return fail("{0}: the model has no chat template {1}; choose one with "
                "--chat-template: {2}",
                pt2->path(),
                name.empty() ? "that is taken without a name"
                             : "'" + chosen + "'",
                join(make_first_range(info.chatTemplates), ", "));
  Expected<StringRef> text = textRecord(*pt2, "extra/tokenizer_config.json");
  if (!text)
    return text.takeError();
  Expected<json::Value> config = parseJSON(*text);
  if (!config)
    return fail("{0}: extra/tokenizer_config.json: {1}", pt2->path(),
                toString(config.takeError()));
  // Templates see the special tokens by their names, as texts.
  json::Object tokens;
  if (const json::Object *object = config->getAsObject())
    for (const auto &[key, value] : *object)
      if (StringRef(key).ends_with("_token"))
        if (std::optional<std::string> token = tokenText(value))
          tokens[key] = *token;
  return ChatTemplate::parse(source->second, printJSON(tokens));
}

} // namespace weir
