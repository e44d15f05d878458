//===- GemmaTensors.h - What Gemma Scope and Gemma Scope 2 share ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Private to this library.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DICTIONARY_GEMMATENSORS_H
#define WEIR_LIB_DICTIONARY_GEMMATENSORS_H

#include "Formats.h"

namespace weir::dictionary {

/// The last components of a path, where the releases' folders say what a
/// dictionary is of ("layer_12/width_16k/average_l0_71").
llvm::SmallVector<llvm::StringRef> folderNames(llvm::StringRef path);

/// True if one of them contains `word`.
bool namesFolder(llvm::StringRef path, llvm::StringRef word);

/// The layer after "layer_" in one of them.
std::optional<int64_t> layerOfFolder(llvm::StringRef path);

/// Reads W_enc [d, F], W_dec [F, d], b_enc [F], b_dec [d] and threshold [F];
/// matrices may be in lower case as well. A `scaling_factor` of ones is what
/// an unused option leaves. Whatever else is there, besides `others`, is an
/// error that says whose files (`owner`) have no such thing.
llvm::Error readGemmaTensors(const TensorFile &file, llvm::StringRef owner,
                             llvm::ArrayRef<llvm::StringRef> others,
                             LinearForm &form);

} // namespace weir::dictionary

#endif // WEIR_LIB_DICTIONARY_GEMMATENSORS_H
