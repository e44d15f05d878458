//===- Generator.h - Prefill, decode, record ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_GENERATOR_H
#define WEIR_RUNTIME_GENERATOR_H

#include "weir/Runtime/EditStats.h"
#include "weir/Runtime/Engine.h"
#include "weir/Runtime/Program.h"
#include "weir/Runtime/Sampler.h"

#include <functional>

namespace weir {

/// What steers one row of a batch.
struct RowSettings {
  int64_t promptLength = 0;
  int64_t plan = Manifest::unsteeredIndex;
  std::vector<float> knobs; ///< one a knob of the manifest
};

/// The inputs of a program in the order of its manifest. `ids` and `positions`
/// are [b, S] i64, one settings a row with as many knobs as the manifest has.
std::vector<at::Tensor> makeProgramInputs(const Manifest &manifest,
                                          const at::Tensor &ids,
                                          const at::Tensor &positions,
                                          llvm::ArrayRef<RowSettings> settings);

struct GenerationRow {
  std::vector<int64_t> prompt; ///< ids, at least one
  int64_t plan = Manifest::unsteeredIndex;
  std::vector<float> knobs; ///< one a knob of the manifest
  SamplingOptions sampling;
};

enum class FinishReason { EndOfSequence, Stop, MaxNewTokens, MaxLength };
llvm::StringRef nameOf(FinishReason reason);

struct GenerationOptions {
  int64_t maxNewTokens = 128;
  /// Ids after which a row is done; the id itself is its last token.
  std::vector<int64_t> endOfSequence;
  /// Asked after each new token, if it is set, with all new tokens of a row;
  /// true ends the row.
  std::function<bool(size_t row, llvm::ArrayRef<int64_t> tokens)> isStopped;
  /// Keep the program's records. The last token of a row is then fed as well, so
  /// that prompt and generated tokens all have values.
  bool record = false;
  /// Count the tokens that are edited, of those that go through the program.
  bool count = false;
  /// The prefill goes through the program in pieces whose logits stay below this
  /// (a vocabulary of 262,144 makes 1 MiB of logits a token).
  int64_t prefillLogitBytes = 256 << 20;
  /// Called for every new token as soon as it is known.
  std::function<void(size_t row, int64_t token)> onToken;
};

struct GeneratedRow {
  std::vector<int64_t> tokens; ///< new ones
  FinishReason finish = FinishReason::MaxNewTokens;
  /// One a record of the manifest: values [tokens seen, width], row-major.
  std::vector<std::vector<float>> records;
  int64_t seen = 0;    ///< tokens that went through the program
  EditedTokens edited; ///< of them, if they were to be counted
};

/// Tokens that went through the program and the wall time this took. The first
/// new token of a row comes out of the prefill, the others out of the decoding.
struct GenerationTiming {
  int64_t prefillTokens = 0, decodeTokens = 0;
  double prefillSeconds = 0, decodeSeconds = 0;
};

struct Generation {
  std::vector<GeneratedRow> rows;
  std::vector<int64_t> recordWidths; ///< one a record
  GenerationTiming timing;
};

class Generator {
public:
  /// All of them outlive the generator.
  Generator(const Manifest &manifest, const ModelInfo &model, Engine &engine)
      : manifest(manifest), model(model), engine(engine) {}

  /// Generates for any number of rows; more than the program's batch are done
  /// in several batches, in order. Prompts of different lengths are padded on
  /// the right, with position -1. Errors: an empty prompt, one that leaves no
  /// room, an id outside the vocabulary, a plan or a number of knobs that the
  /// program does not have; whatever the engine or the sampler reports.
  llvm::Expected<Generation> generate(llvm::ArrayRef<GenerationRow> rows,
                                      const GenerationOptions &options);

  struct Logits {
    at::Tensor logits; ///< [b, S, V] f32, 0 at padding
    /// One a record: [b, S, width] f32, 0 at padding.
    std::vector<at::Tensor> records;
    /// One a row: its tokens that were edited.
    std::vector<EditedTokens> edited;
  };
  /// The logits of whole rows. `ids` is [b, S] i64, -1 padding on the right; one
  /// settings a row. The first `prefill` tokens of all rows go through the
  /// program at once, the others one by one as in decoding; by default it is one
  /// pass over everything.
  llvm::Expected<Logits>
  forward(const at::Tensor &ids, llvm::ArrayRef<RowSettings> settings,
          std::optional<int64_t> prefill = std::nullopt);

  /// What `generate` and `forward` refuse, without running anything.
  llvm::Error check(const GenerationRow &row) const;
  llvm::Error checkForward(const at::Tensor &ids,
                           llvm::ArrayRef<RowSettings> settings) const;

private:
  struct Batch;
  llvm::Error checkSettings(const RowSettings &settings) const;
  llvm::Error generateBatch(llvm::ArrayRef<GenerationRow> rows,
                            size_t firstRow, const GenerationOptions &options,
                            Generation &out);
  llvm::Error prefill(Batch &batch, Generation &out);
  llvm::Error decode(Batch &batch, Generation &out);
  llvm::Error feed(Batch &batch, const at::Tensor &ids,
                   const at::Tensor &positions, Generation &out);
  llvm::Expected<std::vector<at::Tensor>>
  forwardRows(const at::Tensor &ids, const at::Tensor &positions,
              llvm::ArrayRef<RowSettings> settings, int64_t prefill);
  llvm::Error checkOutput(llvm::ArrayRef<at::Tensor> outputs, int64_t output,
                          const at::Tensor &ids, const std::string &what) const;
  llvm::Expected<std::vector<at::Tensor>>
  call(const at::Tensor &ids, const at::Tensor &positions,
       llvm::ArrayRef<RowSettings> settings);

  const Manifest &manifest;
  const ModelInfo &model;
  Engine &engine;
};

} // namespace weir

#endif // WEIR_RUNTIME_GENERATOR_H
