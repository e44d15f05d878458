//===- JoinLinears.cpp - fx-join-linears ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SharedMemory.h"

#include "weir/Dialect/FX/Transforms/Passes.h"
#include "weir/Operators/JoinedCalls.h"

#include "mlir/IR/Remarks.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace weir::fx {
#define GEN_PASS_DEF_FXJOINLINEARS
#include "weir/Dialect/FX/Transforms/Passes.h.inc"
} // namespace weir::fx

using namespace weir;
using namespace weir::fx;

namespace {

/// Calls that become one, in their order.
struct Group {
  SmallVector<CallOp> calls;
  /// Classes of memory that something has written into since the first call.
  llvm::DenseSet<Value> written;
};

/// Whether a call gives what `row` says and nothing else, so that nothing of it is
/// lost in a list.
bool hasFormOf(CallOp call, const JoinedOperator &row) {
  if (call.getNumResults() != 1 || call.getOutputs() || call.getExtra() ||
      !call.getArgumentValue(row.common.front()) ||
      !call.getArgumentValue(row.lists.front()))
    return false;
  for (auto [nameAttr, value] :
       llvm::zip_equal(call.getArgNames(), call.getArgs())) {
    StringRef name = cast<StringAttr>(nameAttr).getValue();
    bool isList = llvm::is_contained(row.lists, name);
    if (!isList && !llvm::is_contained(row.common, name))
      return false;
    // One tensor or nothing, or a text.
    if (isList && !isa<SlotAttr, UnitAttr, StringAttr>(value))
      return false;
    if (!isList && name != row.common.front() && isa<SlotAttr>(value))
      return false;
  }
  return true;
}

struct JoinLinears : fx::impl::FXJoinLinearsBase<JoinLinears> {
  void runOnOperation() override {
    ProgramOp program = getOperation();
    SharedMemory memory(program);
    for (Operation &op : program.getEntry())
      visit(op, memory);
    closeAll();
    size_t joined = 0;
    for (ArrayRef<CallOp> calls : found) {
      join(calls);
      joined += calls.size();
    }
    numJoined += joined;
    numMade += found.size();
    if (joined)
      remark::passed(program.getLoc(), remark::RemarkOpts::name("JoinedLinears")
                                           .category("fx-join-linears"))
          << std::to_string(joined) +
                 " linear maps that share what they read with others are made by " +
                 std::to_string(found.size()) +
                 (found.size() == 1 ? " call" : " calls");
    found.clear();
  }

private:
  /// What calls have to have in common: the operator, the input, arguments that are no
  /// lists, and which of the others are texts, so that no call that is wrong becomes
  /// right beside others.
  using Key = std::pair<Value, Attribute>;

  Key keyOf(CallOp call, const JoinedOperator &row) {
    SmallVector<Attribute> common = {call.getTargetAttr()};
    for (StringRef name : row.common.drop_front())
      common.push_back(call.getArgument(name));
    // A null attribute says that the argument is not given.
    for (Attribute &argument : common)
      if (!argument)
        argument = UnitAttr::get(&getContext());
    for (StringRef name : row.lists)
      common.push_back(BoolAttr::get(
          &getContext(), isa_and_present<StringAttr>(call.getArgument(name))));
    return {call.getArgumentValue(row.common.front()),
            ArrayAttr::get(&getContext(), common)};
  }

  void visit(Operation &op, SharedMemory &memory) {
    auto call = dyn_cast<CallOp>(op);
    if (!call) {
      if (!isMemoryEffectFree(&op))
        closeAll();
      return;
    }
    const JoinedOperator *row = findJoinedOf(call.getTarget());
    if (row && hasFormOf(call, *row)) {
      Group &group = open[keyOf(call, *row)];
      if (!group.calls.empty() && !mayJoin(call, group, memory))
        close(group);
      group.calls.push_back(call);
      return;
    }
    if (call.getPure())
      return;
    if (!call.getOperatorInfo())
      return closeAll();
    call.forEachWritten([&](OpOperand &operand) {
      for (auto &[key, group] : open)
        group.written.insert(memory.classOf(operand.get()));
    });
  }

