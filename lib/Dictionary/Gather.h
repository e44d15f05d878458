//===- Gather.h - Reading some rows of a mapped matrix ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DICTIONARY_GATHER_H
#define WEIR_LIB_DICTIONARY_GATHER_H

#include "Formats.h"

namespace weir::dictionary {

/// The vectors of `features` out of a stored matrix, widened to f32: rows of an
/// [F, n] matrix (`byRow`) or columns of an [n, F] one, as [k, n]. Indices are
/// in range and may repeat. Bytes of other features are not read. Errors: NaN
/// or infinity, with its place in the stored matrix.
llvm::Expected<RowMatrix> gather(llvm::StringRef path,
                                 const NamedTensor &matrix, bool byRow,
                                 llvm::ArrayRef<int64_t> features);

/// The same for the elements of a vector [F], to f64.
llvm::Expected<std::vector<double>>
gatherElements(llvm::StringRef path, const NamedTensor &vector,
               llvm::ArrayRef<int64_t> features);

} // namespace weir::dictionary

#endif // WEIR_LIB_DICTIONARY_GATHER_H
