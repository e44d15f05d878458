//===- RowsJob.h - Decoder rows of a spec's dictionaries ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_ROWSJOB_H
#define WEIR_DRIVER_ROWSJOB_H

#include "weir/Driver/Compiler.h"

#include "llvm/Support/JSON.h"

#include <string>
#include <vector>

namespace weir {

/// Writes what the decoders of dictionaries have, in effective form (see
/// Dictionary.h): for each a tensor "DICTIONARY/LAYER/SITE" [F, d] f32.
struct RowsJob {
  /// Such as "12/res", with the name of the dictionary before it where there are
  /// several ("sae:12/res").
  std::vector<std::string> sites;
  /// A .safetensors. What is there is replaced only if it is an older output of
  /// this, or empty.
  std::string output;

  /// For a compiler that has loaded nothing. Returns {"rows": [{"dictionary",
  /// "site", "tensor", "features", "width"}, …]}, in the order of `sites`.
  /// Reports: a spec that is wrong; sites that its dictionaries do not cover;
  /// files that cannot be read or written.
  mlir::FailureOr<llvm::json::Object> run(Compiler &compiler) const;
};

} // namespace weir

#endif // WEIR_DRIVER_ROWSJOB_H
