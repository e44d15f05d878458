//===- CallAssembly.cpp - Text form of calls ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Symbols.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace weir::fx;

namespace {

/// Deeper nesting than any operator has is refused, so that a hostile text
/// cannot exhaust the stack.
constexpr unsigned maxDepth = 32;

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

/// Parses arguments. Each operand leaves a slot behind and is collected in
/// order.
class ArgumentParser {
public:
  explicit ArgumentParser(OpAsmParser &parser)
      : parser(parser), context(parser.getContext()) {}

  ParseResult parseValue(Attribute &value);

  SmallVector<OpAsmParser::UnresolvedOperand> operands;

private:
  /// The rest of a list after its opening bracket.
  ParseResult parseList(std::optional<ListKind> kind, Attribute &value,
                        SMLoc loc);
  ParseResult parseDictionary(Attribute &value);
  template <typename AttrT>
  ParseResult parseNamed(Attribute &value) {
    value = AttrT::parse(parser, {});
    return success(static_cast<bool>(value));
  }

  OpAsmParser &parser;
  MLIRContext *context;
  unsigned depth = 0;
};

} // namespace

/// The kind that a list has if nothing else is said. The text of a list that
/// has another kind begins with its name.
static std::optional<ListKind> defaultKind(ArrayRef<Attribute> elements) {
  auto all = [&](auto predicate) { return llvm::all_of(elements, predicate); };
  auto isInt = [](Attribute a) {
    return isa<IntegerAttr>(a) && !isa<BoolAttr>(a);
  };
  if (elements.empty())
    return ListKind::Ints;
  if (all(isInt))
    return ListKind::Ints;
  if (all([](Attribute a) { return isa<FloatAttr>(a); }))
    return ListKind::Floats;
  if (all([](Attribute a) { return isa<BoolAttr>(a); }))
    return ListKind::Bools;
  if (all([](Attribute a) { return isa<StringAttr>(a); }))
    return ListKind::Strings;
  if (all([](Attribute a) { return isa<SlotAttr>(a); }))
    return ListKind::Tensors;
  if (all([](Attribute a) { return isa<SlotAttr, UnitAttr>(a); }))
    return ListKind::OptionalTensors;
  if (all([&](Attribute a) { return isa<SlotAttr>(a) || isInt(a); }))
    return ListKind::SymInts;
  if (all([](Attribute a) { return isa<SlotAttr, FloatAttr>(a); }))
    return ListKind::SymFloats;
  if (all([](Attribute a) { return isa<SlotAttr, BoolAttr>(a); }))
    return ListKind::SymBools;
  auto inner = [&](ListKind kind) {
    return all([=](Attribute a) {
      auto list = dyn_cast<ListAttr>(a);
      return list && list.getKind() == kind;
    });
  };
  if (inner(ListKind::Tensors))
    return ListKind::NestedTensors;
  if (inner(ListKind::Ints))
    return ListKind::IntLists;
  if (inner(ListKind::Floats))
    return ListKind::FloatLists;
  return std::nullopt;
}

ParseResult ArgumentParser::parseList(std::optional<ListKind> kind,
                                      Attribute &value, SMLoc loc) {
  SmallVector<Attribute> elements;
  if (failed(parser.parseOptionalRSquare())) {
    if (parser.parseCommaSeparatedList(
            [&] { return parseValue(elements.emplace_back()); }) ||
        parser.parseRSquare())
      return failure();
  }
  if (!kind)
    kind = defaultKind(elements);
  if (!kind)
    return parser.emitError(loc)
           << "the elements do not make a list of one kind";
  value = ListAttr::getChecked([&] { return parser.emitError(loc); }, context,
                               *kind, ArrayRef<Attribute>(elements));
  return success(static_cast<bool>(value));
}

