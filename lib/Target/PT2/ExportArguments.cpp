//===- ExportArguments.cpp - Arguments and values of an archive's graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"
#include "Importer.h"
#include "SymExpr.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include <cmath>

using namespace mlir;
using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;

/// A float as the schema writes it: JSON has no infinities.
static json::Value floatValue(double value) {
  if (std::isnan(value))
    return "NaN";
  if (std::isinf(value))
    return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

static json::Value deviceValue(fx::DeviceAttr device) {
  json::Value index = nullptr;
  if (device.getIndex())
    index = *device.getIndex();
  return json::Object{{"type", device.getType()}, {"index", index}};
}

static json::Value parsedJSON(StringRef text) {
  llvm::Expected<json::Value> value = parseJSON(text);
  if (value)
    return std::move(*value);
  llvm::consumeError(value.takeError());
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Sizes and types
//===----------------------------------------------------------------------===//

FailureOr<json::Value> Exporter::expression(Operation *op,
                                            fx::SymExprAttr expr) {
  auto [it, isNew] = archivedForms.try_emplace(expr.getExpr());
  if (isNew) {
    FailureOr<std::string> form = archivedForm(expr.getExpr());
    if (failed(form))
      return op->emitOpError() << "has the expression '" << expr.getExpr()
                               << "', which cannot be read";
    it->second = *form;
  }
  json::Value hint = nullptr;
  if (auto flag = dyn_cast_if_present<BoolAttr>(expr.getHint()))
    hint = json::Object{{"as_bool", flag.getValue()}};
  else if (auto integer = dyn_cast_if_present<IntegerAttr>(expr.getHint()))
    hint = json::Object{{"as_int", integer.getInt()}};
  else if (auto real = dyn_cast_if_present<FloatAttr>(expr.getHint()))
    hint = json::Object{{"as_float", floatValue(real.getValueAsDouble())}};
  return json::Value(json::Object{
      {"as_expr", json::Object{{"expr_str", it->second}, {"hint", hint}}}});
}

FailureOr<json::Value> Exporter::size(Operation *op, Attribute size) {
  if (auto expr = dyn_cast_if_present<fx::SymExprAttr>(size))
    return expression(op, expr);
  if (auto integer = dyn_cast_if_present<IntegerAttr>(size))
    return json::Value(json::Object{{"as_int", integer.getInt()}});
  return op->emitOpError("has a dynamic size without an expression");
}

LogicalResult Exporter::describe(Operation *op, StringRef name, Type type,
                                 DictionaryAttr meta) {
  if (isa<NoneType, fx::ObjectType, fx::TokenType>(type))
    return success();
  Attribute symbolic;
  json::Object *table = nullptr;
  if (auto symint = dyn_cast<fx::SymIntType>(type)) {
    symbolic = symint.getValue();
    table = &symIntValues;
  } else if (auto symfloat = dyn_cast<fx::SymFloatType>(type)) {
    symbolic = symfloat.getValue();
    table = &symFloatValues;
  } else if (auto symbool = dyn_cast<fx::SymBoolType>(type)) {
    symbolic = symbool.getValue();
    table = &symBoolValues;
  }
  if (table) {
    if (auto expr = dyn_cast_if_present<fx::SymExprAttr>(symbolic)) {
      FailureOr<json::Value> value = expression(op, expr);
      if (failed(value))
        return failure();
      (*table)[name.str()] = std::move(*value);
    } else if (auto flag = dyn_cast_if_present<BoolAttr>(symbolic)) {
      (*table)[name.str()] = json::Object{{"as_bool", flag.getValue()}};
    } else if (auto integer = dyn_cast_if_present<IntegerAttr>(symbolic)) {
      (*table)[name.str()] = json::Object{{"as_int", integer.getInt()}};
    } else if (auto real = dyn_cast_if_present<FloatAttr>(symbolic)) {
      (*table)[name.str()] =
          json::Object{{"as_float", floatValue(real.getValueAsDouble())}};
    } else {
      return op->emitOpError()
             << "has the type " << type
             << ", which must say the value's expression to be exported";
    }
    return success();
  }

  auto tensor = cast<RankedTensorType>(type);
  auto dtype = fx::DTypeAttr::forElementType(tensor.getElementType());
  if (!dtype)
    return op->emitOpError() << "has elements of type "
                             << tensor.getElementType()
                             << ", which archives cannot hold";
  SmallVector<Attribute> shape = fx::sizesOf(tensor);
  json::Array sizes, strides;
  for (Attribute dim : shape) {
    FailureOr<json::Value> value = size(op, dim);
    if (failed(value))
      return failure();
    sizes.push_back(std::move(*value));
  }
  SmallVector<Attribute> steps;
  if (auto given = meta.getAs<ArrayAttr>("strides")) {
    steps.assign(given.begin(), given.end());
  } else {
    FailureOr<SmallVector<Attribute>> contiguous =
        contiguousStrides(shape, context);
    if (failed(contiguous))
      return op->emitOpError() << "has the type " << tensor
                               << ", whose strides cannot be computed";
    steps = *contiguous;
  }
  for (Attribute step : steps) {
    FailureOr<json::Value> value = size(op, step);
    if (failed(value))
      return failure();
    strides.push_back(std::move(*value));
  }
  json::Value offset = json::Object{{"as_int", 0}};
  if (Attribute given = meta.get("storage_offset")) {
    FailureOr<json::Value> value = size(op, given);
    if (failed(value))
      return failure();
    offset = std::move(*value);
  }
  auto device = meta.getAs<fx::DeviceAttr>("device");
  if (!device)
    device = program.getDeviceAttr();
  if (!device)
    device = fx::DeviceAttr::get(context, "cpu", std::nullopt);
  auto layout = meta.getAs<fx::LayoutAttr>("layout");
  auto grad = meta.getAs<BoolAttr>("requires_grad");
  json::Object entry{{"dtype", dtype.getNumber()},
                     {"sizes", std::move(sizes)},
                     {"requires_grad", grad && grad.getValue()},
                     {"device", deviceValue(device)},
                     {"strides", std::move(strides)},
                     {"storage_offset", std::move(offset)},
                     {"layout", layout ? layout.getNumber() : 7}};
  if (auto extra = meta.getAs<StringAttr>("extra"))
    if (json::Value rest = parsedJSON(extra.getValue());
        json::Object *object = rest.getAsObject())
      for (auto &[key, value] : *object)
        entry[key] = std::move(value);
  tensorValues[name.str()] = std::move(entry);
  return success();
}

json::Value Exporter::reference(StringRef text, Type type) {
  std::string name = text.str(); // JSON values only refer to a StringRef
  if (isa<fx::SymIntType>(type))
    return json::Object{{"as_sym_int", json::Object{{"as_name", name}}}};
  if (isa<fx::SymFloatType>(type))
    return json::Object{{"as_sym_float", json::Object{{"as_name", name}}}};
  if (isa<fx::SymBoolType>(type))
    return json::Object{{"as_sym_bool", json::Object{{"as_name", name}}}};
  if (auto object = dyn_cast<fx::ObjectType>(type))
    return json::Object{
        {"as_custom_obj", json::Object{{"name", name},
                                       {"class_fqn", object.getClassName()}}}};
  return json::Object{{"as_tensor", json::Object{{"name", name}}}};
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

json::Value Exporter::argument(Attribute value, Slots &slots) {
  auto next = [&](bool inner) -> json::Value {
    const std::string &name = slots.names[slots.next];
    Type type = slots.types[slots.next++];
    json::Value whole = reference(name, type);
    if (!inner)
      return whole;
    // Inside a list the kind of its elements is said once, by the list.
    return std::move(whole.getAsObject()->begin()->second);
  };
  if (isa<fx::SlotAttr>(value))
    return next(false);
  if (isa<UnitAttr>(value))
    return json::Object{{"as_none", true}};
  if (auto maybe = dyn_cast<fx::MaybeAttr>(value))
    return json::Object{
        {"as_optional_tensor",
         maybe.getPresent() ? next(false)
                            : json::Value(json::Object{{"as_none", true}})}};
  if (auto flag = dyn_cast<BoolAttr>(value))
    return json::Object{{"as_bool", flag.getValue()}};
  if (auto integer = dyn_cast<IntegerAttr>(value))
    return json::Object{{"as_int", integer.getInt()}};
  if (auto real = dyn_cast<FloatAttr>(value))
    return json::Object{{"as_float", floatValue(real.getValueAsDouble())}};
  if (auto text = dyn_cast<StringAttr>(value))
    return json::Object{{"as_string", text.getValue()}};
  if (auto name = dyn_cast<fx::OperatorAttr>(value))
    return json::Object{{"as_operator", name.getName()}};
  if (auto dtype = dyn_cast<fx::DTypeAttr>(value))
    return json::Object{{"as_scalar_type", dtype.getNumber()}};
  if (auto layout = dyn_cast<fx::LayoutAttr>(value))
    return json::Object{{"as_layout", layout.getNumber()}};
  if (auto format = dyn_cast<fx::MemoryFormatAttr>(value))
    return json::Object{{"as_memory_format", format.getNumber()}};
  if (auto device = dyn_cast<fx::DeviceAttr>(value))
    return json::Object{{"as_device", deviceValue(device)}};
  if (auto complex = dyn_cast<fx::ComplexAttr>(value))
    return json::Object{
        {"as_complex",
         json::Object{
             {"real", floatValue(complex.getReal().getValueAsDouble())},
             {"imag", floatValue(complex.getImag().getValueAsDouble())}}}};
  if (auto raw = dyn_cast<fx::RawAttr>(value))
    return parsedJSON(raw.getJson());
  if (auto dictionary = dyn_cast<DictionaryAttr>(value)) {
    json::Object entries;
    for (NamedAttribute entry : dictionary)
      entries[entry.getName().getValue()] = argument(entry.getValue(), slots);
    return json::Object{{"as_string_to_argument", std::move(entries)}};
  }
  auto list = cast<fx::ListAttr>(value);
  std::string tag = ("as_" + fx::stringifyListKind(list.getKind())).str();
  json::Array elements;
  for (Attribute element : list.getElements()) {
    switch (list.getKind()) {
    case fx::ListKind::Tensors:
    case fx::ListKind::SymInts:
    case fx::ListKind::SymFloats:
    case fx::ListKind::SymBools:
      elements.push_back(isa<fx::SlotAttr>(element) ? next(true)
                                                    : argument(element, slots));
      break;
    case fx::ListKind::OptionalTensors:
      elements.push_back(argument(element, slots));
      break;
    default: {
      // Plain values, or lists of these, without their tag.
      json::Value whole = argument(element, slots);
      elements.push_back(std::move(whole.getAsObject()->begin()->second));
    }
    }
  }
  return json::Object{{tag, std::move(elements)}};
}
