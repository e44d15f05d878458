//===- ImportArguments.cpp - Arguments, results and types of an archive's graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Importer.h"
#include "SymExpr.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

using namespace mlir;
using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;

StringAttr Fields::rest(MLIRContext *context) const {
  json::Object rest;
  for (const auto &[key, value] : object)
    if (!taken.contains(key) && value.kind() != json::Value::Null)
      rest[key] = value;
  if (rest.empty())
    return {};
  return StringAttr::get(context, printJSON(std::move(rest)));
}

std::string weir::pt2::textOf(const json::Value &value) {
  std::string text = printJSON(json::Object{{"", value}});
  StringRef inner = text;
  bool wrapped = inner.consume_front("{\"\":") && inner.consume_back("}");
  assert(wrapped && "the printer puts spaces somewhere");
  (void)wrapped;
  return inner.str();
}

//===----------------------------------------------------------------------===//
// Values and their types
//===----------------------------------------------------------------------===//

fx::SymExprAttr Importer::expression(const json::Object &expr) {
  StringRef text = *expr.getString("expr_str");
  auto [it, isNew] = expressions.try_emplace(text);
  if (isNew)
    it->second = shortForm(text);
  Attribute hint;
  const json::Value *given = expr.get("hint");
  if (given && given->kind() != json::Value::Null) {
    auto [tag, value] = *taggedOf(*given);
    if (tag == "as_int")
      hint = builder.getI64IntegerAttr(*intOf(*value));
    else if (tag == "as_bool")
      hint = builder.getBoolAttr(*value->getAsBoolean());
    else
      hint = builder.getF64FloatAttr(*floatOf(*value));
  }
  return fx::SymExprAttr::get(context, it->second, hint);
}

Attribute Importer::size(const json::Value &value) {
  auto [tag, inner] = *taggedOf(value);
  if (tag == "as_int")
    return builder.getI64IntegerAttr(*intOf(*inner));
  return expression(*inner->getAsObject());
}

Importer::Typed Importer::tensorType(StringRef name) {
  tablesUsed.insert(name);
  Fields fields(*tensorValues->getObject(name));
  Type element =
      fx::DTypeAttr::get(context, *intOf(*fields.take("dtype"))).getElementType();
  SmallVector<Attribute> shape, steps;
  for (const json::Value &value : *fields.take("sizes")->getAsArray())
    shape.push_back(size(value));
  for (const json::Value &value : *fields.take("strides")->getAsArray())
    steps.push_back(size(value));

  NamedAttrList rest;
  FailureOr<SmallVector<Attribute>> contiguous =
      contiguousStrides(shape, context);
  if (failed(contiguous) || *contiguous != steps)
    rest.append("strides", builder.getArrayAttr(steps));
  Attribute start = size(*fields.take("storage_offset"));
  if (start != builder.getI64IntegerAttr(0))
    rest.append("storage_offset", start);
  int64_t layout = *intOf(*fields.take("layout"));
  if (layout != 7) // strided
    rest.append("layout", fx::LayoutAttr::get(context, layout));
  if (*fields.take("requires_grad")->getAsBoolean())
    rest.append("requires_grad", builder.getBoolAttr(true));
  SmallVector<Value> noOperands;
  auto deviceAttr = cast<fx::DeviceAttr>(argument(
      json::Object{{"as_device", *fields.take("device")}}, noOperands));
  if (!device)
    device = deviceAttr;
  if (deviceAttr != device)
    rest.append("device", deviceAttr);
  if (StringAttr extra = fields.rest(context))
    rest.append("extra", extra);
  return Typed{fx::tensorOf(shape, element), rest.getDictionary(context)};
}

