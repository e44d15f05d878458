//===- TestArchive.cpp - Small programs made by hand ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestArchive.h"

#include "Expect.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <unistd.h>

using namespace llvm;

namespace weir::test {

std::string tensor(const std::string &name) {
  return R"({"as_tensor": {"name": ")" + name + "\"}}";
}

std::string symInt(const std::string &name) {
  return R"({"as_sym_int": {"as_name": ")" + name + "\"}}";
}

GraphText &GraphText::input(const std::string &name, int dtype,
                            std::vector<int64_t> sizes) {
  std::vector<std::string> extents;
  for (int64_t size : sizes)
    extents.push_back(size < 0 ? R"({"as_expr": {"expr_str": "s0"}})"
                               : formatv(R"({{"as_int": {0}})", size).str());
  inputs.push_back(tensor(name));
  inputSpecs.push_back(R"({"user_input": {"arg": )" + tensor(name) + "}}");
  values.push_back(formatv(R"("{0}": {{"dtype": {1}, "sizes": [{2}]})", name,
                           dtype, join(extents, ", ")));
  return *this;
}

GraphText &GraphText::bound(const std::string &kind, const std::string &name,
                            const std::string &fqn) {
  std::string key = kind + "_name";
  inputs.push_back(tensor(name));
  inputSpecs.push_back(
      formatv(R"({{"{0}": {{"arg": {{"name": "{1}"}, "{2}": "{3}"}})", kind,
              name, key, fqn));
  return *this;
}

GraphText &
GraphText::node(const std::string &target,
                std::vector<std::pair<std::string, std::string>> arguments,
                std::vector<std::string> results) {
  std::vector<std::string> list;
  for (const auto &[name, form] : arguments)
    list.push_back(formatv(R"({{"name": "{0}", "arg": {1}})", name, form));
  nodes.push_back(
      formatv(R"({{"target": "{0}", "inputs": [{1}], "outputs": [{2}]})",
              target, join(list, ", "), join(results, ", ")));
  return *this;
}

GraphText &GraphText::output(const std::string &name) {
  outputs.push_back(tensor(name));
  outputSpecs.push_back(R"({"user_output": {"arg": )" + tensor(name) + "}}");
  return *this;
}

GraphText &GraphText::writes(const std::string &name,
                             const std::string &buffer) {
  outputs.push_back(tensor(name));
  outputSpecs.push_back(
      formatv(R"({{"buffer_mutation": {{"arg": {{"name": "{0}"}, )"
              R"("buffer_name": "{1}"}})",
              name, buffer));
  return *this;
}

std::string GraphText::text() const {
  return formatv(R"({{"graph_module": {{"graph": {{"inputs": [{0}], )"
                 R"("outputs": [{1}], "nodes": [{2}], )"
                 R"("tensor_values": {{{3}}}, "signature": )"
                 R"({{"input_specs": [{4}], "output_specs": [{5}]}}})",
                 join(inputs, ", "), join(outputs, ", "), join(nodes, ",\n"),
                 join(values, ", "), join(inputSpecs, ", "),
                 join(outputSpecs, ", "));
}

json::Object GraphText::object() const {
  return *cantFail(json::parse(text())).getAsObject();
}

TestArchive::TestArchive(json::Object model) : graph(std::move(model)) {
  std::string name = testing::TempDir() + "weir-XXXXXX";
  int handle = ::mkstemp(name.data());
  EXPECT_GE(handle, 0);
  ::close(handle);
  fileName = name;
}

TestArchive::~TestArchive() { std::remove(fileName.c_str()); }

TestArchive &TestArchive::weight(const std::string &fqn,
                                 std::vector<float> values,
                                 std::vector<int64_t> sizes) {
  auto &kept =
      *memory.emplace_back(std::make_unique<std::vector<float>>(values));
  ArchiveTensor entry;
  entry.record = "record of " + fqn;
  entry.dtype = 7;
  entry.sizes.assign(sizes.begin(), sizes.end());
  int64_t stride = 1;
  for (size_t i = 0; i < sizes.size(); ++i)
    entry.strides.push_back(1);
  for (size_t i = sizes.size(); i-- > 0;) {
    entry.strides[i] = stride;
    stride *= sizes[i];
  }
  entry.fileOffset = end = (end + 63) / 64 * 64;
  entry.bytes = {reinterpret_cast<const std::byte *>(kept.data()),
                 kept.size() * sizeof(float)};
  std::fstream out(fileName, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(end);
  out.write(reinterpret_cast<const char *>(kept.data()), entry.bytes.size());
  end += entry.bytes.size();
  tensors[fqn] = std::move(entry);
  return *this;
}

TestArchive &TestArchive::tied(const std::string &fqn, const std::string &to) {
  ArchiveTensor entry = tensors.find(to)->second;
  tensors[fqn] = std::move(entry);
  return *this;
}

TestArchive &TestArchive::stretch(const std::string &fqn,
                                  std::vector<int64_t> sizes) {
  ArchiveTensor &entry = tensors.find(fqn)->second;
  entry.sizes.assign(sizes.begin(), sizes.end());
  entry.strides.assign(sizes.size(), 0);
  return *this;
}

std::vector<float> TestArchive::stored(const std::string &fqn) const {
  const ArchiveTensor &entry = tensors.find(fqn)->second;
  std::vector<float> out(entry.bytes.size() / sizeof(float));
  std::ifstream in(fileName, std::ios::binary);
  in.seekg(entry.fileOffset);
  in.read(reinterpret_cast<char *>(out.data()), entry.bytes.size());
  return out;
}

Expected<ArrayRef<std::byte>> TestArchive::record(StringRef name) const {
  return createStringError("no record '" + name.str() + "'");
}

} // namespace weir::test
