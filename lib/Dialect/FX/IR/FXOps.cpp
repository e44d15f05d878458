//===- FXOps.cpp - Operations of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Symbols.h"

#include "mlir/IR/Builders.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace weir::fx;

#define GET_OP_CLASSES
#include "weir/Dialect/FX/IR/FXOps.cpp.inc"

//===----------------------------------------------------------------------===//
// fx.call
//===----------------------------------------------------------------------===//

unsigned weir::fx::countSlots(Attribute value, unsigned depth) {
  if (depth > 64)
    return 0;
  if (isa<SlotAttr>(value))
    return 1;
  if (auto maybe = dyn_cast<MaybeAttr>(value))
    return maybe.getPresent();
  unsigned count = 0;
  if (auto list = dyn_cast<ListAttr>(value))
    for (Attribute element : list.getElements())
      count += countSlots(element, depth + 1);
  if (auto dictionary = dyn_cast<DictionaryAttr>(value))
    for (NamedAttribute entry : dictionary)
      count += countSlots(entry.getValue(), depth + 1);
  return count;
}

/// Checks the types of the operands that an argument takes, from `next` on.
static LogicalResult checkSlots(CallOp op, StringRef what, Attribute value,
                                TypeRange types, unsigned &next,
                                unsigned depth = 0) {
  if (depth > 64)
    return op.emitOpError() << what << " is nested too deeply";
  if (isa<SlotAttr>(value)) {
    ++next;
    return success();
  }
  auto expect = [&](auto predicate, StringRef kind) -> LogicalResult {
    Type type = types[next++];
    if (!predicate(type))
      return op.emitOpError() << what << " takes " << kind << ", not " << type;
    return success();
  };
  auto isTensor = [](Type type) { return isa<RankedTensorType>(type); };
  if (auto maybe = dyn_cast<MaybeAttr>(value))
    return maybe.getPresent() ? expect(isTensor, "a tensor") : success();
  if (auto list = dyn_cast<ListAttr>(value)) {
    for (Attribute element : list.getElements()) {
      LogicalResult result = success();
      if (!isa<SlotAttr>(element))
        result = checkSlots(op, what, element, types, next, depth + 1);
      else if (list.getKind() == ListKind::SymInts)
        result = expect([](Type type) { return isa<SymIntType>(type); },
                        "symints");
      else if (list.getKind() == ListKind::SymFloats)
        result = expect([](Type type) { return isa<SymFloatType>(type); },
                        "symfloats");
      else if (list.getKind() == ListKind::SymBools)
        result = expect([](Type type) { return isa<SymBoolType>(type); },
                        "symbools");
      else
        result = expect(isTensor, "tensors");
      if (failed(result))
        return failure();
    }
    return success();
  }
  if (auto dictionary = dyn_cast<DictionaryAttr>(value)) {
    for (NamedAttribute entry : dictionary)
      if (failed(checkSlots(op, what, entry.getValue(), types, next,
                            depth + 1)))
        return failure();
    return success();
  }
  // Everything else is a constant; these are the kinds that an archive has.
  if (auto integer = dyn_cast<IntegerAttr>(value);
      integer && (isa<BoolAttr>(value) || integer.getType().isInteger(64)))
    return success();
  if (auto real = dyn_cast<FloatAttr>(value); real && real.getType().isF64())
    return success();
  if (isa<StringAttr, UnitAttr, DTypeAttr, LayoutAttr, MemoryFormatAttr,
          DeviceAttr, ComplexAttr, OperatorAttr, RawAttr>(value))
    return success();
  return op.emitOpError() << what << " cannot be the constant " << value;
}

