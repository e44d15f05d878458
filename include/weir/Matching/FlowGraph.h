//===- FlowGraph.h - How features flow across layers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A flow graph ("Analyze Feature Flow", arXiv 2502.03032, section 3) is what one
// reaches from some features, its targets, by following matches of neighbouring
// layers. Its edges run in the direction in which a model computes, from the
// predecessor to what it is part of, and each has the similarity of the match and,
// where it was measured, its causal effect (EffectScores.h).
//
//   targets ──walk──▶ graph ──unite, intersect, subtract──▶ graph ──select──▶ nodes
//
// Results depend on sets of targets and links only, not on their order.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_MATCHING_FLOWGRAPH_H
#define WEIR_MATCHING_FLOWGRAPH_H

#include "weir/Cache/EffectScores.h"

#include <compare>
#include <functional>
#include <limits>

namespace weir::matching {

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

/// A feature. The order is that of features in the flow dialect: by layer, kind of
/// site (the residual stream is 0), collection and index.
struct GraphNode {
  int64_t layer = 0;
  int32_t kind = 0;
  int32_t set = 0; ///< number of the collection
  int64_t feature = 0;
  friend auto operator<=>(const GraphNode &, const GraphNode &) = default;
};

struct GraphEdge {
  int64_t from = 0, to = 0; ///< positions among the nodes
  double similarity = 0;
  /// EffectScore::change, NaN where it is not known.
  double effect = std::numeric_limits<double>::quiet_NaN();
  /// EffectScore::cases, or -1 where nobody measured.
  int64_t cases = -1;
};

struct FlowGraph {
  std::vector<GraphNode> nodes;  ///< ascending, each once
  std::vector<GraphEdge> edges;  ///< ascending by (from, to), each once
  std::vector<int64_t> targets;  ///< positions of nodes, ascending
  /// How many edges a walk left out since their effect was looked for and has no
  /// case (EffectScore). Not of graphs that are made of others.
  int64_t withoutCase = 0;

  bool empty() const { return nodes.empty(); }
  /// The position of a node, or -1.
  int64_t find(const GraphNode &node) const;

  /// The tensors and strings of a cache entry, and back. Only graphs of one
  /// collection, whose number is not kept. Errors of `load`: tensors that are no
  /// graph.
  llvm::Error store(const ResultCache &cache, llvm::StringRef key,
                    llvm::StringRef about) const;
  static llvm::Expected<FlowGraph> load(const CachedResult &entry);
};

/// What no graph may be larger than.
inline constexpr size_t maxGraphNodes = 100'000, maxGraphEdges = 1'000'000;

//===----------------------------------------------------------------------===//
// Matches under a graph
//===----------------------------------------------------------------------===//

/// A match as it lies in the cache: mapped, not copied.
struct MatchView {
  int64_t rows = 0, columns = 0, k = 0;
  llvm::ArrayRef<int64_t> indices; ///< [rows, k], best first; -1 for none
  llvm::ArrayRef<double> values;   ///< [rows, k]

  /// Errors: tensors that are no match, indices out of range.
  static llvm::Expected<MatchView> of(CachedResult entry);

private:
  std::shared_ptr<const void> owner;
};

/// Where a dictionary is.
struct GraphPlace {
  int64_t layer = 0;
  int32_t kind = 0;
  friend bool operator==(const GraphPlace &, const GraphPlace &) = default;
};

/// A match between two places, and what an edge of it has to reach.
struct GraphLink {
  GraphPlace source, target; ///< of the rows and of the columns of the match
  MatchView match;
  /// The rows are those of the later place, as in top-k matches; else of the
  /// earlier one, as in permutations.
  bool leadsBackward = true;
  /// Least similarity.
  double least = -std::numeric_limits<double>::infinity();
  /// Least effect, if there is one.
  std::optional<double> leastEffect;
  /// Scores of the edges, the later place being the target; may be null.
  const EffectScores *effects = nullptr;

