//===- Hashing.h - Content hashes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_HASHING_H
#define WEIR_SUPPORT_HASHING_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstddef>
#include <string>

namespace weir {

/// A running SHA-256 (libcrypto's: it counts bytes in 64 bits, where
/// llvm::SHA256 is wrong from 2^29 bytes on, and uses the processor's
/// instructions).
class Sha256 {
public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256 &) = delete;
  Sha256 &operator=(const Sha256 &) = delete;

  void update(llvm::ArrayRef<std::byte> bytes);
  void update(const void *data, size_t size) {
    update(llvm::ArrayRef<std::byte>(static_cast<const std::byte *>(data), size));
  }
  void update(llvm::StringRef text) { update(text.data(), text.size()); }
  /// 64 lower-case hexadecimal digits; to be called once, at the end.
  std::string finish();

private:
  void *context;
};

/// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256(llvm::ArrayRef<std::byte> bytes);
std::string sha256(llvm::StringRef text);

} // namespace weir

#endif // WEIR_SUPPORT_HASHING_H
