//===- ExportSignature.cpp - Inputs, outputs and the signature of an archive ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"
#include "Importer.h"

#include "weir/Dialect/FX/IR/State.h"
#include "weir/Support/Json.h"

using namespace mlir;
using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;

void pt2::addExtra(json::Object &object, StringAttr extra) {
  if (!extra)
    return;
  llvm::Expected<json::Value> parsed = parseJSON(extra.getValue());
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return;
  }
  if (json::Object *rest = parsed->getAsObject())
    for (auto &[key, value] : *rest)
      object[key] = std::move(value);
}

LogicalResult Exporter::exportInputs() {
  auto addConstants = [&] {
    for (json::Value &argument : constantArguments)
      inputs.push_back(std::move(argument));
    for (json::Value &spec : constantSpecs)
      inputSpecs.push_back(std::move(spec));
    constantArguments.clear();
    constantSpecs.clear();
  };
  for (BlockArgument value : program.getEntry().getArguments()) {
    unsigned i = value.getArgNumber();
    fx::InputAttr input = program.getInput(i);
    const std::string &name = names[value];
    Type type = value.getType();
    DictionaryAttr meta = DictionaryAttr::get(context);
    if (program.getInputMeta())
      meta = cast<DictionaryAttr>((*program.getInputMeta())[i]);
    // Stored tensors come before what the caller passes.
    if (input.getKind() == fx::InputKind::UserInput)
      addConstants();
    if (failed(describe(program, name, type, meta)))
      return failure();

    json::Object spec;
    json::Object named{{"name", name}};
    StringRef key = input.getWeight() ? input.getWeight().getKey() : "";
    switch (input.getKind()) {
    case fx::InputKind::UserInput:
      spec["arg"] = reference(name, type);
      break;
    case fx::InputKind::Parameter:
      spec["arg"] = std::move(named);
      spec["parameter_name"] = key;
      break;
    case fx::InputKind::Buffer:
      spec["arg"] = std::move(named);
      spec["buffer_name"] = key;
      spec["persistent"] = input.getPersistent();
      break;
    case fx::InputKind::TensorConstant:
      spec["arg"] = std::move(named);
      spec["tensor_constant_name"] = key;
      break;
    case fx::InputKind::CustomObject:
      spec["arg"] =
          std::move(reference(name, type).getAsObject()->begin()->second);
      spec["custom_obj_name"] = key;
      break;
    case fx::InputKind::Token:
      spec["arg"] = std::move(named);
      break;
    case fx::InputKind::Raw: {
      json::Object whole;
      addExtra(whole, input.getExtra());
      json::Value *argument = whole.get("argument");
      json::Value *rawSpec = whole.get("spec");
      if (!argument || !rawSpec)
        return program.emitOpError()
               << "input '" << name << "' does not say what it is";
      inputs.push_back(std::move(*argument));
      inputSpecs.push_back(std::move(*rawSpec));
      continue;
    }
    }
    if (input.getWeight() && input.getWeight().getScope() == fx::zerosScope) {
      if (failed(addState(value)))
        return failure();
    } else if (input.getWeight() &&
               input.getKind() != fx::InputKind::CustomObject &&
               !source.find(key))
      return program.emitOpError()
             << "input '" << name << "' needs the weight '" << key
             << "', which " << source.path() << " does not hold";
    addExtra(spec, input.getExtra());
    inputs.push_back(reference(name, type));
    inputSpecs.push_back(
        json::Object{{fx::stringifyInputKind(input.getKind()),
                      json::Value(std::move(spec))}});
  }
  addConstants();
  return success();
}

LogicalResult Exporter::exportOutputs() {
  fx::ReturnOp ret = program.getReturn();
  SmallVector<std::string> operandNames;
  for (Value value : ret.getValues())
    operandNames.push_back(names[value]);
  Slots slots{operandNames, ret.getValues().getTypes()};
  for (Attribute attribute : ret.getOutputs()) {
    auto output = cast<fx::OutputAttr>(attribute);
    json::Value value =
        argument(output.getLiteral() ? output.getLiteral()
                                     : Attribute(fx::SlotAttr::get(context)),
                 slots);
    json::Object spec;
    if (output.getKind() == fx::OutputKind::Raw) {
      addExtra(spec, output.getExtra());
      json::Value *whole = spec.get("spec");
      if (!whole)
        return ret.emitOpError("has an output that does not say what it is");
      outputSpecs.push_back(std::move(*whole));
      outputs.push_back(std::move(value));
      continue;
    }
    StringRef target =
        output.getTarget() ? output.getTarget().getValue() : "";
    switch (output.getKind()) {
    case fx::OutputKind::BufferMutation:
      spec["buffer_name"] = target;
      break;
    case fx::OutputKind::ParameterMutation:
    case fx::OutputKind::GradientToParameter:
      spec["parameter_name"] = target;
      break;
    case fx::OutputKind::GradientToUserInput:
    case fx::OutputKind::UserInputMutation:
      spec["user_input_name"] = target;
      break;
    default:
      break;
    }
    if (output.getKind() == fx::OutputKind::UserOutput)
      spec["arg"] = value;
    else
      spec["arg"] = value.getAsObject()->begin()->second;
    addExtra(spec, output.getExtra());
    outputs.push_back(std::move(value));
    outputSpecs.push_back(
        json::Object{{fx::stringifyOutputKind(output.getKind()),
                      json::Value(std::move(spec))}});
  }
  return success();
}

