//===- TensorWriterTest.cpp - Writers of .npy, .npz and .safetensors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <rapidcheck/gtest.h>

#include <numeric>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

/// A tensor of any type and a small shape, with arbitrary bytes.
rc::Gen<TensorView> anyTensor() {
  return rc::gen::exec([] {
    DType type =
        *rc::gen::element(DType::Float64, DType::Float32, DType::Float16,
                          DType::BFloat16, DType::Int64, DType::Int32,
                          DType::Int16, DType::Int8, DType::UInt8, DType::Bool);
    auto shape = *rc::gen::container<std::vector<int64_t>>(
        *rc::gen::inRange(0, 4), rc::gen::inRange<int64_t>(0, 5));
    size_t bytes = static_cast<size_t>(*checkedBytes(shape, sizeOf(type)));
    return viewOf(type, shape,
                  *rc::gen::container<std::vector<uint8_t>>(
                      bytes, rc::gen::arbitrary<uint8_t>()));
  });
}

rc::Gen<std::vector<NamedTensor>> anyTensors() {
  return rc::gen::exec([] {
    std::vector<NamedTensor> tensors;
    int count = *rc::gen::inRange(0, 6);
    for (int i = 0; i < count; ++i)
      tensors.push_back({"t" + std::to_string(i * 7 % 6), *anyTensor()});
    return tensors;
  });
}

void checkSame(const TensorView &read, const TensorView &expected) {
  RC_ASSERT(read.dtype == expected.dtype);
  RC_ASSERT(read.shape == expected.shape);
  RC_ASSERT(contentOf(read) == contentOf(expected));
  RC_ASSERT(reinterpret_cast<uintptr_t>(read.data) % sizeOf(read.dtype) == 0);
}

RC_GTEST_PROP(TensorWriter, NpyComesBack, ()) {
  TemporaryFolder folder;
  TensorView tensor = *anyTensor();
  RC_ASSERT(messageOf(writeNpy(folder.file("x.npy"), tensor)) == "");
  auto file = cantFail(TensorFile::open(folder.file("x.npy")));
  checkSame(cantFail(file->tensor("x")), tensor);
}

RC_GTEST_PROP(TensorWriter, NpzComesBack, ()) {
  TemporaryFolder folder;
  std::vector<NamedTensor> tensors = *anyTensors();
  RC_ASSERT(messageOf(writeNpz(folder.file("x.npz"), tensors)) == "");
  auto file = cantFail(TensorFile::open(folder.file("x.npz")));
  RC_ASSERT(file->names().size() == tensors.size());
  for (auto [name, expected] : zip_equal(file->names(), tensors)) {
    RC_ASSERT(name == expected.name);
    checkSame(cantFail(file->tensor(name)), expected.tensor);
  }
}

RC_GTEST_PROP(TensorWriter, SafetensorsComeBack, ()) {
  TemporaryFolder folder;
  std::vector<NamedTensor> tensors = *anyTensors();
  std::string path = folder.file("x.safetensors");
  std::map<std::string, std::string> metadata;
  if (*rc::gen::arbitrary<bool>())
    metadata["format"] = "pt";
  RC_ASSERT(messageOf(writeSafetensors(path, tensors, metadata)) == "");
  auto file = cantFail(TensorFile::open(path));
  RC_ASSERT(file->names().size() == tensors.size());
  for (const NamedTensor &expected : tensors)
    checkSame(cantFail(file->tensor(expected.name)), expected.tensor);
}

TEST(TensorWriter, FilesDependOnTheirContentOnly) {
  TemporaryFolder folder;
  std::vector<NamedTensor> tensors = {
      {"a", viewOf<float>(DType::Float32, {2}, {1, 2})},
      {"b", viewOf<int64_t>(DType::Int64, {1}, {3})}};
  auto bytesOfBoth = [&](const std::string &prefix) {
    EXPECT_OK(writeNpz(folder.file(prefix + ".npz"), tensors));
    EXPECT_OK(writeSafetensors(folder.file(prefix + ".safetensors"), tensors,
                               {{"x", "1"}, {"y", "2"}}));
    return readFile(folder.file(prefix + ".npz")) +
           readFile(folder.file(prefix + ".safetensors"));
  };
  EXPECT_EQ(bytesOfBoth("first"), bytesOfBoth("second"));
}

TEST(TensorWriter, BadNamesAreRefusedAndNothingIsLeft) {
  TemporaryFolder folder;
  TensorView one = viewOf<float>(DType::Float32, {}, {1});
  std::string npz = folder.file("x.npz"), st = folder.file("x.safetensors");
  EXPECT_ERROR(writeNpz(npz, {{"a", one}, {"a", one}}), "taken");
  EXPECT_ERROR(writeNpz(npz, {{"../a", one}}), "'..'");
  EXPECT_ERROR(writeSafetensors(st, {{"a", one}, {"a", one}}), "taken");
  EXPECT_ERROR(writeSafetensors(st, {{"__metadata__", one}}), "taken");
  EXPECT_ERROR(writeSafetensors(st, {{"\xff", one}}), "not UTF-8");
  EXPECT_ERROR(writeSafetensors(st, {{"a", one}}, {{"k", "\xff"}}),
               "not UTF-8");
  TensorView deep = one;
  deep.shape.assign(65, 1);
  EXPECT_ERROR(writeNpy(folder.file("x.npy"), deep), "65 dimensions");
  EXPECT_EQ(folder.entries(), std::vector<std::string>{});
}

TEST(TensorWriter, ReplacesAFileThatIsMapped) {
  TemporaryFolder folder;
  std::string path = folder.file("x.npy");
  EXPECT_OK(writeNpy(path, viewOf<float>(DType::Float32, {2}, {1, 2})));
  TensorView old = valueOf(valueOf(TensorFile::open(path))->tensor("x"));
  EXPECT_OK(writeNpy(path, old)); // onto itself
  EXPECT_OK(writeNpy(path, viewOf<float>(DType::Float32, {1}, {3})));
  EXPECT_EQ(elementsOf(old), (std::vector<double>{1, 2}));
}

} // namespace
