//===- ImportArguments.cpp - Arguments, results and types of an archive's graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Importer.h"
#include "SymExpr.h"

#include "weir/Program/Files.h"

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

LogicalResult Importer::define(StringRef name, Value value) {
  if (name.empty())
    return error() << "the graph has a value without a name";
  if (!values.try_emplace(name, value).second)
    return error() << "the graph defines '" << name << "' twice";
  return success();
}

FailureOr<Value> Importer::use(StringRef name) {
  auto it = values.find(name);
  if (it == values.end())
    return error() << "the graph uses '" << name
                   << "' before it is defined";
  return it->second;
}

FailureOr<fx::SymExprAttr> Importer::expression(const json::Object &expr) {
  std::optional<StringRef> text = expr.getString("expr_str");
  if (!text)
    return error() << "a symbolic expression has no 'expr_str'";
  auto [it, isNew] = expressions.try_emplace(*text);
  if (isNew)
    it->second = shortForm(*text);
  Attribute hint;
  const json::Value *given = expr.get("hint");
  if (given && given->kind() != json::Value::Null) {
    std::optional<Tagged> tagged = taggedOf(*given);
    if (tagged && tagged->tag == "as_int") {
      if (std::optional<int64_t> number = intOf(*tagged->value))
        hint = builder.getI64IntegerAttr(*number);
    } else if (tagged && tagged->tag == "as_bool") {
      if (std::optional<bool> flag = tagged->value->getAsBoolean())
        hint = builder.getBoolAttr(*flag);
    } else if (tagged && tagged->tag == "as_float") {
      if (std::optional<double> number = floatOf(*tagged->value))
        hint = builder.getF64FloatAttr(*number);
    }
    if (!hint)
      return error() << "the symbolic expression '" << *text
                     << "' has a bad hint";
  }
  return fx::SymExprAttr::get(context, it->second, hint);
}

FailureOr<Attribute> Importer::size(const json::Value &value) {
  std::optional<Tagged> tagged = taggedOf(value);
  if (tagged && tagged->tag == "as_int") {
    if (std::optional<int64_t> number = intOf(*tagged->value))
      return Attribute(builder.getI64IntegerAttr(*number));
  } else if (tagged && tagged->tag == "as_expr") {
    if (const json::Object *expr = tagged->value->getAsObject()) {
      FailureOr<fx::SymExprAttr> result = expression(*expr);
      if (failed(result))
        return failure();
      return Attribute(*result);
    }
  }
  return error() << "a size is neither an integer nor an expression";
}

