//===- GraphCheck.cpp - Whether a graph holds together ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/GraphCheck.h"

#include "weir/Program/SchemaValues.h"
#include "weir/Support/Errors.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"

using namespace llvm;
using namespace weir;
using namespace weir::pt2;

namespace {

/// What a name stands for.
enum class Kind { Tensor, SymInt, SymFloat, SymBool, Object, Nothing };

StringRef nameOf(Kind kind) {
  switch (kind) {
  case Kind::Tensor:
    return "a tensor";
  case Kind::SymInt:
    return "a symbolic integer";
  case Kind::SymFloat:
    return "a symbolic float";
  case Kind::SymBool:
    return "a symbolic boolean";
  case Kind::Object:
    return "an object";
  case Kind::Nothing:
    return "an input that is not known";
  }
  llvm_unreachable("covered");
}

/// The kind that a form of an argument names; "as_sym_int" and the like hold
/// the name under "as_name".
std::optional<Kind> kindOfForm(StringRef form) {
  return StringSwitch<std::optional<Kind>>(form)
      .Case("as_tensor", Kind::Tensor)
      .Case("as_sym_int", Kind::SymInt)
      .Case("as_sym_float", Kind::SymFloat)
      .Case("as_sym_bool", Kind::SymBool)
      .Default(std::nullopt);
}

/// Objects of arguments that are nested deeper stay text, in which nothing is
/// named.
constexpr unsigned maxArgumentDepth = 16;
/// PyTorch's own limit on dimensions.
constexpr size_t maxRank = 64;

bool isPresent(const json::Value *value) {
  return value && value->kind() != json::Value::Null;
}

std::optional<StringRef> textIn(const json::Value *value, StringRef key) {
  const json::Object *object = value ? value->getAsObject() : nullptr;
  return object ? object->getString(key) : std::nullopt;
}

std::string listOf(ArrayRef<int64_t> values) {
  return formatv("[{0:$[, ]}]", make_range(values.begin(), values.end())).str();
}

class Checker {
public:
  Checker(const Archive &archive, const Archive *tensors)
      : archive(archive), tensors(tensors) {}
  Error run();

private:
  Error findTables();
  Error input(size_t index, const json::Value &placeholder,
              const json::Value &spec);
  Error stored(size_t index, StringRef tag, const json::Value &placeholder,
               const json::Object &spec, StringRef key);
  Error payload(StringRef fqn, const json::Object &meta);
  Error node(size_t index, const json::Value &value);
  Error result(const json::Value &value,
               SmallVectorImpl<std::pair<StringRef, Kind>> &results);
  Error output(size_t index, const json::Value &value, const json::Value &spec);

  Error define(StringRef name, Kind kind);
  Error use(StringRef form, const json::Value &reference);
  Error argument(const json::Value &value, unsigned depth = 0);
  Error list(StringRef form, const json::Array &elements);

  Error tensor(StringRef name);
  Error number(StringRef table, StringRef name);
  Error size(const json::Value &value);
  Error expression(const json::Object &value);

