//===- VetJob.cpp - Looking at a program of somebody else ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/VetJob.h"

#include "weir/Program/Archive.h"
#include "weir/Runtime/Manifest.h"
#include "weir/Target/PT2/PT2.h"

#include "mlir/IR/Diagnostics.h"

#include <map>

using namespace mlir;
using namespace weir;
namespace json = llvm::json;

static json::Object tensorsOf(const Archive &archive) {
  json::Object result;
  for (const auto *tensors : {&archive.weights(), &archive.constants()})
    for (const auto &entry : *tensors) {
      const ArchiveTensor &tensor = entry.getValue();
      result[entry.getKey().str()] = json::Object{
          {"weight", tensors == &archive.weights()},
          {"parameter", tensor.isParameter},
          {"dtype", tensor.dtype},
          {"sizes", json::Array(tensor.sizes)},
          {"strides", json::Array(tensor.strides)},
          {"offset", tensor.storageOffset},
          {"begin", static_cast<int64_t>(tensor.fileOffset)},
          {"bytes", static_cast<int64_t>(tensor.bytes.size())}};
    }
  return result;
}

static json::Object operatorsOf(const json::Object &document) {
  std::map<std::string, int64_t> counts;
  for (const json::Value &node : *document.getObject("graph_module")
                                      ->getObject("graph")
                                      ->getArray("nodes"))
    ++counts[node.getAsObject()->getString("target")->str()];
  json::Object result;
  for (const auto &[name, count] : counts)
    result[name] = count;
  return result;
}

FailureOr<json::Object> VetJob::run(MLIRContext &context) const {
  auto error = [&] { return emitError(UnknownLoc::get(&context)); };
  llvm::Expected<std::shared_ptr<Archive>> archive = Archive::open(program);
  if (!archive)
    return error() << llvm::toString(archive.takeError());
  if (verify)
    if (llvm::Error damage = (*archive)->verify())
      return error() << llvm::toString(std::move(damage));
  llvm::Expected<json::Object> document = plainModel((*archive)->model());
  if (!document)
    return error() << program << ": " << llvm::toString(document.takeError());
  // The order of definitions, types, payloads, the signature, and the operators.
  if (!importPT2(**archive, &context, operators))
    return failure();
  json::Object result;
  result["tensors"] = tensorsOf(**archive);
  result["operators"] = operatorsOf(*document);
  result["document"] = std::move(*document);
  json::Object extra;
  for (StringRef name : {StringRef("extra/weir.json"), StringRef(Manifest::recordName)}) {
    if (!llvm::is_contained((*archive)->records(), name))
      continue;
    llvm::Expected<ArrayRef<std::byte>> bytes = (*archive)->record(name);
    if (!bytes)
      return error() << llvm::toString(bytes.takeError());
    extra[name.drop_front(StringRef("extra/").size()).str()] =
        json::fixUTF8(StringRef(reinterpret_cast<const char *>(bytes->data()),
                                bytes->size()));
  }
  result["extra"] = std::move(extra);
  json::Object texts;
  for (StringRef name : {StringRef("extra/tokenizer.json"),
                         StringRef("extra/tokenizer_config.json")}) {
    if (!llvm::is_contained((*archive)->records(), name))
      continue;
    llvm::Expected<ArrayRef<std::byte>> bytes = (*archive)->record(name);
    if (!bytes)
      return error() << llvm::toString(bytes.takeError());
    texts[name.drop_front(StringRef("extra/").size()).str()] = json::Object{
        {"begin", bytes->data() - (*archive)->bytes().data()},
        {"bytes", static_cast<int64_t>(bytes->size())}};
  }
  result["texts"] = std::move(texts);
  return result;
}
