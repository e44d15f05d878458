//===- Fingerprint.cpp - Which model an archive holds ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/Fingerprint.h"

#include "ArchiveLayout.h"

#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace weir {

/// Pages are let go in pieces, so that a large record does not fill memory.
static constexpr size_t pieceBytes = 16u << 20;

static std::string hashOf(const Archive &archive, ArrayRef<std::byte> bytes) {
  Sha256 hash;
  while (!bytes.empty()) {
    ArrayRef<std::byte> piece = bytes.take_front(pieceBytes);
    bytes = bytes.drop_front(piece.size());
    hash.update(piece);
    archive.releasePages(piece);
  }
  return hash.finish();
}

std::string weightsHash(const Archive &archive) {
  return weightsHash(archive, [](StringRef) { return true; });
}

/// Adds a line for each tensor that is meant. `records`: hashes that are known.
static void addLines(const Archive &archive,
                     const StringMap<ArchiveTensor> &tensors,
                     function_ref<bool(StringRef)> isMeant,
                     StringMap<std::string> &records, Sha256 &all) {
  std::vector<StringRef> names;
  for (StringRef name : tensors.keys())
    if (isMeant(name))
      names.push_back(name);
  llvm::sort(names);
  for (StringRef name : names) {
    const ArchiveTensor &tensor = tensors.find(name)->second;
    // Tied weights share a record.
    auto [record, isNew] = records.try_emplace(tensor.record);
    if (isNew)
      record->second = hashOf(archive, tensor.bytes);
    // Quoted, a name cannot pass for the rest of its line.
    all.update(formatv("{0} {1} [{2}] [{3}] {4} {5}\n", json::Value(name),
                       tensor.dtype, make_range(tensor.sizes.begin(),
                                                tensor.sizes.end()),
                       make_range(tensor.strides.begin(), tensor.strides.end()),
                       tensor.storageOffset, record->second)
                   .str());
  }
}

std::string weightsHash(const Archive &archive,
                        function_ref<bool(StringRef)> isMeant) {
  StringMap<std::string> records;
  Sha256 all;
  addLines(archive, archive.weights(), isMeant, records, all);
  return all.finish();
}

std::string tensorsHash(const Archive &archive) {
  auto any = [](StringRef) { return true; };
  StringMap<std::string> records;
  Sha256 all;
  addLines(archive, archive.weights(), any, records, all);
  addLines(archive, archive.constants(), any, records, all);
  return all.finish();
}

Expected<std::string> graphHash(const Archive &archive) {
  Expected<ArrayRef<std::byte>> document =
      archive.record(archive::modelRecord(archive.modelName()));
  if (!document)
    return document.takeError();
  return sha256(*document);
}

} // namespace weir
