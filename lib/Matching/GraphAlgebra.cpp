//===- GraphAlgebra.cpp - Graphs out of graphs, and their parts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/FlowGraph.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <numeric>
#include <tuple>

using namespace llvm;

namespace weir::matching {

static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

//===----------------------------------------------------------------------===//
// Sets
//===----------------------------------------------------------------------===//

/// Which of two edges between the same nodes, of two graphs, gives its numbers.
static void mergeEdge(GraphEdge &into, const GraphEdge &other) {
  into.similarity = std::max(into.similarity, other.similarity);
  auto rank = [](const GraphEdge &edge) {
    return std::pair(edge.cases, std::isnan(edge.effect) ? 0.0 : edge.effect);
  };
  if (rank(into) < rank(other)) {
    into.effect = other.effect;
    into.cases = other.cases;
  }
}

/// The edges of several graphs between nodes of `graph`, and the targets that are
/// left. `least` is how many of the graphs must have an edge.
static void addEdges(FlowGraph &graph, ArrayRef<const FlowGraph *> parts,
                     size_t least) {
  struct Counted {
    GraphEdge edge;
    size_t count;
  };
  std::vector<GraphEdge> all;
  for (const FlowGraph *part : parts) {
    std::vector<int64_t> position(part->nodes.size());
    for (auto [i, node] : llvm::enumerate(part->nodes))
      position[i] = graph.find(node);
    for (GraphEdge edge : part->edges) {
      edge.from = position[edge.from];
      edge.to = position[edge.to];
      if (edge.from >= 0 && edge.to >= 0)
        all.push_back(edge);
    }
    for (int64_t target : part->targets)
      if (position[target] >= 0)
        graph.targets.push_back(position[target]);
  }
  llvm::sort(all, [](const GraphEdge &a, const GraphEdge &b) {
    return std::pair(a.from, a.to) < std::pair(b.from, b.to);
  });
  for (size_t i = 0; i < all.size();) {
    GraphEdge merged = all[i];
    size_t next = i + 1;
    for (; next < all.size() && all[next].from == merged.from &&
           all[next].to == merged.to;
         ++next)
      mergeEdge(merged, all[next]);
    if (next - i >= least)
      graph.edges.push_back(merged);
    i = next;
  }
  llvm::sort(graph.targets);
  graph.targets.erase(llvm::unique(graph.targets), graph.targets.end());
}

FlowGraph unite(ArrayRef<const FlowGraph *> graphs) {
  FlowGraph result;
  for (const FlowGraph *graph : graphs)
    llvm::append_range(result.nodes, graph->nodes);
  llvm::sort(result.nodes);
  result.nodes.erase(llvm::unique(result.nodes), result.nodes.end());
  addEdges(result, graphs, 1);
  return result;
}

FlowGraph intersect(ArrayRef<const FlowGraph *> graphs) {
  FlowGraph result;
  if (graphs.empty())
    return result;
  result.nodes = graphs.front()->nodes;
  for (const FlowGraph *graph : graphs.drop_front())
    llvm::erase_if(result.nodes, [&](const GraphNode &node) {
      return graph->find(node) < 0;
    });
  addEdges(result, graphs, graphs.size());
  return result;
}

FlowGraph subtract(const FlowGraph &from, const FlowGraph &without) {
  FlowGraph result;
  for (const GraphNode &node : from.nodes)
    if (without.find(node) < 0)
      result.nodes.push_back(node);
  addEdges(result, {&from}, 1);
  return result;
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

/// The number of edges between each node and the nearest target; -1 for no path.
static std::vector<int64_t> stepsFromTargets(const FlowGraph &graph) {
  size_t n = graph.nodes.size();
  // Neighbours of a node, whatever the direction, one node after the other.
  std::vector<int64_t> start(n + 1), neighbours(2 * graph.edges.size());
  for (const GraphEdge &edge : graph.edges) {
    ++start[edge.from + 1];
    ++start[edge.to + 1];
  }
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<int64_t> next(start.begin(), start.end() - 1);
  for (const GraphEdge &edge : graph.edges) {
    neighbours[next[edge.from]++] = edge.to;
    neighbours[next[edge.to]++] = edge.from;
  }
  std::vector<int64_t> steps(n, -1), queue(graph.targets);
  for (int64_t target : queue)
    steps[target] = 0;
  for (size_t i = 0; i < queue.size(); ++i)
    for (int64_t at = start[queue[i]]; at < start[queue[i] + 1]; ++at)
      if (int64_t other = neighbours[at]; steps[other] < 0) {
        steps[other] = steps[queue[i]] + 1;
        queue.push_back(other);
      }
  return steps;
}

std::vector<int64_t> select(const FlowGraph &graph, const GraphPart &part) {
  std::vector<char> taken(graph.nodes.size(), true);
  if (part.ends != GraphPart::Ends::Any)
    for (const GraphEdge &edge : graph.edges)
      taken[part.ends == GraphPart::Ends::Roots ? edge.to : edge.from] = false;
  if (part.steps)
    for (auto [i, steps] : llvm::enumerate(stepsFromTargets(graph)))
      if (steps < 0 || steps > *part.steps)
        taken[i] = false;
  std::vector<int64_t> positions;
  for (auto [i, node] : llvm::enumerate(graph.nodes)) {
    if (!taken[i] ||
        (!part.kinds.empty() && !llvm::is_contained(part.kinds, node.kind)))
      continue;
    if (part.layers &&
        (node.layer < part.layers->first || node.layer > part.layers->second))
      continue;
    positions.push_back(i);
  }
  return positions;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Expected<std::vector<double>>
weightsOf(const FlowGraph &graph, bool byEffect,
          function_ref<std::string(const GraphNode &)> nameOf) {
  size_t n = graph.nodes.size();
  // Edges in the order in which a model computes what they lead to: within a layer
  // the residual stream, which is kind 0, comes last.
  std::vector<double> share(graph.edges.size());
  for (auto [i, edge] : llvm::enumerate(graph.edges)) {
    if (byEffect && edge.cases < 0)
      return make_error<EffectNotMeasured>(graph.nodes[edge.from],
                                           graph.nodes[edge.to], nameOf);
    double number = byEffect ? edge.effect : edge.similarity;
    share[i] = number > 0 ? number : 0;
  }
  auto when = [&](int64_t position) {
    const GraphNode &node = graph.nodes[position];
    return std::pair(node.layer, -int64_t(node.kind));
  };
  std::vector<size_t> order(graph.edges.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](size_t a, size_t b) {
    const GraphEdge &x = graph.edges[a], &y = graph.edges[b];
    return std::tuple(when(x.to), when(x.from), x.to, x.from) <
           std::tuple(when(y.to), when(y.from), y.to, y.from);
  });

  auto along = [&](bool toTarget) {
    std::vector<double> best(n, unknown);
    for (int64_t target : graph.targets)
      best[target] = 1;
    auto step = [&](size_t i) {
      const GraphEdge &edge = graph.edges[i];
      int64_t from = toTarget ? edge.to : edge.from;
      int64_t to = toTarget ? edge.from : edge.to;
      double product = best[from] * share[i];
      if (!std::isnan(product) && !(best[to] >= product))
        best[to] = product;
    };
    if (toTarget) {
      // Backward every edge out of a node has to be done before those into it,
      // which is the order by what they come from.
      std::vector<size_t> back = order;
      llvm::sort(back, [&](size_t a, size_t b) {
        const GraphEdge &x = graph.edges[a], &y = graph.edges[b];
        return std::tuple(when(x.from), x.from, x.to) >
               std::tuple(when(y.from), y.from, y.to);
      });
      llvm::for_each(back, step);
    } else {
      llvm::for_each(order, step);
    }
    return best;
  };
  std::vector<double> result = along(true), forward = along(false);
  for (size_t i = 0; i < n; ++i)
    if (std::isnan(result[i]) || forward[i] > result[i])
      result[i] = forward[i];
  return result;
}

} // namespace weir::matching
