//===- FlowAttrs.cpp - The flow dialect's attributes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/IR/Flow.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

/// The layout of a weight, a keyword.
static ParseResult parseLayout(AsmParser &parser, WeightLayout &layout) {
  StringRef word;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return failure();
  if (word != "in_out" && word != "out_in")
    return parser.emitError(loc) << "a weight is stored out_in or in_out";
  layout = word == "in_out" ? WeightLayout::InOut : WeightLayout::OutIn;
  return success();
}

static void printLayout(AsmPrinter &printer, WeightLayout layout) {
  printer << (layout == WeightLayout::InOut ? " in_out" : " out_in");
}

//===----------------------------------------------------------------------===//
// How sites and features are written
//===----------------------------------------------------------------------===//

/// "12/res".
static ParseResult parseSitePath(AsmParser &parser, fx::SiteKind &kind,
                                 int64_t &layer) {
  StringRef keyword;
  if (parser.parseInteger(layer) || parser.parseSlash())
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<fx::SiteKind> known = fx::symbolizeSiteKind(keyword);
  if (!known)
    return parser.emitError(loc) << "unknown kind of site '" << keyword << "'";
  kind = *known;
  return success();
}

static void printSitePath(AsmPrinter &printer, fx::SiteKind kind,
                          int64_t layer) {
  printer << fx::siteName(kind, layer);
}

/// "@sae:12/res".
static ParseResult parseCollectionSitePath(AsmParser &parser,
                                           FlatSymbolRefAttr &collection,
                                           fx::SiteKind &kind, int64_t &layer) {
  StringAttr name;
  if (parser.parseSymbolName(name) || parser.parseColon())
    return failure();
  collection = FlatSymbolRefAttr::get(name);
  return parseSitePath(parser, kind, layer);
}

static void printCollectionSitePath(AsmPrinter &printer,
                                    FlatSymbolRefAttr collection,
                                    fx::SiteKind kind, int64_t layer) {
  printer.printSymbolName(collection.getValue());
  printer << ':';
  printSitePath(printer, kind, layer);
}

/// "@sae:12/res/411".
static ParseResult parseFeaturePath(AsmParser &parser,
                                    FlatSymbolRefAttr &collection,
                                    fx::SiteKind &kind, int64_t &layer,
                                    int64_t &index) {
  return failure(parseCollectionSitePath(parser, collection, kind, layer) ||
                 parser.parseSlash() || parser.parseInteger(index));
}

static void printFeaturePath(AsmPrinter &printer, FlatSymbolRefAttr collection,
                             fx::SiteKind kind, int64_t layer, int64_t index) {
  printCollectionSitePath(printer, collection, kind, layer);
  printer << '/' << index;
}

#include "weir/Dialect/Flow/IR/FlowInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "weir/Dialect/Flow/IR/FlowAttrs.cpp.inc"

void FlowDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "weir/Dialect/Flow/IR/FlowAttrs.cpp.inc"
      >();
}

using EmitError = function_ref<InFlightDiagnostic()>;

//===----------------------------------------------------------------------===//
// Sites, features, selectors
//===----------------------------------------------------------------------===//

static LogicalResult verifyLayer(EmitError emitError, int64_t layer) {
  if (layer < 0)
    return emitError() << "a layer is 0 or more, got " << layer;
  return success();
}

LogicalResult SiteAttr::verify(EmitError emitError, fx::SiteKind,
                               int64_t layer) {
  return verifyLayer(emitError, layer);
}

LogicalResult FeatureAttr::verify(EmitError emitError, FlatSymbolRefAttr,
                                  fx::SiteKind, int64_t layer, int64_t index) {
  if (failed(verifyLayer(emitError, layer)))
    return failure();
  if (index < 0)
    return emitError() << "a feature's index is 0 or more, got " << index;
  return success();
}

std::string SiteAttr::str() const {
  return fx::siteName(getKind(), getLayer());
}

std::string FeatureAttr::str() const {
  return getSite().str() + "/" + std::to_string(getIndex());
}

SiteAttr FeatureAttr::getSite() const {
  return SiteAttr::get(getContext(), getKind(), getLayer());
}

FlatSymbolRefAttr FeatureAttr::getCollectionRef() const {
  return getCollection();
}
fx::SiteKind FeatureAttr::getSiteKind() const { return getKind(); }
int64_t FeatureAttr::getSiteLayer() const { return getLayer(); }

LogicalResult AntagonistsAttr::verify(EmitError emitError, FeatureAttr,
                                      int64_t count) {
  if (count < 1)
    return emitError() << "the number of antagonists is 1 or more, got "
                       << count;
  return success();
}

FlatSymbolRefAttr AntagonistsAttr::getCollectionRef() const {
  return getOf().getCollection();
}
fx::SiteKind AntagonistsAttr::getSiteKind() const {
  return getOf().getKind();
}
int64_t AntagonistsAttr::getSiteLayer() const { return getOf().getLayer(); }

LogicalResult WholeSiteAttr::verify(EmitError emitError, FlatSymbolRefAttr,
                                    fx::SiteKind, int64_t layer) {
  return verifyLayer(emitError, layer);
}

