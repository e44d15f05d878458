//===- GraphReport.cpp - The graphs of a spec, for people and for tools ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/GraphReport.h"

#include "weir/Spec/Source.h"
#include "weir/Spec/Spec.h"
#include "weir/Support/Files.h"
#include "weir/Support/Json.h"
#include "weir/Support/Words.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cmath>
#include <tuple>

using namespace mlir;
using namespace weir;

/// What files begin with, so that nobody else's is replaced.
static constexpr StringLiteral jsonHead = "{\n  \"graphs\": {";
static constexpr StringLiteral dotHead = "// Flow graphs, by weirc graph\n";
static constexpr StringLiteral xmlHead =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<!-- Flow graphs, by weirc graph -->\n";

/// The name that a spec gives to a value, or nothing.
static StringRef givenName(Value graph) {
  Location location = graph.getLoc();
  if (auto fused = dyn_cast<FusedLoc>(location))
    if (!fused.getLocations().empty())
      location = fused.getLocations().front();
  auto named = dyn_cast<NameLoc>(location);
  return named ? named.getName().getValue() : StringRef();
}

struct GraphReport::Names {
  explicit Names(ModuleOp module)
      : numbering(module), labels(flow::labelsOf(module)),
        qualified(llvm::range_size(module.getOps<flow::CollectionOp>()) > 1) {}
  flow::GraphNumbering numbering;
  llvm::DenseMap<Attribute, StringRef> labels;
  bool qualified;
};

void GraphReport::add(Value value, const matching::FlowGraph &numbers) {
  StringRef name = givenName(value);
  if (name.empty())
    return;
  if (!names)
    names = std::make_shared<const Names>(
        value.getDefiningOp()->getParentOfType<ModuleOp>());
  NamedGraph &graph = all.emplace_back();
  graph.name = name.str();
  graph.nodes.reserve(numbers.nodes.size());
  for (const matching::GraphNode &node : numbers.nodes) {
    flow::FeatureAttr feature = names->numbering.featureOf(node);
    NamedGraph::Node &made = graph.nodes.emplace_back();
    if (names->qualified)
      made.feature = specName(feature.getCollection().getValue()).str() + ":";
    made.feature += feature.str();
    made.site = fx::stringifySiteKind(feature.getKind()).str();
    made.layer = node.layer;
    made.label = names->labels.lookup(feature).str();
  }
  graph.edges.reserve(numbers.edges.size());
  for (const matching::GraphEdge &edge : numbers.edges) {
    NamedGraph::Edge &made = graph.edges.emplace_back();
    made.from = edge.from;
    made.to = edge.to;
    made.similarity = edge.similarity;
    if (!std::isnan(edge.effect))
      made.effect = edge.effect;
  }
  graph.targets.assign(numbers.targets.begin(), numbers.targets.end());
}