  const GraphPlace &earlier() const { return leadsBackward ? target : source; }
  const GraphPlace &later() const { return leadsBackward ? source : target; }
};

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

/// An edge has no measured effect, where one is asked for.
class EffectNotMeasured
    : public llvm::ErrorInfo<EffectNotMeasured, llvm::StringError> {
public:
  static char ID;
  EffectNotMeasured(const GraphNode &from, const GraphNode &to,
                    llvm::function_ref<std::string(const GraphNode &)> nameOf);
};

struct WalkOptions {
  bool backward = true, forward = false;
  /// How many features a node is followed to at each place.
  int64_t width = 1;
  /// Similarities of zero and less count, too: minus the mean squared error has
  /// no other.
  bool anySimilarity = false;
  /// What the graph may not be larger than.
  size_t maxNodes = maxGraphNodes, maxEdges = maxGraphEdges;
  /// How errors call a node.
  std::function<std::string(const GraphNode &)> nameOf;
};

/// The edge that missed its threshold by least, for a graph that has none.
struct NearMiss {
  GraphNode from, to;
  double similarity;
};

/// From each node the `width` most similar ones at every place that a link leads
/// to, equal ones by ascending index, of which those stay whose edge reaches what
/// the link asks for. The walk backward goes on from whatever it reached against
/// the edges, the walk forward along them; between two places that a link does not
/// join it does not go. Time: every link is read at most twice, whole only where it
/// is followed against its rows. Errors: a target outside of its dictionary; an edge
/// without a measured effect where one is asked for; more nodes or edges than
/// the options allow.
llvm::Expected<FlowGraph> walk(llvm::ArrayRef<GraphNode> targets,
                               llvm::ArrayRef<GraphLink> links,
                               const WalkOptions &options,
                               std::optional<NearMiss> *missed = nullptr);

/// The path from one node to a later one with the largest product of positive
/// similarities, over all matches of each feature; of equal ones that whose last
/// nodes come first. Its target is the later node. Nothing if no path leads there.
/// Errors: a node outside of its dictionary.
llvm::Expected<std::optional<FlowGraph>>
strongestPath(const GraphNode &from, const GraphNode &to,
              llvm::ArrayRef<GraphLink> links, const WalkOptions &options);

//===----------------------------------------------------------------------===//
// Algebra
//===----------------------------------------------------------------------===//

/// Nodes, edges and targets of any of the graphs. Of an edge that several have,
/// with other numbers, the largest similarity and the effect with the most cases
/// stay.
FlowGraph unite(llvm::ArrayRef<const FlowGraph *> graphs);
/// Nodes and edges that all graphs have; those targets of any that are left.
FlowGraph intersect(llvm::ArrayRef<const FlowGraph *> graphs);
/// The nodes of `from` that `without` does not have, and the edges between them.
FlowGraph subtract(const FlowGraph &from, const FlowGraph &without);

//===----------------------------------------------------------------------===//
// Parts and weights
//===----------------------------------------------------------------------===//

/// Which nodes are meant; everything that is given holds together.
struct GraphPart {
  llvm::SmallVector<int32_t, 3> kinds; ///< any if empty
  std::optional<std::pair<int64_t, int64_t>> layers;
  enum class Ends : uint8_t {
    Any,
    Roots, ///< no edge leads to them
    Leaves ///< no edge leads from them
  };
  Ends ends = Ends::Any;
  /// At most this many edges, of either direction, from a target.
  std::optional<int64_t> steps;
};

/// Positions of the nodes, ascending.
std::vector<int64_t> select(const FlowGraph &graph, const GraphPart &part);

/// For each node the largest product of edges over the paths that lead from it to a
/// target or from a target to it; 1 at targets, NaN where no path does. By effect,
/// an edge counts as 0 where its effect is not positive or nobody could tell. Errors:
/// by effect, an edge that was not measured.
llvm::Expected<std::vector<double>>
weightsOf(const FlowGraph &graph, bool byEffect,
          llvm::function_ref<std::string(const GraphNode &)> nameOf);

} // namespace weir::matching

#endif // WEIR_MATCHING_FLOWGRAPH_H
