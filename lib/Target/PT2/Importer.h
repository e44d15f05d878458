//===- Importer.h - Reads an archive's graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_TARGET_PT2_IMPORTER_H
#define WEIR_LIB_TARGET_PT2_IMPORTER_H

#include "weir/Program/SchemaValues.h"
#include "weir/Target/PT2/PT2.h"

#include "mlir/IR/Builders.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/JSON.h"

namespace weir::pt2 {

/// The fields of one JSON object, each to be taken once; what is left over is
/// what this version does not know.
class Fields {
public:
  explicit Fields(const llvm::json::Object &object) : object(object) {}
  const llvm::json::Value *take(llvm::StringRef key) {
    taken.insert(key);
    return object.get(key);
  }
  /// The rest, with nulls left out, as JSON text; null if there is none.
  mlir::StringAttr rest(mlir::MLIRContext *context) const;

private:
  const llvm::json::Object &object;
  llvm::StringSet<> taken;
};

/// Takes in a graph that `checkGraph` has found to hold together.
class Importer {
public:
  Importer(const Archive &archive, mlir::MLIRContext *context,
           const OperatorPolicy &operators)
      : archive(archive), context(context), operators(operators),
        builder(context),
        loc(mlir::FileLineColLoc::get(context, archive.path(), 0, 0)) {}

  mlir::OwningOpRef<mlir::ModuleOp> run();

private:
  mlir::InFlightDiagnostic error() { return mlir::emitError(loc); }

  // The program.
  void findTables(const llvm::json::Object &model);
  void importInputs();
  void importInput(unsigned index, const llvm::json::Value &argument,
                   const llvm::json::Value &spec);
  void importNode(const llvm::json::Object &node);
  void importOutputs();
  std::string envelope(const llvm::json::Object &model);
  mlir::Location locationOf(llvm::StringRef name,
                            const llvm::json::Object *metadata);

  // Values and their types.
  struct Typed {
    mlir::Type type;
    mlir::DictionaryAttr meta;
  };
  Typed tensorType(llvm::StringRef name);
  mlir::Type symbolicType(llvm::StringRef kind, llvm::StringRef name);
  mlir::Attribute size(const llvm::json::Value &value);
  fx::SymExprAttr expression(const llvm::json::Object &expr);

  // Arguments: an attribute with slots, whose operands are appended.
  mlir::Attribute argument(const llvm::json::Value &value,
                           llvm::SmallVectorImpl<mlir::Value> &operands,
                           unsigned depth = 0);
  mlir::Attribute listArgument(llvm::StringRef kind,
                               const llvm::json::Array &elements,
                               llvm::SmallVectorImpl<mlir::Value> &operands);
  mlir::Attribute slot(llvm::StringRef kind, const llvm::json::Value &value,
                       llvm::SmallVectorImpl<mlir::Value> &operands);
  mlir::Attribute raw(const llvm::json::Value &value);

  // Results: the structure of the outputs, names and types.
  struct Results {
    llvm::SmallVector<mlir::Attribute> outputs, names, metas;
    llvm::SmallVector<mlir::Type> types;
    bool plain = true;
    bool anyMeta = false;
  };
  void result(const llvm::json::Value &value, Results &results);
  void tensorResult(const llvm::json::Value &value, Results &results);

  const Archive &archive;
  mlir::MLIRContext *context;
  const OperatorPolicy &operators;
  mlir::OpBuilder builder;
  mlir::Location loc;
  fx::ProgramOp program;
  fx::DeviceAttr device;

  const llvm::json::Object *graph = nullptr;
  const llvm::json::Array *graphInputs = nullptr, *graphOutputs = nullptr,
                          *graphNodes = nullptr, *inputSpecs = nullptr,
                          *outputSpecs = nullptr;
  const llvm::json::Object *tensorValues = nullptr;
  llvm::StringMap<mlir::Value> values;
  llvm::StringSet<> tablesUsed; ///< entries of the tables that the IR models
  llvm::StringMap<std::string> expressions; ///< archived form to short form
};

/// The text of any JSON value.
std::string textOf(const llvm::json::Value &value);

/// The parts of the program that the IR does not model, as a JSON object.
/// `modelled` says which entries of the graph's tables it does model.
llvm::json::Object envelopeOf(const llvm::json::Object &model,
                              llvm::function_ref<bool(llvm::StringRef)> modelled);

/// The tables of the graph that hold the types of values.
inline constexpr llvm::StringLiteral valueTables[] = {
    "tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values"};

} // namespace weir::pt2

#endif // WEIR_LIB_TARGET_PT2_IMPORTER_H