LogicalResult CallOp::verify() {
  if (getTarget().empty())
    return emitOpError("has no target");

  // Arguments come as three arrays that run in parallel; the operands fill the
  // slots of the second one.
  size_t count = getArgs().size();
  if (getArgNames().size() != count)
    return emitOpError() << "has " << count << " arguments but "
                         << getArgNames().size() << " names of arguments";
  if (getArgKinds() && getArgKinds()->size() != count)
    return emitOpError() << "has " << count << " arguments but "
                         << getArgKinds()->size() << " kinds of arguments";
  unsigned slots = 0;
  for (Attribute argument : getArgs())
    slots += countSlots(argument);
  if (slots != getOperands().size())
    return emitOpError() << "has " << getOperands().size()
                         << " operands for arguments that take " << slots;
  unsigned next = 0;
  bool afterKeyword = false;
  for (size_t i = 0; i < count; ++i) {
    auto name = dyn_cast<StringAttr>(getArgNames()[i]);
    if (!name)
      return emitOpError() << "argument " << i << " has no name";
    std::string what = ("argument '" + name.getValue() + "'").str();
    if (failed(checkSlots(*this, what, getArgs()[i], getOperands().getTypes(),
                          next)))
      return failure();
    // Operators look arguments up by name; functions without a schema have
    // unnamed positional ones.
    if (!name.getValue().empty())
      for (size_t j = 0; j < i; ++j)
        if (getArgNames()[j] == name)
          return emitOpError() << "has two arguments '" << name.getValue()
                               << "'";
    if (!getArgKinds())
      continue;
    int8_t kind = (*getArgKinds())[i];
    if (kind < 0 || kind > 2)
      return emitOpError() << what << " has the unknown kind " << int(kind);
    // As in Python, nothing positional follows a keyword.
    if (afterKeyword && kind != 2)
      return emitOpError() << what << " follows a keyword argument";
    afterKeyword |= kind == 2;
  }

  if (getNames()) {
    if (getNames()->size() != getNumResults())
      return emitOpError() << "has " << getNumResults() << " results but "
                           << getNames()->size() << " names";
    for (Attribute name : getNamesAttr()) {
      auto text = dyn_cast<StringAttr>(name);
      if (!text || text.getValue().empty())
        return emitOpError("has a result without a name");
    }
  }
  if (getOutputs()) {
    unsigned taken = 0;
    for (Attribute output : getOutputsAttr()) {
      if (!isa<SlotAttr, MaybeAttr, ListAttr, UnitAttr, RawAttr>(output))
        return emitOpError() << "has an output that cannot be " << output;
      taken += countSlots(output);
    }
    if (taken != getNumResults())
      return emitOpError() << "has " << getNumResults()
                           << " results for outputs that take " << taken;
  }
  if (getMeta()) {
    if (getMeta()->size() != getNumResults())
      return emitOpError() << "has " << getNumResults() << " results but "
                           << getMeta()->size() << " entries of 'meta'";
    for (Attribute meta : getMetaAttr())
      if (!isa<DictionaryAttr>(meta))
        return emitOpError("'meta' holds something else than dictionaries");
  }
  if (getMetadata())
    for (NamedAttribute entry : getMetadataAttr())
      if (!isa<StringAttr>(entry.getValue()))
        return emitOpError() << "metadata '" << entry.getName().getValue()
                             << "' is not a string";
  return verifyPurity(*this);
}

std::optional<unsigned> CallOp::findArgument(StringRef name) {
  for (auto [i, attribute] : llvm::enumerate(getArgNames()))
    if (cast<StringAttr>(attribute).getValue() == name)
      return i;
  return std::nullopt;
}

Attribute CallOp::getArgument(StringRef name) {
  std::optional<unsigned> index = findArgument(name);
  return index ? getArgs()[*index] : Attribute();
}

OperandRange CallOp::getArgumentValues(unsigned index) {
  unsigned first = 0;
  for (unsigned i = 0; i < index; ++i)
    first += countSlots(getArgs()[i]);
  return getOperands().slice(first, countSlots(getArgs()[index]));
}

