//===- Dictionary.h - Dictionaries of features ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A dictionary gives, at one site of a model, F features with an encoder
// f = act(norm(x) W_enc + b_enc) and a decoder x^ = f W_dec + b_dec
// (SAE Match, arXiv 2410.07656, section 2). Every format is brought to one
// effective form when its rows are read:
//
//   * constant input or output scales, and decoder norms where a format counts
//     them in, are multiplied into encoder and decoder;
//   * a b_dec subtracted at the input is folded into the encoder bias:
//     b_enc[i] - <b_dec, W_enc[:, i]>, in f64;
//   * what depends on the token (see Normalization) stays a run-time factor.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DICTIONARY_DICTIONARY_H
#define WEIR_DICTIONARY_DICTIONARY_H

#include "weir/Program/Tensor.h"

#include <Eigen/Core>

#include <optional>

namespace weir {

using RowMatrix =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowVector = Eigen::Matrix<float, 1, Eigen::Dynamic>;

/// act(z). JumpReLU is z where z > theta, strictly, else 0. TopK keeps the k
/// largest values over all F features and passes them through ReLU. Gated
/// dictionaries are [z > 0] * relu(z_mag), see EncoderRows.
enum class ActivationKind { Identity, ReLU, JumpReLU, TopK, Gated };

/// What happens to x before the encoder, token by token. With d the width:
/// ConstantNorm: x * sqrt(d) / |x|; LayerNorm: (x - mean) / (std + 1e-5), where
/// std = sqrt(sum (x - mean)^2 / (d - 1)) as sae_lens has it (torch.std, hence
/// d - 1). The decoder's output is brought back by the inverse factor, so an
/// edit of size e along row d_i adds e * d_i * |x| / sqrt(d), or e * d_i * std
/// (without the 1e-5). At |x| = 0 ConstantNorm is undefined (0 / 0).
enum class Normalization { None, ConstantNorm, LayerNorm };

/// Whether the residual stream that a dictionary was trained on had its mean
/// taken away at every token. TransformerLens does that (center_writing_weights)
/// to models with LayerNorm, whose numbers it does not change, and to no others.
/// The effective encoder rows are then w - mean(w), which read from x what w
/// reads from x - mean(x).
enum class Centring { No, IfLayerNorm };

/// What is known of a dictionary without reading its matrices.
struct DictionaryInfo {
  std::string path;       ///< folder or file that was opened
  int64_t features = 0;   ///< F
  int64_t inputWidth = 0; ///< width of the encoder's input
  int64_t width = 0;      ///< d, width of the decoder's rows
  ActivationKind activation = ActivationKind::ReLU;
  int64_t topK = 0; ///< k of TopK, else 0
  Normalization normalization = Normalization::None;
  /// The model site its own metadata names, verbatim
  /// ("blocks.12.hook_resid_post"), or empty.
  std::string hookName;
  /// Where the decoder writes, if the metadata names another place than
  /// hookName (transcoders), else empty.
  std::string outputHookName;
  /// False where the encoder's input is not the value of the site that the
  /// decoder writes to: transcoders and neurons. They are read at the place that
  /// hookName means; where that is not known, only their decoder rows can be
  /// used (added, projected out and matched).
  bool readsSite = true;
  /// Of a cross-layer transcoder the last layer that its features write at, else
  /// none. The rows of later layers are those of another `target`.
  std::optional<int64_t> lastTarget;
  Centring centring = Centring::No;
};

/// Rows of an encoder in effective form, for k features, all f32:
/// z = x weight^T + bias.
struct EncoderRows {
  RowMatrix weight; ///< [k, inputWidth]
  RowVector bias;   ///< [k]
  /// [k], JumpReLU only, else empty; never negative: the formats compute
  /// relu(z) * [z > theta], which for theta < 0 is theta = 0.
  RowVector threshold;
  /// Gated only: z_mag = (x weight^T) * magnitudeScale + magnitudeBias.
  RowVector magnitudeScale, magnitudeBias;
};

class Dictionary {
public:
  virtual ~Dictionary() = default;
  const DictionaryInfo &info() const { return information; }

