//===- Entries.h - What the fuzzers feed ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// One function a reader of untrusted files. Each takes the bytes of a file, and
// does with what opens all that has to be safe. The fuzzers call them with what
// they make up, the tests with the corpora that were kept.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TEST_FUZZ_ENTRIES_H
#define WEIR_TEST_FUZZ_ENTRIES_H

#include "llvm/ADT/ArrayRef.h"

#include <cstddef>

namespace weir::fuzz {

void npy(llvm::ArrayRef<std::byte> bytes);
void npz(llvm::ArrayRef<std::byte> bytes);
void safetensors(llvm::ArrayRef<std::byte> bytes);
void gguf(llvm::ArrayRef<std::byte> bytes);
/// A whole .pt file.
void torch(llvm::ArrayRef<std::byte> bytes);
/// The data.pkl of a .pt file. It is put into an archive with right checksums and
/// two storages.
void stateDict(llvm::ArrayRef<std::byte> bytes);
/// A whole .pt2 file.
void archive(llvm::ArrayRef<std::byte> bytes);
/// The documents of a .pt2 file: graph, weights config and constants config,
/// separated by NUL. They are put into an archive with right checksums, which a
/// fuzzer does not find. The graph has to survive printing.
void archiveDocuments(llvm::ArrayRef<std::byte> bytes);
/// A chat template, which is parsed and renders a chat that has every kind of
/// value. The text has to be UTF-8.
void chatTemplate(llvm::ArrayRef<std::byte> bytes);
/// The files of a dictionary of any format, in a short form that
/// DictionaryEntry.cpp describes. What opens gives its rows, all of them finite
/// and of the sizes that were promised. Returns whether it opened, was read and
/// gave a row.
bool openFolder(llvm::ArrayRef<std::byte> bytes);
void dictionary(llvm::ArrayRef<std::byte> bytes);
/// An attribution graph of circuit-tracer, which a right spec names.
void attribution(llvm::ArrayRef<std::byte> bytes);

} // namespace weir::fuzz

#endif // WEIR_TEST_FUZZ_ENTRIES_H
