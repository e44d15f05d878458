//===- PT2.h - torch.export archives as fx programs, and back ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TARGET_PT2_PT2_H
#define WEIR_TARGET_PT2_PT2_H

#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Operators/Operators.h"
#include "weir/Program/Archive.h"

#include "mlir/IR/OwningOpRef.h"

#include <cstddef>
#include <functional>
#include <vector>

namespace weir {

/// The exported program of an archive as a module that holds one `fx.program`,
/// named @main. No weight is read. The archive is not trusted: a graph that uses
/// a value before its definition, defines a name twice, does not fit its
/// signature or its payloads, or has another major version of the schema is
/// refused with a diagnostic, and the result is null; so is one that calls an
/// operator that `operators` does not allow. One that only the user allowed gives
/// a warning.
mlir::OwningOpRef<mlir::ModuleOp>
importPT2(const Archive &archive, mlir::MLIRContext *context,
          const OperatorPolicy &operators = {});

/// Says where the numbers of a constant come from: elements of the op's result
/// type. They are made while the archive is written. Reports its own errors; a
/// source does so too (and returns a ReportedError) or leaves it to the exporter.
using ConstantCallback =
    llvm::function_ref<mlir::FailureOr<std::shared_ptr<const TensorSource>>(
        fx::ConstantOp)>;

/// A copy of an archive's graph document (`Archive::model`) in which nothing runs
/// when PyTorch loads it: the graph, its signature and the ranges of its sizes.
/// Guards, samples, metadata that name functions, and module signatures are left
/// out. An error says what cannot be kept: an operator outside ATen, a name that
/// is no identifier, an expression of sizes other than sums, products and the
/// like, a custom object, a nested graph, a key that is not known.
llvm::Expected<llvm::json::Object> plainModel(const llvm::json::Object &model);

enum class ExportForm {
  /// What the program does not model is copied from the source, sample inputs
  /// (a pickle) and guards (Python) included.
  Lossless,
  /// The graph as `plainModel` gives it, with sample inputs of zeros.
  Plain,
  /// The same for a file that goes with the process that writes it: whoever may read
  /// half of it is not thought of, and it does not have to reach the disk.
  Scratch
};

/// Writes a program as an archive, atomically but for Scratch. Weights and
/// everything else that the program names but does not hold come from `source`,
/// the archive it was imported from. Constants become stored tensors; `constants` is asked for
/// those that are recipes. Results without a name get one that begins with
/// `weir_`. Where inputs or outputs were added, the calling convention and the
/// sample inputs are brought up to date; one output alone becomes a tuple when
/// more follow. `records` are added to the archive, or take the place of those
/// of the same name. Diagnostics say what cannot be exported.
llvm::LogicalResult exportPT2(fx::ProgramOp program, const Archive &source,
                              llvm::StringRef path, ConstantCallback constants,
                              ExportForm form = ExportForm::Lossless,
                              llvm::ArrayRef<AddedRecord> records = {});

/// The names of the tensors that the source's program takes and this one does
/// not any more, for which the archive that is written has no room.
llvm::StringSet<> droppedTensors(fx::ProgramOp program, const Archive &source);

/// Makes the numbers of a module's constants, from the archive of its weights and
/// from a folder that paths of the module are relative to.
using ConstantMaker =
    std::function<mlir::FailureOr<std::shared_ptr<const TensorSource>>(
        fx::ConstantOp)>;
using ConstantMakers = std::function<ConstantMaker(
    mlir::ModuleOp, std::shared_ptr<const Archive>, llvm::StringRef)>;

/// Registers --import-pt2 and --export-pt2 with mlir-translate's driver. Programs
/// whose constants are recipes can be exported if there are `makers`, and in
/// `dialects` those that say what they are made from.
void registerPT2Translations(
    ConstantMakers makers = nullptr,
    std::function<void(mlir::DialectRegistry &)> dialects = nullptr);

} // namespace weir

#endif // WEIR_TARGET_PT2_PT2_H
