//===- Formats.h - What the dictionary formats share ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Private to this library: errors, settings files, and the checks that every
// format makes before a matrix is believed.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DICTIONARY_FORMATS_H
#define WEIR_LIB_DICTIONARY_FORMATS_H

#include "weir/Dictionary/Dictionary.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/JSON.h"

namespace weir::dictionary {

/// "PATH: MESSAGE".
llvm::Error fail(llvm::StringRef path, const llvm::Twine &message);

/// "[576, 1536]".
std::string shapeText(llvm::ArrayRef<int64_t> shape);

/// A tensor with the name that errors call it by. One that was only described
/// has a type and a shape, and no numbers before `load`.
struct NamedTensor {
  std::string name;
  TensorView view;
  std::shared_ptr<const TensorFile> file = nullptr;
  size_t byteOffset = 0; ///< of the view in the stored tensor

  /// Gets the numbers if they are not there.
  llvm::Error load();

  /// Makes it the same numbers under another shape of as many elements.
  void reshape(llvm::ArrayRef<int64_t> shape);
  /// Makes it part `index` of its first dimension.
  void slice(int64_t index);

  /// "W_enc is f16 [576, 1536]".
  std::string text() const;
};

/// Folder + file, with the separator of the system.
std::string inFolder(llvm::StringRef folder, llvm::StringRef file);

/// The folder exists; otherwise an error that says what was expected in it.
llvm::Error requireFolder(llvm::StringRef path, llvm::StringRef holds);

/// A JSON object of settings. Every reader says which file and key is wrong.
class Settings {
public:
  static llvm::Expected<Settings> read(llvm::StringRef path);

  llvm::StringRef path() const { return file; }
  /// The value under `key`; null where it is missing or is JSON's null.
  const llvm::json::Value *find(llvm::StringRef key) const;
  /// The object under `key`, as settings of the same file; empty if missing.
  llvm::Expected<Settings> object(llvm::StringRef key) const;

  llvm::Expected<std::optional<bool>> boolean(llvm::StringRef key) const;
  llvm::Expected<std::optional<double>> number(llvm::StringRef key) const;
  llvm::Expected<std::optional<int64_t>> integer(llvm::StringRef key) const;
  llvm::Expected<std::optional<std::string>> string(llvm::StringRef key) const;

  /// An error about this key.
  llvm::Error wrong(llvm::StringRef key, const llvm::Twine &message) const;

private:
  std::string file;
  std::string prefix; ///< "metadata." inside an object
  llvm::json::Object values;
};

/// The tensor `name`, of a floating-point type and the given rank; described
/// only, since its size has to fit before its numbers are worth memory.
llvm::Expected<NamedTensor> floatTensor(const TensorFile &file,
                                        llvm::StringRef name, int64_t rank);

/// Refuses tensors whose names are not in `known`: they would be ignored.
llvm::Error refuseOtherTensors(const TensorFile &file,
                               llvm::ArrayRef<llvm::StringRef> known,
                               const llvm::Twine &why);

/// The tensor has this shape; the error shows it with the one it has to fit.
llvm::Error requireShape(llvm::StringRef path, const NamedTensor &tensor,
                         llvm::ArrayRef<int64_t> shape,
                         const NamedTensor &because);

/// A size from settings against the one of the tensors.
llvm::Error requireSize(const Settings &settings, llvm::StringRef key,
                        int64_t found, const NamedTensor &tensor);

/// Every element is finite; the error names the first that is not. `tensor` has
/// few elements.
llvm::Error requireFinite(llvm::StringRef path, const NamedTensor &tensor);

/// An encoder and a decoder in the terms of
///   z_i = n_i (weightScale <x, w_i> + encoderBiasScale b_i
///              - inputBiasScale <b_dec, w_i>),   x already normalised,
///   x^  = sum_i f_i (decoderScale / n_i) d_i + decoderBiasScale b_dec,
/// with n_i = max(|decoderScale d_i|, decoderNormFloor) where `byDecoderNorm`,
/// else 1. The other numbers are scaled as their comments say.
struct LinearForm {
  NamedTensor encoder;
  bool encoderByRow = false; ///< stored [F, d]; otherwise [d, F]
  NamedTensor decoder;
  bool decoderByRow = true;                ///< stored [F, d]; otherwise [d, F]
  std::optional<NamedTensor> encoderBias;  ///< b [F]
  std::optional<NamedTensor> decoderBias;  ///< b_dec [d]
  std::optional<NamedTensor> threshold;    ///< [F], or one element for all
  std::optional<double> constantThreshold; ///< where it is a setting
  bool thresholdIsLog = false;
  double thresholdScale = 1;
  /// Gated: magnitudeScale = exp(r_mag); magnitudeBias = b_mag scaled as b.
  std::optional<NamedTensor> logMagnitude, magnitudeBias;