/// How many entries of a list in the signature have one of the given tags.
static size_t countSpecs(const json::Object &model, StringRef list,
                         ArrayRef<StringRef> tags) {
  const json::Object *module = model.getObject("graph_module");
  const json::Object *signature =
      module ? module->getObject("signature") : nullptr;
  const json::Array *specs = signature ? signature->getArray(list) : nullptr;
  size_t count = 0;
  if (specs)
    for (const json::Value &spec : *specs)
      if (std::optional<Tagged> tagged = taggedOf(spec))
        count += llvm::is_contained(tags, tagged->tag);
  return count;
}

LogicalResult Exporter::updateSignature() {
  json::Object *module = model.getObject("graph_module");
  // What the source's caller passes and gets; the program may have more.
  size_t oldInputs = countSpecs(source.model(), "input_specs",
                                {"user_input", "constant_input"});
  size_t oldOutputs =
      countSpecs(source.model(), "output_specs", {"user_output"});
  std::vector<std::string> userInputs;
  std::vector<RankedTensorType> types;
  for (unsigned i = 0, e = program.getEntry().getNumArguments(); i != e; ++i) {
    fx::InputAttr input = program.getInput(i);
    bool passed = input.getKind() == fx::InputKind::UserInput;
    if (input.getKind() == fx::InputKind::Raw) {
      json::Object whole;
      addExtra(whole, input.getExtra());
      const json::Object *spec = whole.getObject("spec");
      passed = spec && (spec->get("user_input") || spec->get("constant_input"));
    }
    if (!passed)
      continue;
    userInputs.push_back(program.getInputName(i).str());
    types.push_back(dyn_cast<RankedTensorType>(
        program.getEntry().getArgument(i).getType()));
  }
  size_t userOutputs = 0;
  for (Attribute attribute : program.getReturn().getOutputs())
    userOutputs += cast<fx::OutputAttr>(attribute).getKind() ==
                   fx::OutputKind::UserOutput;
  // Callers of the source rely on what it has.
  if (userInputs.size() < oldInputs || userOutputs < oldOutputs)
    return program.emitOpError()
           << "has " << userInputs.size() << " user inputs and " << userOutputs
           << " user outputs, " << source.path() << " has more: " << oldInputs
           << " and " << oldOutputs;
  if (form == ExportForm::Lossless && userInputs.size() == oldInputs &&
      userOutputs == oldOutputs)
    return success();
  std::vector<std::string> newInputs(userInputs.begin() + oldInputs,
                                     userInputs.end());
  std::string problem = extendConvention(*module, newInputs,
                                         userOutputs - oldOutputs);
  if (!problem.empty())
    return program.emitOpError(problem);
  if (newInputs.empty() && form == ExportForm::Lossless)
    return success();

  // Compilers trace with the sample inputs, so these must fit.
  auto keep = [&](StringRef why) -> LogicalResult {
    if (form != ExportForm::Lossless)
      return program.emitOpError()
             << "has inputs that are " << why
             << ", so that no sample inputs can be made for them";
    program.emitWarning() << "the sample inputs are " << why
                          << " and stay as they were";
    return success();
  };
  std::optional<InputLayout> layout = readInputLayout(*module);
  if (!layout || layout->positional + layout->keywords.size() !=
                     userInputs.size())
    return keep("nested");
  std::vector<SampleInput> samples;
  for (auto [i, type] : llvm::enumerate(types)) {
    SampleInput sample;
    auto dtype =
        type ? fx::DTypeAttr::forElementType(type.getElementType()) : nullptr;
    if (!dtype)
      return keep("not all tensors");
    sample.dtype = dtype.getNumber();
    if (i >= layout->positional)
      sample.keyword = layout->keywords[i - layout->positional];
    for (Attribute size : fx::sizesOf(type)) {
      auto number = dyn_cast_if_present<IntegerAttr>(size);
      if (auto expr = dyn_cast_if_present<fx::SymExprAttr>(size))
        number = dyn_cast_if_present<IntegerAttr>(expr.getHint());
      sample.sizes.push_back(number ? number.getInt() : 1);
    }
    samples.push_back(std::move(sample));
  }
  llvm::Expected<std::vector<std::byte>> made = makeSampleInputs(samples);
  if (!made)
    return program.emitOpError(llvm::toString(made.takeError()));
  sampleInputs = std::move(*made);
  return success();
}
