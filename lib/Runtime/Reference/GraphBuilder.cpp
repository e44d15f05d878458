//===- GraphBuilder.cpp - From JSON to a checked graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Support.h"
#include "Graph.h"

#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"

using namespace llvm;

namespace weir::reference {
namespace {

class Builder {
public:
  explicit Builder(const json::Object &model) : model(model) {}

  Expected<Graph> build();

private:
  Error readInputs(const json::Array &inputs, const json::Array &specs);
  Error readInput(const json::Object &input, const json::Object &spec);
  Error readNode(const json::Object &node);
  Error readOperator(Node &out, const json::Array &inputs);
  Error readBuiltin(Node &out, const json::Array &inputs);
  Error readResults(Node &out, const json::Array &outputs);
  Error checkResults(const Node &node, ArrayRef<ValueKind> kinds);
  Error readOutputs(const json::Array &outputs, const json::Array &specs);

  /// Defines a value; an error if the name is taken.
  Expected<Slot> define(StringRef name, ValueKind kind);
  Expected<std::pair<Slot, ValueKind>> resolve(StringRef name) const;
  Expected<std::string> nameIn(const json::Object *object, StringRef key);

  const json::Object &model;
  Graph graph;
  StringMap<Slot> slots;
  StringMap<Slot> buffers; ///< by fully qualified name
};

Expected<Slot> Builder::define(StringRef name, ValueKind kind) {
  if (name.empty())
    return fail("a value without a name");
  auto [it, isNew] = slots.try_emplace(name, graph.kinds.size());
  if (!isNew)
    return fail("value '{0}' is defined twice", name);
  graph.kinds.push_back(kind);
  graph.names.push_back(name.str());
  return it->second;
}

Expected<std::pair<Slot, ValueKind>> Builder::resolve(StringRef name) const {
  auto it = slots.find(name);
  if (it == slots.end())
    return fail("value '{0}' is used before it is defined", name);
  return std::make_pair(it->second, graph.kinds[it->second]);
}

Expected<std::string> Builder::nameIn(const json::Object *object,
                                      StringRef key) {
  std::optional<StringRef> text = object ? object->getString(key) : std::nullopt;
  if (!text)
    return fail("\"{0}\" is missing", key);
  return text->str();
}

Error Builder::readInput(const json::Object &input, const json::Object &spec) {
  if (spec.size() != 1)
    return fail("a malformed input specification");
  StringRef kind = spec.begin()->first;
  const json::Object *body = spec.begin()->second.getAsObject();
  if (kind == "constant_input")
    return Error::success(); // already part of the graph
  const json::Object *tensor = input.getObject("as_tensor");
  if (!tensor)
    return fail("{0} inputs that are not tensors are not supported", kind);
  Expected<std::string> name = nameIn(tensor, "name");
  if (!name)
    return name.takeError();
  Expected<Slot> slot = define(*name, ValueKind::Tensor);
  if (!slot)
    return slot.takeError();
  if (kind == "user_input") {
    graph.inputs.push_back(*slot);
    return Error::success();
  }
  StringRef key = StringSwitch<StringRef>(kind)
                      .Case("parameter", "parameter_name")
                      .Case("buffer", "buffer_name")
                      .Case("tensor_constant", "tensor_constant_name")
                      .Default("");
  if (key.empty())
    return fail("inputs of the kind '{0}' are not supported", kind);
  Expected<std::string> fqn = nameIn(body, key);
  if (!fqn)
    return fqn.takeError();
  Expected<std::string> bound = nameIn(body->getObject("arg"), "name");
  if (!bound)
    return bound.takeError();
  if (*bound != *name)
    return fail("input '{0}' is called '{1}' in the signature", *name, *bound);
  graph.bindings.push_back({*slot, *fqn});
  if (kind != "tensor_constant")
    buffers[*fqn] = *slot;
  return Error::success();
}

Error Builder::readInputs(const json::Array &inputs, const json::Array &specs) {
  if (inputs.size() != specs.size())
    return fail("the graph has {0} inputs and its signature {1}", inputs.size(),
                specs.size());
  for (auto [index, input, spec] : enumerate(inputs, specs)) {
    const json::Object *object = input.getAsObject();
    const json::Object *specObject = spec.getAsObject();
    if (!object || !specObject)
      return fail("input {0} is malformed", index);
    if (Error error = readInput(*object, *specObject))
      return fail("input {0}: {1}", index, toString(std::move(error)));
  }
  return Error::success();
}

Error Builder::readOperator(Node &out, const json::Array &inputs) {
  SmallVector<StringRef, 3> parts;
  StringRef(out.target).drop_front(strlen("torch.ops.")).split(parts, '.');
  if (parts.size() != 3)
    return fail("not the name of an operator overload");
  std::string name = (parts[0] + "::" + parts[1]).str();
  std::optional<c10::OperatorHandle> op =
      c10::Dispatcher::singleton().findSchema(
          {name, parts[2] == "default" ? std::string() : parts[2].str()});
  if (!op)
    return fail("LibTorch has no such operator");
  out.op = *op;

  StringMap<const json::Object *> given;
  for (const json::Value &value : inputs) {
    const json::Object *object = value.getAsObject();
    Expected<std::string> argument = nameIn(object, "name");
    if (!argument)
      return argument.takeError();
    const json::Object *form = object->getObject("arg");
    if (!form)
      return fail("argument '{0}' is malformed", *argument);
    if (!given.try_emplace(*argument, form).second)
      return fail("argument '{0}' is given twice", *argument);
  }

  const c10::FunctionSchema &schema = op->schema();
  for (const c10::Argument &parameter : schema.arguments()) {
    auto it = given.find(parameter.name());
    if (it == given.end()) {
      if (!parameter.default_value())
        return fail("argument '{0}' is missing", parameter.name());
      Operand operand;
      operand.literal = *parameter.default_value();
      out.operands.push_back(std::move(operand));
      continue;
    }
    c10::TypePtr type = parameter.real_type();
    bool isOptional = type->kind() == c10::TypeKind::OptionalType;
    if (isOptional)
      type = type->expectRef<c10::OptionalType>().getElementType();
    Expected<Operand> operand = convertArgument(
        *it->second, paramKindOf(type), isOptional, parameter.N().value_or(0),
        [this](StringRef value) { return resolve(value); });
    if (!operand)
      return fail("argument '{0}': {1}", parameter.name(),
                  toString(operand.takeError()));
    out.operands.push_back(std::move(*operand));
    given.erase(it);
  }
  for (auto [index, parameter] : enumerate(schema.arguments())) {
    if (out.info && out.info->wantsSmall(parameter.name()))
      out.smallOperands.push_back(index);
    if (out.info && out.info->effect == OperatorEffect::View &&
        out.info->input == parameter.name())
      out.aliased.push_back(index);
    if (out.info && out.info->writes(parameter.name()))
      out.written.push_back(index);
  }
  if (!given.empty())
    return fail("the operator has no argument '{0}'", given.begin()->first());
  return Error::success();
}

Error Builder::readBuiltin(Node &out, const json::Array &inputs) {
  std::optional<SymbolicOp> op = parseSymbolicOp(out.target);
  if (!op)
    return fail("unknown operator");
  out.symbolic = *op;
  if (inputs.size() != arityOf(*op))
    return fail("{0} arguments where {1} are expected", inputs.size(),
                arityOf(*op));
  for (const json::Value &value : inputs) {
    const json::Object *object = value.getAsObject();
    const json::Object *form = object ? object->getObject("arg") : nullptr;
    if (!form)
      return fail("a malformed argument");
    Expected<Operand> operand =
        convertArgument(*form, ParamKind::Number, false, 0,
                        [this](StringRef name) { return resolve(name); });
    if (!operand)
      return operand.takeError();
    out.operands.push_back(std::move(*operand));
  }
  return Error::success();
}

/// What the dispatcher will leave on the stack has to fit the kinds that the
/// graph gives to the results.
Error Builder::checkResults(const Node &node, ArrayRef<ValueKind> kinds) {
  if (!node.op) {
    if (kinds.size() != 1 || kinds[0] == ValueKind::Tensor)
      return fail("a builtin gives one number");
    return Error::success();
  }
  const std::vector<c10::Argument> &returns = node.op->schema().returns();
  if (node.listResult) {
    if (returns.size() != 1 ||
        paramKindOf(returns[0].real_type()) != ParamKind::TensorList)
      return fail("the operator does not return a list of tensors");
    return Error::success();
  }
  if (returns.size() != kinds.size())
    return fail("the operator returns {0} values, the graph names {1}",
                returns.size(), kinds.size());
  for (auto [result, schema, kind] : zip(node.results, returns, kinds)) {
    if (result == noSlot)
      continue;
    c10::TypePtr type = schema.real_type();
    if (type->kind() == c10::TypeKind::OptionalType)
      type = type->expectRef<c10::OptionalType>().getElementType();
    ParamKind declared = paramKindOf(type);
    bool fits = declared == ParamKind::Number
                    ? kind != ValueKind::Tensor
                    : (declared == ParamKind::Tensor && kind == ValueKind::Tensor) ||
                          (declared == ParamKind::Int && kind == ValueKind::Int) ||
                          (declared == ParamKind::Float && kind == ValueKind::Float) ||
                          (declared == ParamKind::Bool && kind == ValueKind::Bool);
    if (!fits)
      return fail("result '{0}' is not what the operator returns",
                  graph.names[result]);
  }
  return Error::success();
}

Error Builder::readResults(Node &out, const json::Array &outputs) {
  SmallVector<ValueKind, 2> kinds;
  auto add = [&](const json::Object *object, StringRef key,
                 ValueKind kind) -> Error {
    Expected<std::string> name = nameIn(object, key);
    if (!name)
      return name.takeError();
    Expected<Slot> slot = define(*name, kind);
    if (!slot)
      return slot.takeError();
    out.results.push_back(*slot);
    kinds.push_back(kind);
    return Error::success();
  };
  for (const json::Value &value : outputs) {
    const json::Object *object = value.getAsObject();
    if (!object || object->size() != 1)
      return fail("a malformed result");
    StringRef form = object->begin()->first;
    const json::Object *body = object->begin()->second.getAsObject();
    Error error = Error::success();
    if (form == "as_none") {
      out.results.push_back(noSlot);
      kinds.push_back(ValueKind::Tensor);
    } else if (form == "as_tensor") {
      error = add(body, "name", ValueKind::Tensor);
    } else if (form == "as_sym_int") {
      error = add(body, "as_name", ValueKind::Int);
    } else if (form == "as_sym_float") {
      error = add(body, "as_name", ValueKind::Float);
    } else if (form == "as_sym_bool") {
      error = add(body, "as_name", ValueKind::Bool);
    } else if (form == "as_tensors" && outputs.size() == 1) {
      const json::Array *array = object->begin()->second.getAsArray();
      if (!array)
        return fail("a malformed result");
      out.listResult = true;
      for (const json::Value &element : *array) {
        error = add(element.getAsObject(), "name", ValueKind::Tensor);
        if (error)
          break;
      }
    } else {
      return fail("results of the form '{0}' are not supported", form);
    }
    if (error)
      return error;
  }
  return checkResults(out, kinds);
}

Error Builder::readNode(const json::Object &node) {
  Node out;
  std::optional<StringRef> target = node.getString("target");
  const json::Array *inputs = node.getArray("inputs");
  const json::Array *outputs = node.getArray("outputs");
  if (!target || !inputs || !outputs)
    return fail("\"target\", \"inputs\" or \"outputs\" is missing");
  out.target = target->str();
  out.info = findOperator(*target);
  if (Error error = target->starts_with("torch.ops.")
                        ? readOperator(out, *inputs)
                        : readBuiltin(out, *inputs))
    return fail("{0}: {1}", *target, toString(std::move(error)));
  if (Error error = readResults(out, *outputs))
    return fail("{0}: {1}", *target, toString(std::move(error)));
  graph.nodes.push_back(std::move(out));
  return Error::success();
}

Error Builder::readOutputs(const json::Array &outputs,
                           const json::Array &specs) {
  if (outputs.size() != specs.size())
    return fail("the graph has {0} outputs and its signature {1}",
                outputs.size(), specs.size());
  for (auto [index, output, spec] : enumerate(outputs, specs)) {
    const json::Object *object = output.getAsObject();
    const json::Object *specObject = spec.getAsObject();
    if (!object || !specObject || specObject->size() != 1)
      return fail("output {0} is malformed", index);
    Graph::Output out;
    Expected<Operand> operand =
        convertArgument(*object, ParamKind::Any, true, 0,
                        [this](StringRef name) { return resolve(name); });
    if (!operand)
      return fail("output {0}: {1}", index, toString(operand.takeError()));
    out.operand = std::move(*operand);
    bool isTensor = out.operand.form == Operand::Value &&
                    graph.kinds[out.operand.slot] == ValueKind::Tensor;
    if (!isTensor)
      return fail("output {0} is not a tensor", index);

    StringRef kind = specObject->begin()->first;
    const json::Object *body = specObject->begin()->second.getAsObject();
    if (kind == "buffer_mutation" || kind == "parameter_mutation") {
      Expected<std::string> fqn = nameIn(
          body, kind == "buffer_mutation" ? "buffer_name" : "parameter_name");
      if (!fqn)
        return fail("output {0}: {1}", index, toString(fqn.takeError()));
      auto it = buffers.find(*fqn);
      if (it == buffers.end())
        return fail("output {0} is written to '{1}', which is no input", index,
                    *fqn);
      out.mutationTarget = it->second;
    } else if (kind == "user_input_mutation") {
      Expected<std::string> name = nameIn(body, "user_input_name");
      if (!name)
        return fail("output {0}: {1}", index, toString(name.takeError()));
      auto resolved = resolve(*name);
      if (!resolved)
        return fail("output {0}: {1}", index, toString(resolved.takeError()));
      if (!is_contained(graph.inputs, resolved->first))
        return fail("output {0} is written to '{1}', which is no input", index,
                    *name);
      out.mutationTarget = resolved->first;
    } else if (kind != "user_output") {
      return fail("outputs of the kind '{0}' are not supported", kind);
    }
    graph.outputs.push_back(std::move(out));
  }
  return Error::success();
}

Expected<Graph> Builder::build() {
  const json::Object *module = model.getObject("graph_module");
  const json::Object *body = module ? module->getObject("graph") : nullptr;
  const json::Object *signature =
      module ? module->getObject("signature") : nullptr;
  if (!body || !signature)
    return fail("the archive has no graph");
  const json::Array *inputs = body->getArray("inputs");
  const json::Array *outputs = body->getArray("outputs");
  const json::Array *nodes = body->getArray("nodes");
  const json::Array *inputSpecs = signature->getArray("input_specs");
  const json::Array *outputSpecs = signature->getArray("output_specs");
  if (!inputs || !outputs || !nodes || !inputSpecs || !outputSpecs)
    return fail("the graph lacks its inputs, nodes or outputs");

  if (Error error = readInputs(*inputs, *inputSpecs))
    return std::move(error);
  for (auto [index, node] : enumerate(*nodes)) {
    const json::Object *object = node.getAsObject();
    if (!object)
      return fail("node {0} is malformed", index);
    if (Error error = readNode(*object))
      return fail("node {0}: {1}", index, toString(std::move(error)));
  }
  if (Error error = readOutputs(*outputs, *outputSpecs))
    return std::move(error);
  findLastUses(graph);
  return std::move(graph);
}

} // namespace

Expected<Graph> buildGraph(const json::Object &model,
                           const OperatorPolicy &policy) {
  if (Error error = policy.check(model))
    return std::move(error);
  return Builder(model).build();
}

} // namespace weir::reference