ParseResult ArgumentParser::parseDictionary(Attribute &value) {
  NamedAttrList entries;
  SMLoc loc = parser.getCurrentLocation();
  auto parseEntry = [&]() -> ParseResult {
    std::string key;
    Attribute entry;
    if (parser.parseKeywordOrString(&key) || parser.parseEqual() ||
        parseValue(entry))
      return failure();
    if (key.empty() || entries.get(key))
      return parser.emitError(loc) << "empty or repeated key '" << key << "'";
    // Operands stand in the order of the sorted keys; a text in another order
    // would take them apart.
    if (!entries.empty() &&
        entries.getAttrs().back().getName().getValue() > key)
      return parser.emitError(loc) << "keys are not in order at '" << key
                                   << "'";
    entries.append(key, entry);
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Braces, parseEntry))
    return failure();
  value = entries.getDictionary(context);
  return success();
}

ParseResult ArgumentParser::parseValue(Attribute &value) {
  llvm::SaveAndRestore nested(depth, depth + 1);
  SMLoc loc = parser.getCurrentLocation();
  if (depth > maxDepth)
    return parser.emitError(loc) << "arguments are nested too deeply";

  OpAsmParser::UnresolvedOperand operand;
  OptionalParseResult isOperand = parser.parseOptionalOperand(operand);
  if (isOperand.has_value()) {
    if (failed(*isOperand))
      return failure();
    operands.push_back(operand);
    value = SlotAttr::get(context);
    return success();
  }
  StringRef keyword;
  if (succeeded(parser.parseOptionalKeyword(
          &keyword, {"none", "optional", "dtype", "layout", "memory_format",
                     "device", "complex", "operator", "raw"}))) {
    if (keyword == "none") {
      value = UnitAttr::get(context);
      return success();
    }
    if (keyword == "optional") {
      Attribute inner;
      if (parser.parseLParen() || parseValue(inner) || parser.parseRParen())
        return failure();
      if (!isa<SlotAttr, UnitAttr>(inner))
        return parser.emitError(loc) << "an optional holds a value or none";
      value = MaybeAttr::get(context, isa<SlotAttr>(inner));
      return success();
    }
    if (keyword == "dtype")
      return parseNamed<DTypeAttr>(value);
    if (keyword == "layout")
      return parseNamed<LayoutAttr>(value);
    if (keyword == "memory_format")
      return parseNamed<MemoryFormatAttr>(value);
    if (keyword == "device")
      return parseNamed<DeviceAttr>(value);
    if (keyword == "complex")
      return parseNamed<ComplexAttr>(value);
    if (keyword == "operator")
      return parseNamed<OperatorAttr>(value);
    return parseNamed<RawAttr>(value);
  }
  if (succeeded(parser.parseOptionalKeyword(
          &keyword,
          {"ints", "floats", "bools", "strings", "tensors", "optional_tensors",
           "sym_ints", "sym_floats", "sym_bools", "nested_tensors", "int_lists",
           "float_lists"})))
    return failure(failed(parser.parseLSquare()) ||
                   failed(parseList(symbolizeListKind(keyword), value, loc)));
  // No other argument begins with a bracket, as arrays are not arguments.
  if (succeeded(parser.parseOptionalLSquare()))
    return parseList(std::nullopt, value, loc);
  if (succeeded(parser.parseOptionalKeyword("dict")))
    return parseDictionary(value);
  return parser.parseAttribute(value);
}

//===----------------------------------------------------------------------===//
// Printing
//===----------------------------------------------------------------------===//

namespace {
class ArgumentPrinter {
public:
  ArgumentPrinter(OpAsmPrinter &printer, OperandRange operands)
      : printer(printer), next(operands.begin()), end(operands.end()) {}

  void print(Attribute value, unsigned depth = 0);

private:
  void printOperand() {
    if (next == end)
      printer << "<<missing>>";
    else
      printer.printOperand(*next++);
  }

  OpAsmPrinter &printer;
  OperandRange::iterator next, end;
};
} // namespace

