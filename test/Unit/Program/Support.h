//===- Support.h - Helpers of the tests of Program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TEST_UNIT_PROGRAM_SUPPORT_H
#define WEIR_TEST_UNIT_PROGRAM_SUPPORT_H

#include "weir/Program/Archive.h"
#include "weir/Program/TensorSource.h"
#include "weir/Program/TensorWriter.h"
#include "weir/Support/Files.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace weir::test {

/// A folder that is removed with everything in it.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string file(const std::string &name) const { return path + "/" + name; }
  /// Names of the entries, sorted.
  std::vector<std::string> entries() const;

private:
  std::string path;
};

inline llvm::ArrayRef<std::byte> bytesOf(llvm::StringRef text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}
inline std::string textOf(llvm::ArrayRef<std::byte> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}
template <typename T> std::string rawBytes(const std::vector<T> &values) {
  return {reinterpret_cast<const char *>(values.data()),
          values.size() * sizeof(T)};
}

/// Little-endian bytes of a number.
template <typename T> std::string little(T value) {
  return {reinterpret_cast<const char *>(&value), sizeof(T)};
}

void writeFile(const std::string &path, llvm::StringRef text);
std::string readFile(const std::string &path);

/// The message of an error, "" for success.
std::string messageOf(llvm::Error error);
template <typename T> std::string messageOf(llvm::Expected<T> result) {
  return result ? std::string() : messageOf(result.takeError());
}

/// The value; a failed test and a default if there is an error.
template <typename T> T valueOf(llvm::Expected<T> result) {
  if (result)
    return std::move(*result);
  ADD_FAILURE() << messageOf(result.takeError());
  return T();
}

inline bool contains(llvm::StringRef text, llvm::StringRef part) {
  return text.contains(part);
}
#define EXPECT_ERROR(result, part)                                             \
  EXPECT_PRED2(::weir::test::contains, ::weir::test::messageOf(result), part)
#define EXPECT_OK(result) EXPECT_EQ(::weir::test::messageOf(result), "")

/// A view of numbers that it owns.
template <typename T>
TensorView viewOf(DType dtype, std::vector<int64_t> shape,
                  std::vector<T> values) {
  auto owner = std::make_shared<std::vector<T>>(std::move(values));
  TensorView view;
  view.dtype = dtype;
  view.shape.assign(shape.begin(), shape.end());
  view.data = reinterpret_cast<const std::byte *>(owner->data());
  view.owner = owner;
  return view;
}

/// The bytes of a tensor, and all its elements.
inline std::string contentOf(const TensorView &view) {
  return textOf({view.data, view.numBytes()});
}
std::vector<double> elementsOf(const TensorView &view);

/// A source that gives these bytes, whatever its sizes say.
std::shared_ptr<const TensorSource> given(DType dtype,
                                          llvm::ArrayRef<int64_t> shape,
                                          llvm::ArrayRef<std::byte> bytes);

/// Opens bytes as a file of the format that the extension of `name` says.
llvm::Expected<std::shared_ptr<TensorFile>> openBytes(const std::string &name,
                                                      std::string bytes);
llvm::Expected<std::shared_ptr<Archive>> openArchive(std::string bytes);

/// Reads every tensor and touches every byte: what has to be safe for any file
/// that opens. Gives the names.
std::vector<std::string> touchAll(const TensorFile &file);

/// A zip file made by hand, whose fields can lie.
struct RawMember {
  std::string name;
  std::string stored;  ///< bytes in the file
  uint32_t crc = 0;    ///< filled in by stored() and deflated()
  uint64_t size = 0;   ///< claimed
  uint16_t method = 0; ///< 8: deflated
  uint16_t flags = 0;
  std::string localName;       ///< if it differs from `name`
  int64_t offsetShift = 0;     ///< added to the place in the directory
  bool zeroLocalSizes = false; ///< as with flag 8, when they come afterwards
};
RawMember storedMember(const std::string &name, const std::string &content);
RawMember deflatedMember(const std::string &name, const std::string &content);
std::string rawZip(const std::vector<RawMember> &members);

/// A header and the numbers of an .npy file.
std::string npyBytes(const std::string &literal, const std::string &numbers);
std::string safetensorsBytes(const std::string &header,
                             const std::string &numbers);

/// The records of a small valid archive, by name: weights "w" [2, 3] f32 and
/// "tied" (the same record), buffer "steps" [4] i64, constant "c" [] f32.
std::map<std::string, std::string> archiveRecords();
/// A zip with these records below the folder `top`.
std::string archiveBytes(const std::map<std::string, std::string> &records,
                         const std::string &top = "program/");

} // namespace weir::test

#endif // WEIR_TEST_UNIT_PROGRAM_SUPPORT_H
