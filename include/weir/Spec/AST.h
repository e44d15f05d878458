//===- AST.h - What a spec says ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The tree of a spec, close to how it is written: every key and value keeps its
// place, names are not resolved, defaults that mean "not written" stay empty.
// docs/spec.md describes the language.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SPEC_AST_H
#define WEIR_SPEC_AST_H

#include "weir/Spec/Source.h"

#include <optional>
#include <string>
#include <vector>

namespace weir::spec {

/// A finite number that an f32 can hold.
using Number = Marked<double>;
using Integer = Marked<int64_t>;
using Name = Marked<std::string>;

/// Largest layer, feature index, token position and count that a spec may hold.
constexpr int64_t maxLayer = 9999;
constexpr int64_t maxIndex = (int64_t(1) << 31) - 1;
constexpr int64_t maxCount = 4096;
/// Most matches of a feature that are computed exactly.
constexpr int64_t maxMatches = 256;
/// Most entries of a section, and most features that all policies name together
/// (a list counts once for each policy that uses it).
constexpr size_t maxEntries = 100000;
constexpr size_t maxSelected = 1000000;
/// Most features that all conditions together compare.
constexpr size_t maxCompared = 100000;

//===----------------------------------------------------------------------===//
// Sites and features
//===----------------------------------------------------------------------===//

/// In the order in which a block computes them.
enum class SiteKind { Head, Att, Mid, Mlp, Res };
constexpr unsigned numSiteKinds = 5;
llvm::StringRef nameOf(SiteKind kind);

/// `first..last`, both included.
struct LayerRange {
  int64_t first = 0, last = 0;
  SourceRange range;
  bool contains(int64_t layer) const { return first <= layer && layer <= last; }
};

/// `layer/site`, with an optional `dictionary:` before it.
struct SiteRef {
  std::optional<Name> dictionary;
  Integer layer;
  Marked<SiteKind> site;
  SourceRange range;
};

/// `layer/site/index`, with an optional `dictionary:` before it.
struct FeatureRef {
  SiteRef site;
  Integer index;
  SourceRange range;
};

//===----------------------------------------------------------------------===//
// Selectors
//===----------------------------------------------------------------------===//

/// One way to name features.
struct Selector {
  enum class Kind {
    Feature,      ///< feature
    Named,        ///< name: an entry of `features`
    Antagonists,  ///< count antagonists of feature
    WholeSite,    ///< site
    Graph,        ///< name: an entry of `graphs`
    Predecessors, ///< of feature, by the match `match`
    Successors,   ///< of feature, by the match `match`
  };
  Kind kind = Kind::Feature;
  SourceRange range;
  FeatureRef feature;
  SiteRef site;
  Name name;
  std::optional<Name> match;
  int64_t count = 1;
};
/// The key that introduces a selector, "features" for single features.
llvm::StringRef nameOf(Selector::Kind kind);

/// The union of some selectors, in order.
struct Selection {
  std::vector<Selector> selectors;
  SourceRange range;
};

//===----------------------------------------------------------------------===//
// Sections
//===----------------------------------------------------------------------===//

struct Model {
  SourceRange range;           ///< the key `model`
  std::optional<Name> program; ///< else the command line gives it
  struct Site {
    Marked<SiteKind> kind;
    Name path;
  };
  std::vector<Site> sites; ///< empty for `auto`
};

enum class Format {
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
llvm::StringRef nameOf(Format format);
/// Whether dictionaries of a format are made from the model's own weights.
bool isMadeFromModel(Format format);
/// Whether one path may hold the dictionaries of several layers.
bool holdsSeveralLayers(Format format);

/// Where an encoder can read: at the sites, and at the input of an MLP.
enum class ReadPlace { Head, Att, Mid, Mlp, Res, MlpIn };

/// Whether the place that a dictionary's own files name is held against the
/// spec's.
enum class HookCheck { Check, Ignore };

struct DictionarySet {
  Name name;
  std::optional<Marked<Format>> format;
  std::optional<Name> path;
  std::vector<Marked<SiteKind>> sites;
  std::optional<LayerRange> layers;
  std::optional<Marked<HookCheck>> hook;
  std::optional<Marked<ReadPlace>> reads; ///< of transcoders
  /// False where the entry could not be read: then nothing is held against it.
  bool isComplete() const { return format && !sites.empty() && layers; }
  bool hasSite(SiteKind kind) const;
};

enum class MatchMethod { TopK, Permutation };
enum class Similarity { Cosine, Dot, MeanSquaredError, Pearson };
enum class Folding { None, Threshold, MeanActivation, DecoderNorm };
enum class WeightPart { Decoder, Encoder, EncoderBias };

struct Match {
  Name name;
  bool isRead = false; ///< the entry is a mapping
  std::optional<Name> dictionary;
  std::vector<Marked<SiteKind>> sites;
  std::optional<LayerRange> layers;
  Marked<MatchMethod> method;
  int64_t k = 1;
  std::optional<Marked<Similarity>> similarity;
  std::optional<Name> text;
  std::optional<Marked<Folding>> fold;
  std::vector<Marked<WeightPart>> weights;
};

struct Graph {
  Name name;
  std::optional<FeatureRef> from;
  std::optional<Name> match;
  std::optional<LayerRange> layers;
  struct Threshold {
    Marked<SiteKind> site;
    Number least;
  };
  std::vector<Threshold> keep;
};

struct FeatureList {
  Name name;
  Selection selection;
};

struct Knob {
  Name name;
  Number defaultValue;
  std::optional<std::pair<Number, Number>> bounds;
};

//===----------------------------------------------------------------------===//
// Policies
//===----------------------------------------------------------------------===//

enum class Action {
  Add,
  Set,
  Scale,
  Clamp,
  Ablate,
  Transfer,
  ProjectOut,
  Substitute,
  Record,
};
llvm::StringRef nameOf(Action action);
/// Actions that say what a feature's activation becomes: a feature takes at
/// most one of them in a plan.
bool isAbsolute(Action action);

enum class ScheduleKind { Constant, Linear, Exponential, Gaussian };
llvm::StringRef nameOf(ScheduleKind kind);

struct Strength {
  SourceRange range;
  Number value;
  ScheduleKind schedule = ScheduleKind::Constant;
  std::optional<Number> rate;          ///< exponential
  std::optional<Number> last;          ///< linear
  std::optional<Number> center, width; ///< gaussian
};
/// Rate of an exponential schedule that does not give one (arXiv 2502.03032).
constexpr double defaultRate = -0.05;

struct Layers {
  enum class Kind { Own, Cumulative, Range };
  Kind kind = Kind::Own;
  LayerRange span; ///< Range
  SourceRange range;
};

struct Tokens {
  enum class Part { All, Prompt, Generated, Last };
  SourceRange range;
  Part part = Part::All;
  std::vector<Integer> positions;
  std::optional<Integer> from, to, skipFirst;
};

/// A tree of conditions; its depth is bounded by that of the YAML.
struct Condition {
  enum class Kind { Compare, Any, All };
  Kind kind = Kind::Compare;
  SourceRange range;
  FeatureRef feature;
  std::optional<Number> above, below;
  std::vector<Condition> children;
};

enum class SubstituteForm {
  Permutation,
  Quantile,
  Drop,
  EncodeDecodeCurrent,
  EncodeDecodePrevious,
};

struct Policy {
  Name name;
  std::optional<Marked<Action>> action;
  Selection on, to;
  std::optional<Strength> strength;
  std::optional<Number> value, factor, min, max;
  std::optional<Name> times;
  bool normalize = false, onlyActive = false, preserveNorm = false;
  std::optional<Layers> layers;
  std::optional<Tokens> tokens;
  std::optional<Condition> when;
  std::optional<Name> gate;  ///< record: of this policy, in place of features
  std::vector<SiteRef> values; ///< record: of these sites, in place of features
  SourceRange valuesRange;     ///< where they are written
  std::optional<Marked<bool>> after; ///< record
  std::optional<Name> match; ///< substitute
  SubstituteForm form = SubstituteForm::Permutation;
  std::optional<Number> quantile;
  std::optional<Name> dictionary; ///< substitute, in forms without a match
};

struct Plan {
  Name name;
  std::vector<Name> policies;
};

struct Spec {
  Model model;
  std::vector<DictionarySet> dictionaries;
  std::vector<Match> matches;
  std::vector<Graph> graphs;
  std::vector<FeatureList> features;
  std::vector<Knob> knobs;
  std::vector<Policy> policies;
  /// Where nothing is said about plans there is one, `default`, of all
  /// policies.
  std::vector<Plan> plans;
  bool hasPlans = false;
  /// Keys of the sections that are there and have something in them.
  std::optional<SourceRange> matchesKey, graphsKey;
};

} // namespace weir::spec

#endif // WEIR_SPEC_AST_H
