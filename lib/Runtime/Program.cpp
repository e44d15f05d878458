//===- Program.cpp - A program as the runner sees it ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Program.h"

#include "Support.h"
#include "TorchSupport.h"

#include "weir/Program/Files.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace weir {
namespace {

Expected<StringRef> textRecord(const Archive &archive, StringRef name) {
  Expected<ArrayRef<std::byte>> bytes = archive.record(name);
  if (!bytes)
    return bytes.takeError();
  return StringRef(reinterpret_cast<const char *>(bytes->data()),
                   bytes->size());
}

Error verifyFile(StringRef folder, const Manifest::File &file) {
  SmallString<128> path(folder);
  sys::path::append(path, file.path);
  Expected<std::string> hash = sha256OfFile(path);
  if (!hash)
    return hash.takeError();
  if (*hash != file.sha256)
    return fail("{0}: its SHA-256 is {1}, the manifest says {2}", path, *hash,
                file.sha256);
  return Error::success();
}

/// What the engine will be fed is decided by these names, dtypes and ranks.
Error checkSignature(const Archive &archive, const Manifest &manifest,
                     bool hasManifest) {
  Expected<std::vector<ProgramInput>> inputs =
      readProgramInputs(archive.model());
  if (!inputs)
    return inputs.takeError();
  std::vector<std::string> names;
  for (const ProgramInput &input : *inputs)
    names.push_back(input.name);
  if (names != manifest.inputs) {
    if (!hasManifest)
      return fail("the program takes {0}; without a manifest it has to be an "
                  "unsteered one that takes {1}",
                  join(names, ", "), join(manifest.inputs, ", "));
    return fail("the program takes {0}, the manifest says {1}",
                join(names, ", "), join(manifest.inputs, ", "));
  }
  for (const ProgramInput &input : *inputs) {
    bool isKnobs = input.name == "knobs";
    size_t rank = is_contained({"prompt_length", "plan"}, input.name) ? 1 : 2;
    if (input.dtype != (isKnobs ? at::kFloat : at::kLong) ||
        input.sizes.size() != rank)
      return fail("input '{0}' is {1} of rank {2}", input.name,
                  c10::toString(input.dtype), input.sizes.size());
    if (isKnobs && input.sizes[1] >= 0 &&
        input.sizes[1] != static_cast<int64_t>(manifest.knobs.size()))
      return fail("the program takes {0} knobs, the manifest names {1}",
                  input.sizes[1], manifest.knobs.size());
  }
  return Error::success();
}

/// The text of a token entry of tokenizer_config.json: a string, or an object
/// with "content".
std::string tokenText(const json::Object &config, StringRef key) {
  if (std::optional<StringRef> text = config.getString(key))
    return text->str();
  if (const json::Object *object = config.getObject(key))
    return object->getString("content").value_or("").str();
  return {};
}

} // namespace

Expected<ModelInfo> ModelInfo::parse(StringRef text) {
  Expected<json::Value> value = parseJSON(text);
  if (!value)
    return value.takeError();
  const json::Object *object = value->getAsObject();
  if (!object || object->getInteger("weir") != 1)
    return fail("\"weir\": 1 is missing");
  ModelInfo out;
  out.model = object->getString("model").value_or("").str();
  out.family = object->getString("family").value_or("").str();
  out.dtype = object->getString("dtype").value_or("").str();
  out.vocabularySize = object->getInteger("vocab_size").value_or(0);
  out.maxBatch = object->getInteger("max_batch").value_or(0);
  out.maxLength = object->getInteger("max_length").value_or(0);
  if (out.vocabularySize < 1 || out.maxBatch < 1 || out.maxLength < 1)
    return fail("\"vocab_size\", \"max_batch\" and \"max_length\" must be "
                "positive");
  out.bos = object->getInteger("bos");
  if (const json::Array *ids = object->getArray("eos"))
    for (const json::Value &id : *ids) {
      std::optional<int64_t> number = id.getAsInteger();
      if (!number)
        return fail("\"eos\" must be a list of integers");
      out.eos.push_back(*number);
    }
  if (std::optional<StringRef> source = object->getString("chat_template"))
    out.chatTemplate = source->str();
  return out;
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
  if (hasManifest && options.verify) {
    if (Error error = verifyFile(folder, out->description.program))
      return std::move(error);
    if (out->description.aot)
      if (Error error = verifyFile(folder, *out->description.aot))
        return std::move(error);
  }
  if (hasManifest && out->description.aot) {
    SmallString<128> package(folder);
    sys::path::append(package, out->description.aot->path);
    out->aotPath = package.str().str();
  } else if (!hasManifest) {
    // `python -m weir aot x.pt2` puts x.aot.pt2 beside it.
    SmallString<128> package(path);
    sys::path::replace_extension(package, "aot.pt2");
    if (sys::fs::exists(package))
      out->aotPath = package.str().str();
  }

  Expected<std::shared_ptr<Archive>> archive = Archive::open(archivePath);
  if (!archive)
    return archive.takeError();
  out->pt2 = std::move(*archive);
  if (!hasManifest && options.verify)
    if (Error error = out->pt2->verify())
      return std::move(error);
  if (Error error = checkSignature(*out->pt2, out->description, hasManifest))
    return fail("{0}: {1}", archivePath, toString(std::move(error)));
  Expected<StringRef> text = textRecord(*out->pt2, "extra/weir.json");
  if (!text)
    return text.takeError();
  Expected<ModelInfo> info = ModelInfo::parse(*text);
  if (!info)
    return fail("{0}: extra/weir.json: {1}", archivePath,
                toString(info.takeError()));
  out->info = std::move(*info);
  return out;
}

Expected<std::unique_ptr<Engine>> Program::createEngine(EngineKind kind) const {
  if (kind == EngineKind::Reference)
    return weir::createReferenceEngine(pt2);
  if (!aotPath)
    return fail("{0}: there is no AOTInductor package; make one with "
                "`python -m weir aot`",
                pt2->path());
  return createAOTEngine(*aotPath, pt2);
}

Expected<std::unique_ptr<Engine>>
Program::createReferenceEngine(ArrayRef<size_t> outputs) const {
  return weir::createReferenceEngine(pt2, outputs);
}

Expected<std::unique_ptr<Tokenizer>> Program::loadTokenizer() const {
  Expected<StringRef> text = textRecord(*pt2, "extra/tokenizer.json");
  if (!text)
    return text.takeError();
  Expected<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::parse(*text);
  if (!tokenizer)
    return fail("{0}: {1}", pt2->path(), toString(tokenizer.takeError()));
  return tokenizer;
}

Expected<std::unique_ptr<ChatTemplate>> Program::loadChatTemplate() const {
  if (!info.chatTemplate)
    return fail("{0}: the model has no chat template", pt2->path());
  Expected<StringRef> text = textRecord(*pt2, "extra/tokenizer_config.json");
  if (!text)
    return text.takeError();
  Expected<json::Value> config = parseJSON(*text);
  if (!config)
    return fail("{0}: extra/tokenizer_config.json: {1}", pt2->path(),
                toString(config.takeError()));
  json::Object empty;
  const json::Object *object = config->getAsObject();
  if (!object)
    object = &empty;
  return ChatTemplate::parse(*info.chatTemplate, tokenText(*object, "bos_token"),
                             tokenText(*object, "eos_token"));
}

} // namespace weir
