//===- ProcessMemoryTest.cpp - What a run holds in memory ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProcessMemory.h"

#include "Expect.h"
#include "TestArchive.h"

#include "weir/Support/Files.h"

#include <sys/mman.h>

using namespace llvm;
using namespace weir;
using namespace weir::test;

namespace {

constexpr size_t mebibyte = 1 << 20;

ProcessMemory memoryOf(const InputFile &file) {
  std::optional<ProcessMemory> memory = processMemory(file);
  EXPECT_TRUE(memory);
  return memory.value_or(ProcessMemory());
}

TEST(ProcessMemory, TellsWhatIsOwnFromWhatIsMapped) {
  TestArchive archive(GraphText().input("x", 7, {1}).output("x").object());
  archive.weight("w", std::vector<float>(4 * mebibyte, 1), {4 * mebibyte});
  std::shared_ptr<InputFile> file = archive.file();
  auto *data = static_cast<volatile char *>(
      ::mmap(nullptr, file->size(), PROT_READ | PROT_WRITE, MAP_PRIVATE,
             file->descriptor(), 0));
  ASSERT_NE(data, MAP_FAILED);
  ProcessMemory before = memoryOf(*file);
  EXPECT_EQ(before.state, 0u);
  char sum = 0;
  for (size_t i = 0; i < 16 * mebibyte; i += 4096)
    sum += data[i];
  ProcessMemory read = memoryOf(*file);
  EXPECT_GE(read.mapped, before.mapped + 15 * mebibyte);
  EXPECT_EQ(read.state, 0u);
  for (size_t i = 0; i < 8 * mebibyte; i += 4096)
    data[i] = sum;
  ProcessMemory written = memoryOf(*file);
  EXPECT_EQ(written.state, 8 * mebibyte);
  EXPECT_LT(written.own, before.own + 2 * mebibyte);
  ::munmap(const_cast<char *>(data), file->size());
  EXPECT_EQ(memoryOf(*file).state, 0u);
}

#ifdef __GLIBC__
TEST(ProcessMemory, FreedMemoryGoesBack) {
  TestArchive archive(GraphText().input("x", 7, {1}).output("x").object());
  archive.weight("w", {1}, {1});
  std::shared_ptr<InputFile> file = archive.file();
  uint64_t before = memoryOf(*file).own;
  // Small blocks with one behind them that stays: the allocator keeps these.
  using Block = std::array<char, 1000>;
  std::vector<std::unique_ptr<Block>> blocks(64 * mebibyte / sizeof(Block));
  for (auto &block : blocks) {
    block = std::make_unique<Block>();
    block->fill(1);
  }
  blocks.erase(blocks.begin(), blocks.end() - 1);
  EXPECT_GT(memoryOf(*file).own, before + 50 * mebibyte);
  returnFreedMemory();
  EXPECT_LT(memoryOf(*file).own, before + 10 * mebibyte);
}
#endif

} // namespace
