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

#include <memory>
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

/// Which nodes of a graph are meant.
struct GraphPart {
  std::vector<Marked<SiteKind>> sites; ///< any unless given
  std::optional<LayerRange> layers;
  enum class Ends { Any, Roots, Leaves };
  Ends ends = Ends::Any;
  std::optional<Integer> steps; ///< from a target
};

/// One way to name features.
struct Selector {
  enum class Kind {
    Feature,      ///< feature
    Named,        ///< name: an entry of `features`
    Antagonists,  ///< count antagonists of feature
    WholeSite,    ///< site
    Graph,        ///< part of name: an entry of `graphs`
    Opposed,      ///< count antagonists of each feature of a part of a graph
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
  std::shared_ptr<const GraphPart> part; ///< of a graph
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

enum class Direction { Backward, Forward, Both };

struct Graph {
  enum class Kind { Walk, Union, Intersection, Difference, Path };
  Name name;
  /// None where the entry could not be read: then nothing is held against it.
  std::optional<Kind> kind;
  std::optional<Name> match; ///< walk, path
  std::optional<Name> text;  ///< walk, path: that effects were measured on

  // Walks.
  Selection from;
  std::optional<LayerRange> layers;
  Direction direction = Direction::Backward;
  std::optional<Integer> width;
  struct Threshold {
    std::optional<Marked<SiteKind>> site; ///< all sites unless given
    std::optional<Number> similarity, null, effect;
  };
  std::vector<Threshold> keep;
  SourceRange keepRange;

  // Algebra: names of graphs. A path: its two ends.
  std::vector<Name> of;
  std::optional<FeatureRef> first, last;
  SourceRange pathRange;
};
/// The key that says what kind of graph an entry is.
llvm::StringRef nameOf(Graph::Kind kind);
/// The largest quantile of what random directions reach that can be told.
constexpr double maxNullQuantile = 0.999;
/// How deep graphs may be made of graphs.
constexpr int64_t maxGraphDepth = 64;

/// The name of a feature.
struct Label {
  FeatureRef feature;
  Name name;
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

/// What the features of a graph are weighted by.
enum class StrengthWeight { None, Similarity, Effect };

struct Strength {
  SourceRange range;
  /// With `text`, a dose: a share of the median norm of the site's values on it.
  Number value;
  std::optional<Name> text;
  std::optional<Marked<StrengthWeight>> weight;
  ScheduleKind schedule = ScheduleKind::Constant;
  std::optional<Number> rate;          ///< exponential
  std::optional<Number> last;          ///< linear
  std::optional<Number> center, width; ///< gaussian
};
/// Rate of an exponential schedule that does not give one (arXiv 2502.03032).
constexpr double defaultRate = -0.05;

struct Layers {
  enum class Kind { Own, Cumulative, All, Range };
  Kind kind = Kind::Own;
  LayerRange span; ///< Range
  SourceRange range;
};

/// A token of the model: an id, or a text that its tokenizer makes one of.
struct Marker {
  std::optional<int64_t> id;
  std::string text; ///< where there is no id
  SourceRange range;
  bool operator==(const Marker &other) const {
    return id == other.id && text == other.text;
  }
};

struct Tokens {
  enum class Part { All, Prompt, Generated, Last, Sampled };
  SourceRange range;
  Part part = Part::All;
  std::vector<Integer> positions;
  std::optional<Integer> from, to, skipFirst;
  /// Any token of a list will do. `opens` and `closes` are those of `between`.
  std::vector<Marker> after, until, opens, closes;
  std::optional<Integer> over;      ///< of `ramp`
  std::optional<Number> half;       ///< of `decay`
  std::optional<SourceRange> share; ///< the key of the first of these two
};

/// A tree of conditions; its depth is bounded by that of the YAML.
struct Condition {
  enum class Kind {
    Compare, ///< feature
    Watch,   ///< any node, or every one, of a part of a graph
    Any,
    All
  };
  Kind kind = Kind::Compare;
  SourceRange range;
  FeatureRef feature;
  Name graph;
  std::shared_ptr<const GraphPart> part;
  bool everyNode = false;
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
  std::vector<Label> labels;
  std::vector<FeatureList> features;
  std::vector<Knob> knobs;
  std::vector<Policy> policies;
  /// Where nothing is said about plans there is one, `default`, of all
  /// policies.
  std::vector<Plan> plans;
  bool hasPlans = false;
  /// The key of the section that is there and has something in it.
  std::optional<SourceRange> matchesKey;
};

} // namespace weir::spec

#endif // WEIR_SPEC_AST_H
