//===- TestArchive.h - Small programs made by hand ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TEST_UNIT_RUNTIME_TESTARCHIVE_H
#define WEIR_TEST_UNIT_RUNTIME_TESTARCHIVE_H

#include "weir/Program/Archive.h"
#include "weir/Support/Files.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir::test {

/// {"as_tensor": {"name": name}} and so on, as text.
std::string tensor(const std::string &name);
std::string symInt(const std::string &name);

/// An exported graph, written down step by step.
class GraphText {
public:
  /// dtype as in the archive (5: i64, 7: f32); -1 is a symbolic size.
  GraphText &input(const std::string &name, int dtype,
                   std::vector<int64_t> sizes);
  /// kind: parameter, buffer or tensor_constant.
  GraphText &bound(const std::string &kind, const std::string &name,
                   const std::string &fqn);
  GraphText &node(const std::string &target,
                  std::vector<std::pair<std::string, std::string>> arguments,
                  std::vector<std::string> results);
  GraphText &output(const std::string &name);
  GraphText &writes(const std::string &name, const std::string &buffer);

  /// The whole model.json.
  std::string text() const;
  llvm::json::Object object() const;

private:
  std::vector<std::string> inputs, inputSpecs, nodes, outputs, outputSpecs,
      values;
};

/// A program whose payloads lie in a file of its own, removed at the end.
class TestArchive final : public Archive {
public:
  explicit TestArchive(llvm::json::Object model);
  ~TestArchive() override;

  TestArchive &weight(const std::string &fqn, std::vector<float> values,
                      std::vector<int64_t> sizes);
  /// Another name for a weight's bytes.
  TestArchive &tied(const std::string &fqn, const std::string &to);
  /// The same numbers over and over: sizes with strides of zero.
  TestArchive &stretch(const std::string &fqn, std::vector<int64_t> sizes);
  /// What the file holds now.
  std::vector<float> stored(const std::string &fqn) const;

  llvm::StringRef path() const override { return fileName; }
  std::shared_ptr<InputFile> file() const override {
    return llvm::cantFail(InputFile::open(fileName));
  }
  llvm::ArrayRef<std::byte> bytes() const override { return {}; }
  const llvm::json::Object &model() const override { return graph; }
  const llvm::StringMap<ArchiveTensor> &weights() const override {
    return tensors;
  }
  const llvm::StringMap<ArchiveTensor> &constants() const override {
    return none;
  }
  llvm::ArrayRef<std::string> records() const override { return {}; }
  llvm::Expected<llvm::ArrayRef<std::byte>>
  record(llvm::StringRef name) const override;
  llvm::Expected<uint32_t> checksum(llvm::StringRef) const override {
    return 0;
  }
  void releasePages(llvm::ArrayRef<std::byte>) const override {}
  llvm::Error verify() const override { return llvm::Error::success(); }
  llvm::Error verify(llvm::StringRef) const override {
    return llvm::Error::success();
  }
  llvm::StringRef modelName() const override { return "model"; }

private:
  std::string fileName;
  llvm::json::Object graph;
  llvm::StringMap<ArchiveTensor> tensors, none;
  std::vector<std::unique_ptr<std::vector<float>>> memory;
  uint64_t end = 0;
};

} // namespace weir::test

#endif // WEIR_TEST_UNIT_RUNTIME_TESTARCHIVE_H
