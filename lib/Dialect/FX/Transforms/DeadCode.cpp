//===- DeadCode.cpp - fx-dce ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/IR/CallCost.h"
#include "SharedMemory.h"

#include "weir/Dialect/FX/Transforms/Passes.h"

#include "mlir/IR/Remarks.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace weir::fx {
#define GEN_PASS_DEF_FXDCE
#include "weir/Dialect/FX/Transforms/Passes.h.inc"
} // namespace weir::fx

using namespace weir;
using namespace weir::fx;

namespace {

/// Spreads from what has to stay to what that needs.
class MemoryLiveness {
public:
  MemoryLiveness(ProgramOp program, bool unreadState)
      : program(program), memory(program) {
    for (BlockArgument argument : program.getEntry().getArguments()) {
      InputKind kind = program.getInput(argument.getArgNumber()).getKind();
      if (isTensor(argument) && !(unreadState && kind == InputKind::Buffer))
        outside.insert(classOf(argument));
    }
    for (auto call : program.getEntry().getOps<CallOp>()) {
      const OperatorInfo *info = call.getOperatorInfo();
      if (info && info->effect == OperatorEffect::Checks)
        checks.push_back(call);
      else if (info)
        call.forEachWritten([&](OpOperand &operand) {
          writes[classOf(operand.get())].push_back(call);
        });
    }
    for (Operation &op : program.getEntry())
      if (hasToStay(op))
        enliven(&op);
    while (enlivenChecks())
      ;
  }

  bool isAlive(Operation *op) const { return alive.contains(op); }

private:
  Value classOf(Value value) { return memory.classOf(value); }

  bool hasToStay(Operation &op) {
    auto call = dyn_cast<CallOp>(op);
    if (!call)
      return op.hasTrait<OpTrait::IsTerminator>() || !wouldOpBeTriviallyDead(&op);
    if (call.getPure())
      return false;
    if (!call.getOperatorInfo() || call.drawsRandomNumbers())
      return true;
    bool result = false;
    call.forEachWritten([&](OpOperand &operand) {
      result |= outside.contains(classOf(operand.get()));
    });
    return result;
  }

  void enliven(Operation *op) {
    SmallVector<Operation *> queue{op};
    while (!queue.empty()) {
      Operation *next = queue.pop_back_val();
      if (!alive.insert(next).second)
        continue;
      forEachInput(next, [&](Value value) {
        // What is read may have been written by an operation further up or, in a
        // run before, further down.
        if (isTensor(value) && read.insert(classOf(value)).second)
          if (auto it = writes.find(classOf(value)); it != writes.end())
            queue.append(it->second.begin(), it->second.end());
        if (Operation *definition = value.getDefiningOp())
          queue.push_back(definition);
      });
    }
  }

  /// Checks of what is there anyway. Numbers that are made of such tensors cost
  /// nothing. True if something was added.
  bool enlivenChecks() {
    size_t before = alive.size();
    llvm::DenseSet<Value> there(program.getEntry().args_begin(),
                                program.getEntry().args_end());
    auto isThere = [&](Value value) { return there.contains(value); };
    for (Operation &op : program.getEntry())
      if (isAlive(&op) || (llvm::none_of(op.getResults(), isTensor) &&
                           llvm::all_of(op.getOperands(), isThere)))
        there.insert(op.result_begin(), op.result_end());
    for (CallOp call : checks)
      if (llvm::all_of(call->getOperands(), isThere))
        enliven(call);
    return alive.size() != before;
  }

  ProgramOp program;
  SharedMemory memory;
  /// Classes, by their leader: memory that is not the program's own, and memory
  /// that something alive reads.
  llvm::DenseSet<Value> outside, read;
  /// Calls that write into memory, by its class.
  llvm::DenseMap<Value, SmallVector<Operation *>> writes;
  SmallVector<CallOp> checks;
  llvm::DenseSet<Operation *> alive;
};

struct DeadCode : fx::impl::FXDCEBase<DeadCode> {
  using FXDCEBase::FXDCEBase;

  void runOnOperation() override {
    ProgramOp program = getOperation();
    reportUnknown(program);
    MemoryLiveness liveness(program, unreadState);
    CallCost saved;
    int64_t removed = 0;
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(program.getEntry()))) {
      if (liveness.isAlive(&op))
        continue;
      if (auto call = dyn_cast<CallOp>(op))
        saved += costOf(call).value_or(CallCost());
      op.erase();
      ++removed;
    }
    numRemoved += removed;
    if (removed)
      remark::passed(program.getLoc(), remark::RemarkOpts::name("DeadCode")
                                           .category("fx-dce"))
          << std::to_string(removed) + " operations removed that nothing reads: " +
                 std::to_string(saved.operations) +
                 " floating-point operations and " +
                 std::to_string(saved.bytesRead) +
                 " bytes read, at the sizes of the trace";
  }

private:
  void reportUnknown(ProgramOp program) {
    llvm::StringSet<> seen;
    for (CallOp call : program.getEntry().getOps<CallOp>())
      if (!call.getPure() && !call.getOperatorInfo() &&
          seen.insert(call.getTarget()).second)
        remark::missed(call.getLoc(), remark::RemarkOpts::name("UnknownOperator")
                                          .category("fx-dce"))
            << ("the catalogue does not know '" + call.getTarget() +
                "': its calls stay, with all that they may read")
                   .str();
  }
};

} // namespace