FailureOr<Importer::Typed> Importer::tensorType(StringRef name) {
  const json::Object *meta =
      tensorValues ? tensorValues->getObject(name) : nullptr;
  if (!meta)
    return error() << "'tensor_values' does not describe '" << name << "'";
  tablesUsed.insert(name);
  Fields fields(*meta);
  auto bad = [&](StringRef what) {
    return error() << "'tensor_values' has a bad '" << what << "' for '" << name
                   << "'";
  };

  const json::Value *dtype = fields.take("dtype");
  std::optional<int64_t> number = dtype ? intOf(*dtype) : std::nullopt;
  Type element =
      number ? fx::DTypeAttr::get(context, *number).getElementType() : Type();
  if (!element)
    return bad("dtype");

  const json::Value *sizes = fields.take("sizes");
  const json::Value *strides = fields.take("strides");
  if (!sizes || !sizes->getAsArray() || sizes->getAsArray()->size() > 64)
    return bad("sizes");
  SmallVector<Attribute> shape, steps;
  for (const json::Value &value : *sizes->getAsArray()) {
    FailureOr<Attribute> dim = size(value);
    if (failed(dim))
      return failure();
    // The most negative number would stand for a dynamic size.
    if (auto integer = dyn_cast<IntegerAttr>(*dim);
        integer && integer.getInt() < 0)
      return bad("sizes");
    shape.push_back(*dim);
  }
  if (!strides || !strides->getAsArray() ||
      strides->getAsArray()->size() != shape.size())
    return bad("strides");
  for (const json::Value &value : *strides->getAsArray()) {
    FailureOr<Attribute> step = size(value);
    if (failed(step))
      return failure();
    steps.push_back(*step);
  }

  NamedAttrList rest;
  FailureOr<SmallVector<Attribute>> contiguous =
      contiguousStrides(shape, context);
  if (failed(contiguous) || *contiguous != steps)
    rest.append("strides", builder.getArrayAttr(steps));
  const json::Value *offset = fields.take("storage_offset");
  if (!offset)
    return bad("storage_offset");
  FailureOr<Attribute> start = size(*offset);
  if (failed(start))
    return failure();
  if (*start != builder.getI64IntegerAttr(0))
    rest.append("storage_offset", *start);
  const json::Value *layout = fields.take("layout");
  std::optional<int64_t> layoutNumber = layout ? intOf(*layout) : std::nullopt;
  if (!layoutNumber)
    return bad("layout");
  if (*layoutNumber != 7) // strided
    rest.append("layout", fx::LayoutAttr::get(context, *layoutNumber));
  const json::Value *grad = fields.take("requires_grad");
  if (!grad || !grad->getAsBoolean())
    return bad("requires_grad");
  if (*grad->getAsBoolean())
    rest.append("requires_grad", builder.getBoolAttr(true));
  const json::Value *place = fields.take("device");
  SmallVector<Value> noOperands;
  FailureOr<Attribute> where =
      place ? argument(json::Object{{"as_device", *place}}, noOperands)
            : FailureOr<Attribute>(failure());
  auto deviceAttr = succeeded(where) ? dyn_cast<fx::DeviceAttr>(*where)
                                     : fx::DeviceAttr();
  if (!deviceAttr)
    return bad("device");
  if (!device)
    device = deviceAttr;
  if (deviceAttr != device)
    rest.append("device", deviceAttr);
  if (StringAttr extra = fields.rest(context))
    rest.append("extra", extra);
  return Typed{fx::tensorOf(shape, element), rest.getDictionary(context)};
}

