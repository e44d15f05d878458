//===- Arguments.cpp - Arguments of an exported graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An argument is a JSON object with one key that says its form, such as
// {"as_ints": [1, 2]}. Python's argument parser would convert it to what the
// operator's schema asks for (an int for a float parameter, a number for a
// tensor); the boxed call does not, so it is done here, once.
//
//===----------------------------------------------------------------------===//

#include "../Support.h"
#include "../TorchSupport.h"
#include "Graph.h"

#include "llvm/ADT/StringSwitch.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/List.h>

#include <cmath>

using namespace llvm;
using c10::IValue;

namespace weir::reference {

ParamKind paramKindOf(const c10::TypePtr &type) {
  using c10::TypeKind;
  switch (type->kind()) {
  case TypeKind::TensorType:
    return ParamKind::Tensor;
  case TypeKind::IntType:
  case TypeKind::SymIntType:
    return ParamKind::Int;
  case TypeKind::FloatType:
  case TypeKind::SymFloatType:
    return ParamKind::Float;
  case TypeKind::BoolType:
  case TypeKind::SymBoolType:
    return ParamKind::Bool;
  case TypeKind::NumberType:
    return ParamKind::Number;
  case TypeKind::StringType:
    return ParamKind::String;
  case TypeKind::DeviceObjType:
    return ParamKind::Device;
  case TypeKind::ScalarTypeType:
    return ParamKind::DType;
  case TypeKind::LayoutType:
    return ParamKind::Layout;
  case TypeKind::MemoryFormatType:
    return ParamKind::MemoryFormat;
  case TypeKind::GeneratorType:
    return ParamKind::Generator;
  case TypeKind::ListType: {
    const c10::TypePtr &element =
        type->expectRef<c10::ListType>().getElementType();
    if (element->kind() == TypeKind::OptionalType)
      return element->expectRef<c10::OptionalType>().getElementType()->kind() ==
                     TypeKind::TensorType
                 ? ParamKind::OptionalTensorList
                 : ParamKind::Unsupported;
    switch (paramKindOf(element)) {
    case ParamKind::Tensor:
      return ParamKind::TensorList;
    case ParamKind::Int:
      return ParamKind::IntList;
    case ParamKind::Float:
      return ParamKind::FloatList;
    case ParamKind::Bool:
      return ParamKind::BoolList;
    case ParamKind::Number:
      return ParamKind::NumberList;
    case ParamKind::String:
      return ParamKind::StringList;
    default:
      return ParamKind::Unsupported;
    }
  }
  default:
    return ParamKind::Unsupported;
  }
}

namespace {

StringRef describe(ParamKind kind) {
  switch (kind) {
  case ParamKind::Tensor: return "a tensor";
  case ParamKind::Int: return "an integer";
  case ParamKind::Float: return "a float";
  case ParamKind::Bool: return "a boolean";
  case ParamKind::Number: return "a number";
  case ParamKind::String: return "a string";
  case ParamKind::Device: return "a device";
  case ParamKind::DType: return "a dtype";
  case ParamKind::Layout: return "a layout";
  case ParamKind::MemoryFormat: return "a memory format";
  case ParamKind::Generator: return "a random generator";
  case ParamKind::TensorList: return "a list of tensors";
  case ParamKind::OptionalTensorList: return "a list of optional tensors";
  case ParamKind::IntList: return "a list of integers";
  case ParamKind::FloatList: return "a list of floats";
  case ParamKind::BoolList: return "a list of booleans";
  case ParamKind::NumberList: return "a list of numbers";
  case ParamKind::StringList: return "a list of strings";
  case ParamKind::Any: return "a value";
  case ParamKind::Unsupported: return "a type that is not supported";
  }
  llvm_unreachable("covered");
}

bool isList(ParamKind kind) {
  return kind >= ParamKind::TensorList && kind <= ParamKind::StringList;
}

ParamKind elementOf(ParamKind kind) {
  switch (kind) {
  case ParamKind::TensorList:
  case ParamKind::OptionalTensorList:
    return ParamKind::Tensor;
  case ParamKind::IntList:
    return ParamKind::Int;
  case ParamKind::FloatList:
    return ParamKind::Float;
  case ParamKind::BoolList:
    return ParamKind::Bool;
  case ParamKind::NumberList:
    return ParamKind::Number;
  case ParamKind::StringList:
    return ParamKind::String;
  default:
    return ParamKind::Unsupported;
  }
}

/// A number as Python passes it to a tensor parameter: 0-dimensional and
/// "wrapped", so that it does not take part in type promotion like a tensor.
IValue wrapNumber(const IValue &number) {
  at::Tensor tensor = at::scalar_to_tensor(number.toScalar());
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return tensor;
}

/// Whether a value of this kind can stand where `kind` is asked for, converted
/// as `coerce` does.
bool accepts(ParamKind kind, ValueKind value) {
  switch (kind) {
  case ParamKind::Any:
    return true;
  case ParamKind::Tensor:
    return true;
  case ParamKind::Number:
    return value != ValueKind::Tensor;
  case ParamKind::Int:
    return value == ValueKind::Int || value == ValueKind::Bool;
  case ParamKind::Float:
    return value == ValueKind::Int || value == ValueKind::Float;
  case ParamKind::Bool:
    return value == ValueKind::Bool;
  default:
    return false;
  }
}

/// Converts a number (or passes a tensor) to what the parameter takes.
IValue coerce(ParamKind kind, const IValue &value) {
  switch (kind) {
  case ParamKind::Tensor:
    return value.isTensor() ? value : wrapNumber(value);
  case ParamKind::Float:
    return value.isInt() ? IValue(static_cast<double>(value.toInt())) : value;
  case ParamKind::Int:
    return value.isBool() ? IValue(int64_t{value.toBool()}) : value;
  default:
    return value;
  }
}

std::optional<double> parseFloat(const json::Value &value) {
  if (std::optional<double> number = value.getAsNumber())
    return number;
  std::optional<StringRef> text = value.getAsString();
  if (!text)
    return std::nullopt;
  return StringSwitch<std::optional<double>>(*text)
      .Case("Infinity", INFINITY)
      .Case("-Infinity", -INFINITY)
      .Case("NaN", NAN)
      .Default(std::nullopt);
}

/// A constant number, by the key of its JSON form.
std::optional<std::pair<IValue, ValueKind>> parseNumber(StringRef key,
                                                        const json::Value &v) {
  if (key == "as_int") {
    if (std::optional<int64_t> number = v.getAsInteger())
      return {{*number, ValueKind::Int}};
  } else if (key == "as_float") {
    if (std::optional<double> number = parseFloat(v))
      return {{*number, ValueKind::Float}};
  } else if (key == "as_bool") {
    if (std::optional<bool> flag = v.getAsBoolean())
      return {{*flag, ValueKind::Bool}};
  }
  return std::nullopt;
}

/// Element `i` of a list whose numbers and tensors were collected one by one.
class ListBuilder {
public:
  ListBuilder(ParamKind kind) : element(elementOf(kind)) {
    operand.form = Operand::List;
    operand.kind = kind;
  }

