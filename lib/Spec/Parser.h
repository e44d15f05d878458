//===- Parser.h - Tree to AST ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_SPEC_PARSER_H
#define WEIR_LIB_SPEC_PARSER_H

#include "Values.h"

#include "weir/Spec/Spec.h"

namespace weir::spec {

class SpecParser {
public:
  SpecParser(Reporter &reporter, const SpecOptions &options)
      : reporter(reporter), options(options), values(reporter) {}

  Spec parse(const YamlNode &root);

private:
  // Sections.cpp
  void version(const MapReader &map, const YamlNode &root);
  void model(const YamlEntry &entry);
  void dictionary(const YamlEntry &entry);
  void match(const YamlEntry &entry);
  void matchByActivations(const Match &match, const MapReader &map);
  void knob(const YamlEntry &entry);
  void plan(const YamlEntry &entry);
  void path(const Name &path);
  void pathTemplate(const Name &path, llvm::ArrayRef<llvm::StringRef> known);
  using ReadEntry = llvm::function_ref<void(const YamlEntry &)>;
  /// Calls `read` for the entries of a section that is a mapping of `what`.
  void entries(const MapReader &map, llvm::StringRef key, llvm::StringRef what,
               ReadEntry read);
  /// The same for a mapping of names, which are checked.
  void section(const MapReader &map, llvm::StringRef key, ReadEntry read);

  // Graphs.cpp
  void graph(const YamlEntry &entry);
  void walk(const MapReader &map, Graph &graph);
  void keep(const YamlEntry &entry, Graph &graph);
  void threshold(const YamlNode &node, const std::optional<Marked<SiteKind>> &site,
                 Graph &graph);
  void graphPath(const YamlNode &node, Graph &graph);
  void labels(const MapReader &map);
  /// What the keys of a mapping say of the nodes of a graph, or null for all.
  std::shared_ptr<const GraphPart> graphPart(const MapReader &map);
  std::optional<Condition> watch(const MapReader &map, const YamlNode &node);

  // Selectors.cpp
  enum class Place { FeatureList, Policy };
  Selection selection(const YamlNode &node, const llvm::Twine &what,
                      Place place);
  void selectors(const YamlNode &node, Place place, Selection &into);
  void selector(const YamlNode &node, Place place, Selection &into);

  // Attribution.cpp
  /// The features that an attribution graph pins, as features of the spec.
  void attribution(const YamlNode &node, const YamlNode &path,
                   const YamlNode *dictionary, Selection &into);

  // Policies.cpp
  void policy(const YamlEntry &entry);
  void belongs(const MapReader &map, const YamlNode &node,
               const Policy &policy);
  void checkLayers(const Policy &policy);
  void numbers(const MapReader &map, Policy &policy);
  void clamp(const MapReader &map, Policy &policy);
  void recording(const MapReader &map, Policy &policy);
  void recordedValues(const YamlEntry &entry, Policy &policy);
  // Substitutions.cpp
  void substitution(const MapReader &map, Policy &policy);
  // Policies.cpp
  std::optional<Strength> strength(const YamlEntry &entry, Policy &policy);
  std::optional<Layers> layers(const YamlNode &node);
  std::optional<Tokens> tokens(const YamlNode &node);
  void checkTokens(const Tokens &tokens);
  std::optional<Condition> condition(const YamlNode &node);

  // Markers.cpp
  void markerKeys(const MapReader &map, Tokens &tokens);
  void shareKeys(const MapReader &map, Tokens &tokens);
  std::optional<Marker> marker(const YamlNode &node, const llvm::Twine &what);
  std::vector<Marker> markers(const YamlNode &node, const llvm::Twine &what);
  void checkApart(const std::vector<Marker> &some,
                  const std::vector<Marker> &others, const llvm::Twine &why);

  Reporter &reporter;
  const SpecOptions &options;
  ValueReader values;
  Spec spec;
  size_t compared = 0; ///< features in the conditions so far
};

} // namespace weir::spec

#endif // WEIR_LIB_SPEC_PARSER_H
