//===- OutlinePatches.cpp - Patches become functions ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/KernelForm.h"
#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"

namespace weir::steer {
#define GEN_PASS_DEF_STEEROUTLINEPATCHESPASS
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// One patch on its way out.
class Outliner {
public:
  Outliner(PatchOp patch, SymbolTable &symbols)
      : patch(patch), program(patch->getParentOfType<fx::ProgramOp>()),
        builder(patch) {
    std::string name =
        "site." + std::to_string(patch.getSite().getLayer()) + "." +
        fx::stringifySiteKind(patch.getSite().getKind()).str();
    func = func::FuncOp::create(patch.getLoc(), name,
                                builder.getFunctionType({}, {}));
    func.setPrivate();
    func->setAttr("steer.site", patch.getSiteAttr());
    symbols.insert(func);
    entry = func.addEntryBlock();
  }

  void run() {
    add(patch.getInput());
    inside.map(patch.getValue(), entry->getArgument(0));
    builder.setInsertionPointToEnd(entry);
    SmallVector<Operation *> kept, observers;
    for (Operation &op : patch.getBody().front().without_terminator())
      (isObserver(&op) ? observers : kept).push_back(&op);
    // Gates first: what they rule out need not be computed.
    YieldOp yield = patch.getYield();
    for (Operation *op : kept)
      bringIn(op->getOperands());
    bringIn(yield->getOperands());
    for (Operation *op : kept)
      builder.clone(*op, inside);

    llvm::SetVector<Value> results;
    results.insert(yield.getValue());
    for (Operation *op : observers)
      for (Value operand : op->getOperands())
        if (isInside(operand) && operand != patch.getValue() && !canHoist(operand))
          results.insert(operand);
    SmallVector<Value> returned;
    for (Value result : results)
      returned.push_back(inside.lookupOrDefault(result));
    func::ReturnOp::create(builder, patch.getLoc(), returned);
    func.setFunctionType(builder.getFunctionType(
        entry->getArgumentTypes(), ValueRange(returned).getTypes()));

    builder.setInsertionPoint(patch);
    auto call = func::CallOp::create(builder, patch.getLoc(), func, inputs);
    IRMapping outside;
    outside.map(patch.getValue(), patch.getInput());
    for (auto [result, value] : llvm::zip_equal(results, call.getResults()))
      outside.map(result, value);
    for (Operation *op : observers) {
      for (Value operand : op->getOperands())
        if (isInside(operand) && !outside.contains(operand))
          builder.clone(*operand.getDefiningOp(), outside);
      builder.clone(*op, outside);
    }
    program.addEdited(patch.getSite().getKind(), patch.getSite().getLayer());
    patch.replaceAllUsesWith(call.getResult(0));
    patch.erase();
  }

private:
  bool isInside(Value value) {
    return value.getParentBlock() == &patch.getBody().front();
  }
  /// Whether a value of the patch can be had outside of it as well.
  bool canHoist(Value value) {
    Operation *op = value.getDefiningOp();
    // The site's value is there outside, too.
    if (isa_and_nonnull<WidenOp>(op) && op->getOperand(0) == patch.getValue())
      return true;
    return op && canMoveAcross(op) &&
           llvm::none_of(op->getOperands(),
                         [&](Value operand) { return isInside(operand); });
  }
  /// One more argument of the function.
  Value add(Value outside) {
    inputs.push_back(outside);
    Value argument = entry->addArgument(outside.getType(), outside.getLoc());
    inside.map(outside, argument);
    return argument;
  }
  void bringIn(ValueRange values) {
    for (Value value : values) {
      if (isInside(value) || inside.contains(value))
        continue;
      Operation *op = value.getDefiningOp();
      if (!op || !canMoveAcross(op)) {
        add(value);
        continue;
      }
      bringIn(op->getOperands());
      builder.clone(*op, inside);
    }
  }

  PatchOp patch;
  fx::ProgramOp program;
  OpBuilder builder;
  func::FuncOp func;
  Block *entry;
  IRMapping inside;
  SmallVector<Value> inputs;
};

struct SteerOutlinePatches
    : steer::impl::SteerOutlinePatchesPassBase<SteerOutlinePatches> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto program :
         llvm::to_vector(getOperation().getOps<fx::ProgramOp>())) {
      for (auto patch : llvm::make_early_inc_range(
               program.getEntry().getOps<PatchOp>())) {
        if (patch.getLowering() != Lowering::Kernel)
          continue;
        if (std::optional<std::string> why = whyNoKernel(patch)) {
          patch.emitOpError("cannot become a kernel: ") << *why;
          return signalPassFailure();
        }
        Outliner(patch, symbols).run();
        ++patches;
      }
    }
  }
};

} // namespace
