//===- ProgramCheck.h - What the builder and the runner take ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One check for everything that reads a program: what `weirc` builds from is
// what `weir-run` runs. Torch-free to include.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_PROGRAMCHECK_H
#define WEIR_RUNTIME_PROGRAMCHECK_H

#include "weir/Operators/Operators.h"
#include "weir/Program/Archive.h"
#include "weir/Runtime/Manifest.h"
#include "weir/Runtime/ModelInfo.h"

namespace weir {

/// The text of a record, whose checksum has to be right.
llvm::Expected<llvm::StringRef> textRecord(const Archive &archive,
                                           llvm::StringRef name);

/// What an archive says of the steering that is in it; nothing if it has no
/// record of that. Errors: a damaged or malformed record.
llvm::Expected<std::optional<Manifest>> readSteering(const Archive &archive);

/// Whether the program can run: its graph (`checkGraph`), and each call against
/// the schema of its operator, which `operators` has to allow. Errors name the
/// node. `tensors` as for `checkGraph`.
llvm::Error checkCalls(const Archive &archive,
                       const OperatorPolicy &operators = {},
                       const Archive *tensors = nullptr);

/// Checks an archive against what `description` says of its inputs and outputs:
/// their number, names, dtypes and ranks, one column a knob, one a feature that
/// is recorded, one a token of the vocabulary. A default-made description is
/// that of a model as it was exported. Includes `checkCalls`.
/// Returns extra/weir.json.
llvm::Expected<ModelInfo> checkProgram(const Archive &archive,
                                       const Manifest &description,
                                       const OperatorPolicy &operators = {},
                                       const Archive *tensors = nullptr);

} // namespace weir

#endif // WEIR_RUNTIME_PROGRAMCHECK_H
