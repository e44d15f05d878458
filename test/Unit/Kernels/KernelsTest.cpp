//===- KernelsTest.cpp - Calling kernels from C ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Kernels/weir_kernels.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <atomic>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

static std::atomic<int64_t> allocations = 0;

void *operator new(size_t size) {
  ++allocations;
  if (void *memory = std::malloc(size ? size : 1))
    return memory;
  std::abort();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

namespace {

using testing::HasSubstr;

std::string table(int fault) {
  return WEIR_TABLES + std::to_string(fault) + ".so";
}

std::string loading(const std::string &path) {
  const char *error = weir_kernels_load(path.c_str());
  return error ? error : "";
}

constexpr const char *kernel = "edit_by_hand";
constexpr int64_t width = 4;

/// What the kernel of Inputs/table.c takes, for a batch.
struct Arguments {
  Arguments(int64_t batch, int64_t sequence)
      : value(batch * sequence * width), result(value.size(), -1.0f),
        seen(batch * sequence, -1.0f), row(width, 0.5f), plans(batch),
        sizes{{batch, sequence, width}, {batch},          {batch, sequence, width},
              {batch, sequence, 1},     {1, width}},
        strides{{sequence * width, width, 1},
                {1},
                {sequence * width, width, 1},
                {sequence, 1, 1},
                {width, 1}} {
    std::iota(value.begin(), value.end(), 1.0f);
    for (int64_t i = 0; i < batch; ++i)
      plans[i] = i % 2 - 1;
    tensors = {tensor(0, value.data(), WEIR_F32), tensor(1, plans.data(), WEIR_I64),
               tensor(2, result.data(), WEIR_F32), tensor(3, seen.data(), WEIR_F32),
               tensor(4, row.data(), WEIR_F32)};
  }
  Arguments(const Arguments &) = delete;

  weir_tensor tensor(int at, void *data, int64_t type) const {
    return {data, type, static_cast<int64_t>(sizes[at].size()), sizes[at].data(),
            strides[at].data()};
  }
  std::string apply(const char *name = kernel) const {
    const char *error = weir_site_apply(name, tensors.data(), tensors.size());
    return error ? error : "";
  }

  std::vector<float> value, result, seen, row;
  std::vector<int64_t> plans;
  std::vector<std::vector<int64_t>> sizes, strides;
  std::vector<weir_tensor> tensors;
};

class KernelsTest : public testing::Test {
protected:
  void SetUp() override { ASSERT_EQ(loading(table(0)), ""); }
};

TEST_F(KernelsTest, Apply) {
  Arguments given(3, 5);
  ASSERT_EQ(given.apply(), "");
  for (int64_t i = 0; i < 3 * 5 * width; ++i) {
    bool follows = i / (5 * width) == 1;
    EXPECT_EQ(given.result[i], given.value[i] + (follows ? 0.5f : 0.0f));
    EXPECT_EQ(given.seen[i / width], follows ? 1.0f : 0.0f);
  }
  // The new value may be the value itself.
  std::vector<float> want = given.result;
  given.tensors[2].data = given.value.data();
  ASSERT_EQ(given.apply(), "");
  EXPECT_EQ(given.value, want);
}

TEST_F(KernelsTest, StridesAndNoTokens) {
  Arguments given(3, 5), want(3, 5);
  ASSERT_EQ(want.apply(), "");
  // Rows one number apart from each other, batch and sequence turned round.
  std::vector<float> wide(3 * 5 * (width + 1));
  given.strides[2] = {width + 1, 3 * (width + 1), 1};
  given.tensors[2].data = wide.data();
  ASSERT_EQ(given.apply(), "");
  for (int64_t b = 0; b < 3; ++b)
    for (int64_t s = 0; s < 5; ++s)
      for (int64_t i = 0; i < width; ++i)
        EXPECT_EQ(wide[(s * 3 + b) * (width + 1) + i],
                  want.result[(b * 5 + s) * width + i]);
  Arguments none(0, 5);
  for (weir_tensor &each : none.tensors)
    each.data = each.rank == 2 ? each.data : nullptr;
  EXPECT_EQ(none.apply(), "");
}

TEST_F(KernelsTest, NoAllocationInTheSteadyState) {
  Arguments given(3, 5);
  ASSERT_EQ(given.apply(), "");
  int64_t before = allocations;
  for (int i = 0; i < 1000; ++i)
    if (!given.tensors.empty())
      weir_site_apply(kernel, given.tensors.data(), given.tensors.size());
  EXPECT_EQ(allocations, before);
}

TEST_F(KernelsTest, Threads) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        Arguments given(2, 3);
        wrong += !given.apply().empty() || given.result[3 * width] != given.value[3 * width] + 0.5f;
        // A message is the thread's own.
        std::string said = given.apply("nobody");
        wrong += said.find("nobody") == std::string::npos;
        wrong += !loading(table(0)).empty();
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(KernelsTest, HostileTensors) {
  auto refused = [](auto change) {
    Arguments given(2, 3);
    change(given);
    std::string said = given.apply();
    for (float each : given.result)
      EXPECT_EQ(each, -1.0f) << "nothing is written where something is wrong";
    return said;
  };
  using A = Arguments &;
  EXPECT_THAT(refused([](A a) { a.tensors.pop_back(); }), HasSubstr("takes 5"));
  EXPECT_THAT(refused([](A a) { a.tensors[1].type = WEIR_F32; }), HasSubstr("another type"));
  EXPECT_THAT(refused([](A a) { a.tensors[0].rank = 2; }), HasSubstr("another rank"));
  EXPECT_THAT(refused([](A a) { a.tensors[4].rank = 1; }), HasSubstr("another rank"));
  EXPECT_THAT(refused([](A a) { a.sizes[0][2] = 5; }), HasSubstr("another size"));
  EXPECT_THAT(refused([](A a) { a.sizes[0][0] = -2; }), HasSubstr("another size"));
  EXPECT_THAT(refused([](A a) { a.sizes[1][0] = 3; }), HasSubstr("another size"));
  EXPECT_THAT(refused([](A a) { a.sizes[4][0] = 0; }), HasSubstr("another size"));
  EXPECT_THAT(refused([](A a) { a.strides[0][2] = 2; }), HasSubstr("contiguous"));
  EXPECT_THAT(refused([](A a) { a.strides[0][0] = LLONG_MAX; }), HasSubstr("nowhere"));
  EXPECT_THAT(refused([](A a) { a.strides[0][0] = -12; }), HasSubstr("nowhere"));
  EXPECT_THAT(refused([](A a) { a.strides[2][0] = 0; }), HasSubstr("share memory"));
  EXPECT_THAT(refused([](A a) { a.strides[2][1] = 3; }), HasSubstr("share memory"));
  EXPECT_THAT(refused([](A a) { a.strides[3][1] = 0; }), HasSubstr("share memory"));
  EXPECT_THAT(refused([](A a) { a.tensors[4].data = nullptr; }), HasSubstr("no memory"));
  EXPECT_THAT(refused([](A a) {
                a.tensors[0].data = reinterpret_cast<char *>(a.value.data()) + 1;
              }),
              HasSubstr("numbers of its type"));
  EXPECT_THAT(refused([](A a) {
                a.tensors[0].data = reinterpret_cast<void *>(UINTPTR_MAX - 7);
              }),
              HasSubstr("no memory"));
  EXPECT_THAT(refused([](A a) { a.tensors[2].data = a.value.data() + width; }),
              HasSubstr("shares memory with argument 0"));
  EXPECT_THAT(refused([](A a) { a.tensors[3].data = a.row.data() - 1; }),
              HasSubstr("shares memory with argument 4"));
  EXPECT_THAT(refused([](A a) {
                for (int i : {0, 2, 3})
                  a.sizes[i][0] = 0, a.sizes[i][1] = LLONG_MAX;
                a.sizes[1][0] = 0;
              }),
              HasSubstr("nowhere"));
  Arguments given(2, 3);
  EXPECT_THAT(given.apply("edit_of_nobody"), HasSubstr("no kernel 'edit_of_nobody'"));
}

TEST(KernelFiles, HostileTables) {
  ASSERT_EQ(loading(table(0)), "");
  const std::pair<int, const char *> faults[] = {
      {1, "out of order"},      {2, "no known form"},  {3, "no known form"},
      {4, "out of order"},      {5, "do not fit"},     {6, "out of order"},
      {7, "do not fit"},        {8, "no known size"},  {9, "no variant"},
      {10, "without code"},     {11, "without a name"}, {12, "without arguments"},
      {13, "without arguments"}, {14, "without code"}, {15, "holds no kernels"},
      {16, "of version"},       {17, "another processor"}, {18, "damaged"},
      {19, "another kernel edit_by_hand"}};
  for (auto [fault, said] : faults)
    EXPECT_THAT(loading(table(fault)), HasSubstr(said)) << fault;
  // What was there before still works.
  EXPECT_EQ(Arguments(2, 3).apply(), "");
}

TEST(KernelFiles, DamagedFiles) {
  auto scratch = std::filesystem::path(testing::TempDir()) / "weir-kernel-files";
  std::filesystem::remove_all(scratch);
  std::filesystem::create_directories(scratch);
  std::ifstream whole(table(0), std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(whole)), {});
  ASSERT_GT(bytes.size(), 4096u);
  auto written = [&](const char *name, std::string content) {
    std::ofstream(scratch / name, std::ios::binary) << content;
    return loading(scratch / name);
  };
  // Wherever a file ends before what is loaded of it does, it is refused.
  EXPECT_THAT(written("empty.so", ""), HasSubstr("no shared object"));
  EXPECT_THAT(written("text.so", "#!/bin/sh\n" + std::string(8192, '#')), HasSubstr("no shared object"));
  EXPECT_THAT(written("start.so", bytes.substr(0, 100)), HasSubstr("cut off"));
  EXPECT_THAT(written("half.so", bytes.substr(0, bytes.size() / 4)), HasSubstr("cut off"));
  std::string far = bytes;
  far[32] = far[39] = '\x7f'; // where its parts are listed
  EXPECT_THAT(written("far.so", far), HasSubstr("cut off"));
  std::string small = bytes;
  small[4] = 1; // of 32 bits
  EXPECT_THAT(written("small.so", small), HasSubstr("no shared object"));
  EXPECT_THAT(loading(scratch), HasSubstr("no regular file"));
  EXPECT_THAT(loading(scratch / "missing.so"), HasSubstr("No such file"));
  std::filesystem::remove_all(scratch);
}

} // namespace