FlatSymbolRefAttr WholeSiteAttr::getCollectionRef() const {
  return getCollection();
}
fx::SiteKind WholeSiteAttr::getSiteKind() const { return getKind(); }
int64_t WholeSiteAttr::getSiteLayer() const { return getLayer(); }

LogicalResult ActivationAttr::verify(EmitError emitError, ActivationKind kind,
                                     int64_t topK) {
  if ((kind == ActivationKind::TopK) != (topK > 0))
    return emitError() << "topk, and only topk, has a number of features";
  return success();
}

//===----------------------------------------------------------------------===//
// Recipes
//===----------------------------------------------------------------------===//

StringRef RowsAttr::getConstantName() const {
  return stringifyRowsPart(getPart());
}
StringRef BasisAttr::getConstantName() const { return "basis"; }
StringRef SumAttr::getConstantName() const { return "direction"; }
StringRef ConcatAttr::getConstantName() const { return "rows"; }

/// Parts that hold one number a feature.
static bool isVector(RowsPart part) {
  return part == RowsPart::EncoderBias || part == RowsPart::Threshold ||
         part == RowsPart::MagnitudeScale || part == RowsPart::MagnitudeBias ||
         part == RowsPart::DecoderBias;
}

int64_t RowsAttr::getNumRows() const {
  return getFeatures().empty() ? -1 : getFeatures().size();
}

/// The common shape check: a static f32 type with as many rows as the recipe
/// makes.
static LogicalResult verifyRecipeType(RecipeAttrInterface recipe, bool vector,
                                      RankedTensorType type, EmitError emitError) {
  if (!type.hasStaticShape() || !type.getElementType().isF32())
    return emitError() << "a recipe makes an f32 tensor of static shape";
  if (type.getRank() != (vector ? 1 : 2))
    return emitError() << "the recipe makes a tensor of rank "
                       << (vector ? 1 : 2);
  int64_t rows = recipe.getNumRows();
  if (rows >= 0 && type.getDimSize(0) != rows)
    return emitError() << "the recipe makes " << rows << " rows, the type has "
                       << type.getDimSize(0);
  return success();
}

LogicalResult RowsAttr::verifyConstantType(RankedTensorType type,
                                           EmitError emitError) const {
  return verifyRecipeType(*this, isVector(getPart()), type, emitError);
}

LogicalResult CarriedAttr::verify(EmitError emitError, FlatSymbolRefAttr,
                                  FlatSymbolRefAttr, ResultAttr, Fold fold,
                                  FloatAttr quantile) {
  if (fold == Fold::MeanActivation)
    return emitError() << "mean activations are known on a text only, while "
                          "matches are computed";
  if (!quantile)
    return success();
  double q = quantile.getValueAsDouble();
  if (!(q >= 0 && q <= 1))
    return emitError() << "a quantile is 0 to 1, not " << q;
  return success();
}

StringRef CarriedAttr::getConstantName() const { return "carried_decoder"; }

int64_t CarriedAttr::getNumRows() const { return -1; }

LogicalResult CarriedAttr::verifyConstantType(RankedTensorType type,
                                              EmitError emitError) const {
  return verifyRecipeType(*this, false, type, emitError);
}

LogicalResult SumAttr::verify(EmitError emitError, DenseF64ArrayAttr weights,
                              Attribute rows) {
  auto recipe = dyn_cast<RecipeAttrInterface>(rows);
  if (!recipe)
    return emitError() << "expects a recipe to sum";
  if (recipe.getNumRows() != static_cast<int64_t>(weights.size()))
    return emitError() << "has " << weights.size() << " weights for "
                       << recipe.getNumRows() << " rows";
  return success();
}

int64_t SumAttr::getNumRows() const { return 1; }

LogicalResult SumAttr::verifyConstantType(RankedTensorType type,
                                          EmitError emitError) const {
  return verifyRecipeType(*this, false, type, emitError);
}

LogicalResult BasisAttr::verify(EmitError emitError, Attribute rows) {
  auto recipe = dyn_cast<RecipeAttrInterface>(rows);
  if (!recipe || recipe.getNumRows() < 0)
    return emitError() << "expects a recipe with a known number of rows, got "
                       << rows;
  return success();
}

int64_t BasisAttr::getNumRows() const {
  return cast<RecipeAttrInterface>(getRows()).getNumRows();
}

LogicalResult BasisAttr::verifyConstantType(RankedTensorType type,
                                            EmitError emitError) const {
  return verifyRecipeType(*this, false, type, emitError);
}

LogicalResult ConcatAttr::verify(EmitError emitError, ArrayAttr parts) {
  if (parts.empty())
    return emitError() << "expects at least one recipe";
  for (Attribute part : parts) {
    auto recipe = dyn_cast<RecipeAttrInterface>(part);
    if (!recipe || recipe.getNumRows() < 0)
      return emitError() << "expects recipes with a known number of rows, got "
                         << part;
  }
  return success();
}

int64_t ConcatAttr::getNumRows() const {
  int64_t rows = 0;
  for (auto part : getParts().getAsRange<RecipeAttrInterface>())
    rows += part.getNumRows();
  return rows;
}

LogicalResult ConcatAttr::verifyConstantType(RankedTensorType type,
                                             EmitError emitError) const {
  return verifyRecipeType(*this, false, type, emitError);
}
