//===- FlowOps.cpp - The flow dialect's operations ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/IR/Flow.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

#include "weir/Dialect/Flow/IR/FlowDialect.cpp.inc"
#include "weir/Dialect/Flow/IR/FlowEnums.cpp.inc"
#include "weir/Dialect/Flow/IR/FlowOpInterfaces.cpp.inc"

void FlowDialect::initialize() {
  registerAttributes();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "weir/Dialect/Flow/IR/FlowOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// CollectionOp
//===----------------------------------------------------------------------===//

LogicalResult CollectionOp::verify() {
  if (getSites().empty())
    return emitOpError("covers no site");
  for (Attribute site : getSites())
    if (!isa<fx::SiteKindAttr>(site))
      return emitOpError("expects site kinds, got ") << site;
  // The attribute's accessors are unsigned.
  auto first = static_cast<int64_t>(getFirstLayer());
  auto last = static_cast<int64_t>(getLastLayer());
  if (first < 0 || last < first)
    return emitOpError("expects layers in ascending order from 0 on, got ")
           << first << " to " << last;

  bool fromModel =
      getFormat() == Format::Neurons || getFormat() == Format::Unembedding;
  if (fromModel) {
    if (getPath())
      return emitOpError("takes no path: its weights are the model's own");
    return success();
  }
  if (!getPath())
    return emitOpError("expects a path");
  // Without the placeholder every layer would silently be the same file, but for
  // formats that can hold several in one; opening one says which those are.
  bool severalInOne = getFormat() == Format::Directions ||
                      getFormat() == Format::CircuitTracer ||
                      getFormat() == Format::Crosscoder;
  if (getFirstLayer() != getLastLayer() && !severalInOne &&
      !getPath()->contains("{layer}"))
    return emitOpError("covers several layers, but its path has no {layer}");
  if (getSites().size() > 1 && !getPath()->contains("{site}"))
    return emitOpError("covers several sites, but its path has no {site}");
  return success();
}

bool CollectionOp::covers(SiteAttr site) {
  return static_cast<uint64_t>(site.getLayer()) >= getFirstLayer() &&
         static_cast<uint64_t>(site.getLayer()) <= getLastLayer() &&
         llvm::any_of(getSites().getAsRange<fx::SiteKindAttr>(), [&](auto kind) {
           return kind.getValue() == site.getKind();
         });
}

static void replaceAll(std::string &text, StringRef from, StringRef to) {
  for (size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

std::string CollectionOp::pathOf(SiteAttr site) {
  std::string path = getPath().value_or("").str();
  replaceAll(path, "{site}", fx::stringifySiteKind(site.getKind()));
  replaceAll(path, "{layer}", std::to_string(site.getLayer()));
  return path;
}

std::string CollectionOp::dictionaryName(SiteAttr site) {
  return (getSymName() + "." + fx::stringifySiteKind(site.getKind()) + "." +
          Twine(site.getLayer()))
      .str();
}

//===----------------------------------------------------------------------===//
// DictionaryOp
//===----------------------------------------------------------------------===//

DictionaryOp flow::lookupDictionary(const SymbolTable &symbols,
                                    FlatSymbolRefAttr collection,
                                    SiteAttr site) {
  auto declared = symbols.lookup<CollectionOp>(collection.getAttr());
  return declared ? symbols.lookup<DictionaryOp>(declared.dictionaryName(site))
                  : DictionaryOp();
}

DictionaryOp flow::lookupDictionary(const SymbolTable &symbols,
                                    FeatureAttr feature) {
  return lookupDictionary(symbols, feature.getCollection(), feature.getSite());
}

LogicalResult DictionaryOp::verify() {
  if (static_cast<int64_t>(getFeatures()) < 1 ||
      static_cast<int64_t>(getWidth()) < 1)
    return emitOpError("has no features or no width");
  if (getActivation().getKind() == ActivationKind::TopK &&
      static_cast<uint64_t>(getActivation().getTopK()) > getFeatures())
    return emitOpError("keeps ")
           << getActivation().getTopK() << " features of " << getFeatures();
  if (getFurther() && isFurther())
    return emitOpError("is a further decoder itself, and names others");
  return success();
}

bool DictionaryOp::isFurther() {
  // What a collection calls its own has three parts.
  return getSymName() !=
         (getCollection() + "." + fx::stringifySiteKind(getSite().getKind()) +
          "." + Twine(getSite().getLayer()))
             .str();
}

#define GET_OP_CLASSES
#include "weir/Dialect/Flow/IR/FlowOps.cpp.inc"
