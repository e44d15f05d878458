//===- Entries.cpp - What the fuzzers feed ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Entries.h"

#include "Require.h"
#include "Zip.h"

#include "weir/Program/Archive.h"
#include "weir/Program/GraphCheck.h"
#include "weir/Runtime/ChatTemplate.h"
#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include <cstdio>
#include <cstdlib>

using namespace llvm;

namespace weir::fuzz {

namespace {

/// Reads every byte, so that a sanitizer sees it, and in a way that no
/// optimizer drops.
void touch(ArrayRef<std::byte> bytes) {
  volatile uint32_t sink = zipChecksum(bytes);
  (void)sink;
}

void touchTensors(StringRef name, ArrayRef<std::byte> bytes) {
  Expected<std::shared_ptr<TensorFile>> file =
      TensorFile::fromMemory(name, bytes, nullptr);
  if (!file)
    return consumeError(file.takeError());
  for (const std::string &tensorName : (*file)->names()) {
    require((*file)->contains(tensorName), "a listed tensor is contained");
    Expected<TensorView> view = (*file)->tensor(tensorName);
    if (!view) {
      consumeError(view.takeError());
      continue;
    }
    touch({view->data, view->numBytes()});
    int64_t count = view->numElements();
    if (count == 0)
      continue;
    volatile double last = view->at(count - 1);
    (void)last;
    float sample[16];
    int64_t stride = count / 16 + 1;
    view->copyTo(sample, 0, (count - 1) / stride + 1, stride);
  }
}

void touchArchive(const Archive &archive) {
  for (const std::string &name : archive.records())
    touch(cantFail(archive.record(name)));
  for (const StringMap<ArchiveTensor> *tensors :
       {&archive.weights(), &archive.constants()}) {
    for (const auto &entry : *tensors) {
      const ArchiveTensor &tensor = entry.second;
      require(tensor.sizes.size() == tensor.strides.size(),
              "sizes and strides are of one length");
      std::optional<DType> type = dtypeOfArchive(tensor.dtype);
      if (!type || !checkedBytes(tensor.sizes, 1) ||
          *checkedBytes(tensor.sizes, 1) == 0)
        continue;
      uint64_t last = tensor.storageOffset;
      for (size_t i = 0; i < tensor.sizes.size(); ++i)
        last += static_cast<uint64_t>(tensor.sizes[i] - 1) * tensor.strides[i];
      require(last < tensor.bytes.size() / sizeOf(*type),
              "the last element is in its record");
    }
  }
  consumeError(checkGraph(archive));
  consumeError(archive.verify());
}

} // namespace

void npy(ArrayRef<std::byte> bytes) { touchTensors("x.npy", bytes); }
void npz(ArrayRef<std::byte> bytes) { touchTensors("x.npz", bytes); }
void safetensors(ArrayRef<std::byte> bytes) {
  touchTensors("x.safetensors", bytes);
}

void gguf(ArrayRef<std::byte> bytes) { touchTensors("x.gguf", bytes); }
void torch(ArrayRef<std::byte> bytes) { touchTensors("x.pt", bytes); }

void stateDict(ArrayRef<std::byte> bytes) {
  std::string file;
  ZipWriter zip(
      [&](ArrayRef<std::byte> piece) {
        file.append(reinterpret_cast<const char *>(piece.data()), piece.size());
        return Error::success();
      },
      /*alignment=*/64);
  auto asBytes = [](StringRef text) {
    return ArrayRef<std::byte>(reinterpret_cast<const std::byte *>(text.data()),
                               text.size());
  };
  cantFail(zip.add("x/data.pkl", {bytes}));
  cantFail(zip.add("x/data/0", {asBytes("0123456789abcdefghijklmn")}));
  cantFail(zip.add("x/data/1", {asBytes("01234567")}));
  cantFail(zip.finish());
  touchTensors("x.pt", asBytes(file));
}

void archive(ArrayRef<std::byte> bytes) {
  Expected<std::shared_ptr<Archive>> opened =
      Archive::fromMemory("x.pt2", bytes, nullptr);
  if (!opened)
    return consumeError(opened.takeError());
  touchArchive(**opened);
}

void archiveDocuments(ArrayRef<std::byte> bytes) {
  auto asBytes = [](StringRef text) {
    return ArrayRef<std::byte>(reinterpret_cast<const std::byte *>(text.data()),
                               text.size());
  };
  auto [model, configs] =
      StringRef(reinterpret_cast<const char *>(bytes.data()), bytes.size())
          .split('\0');
  auto [weights, constants] = configs.split('\0');
  std::string file;
  ZipWriter zip(
      [&](ArrayRef<std::byte> piece) {
        file.append(reinterpret_cast<const char *>(piece.data()), piece.size());
        return Error::success();
      },
      /*alignment=*/64);
  for (auto [name, content] :
       {std::pair<StringRef, StringRef>("archive_format", "pt2"),
        {"archive_version", "0"},
        {"models/model.json", model},
        {"data/weights/model_weights_config.json", weights},
        {"data/weights/weight_0", "0123456789abcdef"},
        {"data/weights/weight_1", "01"},
        {"data/weights/weight_2", ""},
        {"data/constants/model_constants_config.json", constants},
        {"data/constants/tensor_0", "01234567"}})
    cantFail(zip.add(("x/" + name).str(), {asBytes(content)}));
  cantFail(zip.finish());

  Expected<std::shared_ptr<Archive>> opened =
      Archive::fromMemory("x.pt2", asBytes(file), nullptr);
  if (!opened)
    return consumeError(opened.takeError());
  touchArchive(**opened);

  // What is printed is read as the same document.
  Expected<json::Value> again = parseJSON(printJSON((*opened)->model()));
  require(!!again, "a printed document is valid");
  require(*again->getAsObject() == (*opened)->model(),
          "a printed document is the same");
}

void chatTemplate(ArrayRef<std::byte> bytes) {
  StringRef source(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  auto chat = ChatTemplate::parse(
      source, R"({"bos_token": "<s>", "n": 3, "f": 2.5, "l": [2, "b", null, 1.0],
                  "d": {"a": 1, "items": true}, "s": "a \u00df\n\ud83d\ude42"})");
  if (!chat)
    return consumeError(chat.takeError());
  ChatOptions options;
  options.tools = R"([{"name": "f", "parameters": {"x": {"type": "string"}}}])";
  for (bool continued : {false, true}) {
    options.continueFinalMessage = continued;
    Expected<std::string> text = (*chat)->render(
        R"([{"role": "system", "content": "S"}, {"role": "user", "content":
            " \u00e9 "}, {"role": "assistant", "content": "A", "x": [1, {}]}])",
        options);
    if (!text) {
      consumeError(text.takeError());
      continue;
    }
    require(json::isUTF8(*text), "a rendered text is UTF-8");
  }
}

} // namespace weir::fuzz
