//===- Dictionary.cpp - The formats by name ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dictionary/Dictionary.h"

#include "Formats.h"

#include "llvm/Support/ErrorHandling.h"

using namespace llvm;
using namespace weir::dictionary;

namespace weir {

namespace {

struct NamedFormat {
  StringRef name;
  DictionaryFormat format;
};

constexpr NamedFormat formats[] = {
    {"sae_lens", DictionaryFormat::SAELens},
    {"gemma_scope", DictionaryFormat::GemmaScope},
    {"gemma_scope_2", DictionaryFormat::GemmaScope2},
    {"llama_scope", DictionaryFormat::LlamaScope},
    {"neurons", DictionaryFormat::Neurons},
    {"unembedding", DictionaryFormat::Unembedding},
    {"directions", DictionaryFormat::Directions},
    {"sparsify", DictionaryFormat::Sparsify},
    {"dictionary_learning", DictionaryFormat::DictionaryLearning},
    {"circuit_tracer", DictionaryFormat::CircuitTracer},
    {"crosscoder", DictionaryFormat::Crosscoder},
};

} // namespace

std::optional<DictionaryFormat> parseDictionaryFormat(StringRef name) {
  for (const NamedFormat &entry : formats)
    if (entry.name == name)
      return entry.format;
  return std::nullopt;
}

StringRef nameOf(DictionaryFormat format) {
  for (const NamedFormat &entry : formats)
    if (entry.format == format)
      return entry.name;
  llvm_unreachable("unknown dictionary format");
}

Expected<std::shared_ptr<Dictionary>>
openDictionary(DictionaryFormat format, StringRef path,
               const ModelTraits &model, const DictionaryPlace &place) {
  switch (format) {
  case DictionaryFormat::SAELens:
    return openSAELens(path, model, place);
  case DictionaryFormat::GemmaScope:
    return openGemmaScope(path, place);
  case DictionaryFormat::GemmaScope2:
    return openGemmaScope2(path, place);
  case DictionaryFormat::LlamaScope:
    return openLlamaScope(path, place);
  case DictionaryFormat::Directions:
    return openDirections(path, place);
  case DictionaryFormat::Sparsify:
    return openSparsify(path, place);
  case DictionaryFormat::DictionaryLearning:
    return openDictionaryLearning(path);
  case DictionaryFormat::CircuitTracer:
    return openCircuitTracer(path, place);
  case DictionaryFormat::Crosscoder:
    return openCrosscoder(path, place);
  case DictionaryFormat::Neurons:
  case DictionaryFormat::Unembedding:
    return fail(path,
                "a dictionary of format '" + nameOf(format) +
                    "' is made from the model's weights, not from a file");
  }
  llvm_unreachable("unknown dictionary format");
}

} // namespace weir
