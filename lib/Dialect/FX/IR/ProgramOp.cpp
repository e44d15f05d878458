//===- ProgramOp.cpp - fx.program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Symbols.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace weir::fx;

void ProgramOp::build(OpBuilder &builder, OperationState &state,
                      StringRef name) {
  Properties &properties = state.getOrAddProperties<Properties>();
  properties.setSymName(builder.getStringAttr(name));
  properties.setInputs(builder.getArrayAttr({}));
  properties.setInputNames(builder.getArrayAttr({}));
  Region *body = state.addRegion();
  body->emplaceBlock();
}

//===----------------------------------------------------------------------===//
// Text form
//===----------------------------------------------------------------------===//

ParseResult ProgramOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  Properties &properties = result.getOrAddProperties<Properties>();
  StringAttr name;
  if (parser.parseSymbolName(name))
    return failure();
  properties.setSymName(name);

  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<Attribute> inputs, names, metas;
  bool anyMeta = false;
  auto parseInput = [&]() -> ParseResult {
    OpAsmParser::Argument &argument = arguments.emplace_back();
    InputAttr input;
    NamedAttrList meta;
    if (parser.parseArgument(argument, /*allowType=*/true) ||
        parser.parseEqual() || parser.parseAttribute(input) ||
        parser.parseOptionalAttrDict(meta))
      return failure();
    // The name may be given apart from the text's own.
    StringAttr name =
        builder.getStringAttr(argument.ssaName.name.drop_front());
    if (Attribute given = meta.erase("name")) {
      name = dyn_cast<StringAttr>(given);
      if (!name)
        return parser.emitError(argument.ssaName.location)
               << "the name of an input is a string";
    }
    inputs.push_back(input);
    names.push_back(name);
    anyMeta |= !meta.empty();
    metas.push_back(meta.getDictionary(builder.getContext()));
    return success();
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseInput) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      failed(verifyInherentAttrs(result.name, result.attributes, [&] {
        return parser.emitError(loc) << "'fx.program' op ";
      })))
    return failure();
  properties.setInputs(builder.getArrayAttr(inputs));
  properties.setInputNames(builder.getArrayAttr(names));
  if (anyMeta)
    properties.setInputMeta(builder.getArrayAttr(metas));

  Region *body = result.addRegion();
  if (parser.parseRegion(*body, arguments))
    return failure();
  if (body->empty())
    body->emplaceBlock();
  return success();
}

void ProgramOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << '(';
  Block &entry = getEntry();
  for (auto [i, argument] : llvm::enumerate(entry.getArguments())) {
    if (i)
      printer << ',';
    printer.increaseIndent();
    printer.increaseIndent();
    printer.printNewline();
    printer.printRegionArgument(argument);
    printer << " = ";
    if (i < getInputs().size())
      printer.printAttribute(getInputs()[i]);
    NamedAttrList meta;
    if (getInputMeta() && i < getInputMeta()->size())
      meta = NamedAttrList(cast<DictionaryAttr>((*getInputMeta())[i]));
    std::string text;
    llvm::raw_string_ostream os(text);
    printer.printOperand(argument, os);
    if (i < getInputNames().size() &&
        StringRef(text).drop_front() != getInputName(i))
      meta.append("name", getInputNames()[i]);
    printer.printOptionalAttrDict(meta);
    printer.decreaseIndent();
    printer.decreaseIndent();
  }
  printer << ')';
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {"sym_name", "inputs", "input_names", "input_meta"});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

