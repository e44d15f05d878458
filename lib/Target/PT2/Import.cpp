//===- Import.cpp - torch.export archives as fx programs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Importer.h"

#include "weir/Program/Files.h"
#include "weir/Program/GraphCheck.h"

#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;

//===----------------------------------------------------------------------===//
// Finding the parts
//===----------------------------------------------------------------------===//

LogicalResult Importer::findTables(const json::Object &model) {
  const json::Object *version = model.getObject("schema_version");
  std::optional<int64_t> major =
      version ? version->getInteger("major") : std::nullopt;
  if (major != 8)
    return error() << "the program has "
                   << (major ? "major version " + std::to_string(*major)
                             : std::string("no version"))
                   << " of the export schema; version 8 is supported";
  const json::Object *module = model.getObject("graph_module");
  graph = module ? module->getObject("graph") : nullptr;
  const json::Object *signature =
      module ? module->getObject("signature") : nullptr;
  if (!graph || !signature)
    return error() << "the program has no graph or no signature";
  auto find = [&](const json::Object &object, StringRef key,
                  const json::Array *&array) -> LogicalResult {
    array = object.getArray(key);
    return array ? success()
                 : error() << "the program has no list '" << key << "'";
  };
  tensorValues = graph->getObject("tensor_values");
  return success(succeeded(find(*graph, "inputs", graphInputs)) &&
                 succeeded(find(*graph, "outputs", graphOutputs)) &&
                 succeeded(find(*graph, "nodes", graphNodes)) &&
                 succeeded(find(*signature, "input_specs", inputSpecs)) &&
                 succeeded(find(*signature, "output_specs", outputSpecs)));
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

LogicalResult Importer::checkPayload(StringRef fqn, const json::Object &meta) {
  const ArchiveTensor *payload = archive.find(fqn);
  if (!payload)
    return error() << "the archive holds no payload for '" << fqn << "'";
  std::optional<int64_t> dtype = meta.getInteger("dtype");
  SmallVector<int64_t> sizes;
  if (const json::Array *array = meta.getArray("sizes"))
    for (const json::Value &value : *array) {
      std::optional<Tagged> tagged = taggedOf(value);
      std::optional<int64_t> number =
          tagged && tagged->tag == "as_int" ? intOf(*tagged->value)
                                            : std::nullopt;
      sizes.push_back(number.value_or(-1));
    }
  if (ArrayRef<int64_t>(sizes) != ArrayRef<int64_t>(payload->sizes) ||
      dtype != payload->dtype) {
    auto text = [](ArrayRef<int64_t> values) {
      std::string result;
      llvm::raw_string_ostream os(result);
      os << '[';
      llvm::interleaveComma(values, os);
      os << ']';
      return result;
    };
    return error() << "the graph says that '" << fqn << "' has sizes "
                   << text(sizes) << " and dtype " << dtype.value_or(-1)
                   << ", its payload has sizes " << text(payload->sizes)
                   << " and dtype " << payload->dtype;
  }
  return success();
}

LogicalResult Importer::importInput(unsigned index, const json::Value &argument,
                                    const json::Value &spec) {
  std::optional<Tagged> kindTag = taggedOf(spec);
  const json::Object *body = kindTag ? kindTag->value->getAsObject() : nullptr;
  if (!body)
    return error() << "input " << index << " has a bad specification";
  Fields fields(*body);

  std::optional<Tagged> placeholder = taggedOf(argument);
  auto nameIn = [](const json::Value *value, StringRef key) {
    const json::Object *object = value ? value->getAsObject() : nullptr;
    return object ? object->getString(key) : std::nullopt;
  };
  auto kind = fx::InputKind::Raw;
  fx::WeightAttr weight;
  bool persistent = true;
  std::optional<StringRef> specName;
  auto stored = [&](fx::InputKind stored, StringRef key) -> LogicalResult {
    kind = stored;
    const json::Value *name = fields.take(key);
    if (!name || !name->getAsString())
      return error() << "input " << index << " has no '" << key << "'";
    weight = fx::WeightAttr::get(context, "model", *name->getAsString());
    specName = nameIn(fields.take("arg"), "name");
    return success();
  };

  StringRef tag = kindTag->tag;
  if (tag == "user_input") {
    const json::Value *arg = fields.take("arg");
    // The signature repeats the placeholder.
    if (!arg || *arg != argument)
      return error() << "input " << index
                     << " is not the placeholder that the signature names";
    if (placeholder && (placeholder->tag == "as_tensor" ||
                        placeholder->tag == "as_sym_int" ||
                        placeholder->tag == "as_custom_obj"))
      kind = fx::InputKind::UserInput;
  } else if (tag == "parameter") {
    if (failed(stored(fx::InputKind::Parameter, "parameter_name")))
      return failure();
  } else if (tag == "buffer") {
    if (failed(stored(fx::InputKind::Buffer, "buffer_name")))
      return failure();
    const json::Value *flag = fields.take("persistent");
    if (!flag || !flag->getAsBoolean())
      return error() << "input " << index << " has no 'persistent'";
    persistent = *flag->getAsBoolean();
  } else if (tag == "tensor_constant") {
    if (failed(stored(fx::InputKind::TensorConstant, "tensor_constant_name")))
      return failure();
  } else if (tag == "custom_obj") {
    if (failed(stored(fx::InputKind::CustomObject, "custom_obj_name")))
      return failure();
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
      name = body->getString("name").value_or("").str();
    if (name.empty())
      name = ("input_" + Twine(index)).str();
    if (values.contains(name))
      return error() << "the graph defines '" << name << "' twice";
    json::Object whole{{"argument", argument}, {"spec", spec}};
    auto input = fx::InputAttr::get(
        context, kind, fx::WeightAttr(), true,
        builder.getStringAttr(printJSON(std::move(whole))));
    BlockArgument value = program.insertInput(
        program.getEntry().getNumArguments(), name, type, input);
    return define(name, value);
  }

  StringRef placeholderTag = placeholder ? placeholder->tag : "";
  std::optional<StringRef> given =
      placeholder
          ? nameIn(placeholder->value,
                   placeholderTag == "as_sym_int" ? "as_name" : "name")
          : std::nullopt;
  if (!given)
    return error() << "input " << index << " has no name";
  name = given->str();
  if (values.contains(name))
    return error() << "the graph defines '" << name << "' twice";
  // The names are checked here because loaders trust the order alone.
  if (weight && specName != StringRef(name))
    return error() << "input " << index << " is '" << name
                   << "', but the signature names '"
                   << specName.value_or("nothing") << "'";
  if (placeholderTag == "as_tensor") {
    FailureOr<Typed> typed = tensorType(name);
    if (failed(typed))
      return failure();
    type = typed->type;
    meta = typed->meta;
    if (weight && kind != fx::InputKind::CustomObject &&
        failed(checkPayload(weight.getKey(), *tensorValues->getObject(name))))
      return failure();
  } else if (placeholderTag == "as_sym_int") {
    FailureOr<Type> symbolic = symbolicType("sym_int", name);
    if (failed(symbolic))
      return failure();
    type = *symbolic;
  } else if (placeholderTag == "as_custom_obj") {
    type = fx::ObjectType::get(
        context, nameIn(placeholder->value, "class_fqn").value_or(""));
  } else {
    return error() << "input '" << name << "' of kind '" << tag
                   << "' cannot be an argument of kind '" << placeholderTag
                   << "'";
  }
  auto input = fx::InputAttr::get(context, kind, weight, persistent,
                                  fields.rest(context));
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
  return define(name, value);
}

LogicalResult Importer::importInputs() {
  if (graphInputs->size() != inputSpecs->size())
    return error() << "the graph has " << graphInputs->size()
                   << " inputs, the signature " << inputSpecs->size();
  for (size_t i = 0; i < graphInputs->size(); ++i)
    if (failed(importInput(i, (*graphInputs)[i], (*inputSpecs)[i])))
      return failure();
  return success();
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

LogicalResult Importer::importNode(unsigned index, const json::Object &node) {
  Fields fields(node);
  const json::Value *target = fields.take("target");
  const json::Value *inputs = fields.take("inputs");
  const json::Value *outputs = fields.take("outputs");
  const json::Value *metadataValue = fields.take("metadata");
  const json::Value *nameValue = fields.take("name");
  if (!target || !target->getAsString() || target->getAsString()->empty() ||
      !inputs || !inputs->getAsArray() || !outputs || !outputs->getAsArray() ||
      !metadataValue || !metadataValue->getAsObject())
    return error() << "node " << index
                   << " has no target, inputs, outputs or metadata";

  SmallVector<Value> operands;
  SmallVector<Attribute> names, values;
  SmallVector<int8_t> kinds;
  for (const json::Value &value : *inputs->getAsArray()) {
    const json::Object *named = value.getAsObject();
    const json::Value *arg = named ? named->get("arg") : nullptr;
    std::optional<StringRef> name =
        named ? named->getString("name") : std::nullopt;
    if (!arg || !name)
      return error() << "node " << index << " has a bad argument";
    const json::Value *kindValue = named->get("kind");
    bool hasKind = kindValue && kindValue->kind() != json::Value::Null;
    std::optional<int64_t> kind = hasKind ? intOf(*kindValue) : 0;
    if (!kind || *kind < 0 || *kind > 2)
      return error() << "node " << index << " has an argument of a bad kind";
    FailureOr<Attribute> attribute = argument(*arg, operands);
    if (failed(attribute))
      return failure();
    names.push_back(builder.getStringAttr(*name));
    values.push_back(*attribute);
    kinds.push_back(*kind);
  }

  Results results;
  for (const json::Value &value : *outputs->getAsArray())
    if (failed(result(value, results)))
      return failure();

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
      if (llvm::Expected<json::Value> parsed = json::parse(extra.getValue()))
        merged = std::move(*parsed->getAsObject());
    merged["metadata"] = std::move(unknown);
    extra = builder.getStringAttr(printJSON(std::move(merged)));
  }

  StringAttr nodeName;
  bool hasName = nameValue && nameValue->kind() != json::Value::Null;
  std::optional<StringRef> text =
      hasName ? nameValue->getAsString() : std::nullopt;
  if (hasName && (!text || text->empty()))
    return error() << "node " << index
                   << " has a name that is no text or empty";
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
    if (failed(define(call.getResultName(value.getResultNumber()), value)))
      return failure();
  return success();
}

LogicalResult Importer::importNodes() {
  for (size_t i = 0; i < graphNodes->size(); ++i) {
    const json::Object *node = (*graphNodes)[i].getAsObject();
    if (!node)
      return error() << "node " << i << " is not an object";
    if (failed(importNode(i, *node)))
      return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

LogicalResult Importer::importOutputs() {
  if (graphOutputs->size() != outputSpecs->size())
    return error() << "the graph has " << graphOutputs->size()
                   << " outputs, the signature " << outputSpecs->size();
  SmallVector<Value> operands;
  SmallVector<Attribute> outputs;
  for (size_t i = 0; i < graphOutputs->size(); ++i) {
    const json::Value &value = (*graphOutputs)[i];
    std::optional<Tagged> spec = taggedOf((*outputSpecs)[i]);
    const json::Object *body = spec ? spec->value->getAsObject() : nullptr;
    if (!body)
      return error() << "output " << i << " has a bad specification";
    std::optional<fx::OutputKind> kind = fx::symbolizeOutputKind(spec->tag);
    SmallVector<Value> taken;
    FailureOr<Attribute> attribute = argument(value, taken);
    if (failed(attribute))
      return failure();
    Fields fields(*body);
    const json::Value *arg = fields.take("arg");
    StringAttr target;
    for (StringRef key : {"buffer_name", "parameter_name", "user_input_name"})
      if (body->getString(key)) {
        target = builder.getStringAttr(*body->getString(key));
        fields.take(key);
      }
    // The signature repeats the output: whole for a user output, else only its
    // name.
    bool repeats = arg && *arg == value;
    if (std::optional<Tagged> tagged = taggedOf(value);
        arg && tagged && kind != fx::OutputKind::UserOutput)
      repeats = *arg == *tagged->value;
    bool isValue = isa<fx::SlotAttr>(*attribute);
    if (!kind || *kind == fx::OutputKind::Raw || !repeats ||
        (!isValue && kind != fx::OutputKind::UserOutput) ||
        (kind == fx::OutputKind::UserOutput && target)) {
      // A kind that is not known keeps its text, and its value if it has one.
      if (kind && *kind != fx::OutputKind::Raw)
        return error() << "output " << i
                       << " is not what the signature says";
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
      literal = taken.empty() ? *attribute : raw(value);
    else
      operands.append(taken);
    auto verify = [&] { return error() << "output " << i << ": "; };
    auto output = fx::OutputAttr::getChecked(verify, context, *kind, target,
                                             literal, extra);
    if (!output)
      return failure();
    outputs.push_back(output);
  }
  fx::ReturnOp::create(builder, loc, operands, builder.getArrayAttr(outputs));
  return success();
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

OwningOpRef<ModuleOp> Importer::run() {
  context->loadDialect<fx::FXDialect>();
  // All that can be wrong with a graph by itself is found there; what the
  // importer and the verifiers refuse below is a part of it.
  if (llvm::Error wrong = checkGraph(archive)) {
    error() << llvm::toString(std::move(wrong));
    return {};
  }
  if (failed(findTables(archive.model())))
    return {};
  OwningOpRef<ModuleOp> module(ModuleOp::create(loc));
  builder.setInsertionPointToStart(module->getBody());
  program = fx::ProgramOp::create(builder, loc, "main");
  builder.setInsertionPointToStart(&program.getEntry());
  if (failed(importInputs()) || failed(importNodes()) ||
      failed(importOutputs()))
    return {};
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
  if (failed(verify(*module)))
    return {};
  return module;
}

OwningOpRef<ModuleOp> weir::importPT2(const Archive &archive,
                                      MLIRContext *context) {
  return Importer(archive, context).run();
}