  double weightScale = 1, encoderBiasScale = 1, inputBiasScale = 0;
  double decoderScale = 1, decoderBiasScale = 1;
  bool byDecoderNorm = false;
  double decoderNormFloor = 0;
  /// There are several decoders in one tensor, of which this one's d_i is row
  /// i * decoderStride + decoderOffset. Only with decoderByRow.
  bool severalDecoders = false;
  int64_t decoderStride = 1, decoderOffset = 0;
  /// The format computes z [z > theta] without a ReLU, so that a negative theta
  /// lets negative activations pass: an error where such a feature is read.
  bool thresholdMustNotBeNegative = false;
  /// w_i is the stored row without its mean (see Centring); b_dec is
  /// subtracted along the stored one.
  bool centred = false;
  /// The encoder row is d_i / <d_i, d_i> (no `encoder` then).
  bool coefficients = false;
  /// Where the encoder is not to be read at this site: the reason.
  std::string unreadable;
  /// Part of the content hash, with the numbers above: other weights.
  std::vector<NamedTensor> others;
};

/// Checks sizes (positive, below 2^31, agreeing with each other and with
/// `info`) and makes the dictionary. `info.features`, `inputWidth` and `width`
/// are set from the matrices.
llvm::Expected<std::shared_ptr<Dictionary>>
makeLinearDictionary(DictionaryInfo info, LinearForm form);

/// Makes a form one of a transcoder, which reads at `in` and writes at `out`
/// (empty where the files do not say; names as parseHookName takes them). Where
/// nothing says where it reads, its encoder cannot be used.
void makeTranscoder(DictionaryInfo &info, LinearForm &form, std::string in,
                    std::string out, const DictionaryPlace &place);

/// An affine connection from a transcoder's input to its output. An edit changes
/// features, not what they are read from, so it never meets it: part of the
/// content hash alone. `byInput`: stored [input, output], else the other way.
llvm::Error addSkip(const TensorFile &file, llvm::StringRef name, bool byInput,
                    LinearForm &form);

/// One opener a format.
llvm::Expected<std::shared_ptr<Dictionary>>
openSAELens(llvm::StringRef path, const ModelTraits &model,
            const DictionaryPlace &place);
llvm::Expected<std::shared_ptr<Dictionary>>
openGemmaScope(llvm::StringRef path, const DictionaryPlace &place);
llvm::Expected<std::shared_ptr<Dictionary>>
openGemmaScope2(llvm::StringRef path, const DictionaryPlace &place);
llvm::Expected<std::shared_ptr<Dictionary>>
openLlamaScope(llvm::StringRef path, const DictionaryPlace &place);
llvm::Expected<std::shared_ptr<Dictionary>>
openDirections(llvm::StringRef path, const DictionaryPlace &place);
llvm::Expected<std::shared_ptr<Dictionary>>
openSparsify(llvm::StringRef path, const DictionaryPlace &place);
llvm::Expected<std::shared_ptr<Dictionary>>
openDictionaryLearning(llvm::StringRef path);
llvm::Expected<std::shared_ptr<Dictionary>>
openCircuitTracer(llvm::StringRef path, const DictionaryPlace &place);
llvm::Expected<std::shared_ptr<Dictionary>>
openCrosscoder(llvm::StringRef path, const DictionaryPlace &place);

} // namespace weir::dictionary

#endif // WEIR_LIB_DICTIONARY_FORMATS_H
