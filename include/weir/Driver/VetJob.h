//===- VetJob.h - Looking at a program of somebody else ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_VETJOB_H
#define WEIR_DRIVER_VETJOB_H

#include "weir/Operators/Operators.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/LLVM.h"

#include "llvm/Support/JSON.h"

#include <string>

namespace weir {

/// What `weirc vet` does: checks that nothing of an archive runs when PyTorch
/// loads it, and gives the parts of it that PyTorch may have.
struct VetJob {
  std::string program;
  /// Compare each record with its checksum. Reads all weights.
  bool verify = true;
  /// What the program may call.
  OperatorPolicy operators;

  /// Diagnostics say what is refused. Otherwise
  ///   "document"  the graph, as `plainModel` copies it
  ///   "tensors"   by name: {"weight": is it a weight, else a constant,
  ///               "parameter": bool, "dtype": the archive's number, "sizes",
  ///               "strides" and "offset" in elements, "begin" and "bytes": where
  ///               in the file the record lies that holds it}
  ///   "extra"     by name: the texts of weir.json and of the record of what was
  ///               steered, as far as they are there
  ///   "texts"     by name: where in the file tokenizer.json lies ("begin" and
  ///               "bytes"), if it is there; it may be long
  ///   "operators" by name: how often the graph calls it
  mlir::FailureOr<llvm::json::Object> run(mlir::MLIRContext &context) const;
};

} // namespace weir

#endif // WEIR_DRIVER_VETJOB_H
