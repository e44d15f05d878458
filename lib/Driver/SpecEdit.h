//===- SpecEdit.h - A spec with another number in it ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_SPECEDIT_H
#define WEIR_LIB_DRIVER_SPECEDIT_H

#include "mlir/IR/Location.h"
#include "llvm/Support/Error.h"

#include <string>

namespace weir {

/// The text of a spec with another number in the place of the one at `where`;
/// everything else, comments included, stays. Errors: there is no number.
llvm::Expected<std::string> withNumberAt(llvm::StringRef text,
                                         mlir::Location where,
                                         llvm::StringRef number);

/// Whether an edited spec may go to `output`: paths in a spec are relative to its
/// folder, so it has to be the folder of `spec`, and no file that is there is
/// replaced.
llvm::Error checkEditedSpec(llvm::StringRef spec, llvm::StringRef output);

} // namespace weir

#endif // WEIR_LIB_DRIVER_SPECEDIT_H
