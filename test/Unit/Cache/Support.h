//===- Support.h - Helpers of the tests of Cache ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TEST_UNIT_CACHE_SUPPORT_H
#define WEIR_TEST_UNIT_CACHE_SUPPORT_H

#include "weir/Cache/ResultCache.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace weir::test {

/// A cache in a folder that goes away with the object.
class TemporaryCache {
public:
  TemporaryCache() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "weir-cache-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
      std::abort();
    folder = pattern;
  }
  ~TemporaryCache() { std::filesystem::remove_all(folder); }
  TemporaryCache(const TemporaryCache &) = delete;

  ResultCache open() const {
    return llvm::cantFail(ResultCache::open(folder + "/cache"));
  }
  std::string path(const std::string &name = "") const {
    return folder + "/cache/" + name;
  }
  std::string pathOf(const std::string &key) const {
    return path("v1/" + key.substr(0, 2) + "/" + key + ".safetensors");
  }
  /// All files below the folder but locks.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto &entry :
         std::filesystem::recursive_directory_iterator(path("v1")))
      if (!entry.is_directory())
        names.push_back(entry.path().filename().string());
    return names;
  }

private:
  std::string folder;
};

/// Some key.
inline std::string keyOf(int number) { return sha256(std::to_string(number)); }

template <typename T>
NamedTensor named(std::string name, DType dtype, std::vector<int64_t> shape,
                  const std::vector<T> &numbers) {
  NamedTensor tensor;
  tensor.name = std::move(name);
  tensor.tensor.dtype = dtype;
  tensor.tensor.shape.assign(shape.begin(), shape.end());
  tensor.tensor.data = reinterpret_cast<const std::byte *>(numbers.data());
  return tensor;
}

/// Stores two small tensors and a string.
inline llvm::Error storeSample(const ResultCache &cache, const std::string &key,
                               int64_t size = 6) {
  std::vector<int64_t> indices(size, 7);
  std::vector<double> values(size, 0.5);
  return cache.store(key,
                     {named("indices", DType::Int64, {size}, indices),
                      named("values", DType::Float64, {size}, values)},
                     {{"about", "a -> b"}});
}

inline std::string readAll(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void writeAll(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string messageOf(llvm::Error error) {
  return llvm::toString(std::move(error));
}
template <typename T> std::string messageOf(llvm::Expected<T> value) {
  return value ? std::string() : llvm::toString(value.takeError());
}

} // namespace weir::test

#endif // WEIR_TEST_UNIT_CACHE_SUPPORT_H