Value CallOp::getArgumentValue(StringRef name) {
  std::optional<unsigned> index = findArgument(name);
  if (!index || !isa<SlotAttr, MaybeAttr>(getArgs()[*index]))
    return {};
  OperandRange values = getArgumentValues(*index);
  return values.empty() ? Value() : values.front();
}

std::optional<int64_t> CallOp::getArgumentInt(StringRef name) {
  auto integer = dyn_cast_if_present<IntegerAttr>(getArgument(name));
  if (!integer || !integer.getType().isInteger(64))
    return std::nullopt;
  return integer.getInt();
}

StringRef CallOp::getResultName(unsigned i) {
  if (!getNames() || i >= getNames()->size())
    return {};
  return cast<StringAttr>((*getNames())[i]).getValue();
}

StringRef CallOp::getModulePath() {
  if (!getStack() || getStack()->getModules().empty())
    return {};
  return getStack()->getModules().back().getPath();
}

//===----------------------------------------------------------------------===//
// fx.return
//===----------------------------------------------------------------------===//

LogicalResult ReturnOp::verify() {
  unsigned taken = 0;
  for (Attribute attribute : getOutputs()) {
    auto output = dyn_cast<OutputAttr>(attribute);
    if (!output)
      return emitOpError() << "'outputs' holds " << attribute
                           << ", which is not an #fx.output";
    taken += !output.getLiteral();
  }
  if (taken != getValues().size())
    return emitOpError() << "returns " << getValues().size()
                         << " values for " << taken << " outputs";
  // Callers look for an output by its role, and for a record by its name.
  llvm::DenseSet<Attribute> seen;
  unsigned next = 0;
  for (auto output : getOutputs().getAsRange<OutputAttr>()) {
    if (output.getLiteral())
      continue;
    Type type = getValues()[next++].getType();
    Attribute role = output.getRole();
    if (!role)
      continue;
    if (failed(checkRole(role, type, [&] { return emitOpError(); })))
      return failure();
    auto record = dyn_cast<RecordAttr>(role);
    if (seen.insert(record ? Attribute(record.getName()) : role).second)
      continue;
    if (record)
      return emitOpError() << "returns two records '"
                           << record.getName().getValue() << "'";
    if (auto count = dyn_cast<CountAttr>(role))
      return emitOpError() << "returns two counts of "
                           << siteName(count.getKind(), count.getLayer());
    return emitOpError("returns the logits twice");
  }
  return success();
}

//===----------------------------------------------------------------------===//
// fx.constant
//===----------------------------------------------------------------------===//

LogicalResult ConstantOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  // A constant is stored, so its size is known.
  if (!type.hasStaticShape())
    return emitOpError() << "has the dynamic type " << type;
  if (auto elements = dyn_cast<DenseElementsAttr>(getValue())) {
    if (elements.getType() != type)
      return emitOpError() << "has elements of type " << elements.getType()
                           << " but the result type " << type;
    return success();
  }
  if (auto recipe = dyn_cast<ConstantAttrInterface>(getValue()))
    return recipe.verifyConstantType(type, [&] { return emitOpError(); });
  return emitOpError() << "needs elements or a recipe, not " << getValue();
}

ParseResult ConstantOp::parse(OpAsmParser &parser, OperationState &result) {
  Attribute value;
  Type type;
  if (parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseAttribute(value))
    return failure();
  // Elements bring their type along, a recipe does not; a colon behind a
  // dialect's attribute would belong to the attribute.
  if (auto typed = dyn_cast<TypedAttr>(value))
    type = typed.getType();
  else if (parser.parseArrow() || parser.parseType(type))
    return failure();
  result.getOrAddProperties<Properties>().setValue(value);
  result.addTypes(type);
  return success();
}

void ConstantOp::print(OpAsmPrinter &printer) {
  printer.printOptionalAttrDict((*this)->getAttrs(), {"value"});
  printer << ' ';
  printer.printAttribute(getValue());
  if (!isa<TypedAttr>(getValue()))
    printer << " -> " << getResult().getType();
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }
