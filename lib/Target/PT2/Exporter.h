//===- Exporter.h - Writes an archive's graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_TARGET_PT2_EXPORTER_H
#define WEIR_LIB_TARGET_PT2_EXPORTER_H

#include "weir/Target/PT2/PT2.h"

#include "mlir/IR/Builders.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/JSON.h"

namespace weir::pt2 {

class Exporter {
public:
  Exporter(fx::ProgramOp program, const Archive &source,
           ConstantCallback constants,
           ExportForm form = ExportForm::Lossless)
      : program(program), source(source), constants(constants), form(form),
        context(program.getContext()) {}

  /// Builds the model and the tensors it adds.
  llvm::LogicalResult run();

  llvm::json::Object model;
  std::vector<AddedTensor> added;
  /// Sample inputs, if those of the source do not fit any more or may not be
  /// copied.
  std::optional<std::vector<std::byte>> sampleInputs;

private:
  llvm::LogicalResult collectNames();
  std::string freshName();
  llvm::LogicalResult addConstant(fx::ConstantOp constant);
  /// The tensor of a buffer that begins with zeros.
  llvm::LogicalResult addState(mlir::BlockArgument argument);
  llvm::LogicalResult exportInputs();
  llvm::LogicalResult exportCall(fx::CallOp call);
  llvm::LogicalResult exportOutputs();
  llvm::LogicalResult updateSignature();

  // Values.
  llvm::LogicalResult describe(mlir::Operation *op, llvm::StringRef name,
                               mlir::Type type, mlir::DictionaryAttr meta);
  mlir::FailureOr<llvm::json::Value> size(mlir::Operation *op,
                                          mlir::Attribute size);
  mlir::FailureOr<llvm::json::Value> expression(mlir::Operation *op,
                                                fx::SymExprAttr expr);
  /// {"as_tensor": {"name": …}} and the like.
  llvm::json::Value reference(llvm::StringRef name, mlir::Type type);

  /// The JSON of an argument's or output's attribute; `next` walks along the
  /// names of the values that fill its slots.
  struct Slots {
    llvm::ArrayRef<std::string> names;
    mlir::TypeRange types;
    size_t next = 0;
  };
  llvm::json::Value argument(mlir::Attribute value, Slots &slots);

  fx::ProgramOp program;
  const Archive &source;
  ConstantCallback constants;
  ExportForm form;
  mlir::MLIRContext *context;

  llvm::DenseMap<mlir::Value, std::string> names;
  llvm::StringSet<> taken;
  unsigned nextName = 0;
  /// Constants by recipe and type; equal ones are stored once.
  llvm::DenseMap<std::pair<mlir::Attribute, mlir::Type>, std::string> stored;
  llvm::StringMap<std::string> archivedForms;

  llvm::json::Array inputs, inputSpecs, outputs, outputSpecs, nodes;
  llvm::json::Object tensorValues, symIntValues, symFloatValues, symBoolValues;
  llvm::json::Array constantArguments; ///< placeholders of constants
  llvm::json::Array constantSpecs;
  std::string rootStack; ///< of calls that have no module stack
};

/// Appends inputs of the given names, and outputs, to the calling convention in
/// the envelope's graph module. Returns what is wrong with that, or an empty
/// string.
std::string extendConvention(llvm::json::Object &module,
                             llvm::ArrayRef<std::string> inputs,
                             size_t outputs);

/// A positional or keyword input, to make a sample of.
struct SampleInput {
  std::string keyword; ///< empty if positional
  int64_t dtype;       ///< in the archive's numbering
  llvm::SmallVector<int64_t> sizes;
};
/// How many of the inputs are positional, and the names of the others.
struct InputLayout {
  size_t positional = 0;
  std::vector<std::string> keywords;
};
std::optional<InputLayout> readInputLayout(const llvm::json::Object &module);

/// The text of a specification of such inputs; `readInputLayout` backwards.
std::string writeInputs(const InputLayout &layout);
/// How many outputs stand in the tuple or list that the program gives, 0 where
/// it gives one alone; nothing for anything nested.
std::optional<size_t> countOutputLeaves(const llvm::json::Object &module);
std::string writeOutputs(size_t leaves);
/// The names that the program's function gives to its inputs, or null.
const llvm::json::Array *argumentNames(const llvm::json::Object &module);

/// Sample inputs of zeros as `torch.export.load` reads them.
llvm::Expected<std::vector<std::byte>>
makeSampleInputs(llvm::ArrayRef<SampleInput> inputs);

/// Adds the keys of a JSON object given as text, if it is one.
void addExtra(llvm::json::Object &object, mlir::StringAttr extra);

} // namespace weir::pt2

#endif // WEIR_LIB_TARGET_PT2_EXPORTER_H
