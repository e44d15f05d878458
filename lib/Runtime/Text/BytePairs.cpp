//===- BytePairs.cpp - Byte pair encoding ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BytePairs.h"

#include "../Support.h"
#include "Components.h"
#include "Utf8.h"

#include <queue>

using namespace llvm;

namespace weir {
namespace {

/// GPT-2's table: printable Latin-1 bytes stand for themselves, the others for
/// U+0100 onwards in order. Indexed by code point, -1 where none is assigned.
std::array<int16_t, 0x144> makeStandIns() {
  std::array<int16_t, 0x144> out;
  out.fill(-1);
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= 0x21 && byte <= 0x7E) ||
                     (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    out[printable ? byte : next++] = static_cast<int16_t>(byte);
  }
  return out;
}

/// A vocabulary larger than this is not a tokenizer; ids index a table.
constexpr int64_t maxVocabulary = 1 << 24;

} // namespace

std::optional<std::string> bytesOfStandIns(StringRef text) {
  static const std::array<int16_t, 0x144> standIns = makeStandIns();
  std::string out;
  while (!text.empty()) {
    Character character = firstCharacter(text);
    if (!character.valid || character.codePoint >= standIns.size() ||
        standIns[character.codePoint] < 0)
      return std::nullopt;
    out += static_cast<char>(standIns[character.codePoint]);
    text = text.drop_front(character.length);
  }
  return out;
}

Error BytePairs::readVocabulary(const json::Object &vocabulary) {
  byteIds.fill(-1);
  for (const auto &[key, value] : vocabulary) {
    StringRef text = key;
    std::optional<int64_t> id = value.getAsInteger();
    if (!id || *id < 0 || *id >= maxVocabulary)
      return fail("the id of token '{0}' is not usable", text);
    if (tokens.size() <= static_cast<size_t>(*id))
      tokens.resize(*id + 1);
    if (tokens[*id])
      return fail("tokens '{0}' and '{1}' have the same id {2}", *tokens[*id],
                  text, *id);
    tokens[*id] = text.str();
    ids[text] = static_cast<int32_t>(*id);
    if (!byteLevel)
      pieces[text] = static_cast<int32_t>(*id);
    else if (std::optional<std::string> bytes = bytesOfStandIns(text))
      pieces[*bytes] = static_cast<int32_t>(*id);
    unsigned byte = 0;
    if (text.size() == 6 && text.starts_with("<0x") && text.ends_with(">") &&
        !text.slice(3, 5).getAsInteger(16, byte))
      byteIds[byte] = static_cast<int32_t>(*id);
  }
  return Error::success();
}

Error BytePairs::readMerges(const json::Array &list) {
  for (auto [rank, value] : enumerate(list)) {
    StringRef left, right;
    if (std::optional<StringRef> text = value.getAsString()) {
      std::tie(left, right) = text->split(' ');
    } else if (const json::Array *pair = value.getAsArray();
               pair && pair->size() == 2) {
      left = (*pair)[0].getAsString().value_or("");
      right = (*pair)[1].getAsString().value_or("");
    }
    auto first = ids.find(left), second = ids.find(right),
         result = ids.find((left + right).str());
    if (left.empty() || right.empty() || first == ids.end() ||
        second == ids.end() || result == ids.end())
      return fail("merge {0} ('{1}' with '{2}') is not in the vocabulary", rank,
                  left, right);
    merges[{first->second, second->second}] = {static_cast<uint32_t>(rank),
                                               result->second};
  }
  return Error::success();
}