llvm::Error GraphReport::keepOnly(StringRef name) {
  auto found = llvm::find_if(
      all, [&](const NamedGraph &graph) { return graph.name == name; });
  if (found == all.end()) {
    std::vector<StringRef> names;
    for (const NamedGraph &graph : all)
      names.push_back(graph.name);
    return llvm::createStringError("there is no graph " + spec::inQuotes(name) +
                                   spec::suggest(name, names, "the spec has"));
  }
  all = {std::move(*found)};
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Forms
//===----------------------------------------------------------------------===//

static std::string labelled(const NamedGraph::Node &node) {
  return withLabel(node.feature, node.label);
}

static llvm::json::Object jsonOf(const NamedGraph::Node &node) {
  return llvm::json::Object{{"feature", node.feature},
                            {"label", jsonOrNull(node.label)}};
}

static llvm::json::Object jsonOf(const NamedGraph &graph,
                                 const NamedGraph::Edge &edge) {
  return llvm::json::Object{
      {"from", graph.nodes[edge.from].feature},
      {"to", graph.nodes[edge.to].feature},
      {"similarity", edge.similarity},
      {"effect", edge.effect ? llvm::json::Value(*edge.effect)
                             : llvm::json::Value(nullptr)}};
}

llvm::json::Object GraphReport::toJSON() const {
  llvm::json::Object graphs;
  for (const NamedGraph &graph : all) {
    llvm::json::Array targets, nodes, edges;
    for (size_t target : graph.targets)
      targets.push_back(graph.nodes[target].feature);
    for (const NamedGraph::Node &node : graph.nodes)
      nodes.push_back(jsonOf(node));
    for (const NamedGraph::Edge &edge : graph.edges)
      edges.push_back(jsonOf(graph, edge));
    graphs[graph.name] = llvm::json::Object{{"target", std::move(targets)},
                                            {"nodes", std::move(nodes)},
                                            {"edges", std::move(edges)}};
  }
  return llvm::json::Object{{"graphs", std::move(graphs)}};
}

void GraphReport::writeJSON(llvm::raw_ostream &os, unsigned indent) const {
  llvm::json::OStream json(os, indent);
  // Names in the order in which a llvm::json::Object prints them.
  std::vector<const NamedGraph *> sorted;
  for (const NamedGraph &graph : all)
    sorted.push_back(&graph);
  llvm::sort(sorted, [](const NamedGraph *a, const NamedGraph *b) {
    return a->name < b->name;
  });
  auto write = [&](const NamedGraph &graph) {
    json.attributeArray("edges", [&] {
      for (const NamedGraph::Edge &edge : graph.edges)
        json.value(jsonOf(graph, edge));
    });
    json.attributeArray("nodes", [&] {
      for (const NamedGraph::Node &node : graph.nodes)
        json.value(jsonOf(node));
    });
    json.attributeArray("target", [&] {
      for (size_t target : graph.targets)
        json.value(StringRef(graph.nodes[target].feature));
    });
  };
  json.object([&] {
    json.attributeObject("graphs", [&] {
      for (const NamedGraph *graph : sorted)
        json.attributeObject(graph->name, [&] { write(*graph); });
    });
  });
}

void GraphReport::print(llvm::raw_ostream &os) const {
  constexpr size_t shown = 40;
  for (const NamedGraph &graph : all) {
    os << graph.name << ": " << graph.nodes.size()
       << (graph.nodes.size() == 1 ? " node, " : " nodes, ")
       << graph.edges.size() << (graph.edges.size() == 1 ? " edge" : " edges")
       << ", layers " << graph.nodes.front().layer << " to "
       << graph.nodes.back().layer;
    for (auto [i, target] :
         llvm::enumerate(ArrayRef(graph.targets).take_front(shown / 8)))
      os << (i == 0 ? ", target " : ", ") << labelled(graph.nodes[target]);
    if (graph.targets.size() > shown / 8)
      os << " and " << graph.targets.size() - shown / 8 << " more";
    os << "\n";
    for (const NamedGraph::Edge &edge : ArrayRef(graph.edges).take_front(shown)) {
      os << "  " << llvm::format("%6.3f", edge.similarity) << "  "
         << labelled(graph.nodes[edge.from]) << " -> "
         << labelled(graph.nodes[edge.to]);
      if (edge.effect)
        os << "  effect " << llvm::format("%.3f", *edge.effect);
      os << "\n";
    }
    if (graph.edges.size() > shown)
      os << "  and " << graph.edges.size() - shown
         << " more edges, which --json and -o give\n";
  }
}

/// A text in the quotes of DOT.
static std::string quoted(StringRef text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      result += '\\';
    result += c;
  }
  return result + "\"";
}

/// Layers as ranks, from the first at the top; sites by shape; the similarity as
/// width and label, the effect behind it.
static void printDot(const NamedGraph &graph, llvm::raw_ostream &os) {
  os << "digraph " << quoted(graph.name) << " {\n"
     << "  node [fontname=\"sans-serif\"];\n"
     << "  edge [fontname=\"sans-serif\", fontsize=10];\n";
  auto shapeOf = [](StringRef site) {
    return site == "res" ? "box" : site == "mlp" ? "ellipse"
                               : site == "att"   ? "diamond"
                                                 : "hexagon";
  };
  llvm::DenseSet<size_t> targets(graph.targets.begin(), graph.targets.end());
  for (size_t i = 0; i < graph.nodes.size();) {
    int64_t layer = graph.nodes[i].layer;
    os << "  subgraph { rank=same;\n";
    for (; i < graph.nodes.size() && graph.nodes[i].layer == layer; ++i) {
      const NamedGraph::Node &node = graph.nodes[i];
      os << "    " << quoted(node.feature) << " [shape=" << shapeOf(node.site);
      if (targets.contains(i))
        os << ", peripheries=2";
      if (!node.label.empty())
        os << ", label=" << quoted(node.feature + "\n" + node.label);
      os << "];\n";
    }
    os << "  }\n";
  }
  for (const NamedGraph::Edge &edge : graph.edges) {
    std::string label;
    llvm::raw_string_ostream text(label);
    text << llvm::format("%.2f", edge.similarity);
    if (edge.effect)
      text << llvm::format(" / %.2f", *edge.effect);
    os << "  " << quoted(graph.nodes[edge.from].feature) << " -> "
       << quoted(graph.nodes[edge.to].feature) << " [label=" << quoted(label)
       << ", penwidth="
       << llvm::format("%.2f",
                       0.5 + 3 * std::clamp(edge.similarity, 0.0, 1.0))
       << "];\n";
  }
  os << "}\n";
}

