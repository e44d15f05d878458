//===- Signature.cpp - The calling convention of a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"
#include "Importer.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;
using llvm::StringRef;

//===----------------------------------------------------------------------===//
// Tree specifications
//
// torch.utils._pytree writes the shape of arguments as JSON text,
// [1, {"type": …, "context": …, "children_spec": […]}], a leaf being
// {"type": null, "context": null, "children_spec": []}. That of the inputs is a
// tuple of a tuple, the positional arguments, and a dictionary, the keywords.
//===----------------------------------------------------------------------===//

static json::Value leaf() {
  return json::Object{{"type", nullptr},
                      {"context", nullptr},
                      {"children_spec", json::Array{}}};
}

static bool isLeaf(const json::Value &spec) {
  const json::Object *object = spec.getAsObject();
  const json::Value *type = object ? object->get("type") : nullptr;
  return type && type->kind() == json::Value::Null;
}

/// The specification inside the text of version 1.
static std::optional<json::Value> readSpec(StringRef text) {
  llvm::Expected<json::Value> parsed = parseJSON(text);
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return std::nullopt;
  }
  json::Array *pair = parsed->getAsArray();
  if (!pair || pair->size() != 2 || (*pair)[0].getAsInteger() != 1)
    return std::nullopt;
  return std::move((*pair)[1]);
}

static std::string writeSpec(json::Value spec) {
  return textOf(json::Array{1, std::move(spec)});
}

/// The children of a specification of the given type, or null.
static json::Array *childrenOf(json::Value &spec, StringRef type) {
  json::Object *object = spec.getAsObject();
  if (!object || object->getString("type") != type)
    return nullptr;
  return object->getArray("children_spec");
}

/// The signature of the whole program, which has no path.
static json::Object *rootSignature(json::Object &module) {
  json::Array *entries = module.getArray("module_call_graph");
  if (!entries)
    return nullptr;
  for (json::Value &entry : *entries)
    if (json::Object *object = entry.getAsObject();
        object && object->getString("fqn") == StringRef())
      return object->getObject("signature");
  return nullptr;
}

/// The positional arguments and the keywords of an input specification.
static bool splitInputs(json::Value &spec, json::Array *&positional,
                        json::Object *&keywords) {
  json::Array *parts = childrenOf(spec, "builtins.tuple");
  if (!parts || parts->size() != 2)
    return false;
  positional = childrenOf((*parts)[0], "builtins.tuple");
  keywords = childrenOf((*parts)[1], "builtins.dict")
                 ? (*parts)[1].getAsObject()
                 : nullptr;
  return positional && keywords;
}

std::string weir::pt2::extendConvention(json::Object &module,
                                        llvm::ArrayRef<std::string> inputs,
                                        size_t outputs) {
  json::Object *signature = rootSignature(module);
  if (!signature)
    return "the program has no entry for itself in 'module_call_graph'";

  if (!inputs.empty()) {
    std::optional<json::Value> spec =
        readSpec(signature->getString("in_spec").value_or(""));
    json::Array *positional = nullptr;
    json::Object *keywords = nullptr;
    if (!spec || !splitInputs(*spec, positional, keywords))
      return "the program's 'in_spec' is not positional arguments and keywords";
    json::Array &values = *keywords->getArray("children_spec");
    if (values.empty()) {
      for (size_t i = 0; i < inputs.size(); ++i)
        positional->push_back(leaf());
    } else {
      // What follows a keyword is one too; the context lists their names.
      llvm::Expected<json::Value> context =
          parseJSON(keywords->getString("context").value_or(""));
      if (!context) {
        llvm::consumeError(context.takeError());
        return "the program's 'in_spec' has no list of keywords";
      }
      json::Array *names = context->getAsArray();
      if (!names || names->size() != values.size())
        return "the program's 'in_spec' has no list of keywords";
      for (const std::string &name : inputs) {
        names->push_back(name);
        values.push_back(leaf());
      }
      (*keywords)["context"] = textOf(*context);
    }
    (*signature)["in_spec"] = writeSpec(std::move(*spec));
    if (json::Array *names = signature->getArray("forward_arg_names"))
      for (const std::string &name : inputs)
        names->push_back(name);
  }

  if (outputs) {
    std::optional<json::Value> spec =
        readSpec(signature->getString("out_spec").value_or(""));
    if (!spec)
      return "the program's 'out_spec' cannot be read";
    json::Array *children = childrenOf(*spec, "builtins.tuple");
    if (!children)
      children = childrenOf(*spec, "builtins.list");
    if (children) {
      for (size_t i = 0; i < outputs; ++i)
        children->push_back(leaf());
    } else {
      // One thing alone becomes the first of a tuple.
      json::Array all{std::move(*spec)};
      for (size_t i = 0; i < outputs; ++i)
        all.push_back(leaf());
      spec = json::Object{{"type", "builtins.tuple"},
                          {"context", "null"},
                          {"children_spec", std::move(all)}};
    }
    (*signature)["out_spec"] = writeSpec(std::move(*spec));
  }
  return {};
}

