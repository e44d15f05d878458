//===- ProcessMemory.cpp - What a run holds in memory ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProcessMemory.h"

#include "weir/Support/Files.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <sys/stat.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

using namespace llvm;

namespace weir {

std::optional<ProcessMemory> processMemory(const InputFile &program) {
  struct stat status;
  if (::fstat(program.descriptor(), &status) != 0)
    return std::nullopt;
  std::ifstream file("/proc/self/smaps");
  ProcessMemory out;
  bool isState = false;
  uint64_t resident = 0;
  for (std::string line; std::getline(file, line);) {
    StringRef text = line;
    if (text.empty() || !isUpper(text.front())) {
      // "55d0c0-55d0c8 rw-p 00000000 fe:00 1234  /a/file": by its number, since
      // a file may have lost its name, and devices have other ones on some
      // systems.
      SmallVector<StringRef, 6> parts;
      text.split(parts, ' ', /*MaxSplit=*/5, /*KeepEmpty=*/false);
      uint64_t inode = 0;
      isState = parts.size() >= 5 && parts[1].contains('w') &&
                !parts[4].getAsInteger(10, inode) && inode != 0 &&
                inode == status.st_ino;
      continue;
    }
    auto [key, rest] = text.split(':');
    uint64_t number = 0;
    StringRef digits = rest.trim();
    if (digits.consumeInteger(10, number))
      continue;
    number *= 1024; // "kB"
    if (key == "Rss") {
      resident = number;
    } else if (key == "Anonymous") {
      (isState ? out.state : out.own) += number;
      out.mapped += resident - std::min(resident, number);
    }
  }
  if (out.own == 0)
    return std::nullopt;
  return out;
}

void keepLittleFreedMemory() {
#ifdef __GLIBC__
  constexpr int most = 8 << 20;
  ::mallopt(M_MMAP_THRESHOLD, most);
  ::mallopt(M_TRIM_THRESHOLD, most);
#endif
}

void returnFreedMemory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

} // namespace weir
