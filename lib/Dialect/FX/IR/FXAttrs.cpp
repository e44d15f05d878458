//===- FXAttrs.cpp - Attributes of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Symbols.h"

#include "weir/Support/Json.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace weir::fx;

#include "weir/Dialect/FX/IR/FXEnums.cpp.inc"
#include "weir/Dialect/FX/IR/FXInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "weir/Dialect/FX/IR/FXAttrs.cpp.inc"

void FXDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "weir/Dialect/FX/IR/FXAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Symbolic values
//===----------------------------------------------------------------------===//

bool weir::fx::isBareName(StringRef text) {
  if (text.empty() || !(llvm::isAlpha(text[0]) || text[0] == '_'))
    return false;
  return llvm::all_of(text,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

void weir::fx::printName(AsmPrinter &printer, StringRef name) {
  if (isBareName(name))
    printer << name;
  else
    printer.printString(name);
}

void weir::fx::printSymExpr(AsmPrinter &printer, SymExprAttr expr) {
  printName(printer, expr.getExpr());
  if (Attribute hint = expr.getHint()) {
    printer << " = ";
    if (auto integer = dyn_cast<IntegerAttr>(hint);
        integer && integer.getType().isInteger(64))
      printer << integer.getInt();
    else
      printer.printAttribute(hint);
  }
}

ParseResult weir::fx::parseSymExpr(AsmParser &parser, SymExprAttr &expr) {
  std::string text;
  if (parser.parseKeywordOrString(&text))
    return failure();
  Attribute hint;
  if (succeeded(parser.parseOptionalEqual()) && parser.parseAttribute(hint))
    return failure();
  expr = SymExprAttr::get(parser.getContext(), text, hint);
  return success();
}

Attribute SymExprAttr::parse(AsmParser &parser, Type) {
  SymExprAttr expr;
  if (parser.parseLess() || parseSymExpr(parser, expr) ||
      parser.parseGreater())
    return {};
  return expr;
}

void SymExprAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printSymExpr(printer, *this);
  printer << '>';
}

Attribute DimsAttr::parse(AsmParser &parser, Type) {
  SmallVector<SymExprAttr> sizes;
  auto parseOne = [&]() -> ParseResult {
    return parseSymExpr(parser, sizes.emplace_back());
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                     parseOne))
    return {};
  return DimsAttr::get(parser.getContext(), sizes);
}

void DimsAttr::print(AsmPrinter &printer) const {
  printer << '<';
  llvm::interleaveComma(getSizes(), printer.getStream(),
                        [&](SymExprAttr size) { printSymExpr(printer, size); });
  printer << '>';
}

// Anything else would leave a dynamic size without an expression, or name one
// that no size has.
LogicalResult
DimsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type,
                         function_ref<InFlightDiagnostic()> emitError) const {
  int64_t dynamic = llvm::count(shape, ShapedType::kDynamic);
  if (dynamic != static_cast<int64_t>(getSizes().size()))
    return emitError() << "has " << dynamic << " dynamic sizes, but #fx.dims names "
                       << getSizes().size();
  return success();
}

//===----------------------------------------------------------------------===//
// Weights, inputs and outputs
//===----------------------------------------------------------------------===//

static void printWeight(AsmPrinter &printer, WeightAttr weight) {
  printer.printString(weight.getScope());
  printer << "::";
  printer.printString(weight.getKey());
}

/// The rest of a weight after its scope.
static ParseResult parseWeightKey(AsmParser &parser, StringRef scope,
                                  WeightAttr &weight) {
  std::string key;
  if (parser.parseColon() || parser.parseColon() || parser.parseString(&key))
    return failure();
  weight = WeightAttr::get(parser.getContext(), scope, key);
  return success();
}

Attribute WeightAttr::parse(AsmParser &parser, Type) {
  std::string scope;
  WeightAttr weight;
  if (parser.parseLess() || parser.parseString(&scope) ||
      parseWeightKey(parser, scope, weight) || parser.parseGreater())
    return {};
  return weight;
}

void WeightAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printWeight(printer, *this);
  printer << '>';
}

/// `extra = "{…}"`, after a comma.
static void printExtra(AsmPrinter &printer, StringAttr extra) {
  if (!extra)
    return;
  printer << ", extra = ";
  printer.printString(extra.getValue());
}

static LogicalResult
verifyExtra(StringAttr extra, function_ref<InFlightDiagnostic()> emitError) {
  if (!extra)
    return success();
  llvm::Expected<llvm::json::Value> value =
      weir::parseJSON(extra.getValue());
  if (!value)
    return emitError() << "'extra' is not JSON: "
                       << llvm::toString(value.takeError());
  if (!value->getAsObject())
    return emitError() << "'extra' is not a JSON object";
  return success();
}

