//===- TensorFile.cpp - Files of named tensors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Readers.h"

#include "weir/Support/Files.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

#include <new>

using namespace llvm;

namespace weir {

Error errorInFile(StringRef name, const Twine &what) {
  return createStringError(std::make_error_code(std::errc::invalid_argument),
                           name + ": " + what);
}

Error inFile(StringRef name, Error error) {
  return errorInFile(name, toString(std::move(error)));
}

Error noSuchTensor(StringRef file, StringRef name,
                   ArrayRef<std::string> names) {
  constexpr size_t shown = 20;
  std::string list = join(names.take_front(shown), ", ");
  if (names.size() > shown)
    list += ", and " + std::to_string(names.size() - shown) + " more";
  return errorInFile(file, "no tensor '" + name + "'; there " +
                               (names.size() == 1 ? "is " : "are ") +
                               (names.empty() ? std::string("none") : list));
}

std::shared_ptr<std::byte[]> allocateBytes(size_t size) {
  return std::shared_ptr<std::byte[]>(new (std::nothrow) std::byte[size]);
}

bool TensorFile::contains(StringRef name) const {
  return is_contained(names(), name);
}

const std::map<std::string, std::string> &TensorFile::metadata() const {
  static const std::map<std::string, std::string> none;
  return none;
}

Expected<std::shared_ptr<TensorFile>>
TensorFile::fromMemory(StringRef name, ArrayRef<std::byte> bytes,
                       std::shared_ptr<const void> owner) {
  FileBytes file = {name.str(), bytes, std::move(owner)};
  StringRef extension = sys::path::extension(name);
  if (extension == ".safetensors")
    return openSafetensors(std::move(file));
  if (extension == ".npz")
    return openNpz(std::move(file));
  if (extension == ".npy")
    return openNpy(std::move(file));
  if (extension == ".gguf")
    return openGguf(std::move(file));
  if (extension == ".pt")
    return openTorch(std::move(file));
  return errorInFile(name, "unknown extension '" + extension +
                               "'; tensors are read from .safetensors, .npz, "
                               ".npy, .gguf and .pt");
}

Expected<std::shared_ptr<TensorFile>> TensorFile::open(StringRef path) {
  Expected<std::shared_ptr<FileMapping>> file = FileMapping::open(path);
  if (!file)
    return file.takeError();
  return fromMemory(path, (*file)->bytes(), *file);
}

} // namespace weir
