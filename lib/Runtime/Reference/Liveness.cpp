//===- Liveness.cpp - What of a graph is needed, and how long ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Graph.h"

#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;
using namespace weir;
using namespace weir::reference;

static void forEachSlot(const Operand &operand, function_ref<void(Slot)> visit) {
  if (operand.slot != noSlot)
    visit(operand.slot);
  for (Slot slot : operand.slots)
    if (slot != noSlot)
      visit(slot);
}

void reference::findLastUses(Graph &graph) {
  BitVector kept(graph.kinds.size());
  for (const Graph::Binding &binding : graph.bindings)
    kept.set(binding.slot);
  for (const Graph::Output &output : graph.outputs) {
    kept.set(output.operand.slot);
    if (output.mutationTarget != noSlot)
      kept.set(output.mutationTarget);
  }
  for (Node &node : reverse(graph.nodes)) {
    node.lastUses.clear();
    auto use = [&](Slot slot) {
      if (slot == noSlot || kept.test(slot))
        return;
      kept.set(slot);
      node.lastUses.push_back(slot);
    };
    for (const Operand &operand : node.operands)
      forEachSlot(operand, use);
    for (Slot slot : node.results)
      use(slot);
  }
}

namespace {

/// Spreads from the wanted outputs to what they need. Values that may share
/// memory are of one class: what is written through one is read through another.
class Sweep {
public:
  Sweep(Graph &graph, function_ref<Slot(Slot)> storageOf)
      : graph(graph), needed(graph.kinds.size()), read(graph.kinds.size()),
        caller(graph.kinds.size()), alive(graph.nodes.size()) {
    for (size_t slot = 0; slot < graph.kinds.size(); ++slot)
      memory.insert(static_cast<Slot>(slot));
    for (const Graph::Binding &binding : graph.bindings)
      memory.unionSets(binding.slot, storageOf(binding.slot));
    for (const Node &node : graph.nodes)
      shareMemory(node);
    for (Slot slot : graph.inputs)
      caller.set(classOf(slot));
  }

  void run(ArrayRef<size_t> wanted) {
    size_t user = 0;
    for (Graph::Output &output : graph.outputs) {
      // A user input that is written to belongs to the caller.
      output.isComputed = output.mutationTarget == noSlot
                              ? is_contained(wanted, user++)
                              : caller.test(classOf(output.mutationTarget));
      if (output.isComputed)
        need(output.operand);
    }
    // What a later run reads may have been written by a node further down, so
    // one sweep from the end is not enough.
    do {
      changed = false;
      for (size_t i = graph.nodes.size(); i-- > 0;)
        visit(i);
      for (Graph::Output &output : graph.outputs)
        if (!output.isComputed && output.mutationTarget != noSlot &&
            read.test(classOf(output.mutationTarget))) {
          output.isComputed = changed = true;
          need(output.operand);
        }
      if (!changed)
        addChecks();
    } while (changed);

    std::vector<Node> kept;
    for (auto [i, node] : enumerate(graph.nodes))
      if (alive.test(i))
        kept.push_back(std::move(node));
    graph.nodes = std::move(kept);
  }

private:
  Slot classOf(Slot slot) { return memory.getLeaderValue(slot); }

  void shareMemory(const Node &node) {
    auto share = [&](const Operand &operand) {
      forEachSlot(operand, [&](Slot slot) {
        for (Slot result : node.results)
          if (result != noSlot)
            memory.unionSets(slot, result);
      });
    };
    if (!node.op)
      return;
    if (!node.info) {
      for (const Operand &operand : node.operands)
        share(operand);
      return;
    }
    for (size_t index : node.aliased)
      share(node.operands[index]);
    for (size_t index : node.written)
      share(node.operands[index]);
  }

  void need(const Operand &operand) {
    forEachSlot(operand, [&](Slot slot) {
      needed.set(slot);
      read.set(classOf(slot));
    });
  }

  void visit(size_t i) {
    if (!alive.test(i) && isNeeded(graph.nodes[i]))
      enliven(i);
  }

  void enliven(size_t i) {
    alive.set(i);
    changed = true;
    for (const Operand &operand : graph.nodes[i].operands)
      need(operand);
  }

  bool isNeeded(const Node &node) {
    if (node.op && !node.info)
      return true;
    if (any_of(node.results, [&](Slot slot) {
          return slot != noSlot && needed.test(slot);
        }))
      return true;
    return any_of(node.written, [&](size_t index) {
      bool result = false;
      forEachSlot(node.operands[index], [&](Slot slot) {
        Slot memory = classOf(slot);
        result |= read.test(memory) || caller.test(memory);
      });
      return result;
    });
  }

  /// Adds checks of what is there anyway. Numbers that are made of such tensors
  /// cost nothing.
  void addChecks() {
    BitVector there(graph.kinds.size(), true);
    for (const Node &node : graph.nodes)
      for (Slot slot : node.results)
        if (slot != noSlot)
          there.reset(slot);
    auto isThere = [&](const Operand &operand) {
      bool result = true;
      forEachSlot(operand, [&](Slot slot) { result &= there.test(slot); });
      return result;
    };
    for (auto [i, node] : enumerate(graph.nodes)) {
      bool isNumbers = all_of(node.results, [&](Slot slot) {
        return slot == noSlot || graph.kinds[slot] != ValueKind::Tensor;
      });
      if (!alive.test(i) && !(isNumbers && all_of(node.operands, isThere)))
        continue;
      for (Slot slot : node.results)
        if (slot != noSlot)
          there.set(slot);
      if (node.info && node.info->effect == OperatorEffect::Checks &&
          !alive.test(i))
        enliven(i);
    }
  }

  Graph &graph;
  EquivalenceClasses<Slot> memory;
  BitVector needed; ///< values
  /// Classes, by their leader: what is read, and what is the caller's.
  BitVector read, caller;
  BitVector alive; ///< nodes
  bool changed = false;
};

} // namespace

void reference::keepOutputs(Graph &graph, ArrayRef<size_t> wanted,
                            function_ref<Slot(Slot)> storageOf) {
  Sweep(graph, storageOf).run(wanted);
  findLastUses(graph);
}
