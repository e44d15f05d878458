//===- TestFiles.cpp - Files that the tests write ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestFiles.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cstring>

using namespace llvm;

namespace weir::test {

Folder::Folder() {
  SmallString<128> made;
  if (sys::fs::createUniqueDirectory("weir-dictionary", made))
    std::abort();
  root = made.str().str();
}

Folder::~Folder() { sys::fs::remove_directories(root); }

std::string Folder::path(StringRef name) const {
  SmallString<128> result(root);
  if (!name.empty())
    sys::path::append(result, name);
  return result.str().str();
}

void Folder::write(StringRef name, StringRef content) const {
  std::string file = path(name);
  if (sys::fs::create_directories(sys::path::parent_path(file)))
    std::abort();
  std::error_code code;
  raw_fd_ostream os(file, code);
  if (code)
    std::abort();
  os << content;
}

void Folder::writeSafetensors(StringRef name,
                              const std::vector<Stored> &tensors) const {
  json::Object header;
  std::string bytes;
  for (const Stored &tensor : tensors) {
    size_t begin = bytes.size();
    bytes.append(reinterpret_cast<const char *>(tensor.values.data()),
                 tensor.values.size() * sizeof(float));
    header[tensor.name] = json::Object{
        {"dtype", "F32"},
        {"shape", json::Array(tensor.shape)},
        {"data_offsets", json::Array{int64_t(begin), int64_t(bytes.size())}}};
  }
  std::string text;
  raw_string_ostream(text) << json::Value(std::move(header));
  text.append((8 - text.size() % 8) % 8, ' ');
  uint64_t length = text.size();
  std::string content(reinterpret_cast<const char *>(&length), 8);
  write(name, content + text + bytes);
}

TensorView view(std::vector<int64_t> shape, std::vector<float> values) {
  auto owner = std::make_shared<std::vector<float>>(std::move(values));
  TensorView result;
  result.shape.assign(shape.begin(), shape.end());
  result.data = reinterpret_cast<const std::byte *>(owner->data());
  result.owner = owner;
  return result;
}

} // namespace weir::test