void ArgumentPrinter::print(Attribute value, unsigned depth) {
  if (isa<SlotAttr>(value))
    return printOperand();
  if (isa<UnitAttr>(value)) {
    printer << "none";
  } else if (auto maybe = dyn_cast<MaybeAttr>(value)) {
    printer << "optional(";
    if (maybe.getPresent())
      printOperand();
    else
      printer << "none";
    printer << ")";
  } else if (auto dtype = dyn_cast<DTypeAttr>(value)) {
    printer << "dtype";
    dtype.print(printer);
  } else if (auto layout = dyn_cast<LayoutAttr>(value)) {
    printer << "layout";
    layout.print(printer);
  } else if (auto format = dyn_cast<MemoryFormatAttr>(value)) {
    printer << "memory_format";
    format.print(printer);
  } else if (auto device = dyn_cast<DeviceAttr>(value)) {
    printer << "device";
    device.print(printer);
  } else if (auto complex = dyn_cast<ComplexAttr>(value)) {
    printer << "complex";
    complex.print(printer);
  } else if (auto name = dyn_cast<OperatorAttr>(value)) {
    printer << "operator";
    name.print(printer);
  } else if (auto raw = dyn_cast<RawAttr>(value)) {
    printer << "raw";
    raw.print(printer);
  } else if (auto list = dyn_cast<ListAttr>(value)) {
    if (defaultKind(list.getElements()) != list.getKind())
      printer << stringifyListKind(list.getKind());
    printer << '[';
    llvm::interleaveComma(
        list.getElements(), printer.getStream(),
        [&](Attribute element) { print(element, depth + 1); });
    printer << ']';
  } else if (auto dictionary = dyn_cast<DictionaryAttr>(value)) {
    printer << "dict{";
    llvm::interleaveComma(dictionary, printer.getStream(),
                          [&](NamedAttribute entry) {
                            printName(printer, entry.getName().getValue());
                            printer << " = ";
                            print(entry.getValue(), depth + 1);
                          });
    printer << '}';
  } else {
    // Integers, floats, booleans and strings of the default types need none;
    // infinities and NaN print as bits, which do.
    auto integer = dyn_cast<IntegerAttr>(value);
    auto real = dyn_cast<FloatAttr>(value);
    if ((integer && integer.getType().isInteger(64)) ||
        (real && real.getType().isF64() && real.getValue().isFinite()) ||
        isa<BoolAttr, StringAttr>(value))
      printer.printAttributeWithoutType(value);
    else
      printer.printAttribute(value);
  }
}

//===----------------------------------------------------------------------===//
// fx.call
//===----------------------------------------------------------------------===//

static constexpr int8_t unspecified = 0, positional = 1, keyword = 2;

ParseResult CallOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  Properties &properties = result.getOrAddProperties<Properties>();
  if (succeeded(parser.parseOptionalKeyword("pure")))
    properties.setPure(builder.getUnitAttr());

  StringAttr target;
  if (parser.parseSymbolName(target))
    return failure();
  properties.setTarget(target);

  ArgumentParser arguments(parser);
  SmallVector<Attribute> names, values;
  SmallVector<int8_t> kinds;
  bool afterStar = false;
  auto parseArgument = [&]() -> ParseResult {
    if (succeeded(parser.parseOptionalStar())) {
      afterStar = true;
      return success();
    }
    // `name = value`, `"name" = value`, or only a value: a name is followed by
    // a sign, but some values are keywords too. `_` stands for no name.
    std::string name;
    int8_t kind = positional;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeywordOrString(&name))
      return failure();
    if (succeeded(parser.parseOptionalColon()))
      kind = unspecified;
    else if (parser.parseEqual())
      return failure();
    if (afterStar) {
      if (kind == unspecified)
        return parser.emitError(loc)
               << "an argument after '*' is a keyword argument, use '='";
      kind = keyword;
    }
    names.push_back(builder.getStringAttr(name == "_" ? "" : name));
    kinds.push_back(kind);
    return arguments.parseValue(values.emplace_back());
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren,
                                     parseArgument))
    return failure();
  properties.setArgNames(builder.getArrayAttr(names));
  properties.setArgs(builder.getArrayAttr(values));
  if (llvm::any_of(kinds, [](int8_t kind) { return kind != unspecified; }))
    properties.setArgKinds(builder.getDenseI8ArrayAttr(kinds));

  SMLoc loc = parser.getCurrentLocation();
  FunctionType type;
  if (parser.parseOptionalAttrDict(result.attributes) ||
      failed(verifyInherentAttrs(result.name, result.attributes,
                                 [&] {
                                   return parser.emitError(loc)
                                          << "'fx.call' op ";
                                 })) ||
      parser.parseColonType(type) ||
      parser.resolveOperands(arguments.operands, type.getInputs(), loc,
                             result.operands))
    return failure();
  result.addTypes(type.getResults());

  // The results' names in the text are those in the archive, unless the
  // attributes say otherwise. Numbers are not names.
  if (!properties.getPure() && !result.attributes.get("names") &&
      type.getNumResults()) {
    SmallVector<Attribute> resultNames;
    for (unsigned i = 0, e = type.getNumResults(); i != e; ++i) {
      auto [name, sub] = parser.getResultName(i);
      if (name.empty() || llvm::isDigit(name.front()) || sub != 0)
        break;
      resultNames.push_back(builder.getStringAttr(name));
    }
    if (resultNames.size() == type.getNumResults())
      properties.setNames(builder.getArrayAttr(resultNames));
  }
  return success();
}

