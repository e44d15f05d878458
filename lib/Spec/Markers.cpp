//===- Markers.cpp - Scopes that follow a row's tokens ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Parser.h"

using namespace weir::spec;
using llvm::StringRef;
using llvm::Twine;

/// Most tokens that one marker may be: each token is compared with all of them.
static constexpr size_t maxMarkers = 64;

static std::string shown(const Marker &marker) {
  return marker.id ? std::to_string(*marker.id) : inQuotes(marker.text);
}

/// One token, by its text or its id.
std::optional<Marker> SpecParser::marker(const YamlNode &node,
                                         const Twine &what) {
  if (node.isInvalid())
    return std::nullopt;
  Marker marker;
  marker.range = node.range;
  if (node.isPlain() && looksLikeNumber(node.text)) {
    auto id = values.integer(node, "the id of a token", 0, maxIndex);
    if (!id)
      return std::nullopt;
    marker.id = id->value;
    return marker;
  }
  if (!node.isScalar() || node.text.empty()) {
    reporter.error(node.range,
                   what + " must be a token, which is a text or an id, found " +
                       (node.isScalar() ? "an empty text" : node.describe()));
    return std::nullopt;
  }
  marker.text = node.text;
  return marker;
}

/// A token, or a list of tokens that any of which will do.
std::vector<Marker> SpecParser::markers(const YamlNode &node,
                                        const Twine &what) {
  std::vector<Marker> found;
  if (!node.isSequence()) {
    if (auto one = marker(node, what))
      found.push_back(std::move(*one));
    return found;
  }
  if (node.items.empty())
    reporter.error(node.range, what + " names no token");
  if (node.items.size() > maxMarkers) {
    reporter.error(node.range,
                   what + " names more than " + Twine(maxMarkers) + " tokens");
    return found;
  }
  for (const YamlNode &item : node.items) {
    auto one = marker(item, what);
    if (!one)
      continue;
    if (llvm::is_contained(found, *one))
      reporter.error(one->range,
                     "the token " + shown(*one) + " is listed twice");
    else
      found.push_back(std::move(*one));
  }
  return found;
}

/// Reports the first token that stands in both lists.
void SpecParser::checkApart(const std::vector<Marker> &some,
                            const std::vector<Marker> &others,
                            const Twine &why) {
  for (const Marker &marker : others)
    if (auto same = llvm::find(some, marker); same != some.end()) {
      reporter.error(marker.range, "the token " + shown(marker) + " " + why)
          .note(same->range, "it is also here");
      return;
    }
}

/// `after`, `until` and `between`.
void SpecParser::markerKeys(const MapReader &map, Tokens &tokens) {
  if (const YamlNode *node = map.get("after"))
    tokens.after = markers(*node, "'after'");
  if (const YamlNode *node = map.get("until"))
    tokens.until = markers(*node, "'until'");
  checkApart(tokens.after, tokens.until,
             "leaves nothing: no token is behind the first one and in front of "
             "it");
  const YamlNode *between = map.get("between");
  if (!between || between->isInvalid())
    return;
  if (!between->isSequence() || between->items.size() != 2) {
    reporter.error(between->range,
                   "'between' must be a list of two: what opens a span and what "
                   "closes it");
    return;
  }
  tokens.opens = markers(between->items[0], "what opens a span");
  tokens.closes = markers(between->items[1], "what closes a span");
  checkApart(tokens.opens, tokens.closes,
             "would open and close a span; take two different ones");
}

/// `ramp` and `decay`.
void SpecParser::shareKeys(const MapReader &map, Tokens &tokens) {
  if (const YamlEntry *entry = map.entry("ramp")) {
    tokens.share = entry->key.range;
    MapReader ramp(reporter, entry->value, rampKeys());
    if (const YamlNode *over =
            ramp ? ramp.require("over", entry->key.range) : nullptr)
      tokens.over = values.integer(*over, "'over'", 1, maxIndex);
  }
  if (const YamlEntry *entry = map.entry("decay")) {
    if (!tokens.share)
      tokens.share = entry->key.range;
    MapReader decay(reporter, entry->value, decayKeys());
    if (const YamlNode *half =
            decay ? decay.require("half", entry->key.range) : nullptr)
      tokens.half = values.number(*half, "'half'");
    if (tokens.half && !(tokens.half->value > 0)) {
      reporter.error(tokens.half->range, "'half' must be greater than 0");
      tokens.half.reset();
    }
  }
}
