//===- Flow.h - The flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_IR_FLOW_H
#define WEIR_DIALECT_FLOW_IR_FLOW_H

#include "weir/Dialect/FX/IR/FX.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "weir/Dialect/Flow/IR/FlowDialect.h.inc"
#include "weir/Dialect/Flow/IR/FlowEnums.h.inc"

namespace weir::flow {

class SiteAttr;
class FeatureAttr;
class ResultAttr;

/// Two sites whose features are matched.
struct Link {
  fx::SiteKind sourceKind;
  int64_t sourceLayer;
  fx::SiteKind targetKind;
  int64_t targetLayer;
};

} // namespace weir::flow

#include "weir/Dialect/Flow/IR/FlowInterfaces.h.inc"
#define GET_ATTRDEF_CLASSES
#include "weir/Dialect/Flow/IR/FlowAttrs.h.inc"

namespace weir::flow {

/// Features, each once.
struct FeatureList {
  llvm::SmallVector<FeatureAttr> features;
  /// Some were left out because they were there before.
  bool hadRepeats = false;
  /// One for each feature, or empty where all are 1.
  llvm::SmallVector<double> weights;

  double weightOf(size_t i) const { return weights.empty() ? 1 : weights[i]; }
};

/// Lists one after the other, every feature where it stands first.
FeatureList joined(llvm::ArrayRef<FeatureList> lists);

/// What a spec calls a feature, such as "12/res/411 (faith)"; the name is that of the
/// `flow.label` around an operation, if there is one.
std::string describe(FeatureAttr feature, mlir::Operation *scope);

/// The features that an operation or one in the same module has a name for.
llvm::DenseMap<mlir::Attribute, llvm::StringRef>
labelsOf(mlir::Operation *scope);

} // namespace weir::flow

#define GET_TYPEDEF_CLASSES
#include "weir/Dialect/Flow/IR/FlowTypes.h.inc"
#include "weir/Dialect/Flow/IR/FlowOpInterfaces.h.inc"
#define GET_OP_CLASSES
#include "weir/Dialect/Flow/IR/FlowOps.h.inc"

namespace weir::flow {

/// The opened dictionary of a collection at a site, or of a feature; null if there
/// is none.
DictionaryOp lookupDictionary(const mlir::SymbolTable &symbols,
                              mlir::FlatSymbolRefAttr collection, SiteAttr site);
DictionaryOp lookupDictionary(const mlir::SymbolTable &symbols,
                              FeatureAttr feature);

} // namespace weir::flow

#endif // WEIR_DIALECT_FLOW_IR_FLOW_H
