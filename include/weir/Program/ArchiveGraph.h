//===- ArchiveGraph.h - Archives whose graph was read ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_ARCHIVEGRAPH_H
#define WEIR_PROGRAM_ARCHIVEGRAPH_H

namespace weir {

class Archive;

/// Frees the parsed graph of an archive of which only tensors and records are
/// needed from now on: parsed it takes about a hundred times its text, since an
/// object has room for 48 keys. Its `model()` must not be called afterwards.
/// Nothing for an archive that has no parsed graph of its own.
void releaseGraph(Archive &archive);

} // namespace weir

#endif // WEIR_PROGRAM_ARCHIVEGRAPH_H
