//===- Liveness.cpp - What of a graph is needed, and how long ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Graph.h"

#include "llvm/ADT/BitVector.h"
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

/// Spreads from the wanted outputs to what they need.
class Sweep {
public:
  Sweep(Graph &graph, function_ref<Slot(Slot)> storageOf)
      : graph(graph), storageOf(storageOf), needed(graph.kinds.size()),
        bound(graph.kinds.size()), alive(graph.nodes.size()) {
    for (const Graph::Binding &binding : graph.bindings)
      bound.set(binding.slot);
  }

  void run(ArrayRef<size_t> wanted) {
    size_t user = 0;
    for (Graph::Output &output : graph.outputs) {
      // A user input that is written to belongs to the caller.
      output.isComputed = output.mutationTarget == noSlot
                              ? is_contained(wanted, user++)
                              : !bound.test(output.mutationTarget);
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
            needed.test(storageOf(output.mutationTarget))) {
          output.isComputed = changed = true;
          need(output.operand);
        }
    } while (changed);

    std::vector<Node> kept;
    for (auto [i, node] : enumerate(graph.nodes))
      if (alive.test(i))
        kept.push_back(std::move(node));
    graph.nodes = std::move(kept);
  }

private:
  void need(const Operand &operand) {
    forEachSlot(operand, [&](Slot slot) {
      needed.set(bound.test(slot) ? storageOf(slot) : slot);
    });
  }

  void visit(size_t i) {
    const Node &node = graph.nodes[i];
    if (alive.test(i) || !(hasNeededResult(node) || writesNeeded(node)))
      return;
    alive.set(i);
    changed = true;
    for (const Operand &operand : node.operands)
      need(operand);
  }

  bool hasNeededResult(const Node &node) const {
    return any_of(node.results, [&](Slot slot) {
      return slot != noSlot && needed.test(slot);
    });
  }

  bool writesNeeded(const Node &node) const {
    if (!node.op || !node.op->schema().is_mutable())
      return false;
    bool result = false;
    for (auto [argument, operand] :
         zip(node.op->schema().arguments(), node.operands)) {
      if (!argument.alias_info() || !argument.alias_info()->isWrite())
        continue;
      // A value that is not bound may be a view of anything.
      forEachSlot(operand, [&](Slot slot) {
        result |= !bound.test(slot) || needed.test(storageOf(slot));
      });
    }
    return result;
  }

  Graph &graph;
  function_ref<Slot(Slot)> storageOf;
  BitVector needed, bound, alive;
  bool changed = false;
};

} // namespace

void reference::keepOutputs(Graph &graph, ArrayRef<size_t> wanted,
                            function_ref<Slot(Slot)> storageOf) {
  Sweep(graph, storageOf).run(wanted);
  findLastUses(graph);
}
