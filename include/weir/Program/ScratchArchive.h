//===- ScratchArchive.h - Archives that nobody keeps ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_SCRATCHARCHIVE_H
#define WEIR_PROGRAM_SCRATCHARCHIVE_H

#include "weir/Program/Archive.h"

namespace weir {

/// `rewriteArchive` for a new file that only this process reads: it is written in
/// place and not synced, which on a busy disk takes longer than all the rest.
llvm::Error writeScratchArchive(const Archive &source, llvm::StringRef path,
                                const llvm::json::Object &model,
                                llvm::ArrayRef<AddedTensor> added,
                                llvm::ArrayRef<AddedRecord> records,
                                const llvm::StringSet<> &dropped);

} // namespace weir

#endif // WEIR_PROGRAM_SCRATCHARCHIVE_H
