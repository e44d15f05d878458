//===- SpecEdit.h - A spec with other settings in it ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_SPECEDIT_H
#define WEIR_LIB_DRIVER_SPECEDIT_H

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace weir {

/// What a spec is to say instead.
struct SpecSetting {
  /// Knobs that get another default.
  struct Knob {
    std::string name, value;
  };
  std::vector<Knob> knobs;

  /// An addition that gets another form, or empty. What else its strength says
  /// (`times`, `weight`) stays.
  std::string policy;
  std::string value;    ///< of its strength
  std::string schedule; ///< the keys behind it, such as "schedule: linear, last: 0"
  std::string layers;   ///< "own" or "cumulative"
};

/// The text of a spec with another setting; everything else, comments included,
/// stays. Errors: the spec does not have what is to be set, or has it in a form in
/// which it cannot be replaced.
llvm::Expected<std::string> withSetting(llvm::StringRef text,
                                        const SpecSetting &setting,
                                        mlir::MLIRContext *context);

/// Whether an edited spec may go to `output`: paths in a spec are relative to its
/// folder, so it has to be the folder of `spec`, and no file that is there is
/// replaced.
llvm::Error checkEditedSpec(llvm::StringRef spec, llvm::StringRef output);

} // namespace weir

#endif // WEIR_LIB_DRIVER_SPECEDIT_H