  const Archive &archive;
  const Archive *tensors; ///< that the archive does not hold, or null
  const json::Object *graph = nullptr;
  const json::Array *inputs = nullptr, *outputs = nullptr, *nodes = nullptr,
                    *inputSpecs = nullptr, *outputSpecs = nullptr;
  StringMap<Kind> values;
};

//===----------------------------------------------------------------------===//
// Names and the tables
//===----------------------------------------------------------------------===//

Error Checker::define(StringRef name, Kind kind) {
  if (name.empty())
    return fail("the graph has a value without a name");
  if (!values.try_emplace(name, kind).second)
    return fail("the graph defines '{0}' twice", name);
  return Error::success();
}

/// {"name": …} of a tensor, {"as_name": …} of a symbolic number. Anything else
/// names nothing.
Error Checker::use(StringRef form, const json::Value &reference) {
  const json::Object *object = reference.getAsObject();
  std::optional<StringRef> name =
      object && object->size() == 1
          ? object->getString(form == "as_tensor" ? "name" : "as_name")
          : std::nullopt;
  if (!name)
    return Error::success();
  auto it = values.find(*name);
  if (it == values.end())
    return fail("the graph uses '{0}' before it is defined", *name);
  if (it->second != *kindOfForm(form))
    return fail("the graph uses '{0}' as '{1}', but it is {2}", *name, form,
                nameOf(it->second));
  return Error::success();
}

Error Checker::expression(const json::Object &value) {
  std::optional<StringRef> text = value.getString("expr_str");
  if (!text)
    return fail("a symbolic expression has no 'expr_str'");
  const json::Value *hint = value.get("hint");
  if (!isPresent(hint))
    return Error::success();
  std::optional<Tagged> tagged = taggedOf(*hint);
  if (tagged && ((tagged->tag == "as_int" && intOf(*tagged->value)) ||
                 (tagged->tag == "as_bool" && tagged->value->getAsBoolean()) ||
                 (tagged->tag == "as_float" && floatOf(*tagged->value))))
    return Error::success();
  return fail("the symbolic expression '{0}' has a bad hint", *text);
}

Error Checker::size(const json::Value &value) {
  std::optional<Tagged> tagged = taggedOf(value);
  if (tagged && tagged->tag == "as_int" && intOf(*tagged->value))
    return Error::success();
  if (tagged && tagged->tag == "as_expr")
    if (const json::Object *object = tagged->value->getAsObject())
      return expression(*object);
  return fail("a size is neither an integer nor an expression");
}

bool isKnownDType(const json::Value *value) {
  std::optional<int64_t> number = value ? intOf(*value) : std::nullopt;
  return number && ((*number >= 1 && *number <= 13) ||
                    (*number >= 28 && *number <= 35));
}

bool isDevice(const json::Value *value) {
  const json::Object *object = value ? value->getAsObject() : nullptr;
  if (!object || !object->getString("type"))
    return false;
  const json::Value *index = object->get("index");
  return object->size() == 1u + (index != nullptr) &&
         (!isPresent(index) || intOf(*index));
}

Error Checker::tensor(StringRef name) {
  const json::Object *table = graph->getObject("tensor_values");
  const json::Object *meta = table ? table->getObject(name) : nullptr;
  if (!meta)
    return fail("'tensor_values' does not describe '{0}'", name);
  auto bad = [&](StringRef key) {
    return fail("'tensor_values' has a bad '{0}' for '{1}'", key, name);
  };
  if (!isKnownDType(meta->get("dtype")))
    return bad("dtype");
  const json::Array *sizes = meta->getArray("sizes");
  if (!sizes || sizes->size() > maxRank)
    return bad("sizes");
  for (const json::Value &extent : *sizes) {
    if (Error error = size(extent))
      return error;
    std::optional<Tagged> tagged = taggedOf(extent);
    if (tagged->tag == "as_int" && *intOf(*tagged->value) < 0)
      return bad("sizes");
  }
  const json::Array *strides = meta->getArray("strides");
  if (!strides || strides->size() != sizes->size())
    return bad("strides");
  for (const json::Value &step : *strides)
    if (Error error = size(step))
      return error;
  const json::Value *offset = meta->get("storage_offset");
  if (!offset)
    return bad("storage_offset");
  if (Error error = size(*offset))
    return error;
  const json::Value *layout = meta->get("layout");
  if (!layout || !intOf(*layout))
    return bad("layout");
  if (!meta->getBoolean("requires_grad"))
    return bad("requires_grad");
  if (!isDevice(meta->get("device")))
    return bad("device");
  return Error::success();
}

/// An entry of "sym_int_values" or its like.
Error Checker::number(StringRef table, StringRef name) {
  std::string key = (table + "_values").str();
  const json::Object *entries = graph->getObject(key);
  const json::Value *entry = entries ? entries->get(name) : nullptr;
  std::optional<Tagged> tagged = entry ? taggedOf(*entry) : std::nullopt;
  if (!tagged)
    return fail("'{0}' does not describe '{1}'", key, name);
  if (tagged->tag == "as_expr")
    if (const json::Object *object = tagged->value->getAsObject())
      return expression(*object);
  if ((tagged->tag == "as_int" && table == "sym_int" &&
       intOf(*tagged->value)) ||
      (tagged->tag == "as_float" && table == "sym_float" &&
       floatOf(*tagged->value)) ||
      (tagged->tag == "as_bool" && table == "sym_bool" &&
       tagged->value->getAsBoolean()))
    return Error::success();
  return fail("'{0}' has a bad entry for '{1}'", key, name);
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

Error Checker::payload(StringRef fqn, const json::Object &meta) {
  const ArchiveTensor *stored = archive.find(fqn);
  if (!stored && tensors)
    stored = tensors->find(fqn);
  if (!stored)
    return fail("the archive holds no payload for '{0}'", fqn);
  std::optional<int64_t> dtype = meta.getInteger("dtype");
  SmallVector<int64_t> sizes;
  for (const json::Value &extent : *meta.getArray("sizes")) {
    std::optional<Tagged> tagged = taggedOf(extent);
    sizes.push_back(tagged->tag == "as_int" ? *intOf(*tagged->value) : -1);
  }
  if (ArrayRef<int64_t>(sizes) == ArrayRef<int64_t>(stored->sizes) &&
      dtype == stored->dtype)
    return Error::success();
  return fail("the graph says that '{0}' has sizes {1} and dtype {2}, its "
              "payload has sizes {3} and dtype {4}",
              fqn, listOf(sizes), dtype.value_or(-1), listOf(stored->sizes),
              stored->dtype);
}

/// An input that the archive holds: a weight, a buffer, a constant, an object.
Error Checker::stored(size_t index, StringRef tag,
                      const json::Value &placeholder, const json::Object &spec,
                      StringRef key) {
  std::optional<StringRef> fqn = spec.getString(key);
  if (!fqn)
    return fail("input {0} has no '{1}'", index, key);
  if (tag == "buffer" && !spec.getBoolean("persistent"))
    return fail("input {0} has no 'persistent'", index);
  std::optional<Tagged> tagged = taggedOf(placeholder);
  StringRef form = tagged ? tagged->tag : "";
  std::optional<StringRef> name =
      tagged ? textIn(tagged->value, form == "as_sym_int" ? "as_name" : "name")
             : std::nullopt;
  if (!name)
    return fail("input {0} has no name", index);
  if (values.contains(*name))
    return fail("the graph defines '{0}' twice", *name);
  // The names are checked here because loaders trust the order alone.
  std::optional<StringRef> named = textIn(spec.get("arg"), "name");
  if (named != *name)
    return fail("input {0} is '{1}', but the signature names '{2}'", index,
                *name, named.value_or("nothing"));
  bool isObject = tag == "custom_obj";
  if (form != (isObject ? "as_custom_obj" : "as_tensor"))
    return fail("input '{0}' of kind '{1}' cannot be an argument of kind '{2}'",
                *name, tag, form);
  if (!isObject) {
    if (Error error = tensor(*name))
      return error;
    if (Error error = payload(
            *fqn, *graph->getObject("tensor_values")->getObject(*name)))
      return error;
  }
  return define(*name, isObject ? Kind::Object : Kind::Tensor);
}

Error Checker::input(size_t index, const json::Value &placeholder,
                     const json::Value &spec) {
  std::optional<Tagged> kind = taggedOf(spec);
  const json::Object *body = kind ? kind->value->getAsObject() : nullptr;
  if (!body)
    return fail("input {0} has a bad specification", index);
  StringRef key = StringSwitch<StringRef>(kind->tag)
                      .Case("parameter", "parameter_name")
                      .Case("buffer", "buffer_name")
                      .Case("tensor_constant", "tensor_constant_name")
                      .Case("custom_obj", "custom_obj_name")
                      .Default("");
  if (!key.empty())
    return stored(index, kind->tag, placeholder, *body, key);

  std::optional<Tagged> tagged = taggedOf(placeholder);
  if (kind->tag == "user_input") {
    const json::Value *repeated = body->get("arg");
    // The signature repeats the placeholder.
    if (!repeated || *repeated != placeholder)
      return fail("input {0} is not the placeholder that the signature names",
                  index);
    StringRef form = tagged ? tagged->tag : "";
    bool isNumber = form == "as_sym_int";
    if (isNumber || form == "as_tensor" || form == "as_custom_obj") {
      std::optional<StringRef> name =
          textIn(tagged->value, isNumber ? "as_name" : "name");
      if (!name)
        return fail("input {0} has no name", index);
      if (values.contains(*name))
        return fail("the graph defines '{0}' twice", *name);
      if (form == "as_tensor")
        if (Error error = tensor(*name))
          return error;
      if (isNumber)
        if (Error error = number("sym_int", *name))
          return error;
      return define(*name, isNumber              ? Kind::SymInt
                           : form == "as_tensor" ? Kind::Tensor
                                                 : Kind::Object);
    }
  }
  // A kind that is not known: only its name is.
  std::optional<StringRef> name;
  for (StringRef key : {"name", "as_name"})
    if (tagged && !name)
      name = textIn(tagged->value, key);
  if (!name || name->empty())
    name = body->getString("name");
  return define(name && !name->empty() ? name->str()
                                       : "input_" + std::to_string(index),
                Kind::Nothing);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

Error Checker::list(StringRef form, const json::Array &elements) {
  StringRef single = StringSwitch<StringRef>(form)
                         .Case("as_sym_ints", "as_sym_int")
                         .Case("as_sym_floats", "as_sym_float")
                         .Case("as_sym_bools", "as_sym_bool")
                         .Default("");
  for (const json::Value &element : elements) {
    Error error = Error::success();
    std::optional<Tagged> tagged = taggedOf(element);
    if (form == "as_tensors")
      error = use("as_tensor", element);
    else if (form == "as_optional_tensors" && tagged &&
             tagged->tag == "as_tensor")
      error = use("as_tensor", *tagged->value);
    else if (form == "as_nested_tensors" && element.getAsArray())
      error = list("as_tensors", *element.getAsArray());
    else if (!single.empty() && tagged && tagged->tag == "as_name")
      error = use(single, element);
    else if (!single.empty() && tagged)
      error = argument(element);
    if (error)
      return error;
  }
  return Error::success();
}

Error Checker::argument(const json::Value &value, unsigned depth) {
  std::optional<Tagged> tagged = taggedOf(value);
  if (!tagged)
    return Error::success();
  auto [form, inner] = *tagged;
  if (kindOfForm(form))
    return use(form, *inner);
  if (form == "as_optional_tensor") {
    std::optional<Tagged> choice = taggedOf(*inner);
    return choice && choice->tag == "as_tensor"
               ? use("as_tensor", *choice->value)
               : Error::success();
  }
  if (form == "as_string_to_argument" && depth < maxArgumentDepth)
    if (const json::Object *entries = inner->getAsObject())
      for (const auto &entry : *entries)
        if (Error error = argument(entry.second, depth + 1))
          return error;
  if (const json::Array *elements = inner->getAsArray())
    return list(form, *elements);
  return Error::success();
}

Error Checker::result(const json::Value &value,
                      SmallVectorImpl<std::pair<StringRef, Kind>> &results) {
  auto addTensor = [&](const json::Value &reference) -> Error {
    const json::Object *object = reference.getAsObject();
    std::optional<StringRef> name = object && object->size() == 1
                                        ? object->getString("name")
                                        : std::nullopt;
    if (!name)
      return fail("a call has a result without a name");
    results.emplace_back(*name, Kind::Tensor);
    return tensor(*name);
  };
  std::optional<Tagged> tagged = taggedOf(value);
  if (!tagged)
    return Error::success();
  if (tagged->tag == "as_tensor")
    return addTensor(*tagged->value);
  if (tagged->tag == "as_tensors") {
    if (const json::Array *elements = tagged->value->getAsArray())
      for (const json::Value &element : *elements)
        if (Error error = addTensor(element))
          return error;
    return Error::success();
  }
  std::optional<Kind> kind = kindOfForm(tagged->tag);
  std::optional<Tagged> name = kind ? taggedOf(*tagged->value) : std::nullopt;
  if (!name || name->tag != "as_name" || !name->value->getAsString())
    return Error::success(); // defines nothing that could be named
  results.emplace_back(*name->value->getAsString(), *kind);
  StringRef table = tagged->tag;
  table.consume_front("as_");
  return number(table, *name->value->getAsString());
}

Error Checker::node(size_t index, const json::Value &value) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return fail("node {0} is not an object", index);
  std::optional<StringRef> target = object->getString("target");
  const json::Array *given = object->getArray("inputs");
  const json::Array *made = object->getArray("outputs");
  if (!target || target->empty() || !given || !made ||
      !object->getObject("metadata"))
    return fail("node {0} has no target, inputs, outputs or metadata", index);

  StringSet<> names;
  bool afterKeyword = false;
  for (const json::Value &entry : *given) {
    const json::Object *named = entry.getAsObject();
    const json::Value *arg = named ? named->get("arg") : nullptr;
    std::optional<StringRef> name =
        named ? named->getString("name") : std::nullopt;
    if (!arg || !name)
      return fail("node {0} has a bad argument", index);
    const json::Value *kindValue = named->get("kind");
    std::optional<int64_t> kind = isPresent(kindValue) ? intOf(*kindValue) : 0;
    if (!kind || *kind < 0 || *kind > 2)
      return fail("node {0} has an argument of a bad kind", index);
    if (Error error = argument(*arg))
      return error;
    // Operators look arguments up by name; functions without a schema have
    // unnamed positional ones.
    if (!name->empty() && !names.insert(*name).second)
      return fail("node {0} ({1}) has two arguments '{2}'", index, *target,
                  *name);
    // As in Python, nothing positional follows a keyword.
    if (afterKeyword && *kind != 2)
      return fail("node {0} ({1}): argument '{2}' follows a keyword argument",
                  index, *target, *name);
    afterKeyword |= *kind == 2;
  }

  SmallVector<std::pair<StringRef, Kind>> results;
  for (const json::Value &entry : *made)
    if (Error error = result(entry, results))
      return error;
  const json::Value *name = object->get("name");
  if (isPresent(name) &&
      (!name->getAsString() || name->getAsString()->empty()))
    return fail("node {0} has a name that is no text or empty", index);
  for (auto [result, kind] : results)
    if (Error error = define(result, kind))
      return error;
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

Error Checker::output(size_t index, const json::Value &value,
                      const json::Value &spec) {
  std::optional<Tagged> kind = taggedOf(spec);
  const json::Object *body = kind ? kind->value->getAsObject() : nullptr;
  if (!body)
    return fail("output {0} has a bad specification", index);
  if (Error error = argument(value))
    return error;
  StringRef tag = kind->tag;
  bool isUserOutput = tag == "user_output";
  bool needsTarget = is_contained(
      {"buffer_mutation", "parameter_mutation", "gradient_to_parameter",
       "gradient_to_user_input", "user_input_mutation"},
      tag);
  if (!isUserOutput && !needsTarget && tag != "loss_output" && tag != "token")
    return Error::success(); // kept as text

  std::optional<Tagged> tagged = taggedOf(value);
  const json::Value *arg = body->get("arg");
  // The signature repeats the output: whole for a user output, else only its
  // name.
  bool repeats = arg && (isUserOutput || !tagged ? *arg == value
                                                 : *arg == *tagged->value);
  const json::Object *reference =
      tagged && kindOfForm(tagged->tag) ? tagged->value->getAsObject() : nullptr;
  bool isValue =
      reference && reference->size() == 1 &&
      reference->getString(tagged->tag == "as_tensor" ? "name" : "as_name");
  bool hasTarget = any_of(
      ArrayRef<StringRef>{"buffer_name", "parameter_name", "user_input_name"},
      [&](StringRef key) { return body->getString(key).has_value(); });
  if (!repeats || (!isUserOutput && !isValue) || (isUserOutput && hasTarget))
    return fail("output {0} is not what the signature says", index);
  if (needsTarget != hasTarget)
    return fail("output {0}: an output of kind '{1}{2}", index, tag,
                needsTarget ? "' names what it is written to"
                            : "' is not written to anything");
  return Error::success();
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

Error Checker::findTables() {
  const json::Object &model = archive.model();
  const json::Object *version = model.getObject("schema_version");
  std::optional<int64_t> major =
      version ? version->getInteger("major") : std::nullopt;
  if (major != 8)
    return fail("the program has {0} of the export schema; version 8 is "
                "supported",
                major ? "major version " + std::to_string(*major)
                      : std::string("no version"));
  const json::Object *module = model.getObject("graph_module");
  graph = module ? module->getObject("graph") : nullptr;
  const json::Object *signature =
      module ? module->getObject("signature") : nullptr;
  if (!graph || !signature)
    return fail("the program has no graph or no signature");
  struct List {
    const json::Object *object;
    StringRef key;
    const json::Array **list;
  };
  for (List entry : {List{graph, "inputs", &inputs},
                     List{graph, "outputs", &outputs},
                     List{graph, "nodes", &nodes},
                     List{signature, "input_specs", &inputSpecs},
                     List{signature, "output_specs", &outputSpecs}})
    if (!(*entry.list = entry.object->getArray(entry.key)))
      return fail("the program has no list '{0}'", entry.key);
  return Error::success();
}

Error Checker::run() {
  if (Error error = findTables())
    return error;
  if (inputs->size() != inputSpecs->size())
    return fail("the graph has {0} inputs, the signature {1}", inputs->size(),
                inputSpecs->size());
  for (auto [index, value, spec] : enumerate(*inputs, *inputSpecs))
    if (Error error = input(index, value, spec))
      return error;
  for (auto [index, value] : enumerate(*nodes))
    if (Error error = node(index, value))
      return error;
  if (outputs->size() != outputSpecs->size())
    return fail("the graph has {0} outputs, the signature {1}", outputs->size(),
                outputSpecs->size());
  for (auto [index, value, spec] : enumerate(*outputs, *outputSpecs))
    if (Error error = output(index, value, spec))
      return error;
  return Error::success();
}

} // namespace

Error weir::checkGraph(const Archive &archive, const Archive *tensors) {
  return Checker(archive, tensors).run();
}
