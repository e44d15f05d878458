//===- Recipes.cpp - The numbers of recipes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Resources/Recipes.h"

#include "weir/Weights/Sources.h"

#include "llvm/ADT/STLExtras.h"

#include <limits>

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
  case RowsPart::DecoderBias:
    return DictionaryPart::DecoderBias;
  }
  llvm_unreachable("unknown part of a dictionary");
}

static FeatureUnit convert(Fold fold) {
  switch (fold) {
  case Fold::None:
    return FeatureUnit::One;
  case Fold::Threshold:
    return FeatureUnit::Threshold;
  case Fold::DecoderNorm:
    return FeatureUnit::DecoderNorm;
  case Fold::MeanActivation:
    break;
  }
  llvm_unreachable("#flow.carried has no such fold");
}

/// Which features keep their own row: those whose error is above a quantile of
/// the errors, interpolated linearly, and those without a match.
static std::vector<bool> aboveQuantile(const matching::Match &match, double q) {
  std::vector<double> errors;
  for (auto [to, value] : llvm::zip_equal(match.indices, match.values))
    if (to >= 0)
      errors.push_back(-value);
  llvm::sort(errors);
  double limit = -std::numeric_limits<double>::infinity();
  if (!errors.empty()) {
    double place = q * static_cast<double>(errors.size() - 1);
    auto below = static_cast<size_t>(place);
    size_t above = std::min(below + 1, errors.size() - 1);
    limit = errors[below] +
            (place - static_cast<double>(below)) * (errors[above] - errors[below]);
  }
  std::vector<bool> result;
  for (auto [to, value] : llvm::zip_equal(match.indices, match.values))
    result.push_back(to < 0 || -value > limit);
  return result;
}

static llvm::Expected<std::shared_ptr<const TensorSource>>
carriedTensor(CarriedAttr recipe, RowSource &dictionaries) {
  auto source = dictionaries.open(recipe.getSource().getValue());
  if (!source)
    return source.takeError();
  auto target = dictionaries.open(recipe.getTarget().getValue());
  if (!target)
    return target.takeError();
  auto match = dictionaries.match(recipe.getResult().getKey());
  if (!match)
    return match.takeError();
  if (match->k != 1 || match->rows != (*source)->info().features ||
      match->columns != (*target)->info().features)
    return llvm::createStringError(
        "the match " + recipe.getResult().getHash() +
        " is no permutation of the features of " +
        recipe.getSource().getValue() + " and " + recipe.getTarget().getValue());
  std::vector<bool> keepsOwn(match->rows, false);
  if (FloatAttr quantile = recipe.getQuantile())
    keepsOwn = aboveQuantile(*match, quantile.getValueAsDouble());
  return carriedRows(std::move(*source), std::move(*target),
                     std::move(match->indices), std::move(keepsOwn),
                     convert(recipe.getFold()));
}

llvm::Expected<std::shared_ptr<const FoldedLinear>>
flow::foldedLinear(Attribute recipe, RowSource &source) {
  fx::WeightAttr weight, bias;
  WeightLayout layout = WeightLayout::OutIn;
  ArrayAttr reads, gives;
  auto take = [&](auto folded) {
    weight = folded.getWeight();
    layout = folded.getLayout();
    reads = folded.getReads();
    gives = folded.getGives();
  };
  if (auto folded = dyn_cast<FoldedWeightAttr>(recipe)) {
    take(folded);
  } else {
    auto ofBias = cast<FoldedBiasAttr>(recipe);
    take(ofBias);
    bias = ofBias.getBias();
  }
  auto edits = [&](ArrayAttr from) -> llvm::Expected<std::vector<VectorEdit>> {
    std::vector<VectorEdit> result;
    for (Attribute edit : from) {
      auto rows = weir::evaluate(edit, source);
      if (!rows)
        return rows.takeError();
      result.push_back({isa<BasisAttr>(edit), std::move(*rows)});
    }
    return result;
  };
  auto stored = source.weight(weight);
  if (!stored)
    return stored.takeError();
  std::optional<TensorView> storedBias;
  if (bias) {
    auto found = source.weight(bias);
    if (!found)
      return found.takeError();
    storedBias = std::move(*found);
  }
  auto read = edits(reads);
  if (!read)
    return read.takeError();
  auto given = edits(gives);
  if (!given)
    return given.takeError();
  return FoldedLinear::create(std::move(*stored), std::move(storedBias),
                              layout == WeightLayout::InOut, std::move(*read),
                              std::move(*given));
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
  if (auto carried = dyn_cast<CarriedAttr>(Attribute(recipe)))
    return carriedTensor(carried, dictionaries);
  if (isa<FoldedWeightAttr, FoldedBiasAttr>(Attribute(recipe))) {
    auto folded = foldedLinear(recipe, dictionaries);
    if (!folded)
      return folded.takeError();
    return isa<FoldedWeightAttr>(Attribute(recipe)) ? (*folded)->weight()
                                                    : (*folded)->bias();
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
