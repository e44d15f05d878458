//===- ArchiveView.cpp - An archive without its tensors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/Archive.h"

#include "ArchiveLayout.h"

#include "weir/Support/Json.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace weir {
namespace {

class GraphOnly final : public Archive {
public:
  explicit GraphOnly(const Archive &whole) : whole(whole) {}

  Error open() {
    StringSet<> payloads;
    for (const auto *all : {&whole.weights(), &whole.constants()})
      for (const auto &entry : *all)
        payloads.insert(entry.getValue().record);
    for (const std::string &name : whole.records())
      if (!payloads.contains(name))
        kept.push_back(name);
    for (const std::string &config :
         {archive::weightsConfig(modelName()),
          archive::constantsConfig(modelName())}) {
      auto bytes = whole.verifiedRecord(config);
      if (!bytes)
        return bytes.takeError();
      auto document = parseJSON(StringRef(
          reinterpret_cast<const char *>(bytes->data()), bytes->size()));
      if (!document)
        return document.takeError();
      json::Object *root = document->getAsObject();
      if (!root)
        return createStringError("'" + config + "' is no object");
      (*root)["config"] = json::Object{};
      configs[config] = printJSON(*root);
    }
    return Error::success();
  }

  StringRef path() const override { return whole.path(); }
  std::shared_ptr<InputFile> file() const override { return whole.file(); }
  ArrayRef<std::byte> bytes() const override { return whole.bytes(); }
  const json::Object &model() const override { return whole.model(); }
  const StringMap<ArchiveTensor> &weights() const override {
    return whole.weights();
  }
  const StringMap<ArchiveTensor> &constants() const override {
    return whole.constants();
  }
  ArrayRef<std::string> records() const override { return kept; }
  Expected<ArrayRef<std::byte>> record(StringRef name) const override {
    auto found = configs.find(name);
    if (found == configs.end())
      return whole.record(name);
    return ArrayRef<std::byte>(
        reinterpret_cast<const std::byte *>(found->second.data()),
        found->second.size());
  }
  Error verify(StringRef name) const override { return whole.verify(name); }
  Expected<uint32_t> checksum(StringRef name) const override {
    return whole.checksum(name);
  }
  void releasePages(ArrayRef<std::byte> bytes) const override {
    whole.releasePages(bytes);
  }
  Error verify() const override { return whole.verify(); }
  StringRef modelName() const override { return whole.modelName(); }

private:
  const Archive &whole;
  std::vector<std::string> kept;
  StringMap<std::string> configs;
};

} // namespace

Expected<std::unique_ptr<Archive>> withoutTensors(const Archive &archive) {
  auto result = std::make_unique<GraphOnly>(archive);
  if (Error error = result->open())
    return std::move(error);
  return std::move(result);
}

} // namespace weir