/// True if the results' names in the text will say what `names` says.
static bool namesAreInText(OpAsmPrinter &printer, CallOp op) {
  if (op.getPure() || !op.getNames())
    return false;
  for (OpResult result : op->getResults()) {
    std::string text;
    llvm::raw_string_ostream os(text);
    printer.printOperand(result, os);
    if (StringRef(text).drop_front() !=
        op.getResultName(result.getResultNumber()))
      return false;
  }
  return true;
}

void CallOp::print(OpAsmPrinter &printer) {
  if (getPure())
    printer << " pure";
  printer << ' ';
  printer.printSymbolName(getTarget());
  printer << '(';
  ArgumentPrinter arguments(printer, getOperands());
  bool afterStar = false;
  ArrayRef<int8_t> kinds;
  if (getArgKinds())
    kinds = *getArgKinds();
  for (auto [i, name, value] : llvm::enumerate(getArgNames(), getArgs())) {
    if (i)
      printer << ", ";
    int8_t kind = i < kinds.size() ? kinds[i] : unspecified;
    if (kind == keyword && !afterStar) {
      printer << "*, ";
      afterStar = true;
    }
    StringRef text = cast<StringAttr>(name).getValue();
    printName(printer, text.empty() ? "_" : text);
    printer << (kind == unspecified ? ": " : " = ");
    arguments.print(value);
  }
  printer << ')';
  SmallVector<StringRef> elided = {"target",    "arg_names", "args",
                                   "arg_kinds", "pure"};
  if (namesAreInText(printer, *this))
    elided.push_back("names");
  printer.printOptionalAttrDict((*this)->getAttrs(), elided);
  printer << " : ";
  printer.printFunctionalType(getOperation());
}

void CallOp::getAsmResultNames(OpAsmSetValueNameFn setNameFn) {
  if (!getNames() || getNames()->size() != getNumResults())
    return;
  for (OpResult result : getResults())
    setNameFn(result, getResultName(result.getResultNumber()));
}

//===----------------------------------------------------------------------===//
// fx.site
//===----------------------------------------------------------------------===//

ParseResult SiteOp::parse(OpAsmParser &parser, OperationState &result) {
  StringRef keyword;
  int64_t layer;
  OpAsmParser::UnresolvedOperand input;
  Type type;
  if (parser.parseInteger(layer) || parser.parseSlash())
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<SiteKind> kind = symbolizeSiteKind(keyword);
  if (!kind)
    return parser.emitError(loc) << "unknown kind of site '" << keyword << "'";
  Properties &properties = result.getOrAddProperties<Properties>();
  properties.setKind(SiteKindAttr::get(parser.getContext(), *kind));
  if (parser.parseKeyword("of") ||
      parser.parseOperand(input) ||
      parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperand(input, type, result.operands))
    return failure();
  properties.setLayer(parser.getBuilder().getI64IntegerAttr(layer));
  result.addTypes(type);
  return success();
}

void SiteOp::print(OpAsmPrinter &printer) {
  printer << ' ' << siteName(getKind(), getLayer()) << " of ";
  printer.printOperand(getInput());
  printer.printOptionalAttrDict((*this)->getAttrs(), {"kind", "layer"});
  printer << " : " << getResult().getType();
}