  Error literal(IValue value, ValueKind kind) {
    if (!accepts(element, kind))
      return fail("an element is not {0}", describe(element));
    operand.slots.push_back(noSlot);
    operand.literals.push_back(coerce(element, value));
    return Error::success();
  }

  Error value(Expected<std::pair<Slot, ValueKind>> resolved) {
    if (!resolved)
      return resolved.takeError();
    if (!accepts(element, resolved->second) ||
        (element == ParamKind::Tensor && resolved->second != ValueKind::Tensor))
      return fail("an element is not {0}", describe(element));
    operand.slots.push_back(resolved->first);
    operand.literals.emplace_back();
    return Error::success();
  }

  Error absent() {
    if (operand.kind != ParamKind::OptionalTensorList)
      return fail("an element is missing");
    operand.slots.push_back(noSlot);
    operand.literals.emplace_back();
    return Error::success();
  }

  Operand operand;

private:
  ParamKind element;
};

/// {"as_name": n} refers to a value, {"as_int": 1} and the like are constants.
Error addSymbolicElement(ListBuilder &list, const json::Object *element,
                         Resolver resolve) {
  if (!element || element->size() != 1)
    return fail("a malformed list element");
  StringRef key = element->begin()->first;
  const json::Value &body = element->begin()->second;
  if (key == "as_name") {
    std::optional<StringRef> name = body.getAsString();
    return name ? list.value(resolve(*name)) : fail("a malformed list element");
  }
  if (auto number = parseNumber(key, body))
    return list.literal(number->first, number->second);
  return fail("a malformed list element");
}

Error addTensorElement(ListBuilder &list, const json::Object *element,
                       Resolver resolve) {
  if (element)
    if (std::optional<StringRef> name = element->getString("name"))
      return list.value(resolve(*name));
  return fail("a malformed list element");
}

/// The elements of a list argument, whatever its form.
Expected<Operand> convertList(StringRef key, const json::Array &array,
                              ParamKind kind, Resolver resolve) {
  ListBuilder list(kind);
  for (const json::Value &value : array) {
    const json::Object *object = value.getAsObject();
    Error error = Error::success();
    StringRef single = StringSwitch<StringRef>(key)
                           .Case("as_ints", "as_int")
                           .Case("as_floats", "as_float")
                           .Case("as_bools", "as_bool")
                           .Default("");
    if (!single.empty()) {
      auto number = parseNumber(single, value);
      error = number ? list.literal(number->first, number->second)
                     : fail("a malformed list element");
    } else if (key == "as_tensors") {
      error = addTensorElement(list, object, resolve);
    } else if (key == "as_optional_tensors") {
      if (object && object->get("as_none"))
        error = list.absent();
      else
        error = addTensorElement(
            list, object ? object->getObject("as_tensor") : nullptr, resolve);
    } else {
      error = addSymbolicElement(list, object, resolve);
    }
    if (error)
      return std::move(error);
  }
  return std::move(list.operand);
}

/// An all-constant list is put together now rather than at every call.
Operand foldList(Operand operand) {
  if (operand.kind == ParamKind::TensorList ||
      operand.kind == ParamKind::OptionalTensorList ||
      llvm::any_of(operand.slots, [](Slot slot) { return slot != noSlot; }))
    return operand;
  Operand out;
  out.kind = operand.kind;
  out.literal = evaluate(operand, {});
  return out;
}

Expected<Operand> literal(IValue value, ParamKind kind) {
  Operand out;
  out.kind = kind;
  out.literal = std::move(value);
  return out;
}

Expected<Operand> singleValue(Expected<std::pair<Slot, ValueKind>> resolved,
                              ParamKind kind, int32_t fixedLength) {
  if (!resolved)
    return resolved.takeError();
  // `int[2] size` takes a single integer for both.
  if (isList(kind) && resolved->second != ValueKind::Tensor &&
      accepts(elementOf(kind), resolved->second)) {
    Operand out;
    out.form = Operand::List;
    out.kind = kind;
    out.slots.assign(std::max(fixedLength, 1), resolved->first);
    out.literals.resize(out.slots.size());
    return out;
  }
  if (!accepts(kind, resolved->second))
    return fail("a value of another kind where {0} is expected",
                describe(kind));
  Operand out;
  out.form = Operand::Value;
  out.kind = kind;
  out.slot = resolved->first;
  return out;
}

Expected<Operand> singleNumber(const IValue &value, ValueKind valueKind,
                               ParamKind kind, int32_t fixedLength) {
  if (isList(kind) && accepts(elementOf(kind), valueKind)) {
    Operand out;
    out.form = Operand::List;
    out.kind = kind;
    out.slots.assign(std::max(fixedLength, 1), noSlot);
    out.literals.assign(out.slots.size(), coerce(elementOf(kind), value));
    return foldList(std::move(out));
  }
  if (!accepts(kind, valueKind))
    return fail("a number where {0} is expected", describe(kind));
  return literal(coerce(kind, value), kind);
}

Expected<Operand> convertDevice(const json::Value &body) {
  const json::Object *object = body.getAsObject();
  std::optional<StringRef> type =
      object ? object->getString("type") : std::nullopt;
  if (type != "cpu")
    return fail("device '{0}': programs run on the CPU",
                type.value_or("(malformed)"));
  return literal(c10::Device(c10::kCPU), ParamKind::Device);
}

/// The dtype, layout or memory format of an archive number.
template <typename Enum>
Expected<Operand> convertEnum(const json::Value &body, ParamKind kind,
                              std::optional<Enum> (*convert)(int64_t)) {
  std::optional<int64_t> number = body.getAsInteger();
  std::optional<Enum> value = number ? convert(*number) : std::nullopt;
  if (!value)
    return fail("{0} is not the number of {1}", number.value_or(-1),
                describe(kind));
  return literal(IValue(*value), kind);
}

Expected<Operand> convertByForm(StringRef key, const json::Value &body,
                                ParamKind kind, bool isOptional,
                                int32_t fixedLength, Resolver resolve) {
  auto require = [&](ParamKind wanted) -> Error {
    if (kind == wanted || kind == ParamKind::Any)
      return Error::success();
    return fail("{0} where {1} is expected", describe(wanted), describe(kind));
  };
  if (key == "as_none") {
    if (!isOptional && kind != ParamKind::Any && kind != ParamKind::Generator)
      return fail("None where {0} is expected", describe(kind));
    return literal(IValue(), kind);
  }
  if (key == "as_tensor") {
    const json::Object *object = body.getAsObject();
    std::optional<StringRef> name =
        object ? object->getString("name") : std::nullopt;
    if (!name)
      return fail("a tensor without a name");
    Expected<std::pair<Slot, ValueKind>> resolved = resolve(*name);
    if (resolved && resolved->second != ValueKind::Tensor)
      return fail("'{0}' is not a tensor", *name);
    return singleValue(std::move(resolved), kind, 0);
  }
  if (key == "as_optional_tensor") {
    const json::Object *object = body.getAsObject();
    if (!object || object->size() != 1)
      return fail("a malformed optional tensor");
    StringRef inner = object->begin()->first;
    if (inner != "as_tensor" && inner != "as_none")
      return fail("a malformed optional tensor");
    return convertByForm(inner, object->begin()->second, kind, isOptional,
                         fixedLength, resolve);
  }
  if (auto number = parseNumber(key, body))
    return singleNumber(number->first, number->second, kind, fixedLength);
  if (key == "as_complex") {
    const json::Object *object = body.getAsObject();
    const json::Value *real = object ? object->get("real") : nullptr;
    const json::Value *imaginary = object ? object->get("imag") : nullptr;
    std::optional<double> a = real ? parseFloat(*real) : std::nullopt;
    std::optional<double> b = imaginary ? parseFloat(*imaginary) : std::nullopt;
    if (!a || !b)
      return fail("a malformed complex number");
    if (Error error = require(ParamKind::Number))
      return std::move(error);
    return literal(IValue(c10::complex<double>(*a, *b)), kind);
  }
  if (key == "as_string") {
    std::optional<StringRef> text = body.getAsString();
    if (!text)
      return fail("a malformed string");
    if (Error error = require(ParamKind::String))
      return std::move(error);
    return literal(IValue(text->str()), kind);
  }
  if (key == "as_strings") {
    const json::Array *array = body.getAsArray();
    if (!array)
      return fail("a malformed list of strings");
    if (Error error = require(ParamKind::StringList))
      return std::move(error);
    c10::List<std::string> list;
    for (const json::Value &element : *array) {
      std::optional<StringRef> text = element.getAsString();
      if (!text)
        return fail("a malformed list of strings");
      list.push_back(text->str());
    }
    return literal(IValue(std::move(list)), kind);
  }
  if (key == "as_scalar_type") {
    if (Error error = require(ParamKind::DType))
      return std::move(error);
    return convertEnum(body, ParamKind::DType, scalarTypeOf);
  }
  if (key == "as_layout") {
    if (Error error = require(ParamKind::Layout))
      return std::move(error);
    return convertEnum(body, ParamKind::Layout, layoutOf);
  }
  if (key == "as_memory_format") {
    if (Error error = require(ParamKind::MemoryFormat))
      return std::move(error);
    return convertEnum(body, ParamKind::MemoryFormat, memoryFormatOf);
  }
  if (key == "as_device") {
    if (Error error = require(ParamKind::Device))
      return std::move(error);
    return convertDevice(body);
  }
  if (key == "as_sym_int" || key == "as_sym_float" || key == "as_sym_bool") {
    const json::Object *object = body.getAsObject();
    if (!object || object->size() != 1)
      return fail("a malformed symbolic number");
    StringRef inner = object->begin()->first;
    const json::Value &value = object->begin()->second;
    if (inner == "as_name") {
      std::optional<StringRef> name = value.getAsString();
      if (!name)
        return fail("a malformed symbolic number");
      Expected<std::pair<Slot, ValueKind>> resolved = resolve(*name);
      if (resolved && resolved->second == ValueKind::Tensor)
        return fail("'{0}' is a tensor, not a number", *name);
      return singleValue(std::move(resolved), kind, fixedLength);
    }
    if (auto number = parseNumber(inner, value))
      return singleNumber(number->first, number->second, kind, fixedLength);
    return fail("a malformed symbolic number");
  }
  static constexpr StringLiteral listForms[] = {
      "as_ints",     "as_floats",     "as_bools",   "as_sym_ints",
      "as_sym_floats", "as_sym_bools", "as_tensors", "as_optional_tensors"};
  if (is_contained(listForms, key)) {
    const json::Array *array = body.getAsArray();
    if (!array)
      return fail("a malformed list");
    if (!isList(kind))
      return fail("a list where {0} is expected", describe(kind));
    Expected<Operand> list = convertList(key, *array, kind, resolve);
    if (!list)
      return list.takeError();
    return foldList(std::move(*list));
  }
  return fail("arguments of the form '{0}' are not supported", key);
}

template <typename T, typename Get>
IValue makeList(const Operand &operand, Get get) {
  c10::List<T> list;
  list.reserve(operand.slots.size());
  for (size_t i = 0, e = operand.slots.size(); i != e; ++i)
    list.push_back(get(i));
  return list;
}

} // namespace

Expected<Operand> convertArgument(const json::Object &argument, ParamKind kind,
                                  bool isOptional, int32_t fixedLength,
                                  Resolver resolve) {
  if (argument.size() != 1)
    return fail("an argument needs exactly one form, this has {0}",
                argument.size());
  return convertByForm(argument.begin()->first, argument.begin()->second, kind,
                       isOptional, fixedLength, resolve);
}

IValue evaluate(const Operand &operand, const std::vector<IValue> &values) {
  switch (operand.form) {
  case Operand::Literal:
    return operand.literal;
  case Operand::Value:
    return coerce(operand.kind, values[operand.slot]);
  case Operand::List:
    break;
  }
  ParamKind element = elementOf(operand.kind);
  auto at = [&](size_t i) -> IValue {
    return operand.slots[i] == noSlot ? operand.literals[i]
                                      : coerce(element, values[operand.slots[i]]);
  };
  switch (operand.kind) {
  case ParamKind::TensorList:
    return makeList<at::Tensor>(operand, [&](size_t i) { return at(i).toTensor(); });
  case ParamKind::OptionalTensorList:
    return makeList<std::optional<at::Tensor>>(
        operand, [&](size_t i) -> std::optional<at::Tensor> {
          if (operand.slots[i] == noSlot)
            return std::nullopt;
          return at(i).toTensor();
        });
  case ParamKind::IntList:
    return makeList<int64_t>(operand, [&](size_t i) { return at(i).toInt(); });
  case ParamKind::FloatList:
    return makeList<double>(operand, [&](size_t i) { return at(i).toDouble(); });
  case ParamKind::BoolList:
    return makeList<bool>(operand, [&](size_t i) { return at(i).toBool(); });
  case ParamKind::NumberList:
    return makeList<at::Scalar>(operand, [&](size_t i) { return at(i).toScalar(); });
  default:
    TORCH_CHECK(false, "malformed operand");
  }
}

} // namespace weir::reference