std::optional<InputLayout>
weir::pt2::readInputLayout(const json::Object &module) {
  json::Object *signature = rootSignature(const_cast<json::Object &>(module));
  if (!signature)
    return std::nullopt;
  std::optional<json::Value> spec =
      readSpec(signature->getString("in_spec").value_or(""));
  json::Array *positional = nullptr;
  json::Object *keywords = nullptr;
  if (!spec || !splitInputs(*spec, positional, keywords))
    return std::nullopt;
  InputLayout layout;
  layout.positional = positional->size();
  json::Array &values = *keywords->getArray("children_spec");
  if (!llvm::all_of(*positional, isLeaf) || !llvm::all_of(values, isLeaf))
    return std::nullopt;
  if (values.empty())
    return layout;
  llvm::Expected<json::Value> context =
      parseJSON(keywords->getString("context").value_or(""));
  if (!context) {
    llvm::consumeError(context.takeError());
    return std::nullopt;
  }
  if (const json::Array *names = context->getAsArray())
    for (const json::Value &name : *names)
      layout.keywords.push_back(name.getAsString().value_or("").str());
  if (layout.keywords.size() != values.size())
    return std::nullopt;
  return layout;
}

std::string weir::pt2::writeInputs(const InputLayout &layout) {
  json::Array positional, keywords, names;
  for (size_t i = 0; i < layout.positional; ++i)
    positional.push_back(leaf());
  for (const std::string &name : layout.keywords) {
    names.push_back(name);
    keywords.push_back(leaf());
  }
  json::Array parts;
  parts.push_back(json::Object{{"type", "builtins.tuple"},
                               {"context", "null"},
                               {"children_spec", std::move(positional)}});
  parts.push_back(json::Object{{"type", "builtins.dict"},
                               {"context", textOf(std::move(names))},
                               {"children_spec", std::move(keywords)}});
  return writeSpec(json::Object{{"type", "builtins.tuple"},
                                {"context", "null"},
                                {"children_spec", std::move(parts)}});
}

std::optional<size_t>
weir::pt2::countOutputLeaves(const json::Object &module) {
  json::Object *signature = rootSignature(const_cast<json::Object &>(module));
  if (!signature)
    return std::nullopt;
  std::optional<json::Value> spec =
      readSpec(signature->getString("out_spec").value_or(""));
  if (!spec)
    return std::nullopt;
  if (isLeaf(*spec))
    return 0;
  json::Array *children = childrenOf(*spec, "builtins.tuple");
  if (!children)
    children = childrenOf(*spec, "builtins.list");
  if (!children || children->empty() || !llvm::all_of(*children, isLeaf))
    return std::nullopt;
  return children->size();
}

std::string weir::pt2::writeOutputs(size_t leaves) {
  if (leaves == 0)
    return writeSpec(leaf());
  json::Array children;
  for (size_t i = 0; i < leaves; ++i)
    children.push_back(leaf());
  return writeSpec(json::Object{{"type", "builtins.tuple"},
                                {"context", "null"},
                                {"children_spec", std::move(children)}});
}

const json::Array *weir::pt2::argumentNames(const json::Object &module) {
  json::Object *signature = rootSignature(const_cast<json::Object &>(module));
  return signature ? signature->getArray("forward_arg_names") : nullptr;
}
