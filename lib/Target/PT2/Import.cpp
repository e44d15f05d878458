//===- Import.cpp - torch.export archives as fx programs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Importer.h"

#include "weir/Program/GraphCheck.h"
#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// Finding the parts
//===----------------------------------------------------------------------===//

void Importer::findTables(const json::Object &model) {
  const json::Object &module = *model.getObject("graph_module");
  const json::Object &signature = *module.getObject("signature");
  graph = module.getObject("graph");
  graphInputs = graph->getArray("inputs");
  graphOutputs = graph->getArray("outputs");
  graphNodes = graph->getArray("nodes");
  inputSpecs = signature.getArray("input_specs");
  outputSpecs = signature.getArray("output_specs");
  tensorValues = graph->getObject("tensor_values");
}

json::Object weir::pt2::envelopeOf(
    const json::Object &model, llvm::function_ref<bool(StringRef)> modelled) {
  json::Object result;
  for (const auto &[key, value] : model)
    if (key != "graph_module")
      result[key] = value;
  json::Object module;
  if (const json::Object *old = model.getObject("graph_module")) {
    for (const auto &[key, value] : *old) {
      const json::Object *object = value.getAsObject();
      json::Object rest;
      if (key == "graph" && object) {
        for (const auto &[name, entry] : *object) {
          if (name == "inputs" || name == "outputs" || name == "nodes")
            continue;
          if (!llvm::is_contained(valueTables, StringRef(name)) ||
              !entry.getAsObject()) {
            rest[name] = entry;
            continue;
          }
          // Values that no input and no call defines are kept here.
          json::Object table;
          for (const auto &[value, type] : *entry.getAsObject())
            if (!modelled(value))
              table[value] = type;
          rest[name] = std::move(table);
        }
        module[key] = std::move(rest);
      } else if (key == "signature" && object) {
        for (const auto &[name, entry] : *object)
          if (name != "input_specs" && name != "output_specs")
            rest[name] = entry;
        module[key] = std::move(rest);
      } else {
        module[key] = value;
      }
    }
  }
  result["graph_module"] = std::move(module);
  return result;
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

void Importer::importInput(unsigned index, const json::Value &argument,
                           const json::Value &spec) {
  auto [tag, inner] = *taggedOf(spec);
  const json::Object &body = *inner->getAsObject();
  Fields fields(body);
  std::optional<Tagged> placeholder = taggedOf(argument);
  auto nameIn = [](const json::Value *value, StringRef key) {
    const json::Object *object = value ? value->getAsObject() : nullptr;
    return object ? object->getString(key) : std::nullopt;
  };
  auto kind = fx::InputKind::Raw;
  fx::WeightAttr weight;
  bool persistent = true;
  auto stored = [&](fx::InputKind stored, StringRef key) {
    kind = stored;
    weight = fx::WeightAttr::get(context, "model",
                                 *fields.take(key)->getAsString());
    fields.take("arg"); // repeats the placeholder's name
  };
  if (tag == "user_input") {
    fields.take("arg"); // repeats the placeholder
    if (placeholder && (placeholder->tag == "as_tensor" ||
                        placeholder->tag == "as_sym_int" ||
                        placeholder->tag == "as_custom_obj"))
      kind = fx::InputKind::UserInput;
  } else if (tag == "parameter") {
    stored(fx::InputKind::Parameter, "parameter_name");
  } else if (tag == "buffer") {
    stored(fx::InputKind::Buffer, "buffer_name");
    persistent = *fields.take("persistent")->getAsBoolean();
  } else if (tag == "tensor_constant") {
    stored(fx::InputKind::TensorConstant, "tensor_constant_name");
  } else if (tag == "custom_obj") {
    stored(fx::InputKind::CustomObject, "custom_obj_name");
  }

  std::string name;
  Type type = builder.getNoneType();
  DictionaryAttr meta = builder.getDictionaryAttr({});
  if (kind == fx::InputKind::Raw) {
    // Kept as it is; nothing in the graph can refer to it but by its name.
    for (StringRef key : {"name", "as_name"})
      if (placeholder && name.empty())
        if (std::optional<StringRef> text = nameIn(placeholder->value, key))
          name = text->str();
    if (name.empty())
      name = body.getString("name").value_or("").str();
    if (name.empty())
      name = ("input_" + Twine(index)).str();
    json::Object whole{{"argument", argument}, {"spec", spec}};
    auto input = fx::InputAttr::get(
        context, kind, fx::WeightAttr(), true,
        builder.getStringAttr(printJSON(std::move(whole))),
        std::nullopt);
    values[name] = program.insertInput(program.getEntry().getNumArguments(),
                                       name, type, input);
    return;
  }

  StringRef form = placeholder->tag;
  name = nameIn(placeholder->value, form == "as_sym_int" ? "as_name" : "name")
             ->str();
  if (form == "as_tensor") {
    Typed typed = tensorType(name);
    type = typed.type;
    meta = typed.meta;
  } else if (form == "as_sym_int") {
    type = symbolicType("sym_int", name);
  } else {
    type = fx::ObjectType::get(
        context, nameIn(placeholder->value, "class_fqn").value_or(""));
  }
  auto input = fx::InputAttr::get(context, kind, weight, persistent,
                                  fields.rest(context), std::nullopt);
  BlockArgument value = program.insertInput(
      program.getEntry().getNumArguments(), name, type, input);
  value.setLoc(NameLoc::get(builder.getStringAttr(name), loc));
  if (!meta.empty()) {
    SmallVector<Attribute> metas;
    if (program.getInputMeta())
      metas.assign(program.getInputMeta()->begin(),
                   program.getInputMeta()->end());
    metas.resize(index + 1, builder.getDictionaryAttr({}));
    metas[index] = meta;
    program.setInputMetaAttr(builder.getArrayAttr(metas));
  }
  values[name] = value;
}

void Importer::importInputs() {
  for (size_t i = 0; i < graphInputs->size(); ++i)
    importInput(i, (*graphInputs)[i], (*inputSpecs)[i]);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

/// "key,path,class;key,path,class", or null if joining the parts again would
/// not give the same text.
static fx::StackAttr parseStack(StringRef text, MLIRContext *context) {
  SmallVector<fx::ModuleAttr> modules;
  SmallVector<StringRef> entries;
  text.split(entries, ';');
  for (StringRef entry : entries) {
    SmallVector<StringRef> parts;
    entry.split(parts, ',');
    if (parts.size() != 3)
      return {};
    modules.push_back(
        fx::ModuleAttr::get(context, parts[0], parts[1], parts[2]));
  }
  return fx::StackAttr::get(context, modules);
}

Location Importer::locationOf(StringRef name, const json::Object *metadata) {
  auto nameAttr = builder.getStringAttr(name.empty() ? "call" : name);
  std::optional<StringRef> trace =
      metadata ? metadata->getString("stack_trace") : std::nullopt;
  if (trace) {
    // The innermost frame comes last: File "model.py", line 12, in forward
    StringRef rest = trace->substr(0);
    size_t at = rest.rfind("File \"");
    if (at != StringRef::npos) {
      auto [file, tail] = rest.drop_front(at + 6).split('"');
      unsigned line;
      if (tail.consume_front(", line ") && !tail.consumeInteger(10, line))
        return NameLoc::get(nameAttr,
                            FileLineColLoc::get(context, file, line, 0));
    }
  }
  return NameLoc::get(nameAttr, loc);
}

void Importer::importNode(const json::Object &node) {
  Fields fields(node);
  const json::Value *target = fields.take("target");
  const json::Value *inputs = fields.take("inputs");
  const json::Value *outputs = fields.take("outputs");
  const json::Value *metadataValue = fields.take("metadata");
  const json::Value *nameValue = fields.take("name");

  SmallVector<Value> operands;
  SmallVector<Attribute> names, values;
  SmallVector<int8_t> kinds;
  for (const json::Value &value : *inputs->getAsArray()) {
    const json::Object &named = *value.getAsObject();
    const json::Value *kind = named.get("kind");
    bool hasKind = kind && kind->kind() != json::Value::Null;
    names.push_back(builder.getStringAttr(*named.getString("name")));
    values.push_back(argument(*named.get("arg"), operands));
    kinds.push_back(hasKind ? *intOf(*kind) : 0);
  }

  Results results;
  for (const json::Value &value : *outputs->getAsArray())
    result(value, results);

  // Metadata, of which the module stack has a form of its own.
  const json::Object *metadata = metadataValue->getAsObject();
  fx::StackAttr stack;
  NamedAttrList entries;
  json::Object unknown;
  if (metadata)
    for (const auto &[key, value] : *metadata) {
      std::optional<StringRef> text = value.getAsString();
      if (key == "nn_module_stack" && text &&
          (stack = parseStack(*text, context)))
        continue;
      if (text && !StringRef(key).empty())
        entries.append(StringRef(key), builder.getStringAttr(*text));
      else
        unknown[key] = value;
    }
  StringAttr extra = fields.rest(context);
  if (!unknown.empty()) {
    json::Object merged;
    if (extra)
      if (llvm::Expected<json::Value> parsed = parseJSON(extra.getValue()))
        merged = std::move(*parsed->getAsObject());
    merged["metadata"] = std::move(unknown);
    extra = builder.getStringAttr(printJSON(std::move(merged)));
  }

  StringAttr nodeName;
  bool hasName = nameValue && nameValue->kind() != json::Value::Null;
  std::optional<StringRef> text =
      hasName ? nameValue->getAsString() : std::nullopt;
  // Old archives name no nodes.
  if (!hasName)
    nodeName = builder.getStringAttr("");
  else if (results.names.empty() ||
           cast<StringAttr>(results.names.front()).getValue() != *text)
    nodeName = builder.getStringAttr(*text);

  bool anyKind = llvm::any_of(kinds, [](int8_t kind) { return kind != 0; });
  auto call = fx::CallOp::create(
      builder,
      locationOf(text.value_or(results.names.empty()
                                   ? *target->getAsString()
                                   : cast<StringAttr>(results.names.front())
                                         .getValue()),
                 metadata),
      results.types,
      builder.getStringAttr(fx::targetOfArchive(*target->getAsString())),
      operands, builder.getArrayAttr(names), builder.getArrayAttr(values),
      anyKind ? builder.getDenseI8ArrayAttr(kinds) : DenseI8ArrayAttr(),
      results.names.empty() ? ArrayAttr()
                            : builder.getArrayAttr(results.names),
      nodeName,
      results.plain ? ArrayAttr() : builder.getArrayAttr(results.outputs),
      results.anyMeta ? builder.getArrayAttr(results.metas) : ArrayAttr(),
      stack,
      entries.empty() ? DictionaryAttr() : entries.getDictionary(context),
      extra, UnitAttr());
  for (OpResult value : call.getResults())
    this->values[call.getResultName(value.getResultNumber())] = value;
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

void Importer::importOutputs() {
  SmallVector<Value> operands;
  SmallVector<Attribute> outputs;
  for (size_t i = 0; i < graphOutputs->size(); ++i) {
    const json::Value &value = (*graphOutputs)[i];
    std::optional<Tagged> spec = taggedOf((*outputSpecs)[i]);
    const json::Object *body = spec->value->getAsObject();
    std::optional<fx::OutputKind> kind = fx::symbolizeOutputKind(spec->tag);
    SmallVector<Value> taken;
    Attribute attribute = argument(value, taken);
    Fields fields(*body);
    fields.take("arg");
    StringAttr target;
    for (StringRef key : {"buffer_name", "parameter_name", "user_input_name"})
      if (body->getString(key)) {
        target = builder.getStringAttr(*body->getString(key));
        fields.take(key);
      }
    bool isValue = isa<fx::SlotAttr>(attribute);
    // A kind that is not known keeps its text, and its value if it has one. The
    // others repeat the output, which is checked already.
    if (!kind || *kind == fx::OutputKind::Raw) {
      kind = fx::OutputKind::Raw;
      target = {};
    }
    StringAttr extra =
        *kind == fx::OutputKind::Raw
            ? builder.getStringAttr(
                  printJSON(json::Object{{"spec", (*outputSpecs)[i]}}))
            : fields.rest(context);
    // Lists of values are kept as text: no operand stands for them.
    Attribute literal;
    if (!isValue)
      literal = taken.empty() ? attribute : raw(value);
    else
      operands.append(taken);
    outputs.push_back(
        fx::OutputAttr::get(context, *kind, target, literal, extra,
                            Attribute()));
  }
  fx::ReturnOp::create(builder, loc, operands, builder.getArrayAttr(outputs));
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

OwningOpRef<ModuleOp> Importer::run() {
  context->loadDialect<fx::FXDialect>();
  // All that can be wrong with a graph by itself is found there, and relied on
  // below.
  if (llvm::Error wrong = checkGraph(archive)) {
    error() << llvm::toString(std::move(wrong));
    return {};
  }
  if (llvm::Error refused = operators.check(archive.model())) {
    error() << llvm::toString(std::move(refused));
    return {};
  }
  for (const std::string &warning : operators.warnings(archive.model()))
    emitWarning(loc) << warning;
  findTables(archive.model());
  OwningOpRef<ModuleOp> module(ModuleOp::create(loc));
  builder.setInsertionPointToStart(module->getBody());
  program = fx::ProgramOp::create(builder, loc, "main");
  builder.setInsertionPointToStart(&program.getEntry());
  importInputs();
  for (const json::Value &node : *graphNodes)
    importNode(*node.getAsObject());
  importOutputs();
  if (program.getInputMeta()) {
    SmallVector<Attribute> metas(program.getInputMeta()->begin(),
                                 program.getInputMeta()->end());
    metas.resize(program.getEntry().getNumArguments(),
                 builder.getDictionaryAttr({}));
    program.setInputMetaAttr(builder.getArrayAttr(metas));
  }
  if (device)
    program.setDeviceAttr(device);
  program.setEnvelope(printJSON(
      envelopeOf(archive.model(),
                 [&](StringRef name) { return tablesUsed.contains(name); })));
  program.recogniseRoles();
  if (failed(verify(*module)))
    return {};
  return module;
}

OwningOpRef<ModuleOp> weir::importPT2(const Archive &archive,
                                      MLIRContext *context,
                                      const OperatorPolicy &operators) {
  return Importer(archive, context, operators).run();
}
