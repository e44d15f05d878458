//===- PictureJob.h - Pictures and stories of graphs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_PICTUREJOB_H
#define WEIR_DRIVER_PICTUREJOB_H

#include "weir/Driver/GraphReport.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/LLVM.h"

#include <optional>
#include <string>

namespace weir {

/// Draws graphs as a page or a picture, or tells them: `python -m weir picture`
/// does it, with what `weirc graph --json` prints.
struct PictureJob {
  /// The file to write, .html or .svg; or empty, and the story is printed.
  std::string output;
  /// What is known of the features: a text that runs through the model, or what
  /// `weirc features --json` has printed; both may be empty.
  std::string text, features;
  /// Of the graphs, where a text is given; `model` and `cache` may be empty.
  std::string spec, model, cache;
  /// Of the text, 0 for all of them; Python has a limit where none is given.
  std::optional<int64_t> maxTokens;

  /// Whether a file of this name is a picture.
  static bool draws(llvm::StringRef path);

  /// `graphs` is gone before Python starts. Reports an error if it cannot be started
  /// or fails, after what it says itself.
  mlir::LogicalResult run(const char *argv0, mlir::MLIRContext &context,
                          GraphReport graphs) const;
};

} // namespace weir

#endif // WEIR_DRIVER_PICTUREJOB_H
