//===- GateEmitter.h - The gates of policies, outside of patches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_GATEEMITTER_H
#define WEIR_DIALECT_STEER_TRANSFORMS_GATEEMITTER_H

#include "ProgramInputs.h"
#include "RecordGates.h"

#include "weir/Dialect/Steer/IR/PatchEmitter.h"

namespace weir::steer {

/// Makes the gates of policies at the place of a builder, outside of all patches.
class GateEmitter : public ConditionEmitter {
public:
  GateEmitter(mlir::ModuleOp module, ProgramInputs &inputs,
              const llvm::DenseMap<flow::SiteAttr, fx::SiteOp> &markers,
              mlir::OpBuilder &builder)
      : symbols(module), inputs(inputs), markers(markers), opBuilder(builder),
        where(module.getLoc()) {}

  mlir::OpBuilder &builder() override { return opBuilder; }
  mlir::Location loc() override { return where; }
  mlir::Value read(mlir::Attribute feature) override;

  /// The dictionary of a feature and the site that it reads; null after an error.
  std::pair<flow::DictionaryOp, fx::SiteOp> placeOf(flow::FeatureAttr feature);

  /// Plans, tokens and condition of a policy together, made once; null after an
  /// error. Without `noPadding` it may hold at padding too.
  mlir::Value gateOf(PolicyOp policy, llvm::ArrayRef<int64_t> plans,
                     bool noPadding = true);

  mlir::SymbolTable symbols;

private:
  ProgramInputs &inputs;
  const llvm::DenseMap<flow::SiteAttr, fx::SiteOp> &markers;
  mlir::OpBuilder &opBuilder;
  mlir::Location where;
  PolicyOp current; ///< whose gate is made
  llvm::DenseMap<mlir::Operation *, mlir::Value> gates;
};

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_GATEEMITTER_H
