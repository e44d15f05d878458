//===- ReferenceEngine.cpp - A walk over the exported graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Support.h"
#include "../TorchSupport.h"
#include "Graph.h"
#include "Guards.h"
#include "MemoryBudget.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/ScopeExit.h"

#include <ATen/core/stack.h>
#include <c10/core/InferenceMode.h>

using namespace llvm;
using c10::IValue;

namespace weir {
namespace {

using namespace reference;

class ReferenceEngine final : public Engine {
public:
  static Expected<std::unique_ptr<Engine>>
  create(std::shared_ptr<Archive> archive,
         std::optional<ArrayRef<size_t>> wanted, const EngineOptions &options);

  StringRef name() const override { return "reference"; }
  ArrayRef<ProgramInput> inputs() const override { return declared; }
  size_t numOutputs() const override {
    return llvm::count_if(graph.outputs, [](const Graph::Output &output) {
      return output.mutationTarget == noSlot;
    });
  }
  Expected<std::vector<at::Tensor>> run(ArrayRef<at::Tensor> inputs) override;

private:
  Error keep(ArrayRef<size_t> wanted);
  void runNode(const Node &node);
  std::vector<at::Tensor> takeOutputs();

  std::shared_ptr<Archive> archive;
  std::shared_ptr<MappedTensors> tensors;
  Graph graph;
  std::vector<ProgramInput> declared;
  /// One a slot. Weights and buffers stay; everything else is empty between
  /// runs.
  std::vector<IValue> values;
  torch::jit::Stack stack;
  std::optional<MemoryBudget> memory;
};

/// Bytes of the tensors that an archive holds, each record once.
uint64_t tensorBytes(const Archive &archive) {
  DenseSet<uint64_t> seen;
  uint64_t bytes = 0;
  for (const StringMap<ArchiveTensor> *tensors :
       {&archive.weights(), &archive.constants()})
    for (const auto &entry : *tensors)
      if (seen.insert(entry.second.fileOffset).second)
        bytes += entry.second.bytes.size();
  return bytes;
}

Expected<std::unique_ptr<Engine>>
ReferenceEngine::create(std::shared_ptr<Archive> archive,
                        std::optional<ArrayRef<size_t>> wanted,
                        const EngineOptions &options) {
  auto engine = std::make_unique<ReferenceEngine>();
  Expected<Graph> graph = buildGraph(archive->model(), options.operators);
  if (!graph)
    return fail("{0}: {1}", archive->path(), toString(graph.takeError()));
  engine->graph = std::move(*graph);
  Expected<std::vector<ProgramInput>> declared =
      readProgramInputs(archive->model());
  if (!declared)
    return fail("{0}: {1}", archive->path(), toString(declared.takeError()));
  engine->declared = std::move(*declared);
  Expected<std::shared_ptr<MappedTensors>> tensors =
      MappedTensors::open(*archive);
  if (!tensors)
    return tensors.takeError();
  engine->tensors = std::move(*tensors);
  uint64_t bytes = tensorBytes(*archive);
  engine->memory.emplace(
      options.maxMemory.value_or(defaultMemoryLimit(bytes)));
  engine->values.resize(engine->graph.kinds.size());
  for (const Graph::Binding &binding : engine->graph.bindings) {
    Expected<at::Tensor> tensor = engine->tensors->get(binding.fqn);
    if (!tensor)
      return fail("{0}: {1}", archive->path(), toString(tensor.takeError()));
    // With strides of zero a payload of one number is of any size.
    try {
      checkResult(*tensor, std::max(bytes, engine->memory->limit()));
    } catch (const std::exception &exception) {
      return fail("{0}: '{1}': {2}", archive->path(), binding.fqn,
                  messageOf(exception));
    }
    engine->values[binding.slot] = std::move(*tensor);
  }
  if (wanted)
    if (Error error = engine->keep(*wanted))
      return fail("{0}: {1}", archive->path(), toString(std::move(error)));
  engine->archive = std::move(archive);
  return engine;
}

Error ReferenceEngine::keep(ArrayRef<size_t> wanted) {
  for (size_t output : wanted)
    if (output >= numOutputs())
      return fail("there is no output {0}, only {1}", output, numOutputs());
  DenseMap<const void *, Slot> first;
  auto storageOf = [&](Slot slot) {
    const void *storage =
        values[slot].toTensor().storage().unsafeGetStorageImpl();
    return first.try_emplace(storage, slot).first->second;
  };
  keepOutputs(graph, wanted, storageOf);
  return Error::success();
}

/// A result has to be what the graph says, because later nodes rely on it.
void checkKind(const IValue &value, ValueKind kind, const std::string &name) {
  bool fits = kind == ValueKind::Tensor
                  ? value.isTensor() && value.toTensor().defined()
              : kind == ValueKind::Int   ? value.isInt()
              : kind == ValueKind::Float ? value.isDouble()
                                         : value.isBool();
  TORCH_CHECK(fits, "result '", name, "' is ", value.tagKind(),
              ", which the graph does not say");
}

void ReferenceEngine::runNode(const Node &node) {
  stack.clear();
  for (const Operand &operand : node.operands)
    stack.push_back(evaluate(operand, values));
  if (node.op) {
    checkArguments(node, stack);
    node.op->callBoxed(stack);
  } else {
    stack = {applySymbolicOp(node.symbolic, stack)};
  }

  if (node.listResult) {
    std::vector<at::Tensor> list = stack.at(0).toTensorVector();
    TORCH_CHECK(list.size() == node.results.size(), "the list has ",
                list.size(), " tensors, the graph names ", node.results.size());
    for (auto [slot, tensor] : zip(node.results, list)) {
      TORCH_CHECK(tensor.defined(), "the list lacks a tensor");
      checkResult(tensor, memory->limit());
      values[slot] = std::move(tensor);
    }
  } else {
    TORCH_CHECK(stack.size() >= node.results.size(), "results are missing");
    for (auto [slot, value] : zip(node.results, stack)) {
      if (slot == noSlot)
        continue;
      checkKind(value, graph.kinds[slot], graph.names[slot]);
      if (value.isTensor())
        checkResult(value.toTensor(), memory->limit());
      values[slot] = std::move(value);
    }
  }
  for (Slot slot : node.lastUses)
    values[slot] = IValue();
}

std::vector<at::Tensor> ReferenceEngine::takeOutputs() {
  std::vector<at::Tensor> out;
  for (const Graph::Output &output : graph.outputs) {
    if (!output.isComputed) {
      if (output.mutationTarget == noSlot)
        out.emplace_back();
      continue;
    }
    at::Tensor value = evaluate(output.operand, values).toTensor();
    if (output.mutationTarget != noSlot)
      values[output.mutationTarget].toTensor().copy_(value);
    else
      out.push_back(std::move(value));
  }
  return out;
}

Expected<std::vector<at::Tensor>>
ReferenceEngine::run(ArrayRef<at::Tensor> inputs) {
  if (Error error = checkInputs(declared, inputs))
    return std::move(error);
  c10::InferenceMode guard;
  MemoryBudget::Scope scope(*memory);
  for (auto [slot, tensor] : zip(graph.inputs, inputs))
    values[slot] = tensor;

  // Whatever happens, nothing of this run stays behind but the mutated state.
  llvm::scope_exit release([&] {
    stack.clear();
    for (Slot slot : graph.inputs)
      values[slot] = IValue();
    for (const Node &node : graph.nodes)
      for (Slot slot : node.results)
        if (slot != noSlot)
          values[slot] = IValue();
  });

  const Node *current = nullptr;
  try {
    for (const Node &node : graph.nodes) {
      current = &node;
      runNode(node);
    }
    current = nullptr;
    return takeOutputs();
  } catch (const std::exception &exception) {
    if (!current)
      return fail("while collecting outputs: {0}", messageOf(exception));
    return fail("node {0} ({1}): {2}", current - graph.nodes.data(),
                current->target, messageOf(exception));
  }
}

} // namespace

Expected<std::unique_ptr<Engine>>
createReferenceEngine(std::shared_ptr<Archive> archive,
                      std::optional<ArrayRef<size_t>> wanted,
                      const EngineOptions &options) {
  try {
    return ReferenceEngine::create(std::move(archive), wanted, options);
  } catch (const std::exception &exception) {
    return fail("{0}", messageOf(exception));
  }
}

} // namespace weir