  /// Effective encoder rows of the given features (all of them if empty).
  /// Errors: an index out of range; NaN or infinity, with tensor and place; a
  /// transcoder, whose encoder reads another site than its decoder writes to.
  virtual llvm::Expected<EncoderRows>
  encoder(llvm::ArrayRef<int64_t> features) const = 0;
  /// Effective decoder rows [k, width].
  virtual llvm::Expected<RowMatrix>
  decoder(llvm::ArrayRef<int64_t> features) const = 0;
  /// Decoder bias [width]; zero where the format has none. Under a
  /// Normalization it is in normalised units, as the decoder's rows are.
  virtual llvm::Expected<RowVector> decoderBias() const = 0;
  /// SHA-256 over the bytes of the weights and the settings that matter; the
  /// same for a copy in another place. Reads every byte.
  virtual llvm::Expected<std::string> contentHash() const = 0;

protected:
  DictionaryInfo information;
};

/// The formats by the names they have in a spec.
enum class DictionaryFormat {
  SAELens,
  GemmaScope,
  GemmaScope2,
  LlamaScope,
  Neurons,
  Unembedding,
  Directions,
  Sparsify,
  DictionaryLearning,
  CircuitTracer,
  Crosscoder,
};
std::optional<DictionaryFormat> parseDictionaryFormat(llvm::StringRef name);
llvm::StringRef nameOf(DictionaryFormat format);

/// What opening a dictionary needs to know of its model.
struct ModelTraits {
  /// Whether its norms are LayerNorms; none if there is no model.
  std::optional<bool> hasLayerNorm;
};

/// Which one is meant of the dictionaries that a path may hold.
struct DictionaryPlace {
  /// The layer of the features; none if nobody says.
  std::optional<int64_t> layer;
  /// The layer whose decoder rows are wanted, of a cross-layer transcoder; the
  /// layer of the features unless given.
  std::optional<int64_t> target;
  /// The layers that share this path: a file of one dictionary is an error then.
  int64_t firstLayer = 0, lastLayer = 0;
  /// It is known from elsewhere where a transcoder's encoder reads.
  bool readsKnown = false;

  bool isShared() const { return firstLayer < lastLayer; }
};

/// Opens a dictionary stored in files: `path` is the folder (sae_lens,
/// gemma_scope, gemma_scope_2, llama_scope, sparsify, dictionary_learning,
/// crosscoder, and cross-layer transcoders of circuit_tracer) or the file
/// (directions, per-layer transcoders of circuit_tracer). Only headers are read;
/// matrices are mapped. Neurons and unembedding are made of a model's weights,
/// by the functions below: an error here.
///   sae_lens       cfg.json, sae_weights.safetensors (sae-lens 6.54)
///   gemma_scope    params.npz (arXiv 2408.05147)
///   gemma_scope_2  config.json, params.safetensors
///   llama_scope    hyperparams.json, checkpoints/final.safetensors
///                  (arXiv 2410.20526)
///   directions     .safetensors, .npz, .npy, .pt or .gguf: one tensor [n, d] or
///                  [d], the tensor called "directions", or one tensor a layer
///   sparsify       cfg.json, sae.safetensors (eai-sparsify 1.3)
///   dictionary_learning  config.json, ae.pt (dictionary-learning 0.1)
///   circuit_tracer layer_L.safetensors, or W_enc_L.safetensors and
///                  W_dec_L.safetensors (circuit-tracer 0.5)
///   crosscoder     model.safetensors, decoder rows only
/// Whatever would change a number and is not supported is an error. Where a
/// number depends on the model (Centring) and `model` does not tell, only the
/// decoder can be read.
llvm::Expected<std::shared_ptr<Dictionary>>
openDictionary(DictionaryFormat format, llvm::StringRef path,
               const ModelTraits &model = {}, const DictionaryPlace &place = {});

/// A dictionary made from a model's own weights, for its directions (readsSite
/// is false: the MLP's input, not its output, decides about a neuron).
/// neurons: encoder rows are rows of `gate` (or of `up` where the family has no
/// gate) [F, d], identity activation; decoder rows are the columns of `down`
/// [d, F]. Where `downIsTransposed`, as in GPT-2's Conv1D, all of them are
/// stored the other way round: `gate` and `up` [d, F], `down` [F, d].
llvm::Expected<std::shared_ptr<Dictionary>>
neuronsDictionary(TensorView gateOrUp, std::optional<TensorView> up,
                  TensorView down, bool downIsTransposed);
/// unembedding: decoder rows are the rows u of the unembedding matrix [V, d],
/// encoder rows u / <u, u>, identity activation: f is the coefficient of u in
/// x, so that setting f and reading it again agree. `directions` does the same.
/// A zero row has no such coefficient: reading its encoder row is an error.
llvm::Expected<std::shared_ptr<Dictionary>>
unembeddingDictionary(TensorView unembedding);

} // namespace weir

#endif // WEIR_DICTIONARY_DICTIONARY_H
