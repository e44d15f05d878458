//===- Hashing.cpp - Content hashes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/Hashing.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ErrorHandling.h"

#include <openssl/evp.h>

#include <array>

using namespace llvm;

namespace weir {

Sha256::Sha256() : context(EVP_MD_CTX_new()) {
  if (!context || EVP_DigestInit_ex(static_cast<EVP_MD_CTX *>(context),
                                    EVP_sha256(), nullptr) != 1)
    report_fatal_error("libcrypto has no SHA-256");
}

Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX *>(context)); }

void Sha256::update(ArrayRef<std::byte> bytes) {
  if (EVP_DigestUpdate(static_cast<EVP_MD_CTX *>(context), bytes.data(),
                       bytes.size()) != 1)
    report_fatal_error("SHA-256 failed");
}

std::string Sha256::finish() {
  std::array<uint8_t, 32> digest;
  if (EVP_DigestFinal_ex(static_cast<EVP_MD_CTX *>(context), digest.data(),
                         nullptr) != 1)
    report_fatal_error("SHA-256 failed");
  return toHex(digest, /*LowerCase=*/true);
}

std::string sha256(ArrayRef<std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

std::string sha256(StringRef text) {
  return sha256(ArrayRef<std::byte>(
      reinterpret_cast<const std::byte *>(text.data()), text.size()));
}

} // namespace weir