FailureOr<Type> Importer::symbolicType(StringRef kind, StringRef name) {
  // sym_int -> sym_int_values
  const json::Object *table = graph->getObject((kind + "_values").str());
  const json::Value *entry = table ? table->get(name) : nullptr;
  std::optional<Tagged> tagged = entry ? taggedOf(*entry) : std::nullopt;
  if (!tagged)
    return error() << "'" << kind << "_values' does not describe '" << name
                   << "'";
  tablesUsed.insert(name);
  Attribute value;
  if (tagged->tag == "as_expr" && tagged->value->getAsObject()) {
    FailureOr<fx::SymExprAttr> expr =
        expression(*tagged->value->getAsObject());
    if (failed(expr))
      return failure();
    value = *expr;
  } else if (tagged->tag == "as_int" && kind == "sym_int") {
    if (std::optional<int64_t> number = intOf(*tagged->value))
      value = builder.getI64IntegerAttr(*number);
  } else if (tagged->tag == "as_float" && kind == "sym_float") {
    if (std::optional<double> number = floatOf(*tagged->value))
      value = builder.getF64FloatAttr(*number);
  } else if (tagged->tag == "as_bool" && kind == "sym_bool") {
    if (std::optional<bool> flag = tagged->value->getAsBoolean())
      value = builder.getBoolAttr(*flag);
  }
  if (!value)
    return error() << "'" << kind << "_values' has a bad entry for '" << name
                   << "'";
  if (kind == "sym_int")
    return Type(fx::SymIntType::get(context, value));
  if (kind == "sym_float")
    return Type(fx::SymFloatType::get(context, value));
  return Type(fx::SymBoolType::get(context, value));
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Attribute Importer::raw(const json::Value &value) {
  return fx::RawAttr::get(context, textOf(value));
}

/// True if a value of that type can be given as that kind of argument.
static bool fits(StringRef kind, Type type) {
  if (kind == "as_sym_int")
    return isa<fx::SymIntType>(type);
  if (kind == "as_sym_float")
    return isa<fx::SymFloatType>(type);
  if (kind == "as_sym_bool")
    return isa<fx::SymBoolType>(type);
  if (kind == "as_custom_obj")
    return isa<fx::ObjectType>(type);
  return isa<RankedTensorType>(type);
}

/// An operand: {"name": …} of a tensor, {"as_name": …} of a symbolic scalar.
FailureOr<Attribute> Importer::slot(StringRef kind, const json::Value &value,
                                    SmallVectorImpl<Value> &operands) {
  const json::Object *object = value.getAsObject();
  std::optional<StringRef> name;
  if (object && object->size() == 1)
    name = object->getString(kind.starts_with("as_sym") ? "as_name" : "name");
  if (!name)
    return raw(json::Object{{kind, value}});
  FailureOr<Value> operand = use(*name);
  if (failed(operand))
    return failure();
  if (!fits(kind, operand->getType()))
    return error() << "the graph uses '" << *name << "' as '" << kind
                   << "', but it is of type " << operand->getType();
  operands.push_back(*operand);
  return Attribute(fx::SlotAttr::get(context));
}

FailureOr<Attribute> Importer::argument(const json::Value &value,
                                        SmallVectorImpl<Value> &operands,
                                        unsigned depth) {
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
          return Attribute(fx::SlotAttr::get(context));
        }
    return raw(value);
  }
  if (tag == "as_none" && inner->getAsBoolean() == true)
    return Attribute(builder.getUnitAttr());
  if (tag == "as_int") {
    if (std::optional<int64_t> number = intOf(*inner))
      return Attribute(builder.getI64IntegerAttr(*number));
  } else if (tag == "as_float") {
    if (std::optional<double> number = floatOf(*inner))
      return Attribute(builder.getF64FloatAttr(*number));
  } else if (tag == "as_bool") {
    if (std::optional<bool> flag = inner->getAsBoolean())
      return Attribute(builder.getBoolAttr(*flag));
  } else if (tag == "as_string") {
    if (std::optional<StringRef> text = inner->getAsString())
      return Attribute(builder.getStringAttr(*text));
  } else if (tag == "as_operator") {
    if (std::optional<StringRef> text = inner->getAsString())
      return Attribute(fx::OperatorAttr::get(context, *text));
  } else if (tag == "as_scalar_type") {
    if (std::optional<int64_t> number = intOf(*inner))
      return Attribute(fx::DTypeAttr::get(context, *number));
  } else if (tag == "as_layout") {
    if (std::optional<int64_t> number = intOf(*inner))
      return Attribute(fx::LayoutAttr::get(context, *number));
  } else if (tag == "as_memory_format") {
    if (std::optional<int64_t> number = intOf(*inner))
      return Attribute(fx::MemoryFormatAttr::get(context, *number));
  } else if (tag == "as_device" && object) {
    std::optional<StringRef> type = object->getString("type");
    const json::Value *index = object->get("index");
    bool hasIndex = index && index->kind() != json::Value::Null;
    std::optional<int64_t> number = hasIndex ? intOf(*index) : std::nullopt;
    if (type && object->size() == 1 + (index != nullptr) &&
        (!hasIndex || number))
      return Attribute(fx::DeviceAttr::get(context, *type, number));
  } else if (tag == "as_complex" && object && object->size() == 2) {
    const json::Value *real = object->get("real"), *imag = object->get("imag");
    std::optional<double> re = real ? floatOf(*real) : std::nullopt;
    std::optional<double> im = imag ? floatOf(*imag) : std::nullopt;
    if (re && im)
      return Attribute(fx::ComplexAttr::get(
          context, builder.getF64FloatAttr(*re), builder.getF64FloatAttr(*im)));
  } else if (tag == "as_optional_tensor") {
    std::optional<Tagged> choice = taggedOf(*inner);
    if (choice && choice->tag == "as_none" &&
        choice->value->getAsBoolean() == true)
      return Attribute(fx::MaybeAttr::get(context, false));
    if (choice && choice->tag == "as_tensor") {
      FailureOr<Attribute> place = slot("as_tensor", *choice->value, operands);
      if (failed(place))
        return failure();
      if (isa<fx::SlotAttr>(*place))
        return Attribute(fx::MaybeAttr::get(context, true));
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
      for (StringRef key : keys) {
        FailureOr<Attribute> entry =
            argument(*object->get(key), operands, depth + 1);
        if (failed(entry))
          return failure();
        entries.append(key, *entry);
      }
      return Attribute(entries.getDictionary(context));
    }
  } else if (const json::Array *elements = inner->getAsArray()) {
    return listArgument(tag, *elements, operands);
  }
  return raw(value);
}