static std::string escaped(StringRef text) {
  std::string result;
  for (char c : text) {
    switch (c) {
    case '&':
      result += "&amp;";
      break;
    case '<':
      result += "&lt;";
      break;
    case '>':
      result += "&gt;";
      break;
    case '"':
      result += "&quot;";
      break;
    default:
      // XML has no way to write other control characters.
      result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return result;
}

static std::string exact(double value) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

static void printGraphML(ArrayRef<NamedGraph> graphs, llvm::raw_ostream &os) {
  os << xmlHead
     << "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n";
  const std::tuple<StringRef, StringRef, StringRef> keys[] = {
      {"node", "label", "string"},    {"node", "layer", "int"},
      {"node", "site", "string"},     {"node", "target", "boolean"},
      {"edge", "similarity", "double"}, {"edge", "effect", "double"}};
  for (auto [of, name, type] : keys)
    os << "  <key id=\"" << name << "\" for=\"" << of << "\" attr.name=\"" << name
       << "\" attr.type=\"" << type << "\"/>\n";
  auto data = [&](StringRef key, StringRef value) {
    os << "<data key=\"" << key << "\">" << value << "</data>";
  };
  for (const NamedGraph &graph : graphs) {
    os << "  <graph id=\"" << escaped(graph.name)
       << "\" edgedefault=\"directed\">\n";
    llvm::DenseSet<size_t> targets(graph.targets.begin(), graph.targets.end());
    // An id is one of the whole file.
    auto id = [&](size_t node) {
      return (graphs.size() > 1 ? escaped(graph.name) + "." : std::string()) +
             escaped(graph.nodes[node].feature);
    };
    for (auto [i, node] : llvm::enumerate(graph.nodes)) {
      os << "    <node id=\"" << id(i) << "\">";
      if (!node.label.empty())
        data("label", escaped(node.label));
      data("layer", std::to_string(node.layer));
      data("site", node.site);
      data("target", targets.contains(i) ? "true" : "false");
      os << "</node>\n";
    }
    for (const NamedGraph::Edge &edge : graph.edges) {
      os << "    <edge source=\"" << id(edge.from) << "\" target=\""
         << id(edge.to) << "\">";
      data("similarity", exact(edge.similarity));
      if (edge.effect)
        data("effect", exact(*edge.effect));
      os << "</edge>\n";
    }
    os << "  </graph>\n";
  }
  os << "</graphml>\n";
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

llvm::Error GraphReport::checkOutput(StringRef path) {
  StringRef extension = llvm::sys::path::extension(path);
  StringRef head = extension == ".json"      ? StringRef(jsonHead)
                   : extension == ".dot"     ? StringRef(dotHead)
                   : extension == ".graphml" ? StringRef(xmlHead)
                                             : StringRef();
  if (head.empty())
    return llvm::createStringError("cannot write graphs to '" + path +
                                   "': the name has to end in .json, .dot, "
                                   ".graphml, .html or .svg");
  // Only older graphs and empty files are replaced.
  if (!holdsSomething(path))
    return llvm::Error::success();
  auto file = FileMapping::open(path);
  if (!file)
    return file.takeError();
  if ((*file)->text().starts_with(head))
    return llvm::Error::success();
  return llvm::createStringError(
      "cannot write graphs to '" + path + "': the file that is there holds no "
      "graphs and is not replaced; remove it, or choose another name");
}

llvm::Error GraphReport::write(StringRef path) const {
  if (llvm::Error error = checkOutput(path))
    return error;
  std::string text;
  llvm::raw_string_ostream os(text);
  StringRef extension = llvm::sys::path::extension(path);
  if (extension == ".json") {
    writeJSON(os, /*indent=*/2);
    os << "\n";
  } else if (extension == ".dot") {
    os << dotHead;
    for (const NamedGraph &graph : all)
      printDot(graph, os);
  } else {
    printGraphML(all, os);
  }
  if (llvm::Error error = writeTextAtomically(path, text))
    return llvm::createStringError("cannot write graphs to '" + path + "': " +
                                   llvm::toString(std::move(error)));
  return llvm::Error::success();
}
