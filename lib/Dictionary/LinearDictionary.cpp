//===- LinearDictionary.cpp - Effective rows of stored matrices ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one implementation behind every format: a format says where its matrices
// are and how they are scaled (LinearForm), this brings k of their rows to the
// effective form of Dictionary.h.
//
//===----------------------------------------------------------------------===//

#include "Gather.h"

#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

using namespace llvm;

namespace weir::dictionary {

namespace {

class LinearDictionary final : public Dictionary {
public:
  LinearDictionary(DictionaryInfo info, LinearForm form)
      : form(std::move(form)) {
    information = std::move(info);
  }

  Expected<EncoderRows> encoder(ArrayRef<int64_t> features) const override;
  Expected<RowMatrix> decoder(ArrayRef<int64_t> features) const override;
  Expected<RowVector> decoderBias() const override;
  Expected<std::string> contentHash() const override;

private:
  /// Gets the numbers of all tensors. The caller of a dictionary has compared
  /// its sizes with the model's before it asks for rows.
  Error load() const;
  /// The indices that were asked for, in range.
  Expected<std::vector<int64_t>> select(ArrayRef<int64_t> features) const;
  /// n_i for stored decoder rows: see LinearForm.
  double norm(const RowMatrix &stored, int64_t row) const;
  Error addThreshold(ArrayRef<int64_t> features, EncoderRows &rows) const;
  /// Encoder rows of `coefficients`.
  Expected<EncoderRows> coefficientRows(ArrayRef<int64_t> features) const;
  /// The stored rows or columns of decoder rows.
  Expected<RowMatrix> storedDecoder(ArrayRef<int64_t> features) const;
  /// A number of the effective form, in range for f32.
  Expected<float> narrow(double value, const char *what, int64_t feature) const;

