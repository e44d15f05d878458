//===- Keywords.cpp - The words of the spec language ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Spec/Keywords.h"

#include "llvm/ADT/STLExtras.h"

using namespace weir::spec;
using llvm::ArrayRef;
using llvm::StringRef;

// A static table of words, as a function that returns it.
#define WORDS(name, ...)                                                       \
  ArrayRef<StringRef> weir::spec::name() {                                     \
    static constexpr StringRef words[] = {__VA_ARGS__};                        \
    return words;                                                              \
  }
#define KEYS(name, what, ...)                                                  \
  Keys weir::spec::name() {                                                    \
    static constexpr StringRef words[] = {__VA_ARGS__};                        \
    return {what, words};                                                      \
  }

KEYS(specKeys, "a spec", "weir", "model", "dictionaries", "matches", "graphs",
     "labels", "features", "knobs", "policies", "plans")
KEYS(modelKeys, "a model", "program", "sites")
KEYS(dictionaryKeys, "a dictionary", "format", "path", "sites", "layers",
     "hook", "reads")
KEYS(matchKeys, "a match", "dictionary", "method", "sites", "layers", "k",
     "similarity", "text", "fold", "weights")
KEYS(graphKeys, "a graph", "from", "match", "layers", "direction", "width",
     "keep", "text", "union", "intersection", "difference", "path")
KEYS(keepKeys, "'keep'", "similarity", "null", "effect", "head", "att", "mid",
     "mlp", "res")
KEYS(thresholdKeys, "a threshold", "similarity", "null", "effect")
KEYS(graphPartKeys, "a part of a graph", "graph", "sites", "layers", "roots",
     "leaves", "steps")
KEYS(knobKeys, "a knob", "default", "range")
KEYS(policyKeys, "a policy", "on", "do", "strength", "normalize", "layers",
     "value", "factor", "min", "max", "to", "only_active", "times", "norm",
     "match", "form", "quantile", "dictionary", "after", "gate", "tokens",
     "when")
KEYS(strengthKeys, "a strength", "value", "dose", "text", "schedule", "times",
     "rate", "last", "center", "width", "weight")
KEYS(tokensKeys, "a set of tokens", "part", "positions", "from", "to",
     "skip_first", "after", "until", "between", "ramp", "decay")
KEYS(rampKeys, "a ramp", "over")
KEYS(decayKeys, "a decay", "half")
KEYS(conditionKeys, "a condition", "feature", "above", "below", "any", "all",
     "graph", "sites", "layers", "roots", "leaves", "steps", "nodes")
KEYS(selectorKeys, "a selector", "features", "antagonists", "site", "graph",
     "predecessors", "successors", "attribution", "count", "match",
     "dictionary", "sites", "layers", "roots", "leaves", "steps")

// In the order of the enumerations.
WORDS(siteNames, "head", "att", "mid", "mlp", "res")
WORDS(formatNames, "sae_lens", "gemma_scope", "gemma_scope_2", "llama_scope",
      "neurons", "unembedding", "directions", "sparsify",
      "dictionary_learning", "circuit_tracer", "crosscoder")
WORDS(hookNames, "check", "ignore")
WORDS(readNames, "head", "att", "mid", "mlp", "res", "mlp_in")
WORDS(methodNames, "top_k", "permutation")
WORDS(similarityNames, "cosine", "dot", "mse", "pearson")
WORDS(foldingNames, "none", "threshold", "mean_activation", "decoder_norm")
WORDS(weightNames, "decoder", "encoder", "encoder_bias")
WORDS(actionNames, "add", "set", "scale", "clamp", "ablate", "transfer",
      "project_out", "substitute", "record")
WORDS(scheduleNames, "constant", "linear", "exponential", "gaussian")
WORDS(layersNames, "own", "cumulative", "all")
WORDS(directionNames, "backward", "forward", "both")
WORDS(strengthWeightNames, "none", "similarity", "effect")
WORDS(nodesNames, "any", "all")
WORDS(tokenPartNames, "all", "prompt", "generated", "last", "sampled")
WORDS(substituteFormNames, "permutation", "quantile", "drop",
      "encode_decode_current", "encode_decode_previous")

