//===- PlainModel.cpp - Graph documents that run nothing when loaded ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// PyTorch 2.13 takes much of a graph document for code (torch/_export/serde,
// torch/export/_unlift.py, torch/fx/graph.py):
//
//   guards_code                 pasted into a function, which exec() makes
//   expr_str                    sympy.sympify(), which is eval()
//   target, as_operator         attributes of the module torch, called as they are
//   source_fn_stack, from_node  looked up in the same way
//   names of values and weights pasted into the source of forward(), and by
//                               AOTInductor into C++
//   in_spec, out_spec           may name classes to import, or keywords that are
//                               pasted into forward()
//   strings, module stacks      pasted by AOTInductor into C++ and its comments
//   as_custom_obj, as_graph     unpickled objects, and graphs within the graph
//
// So this does not look for what is bad: it copies what it knows, each value by
// the rule of its place, and refuses everything else.
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"
#include "Importer.h"
#include "SymExpr.h"

#include "weir/Operators/KernelCalls.h"
#include "weir/Support/Files.h"

#include "llvm/ADT/StringExtras.h"

using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using llvm::Twine;

namespace {

bool isIdentifier(StringRef text) {
  return !text.empty() && text.size() <= 512 && !text.starts_with("__") &&
         !llvm::isDigit(text[0]) && llvm::all_of(text, [](char c) {
           return llvm::isAlnum(c) || c == '_';
         });
}

/// The path of a weight or a module, such as model.layers.0.mlp.
bool isPath(StringRef text) {
  llvm::SmallVector<StringRef> parts;
  text.split(parts, '.');
  return text.size() <= 1024 && llvm::all_of(parts, [](StringRef part) {
    return isIdentifier(part) ||
           (!part.empty() && llvm::all_of(part, llvm::isDigit));
  });
}

/// Text that ends neither a string literal nor a comment, in Python and in C++.
bool isHarmless(StringRef text) {
  return text.size() <= 4096 && !text.contains("*/") &&
         llvm::all_of(text, [](char c) {
           return llvm::isPrint(c) && c != '\\' && c != '"' && c != '`';
         });
}

/// An operator of ATen, torch.ops.aten.add.Tensor, a kernel's call (the catalogue
/// has all of those there are), or one of the functions of numbers that exported
/// graphs compute sizes with. Which operators a program may use is for others to
/// say.
bool isTarget(StringRef text) {
  llvm::SmallVector<StringRef> parts;
  text.split(parts, '.');
  // Not what Python's objects have of themselves, such as __class__.
  auto isOperator = [](StringRef name) {
    return isIdentifier(name) ||
           llvm::is_contained({"__and__", "__or__", "__xor__", "__lshift__",
                               "__rshift__"},
                              name);
  };
  if (parts.size() == 5 && parts[2] == "aten")
    return parts[0] == "torch" && parts[1] == "ops" && isOperator(parts[3]) && isIdentifier(parts[4]) &&
           !parts[4].starts_with("_");
  const OperatorInfo *info = findOperator(text);
  return info && (info->isBuiltin() || StringRef(info->name).starts_with("weir."));
}

/// Who is spoken of in errors: "node 12", "tensor 'add'".
struct Place {
  std::string text;
};

Error refuse(const Place &place, const Twine &what) {
  return llvm::createStringError("the graph's " + place.text + " " + what);
}

std::string shown(const json::Value &value) {
  std::string text = textOf(value);
  if (text.size() > 80)
    text = text.substr(0, 77) + "...";
  return text;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

using Rule = Expected<json::Value> (*)(const json::Value &, const Place &);

Expected<json::Value> boolean(const json::Value &value, const Place &place) {
  if (value.getAsBoolean())
    return value;
  return refuse(place, "has " + shown(value) + " for true or false");
}

Expected<json::Value> integer(const json::Value &value, const Place &place) {
  if (value.getAsInteger())
    return value;
  return refuse(place, "has " + shown(value) + " for an integer");
}

Expected<json::Value> integerOrNull(const json::Value &value,
                                    const Place &place) {
  if (value.kind() == json::Value::Null)
    return value;
  return integer(value, place);
}

Expected<json::Value> number(const json::Value &value, const Place &place) {
  std::optional<StringRef> text = value.getAsString();
  if (value.getAsNumber() ||
      (text && (*text == "Infinity" || *text == "-Infinity" || *text == "NaN")))
    return value;
  return refuse(place, "has " + shown(value) + " for a number");
}

template <bool (*isGood)(StringRef)>
Expected<json::Value> text(const json::Value &value, const Place &place) {
  std::optional<StringRef> string = value.getAsString();
  if (string && isGood(*string))
    return value;
  return refuse(place, "has " + shown(value) +
                           " where only a plain name or text may stand");
}

template <Rule rule>
Expected<json::Value> list(const json::Value &value, const Place &place) {
  const json::Array *array = value.getAsArray();
  if (!array)
    return refuse(place, "has " + shown(value) + " for a list");
  json::Array copy;
  for (const json::Value &element : *array) {
    Expected<json::Value> one = rule(element, place);
    if (!one)
      return one.takeError();
    copy.push_back(std::move(*one));
  }
  return json::Value(std::move(copy));
}

/// A field of an object. One that is absent stays absent unless it has to be
/// there. One without a rule is left out of the copy.
struct Field {
  StringRef key;
  Rule rule;
  bool required = true;
};

Expected<json::Object> fieldsOf(const json::Value &value, const Place &place,
                                llvm::ArrayRef<Field> fields) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return refuse(place, "has " + shown(value) + " for an object");
  for (const auto &entry : *object) {
    StringRef key = entry.first;
    if (llvm::none_of(fields, [&](const Field &f) { return f.key == key; }))
      return refuse(place, "has '" + key +
                               "', which programs of Weir do not use");
  }
  json::Object copy;
  for (const Field &field : fields) {
    const json::Value *entry = object->get(field.key);
    if (!entry && field.required)
      return refuse(place, "has no '" + field.key + "'");
    if (!entry || !field.rule)
      continue;
    Expected<json::Value> one = field.rule(*entry, place);
    if (!one)
      return one.takeError();
    copy[field.key] = std::move(*one);
  }
  return copy;
}

Expected<json::Value> object(const json::Value &value, const Place &place,
                             llvm::ArrayRef<Field> fields) {
  Expected<json::Object> copy = fieldsOf(value, place, fields);
  if (!copy)
    return copy.takeError();
  return json::Value(std::move(*copy));
}

/// An object with exactly one of the fields.
Expected<json::Value> oneOf(const json::Value &value, const Place &place,
                            llvm::ArrayRef<Field> fields) {
  std::optional<Tagged> tagged = taggedOf(value);
  if (tagged)
    for (const Field &field : fields)
      if (field.key == tagged->tag) {
        Expected<json::Value> one = field.rule(*tagged->value, place);
        if (!one)
          return one.takeError();
        return json::Value(json::Object{{field.key, std::move(*one)}});
      }
  return refuse(place, "has " + shown(value) +
                           ", which programs of Weir do not use");
}

Expected<json::Value> named(const json::Value &value, const Place &place) {
  return object(value, place, {{"name", text<isIdentifier>}});
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

Expected<json::Value> hint(const json::Value &value, const Place &place) {
  if (value.kind() == json::Value::Null)
    return value;
  return oneOf(value, place,
               {{"as_int", integer}, {"as_bool", boolean}, {"as_float", number}});
}

Expected<json::Value> symbolic(const json::Value &value, const Place &place) {
  return object(value, place,
                {{"expr_str", text<isPlainExpression>}, {"hint", hint, false}});
}

Expected<json::Value> size(const json::Value &value, const Place &place) {
  return oneOf(value, place, {{"as_int", integer}, {"as_expr", symbolic}});
}

Expected<json::Value> symbolicValue(const json::Value &value,
                                    const Place &place) {
  return oneOf(value, place,
               {{"as_int", integer},
                {"as_bool", boolean},
                {"as_float", number},
                {"as_expr", symbolic}});
}

bool isProcessor(StringRef type) { return type == "cpu"; }

Expected<json::Value> device(const json::Value &value, const Place &place) {
  return object(value, place,
                {{"type", text<isProcessor>}, {"index", integerOrNull, false}});
}

Expected<json::Value> tensorMeta(const json::Value &value, const Place &place) {
  return object(value, place,
                {{"dtype", integer},
                 {"sizes", list<size>},
                 {"requires_grad", boolean},
                 {"device", device},
                 {"strides", list<size>},
                 {"storage_offset", size},
                 {"layout", integer}});
}

//===----------------------------------------------------------------------===//
// Arguments and nodes
//===----------------------------------------------------------------------===//

Expected<json::Value> symInt(const json::Value &value, const Place &place) {
  return oneOf(value, place,
               {{"as_name", text<isIdentifier>}, {"as_int", integer}});
}
Expected<json::Value> symFloat(const json::Value &value, const Place &place) {
  return oneOf(value, place,
               {{"as_name", text<isIdentifier>}, {"as_float", number}});
}
Expected<json::Value> symBool(const json::Value &value, const Place &place) {
  return oneOf(value, place,
               {{"as_name", text<isIdentifier>}, {"as_bool", boolean}});
}
Expected<json::Value> optionalTensor(const json::Value &value,
                                     const Place &place) {
  return oneOf(value, place, {{"as_tensor", named}, {"as_none", boolean}});
}
Expected<json::Value> complexNumber(const json::Value &value,
                                    const Place &place) {
  return object(value, place, {{"real", number}, {"imag", number}});
}

Expected<json::Value> argument(const json::Value &value, const Place &place) {
  return oneOf(value, place,
               {{"as_none", boolean},
                {"as_tensor", named},
                {"as_tensors", list<named>},
                {"as_optional_tensor", optionalTensor},
                {"as_optional_tensors", list<optionalTensor>},
                {"as_int", integer},
                {"as_ints", list<integer>},
                {"as_float", number},
                {"as_floats", list<number>},
                {"as_bool", boolean},
                {"as_bools", list<boolean>},
                {"as_string", text<isHarmless>},
                {"as_strings", list<text<isHarmless>>},
                {"as_sym_int", symInt},
                {"as_sym_ints", list<symInt>},
                {"as_sym_float", symFloat},
                {"as_sym_floats", list<symFloat>},
                {"as_sym_bool", symBool},
                {"as_sym_bools", list<symBool>},
                {"as_scalar_type", integer},
                {"as_memory_format", integer},
                {"as_layout", integer},
                {"as_device", device},
                {"as_complex", complexNumber}});
}

bool isNameOrEmpty(StringRef text) {
  return text.empty() || isIdentifier(text);
}

Expected<json::Value> namedArgument(const json::Value &value,
                                    const Place &place) {
  return object(value, place,
                {{"name", text<isNameOrEmpty>},
                 {"arg", argument},
                 {"kind", integerOrNull, false}});
}

/// The module stack alone: weirc finds sites by it. The other entries describe
/// where a node came from.
Expected<json::Value> metadata(const json::Value &value, const Place &place) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return refuse(place, "has " + shown(value) + " for metadata");
  json::Object copy;
  if (const json::Value *stack = object->get("nn_module_stack")) {
    Expected<json::Value> checked = text<isHarmless>(*stack, place);
    if (!checked)
      return checked.takeError();
    copy["nn_module_stack"] = std::move(*checked);
  }
  return json::Value(std::move(copy));
}

Expected<json::Value> node(const json::Value &value, const Place &place) {
  Expected<json::Object> copy = fieldsOf(
      value, place,
      {{"target", text<isTarget>},
       {"inputs", list<namedArgument>},
       {"outputs", list<argument>},
       {"metadata", metadata},
       {"name", text<isNameOrEmpty>, false},
       {"is_hop_single_tensor_return", nullptr, false}});
  if (!copy)
    return copy.takeError();
  (*copy)["is_hop_single_tensor_return"] = nullptr;
  return json::Value(std::move(*copy));
}

/// A table of values by name.
Expected<json::Value> table(const json::Value *value, StringRef what,
                            Rule rule) {
  json::Object copy;
  if (value && value->kind() != json::Value::Null) {
    Place here{what.str()};
    const json::Object *entries = value->getAsObject();
    if (!entries)
      return refuse(here, "is no table");
    for (const auto &entry : *entries) {
      StringRef key = entry.first;
      if (!isIdentifier(key))
        return refuse(here, "names " + shown(key));
      Place place{(what + " '" + key + "'").str()};
      Expected<json::Value> one = rule(entry.second, place);
      if (!one)
        return one.takeError();
      copy[key.str()] = std::move(*one); // the key would refer to the source
    }
  }
  return json::Value(std::move(copy));
}

/// A list whose elements are counted in errors.
Expected<json::Array> counted(const json::Object &object, StringRef key,
                              StringRef what, Rule rule) {
  const json::Array *array = object.getArray(key);
  if (!array)
    return refuse({key.str()}, "are missing");
  json::Array copy;
  for (auto [i, element] : llvm::enumerate(*array)) {
    Expected<json::Value> one =
        rule(element, {(what + " " + Twine(i)).str()});
    if (!one)
      return one.takeError();
    copy.push_back(std::move(*one));
  }
  return copy;
}

//===----------------------------------------------------------------------===//
// Signature and calling convention
//===----------------------------------------------------------------------===//

Expected<json::Value> tensorOnly(const json::Value &value, const Place &place) {
  return oneOf(value, place, {{"as_tensor", named}});
}
Expected<json::Value> userArgument(const json::Value &value,
                                   const Place &place) {
  return object(value, place, {{"arg", tensorOnly}});
}
Expected<json::Value> parameter(const json::Value &value, const Place &place) {
  return object(value, place, {{"arg", named}, {"parameter_name", text<isPath>}});
}
Expected<json::Value> buffer(const json::Value &value, const Place &place) {
  return object(value, place,
                {{"arg", named},
                 {"buffer_name", text<isPath>},
                 {"persistent", boolean}});
}
Expected<json::Value> mutatedBuffer(const json::Value &value,
                                    const Place &place) {
  return object(value, place, {{"arg", named}, {"buffer_name", text<isPath>}});
}
Expected<json::Value> constant(const json::Value &value, const Place &place) {
  return object(value, place,
                {{"arg", named}, {"tensor_constant_name", text<isPath>}});
}

Expected<json::Value> inputSpec(const json::Value &value, const Place &place) {
  return oneOf(value, place,
               {{"user_input", userArgument},
                {"parameter", parameter},
                {"buffer", buffer},
                {"tensor_constant", constant}});
}
Expected<json::Value> outputSpec(const json::Value &value, const Place &place) {
  return oneOf(value, place,
               {{"user_output", userArgument},
                {"buffer_mutation", mutatedBuffer}});
}

Expected<json::Value> range(const json::Value &value, const Place &place) {
  return object(value, place,
                {{"min_val", integerOrNull}, {"max_val", integerOrNull}});
}

Expected<json::Value> moduleCalls(const json::Object &module,
                                  size_t userOutputs) {
  Place place{"calling convention"};
  std::optional<InputLayout> inputs = readInputLayout(module);
  std::optional<size_t> outputs = countOutputLeaves(module);
  if (!inputs || !outputs)
    return refuse(place, "is not tensors in, and a tensor or a tuple of them "
                         "out");
  if (std::max<size_t>(*outputs, 1) != userOutputs)
    return refuse(place, "has another number of outputs than the signature");
  for (StringRef keyword : inputs->keywords)
    if (!isIdentifier(keyword))
      return refuse(place, "has the keyword " + shown(keyword));
  json::Array names;
  if (const json::Array *given = argumentNames(module))
    for (const json::Value &name : *given) {
      Expected<json::Value> checked = text<isIdentifier>(name, place);
      if (!checked)
        return checked.takeError();
      names.push_back(std::move(*checked));
    }
  return json::Value(
      json::Array{json::Object{{"fqn", ""},
                               {"signature",
                                json::Object{{"inputs", json::Array{}},
                                             {"outputs", json::Array{}},
                                             {"in_spec", writeInputs(*inputs)},
                                             {"out_spec", writeOutputs(*outputs)},
                                             {"forward_arg_names",
                                              std::move(names)}}}}});
}

Expected<json::Object> plainGraph(const json::Object &graph) {
  json::Object copy;
  for (StringRef key : {"inputs", "outputs"}) {
    Expected<json::Array> values =
        counted(graph, key, key.drop_back(), tensorOnly);
    if (!values)
      return values.takeError();
    copy[key] = std::move(*values);
  }
  Expected<json::Array> nodes = counted(graph, "nodes", "node", node);
  if (!nodes)
    return nodes.takeError();
  copy["nodes"] = std::move(*nodes);
  Expected<json::Value> tensors =
      table(graph.get("tensor_values"), "tensor", tensorMeta);
  if (!tensors)
    return tensors.takeError();
  copy["tensor_values"] = std::move(*tensors);
  for (StringRef key :
       {"sym_int_values", "sym_bool_values", "sym_float_values"}) {
    Expected<json::Value> values = table(graph.get(key), key, symbolicValue);
    if (!values)
      return values.takeError();
    copy[key] = std::move(*values);
  }
  if (const json::Object *objects = graph.getObject("custom_obj_values");
      objects && !objects->empty())
    return refuse({"custom objects"}, "cannot be loaded without running code");
  copy["custom_obj_values"] = json::Object{};
  copy["is_single_tensor_return"] =
      graph.getBoolean("is_single_tensor_return").value_or(false);
  return copy;
}

} // namespace