  /// Whether the call could stand where the first of the group stands.
  bool mayJoin(CallOp call, const Group &group, SharedMemory &memory) {
    return llvm::all_of(call.getOperands(), [&](Value operand) {
      Operation *made = operand.getDefiningOp();
      return (!made || made->isBeforeInBlock(group.calls.front())) &&
             !group.written.contains(memory.classOf(operand));
    });
  }

  void close(Group &group) {
    if (group.calls.size() > 1)
      found.push_back(std::move(group.calls));
    group = Group();
  }
  void closeAll() {
    for (auto &[key, group] : open)
      close(group);
    open.clear();
  }

  void join(ArrayRef<CallOp> calls) {
    CallOp first = calls.front();
    const JoinedOperator &row = *findJoinedOf(first.getTarget());
    OpBuilder builder(first);
    SmallVector<Argument> arguments = {
        {row.common.front(), first.getArgumentValue(row.common.front())}};
    for (StringRef name : row.lists)
      arguments.push_back(listOf(builder, calls, name, row));
    for (StringRef name : row.common.drop_front())
      if (Attribute given = first.getArgument(name))
        arguments.push_back({name, given});

    SmallVector<Type> types;
    SmallVector<Location> locations;
    SmallVector<Attribute> names, meta;
    bool isPure = true, isNamed = true, hasMeta = false;
    for (CallOp call : calls) {
      types.push_back(call.getResult(0).getType());
      locations.push_back(call.getLoc());
      isPure &= call.getPure();
      isNamed &= call.getNames().has_value();
      hasMeta |= call.getMeta().has_value();
    }
    auto joined =
        CallOp::create(builder, builder.getFusedLoc(locations), types, row.joined,
                       arguments, isPure);
    SmallVector<Attribute> slots(calls.size(), SlotAttr::get(&getContext()));
    joined.setOutputsAttr(builder.getArrayAttr(
        ListAttr::get(&getContext(), ListKind::Tensors, slots)));
    for (CallOp call : calls) {
      if (isNamed)
        names.append(call.getNamesAttr().begin(), call.getNamesAttr().end());
      meta.push_back(call.getMeta() ? (*call.getMeta())[0]
                                    : builder.getDictionaryAttr({}));
    }
    if (isNamed)
      joined.setNamesAttr(builder.getArrayAttr(names));
    if (hasMeta)
      joined.setMetaAttr(builder.getArrayAttr(meta));
    if (StackAttr stack = commonStack(calls))
      joined.setStackAttr(stack);
    for (auto [i, result] : llvm::enumerate(joined.getResults())) {
      CallOp call = calls[i];
      call.getResult(0).replaceAllUsesWith(result);
      call->erase();
    }
  }

  /// One list of what the calls take under a name.
  Argument listOf(OpBuilder &builder, ArrayRef<CallOp> calls, StringRef name,
                  const JoinedOperator &row) {
    SmallVector<Value> tensors;
    SmallVector<Attribute> texts;
    for (CallOp call : calls) {
      tensors.push_back(call.getArgumentValue(name));
      if (auto text = dyn_cast_if_present<StringAttr>(call.getArgument(name)))
        texts.push_back(text);
    }
    if (texts.size() == calls.size())
      return {name, ListAttr::get(&getContext(), ListKind::Strings, texts)};
    return name == row.lists.front() ? Argument::tensors(name, tensors)
                                     : Argument::optionalTensors(name, tensors);
  }

  /// The modules that all of the calls were made in.
  StackAttr commonStack(ArrayRef<CallOp> calls) {
    std::optional<SmallVector<ModuleAttr>> common;
    for (CallOp call : calls) {
      if (!call.getStack())
        return {};
      ArrayRef<ModuleAttr> stack = call.getStack()->getModules();
      if (!common) {
        common.emplace(stack.begin(), stack.end());
        continue;
      }
      auto [end, other] = std::mismatch(common->begin(), common->end(),
                                        stack.begin(), stack.end());
      common->erase(end, common->end());
    }
    return StackAttr::get(&getContext(), *common);
  }

  llvm::MapVector<Key, Group> open;
  SmallVector<SmallVector<CallOp>> found;
};

} // namespace