#undef WORDS
#undef KEYS

ArrayRef<StringRef> weir::spec::actionKeys(Action action) {
  static constexpr StringRef add[] = {"strength", "normalize", "layers",
                                      "times", "norm"};
  static constexpr StringRef set[] = {"value", "times", "only_active", "norm"};
  static constexpr StringRef scale[] = {"factor", "times", "only_active",
                                        "norm"};
  static constexpr StringRef clamp[] = {"min", "max", "only_active", "norm"};
  static constexpr StringRef ablate[] = {"only_active", "norm"};
  static constexpr StringRef transfer[] = {"to", "norm"};
  static constexpr StringRef projectOut[] = {"layers", "norm"};
  static constexpr StringRef substitute[] = {"layers", "form", "match",
                                             "quantile", "dictionary"};
  static constexpr StringRef record[] = {"after", "gate", "value"};
  switch (action) {
  case Action::Add:
    return add;
  case Action::Set:
    return set;
  case Action::Scale:
    return scale;
  case Action::Clamp:
    return clamp;
  case Action::Ablate:
    return ablate;
  case Action::Transfer:
    return transfer;
  case Action::ProjectOut:
    return projectOut;
  case Action::Substitute:
    return substitute;
  case Action::Record:
    return record;
  }
  llvm_unreachable("covered");
}

ArrayRef<StringRef> weir::spec::scheduleKeys(ScheduleKind schedule) {
  static constexpr StringRef linear[] = {"last"};
  static constexpr StringRef exponential[] = {"rate"};
  static constexpr StringRef gaussian[] = {"center", "width"};
  switch (schedule) {
  case ScheduleKind::Constant:
    return {};
  case ScheduleKind::Linear:
    return linear;
  case ScheduleKind::Exponential:
    return exponential;
  case ScheduleKind::Gaussian:
    return gaussian;
  }
  llvm_unreachable("covered");
}

StringRef weir::spec::nameOf(SiteKind kind) {
  return siteNames()[static_cast<size_t>(kind)];
}
StringRef weir::spec::nameOf(Format format) {
  return formatNames()[static_cast<size_t>(format)];
}
StringRef weir::spec::nameOf(Action action) {
  return actionNames()[static_cast<size_t>(action)];
}
StringRef weir::spec::nameOf(ScheduleKind kind) {
  return scheduleNames()[static_cast<size_t>(kind)];
}

StringRef weir::spec::nameOf(Graph::Kind kind) {
  switch (kind) {
  case Graph::Kind::Walk:
    return "from";
  case Graph::Kind::Union:
    return "union";
  case Graph::Kind::Intersection:
    return "intersection";
  case Graph::Kind::Difference:
    return "difference";
  case Graph::Kind::Path:
    return "path";
  }
  llvm_unreachable("covered");
}

StringRef weir::spec::nameOf(Selector::Kind kind) {
  switch (kind) {
  case Selector::Kind::Feature:
  case Selector::Kind::Named:
    return "features";
  case Selector::Kind::Antagonists:
  case Selector::Kind::Opposed:
    return "antagonists";
  case Selector::Kind::WholeSite:
    return "site";
  case Selector::Kind::Graph:
    return "graph";
  case Selector::Kind::Predecessors:
    return "predecessors";
  case Selector::Kind::Successors:
    return "successors";
  }
  llvm_unreachable("covered");
}

bool weir::spec::isMadeFromModel(Format format) {
  return format == Format::Neurons || format == Format::Unembedding;
}

bool weir::spec::holdsSeveralLayers(Format format) {
  return format == Format::Directions || format == Format::CircuitTracer ||
         format == Format::Crosscoder;
}

bool weir::spec::isAbsolute(Action action) {
  switch (action) {
  case Action::Set:
  case Action::Scale:
  case Action::Clamp:
  case Action::Ablate:
  case Action::Transfer:
    return true;
  case Action::Add:
  case Action::ProjectOut:
  case Action::Substitute:
  case Action::Record:
    return false;
  }
  llvm_unreachable("covered");
}

bool DictionarySet::hasSite(SiteKind kind) const {
  return llvm::any_of(sites,
                      [&](const auto &site) { return site.value == kind; });
}