Expected<json::Object> weir::plainModel(const json::Object &model) {
  const json::Object *module = model.getObject("graph_module");
  const json::Object *graph = module ? module->getObject("graph") : nullptr;
  const json::Object *signature =
      module ? module->getObject("signature") : nullptr;
  const json::Object *version = model.getObject("schema_version");
  if (!graph || !signature || !version)
    return llvm::createStringError("the program has no graph, no signature or "
                                   "no schema_version");
  Expected<json::Object> plain = plainGraph(*graph);
  if (!plain)
    return plain.takeError();
  Expected<json::Array> inputs =
      counted(*signature, "input_specs", "input specification", inputSpec);
  if (!inputs)
    return inputs.takeError();
  Expected<json::Array> outputs =
      counted(*signature, "output_specs", "output specification", outputSpec);
  if (!outputs)
    return outputs.takeError();
  size_t userOutputs = llvm::count_if(*outputs, [](const json::Value &spec) {
    return spec.getAsObject()->get("user_output") != nullptr;
  });
  Expected<json::Value> calls = moduleCalls(*module, userOutputs);
  if (!calls)
    return calls.takeError();
  Expected<json::Value> ranges =
      table(model.get("range_constraints"), "range of", range);
  if (!ranges)
    return ranges.takeError();
  // PyTorch counts up to the number of a symbol that is not backed.
  for (const auto &entry : *ranges->getAsObject())
    if (StringRef symbol = entry.first; !isPlainSymbol(symbol))
      return refuse({"range"}, "of '" + symbol +
                                   "' belongs to no size of an input");
  Expected<json::Value> schema =
      object(json::Value(json::Object(*version)), {"schema_version"},
             {{"major", integer}, {"minor", integer}});
  if (!schema)
    return schema.takeError();
  Expected<json::Value> opsets =
      table(model.get("opset_version"), "opset", integer);
  if (!opsets)
    return opsets.takeError();

  json::Object result{
      {"graph_module",
       json::Object{
           {"graph", std::move(*plain)},
           {"signature", json::Object{{"input_specs", std::move(*inputs)},
                                      {"output_specs", std::move(*outputs)}}},
           {"module_call_graph", std::move(*calls)},
           {"metadata", json::Object{}},
           {"treespec_namedtuple_fields", json::Object{}}}},
      {"opset_version", std::move(*opsets)},
      {"range_constraints", std::move(*ranges)},
      {"schema_version", std::move(*schema)},
      {"verifiers", json::Array{"TRAINING"}},
      {"guards_code", json::Array{}}};
  if (std::optional<StringRef> torch = model.getString("torch_version");
      torch && isHarmless(*torch))
    result["torch_version"] = torch->str();
  return result;
}
