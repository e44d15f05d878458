//===- FolderNames.h - The names in a folder, in handlers of signals ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_SUPPORT_FOLDERNAMES_H
#define WEIR_LIB_SUPPORT_FOLDERNAMES_H

#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

namespace weir {

/// Calls `each` with the name of each entry of an open folder, "." and ".." among
/// them, from where its descriptor stands; ends early where it cannot be read.
/// Async-signal-safe if `each` is, in contrast to readdir(3).
template <typename Each> void forEachName(int folder, const Each &each) {
  // The kernel's records: inode, offset, their length (16 bits at 16), the type,
  // and the name at 19 (getdents(2)).
  alignas(8) char buffer[4096];
  long size;
  while ((size = ::syscall(SYS_getdents64, folder, buffer, sizeof(buffer))) > 0)
    for (long at = 0; at < size;) {
      unsigned short length;
      std::memcpy(&length, buffer + at + 16, sizeof(length));
      each(static_cast<const char *>(buffer + at + 19));
      at += length;
    }
}

} // namespace weir

#endif // WEIR_LIB_SUPPORT_FOLDERNAMES_H
