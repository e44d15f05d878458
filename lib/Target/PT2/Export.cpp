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