void ProgramOp::getAsmBlockArgumentNames(Region &region,
                                         OpAsmSetValueNameFn setNameFn) {
  for (auto [argument, name] :
       llvm::zip(region.getArguments(), getInputNames()))
    if (auto text = dyn_cast<StringAttr>(name); text && !text.empty())
      setNameFn(argument, text.getValue());
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

LogicalResult ProgramOp::verify() {
  Block &entry = getEntry();
  // The signature is told in arrays that run parallel to the block arguments.
  size_t count = entry.getNumArguments();
  if (getInputs().size() != count || getInputNames().size() != count ||
      (getInputMeta() && getInputMeta()->size() != count))
    return emitOpError() << "has " << count << " inputs, but describes "
                         << getInputs().size() << " and names "
                         << getInputNames().size();
  for (size_t i = 0; i < count; ++i) {
    auto input = dyn_cast<InputAttr>(getInputs()[i]);
    auto name = dyn_cast<StringAttr>(getInputNames()[i]);
    if (!input || !name)
      return emitOpError() << "input " << i
                           << " lacks its #fx.input or its name";
    if (getInputMeta() && !isa<DictionaryAttr>((*getInputMeta())[i]))
      return emitOpError() << "'input_meta' holds something else than "
                              "dictionaries";
    Type type = entry.getArgument(i).getType();
    bool fits = true;
    switch (input.getKind()) {
    case InputKind::Parameter:
    case InputKind::Buffer:
    case InputKind::TensorConstant:
      // Stored bytes have one shape; only what the user passes may vary.
      fits = isa<RankedTensorType>(type) &&
             cast<RankedTensorType>(type).hasStaticShape();
      break;
    case InputKind::CustomObject:
      fits = isa<ObjectType>(type);
      break;
    case InputKind::Token:
      fits = isa<TokenType>(type);
      break;
    case InputKind::UserInput:
    case InputKind::Raw:
      fits = isa<RankedTensorType, SymIntType, SymFloatType, SymBoolType,
                 ObjectType, NoneType>(type);
      break;
    }
    if (!fits)
      return emitOpError() << "input '" << name.getValue() << "' of kind '"
                           << stringifyInputKind(input.getKind())
                           << "' cannot have the type " << type;
    std::optional<weir::InputRole> role = input.getRole();
    if (!role)
      continue;
    if (failed(checkRole(*role, type, [&] { return emitOpError(); })))
      return failure();
    if (findInput(*role).getArgNumber() != i)
      return emitOpError() << "has two inputs with the role '"
                           << weir::roleName(*role) << "'";
  }
  // Exporters edit the envelope; text that is not JSON would fail only there.
  if (getEnvelope()) {
    llvm::Expected<llvm::json::Value> envelope =
        weir::parseJSON(*getEnvelope());
    if (!envelope)
      return emitOpError() << "'envelope' is not JSON: "
                           << llvm::toString(envelope.takeError());
    if (!envelope->getAsObject())
      return emitOpError("'envelope' is not a JSON object");
  }
  return success();
}

LogicalResult ProgramOp::verifyRegions() {
  Block &entry = getEntry();
  if (entry.empty() || !isa<ReturnOp>(entry.back()))
    return emitOpError("does not end with 'fx.return'");
  // Names are how an archive refers to values, so they must be unique. The
  // text keeps SSA names apart, but attributes could say anything.
  llvm::StringSet<> names;
  for (unsigned i = 0, e = entry.getNumArguments(); i != e; ++i) {
    if (getInputName(i).empty())
      return emitOpError() << "input " << i << " has an empty name";
    if (!names.insert(getInputName(i)).second)
      return emitOpError() << "has two values named '" << getInputName(i)
                           << "'";
  }
  for (CallOp call : entry.getOps<CallOp>())
    for (unsigned i = 0, e = call.getNumResults(); i != e; ++i) {
      StringRef name = call.getResultName(i);
      if (!name.empty() && !names.insert(name).second)
        return call.emitOpError()
               << "defines '" << name << "', a name that is taken";
    }
  return success();
}

//===----------------------------------------------------------------------===//
// Inputs and outputs
//===----------------------------------------------------------------------===//

ReturnOp ProgramOp::getReturn() { return cast<ReturnOp>(getEntry().back()); }

BlockArgument ProgramOp::findInput(StringRef name) {
  for (BlockArgument argument : getEntry().getArguments())
    if (getInputName(argument.getArgNumber()) == name)
      return argument;
  return {};
}

SmallVector<BlockArgument> ProgramOp::getUserInputs() {
  SmallVector<BlockArgument> result;
  for (BlockArgument argument : getEntry().getArguments())
    if (getInput(argument.getArgNumber()).getKind() == InputKind::UserInput)
      result.push_back(argument);
  return result;
}

BlockArgument ProgramOp::findWeight(WeightAttr weight) {
  for (BlockArgument argument : getEntry().getArguments())
    if (getInput(argument.getArgNumber()).getWeight() == weight)
      return argument;
  return {};
}

/// Inserts `value` into an array attribute.
static ArrayAttr inserted(ArrayAttr array, unsigned position, Attribute value) {
  SmallVector<Attribute> values(array.getValue());
  values.insert(values.begin() + position, value);
  return ArrayAttr::get(array.getContext(), values);
}

BlockArgument ProgramOp::insertInput(unsigned position, StringRef name,
                                     Type type, InputAttr input) {
  assert(!findInput(name) && "an input of that name exists");
  setInputsAttr(inserted(getInputs(), position, input));
  setInputNamesAttr(inserted(getInputNames(), position,
                             StringAttr::get(getContext(), name)));
  if (getInputMeta())
    setInputMetaAttr(inserted(*getInputMeta(), position,
                              DictionaryAttr::get(getContext())));
  return getEntry().insertArgument(position, type, getLoc());
}

static ArrayAttr erased(ArrayAttr array, unsigned position) {
  SmallVector<Attribute> values(array.getValue());
  values.erase(values.begin() + position);
  return ArrayAttr::get(array.getContext(), values);
}

void ProgramOp::eraseInput(unsigned position) {
  assert(getEntry().getArgument(position).use_empty() && "the input is used");
  setInputsAttr(erased(getInputs(), position));
  setInputNamesAttr(erased(getInputNames(), position));
  if (getInputMeta())
    setInputMetaAttr(erased(*getInputMeta(), position));
  getEntry().eraseArgument(position);
}

BlockArgument ProgramOp::addUserInput(StringRef name, Type type) {
  unsigned position = getEntry().getNumArguments();
  for (unsigned i = 0, e = position; i != e; ++i)
    if (getInput(i).getKind() == InputKind::UserInput)
      position = i + 1;
  return insertInput(position, name, type,
                     InputAttr::get(getContext(), InputKind::UserInput));
}

BlockArgument ProgramOp::addUserInput(weir::InputRole role, Type type) {
  assert(!findInput(role) && "an input of that role exists");
  BlockArgument argument = addUserInput(weir::roleName(role), type);
  SmallVector<Attribute> inputs(getInputs().getValue());
  Attribute &input = inputs[argument.getArgNumber()];
  input = cast<InputAttr>(input).withRole(role);
  setInputsAttr(ArrayAttr::get(getContext(), inputs));
  return argument;
}

void ProgramOp::addUserOutput(Value value, Attribute role) {
  ReturnOp ret = getReturn();
  ret.setOutputsAttr(
      inserted(ret.getOutputs(), ret.getOutputs().size(),
               OutputAttr::get(getContext(), OutputKind::UserOutput, role)));
  ret.getValuesMutable().append(value);
}