Attribute InputAttr::parse(AsmParser &parser, Type) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseKeyword(&keyword))
    return {};
  std::optional<InputKind> kind = symbolizeInputKind(keyword);
  if (!kind) {
    parser.emitError(loc) << "unknown kind of input '" << keyword << "'";
    return {};
  }
  WeightAttr weight;
  std::string scope;
  if (succeeded(parser.parseOptionalString(&scope)) &&
      parseWeightKey(parser, scope, weight))
    return {};
  bool persistent = true;
  StringAttr extra;
  std::optional<weir::InputRole> role;
  while (succeeded(parser.parseOptionalComma())) {
    if (succeeded(parser.parseOptionalKeyword("transient")))
      persistent = false;
    else if (succeeded(parser.parseOptionalKeyword("role"))) {
      if (parser.parseEqual() || parseInputRole(parser, role))
        return {};
    } else if (parser.parseKeyword("extra") || parser.parseEqual() ||
               parser.parseAttribute(extra))
      return {};
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<InputAttr>(loc, parser.getContext(), *kind, weight,
                                      persistent, extra, role);
}

void InputAttr::print(AsmPrinter &printer) const {
  printer << '<' << stringifyInputKind(getKind());
  if (getWeight()) {
    printer << ' ';
    printWeight(printer, getWeight());
  }
  if (!getPersistent())
    printer << ", transient";
  if (getRole())
    printer << ", role = " << weir::roleName(*getRole());
  printExtra(printer, getExtra());
  printer << '>';
}

LogicalResult InputAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                InputKind kind, WeightAttr weight,
                                bool persistent, StringAttr extra,
                                std::optional<weir::InputRole> role) {
  // What is stored has a name to be found by; what the caller passes has none.
  bool stored = kind == InputKind::Parameter || kind == InputKind::Buffer ||
                kind == InputKind::TensorConstant ||
                kind == InputKind::CustomObject;
  if (stored != static_cast<bool>(weight))
    return emitError() << "an input of kind '" << stringifyInputKind(kind)
                       << (stored ? "' needs the name of a weight"
                                  : "' has no weight");
  if (!persistent && kind != InputKind::Buffer)
    return emitError() << "only a buffer can be transient";
  if (role && kind != InputKind::UserInput)
    return emitError() << "an input of kind '" << stringifyInputKind(kind)
                       << "' has no role: nobody passes it";
  return verifyExtra(extra, emitError);
}

Attribute OutputAttr::parse(AsmParser &parser, Type) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseKeyword(&keyword))
    return {};
  std::optional<OutputKind> kind = symbolizeOutputKind(keyword);
  if (!kind) {
    parser.emitError(loc) << "unknown kind of output '" << keyword << "'";
    return {};
  }
  StringAttr target, extra;
  Attribute literal, role;
  std::string text;
  if (succeeded(parser.parseOptionalString(&text)))
    target = StringAttr::get(parser.getContext(), text);
  while (succeeded(parser.parseOptionalComma())) {
    if (succeeded(parser.parseOptionalKeyword("literal"))) {
      if (parser.parseEqual() || parser.parseAttribute(literal))
        return {};
    } else if (succeeded(parser.parseOptionalKeyword("role"))) {
      if (parser.parseEqual() || parser.parseAttribute(role))
        return {};
    } else if (parser.parseKeyword("extra") || parser.parseEqual() ||
               parser.parseAttribute(extra)) {
      return {};
    }
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<OutputAttr>(loc, parser.getContext(), *kind, target,
                                       literal, extra, role);
}

void OutputAttr::print(AsmPrinter &printer) const {
  printer << '<' << stringifyOutputKind(getKind());
  if (getTarget()) {
    printer << ' ';
    printer.printString(getTarget().getValue());
  }
  if (getLiteral()) {
    printer << ", literal = ";
    printer.printAttribute(getLiteral());
  }
  if (getRole()) {
    printer << ", role = ";
    printer.printAttribute(getRole());
  }
  printExtra(printer, getExtra());
  printer << '>';
}

