//===- Evaluation.cpp - Numbers for what the IR names ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Resources/Evaluation.h"

#include "weir/Dictionary/Rows.h"

#include "mlir/IR/MLIRContext.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

#include "weir/Resources/EvaluationInterfaces.cpp.inc"

using EmitError = function_ref<InFlightDiagnostic()>;

//===----------------------------------------------------------------------===//
// Selectors
//===----------------------------------------------------------------------===//

/// Checks an index against the dictionary; the message gives the range.
static LogicalResult checkIndex(const Dictionary &dictionary,
                                FeatureAttr feature, EmitError emitError) {
  int64_t features = dictionary.info().features;
  if (feature.getIndex() < features)
    return success();
  return emitError() << "feature " << feature.str()
                     << " is out of range: the dictionary has features 0 to "
                     << features - 1;
}

namespace {

struct SelectFeature
    : SelectableAttrInterface::ExternalModel<SelectFeature, FeatureAttr> {
  LogicalResult select(Attribute attribute, const Dictionary &dictionary,
                       EmitError emitError,
                       SmallVectorImpl<int64_t> &indices) const {
    auto feature = cast<FeatureAttr>(attribute);
    if (failed(checkIndex(dictionary, feature, emitError)))
      return failure();
    indices.push_back(feature.getIndex());
    return success();
  }
};

struct SelectAntagonists
    : SelectableAttrInterface::ExternalModel<SelectAntagonists,
                                             AntagonistsAttr> {
  LogicalResult select(Attribute attribute, const Dictionary &dictionary,
                       EmitError emitError,
                       SmallVectorImpl<int64_t> &indices) const {
    auto selector = cast<AntagonistsAttr>(attribute);
    FeatureAttr of = selector.getOf();
    if (failed(checkIndex(dictionary, of, emitError)))
      return failure();
    auto found = antagonists(dictionary, of.getIndex(), selector.getCount());
    if (!found)
      return emitError() << llvm::toString(found.takeError());
    if (found->empty())
      return emitError() << "feature " << of.str()
                         << " has no antagonist: no feature of the dictionary "
                            "has a negative cosine with it";
    for (const Antagonist &antagonist : *found)
      indices.push_back(antagonist.feature);
    return success();
  }
};

struct SelectWholeSite
    : SelectableAttrInterface::ExternalModel<SelectWholeSite, WholeSiteAttr> {
  LogicalResult select(Attribute, const Dictionary &dictionary, EmitError,
                       SmallVectorImpl<int64_t> &indices) const {
    llvm::append_range(indices, llvm::seq<int64_t>(dictionary.info().features));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Recipes
//===----------------------------------------------------------------------===//

struct ComputeRows : ComputableAttrInterface::ExternalModel<ComputeRows, RowsAttr> {
  llvm::Expected<RowMatrix> evaluate(Attribute attribute,
                                     RowSource &source) const {
    auto recipe = cast<RowsAttr>(attribute);
    auto dictionary = source.open(recipe.getDictionary().getValue());
    if (!dictionary)
      return dictionary.takeError();
    switch (recipe.getPart()) {
    case RowsPart::DecoderBias: {
      auto bias = (*dictionary)->decoderBias();
      if (!bias)
        return bias.takeError();
      return RowMatrix(*bias);
    }
    case RowsPart::Decoder:
      return (*dictionary)->decoder(recipe.getFeatures());
    case RowsPart::UnitDecoder: {
      auto rows = (*dictionary)->decoder(recipe.getFeatures());
      if (!rows)
        return rows;
      return unitRows(*rows);
    }
    default:
      break;
    }
    auto rows = (*dictionary)->encoder(recipe.getFeatures());
    if (!rows)
      return rows.takeError();
    switch (recipe.getPart()) {
    case RowsPart::Encoder:
      return std::move(rows->weight);
    case RowsPart::EncoderBias:
      return RowMatrix(rows->bias);
    case RowsPart::Threshold:
      return RowMatrix(rows->threshold);
    case RowsPart::MagnitudeScale:
      return RowMatrix(rows->magnitudeScale);
    case RowsPart::MagnitudeBias:
      return RowMatrix(rows->magnitudeBias);
    default:
      llvm_unreachable("decoder parts are handled above");
    }
  }
};

struct ComputeSum : ComputableAttrInterface::ExternalModel<ComputeSum, SumAttr> {
  llvm::Expected<RowMatrix> evaluate(Attribute attribute,
                                     RowSource &source) const {
    auto recipe = cast<SumAttr>(attribute);
    auto rows = weir::evaluate(recipe.getRows(), source);
    if (!rows)
      return rows;
    // In f64 to the end, weights included: the one rounding is the result's.
    Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(rows->cols());
    for (auto [i, weight] : llvm::enumerate(recipe.getWeights().asArrayRef()))
      sum += weight * rows->row(i).cast<double>();
    return RowMatrix(sum.cast<float>());
  }
};

struct ComputeBasis
    : ComputableAttrInterface::ExternalModel<ComputeBasis, BasisAttr> {
  llvm::Expected<RowMatrix> evaluate(Attribute attribute,
                                     RowSource &source) const {
    auto rows = weir::evaluate(cast<BasisAttr>(attribute).getRows(), source);
    if (!rows)
      return rows;
    return orthonormalBasis(*rows);
  }
};

struct ComputeConcat
    : ComputableAttrInterface::ExternalModel<ComputeConcat, ConcatAttr> {
  llvm::Expected<RowMatrix> evaluate(Attribute attribute,
                                     RowSource &source) const {
    auto recipe = cast<ConcatAttr>(attribute);
    RowMatrix all;
    Eigen::Index next = 0;
    for (Attribute part : recipe.getParts()) {
      auto rows = weir::evaluate(part, source);
      if (!rows)
        return rows;
      // Once, for all parts: there may be one for each of many plans.
      if (next == 0)
        all.resize(recipe.getNumRows(), rows->cols());
      if (all.cols() != rows->cols())
        return llvm::createStringError(
            "rows of width %td beside rows of width %td",
            static_cast<ptrdiff_t>(rows->cols()),
            static_cast<ptrdiff_t>(all.cols()));
      all.middleRows(next, rows->rows()) = *rows;
      next += rows->rows();
    }
    return all;
  }
};

} // namespace

llvm::Expected<matching::Match> RowSource::match(llvm::StringRef key) {
  return llvm::createStringError("there is no cache here to find the match " +
                                 key + " in");
}

llvm::Expected<TensorView> RowSource::weight(fx::WeightAttr name) {
  return llvm::createStringError("there is no model here that has the weight " +
                                 name.getKey());
}

llvm::Expected<RowMatrix> weir::evaluate(Attribute recipe, RowSource &source) {
  auto computable = dyn_cast<ComputableAttrInterface>(recipe);
  if (!computable)
    return llvm::createStringError("is a constant that nobody can compute");
  return computable.evaluate(source);
}

void weir::registerEvaluation(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, FlowDialect *) {
    FeatureAttr::attachInterface<SelectFeature>(*context);
    AntagonistsAttr::attachInterface<SelectAntagonists>(*context);
    WholeSiteAttr::attachInterface<SelectWholeSite>(*context);
    RowsAttr::attachInterface<ComputeRows>(*context);
    SumAttr::attachInterface<ComputeSum>(*context);
    BasisAttr::attachInterface<ComputeBasis>(*context);
    ConcatAttr::attachInterface<ComputeConcat>(*context);
  });
}
