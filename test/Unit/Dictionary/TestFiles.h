//===- TestFiles.h - Files that the tests write ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TEST_UNIT_DICTIONARY_TESTFILES_H
#define WEIR_TEST_UNIT_DICTIONARY_TESTFILES_H

#include "weir/Dictionary/Dictionary.h"

#include "gtest/gtest.h"

#include <string>
#include <vector>

namespace weir::test {

/// An f32 tensor to be written.
struct Stored {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

/// A folder that goes away with the object.
class Folder {
public:
  Folder();
  ~Folder();
  Folder(const Folder &) = delete;

  std::string path(llvm::StringRef name = "") const;
  /// Writes a file; folders in its name are made.
  void write(llvm::StringRef name, llvm::StringRef content) const;
  void writeSafetensors(llvm::StringRef name,
                        const std::vector<Stored> &tensors) const;

private:
  std::string root;
};

/// A view of numbers that live as long as it.
TensorView view(std::vector<int64_t> shape, std::vector<float> values);

/// The value of an Expected that must hold one.
template <typename T> T take(llvm::Expected<T> value) {
  if (!value) {
    ADD_FAILURE() << llvm::toString(value.takeError());
    std::abort();
  }
  return std::move(*value);
}

/// The message of an Expected that must hold an error.
template <typename T> std::string message(llvm::Expected<T> value) {
  if (!value)
    return llvm::toString(value.takeError());
  ADD_FAILURE() << "expected an error";
  return "";
}

} // namespace weir::test

#endif // WEIR_TEST_UNIT_DICTIONARY_TESTFILES_H
