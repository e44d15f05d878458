//===- Values.h - Reading values of a spec ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Readers of single values. Each reports what is wrong at its place and then
// returns nothing; values that were refused before are passed over in silence.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_SPEC_VALUES_H
#define WEIR_LIB_SPEC_VALUES_H

#include "weir/Spec/AST.h"
#include "weir/Spec/Keywords.h"
#include "weir/Spec/YAML.h"

#include "llvm/ADT/STLExtras.h"

namespace weir::spec {

/// The hint "; write [text]" for a single value where a list belongs.
std::string inBrackets(llvm::StringRef text);

class ValueReader {
public:
  explicit ValueReader(Reporter &reporter) : reporter(reporter) {}

  /// `what` names the value in messages: "'factor'", "'default' of a knob".
  std::optional<Number> number(const YamlNode &node, const llvm::Twine &what);
  std::optional<Integer> integer(const YamlNode &node, const llvm::Twine &what,
                                 int64_t least, int64_t most);
  std::optional<bool> boolean(const YamlNode &node, const llvm::Twine &what);
  /// Any non-empty text on one line.
  std::optional<Name> text(const YamlNode &node, const llvm::Twine &what);
  /// The name of something declared elsewhere; whether it exists is not
  /// checked.
  std::optional<Name> reference(const YamlNode &node, const llvm::Twine &what);
  /// Reports names that are no identifiers.
  bool isName(const Name &name);
  /// One word out of some, as its index.
  std::optional<Marked<size_t>> word(const YamlNode &node,
                                     const llvm::Twine &what,
                                     llvm::ArrayRef<llvm::StringRef> words);
  template <typename Enum>
  std::optional<Marked<Enum>> choice(const YamlNode &node,
                                     const llvm::Twine &what,
                                     llvm::ArrayRef<llvm::StringRef> words) {
    auto index = word(node, what, words);
    if (!index)
      return std::nullopt;
    return Marked<Enum>{static_cast<Enum>(index->value), index->range};
  }
  /// A list of different words.
  template <typename Enum>
  std::vector<Marked<Enum>> choices(const YamlNode &node,
                                    const llvm::Twine &what,
                                    llvm::ArrayRef<llvm::StringRef> words) {
    std::vector<Marked<Enum>> result;
    for (const Marked<size_t> &index : wordList(node, what, words))
      result.push_back({static_cast<Enum>(index.value), index.range});
    return result;
  }
  std::optional<LayerRange> layers(const YamlNode &node,
                                   const llvm::Twine &what);
  std::optional<SiteRef> site(const YamlNode &node);
  std::optional<FeatureRef> feature(const YamlNode &node);

  Reporter &reporter;

private:
  std::vector<Marked<size_t>> wordList(const YamlNode &node,
                                       const llvm::Twine &what,
                                       llvm::ArrayRef<llvm::StringRef> words);
  void mismatch(const YamlNode &node, const llvm::Twine &what,
                llvm::StringRef wanted);
  std::optional<int64_t> digits(llvm::StringRef text, SourceRange range,
                                const llvm::Twine &what, int64_t most);
};

/// A mapping with a fixed set of keys.
class MapReader {
public:
  /// Reports a node that is no mapping, and keys that are not known.
  MapReader(Reporter &reporter, const YamlNode &node, Keys keys);

  explicit operator bool() const { return map != nullptr; }
  /// The value of a key, or null. With its entry: `entry`.
  const YamlNode *get(llvm::StringRef key) const;
  const YamlEntry *entry(llvm::StringRef key) const;
  /// Whether an unknown key, which was reported, is likely to mean this one.
  bool isMisspelt(llvm::StringRef key) const;
  /// The value of a key, reported at `where` if it is missing.
  const YamlNode *require(llvm::StringRef key, SourceRange where) const;

private:
  /// Whether a key is what a tool of YAML 1.1 writes for 'on'.
  bool isOnInYAML11(llvm::StringRef key) const;

  Reporter &reporter;
  Keys keys;
  const YamlNode *map = nullptr;
};

} // namespace weir::spec

#endif // WEIR_LIB_SPEC_VALUES_H