Type Importer::symbolicType(StringRef kind, StringRef name) {
  // sym_int -> sym_int_values
  const json::Object *table = graph->getObject((kind + "_values").str());
  auto [tag, entry] = *taggedOf(*table->get(name));
  tablesUsed.insert(name);
  Attribute value;
  if (tag == "as_expr")
    value = expression(*entry->getAsObject());
  else if (kind == "sym_int")
    value = builder.getI64IntegerAttr(*intOf(*entry));
  else if (kind == "sym_float")
    value = builder.getF64FloatAttr(*floatOf(*entry));
  else
    value = builder.getBoolAttr(*entry->getAsBoolean());
  if (kind == "sym_int")
    return fx::SymIntType::get(context, value);
  if (kind == "sym_float")
    return fx::SymFloatType::get(context, value);
  return fx::SymBoolType::get(context, value);
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Attribute Importer::raw(const json::Value &value) {
  return fx::RawAttr::get(context, textOf(value));
}

/// An operand: {"name": …} of a tensor, {"as_name": …} of a symbolic scalar.
Attribute Importer::slot(StringRef kind, const json::Value &value,
                         SmallVectorImpl<Value> &operands) {
  const json::Object *object = value.getAsObject();
  std::optional<StringRef> name;
  if (object && object->size() == 1)
    name = object->getString(kind.starts_with("as_sym") ? "as_name" : "name");
  if (!name)
    return raw(json::Object{{kind, value}});
  operands.push_back(values.find(*name)->second);
  return fx::SlotAttr::get(context);
}

Attribute Importer::argument(const json::Value &value,
                             SmallVectorImpl<Value> &operands, unsigned depth) {
  std::optional<Tagged> tagged = taggedOf(value);
  if (!tagged)
    return raw(value);
  auto [tag, inner] = *tagged;
  const json::Object *object = inner->getAsObject();

  if (tag == "as_tensor" || tag == "as_sym_int" || tag == "as_sym_float" ||
      tag == "as_sym_bool")
    return slot(tag, *inner, operands);
  if (tag == "as_custom_obj") {
    std::optional<StringRef> name =
        object ? object->getString("name") : std::nullopt;
    if (name && object->size() == 2 && object->getString("class_fqn"))
      if (auto it = values.find(*name); it != values.end())
        if (auto type = dyn_cast<fx::ObjectType>(it->second.getType());
            type &&
            type.getClassName() == *object->getString("class_fqn")) {
          operands.push_back(it->second);
          return fx::SlotAttr::get(context);
        }
    return raw(value);
  }
  if (tag == "as_none" && inner->getAsBoolean() == true)
    return builder.getUnitAttr();
  if (tag == "as_int") {
    if (std::optional<int64_t> number = intOf(*inner))
      return builder.getI64IntegerAttr(*number);
  } else if (tag == "as_float") {
    if (std::optional<double> number = floatOf(*inner))
      return builder.getF64FloatAttr(*number);
  } else if (tag == "as_bool") {
    if (std::optional<bool> flag = inner->getAsBoolean())
      return builder.getBoolAttr(*flag);
  } else if (tag == "as_string") {
    if (std::optional<StringRef> text = inner->getAsString())
      return builder.getStringAttr(*text);
  } else if (tag == "as_operator") {
    if (std::optional<StringRef> text = inner->getAsString())
      return fx::OperatorAttr::get(context, *text);
  } else if (tag == "as_scalar_type") {
    if (std::optional<int64_t> number = intOf(*inner))
      return fx::DTypeAttr::get(context, *number);
  } else if (tag == "as_layout") {
    if (std::optional<int64_t> number = intOf(*inner))
      return fx::LayoutAttr::get(context, *number);
  } else if (tag == "as_memory_format") {
    if (std::optional<int64_t> number = intOf(*inner))
      return fx::MemoryFormatAttr::get(context, *number);
  } else if (tag == "as_device" && object) {
    std::optional<StringRef> type = object->getString("type");
    const json::Value *index = object->get("index");
    bool hasIndex = index && index->kind() != json::Value::Null;
    std::optional<int64_t> number = hasIndex ? intOf(*index) : std::nullopt;
    if (type && object->size() == 1 + (index != nullptr) &&
        (!hasIndex || number))
      return fx::DeviceAttr::get(context, *type, number);
  } else if (tag == "as_complex" && object && object->size() == 2) {
    const json::Value *real = object->get("real"), *imag = object->get("imag");
    std::optional<double> re = real ? floatOf(*real) : std::nullopt;
    std::optional<double> im = imag ? floatOf(*imag) : std::nullopt;
    if (re && im)
      return fx::ComplexAttr::get(
          context, builder.getF64FloatAttr(*re), builder.getF64FloatAttr(*im));
  } else if (tag == "as_optional_tensor") {
    std::optional<Tagged> choice = taggedOf(*inner);
    if (choice && choice->tag == "as_none" &&
        choice->value->getAsBoolean() == true)
      return fx::MaybeAttr::get(context, false);
    if (choice && choice->tag == "as_tensor") {
      Attribute place = slot("as_tensor", *choice->value, operands);
      if (isa<fx::SlotAttr>(place))
        return fx::MaybeAttr::get(context, true);
    }
  } else if (tag == "as_string_to_argument" && object && depth < 16) {
    // Operands stand in the order of the sorted keys, as the attribute's
    // entries do.
    SmallVector<StringRef> keys;
    for (const auto &entry : *object)
      keys.push_back(entry.first);
    llvm::sort(keys);
    NamedAttrList entries;
    if (!keys.empty() && !keys.front().empty()) {
      for (StringRef key : keys)
        entries.append(key, argument(*object->get(key), operands, depth + 1));
      return entries.getDictionary(context);
    }
  } else if (const json::Array *elements = inner->getAsArray()) {
    return listArgument(tag, *elements, operands);
  }
  return raw(value);
}

Attribute Importer::listArgument(StringRef tag, const json::Array &elements,
                                 SmallVectorImpl<Value> &operands) {
  std::optional<fx::ListKind> kind =
      tag.starts_with("as_") ? fx::symbolizeListKind(tag.drop_front(3))
                             : std::nullopt;
  auto rawList = [&] {
    return raw(json::Object{{tag, json::Array(elements)}});
  };
  if (!kind)
    return rawList();
  SmallVector<Attribute> list;
  SmallVector<Value> taken;
  for (const json::Value &element : elements) {
    Attribute attribute;
    std::optional<Tagged> tagged = taggedOf(element);
    switch (*kind) {
    case fx::ListKind::Ints:
      if (std::optional<int64_t> number = intOf(element))
        attribute = builder.getI64IntegerAttr(*number);
      break;
    case fx::ListKind::Floats:
      if (std::optional<double> number = floatOf(element))
        attribute = builder.getF64FloatAttr(*number);
      break;
    case fx::ListKind::Bools:
      if (std::optional<bool> flag = element.getAsBoolean())
        attribute = builder.getBoolAttr(*flag);
      break;
    case fx::ListKind::Strings:
      if (std::optional<StringRef> text = element.getAsString())
        attribute = builder.getStringAttr(*text);
      break;
    case fx::ListKind::Tensors:
      attribute = slot("as_tensor", element, taken);
      break;
    case fx::ListKind::OptionalTensors:
      if (tagged && tagged->tag == "as_tensor")
        attribute = slot("as_tensor", *tagged->value, taken);
      else if (tagged && tagged->tag == "as_none" &&
               tagged->value->getAsBoolean() == true)
        attribute = builder.getUnitAttr();
      break;
    case fx::ListKind::SymInts:
    case fx::ListKind::SymFloats:
    case fx::ListKind::SymBools: {
      // "sym_ints" holds "as_sym_int"s, of which only some are names.
      std::string single = tag.drop_back().str();
      if (tagged && tagged->tag == "as_name")
        attribute = slot(single, element, taken);
      else if (tagged)
        attribute = argument(element, taken);
      break;
    }
    case fx::ListKind::NestedTensors:
    case fx::ListKind::IntLists:
    case fx::ListKind::FloatLists: {
      StringRef inner = *kind == fx::ListKind::NestedTensors ? "as_tensors"
                        : *kind == fx::ListKind::IntLists    ? "as_ints"
                                                             : "as_floats";
      if (const json::Array *values = element.getAsArray())
        attribute = listArgument(inner, *values, taken);
      break;
    }
    }
    // A list that holds something else stays as it is.
    if (!attribute || !fx::ListAttr::canHold(*kind, attribute))
      return rawList();
    list.push_back(attribute);
  }
  operands.append(taken);
  return fx::ListAttr::get(context, *kind, list);
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

void Importer::tensorResult(const json::Value &value, Results &results) {
  StringRef name = *value.getAsObject()->getString("name");
  Typed typed = tensorType(name);
  results.names.push_back(builder.getStringAttr(name));
  results.types.push_back(typed.type);
  results.metas.push_back(typed.meta);
  results.anyMeta |= !typed.meta.empty();
}

void Importer::result(const json::Value &value, Results &results) {
  std::optional<Tagged> tagged = taggedOf(value);
  auto place = fx::SlotAttr::get(context);
  StringRef tag = tagged ? tagged->tag : "";
  if (tag == "as_tensor") {
    results.outputs.push_back(place);
    return tensorResult(*tagged->value, results);
  }
  if (tag == "as_tensors" && tagged->value->getAsArray()) {
    results.plain = false;
    SmallVector<Attribute> places;
    for (const json::Value &element : *tagged->value->getAsArray()) {
      places.push_back(place);
      tensorResult(element, results);
    }
    results.outputs.push_back(
        fx::ListAttr::get(context, fx::ListKind::Tensors, places));
    return;
  }
  if (tag == "as_sym_int" || tag == "as_sym_float" || tag == "as_sym_bool") {
    if (std::optional<Tagged> name = taggedOf(*tagged->value);
        name && name->tag == "as_name" && name->value->getAsString()) {
      StringRef text = *name->value->getAsString();
      results.outputs.push_back(place);
      results.names.push_back(builder.getStringAttr(text));
      results.types.push_back(symbolicType(tag.drop_front(3), text));
      results.metas.push_back(builder.getDictionaryAttr({}));
      return;
    }
  }
  // What is left defines no value that later calls could use by name.
  results.plain = false;
  if (tag == "as_none" && tagged->value->getAsBoolean() == true)
    results.outputs.push_back(builder.getUnitAttr());
  else
    results.outputs.push_back(raw(value));
}
