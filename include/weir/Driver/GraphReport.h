//===- GraphReport.h - The graphs of a spec, for people and for tools ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_GRAPHREPORT_H
#define WEIR_DRIVER_GRAPHREPORT_H

#include "weir/Dialect/Flow/Transforms/Graphs.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

namespace weir {

/// A graph whose features are called as a spec writes them: "11/res/743", or
/// "sae:11/res/743" where there are several dictionaries.
struct NamedGraph {
  struct Node {
    std::string feature, site; ///< "11/res/743" and "res"
    int64_t layer = 0;
    std::string label; ///< what `labels` calls it, or empty
  };
  struct Edge {
    size_t from = 0, to = 0; ///< positions of nodes
    double similarity = 0;
    std::optional<double> effect; ///< where it was measured, in some case
  };
  std::string name;
  std::vector<size_t> targets; ///< positions of nodes
  std::vector<Node> nodes;     ///< by layer, site, dictionary and index
  std::vector<Edge> edges;     ///< by their ends
};

class GraphReport {
public:
  /// Adds the graph of a value, if a spec has a name for it. All are of one module.
  void add(mlir::Value graph, const matching::FlowGraph &numbers);

  /// In the order in which they were made.
  llvm::ArrayRef<NamedGraph> graphs() const { return all; }
  /// Leaves one graph only. Errors: there is none of this name.
  llvm::Error keepOnly(llvm::StringRef name);

  /// {"graphs": {NAME: {"target": [feature, …],
  ///                    "nodes": [{"feature": …, "label": … or null}, …],
  ///                    "edges": [{"from": feature, "to": feature,
  ///                               "similarity": …, "effect": … or null}, …]}}}
  llvm::json::Object toJSON() const;
  /// The same text as that of `toJSON`, without the object, which takes some
  /// kilobytes an edge. `indent`: spaces a level, 0 for a single line.
  void writeJSON(llvm::raw_ostream &os, unsigned indent = 0) const;
  void print(llvm::raw_ostream &os) const;
  /// Writes all graphs into one file, by its extension: .json, .dot (one digraph
  /// each) or .graphml (one graph element each). Errors also: those of
  /// `checkOutput`.
  llvm::Error write(llvm::StringRef path) const;
  /// Whether `write` knows a form of this extension, and may replace what is there:
  /// to be asked before the graphs are built.
  static llvm::Error checkOutput(llvm::StringRef path);

private:
  /// How the features of the module are called.
  struct Names;
  std::shared_ptr<const Names> names;
  std::vector<NamedGraph> all;
};

} // namespace weir

#endif // WEIR_DRIVER_GRAPHREPORT_H