Expected<BytePairs> BytePairs::parse(const json::Object &model,
                                     bool byteLevel) {
  if (model.getString("type").value_or("BPE") != "BPE")
    return fail("model '{0}' is not known", *model.getString("type"));
  if (Error error = allowOnly(
          model, {"dropout", "unk_token", "continuing_subword_prefix",
                  "end_of_word_suffix", "fuse_unk", "byte_fallback",
                  "ignore_merges", "vocab", "merges"}))
    return fail("model: {0}", toString(std::move(error)));
  if (model.getNumber("dropout").value_or(0) != 0)
    return fail("model: dropout makes ids random and is not supported");
  for (StringRef key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (!model.getString(key).value_or("").empty())
      return fail("model: '{0}' is not known", key);
  const json::Object *vocabulary = model.getObject("vocab");
  const json::Array *mergeList = model.getArray("merges");
  if (!vocabulary || !mergeList)
    return fail("model: \"vocab\" or \"merges\" is missing");

  BytePairs out;
  out.byteLevel = byteLevel;
  out.byteFallback = model.getBoolean("byte_fallback").value_or(false);
  out.ignoreMerges = model.getBoolean("ignore_merges").value_or(false);
  out.fuseUnknown = model.getBoolean("fuse_unk").value_or(false);
  if (Error error = out.readVocabulary(*vocabulary))
    return fail("model: {0}", toString(std::move(error)));
  if (Error error = out.readMerges(*mergeList))
    return fail("model: {0}", toString(std::move(error)));
  if (std::optional<StringRef> text = model.getString("unk_token")) {
    auto it = out.ids.find(*text);
    if (it == out.ids.end())
      return fail("model: the unknown token '{0}' is not in the vocabulary",
                  *text);
    out.unknown = it->second;
  }
  return out;
}

std::optional<int64_t> BytePairs::idOf(StringRef text) const {
  auto it = ids.find(text);
  if (it == ids.end())
    return std::nullopt;
  return it->second;
}

void BytePairs::addCharacters(StringRef piece,
                              std::vector<int32_t> &out) const {
  bool afterUnknown = false;
  while (!piece.empty()) {
    unsigned length = byteLevel ? 1 : firstCharacter(piece).length;
    StringRef character = piece.take_front(length);
    piece = piece.drop_front(length);
    bool wasUnknown = std::exchange(afterUnknown, false);
    if (auto it = pieces.find(character); it != pieces.end()) {
      out.push_back(it->second);
      continue;
    }
    if (byteFallback && all_of(character, [&](char byte) {
          return byteIds[static_cast<uint8_t>(byte)] >= 0;
        })) {
      for (char byte : character)
        out.push_back(byteIds[static_cast<uint8_t>(byte)]);
      continue;
    }
    // Without an unknown token the character vanishes, as it does in
    // `tokenizers`.
    if (!unknown)
      continue;
    afterUnknown = true;
    if (!(fuseUnknown && wasUnknown))
      out.push_back(*unknown);
  }
}

void BytePairs::merge(std::vector<int32_t> &symbols) const {
  // A doubly linked list over the symbols and a queue of candidates. A candidate
  // is stale if its pair is not there any more.
  struct Candidate {
    uint32_t rank;
    int32_t position;
    int32_t left, right;
    bool operator>(const Candidate &other) const {
      return std::tie(rank, position) > std::tie(other.rank, other.position);
    }
  };
  int32_t size = static_cast<int32_t>(symbols.size());
  std::vector<int32_t> previous(size), next(size);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  auto offer = [&](int32_t at) {
    int32_t after = at < 0 ? size : next[at];
    if (at < 0 || after >= size)
      return;
    if (auto it = merges.find({symbols[at], symbols[after]}); it != merges.end())
      queue.push({it->second.rank, at, symbols[at], symbols[after]});
  };
  for (int32_t i = 0; i < size; ++i) {
    previous[i] = i - 1;
    next[i] = i + 1;
  }
  for (int32_t i = 0; i < size; ++i)
    offer(i);
  constexpr int32_t gone = -1;
  while (!queue.empty()) {
    Candidate top = queue.top();
    queue.pop();
    int32_t at = top.position;
    if (symbols[at] != top.left)
      continue;
    int32_t after = next[at];
    if (after >= size || symbols[after] != top.right)
      continue;
    symbols[at] = merges.find({top.left, top.right})->second.result;
    symbols[after] = gone;
    next[at] = next[after];
    if (next[at] < size)
      previous[next[at]] = at;
    offer(previous[at]);
    offer(at);
  }
  llvm::erase(symbols, gone);
}

Error BytePairs::encode(StringRef piece, std::vector<int64_t> &out) const {
  if (piece.empty())
    return Error::success();
  if (ignoreMerges) {
    if (auto it = pieces.find(piece); it != pieces.end()) {
      out.push_back(it->second);
      return Error::success();
    }
  }
  std::vector<int32_t> symbols;
  symbols.reserve(piece.size());
  if (piece.size() > static_cast<size_t>(INT32_MAX))
    return fail("a piece of the text is too long");
  addCharacters(piece, symbols);
  merge(symbols);
  out.insert(out.end(), symbols.begin(), symbols.end());
  return Error::success();
}

} // namespace weir
