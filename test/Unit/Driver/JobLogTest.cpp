//===- JobLogTest.cpp - What a run that was killed has finished ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Program/Support.h"

#include "JobLog.h"

#include "weir/Driver/DictionaryStatistics.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

using namespace llvm;
using namespace weir;
using namespace weir::test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace stdfs = std::filesystem;

namespace {

class JobLogTest : public testing::Test {
protected:
  /// Opens the log and reads the numbers of its parts.
  std::unique_ptr<JobLog> open() {
    numbers.clear();
    auto log = JobLog::open(folder, "key", "thing", [&](PartReader part) {
      append_range(numbers, part.getAll<int64_t>());
    });
    EXPECT_TRUE(static_cast<bool>(log)) << toString(log.takeError());
    return log ? std::move(*log) : nullptr;
  }
  static PartWriter part(std::vector<int64_t> values) {
    PartWriter writer;
    writer.putAll(ArrayRef(values));
    return writer;
  }
  std::string path() const { return folder + "/key.thing"; }

  TemporaryFolder temporary;
  std::string folder = temporary.file("logs");
  std::vector<int64_t> numbers;
};

TEST_F(JobLogTest, PartsStay) {
  {
    auto log = open();
    EXPECT_THAT(numbers, IsEmpty());
    EXPECT_FALSE(log->append(part({1, 2})));
    EXPECT_FALSE(log->append(part({})));
    EXPECT_FALSE(log->append(part({3})));
  }
  auto log = open();
  EXPECT_THAT(numbers, ElementsAre(1, 2, 3));
  EXPECT_FALSE(log->replace(part({7})));
  EXPECT_FALSE(log->append(part({8})));
  log.reset();
  open();
  EXPECT_THAT(numbers, ElementsAre(7, 8));
}

TEST_F(JobLogTest, WhatWasCutShortGoes) {
  std::vector<uintmax_t> ends;
  {
    auto log = open();
    for (int64_t i = 0; i < 3; ++i) {
      EXPECT_FALSE(log->append(part({i})));
      ends.push_back(stdfs::file_size(path()));
    }
  }
  for (uintmax_t cut = ends[1]; cut < ends[2]; ++cut) {
    stdfs::resize_file(path(), cut);
    auto log = open();
    EXPECT_THAT(numbers, ElementsAre(0, 1)) << cut;
    EXPECT_EQ(stdfs::file_size(path()), ends[1]);
    EXPECT_FALSE(log->append(part({2})));
    EXPECT_EQ(stdfs::file_size(path()), ends[2]);
  }
  // Not even the head is whole.
  stdfs::resize_file(path(), 5);
  EXPECT_FALSE(open()->append(part({9})));
  open();
  EXPECT_THAT(numbers, ElementsAre(9));
}

TEST_F(JobLogTest, WhatIsDamagedIsNotBelieved) {
  {
    auto log = open();
    EXPECT_FALSE(log->append(part({1})));
    EXPECT_FALSE(log->append(part({2})));
  }
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('x');
  }
  open();
  EXPECT_THAT(numbers, ElementsAre(1));
  // A length that is beyond the file, and one that wraps around.
  for (uint64_t length : {uint64_t(1) << 40, ~uint64_t(0)}) {
    PartWriter wrong;
    wrong.put(length);
    std::ofstream(path(), std::ios::app | std::ios::binary)
        << wrong.bytes << std::string(100, '0');
    open();
    EXPECT_THAT(numbers, ElementsAre(1));
  }
}

TEST_F(JobLogTest, OneProcessHasAJob) {
  auto log = open();
  auto second = JobLog::open(folder, "key", "thing", [](PartReader) {});
  ASSERT_FALSE(static_cast<bool>(second));
  EXPECT_THAT(toString(second.takeError()), HasSubstr("another process"));
  log.reset();
  EXPECT_TRUE(open() != nullptr);
}

TEST(PartReaderTest, AListThatSaysTooMuch) {
  PartWriter writer;
  writer.put<uint64_t>(1000);
  writer.put<int32_t>(5);
  PartReader reader(writer.bytes);
  EXPECT_THAT(reader.getAll<int32_t>(), ElementsAre(5));
  EXPECT_EQ(reader.get<int64_t>(), 0);
}

/// Decoder rows that are i times a unit vector.
class Rows : public Dictionary {
public:
  Rows() {
    information.features = 3;
    information.width = 3;
  }
  Expected<EncoderRows> encoder(ArrayRef<int64_t>) const override {
    return createStringError("not asked for");
  }
  Expected<RowMatrix> decoder(ArrayRef<int64_t> features) const override {
    RowMatrix rows = RowMatrix::Zero(features.size(), 3);
    for (auto [row, feature] : enumerate(features))
      rows(row, feature) = 1;
    return rows;
  }
  Expected<RowVector> decoderBias() const override {
    return RowVector(RowVector::Zero(3));
  }
  Expected<std::string> contentHash() const override { return "0"; }
};

TEST(DictionaryStatisticsTest, GoesOnWhereItWas) {
  auto make = [] {
    return DictionaryStatistics(
        3, Reconstruction{std::make_shared<Rows>(), RowVector::Zero(3)});
  };
  auto token = [](int32_t feature, float strength) {
    return SparseRecord{{0, 1}, {feature}, {strength}};
  };
  auto values = [](float a, float b) {
    return SparseRecord{{0, 2}, {0, 2}, {a, b}};
  };
  DictionaryStatistics whole = make(), before = make(), after = make();
  EXPECT_FALSE(after.resume({{1, 2}, {0, 0}}));
  EXPECT_TRUE(after.resume(before.state())); // of nothing
  for (int step = 0; step < 4; ++step) {
    SparseRecord activations = token(step % 3, 0.5f + step);
    SparseRecord x = values(1.0f + step, 0.25f * step);
    EXPECT_FALSE(whole.add(activations, &x));
    if (step == 2)
      ASSERT_TRUE(after.resume(before.state()));
    EXPECT_FALSE((step < 2 ? before : after).add(activations, &x));
  }
  EXPECT_EQ(after.tokens(), whole.tokens());
  EXPECT_EQ(after.l0(), whole.l0());
  EXPECT_EQ(after.active(), whole.active());
  ASSERT_TRUE(whole.explainedVariance());
  EXPECT_EQ(after.explainedVariance(), whole.explainedVariance());
}

} // namespace
