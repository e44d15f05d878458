//===- Recipes.cpp - The numbers of recipes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Resources/Recipes.h"

#include "weir/Weights/Sources.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

static DictionaryPart convert(RowsPart part) {
  switch (part) {
  case RowsPart::Decoder:
    return DictionaryPart::Decoder;
  case RowsPart::UnitDecoder:
    return DictionaryPart::UnitDecoder;
  case RowsPart::Encoder:
    return DictionaryPart::Encoder;
  case RowsPart::EncoderBias:
    return DictionaryPart::EncoderBias;
  case RowsPart::Threshold:
    return DictionaryPart::Threshold;
  case RowsPart::MagnitudeScale:
    return DictionaryPart::MagnitudeScale;
  case RowsPart::MagnitudeBias:
    return DictionaryPart::MagnitudeBias;
  }
  llvm_unreachable("unknown part of a dictionary");
}

llvm::Expected<std::shared_ptr<const TensorSource>>
flow::recipeTensor(RecipeAttrInterface recipe, RowSource &dictionaries) {
  if (auto rows = dyn_cast<RowsAttr>(Attribute(recipe))) {
    auto dictionary = dictionaries.open(rows.getDictionary().getValue());
    if (!dictionary)
      return dictionary.takeError();
    return dictionaryRows(*dictionary, convert(rows.getPart()),
                          rows.getFeatures());
  }
  if (auto concat = dyn_cast<ConcatAttr>(Attribute(recipe))) {
    std::vector<std::shared_ptr<const TensorSource>> parts;
    for (auto part : concat.getParts().getAsRange<RecipeAttrInterface>()) {
      auto rows = recipeTensor(part, dictionaries);
      if (!rows)
        return rows;
      parts.push_back(std::move(*rows));
    }
    return mergedRows(std::move(parts));
  }
  auto rows = weir::evaluate(recipe, dictionaries);
  if (!rows)
    return rows.takeError();
  return computedRows(std::move(*rows));
}
