//===- FXTypes.cpp - Types of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Symbols.h"

#include "mlir/IR/DialectImplementation.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace weir::fx;

#define GET_TYPEDEF_CLASSES
#include "weir/Dialect/FX/IR/FXTypes.cpp.inc"

void FXDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "weir/Dialect/FX/IR/FXTypes.cpp.inc"
      >();
}

/// The value of a symbolic scalar, `<s72 = 2>` or `<4>`, or nothing.
static ParseResult parseValue(AsmParser &parser, Attribute &value) {
  if (failed(parser.parseOptionalLess()))
    return success();
  Attribute constant;
  // A number or a boolean is an attribute of its own, a name is a symbol.
  std::string text;
  if (succeeded(parser.parseOptionalKeyword("true")))
    value = BoolAttr::get(parser.getContext(), true);
  else if (succeeded(parser.parseOptionalKeyword("false")))
    value = BoolAttr::get(parser.getContext(), false);
  else if (succeeded(parser.parseOptionalKeywordOrString(&text))) {
    Attribute hint;
    if (succeeded(parser.parseOptionalEqual()) && parser.parseAttribute(hint))
      return failure();
    value = SymExprAttr::get(parser.getContext(), text, hint);
  } else if (parser.parseAttribute(constant))
    return failure();
  else
    value = constant;
  return parser.parseGreater();
}

static void printValue(AsmPrinter &printer, Attribute value) {
  if (!value)
    return;
  printer << '<';
  if (auto expr = dyn_cast<SymExprAttr>(value))
    printSymExpr(printer, expr);
  else if (auto integer = dyn_cast<IntegerAttr>(value);
           integer && integer.getType().isInteger(64))
    printer << integer.getInt();
  else
    printer.printAttribute(value);
  printer << '>';
}

Type SymIntType::parse(AsmParser &parser) {
  Attribute value;
  SMLoc loc = parser.getCurrentLocation();
  if (parseValue(parser, value))
    return {};
  return parser.getChecked<SymIntType>(loc, parser.getContext(), value);
}
void SymIntType::print(AsmPrinter &printer) const {
  printValue(printer, getValue());
}
LogicalResult SymIntType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 Attribute value) {
  auto integer = dyn_cast_if_present<IntegerAttr>(value);
  if (value && !isa<SymExprAttr>(value) &&
      !(integer && integer.getType().isInteger(64)))
    return emitError() << "a symint is an expression or an integer, not "
                       << value;
  return success();
}

Type SymFloatType::parse(AsmParser &parser) {
  Attribute value;
  SMLoc loc = parser.getCurrentLocation();
  if (parseValue(parser, value))
    return {};
  return parser.getChecked<SymFloatType>(loc, parser.getContext(), value);
}
void SymFloatType::print(AsmPrinter &printer) const {
  printValue(printer, getValue());
}
LogicalResult SymFloatType::verify(function_ref<InFlightDiagnostic()> emitError,
                                   Attribute value) {
  if (value && !isa<SymExprAttr, FloatAttr>(value))
    return emitError() << "a symfloat is an expression or a float, not "
                       << value;
  return success();
}

Type SymBoolType::parse(AsmParser &parser) {
  Attribute value;
  SMLoc loc = parser.getCurrentLocation();
  if (parseValue(parser, value))
    return {};
  return parser.getChecked<SymBoolType>(loc, parser.getContext(), value);
}
void SymBoolType::print(AsmPrinter &printer) const {
  printValue(printer, getValue());
}
LogicalResult SymBoolType::verify(function_ref<InFlightDiagnostic()> emitError,
                                  Attribute value) {
  if (value && !isa<SymExprAttr, BoolAttr>(value))
    return emitError() << "a symbool is an expression or a boolean, not "
                       << value;
  return success();
}
