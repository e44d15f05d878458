//===- Export.cpp - fx programs as torch.export archives ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"
#include "Importer.h"

#include "weir/Dialect/FX/IR/State.h"
#include "weir/Program/ScratchArchive.h"
#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

using namespace mlir;
using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

LogicalResult Exporter::collectNames() {
  for (BlockArgument argument : program.getEntry().getArguments()) {
    StringRef name = program.getInputName(argument.getArgNumber());
    taken.insert(name);
    names[argument] = name.str();
  }
  for (fx::CallOp call : program.getEntry().getOps<fx::CallOp>()) {
    if (call.getNode())
      taken.insert(*call.getNode());
    for (OpResult result : call.getResults()) {
      StringRef name = call.getResultName(result.getResultNumber());
      if (name.empty())
        continue;
      taken.insert(name);
      names[result] = name.str();
    }
    if (rootStack.empty() && call.getStack() &&
        !call.getStack()->getModules().empty()) {
      fx::ModuleAttr root = call.getStack()->getModules().front();
      // The first calls of a program may belong to no module.
      if (root.getPath().empty())
        rootStack = (root.getKey() + "," + root.getPath() + "," +
                     root.getClassName())
                        .str();
    }
  }
  return success();
}

std::string Exporter::freshName() {
  std::string name;
  do
    name = "weir_" + std::to_string(nextName++);
  while (!taken.insert(name).second);
  return name;
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

namespace {

/// The elements of an attribute, one byte a boolean.
class DenseTensor : public TensorSource {
public:
  DenseTensor(DType dtype, DenseElementsAttr elements)
      : TensorSource(dtype, elements.getType().getShape()), elements(elements) {
  }
  llvm::Error stream(Sink sink) const override;

private:
  DenseElementsAttr elements;
};

/// What a buffer holds that nothing was written to yet.
class Zeros : public TensorSource {
public:
  using TensorSource::TensorSource;
  llvm::Error stream(Sink sink) const override {
    static constexpr std::byte piece[4096] = {};
    for (uint64_t left = numBytes(); left > 0;) {
      uint64_t size = std::min<uint64_t>(left, sizeof(piece));
      if (llvm::Error error = sink(llvm::ArrayRef(piece, size)))
        return error;
      left -= size;
    }
    return llvm::Error::success();
  }
};

/// The same elements in another shape.
class Reshaped : public TensorSource {
public:
  Reshaped(std::shared_ptr<const TensorSource> values, ArrayRef<int64_t> shape)
      : TensorSource(values->dtype(), shape), values(std::move(values)) {}
  llvm::Error stream(Sink sink) const override { return values->stream(sink); }

private:
  std::shared_ptr<const TensorSource> values;
};

} // namespace

llvm::Error DenseTensor::stream(Sink sink) const {
  Type type = elements.getElementType();
  std::vector<std::byte> bytes;
  auto put = [&](const llvm::APInt &value) {
    unsigned count = (value.getBitWidth() + 7) / 8;
    for (unsigned i = 0; i < count; ++i)
      bytes.push_back(static_cast<std::byte>(
          value.extractBitsAsZExtValue(
              std::min(8u, value.getBitWidth() - 8 * i), 8 * i)));
  };
  if (isa<FloatType>(type)) {
    for (const llvm::APFloat &value : elements.getValues<llvm::APFloat>())
      put(value.bitcastToAPInt());
  } else {
    for (const llvm::APInt &value : elements.getValues<llvm::APInt>())
      put(value);
  }
  return sink(bytes);
}

LogicalResult Exporter::addConstant(fx::ConstantOp constant) {
  auto type = cast<RankedTensorType>(constant.getResult().getType());
  auto [it, isNew] = stored.try_emplace({constant.getValue(), type});
  if (!isNew) {
    names[constant.getResult()] = it->second;
    return success();
  }
  auto dtype = fx::DTypeAttr::forElementType(type.getElementType());
  std::optional<DType> elementType =
      dtype ? dtypeOfArchive(dtype.getNumber()) : std::nullopt;
  if (!elementType)
    return constant.emitOpError() << "has elements of type "
                                  << type.getElementType()
                                  << ", which cannot be stored";
  std::string what = "constant";
  std::shared_ptr<const TensorSource> values;
  if (auto elements = dyn_cast<DenseElementsAttr>(constant.getValue())) {
    values = std::make_shared<DenseTensor>(*elementType, elements);
  } else {
    if (auto recipe = dyn_cast<fx::ConstantAttrInterface>(constant.getValue()))
      what = recipe.getConstantName().str();
    if (!constants)
      return constant.emitOpError()
             << "is a recipe, but nothing here can compute it";
    auto computed = constants(constant);
    if (failed(computed))
      return failure();
    values = std::move(*computed);
  }
  uint64_t expected = type.getNumElements() * sizeOf(*elementType);
  if (values->dtype() != *elementType || values->numBytes() != expected)
    return constant.emitOpError()
           << "is made from " << values->numBytes() << " bytes of "
           << nameOf(values->dtype()) << ", but " << type << " has " << expected;

  // Placeholder and payload have names of their own; both must be new.
  std::string fqn, name;
  unsigned number = 0;
  do {
    fqn = "weir_" + what + "_" + std::to_string(number++);
    name = "c_" + fqn;
  } while (source.find(fqn) || taken.contains(name));
  taken.insert(name);
  it->second = name;
  names[constant.getResult()] = name;

  AddedTensor tensor;
  tensor.kind = AddedTensor::Constant;
  tensor.fqn = fqn;
  // A recipe knows its numbers, the type their shape.
  tensor.values = std::make_shared<Reshaped>(std::move(values), type.getShape());
  added.push_back(std::move(tensor));
  constantArguments.push_back(
      json::Object{{"as_tensor", json::Object{{"name", name}}}});
  constantSpecs.push_back(json::Object{
      {"tensor_constant", json::Object{{"arg", json::Object{{"name", name}}},
                                       {"tensor_constant_name", fqn}}}});
  return describe(constant, name, type, DictionaryAttr::get(context));
}

LogicalResult Exporter::addState(BlockArgument argument) {
  fx::InputAttr input = program.getInput(argument.getArgNumber());
  StringRef key = input.getWeight().getKey();
  auto fail = [&] {
    return program.emitOpError()
           << "input '" << program.getInputName(argument.getArgNumber()) << "' ";
  };
  auto type = cast<RankedTensorType>(argument.getType());
  auto number = fx::DTypeAttr::forElementType(type.getElementType());
  std::optional<DType> dtype =
      number ? dtypeOfArchive(number.getNumber()) : std::nullopt;
  if (!dtype || input.getKind() != fx::InputKind::Buffer ||
      input.getPersistent())
    return fail() << "begins with zeros, which only a transient buffer of numbers "
                     "does";
  if (source.find(key))
    return fail() << "begins with zeros, and " << source.path()
                  << " holds a tensor '" << key << "'";
  AddedTensor tensor;
  // Buffers that are not persistent stand among the constants.
  tensor.kind = AddedTensor::Constant;
  tensor.fqn = key.str();
  tensor.values = std::make_shared<Zeros>(*dtype, type.getShape());
  added.push_back(std::move(tensor));
  return success();
}

//===----------------------------------------------------------------------===//
// Inputs and outputs
//===----------------------------------------------------------------------===//

/// Adds the keys of a JSON object given as text.
static void addExtra(json::Object &object, StringAttr extra) {
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

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

LogicalResult Exporter::exportCall(fx::CallOp call) {
  SmallVector<std::string> operandNames;
  for (Value value : call.getOperands()) {
    auto it = names.find(value);
    if (it == names.end())
      return call.emitOpError("uses a value that no exported op defines");
    operandNames.push_back(it->second);
  }
  Slots slots{operandNames, call.getOperands().getTypes()};
  ArrayRef<int8_t> kinds;
  if (call.getArgKinds())
    kinds = *call.getArgKinds();
  json::Array arguments;
  for (auto [i, name, value] :
       llvm::enumerate(call.getArgNames(), call.getArgs())) {
    StringRef argumentName = cast<StringAttr>(name).getValue();
    json::Value kind = nullptr;
    if (i < kinds.size() && kinds[i])
      kind = int64_t(kinds[i]);
    else if (argumentName.empty() && call.getPure())
      // Without a name it can only be positional. What an archive left out
      // stays out.
      kind = 1;
    arguments.push_back(json::Object{{"name", argumentName},
                                     {"arg", argument(value, slots)},
                                     {"kind", kind}});
  }

  SmallVector<std::string> resultNames;
  for (OpResult result : call.getResults()) {
    std::string &name = names[result];
    if (name.empty())
      name = freshName();
    resultNames.push_back(name);
    DictionaryAttr meta = DictionaryAttr::get(context);
    if (call.getMeta())
      meta = cast<DictionaryAttr>((*call.getMeta())[result.getResultNumber()]);
    if (failed(describe(call, name, result.getType(), meta)))
      return failure();
  }
  Slots results{resultNames, call.getResultTypes()};
  json::Array outputs;
  if (call.getOutputs()) {
    for (Attribute output : call.getOutputsAttr())
      outputs.push_back(argument(output, results));
  } else {
    for (size_t i = 0; i < resultNames.size(); ++i)
      outputs.push_back(argument(fx::SlotAttr::get(context), results));
  }

  json::Object metadata;
  if (call.getMetadata())
    for (NamedAttribute entry : call.getMetadataAttr())
      metadata[entry.getName().getValue()] =
          cast<StringAttr>(entry.getValue()).getValue();
  if (call.getStack()) {
    std::string text;
    llvm::raw_string_ostream os(text);
    llvm::interleave(
        call.getStack()->getModules(), os,
        [&](fx::ModuleAttr module) {
          os << module.getKey() << ',' << module.getPath() << ','
             << module.getClassName();
        },
        ";");
    metadata["nn_module_stack"] = text;
  } else if ((call.getPure() || !call.getNames()) && !rootStack.empty()) {
    // What the compiler made belongs to the program as a whole.
    metadata["nn_module_stack"] = rootStack;
  }

  json::Object node{{"target", fx::archiveTarget(call.getTarget())},
                    {"inputs", std::move(arguments)},
                    {"outputs", std::move(outputs)},
                    {"is_hop_single_tensor_return", nullptr}};
  if (call.getNode()) {
    // The empty name says that the archive gave none.
    if (!call.getNode()->empty())
      node["name"] = *call.getNode();
  } else if (resultNames.size() == 1)
    node["name"] = resultNames.front();
  else
    // The results of several are nodes of their own to PyTorch.
    node["name"] = freshName();
  if (call.getExtra()) {
    json::Object extra;
    addExtra(extra, call.getExtraAttr());
    // Metadata that is not text was set aside under the same key.
    if (json::Object *more = extra.getObject("metadata")) {
      for (auto &[key, value] : *more)
        metadata[key] = std::move(value);
      extra.erase("metadata");
    }
    for (auto &[key, value] : extra)
      node[key] = std::move(value);
  }
  node["metadata"] = std::move(metadata);
  nodes.push_back(std::move(node));
  return success();
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

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

llvm::StringSet<> weir::droppedTensors(fx::ProgramOp program,
                                       const Archive &source) {
  llvm::StringSet<> dropped;
  const json::Object *module = source.model().getObject("graph_module");
  const json::Object *signature =
      module ? module->getObject("signature") : nullptr;
  const json::Array *specs =
      signature ? signature->getArray("input_specs") : nullptr;
  for (const json::Value &spec : specs ? *specs : json::Array()) {
    std::optional<Tagged> tagged = taggedOf(spec);
    const json::Object *fields = tagged ? tagged->value->getAsObject() : nullptr;
    for (StringRef key :
         {"parameter_name", "buffer_name", "tensor_constant_name"})
      if (auto name = fields ? fields->getString(key) : std::nullopt)
        dropped.insert(*name);
  }
  for (auto input : program.getInputs().getAsRange<fx::InputAttr>())
    if (input.getWeight())
      dropped.erase(input.getWeight().getKey());
  return dropped;
}

LogicalResult Exporter::run() {
  if (failed(collectNames()))
    return failure();
  for (Operation &op : program.getEntry()) {
    LogicalResult result = success();
    if (auto call = dyn_cast<fx::CallOp>(op))
      result = exportCall(call);
    else if (auto constant = dyn_cast<fx::ConstantOp>(op))
      result = addConstant(constant);
    else if (auto site = dyn_cast<fx::SiteOp>(op)) { // a mark, nothing else
      // A copy: a new entry may move the others.
      std::string name = names.lookup(site.getInput());
      names[site.getResult()] = std::move(name);
    } else if (!isa<fx::ReturnOp>(op))
      result = op.emitOpError("has no form in an archive; lower it first");
    if (failed(result))
      return failure();
  }
  if (failed(exportInputs()) || failed(exportOutputs()))
    return failure();

  // Everything that is not modelled comes from the envelope, or from the source
  // if the program was written by hand.
  if (program.getEnvelope()) {
    llvm::Expected<json::Value> envelope = parseJSON(*program.getEnvelope());
    if (!envelope)
      return program.emitOpError(llvm::toString(envelope.takeError()));
    if (!envelope->getAsObject())
      return program.emitOpError("'envelope' is not a JSON object");
    model = std::move(*envelope->getAsObject());
  } else {
    model = envelopeOf(source.model(), [](StringRef) { return true; });
  }
  json::Object *module = model.getObject("graph_module");
  json::Object *graph = module ? module->getObject("graph") : nullptr;
  json::Object *signature = module ? module->getObject("signature") : nullptr;
  if (!graph || !signature)
    return program.emitOpError(
        "'envelope' has no graph or no signature to fill in");
  (*graph)["inputs"] = std::move(inputs);
  (*graph)["outputs"] = std::move(outputs);
  (*graph)["nodes"] = std::move(nodes);
  json::Object *tables[] = {&tensorValues, &symIntValues, &symBoolValues,
                            &symFloatValues};
  for (auto [name, table] : llvm::zip(valueTables, tables)) {
    json::Object *rest = graph->getObject(name);
    if (!rest) {
      if (table->empty())
        continue;
      (*graph)[name] = json::Object{};
      rest = graph->getObject(name);
    }
    for (auto &[key, value] : *table)
      (*rest)[key] = std::move(value);
  }
  (*signature)["input_specs"] = std::move(inputSpecs);
  (*signature)["output_specs"] = std::move(outputSpecs);
  return updateSignature();
}

LogicalResult weir::exportPT2(fx::ProgramOp program, const Archive &source,
                              StringRef path, ConstantCallback constants,
                              ExportForm form, ArrayRef<AddedRecord> given) {
  Exporter exporter(program, source, constants, form);
  if (failed(exporter.run()))
    return failure();
  if (form != ExportForm::Lossless) {
    llvm::Expected<json::Object> plain = plainModel(exporter.model);
    if (!plain)
      return emitError(UnknownLoc::get(program.getContext()))
             << source.path() << ": " << llvm::toString(plain.takeError());
    exporter.model = std::move(*plain);
  }
  std::vector<AddedRecord> records = given.vec();
  if (exporter.sampleInputs)
    records.push_back(
        {("data/sample_inputs/" + source.modelName() + ".pt").str(),
         *exporter.sampleInputs});
  const auto write =
      form == ExportForm::Scratch ? writeScratchArchive : rewriteArchive;
  if (llvm::Error error = write(source, path, exporter.model, exporter.added,
                                records, droppedTensors(program, source))) {
    llvm::handleAllErrors(
        std::move(error), [](const ReportedError &) {},
        [&](const llvm::ErrorInfoBase &other) {
          // It names the file, and no line of a spec can mend it.
          emitError(UnknownLoc::get(program.getContext())) << other.message();
        });
    return failure();
  }
  return success();
}