LogicalResult OutputAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 OutputKind kind, StringAttr target,
                                 Attribute literal, StringAttr extra,
                                 Attribute role) {
  // A mutation or gradient is of something, which has a name.
  bool needsTarget = kind == OutputKind::BufferMutation ||
                     kind == OutputKind::ParameterMutation ||
                     kind == OutputKind::GradientToParameter ||
                     kind == OutputKind::GradientToUserInput ||
                     kind == OutputKind::UserInputMutation;
  if (needsTarget != static_cast<bool>(target))
    return emitError() << "an output of kind '" << stringifyOutputKind(kind)
                       << (needsTarget ? "' names what it is written to"
                                       : "' is not written to anything");
  if (role && (kind != OutputKind::UserOutput || literal))
    return emitError() << "only a value that the caller gets has a role";
  if (role && !isa<LogitsAttr, RecordAttr, CountAttr>(role))
    return emitError() << "the role of an output is #fx.logits or an "
                          "#fx.record, not "
                       << role;
  return verifyExtra(extra, emitError);
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Attribute ListAttr::parse(AsmParser &parser, Type) {
  SmallVector<Attribute> elements;
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseKeyword(&keyword) ||
      parser.parseCommaSeparatedList(
          AsmParser::Delimiter::Square,
          [&] { return parser.parseAttribute(elements.emplace_back()); }) ||
      parser.parseGreater())
    return {};
  std::optional<ListKind> kind = symbolizeListKind(keyword);
  if (!kind) {
    parser.emitError(loc) << "unknown kind of list '" << keyword << "'";
    return {};
  }
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    *kind, elements);
}

void ListAttr::print(AsmPrinter &printer) const {
  printer << '<' << stringifyListKind(getKind()) << '[';
  llvm::interleaveComma(
      getElements(), printer.getStream(),
      [&](Attribute element) { printer.printAttribute(element); });
  printer << "]>";
}

bool ListAttr::canHold(ListKind kind, Attribute element) {
  auto isInteger = [&] {
    return isa<IntegerAttr>(element) && !isa<BoolAttr>(element);
  };
  auto isList = [&](ListKind inner) {
    auto list = dyn_cast<ListAttr>(element);
    return list && list.getKind() == inner;
  };
  switch (kind) {
  case ListKind::Ints:
    return isInteger();
  case ListKind::Floats:
    return isa<FloatAttr>(element);
  case ListKind::Bools:
    return isa<BoolAttr>(element);
  case ListKind::Strings:
    return isa<StringAttr>(element);
  case ListKind::Tensors:
    return isa<SlotAttr>(element);
  case ListKind::OptionalTensors:
    return isa<SlotAttr, UnitAttr>(element);
  case ListKind::SymInts:
    return isa<SlotAttr>(element) || isInteger();
  case ListKind::SymFloats:
    return isa<SlotAttr, FloatAttr>(element);
  case ListKind::SymBools:
    return isa<SlotAttr, BoolAttr>(element);
  case ListKind::NestedTensors:
    return isList(ListKind::Tensors);
  case ListKind::IntLists:
    return isList(ListKind::Ints);
  case ListKind::FloatLists:
    return isList(ListKind::Floats);
  }
  llvm_unreachable("all kinds of lists are handled");
}

LogicalResult ListAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               ListKind kind, ArrayRef<Attribute> elements) {
  for (Attribute element : elements)
    if (!canHold(kind, element))
      return emitError() << "a list of " << stringifyListKind(kind)
                         << " cannot hold " << element;
  return success();
}

namespace {
struct NumberName {
  int64_t number;
  llvm::StringLiteral name;
};
} // namespace

// torch._export.serde.schema.ScalarType, .Layout and .MemoryFormat.
static constexpr NumberName dtypeNames[] = {
    {1, "u8"},          {2, "i8"},         {3, "i16"},
    {4, "i32"},         {5, "i64"},        {6, "f16"},
    {7, "f32"},         {8, "f64"},        {9, "c32"},
    {10, "c64"},        {11, "c128"},      {12, "bool"},
    {13, "bf16"},       {28, "u16"},       {29, "f8e4m3fn"},
    {30, "f8e5m2"},     {31, "f8e4m3fnuz"}, {32, "f8e5m2fnuz"},
    {33, "f8e8m0fnu"},  {34, "u32"},       {35, "u64"}};
static constexpr NumberName layoutNames[] = {
    {1, "sparse_coo"}, {2, "sparse_csr"}, {3, "sparse_csc"}, {4, "sparse_bsr"},
    {5, "sparse_bsc"}, {6, "mkldnn"},     {7, "strided"}};
static constexpr NumberName formatNames[] = {{1, "contiguous"},
                                             {2, "channels_last"},
                                             {3, "channels_last_3d"},
                                             {4, "preserve"}};

