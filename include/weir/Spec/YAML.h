//===- YAML.h - YAML as a tree with places ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The subset of YAML 1.2 that a spec may use: mappings with plain text keys,
// sequences and scalars. Anchors, aliases, merge keys, tags and several
// documents are refused with a message, and so are duplicate keys, which YAML
// libraries tend to resolve in silence.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SPEC_YAML_H
#define WEIR_SPEC_YAML_H

#include "weir/Spec/Source.h"

#include <optional>
#include <string>
#include <vector>

namespace weir::spec {

/// Largest spec that is read, in bytes, most keys and values in it (each takes
/// some 200 bytes of memory), and deepest nesting.
constexpr size_t maxSpecBytes = 16u << 20;
constexpr size_t maxSpecNodes = 2000000;
constexpr unsigned maxSpecDepth = 32;

struct YamlEntry;

struct YamlNode {
  /// Invalid: something that was refused with a message, so that whoever meets
  /// the node need not complain again.
  enum class Kind { Null, Scalar, Sequence, Map, Invalid };

  Kind kind = Kind::Null;
  SourceRange range;
  /// Scalar: its text, and whether it was quoted or a block (then it is text
  /// whatever it looks like).
  std::string text;
  bool quoted = false;
  std::vector<YamlNode> items;    ///< Sequence
  std::vector<YamlEntry> entries; ///< Map, in the order written, keys unique

  bool isScalar() const { return kind == Kind::Scalar; }
  /// A scalar that may be a number or a boolean.
  bool isPlain() const { return isScalar() && !quoted; }
  bool isSequence() const { return kind == Kind::Sequence; }
  bool isMap() const { return kind == Kind::Map; }
  bool isInvalid() const { return kind == Kind::Invalid; }
  /// "a mapping", "a list", "text", "a number", "nothing", …
  llvm::StringRef describe() const;
};

struct YamlEntry {
  Marked<std::string> key;
  YamlNode value;
};

/// Whether a text is a number as the language writes them: digits with an
/// optional sign, fraction and exponent.
bool looksLikeNumber(llvm::StringRef text);

/// What is wrong with a `{site}` or `{layer}` that YAML takes for a mapping.
std::string bracesNeedQuotes(llvm::StringRef text);

/// Parses the text of a spec. Reports everything that is wrong with it as YAML;
/// returns nothing where no tree could be made. Never recurses deeper than
/// maxSpecDepth.
std::optional<YamlNode> parseYaml(const SourceFile &file, Reporter &reporter);

} // namespace weir::spec

#endif // WEIR_SPEC_YAML_H