  mutable LinearForm form;
  mutable std::mutex loading;
  mutable bool isLoaded = false;
};

} // namespace

Error LinearDictionary::load() const {
  std::lock_guard<std::mutex> guard(loading);
  if (isLoaded)
    return Error::success();
  for (NamedTensor *tensor : {&form.encoder, &form.decoder})
    if (Error error = tensor->load())
      return error;
  for (std::optional<NamedTensor> *tensor :
       {&form.encoderBias, &form.decoderBias, &form.threshold,
        &form.logMagnitude, &form.magnitudeBias})
    if (*tensor)
      if (Error error = (*tensor)->load())
        return error;
  for (NamedTensor &tensor : form.others)
    if (Error error = tensor.load())
      return error;
  isLoaded = true;
  return Error::success();
}

Expected<std::vector<int64_t>>
LinearDictionary::select(ArrayRef<int64_t> features) const {
  std::vector<int64_t> result(features.begin(), features.end());
  if (features.empty()) {
    result.resize(information.features);
    std::iota(result.begin(), result.end(), 0);
  }
  for (int64_t feature : result)
    if (feature < 0 || feature >= information.features)
      return fail(information.path, "there is no feature " + Twine(feature) +
                                        ": its features are 0 to " +
                                        Twine(information.features - 1));
  return result;
}

Expected<float> LinearDictionary::narrow(double value, const char *what,
                                         int64_t feature) const {
  float result = static_cast<float>(value);
  if (!std::isfinite(result))
    return fail(information.path, Twine(what) + " of feature " +
                                      Twine(feature) +
                                      " does not fit f32 once scales and the "
                                      "decoder bias are folded in");
  return result;
}

Expected<RowMatrix>
LinearDictionary::storedDecoder(ArrayRef<int64_t> features) const {
  if (!form.severalDecoders)
    return gather(information.path, form.decoder, form.decoderByRow, features);
  std::vector<int64_t> rows(features.begin(), features.end());
  for (int64_t &row : rows)
    row = row * form.decoderStride + form.decoderOffset;
  return gather(information.path, form.decoder, /*byRow=*/true, rows);
}

double LinearDictionary::norm(const RowMatrix &stored, int64_t row) const {
  if (!form.byDecoderNorm)
    return 1.0;
  double squares = stored.row(row).cast<double>().squaredNorm();
  return std::max(std::abs(form.decoderScale) * std::sqrt(squares),
                  form.decoderNormFloor);
}

Error LinearDictionary::addThreshold(ArrayRef<int64_t> features,
                                     EncoderRows &rows) const {
  if (information.activation != ActivationKind::JumpReLU)
    return Error::success();
  std::vector<double> values(features.size(),
                             form.constantThreshold.value_or(0));
  if (form.threshold) {
    bool shared =
        form.threshold->view.numElements() == 1 && information.features != 1;
    std::vector<int64_t> zeros(shared ? features.size() : 0, 0);
    Expected<std::vector<double>> stored = gatherElements(
        information.path, *form.threshold, shared ? ArrayRef(zeros) : features);
    if (!stored)
      return stored.takeError();
    values = std::move(*stored);
  }
  rows.threshold.resize(features.size());
  for (size_t i = 0; i < features.size(); ++i) {
    double value = form.thresholdIsLog ? std::exp(values[i]) : values[i];
    if (form.thresholdMustNotBeNegative && value < 0)
      return fail(information.path,
                  "the threshold of feature " + Twine(features[i]) +
                      " is negative: the format lets negative activations pass "
                      "then, which is not supported");
    // The formats compute relu(z) * [z > theta].
    Expected<float> narrowed =
        narrow(std::max(value * form.thresholdScale, 0.0), "the threshold",
               features[i]);
    if (!narrowed)
      return narrowed.takeError();
    rows.threshold[i] = *narrowed;
  }
  return Error::success();
}

Expected<EncoderRows>
LinearDictionary::coefficientRows(ArrayRef<int64_t> features) const {
  Expected<RowMatrix> stored =
      storedDecoder(features);
  if (!stored)
    return stored.takeError();
  EncoderRows rows;
  rows.bias = RowVector::Zero(features.size());
  rows.weight.resize(features.size(), information.inputWidth);
  for (size_t i = 0; i < features.size(); ++i) {
    Eigen::RowVectorXd row = stored->row(i).cast<double>();
    double squares = row.squaredNorm();
    if (squares == 0)
      return fail(information.path, form.decoder.name + " has a zero row at " +
                                        Twine(features[i]) +
                                        ": nothing can be read along it");
    rows.weight.row(i) = (row / squares).cast<float>();
    if (!rows.weight.row(i).allFinite())
      return fail(information.path, form.decoder.name + " has a row at " +
                                        Twine(features[i]) +
                                        " too short to be read along in f32");
  }
  return rows;
}

Expected<EncoderRows>
LinearDictionary::encoder(ArrayRef<int64_t> requested) const {
  if (!form.unreadable.empty())
    return fail(information.path, form.unreadable);
  Expected<std::vector<int64_t>> selected = select(requested);
  if (!selected)
    return selected.takeError();
  if (Error error = load())
    return std::move(error);
  ArrayRef<int64_t> features = *selected;
  if (form.coefficients)
    return coefficientRows(features);

  Expected<RowMatrix> stored =
      gather(information.path, form.encoder, form.encoderByRow, features);
  if (!stored)
    return stored.takeError();
  RowMatrix decoderRows;
  if (form.byDecoderNorm) {
    Expected<RowMatrix> gathered =
        storedDecoder(features);
    if (!gathered)
      return gathered.takeError();
    decoderRows = std::move(*gathered);
  }
  auto elements = [&](const std::optional<NamedTensor> &vector)
      -> Expected<std::vector<double>> {
    if (!vector)
      return std::vector<double>(features.size(), 0.0);
    return gatherElements(information.path, *vector, features);
  };
  Expected<std::vector<double>> bias = elements(form.encoderBias);
  if (!bias)
    return bias.takeError();
  Expected<std::vector<double>> logMagnitude = elements(form.logMagnitude);
  if (!logMagnitude)
    return logMagnitude.takeError();
  Expected<std::vector<double>> magnitudeBias = elements(form.magnitudeBias);
  if (!magnitudeBias)
    return magnitudeBias.takeError();
  Eigen::RowVectorXd subtracted;
  if (form.inputBiasScale != 0 && form.decoderBias) {
    Expected<RowVector> stored = decoderBias();
    if (!stored)
      return stored.takeError();
    subtracted.resize(information.inputWidth);
    for (int64_t i = 0; i < information.inputWidth; ++i)
      subtracted[i] = form.inputBiasScale * form.decoderBias->view.at(i);
  }

  bool gated = information.activation == ActivationKind::Gated;
  EncoderRows rows;
  rows.weight = std::move(*stored);
  rows.bias.resize(features.size());
  if (gated) {
    rows.magnitudeScale.resize(features.size());
    rows.magnitudeBias.resize(features.size());
  }
  for (size_t i = 0; i < features.size(); ++i) {
    int64_t feature = features[i];
    // A feature whose decoder row is zero is never active, as in the formats.
    double scale = norm(decoderRows, i);
    auto row = rows.weight.row(i);
    double folded = 0;
    for (int64_t j = 0; j < subtracted.size(); ++j)
      folded += subtracted[j] * static_cast<double>(row[j]);
    Expected<float> effective =
        narrow(scale * (form.encoderBiasScale * (*bias)[i] - folded),
               "the encoder bias", feature);
    if (!effective)
      return effective.takeError();
    rows.bias[i] = *effective;
    if (form.centred)
      row.array() -= static_cast<float>(row.template cast<double>().mean());
    if (double factor = form.weightScale * scale; factor != 1) {
      row =
          (row.template cast<double>() * factor).template cast<float>().eval();
      if (!row.allFinite())
        return narrow(std::numeric_limits<double>::infinity(),
                      "the encoder row", feature)
            .takeError();
    }
    if (gated) {
      double magnitude = std::exp((*logMagnitude)[i]);
      Expected<float> narrowed =
          narrow(magnitude, "the magnitude scale", feature);
      if (!narrowed)
        return narrowed.takeError();
      rows.magnitudeScale[i] = *narrowed;
      narrowed = narrow(scale * (form.encoderBiasScale * (*magnitudeBias)[i] -
                                  magnitude * folded),
                        "the magnitude bias", feature);
      if (!narrowed)
        return narrowed.takeError();
      rows.magnitudeBias[i] = *narrowed;
    }
  }
  if (Error error = addThreshold(features, rows))
    return std::move(error);
  return rows;
}

Expected<RowMatrix>
LinearDictionary::decoder(ArrayRef<int64_t> requested) const {
  Expected<std::vector<int64_t>> selected = select(requested);
  if (!selected)
    return selected.takeError();
  if (Error error = load())
    return std::move(error);
  ArrayRef<int64_t> features = *selected;
  Expected<RowMatrix> rows =
      storedDecoder(features);
  if (!rows || (form.decoderScale == 1 && !form.byDecoderNorm))
    return rows;
  for (size_t i = 0; i < features.size(); ++i) {
    double scale = norm(*rows, i);
    if (scale == 0) {
      // Its direction is 0 / 0. Nobody asks for it who asks for all of them.
      if (requested.empty())
        continue;
      return fail(information.path,
                  "the decoder row of feature " + Twine(features[i]) +
                      " is zero, and activations are scaled by its norm");
    }
    auto row = rows->row(i);
    row = (row.template cast<double>() * (form.decoderScale / scale))
              .template cast<float>()
              .eval();
    if (!row.allFinite())
      return narrow(std::numeric_limits<double>::infinity(), "the decoder row",
                    features[i])
          .takeError();
  }
  return rows;
}

Expected<RowVector> LinearDictionary::decoderBias() const {
  RowVector result = RowVector::Zero(information.width);
  if (!form.decoderBias)
    return result;
  if (Error error = load())
    return std::move(error);
  if (Error error = requireFinite(information.path, *form.decoderBias))
    return std::move(error);
  for (int64_t i = 0; i < information.width; ++i)
    result[i] = static_cast<float>(form.decoderBias->view.at(i) *
                                   form.decoderBiasScale);
  if (!result.allFinite())
    return fail(information.path,
                form.decoderBias->name + " does not fit f32 once it is scaled");
  return result;
}

Expected<std::string> LinearDictionary::contentHash() const {
  if (Error error = load())
    return std::move(error);
  std::string text;
  raw_string_ostream os(text);
  os << "weir dictionary 1\n"
     << "activation " << static_cast<int>(information.activation) << " "
     << information.topK << "\n"
     << "normalization " << static_cast<int>(information.normalization) << "\n"
     << "reads " << information.readsSite << form.unreadable.empty() << "\n";
  for (double number :
       {form.weightScale, form.encoderBiasScale, form.inputBiasScale,
        form.decoderScale, form.decoderBiasScale, form.thresholdScale,
        form.decoderNormFloor, form.constantThreshold.value_or(-1)})
    os << format("%.17g ", number);
  os << form.byDecoderNorm << form.coefficients << form.thresholdIsLog
     << form.encoderByRow << form.decoderByRow
     << (form.centred ? "centred" : "");
  if (form.severalDecoders)
    os << " rows " << form.decoderStride << " " << form.decoderOffset;
  if (form.thresholdMustNotBeNegative)
    os << " signed";
  os << "\n";
  auto add = [&](StringRef role, const NamedTensor &tensor) {
    ArrayRef<std::byte> bytes(tensor.view.data, tensor.view.numBytes());
    os << role << " " << nameOf(tensor.view.dtype) << " "
       << shapeText(tensor.view.shape) << " " << sha256(bytes) << "\n";
  };
  auto addOptional = [&](StringRef role,
                         const std::optional<NamedTensor> &tensor) {
    if (tensor)
      add(role, *tensor);
  };
  if (!form.coefficients)
    add("encoder", form.encoder);
  add("decoder", form.decoder);
  addOptional("encoder bias", form.encoderBias);
  addOptional("decoder bias", form.decoderBias);
  addOptional("threshold", form.threshold);
  addOptional("log magnitude", form.logMagnitude);
  addOptional("magnitude bias", form.magnitudeBias);
  for (const NamedTensor &tensor : form.others)
    add("other", tensor);
  return sha256(StringRef(os.str()));
}

/// A size that is positive and fits 31 bits, as indices in generated code do.
static Error requireSizes(StringRef path, const NamedTensor &tensor) {
  for (int64_t size : tensor.view.shape) {
    if (size <= 0)
      return fail(path, tensor.text() + ", which holds nothing");
    if (size > std::numeric_limits<int32_t>::max())
      return fail(path, tensor.text() + ": sizes must be below 2^31");
  }
  return Error::success();
}

Expected<std::shared_ptr<Dictionary>> makeLinearDictionary(DictionaryInfo info,
                                                           LinearForm form) {
  StringRef path = info.path;
  if (Error error = requireSizes(path, form.decoder))
    return std::move(error);
  ArrayRef<int64_t> decoderShape = form.decoder.view.shape;
  info.width = decoderShape[form.decoderByRow ? 1 : 0];
  if (form.coefficients) {
    info.features = decoderShape[form.decoderByRow ? 0 : 1];
    info.inputWidth = info.width;
  } else {
    if (Error error = requireSizes(path, form.encoder))
      return std::move(error);
    ArrayRef<int64_t> shape = form.encoder.view.shape;
    info.features = shape[form.encoderByRow ? 0 : 1];
    info.inputWidth = shape[form.encoderByRow ? 1 : 0];
    // A transcoder may write to another width than it reads.
    int64_t width = info.readsSite ? info.inputWidth : info.width;
    SmallVector<int64_t, 2> expected = {info.features, width};
    // The opener of several decoders in one tensor has compared its parts.
    if (form.severalDecoders)
      expected[0] = decoderShape[0];
    if (!form.decoderByRow)
      std::swap(expected[0], expected[1]);
    if (Error error = requireShape(path, form.decoder, expected, form.encoder))
      return std::move(error);
    info.width = width;
    if (form.unreadable.empty() && info.inputWidth != info.width)
      form.unreadable = "reads values of " + std::to_string(info.inputWidth) +
                        " numbers and writes " + std::to_string(info.width) +
                        ": only its decoder rows can be used";
  }
  const NamedTensor &matrix = form.coefficients ? form.decoder : form.encoder;
  for (const std::optional<NamedTensor> *vector :
       {&form.encoderBias, &form.logMagnitude, &form.magnitudeBias})
    if (*vector)
      if (Error error = requireShape(path, **vector, {info.features}, matrix))
        return std::move(error);
  if (form.threshold && form.threshold->view.rank() != 0)
    if (Error error =
            requireShape(path, *form.threshold, {info.features}, matrix))
      return std::move(error);
  if (form.decoderBias)
    if (Error error =
            requireShape(path, *form.decoderBias, {info.width}, form.decoder))
      return std::move(error);
  if (info.activation == ActivationKind::TopK &&
      (info.topK < 1 || info.topK > info.features))
    return fail(path, "k = " + Twine(info.topK) + " for " +
                          Twine(info.features) + " features; expected 1 to " +
                          Twine(info.features));
  return std::make_shared<LinearDictionary>(std::move(info), std::move(form));
}

} // namespace weir::dictionary
