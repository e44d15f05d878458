//===- PlanTables.h - Makes the tables of a group of policies ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_PLANTABLES_H
#define WEIR_DIALECT_STEER_TRANSFORMS_PLANTABLES_H

#include "PlanForms.h"

namespace weir::steer {

/// Looks things up for the rows of a batch, each in the row of its own plan.
/// Table row 0 is for rows of the batch without one; the others are those of the
/// gates, in order. Lookups stand before the patch, where sites can share them.
class PlanTables {
public:
  /// `inside` is where the patch computes; `plans` how many a program has.
  PlanTables(PatchOp patch, mlir::OpBuilder &inside, mlir::Location loc,
             llvm::ArrayRef<const GateForm *> gates, int64_t plans);

  /// Plans, tokens and condition of the row's own policy.
  mlir::Value gate();
  /// The knob of the row's own policy and the token's share of it, or null where no
  /// policy has one; made at `builder`, where what the forms name is known.
  mlir::Value knob(llvm::ArrayRef<KnobForm> knobs, mlir::OpBuilder &builder);
  /// The same in front of the patch.
  mlir::Value knob(llvm::ArrayRef<KnobForm> knobs) {
    return knob(knobs, outside);
  }
  /// Numbers [batch, 1, K]; shorter rows, and row 0, get `fill`.
  mlir::Value numbers(llvm::ArrayRef<std::vector<double>> rows, double fill);
  /// The columns that each row has [batch, 1, K]; null where all have as many.
  mlir::Value columns(llvm::ArrayRef<llvm::ArrayRef<int64_t>> rows);
  /// All features, each once, and where a row's own are among them.
  std::pair<llvm::SmallVector<int64_t>, mlir::Value>
  features(llvm::ArrayRef<llvm::ArrayRef<int64_t>> rows);
  /// Activations of the features at `rows` of a list.
  mlir::Value read(const ReadForm &form, llvm::ArrayRef<int64_t> features,
                   mlir::Value rows);
  /// All directions, each once, and where a row's own are among them. `columns`
  /// becomes those that each row has, if asked for.
  std::pair<flow::RecipeAttrInterface, mlir::Value>
  directions(llvm::ArrayRef<mlir::Attribute> recipes,
             mlir::Value *columns = nullptr);

private:
  template <typename T>
  mlir::Value lookup(mlir::Type element,
                     llvm::ArrayRef<llvm::SmallVector<T>> rows, T fill);
  mlir::Value indices(llvm::ArrayRef<llvm::SmallVector<int64_t>> rows,
                      int64_t fill);
  mlir::Value tokens();
  mlir::Value marked();
  mlir::Value share(llvm::ArrayRef<KnobForm> knobs);
  /// The ids of a list of each scope's markers, or null where there is none.
  mlir::Value ids(llvm::ArrayRef<MarkersAttr> markers,
                  mlir::ArrayAttr (MarkersAttr::*list)() const);
  /// The tree that begins at node `next` of the condition.
  mlir::Value condition(unsigned &next, unsigned &comparison);
  mlir::Value compare(unsigned comparison);
  mlir::Value bound(int64_t TokenBounds::*which, int64_t none);

  PatchOp patch;
  mlir::OpBuilder &inside;
  mlir::OpBuilder outside;
  mlir::Location loc;
  llvm::ArrayRef<const GateForm *> gates;
  mlir::Value slot, gateValue;
};

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_PLANTABLES_H