FailureOr<Attribute>
Importer::listArgument(StringRef tag, const json::Array &elements,
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
    FailureOr<Attribute> attribute = Attribute();
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
    if (failed(attribute))
      return failure();
    // A list that holds something else stays as it is.
    if (!*attribute || !fx::ListAttr::canHold(*kind, *attribute))
      return rawList();
    list.push_back(*attribute);
  }
  operands.append(taken);
  return Attribute(fx::ListAttr::get(context, *kind, list));
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

LogicalResult Importer::tensorResult(const json::Value *value,
                                     Results &results) {
  const json::Object *object = value ? value->getAsObject() : nullptr;
  std::optional<StringRef> name =
      object && object->size() == 1 ? object->getString("name") : std::nullopt;
  if (!name)
    return error() << "a call has a result without a name";
  FailureOr<Typed> typed = tensorType(*name);
  if (failed(typed))
    return failure();
  results.names.push_back(builder.getStringAttr(*name));
  results.types.push_back(typed->type);
  results.metas.push_back(typed->meta);
  results.anyMeta |= !typed->meta.empty();
  return success();
}

LogicalResult Importer::result(const json::Value &value, Results &results) {
  std::optional<Tagged> tagged = taggedOf(value);
  auto place = fx::SlotAttr::get(context);
  StringRef tag = tagged ? tagged->tag : "";
  if (tag == "as_tensor") {
    results.outputs.push_back(place);
    return tensorResult(tagged->value, results);
  }
  if (tag == "as_tensors" && tagged->value->getAsArray()) {
    results.plain = false;
    SmallVector<Attribute> places;
    for (const json::Value &element : *tagged->value->getAsArray()) {
      places.push_back(place);
      if (failed(tensorResult(&element, results)))
        return failure();
    }
    results.outputs.push_back(
        fx::ListAttr::get(context, fx::ListKind::Tensors, places));
    return success();
  }
  if (tag == "as_sym_int" || tag == "as_sym_float" || tag == "as_sym_bool") {
    if (std::optional<Tagged> name = taggedOf(*tagged->value);
        name && name->tag == "as_name" && name->value->getAsString()) {
      FailureOr<Type> type =
          symbolicType(tag.drop_front(3), *name->value->getAsString());
      if (failed(type))
        return failure();
      results.outputs.push_back(place);
      results.names.push_back(
          builder.getStringAttr(*name->value->getAsString()));
      results.types.push_back(*type);
      results.metas.push_back(builder.getDictionaryAttr({}));
      return success();
    }
  }
  // What is left defines no value that later calls could use by name.
  results.plain = false;
  if (tag == "as_none" && tagged->value->getAsBoolean() == true)
    results.outputs.push_back(builder.getUnitAttr());
  else
    results.outputs.push_back(raw(value));
  return success();
}
