//===- ValidationProgram.h - The program that validation runs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_VALIDATIONPROGRAM_H
#define WEIR_LIB_DRIVER_VALIDATIONPROGRAM_H

#include "weir/Driver/ActivationMatching.h"
#include "weir/Driver/Compiler.h"
#include "weir/Runtime/CaseProgram.h"

namespace weir {

/// A part of the model that starts at a site. Sites are indices into a list.
struct WantedSlice {
  size_t from = 0;
  /// The site that it ends at, or none for the logits.
  std::optional<size_t> to;
  /// Sites at which features are taken away, in the program's order: `from` first,
  /// or none of them at all.
  std::vector<size_t> edited;
  /// Whether activations and the value at the end are asked for.
  bool activations = false, value = false;
};

struct CaseProgramOptions {
  int64_t removed = 1; ///< features that an edit takes away at once
  int64_t slots = 0;   ///< positions of a row of the slices' caches
  bool losses = false; ///< the logits of the text are recorded
};

/// In what order a steered program (of makeRecordingSpec) passes the sites: their
/// indices. Reports what cannot be validated: a dictionary whose features are
/// never off, or that reads another site than it writes to.
mlir::FailureOr<std::vector<size_t>>
orderOfSites(Compiler &compiler, llvm::ArrayRef<ActivationSite> sites);

/// Adds the slices to a steered program, lowers it and says where everything is.
/// Reports what cannot be cut.
mlir::FailureOr<CaseProgram> makeCaseProgram(Compiler &compiler,
                                             llvm::ArrayRef<ActivationSite> sites,
                                             llvm::ArrayRef<WantedSlice> slices,
                                             const CaseProgramOptions &options);

} // namespace weir

#endif // WEIR_LIB_DRIVER_VALIDATIONPROGRAM_H
