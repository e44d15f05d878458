//===- InteropTest.cpp - Files of and for NumPy, safetensors and torch ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The script interop.py makes files with the libraries that own the formats,
// and checks with them the files that are written here.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "llvm/ADT/StringExtras.h"

#include <caffe2/serialize/inline_container.h>

#include <cmath>
#include <cstdlib>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

/// Runs a command of the script; its last word is the folder.
void python(const std::string &command, const TemporaryFolder &folder) {
  std::string line = "OMP_NUM_THREADS=1 '" WEIR_PYTHON "' '" WEIR_INTEROP_SCRIPT
                     "' " +
                     command + " '" + folder.file("") + "'";
  ASSERT_EQ(std::system(line.c_str()), 0) << line;
}

/// The numbers that the script puts into every array: 0 to 11 as [3, 4].
void checkRamp(const TensorFile &file, const std::string &name, DType type) {
  TensorView view = valueOf(file.tensor(name));
  EXPECT_EQ(view.dtype, type) << name;
  EXPECT_EQ(view.shape, (SmallVector<int64_t>{3, 4})) << name;
  for (int64_t i = 0; i < 12; ++i)
    EXPECT_EQ(view.at(i), type == DType::Bool ? i % 2 : i) << name << " " << i;
}

const std::pair<const char *, DType> numpyTypes[] = {
    {"float64", DType::Float64}, {"float32", DType::Float32},
    {"float16", DType::Float16}, {"int64", DType::Int64},
    {"int32", DType::Int32},     {"int16", DType::Int16},
    {"int8", DType::Int8},       {"uint8", DType::UInt8},
    {"bool", DType::Bool}};

TEST(Interop, ReadsWhatNumPyAndSafetensorsWrite) {
  TemporaryFolder folder;
  python("make-tensors", folder);
  for (const char *name : {"stored.npz", "deflated.npz", "x.safetensors"}) {
    auto file = valueOf(TensorFile::open(folder.file(name)));
    ASSERT_TRUE(file) << name;
    for (auto [array, type] : numpyTypes)
      checkRamp(*file, array, type);
  }
  checkRamp(*valueOf(TensorFile::open(folder.file("x.safetensors"))),
            "bfloat16", DType::BFloat16);
  for (const char *name : {"stored.npz", "deflated.npz"})
    checkRamp(*valueOf(TensorFile::open(folder.file(name))), "fortran",
              DType::Float32);
  checkRamp(*valueOf(TensorFile::open(folder.file("plain.npy"))), "plain",
            DType::Float32);
  checkRamp(*valueOf(TensorFile::open(folder.file("fortran.npy"))), "fortran",
            DType::Float64);
  EXPECT_ERROR(TensorFile::open(folder.file("objects.npy")), "pickled");
  EXPECT_ERROR(TensorFile::open(folder.file("big.npy")), "big-endian");
}

TEST(Interop, NumPyAndSafetensorsReadWhatIsWritten) {
  TemporaryFolder folder;
  python("make-tensors", folder);
  auto file = valueOf(TensorFile::open(folder.file("x.safetensors")));
  ASSERT_TRUE(file);
  std::vector<NamedTensor> all, numpy;
  for (const std::string &name : file->names()) {
    all.push_back({name, valueOf(file->tensor(name))});
    if (name != "bfloat16")
      numpy.push_back(all.back());
  }
  EXPECT_OK(writeSafetensors(folder.file("out.safetensors"), all,
                             {{"format", "pt"}}));
  EXPECT_OK(writeNpz(folder.file("out.npz"), numpy));
  EXPECT_OK(writeNpy(folder.file("out.npy"), numpy.front().tensor));
  EXPECT_OK(writeNpy(folder.file("scalar.npy"),
                     viewOf<double>(DType::Float64, {}, {7})));
  python("check-tensors", folder);
}

TEST(Interop, TorchAndTheReaderAgreeOnEveryRecord) {
  TemporaryFolder folder;
  python("make-program", folder);
  std::string path = folder.file("program.pt2");
  auto archive = valueOf(Archive::open(path));
  ASSERT_TRUE(archive);
  EXPECT_OK(archive->verify());
  std::string file = readFile(path);
  caffe2::serialize::PyTorchStreamReader reader(path);
  EXPECT_EQ(archive->records().size(), reader.getAllRecords().size());
  for (const std::string &name : archive->records()) {
    ASSERT_TRUE(reader.hasRecord(name)) << name;
    ArrayRef<std::byte> bytes = valueOf(archive->record(name));
    EXPECT_EQ(
        file.substr(reader.getRecordOffset(name), reader.getRecordSize(name)),
        textOf(bytes))
        << name;
  }
  for (const StringMap<ArchiveTensor> *tensors :
       {&archive->weights(), &archive->constants()})
    for (const auto &entry : *tensors)
      EXPECT_EQ(entry.second.fileOffset,
                reader.getRecordOffset(entry.second.record));

  // What is particular about the program of the script.
  const ArchiveTensor *embedding = archive->find("embedding.weight"),
                      *head = archive->find("head.weight"),
                      *slice = archive->find("slice"),
                      *cache = archive->find("cache");
  ASSERT_TRUE(embedding && head && slice && cache);
  EXPECT_EQ(embedding->record, head->record);
  EXPECT_TRUE(embedding->isParameter);
  EXPECT_EQ(slice->sizes, (SmallVector<int64_t>{4, 3}));
  EXPECT_EQ(slice->strides, (SmallVector<int64_t>{1, 5}));
  EXPECT_EQ(slice->storageOffset, 5);
  EXPECT_EQ(dtypeOfArchive(cache->dtype), DType::BFloat16);
  EXPECT_TRUE(archive->constants().contains("cache"));
  EXPECT_EQ(textOf(valueOf(archive->record("extra/weir.json"))),
            "{\"weir\": 1}");
}

TEST(Interop, TorchLoadsRewrittenProgramsWithBitEqualOutputs) {
  TemporaryFolder folder;
  python("make-program", folder);
  auto archive = valueOf(Archive::open(folder.file("program.pt2")));
  ASSERT_TRUE(archive);
  std::vector<float> numbers = {1, 2, 3, 4, 5, 6};
  auto bytes =
      ArrayRef(reinterpret_cast<const std::byte *>(numbers.data()), 24);
  EXPECT_OK(rewriteArchive(
      *archive, folder.file("rewritten.pt2"), archive->model(),
      {{AddedTensor::Parameter, "weir.p", given(DType::Float32, {2, 3}, bytes)},
       {AddedTensor::Buffer, "weir.b", given(DType::Int8, {24}, bytes)},
       {AddedTensor::Constant, "weir.c", given(DType::Float32, {6}, bytes)},
       {AddedTensor::Constant, "weir.empty", given(DType::Float32, {0, 2}, {})}},
      {{"extra/added.txt", bytesOf("a text")}}));
  python("check-program", folder);
}

} // namespace
