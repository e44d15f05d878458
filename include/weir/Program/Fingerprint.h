//===- Fingerprint.h - Which model an archive holds ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_FINGERPRINT_H
#define WEIR_PROGRAM_FINGERPRINT_H

#include "weir/Program/Archive.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace weir {

/// SHA-256 of an archive's weights: of a line
///
///   NAME DTYPE [SIZES] [STRIDES] OFFSET SHA-256-OF-THE-RECORD
///
/// for each parameter and persistent buffer, in the order of their names as
/// JSON strings. Steering adds constants and leaves weights alone, so a model
/// and what was built from it have the same. Reads all weights once and lets go
/// of their pages.
std::string weightsHash(const Archive &archive);
/// The same of some of the weights only, by their names.
std::string weightsHash(const Archive &archive,
                        llvm::function_ref<bool(llvm::StringRef)> isMeant);

/// SHA-256 of all tensors of an archive: as weightsHash, with a line for each constant
/// and buffer that is not persistent behind those of the weights.
std::string tensorsHash(const Archive &archive);

/// SHA-256 of the document of the archive's graph, as it is stored.
llvm::Expected<std::string> graphHash(const Archive &archive);

} // namespace weir

#endif // WEIR_PROGRAM_FINGERPRINT_H