static void printNumber(AsmPrinter &printer, int64_t number,
                        ArrayRef<NumberName> names) {
  const auto *it = llvm::find_if(
      names, [&](const NumberName &entry) { return entry.number == number; });
  printer << '<';
  if (it != names.end())
    printer << it->name;
  else
    printer << number;
  printer << '>';
}

static FailureOr<int64_t> parseNumber(AsmParser &parser,
                                      ArrayRef<NumberName> names) {
  int64_t number = 0;
  if (parser.parseLess())
    return failure();
  OptionalParseResult integer = parser.parseOptionalInteger(number);
  if (integer.has_value()) {
    if (failed(*integer))
      return failure();
  } else {
    StringRef keyword;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&keyword))
      return failure();
    const auto *it = llvm::find_if(
        names, [&](const NumberName &entry) { return entry.name == keyword; });
    if (it == names.end())
      return parser.emitError(loc) << "unknown name '" << keyword << "'";
    number = it->number;
  }
  if (parser.parseGreater())
    return failure();
  return number;
}

Attribute DTypeAttr::parse(AsmParser &parser, Type) {
  FailureOr<int64_t> number = parseNumber(parser, dtypeNames);
  return failed(number) ? DTypeAttr() : get(parser.getContext(), *number);
}
void DTypeAttr::print(AsmPrinter &printer) const {
  printNumber(printer, getNumber(), dtypeNames);
}
Attribute LayoutAttr::parse(AsmParser &parser, Type) {
  FailureOr<int64_t> number = parseNumber(parser, layoutNames);
  return failed(number) ? LayoutAttr() : get(parser.getContext(), *number);
}
void LayoutAttr::print(AsmPrinter &printer) const {
  printNumber(printer, getNumber(), layoutNames);
}
Attribute MemoryFormatAttr::parse(AsmParser &parser, Type) {
  FailureOr<int64_t> number = parseNumber(parser, formatNames);
  return failed(number) ? MemoryFormatAttr()
                        : get(parser.getContext(), *number);
}
void MemoryFormatAttr::print(AsmPrinter &printer) const {
  printNumber(printer, getNumber(), formatNames);
}

Type DTypeAttr::getElementType() const {
  Builder b(getContext());
  switch (getNumber()) {
  case 1:
    return b.getIntegerType(8, false);
  case 2:
    return b.getI8Type();
  case 3:
    return b.getI16Type();
  case 4:
    return b.getI32Type();
  case 5:
    return b.getI64Type();
  case 6:
    return b.getF16Type();
  case 7:
    return b.getF32Type();
  case 8:
    return b.getF64Type();
  case 9:
    return ComplexType::get(b.getF16Type());
  case 10:
    return ComplexType::get(b.getF32Type());
  case 11:
    return ComplexType::get(b.getF64Type());
  case 12:
    return b.getI1Type();
  case 13:
    return b.getBF16Type();
  case 28:
    return b.getIntegerType(16, false);
  case 29:
    return Float8E4M3FNType::get(getContext());
  case 30:
    return Float8E5M2Type::get(getContext());
  case 31:
    return Float8E4M3FNUZType::get(getContext());
  case 32:
    return Float8E5M2FNUZType::get(getContext());
  case 33:
    return Float8E8M0FNUType::get(getContext());
  case 34:
    return b.getIntegerType(32, false);
  case 35:
    return b.getIntegerType(64, false);
  default:
    return {};
  }
}

DTypeAttr DTypeAttr::forElementType(Type type) {
  // The table is small and its order does not matter: ask it backwards.
  for (const NumberName &entry : dtypeNames) {
    DTypeAttr attr = get(type.getContext(), entry.number);
    if (attr.getElementType() == type)
      return attr;
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Module stacks
//===----------------------------------------------------------------------===//

Attribute StackAttr::parse(AsmParser &parser, Type) {
  SmallVector<ModuleAttr> modules;
  auto parseOne = [&]() -> ParseResult {
    std::string key, path, className;
    if (parser.parseString(&key) || parser.parseString(&path) ||
        parser.parseColon() || parser.parseString(&className))
      return failure();
    modules.push_back(
        ModuleAttr::get(parser.getContext(), key, path, className));
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                     parseOne))
    return {};
  return get(parser.getContext(), modules);
}

void StackAttr::print(AsmPrinter &printer) const {
  printer << '<';
  llvm::interleaveComma(
      getModules(), printer.getStream(), [&](ModuleAttr module) {
        printer.printString(module.getKey());
        printer << ' ';
        printer.printString(module.getPath());
        printer << " : ";
        printer.printString(module.getClassName());
      });
  printer << '>';
}
