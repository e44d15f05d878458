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
#include "Plan.h"

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
  create(std::shared_ptr<Archive> archive, Graph graph,
         std::vector<ProgramInput> declared,
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
  void findNeeded();
  Error checkGiven(ArrayRef<at::Tensor> inputs) const;
  void runCall(const Call &call);
  bool replayView(const Call &call);
  void pushArguments(const Call &call);
  void takeResult(Slot slot, ValueKind kind, IValue value);
  void takeResults(const Node &node);
  std::vector<at::Tensor> takeOutputs();

  std::shared_ptr<Archive> archive, otherArchive;
  std::shared_ptr<MappedTensors> tensors, otherTensors;
  Graph graph;
  Plan plan; ///< of `graph`
  std::vector<ProgramInput> declared;
  /// Inputs that something in the graph reads.
  std::vector<size_t> needed;
  std::vector<ProgramInput> neededInputs;
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
ReferenceEngine::create(std::shared_ptr<Archive> archive, Graph graph,
                        std::vector<ProgramInput> declared,
                        std::optional<ArrayRef<size_t>> wanted,
                        const EngineOptions &options) {
  auto engine = std::make_unique<ReferenceEngine>();
  engine->graph = std::move(graph);
  engine->declared = std::move(declared);
  Expected<std::shared_ptr<MappedTensors>> tensors =
      MappedTensors::open(*archive);
  if (!tensors)
    return tensors.takeError();
  engine->tensors = std::move(*tensors);
  if (options.tensors) {
    tensors = MappedTensors::open(*options.tensors);
    if (!tensors)
      return tensors.takeError();
    engine->otherArchive = options.tensors;
    engine->otherTensors = std::move(*tensors);
  }
  uint64_t bytes = tensorBytes(*archive);
  if (options.tensors)
    bytes += tensorBytes(*options.tensors);
  engine->memory.emplace(
      options.maxMemory.value_or(defaultMemoryLimit(bytes)));
  engine->values.resize(engine->graph.kinds.size());
  for (const Graph::Binding &binding : engine->graph.bindings) {
    bool isOther = engine->otherTensors && !archive->find(binding.fqn);
    Expected<at::Tensor> tensor =
        (isOther ? engine->otherTensors : engine->tensors)->get(binding.fqn);
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
  engine->findNeeded();
  engine->plan = Plan(engine->graph);
  engine->archive = std::move(archive);
  return engine;
}

void ReferenceEngine::findNeeded() {
  DenseSet<Slot> read;
  auto add = [&](const Operand &operand) {
    if (operand.slot != noSlot)
      read.insert(operand.slot);
    read.insert(operand.slots.begin(), operand.slots.end());
  };
  for (const Node &node : graph.nodes)
    llvm::for_each(node.operands, add);
  for (const Graph::Output &output : graph.outputs)
    if (output.isComputed)
      add(output.operand);
  for (auto [index, slot] : enumerate(graph.inputs))
    if (read.contains(slot)) {
      needed.push_back(index);
      neededInputs.push_back(declared[index]);
    }
}

/// What nothing reads need not be given.
Error ReferenceEngine::checkGiven(ArrayRef<at::Tensor> inputs) const {
  if (inputs.size() != declared.size() ||
      llvm::all_of(inputs, [](const at::Tensor &input) { return input.defined(); }))
    return checkInputs(declared, inputs);
  std::vector<at::Tensor> given;
  for (size_t index : needed)
    given.push_back(inputs[index]);
  return checkInputs(neededInputs, given);
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
bool fitsKind(const IValue &value, ValueKind kind) {
  switch (kind) {
  case ValueKind::Tensor:
    return value.isTensor() && value.toTensor().defined();
  case ValueKind::Int:
    return value.isInt();
  case ValueKind::Float:
    return value.isDouble();
  case ValueKind::Bool:
    return value.isBool();
  }
  llvm_unreachable("covered");
}

void ReferenceEngine::pushArguments(const Call &call) {
  for (auto [index, argument] : enumerate(call.arguments)) {
    if (argument.from == Argument::Literal)
      stack.push_back(argument.literal);
    else if (argument.from == Argument::LastUse)
      stack.push_back(std::move(values[argument.slot]));
    else if (argument.from == Argument::Value &&
             values[argument.slot].isTensor())
      stack.push_back(values[argument.slot]);
    else // Numbers become what the parameter takes.
      stack.push_back(evaluate(call.node->operands[index], values));
  }
}

/// Makes a view without its operator, where that would give what it gave.
bool ReferenceEngine::replayView(const Call &call) {
  const Argument &input = call.arguments.front();
  at::Tensor view = plan.view(call).replay(values[input.slot].toTensor(),
                                           call.numbers, values);
  if (!view.defined())
    return false;
  if (input.from == Argument::LastUse)
    values[input.slot] = IValue();
  values[call.result] = std::move(view);
  return true;
}

void ReferenceEngine::runCall(const Call &call) {
  at::Tensor viewed;
  if (call.view >= 0) {
    if (replayView(call)) {
      for (Slot slot : call.drops)
        values[slot] = IValue();
      return;
    }
    viewed = values[call.arguments.front().slot].toTensor();
  }
  stack.clear();
  pushArguments(call);
  if (call.isGuarded)
    checkArguments(*call.node, stack);
  if (call.op)
    call.op->callBoxed(stack);
  else
    stack = {applySymbolicOp(call.node->symbolic, stack)};

  if (call.result != noSlot) {
    TORCH_CHECK(!stack.empty(), "results are missing");
    takeResult(call.result, call.kind, std::move(stack.front()));
  } else {
    takeResults(*call.node);
  }
  if (viewed.defined())
    plan.view(call).note(viewed, call.numbers, values,
                         values[call.result].toTensor());
  for (Slot slot : call.drops)
    values[slot] = IValue();
}

void ReferenceEngine::takeResult(Slot slot, ValueKind kind, IValue value) {
  TORCH_CHECK(fitsKind(value, kind), "result '", graph.names[slot], "' is ",
              value.tagKind(), ", which the graph does not say");
  if (value.isTensor())
    checkResult(value.toTensor(), memory->limit());
  values[slot] = std::move(value);
}

void ReferenceEngine::takeResults(const Node &node) {
  if (node.listResult) {
    std::vector<at::Tensor> list = stack.at(0).toTensorVector();
    TORCH_CHECK(list.size() == node.results.size(), "the list has ",
                list.size(), " tensors, the graph names ", node.results.size());
    for (auto [slot, tensor] : zip(node.results, list)) {
      TORCH_CHECK(tensor.defined(), "the list lacks a tensor");
      takeResult(slot, ValueKind::Tensor, std::move(tensor));
    }
    return;
  }
  TORCH_CHECK(stack.size() >= node.results.size(), "results are missing");
  for (auto [slot, value] : zip(node.results, stack))
    if (slot != noSlot)
      takeResult(slot, graph.kinds[slot], std::move(value));
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
  if (Error error = checkGiven(inputs))
    return std::move(error);
  c10::InferenceMode guard;
  MemoryBudget::Scope scope(*memory);
  for (auto [slot, tensor] : zip(graph.inputs, inputs))
    if (tensor.defined())
      values[slot] = tensor;

  // Whatever happens, nothing of this run stays behind but the mutated state.
  llvm::scope_exit release([&] {
    stack.clear();
    for (Slot slot : plan.transient())
      values[slot] = IValue();
  });

  const Call *current = nullptr;
  try {
    for (const Call &call : plan.calls()) {
      current = &call;
      runCall(call);
    }
    current = nullptr;
    return takeOutputs();
  } catch (const std::exception &exception) {
    if (!current)
      return fail("while collecting outputs: {0}", messageOf(exception));
    return fail("node {0} ({1}): {2}", current - plan.calls().data(),
                current->node->target, messageOf(exception));
  }
}

class Factory final : public EngineFactory {
public:
  static Expected<std::unique_ptr<Factory>>
  open(std::shared_ptr<Archive> archive, const EngineOptions &options) {
    auto result = std::make_unique<Factory>();
    Expected<Graph> graph = buildGraph(archive->model(), options.operators);
    if (!graph)
      return fail("{0}: {1}", archive->path(), toString(graph.takeError()));
    result->graph = std::move(*graph);
    Expected<std::vector<ProgramInput>> declared =
        readProgramInputs(archive->model());
    if (!declared)
      return fail("{0}: {1}", archive->path(), toString(declared.takeError()));
    result->declared = std::move(*declared);
    result->archive = std::move(archive);
    result->options = options;
    return std::move(result);
  }

  Expected<std::unique_ptr<Engine>>
  create(ArrayRef<size_t> wanted) const override {
    return guarded(graph, wanted);
  }
  /// All outputs, by an engine that takes the graph over.
  Expected<std::unique_ptr<Engine>>
  createLast(std::optional<ArrayRef<size_t>> wanted) {
    return guarded(std::move(graph), wanted);
  }

private:
  Expected<std::unique_ptr<Engine>>
  guarded(Graph own, std::optional<ArrayRef<size_t>> wanted) const {
    try {
      return ReferenceEngine::create(archive, std::move(own), declared, wanted,
                                     options);
    } catch (const std::exception &exception) {
      return fail("{0}", messageOf(exception));
    }
  }

  std::shared_ptr<Archive> archive;
  Graph graph;
  std::vector<ProgramInput> declared;
  EngineOptions options;
};

Expected<std::unique_ptr<Factory>> openFactory(std::shared_ptr<Archive> archive,
                                               const EngineOptions &options) {
  try {
    return Factory::open(std::move(archive), options);
  } catch (const std::exception &exception) {
    return fail("{0}", messageOf(exception));
  }
}

} // namespace

Expected<std::unique_ptr<Engine>>
createReferenceEngine(std::shared_ptr<Archive> archive,
                      std::optional<ArrayRef<size_t>> wanted,
                      const EngineOptions &options) {
  Expected<std::unique_ptr<Factory>> factory =
      openFactory(std::move(archive), options);
  if (!factory)
    return factory.takeError();
  return (*factory)->createLast(wanted);
}

Expected<std::unique_ptr<EngineFactory>>
createEngineFactory(std::shared_ptr<Archive> archive,
                    const EngineOptions &options) {
  Expected<std::unique_ptr<Factory>> factory =
      openFactory(std::move(archive), options);
  if (!factory)
    return factory.takeError();
  return std::move(*factory);
}

} // namespace weir
