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

#include <algorithm>
#include <exception>
#include <queue>

using namespace llvm;

namespace weir {
namespace {

/// A vocabulary larger than this is not a tokenizer; ids index a table.
constexpr int64_t maxVocabulary = 1 << 24;

using TokenList = std::vector<std::pair<std::string, uint64_t>>;

/// The library's map between texts and ids.
Expected<tokenizers::detail::TokenMap> makeMap(TokenList tokens) {
  auto map = tokenizers::detail::build_token_map(std::move(tokens));
  if (!map.ok())
    return fail("two tokens have the same id or the same text");
  return std::move(*map);
}

} // namespace

void TokenBytes::append(std::optional<StringRef> bytes) {
  if (bytes)
    text += *bytes;
  ends.push_back(uint64_t(text.size()) << 1 | bytes.has_value());
}

std::optional<StringRef> TokenBytes::operator[](int64_t id) const {
  if (id < 0 || id >= static_cast<int64_t>(ends.size()) || !(ends[id] & 1))
    return std::nullopt;
  uint64_t begin = id == 0 ? 0 : ends[id - 1] >> 1;
  return StringRef(text).slice(begin, ends[id] >> 1);
}

void TokenBytes::shrink() {
  text.shrink_to_fit();
  ends.shrink_to_fit();
}

MergeTable::MergeTable(std::vector<Merge> merges) {
  // The last of equal pairs comes first.
  llvm::sort(merges, [](const Merge &a, const Merge &b) {
    return std::tie(a.left, a.right, b.rank) < std::tie(b.left, b.right, a.rank);
  });
  auto end = std::unique(merges.begin(), merges.end(),
                         [](const Merge &a, const Merge &b) {
                           return a.left == b.left && a.right == b.right;
                         });
  merges.erase(end, merges.end());
  entries.reserve(merges.size());
  for (const Merge &merge : merges) {
    begins.resize(merge.left + 1, entries.size());
    entries.push_back({merge.right, merge.rank, merge.result});
  }
  begins.push_back(entries.size());
}

const MergeTable::Entry *MergeTable::find(int32_t left, int32_t right) const {
  if (left < 0 || static_cast<size_t>(left) + 1 >= begins.size())
    return nullptr;
  auto begin = entries.begin() + begins[left];
  auto end = entries.begin() + begins[left + 1];
  auto found = std::lower_bound(
      begin, end, right,
      [](const Entry &entry, int32_t id) { return entry.right < id; });
  return found != end && found->right == right ? &*found : nullptr;
}

Error BytePairs::readVocabulary(const json::Object &vocabulary) {
  byteIds.fill(-1);
  TokenList tokens;
  for (const auto &[key, value] : vocabulary) {
    StringRef text = key;
    std::optional<int64_t> id = value.getAsInteger();
    if (!id || *id < 0 || *id >= maxVocabulary)
      return fail("the id of token '{0}' is not usable", text);
    end = std::max(end, *id + 1);
    tokens.emplace_back(text.str(), *id);
    unsigned byte = 0;
    if (text.size() == 6 && text.starts_with("<0x") && text.ends_with(">") &&
        !text.slice(3, 5).getAsInteger(16, byte))
      byteIds[byte] = static_cast<int32_t>(*id);
  }
  Expected<tokenizers::detail::TokenMap> map = makeMap(std::move(tokens));
  if (!map)
    return map.takeError();
  token_map_.emplace(std::move(*map));
  return Error::success();
}

Error BytePairs::readAdded(ArrayRef<AddedToken> added) {
  // The library decodes what is in its map of special tokens, too; it looks for
  // them in texts only if it has a pattern for them, which it has not here.
  TokenList tokens;
  int64_t size = static_cast<int64_t>(token_map_->size()), largest = -1;
  for (const AddedToken &token : added) {
    // Hugging Face's library does not read the ids: a token keeps its id in the
    // vocabulary, others are numbered on.
    int64_t expected = std::max(size, largest + 1);
    if (std::optional<int32_t> id = find(token.content))
      expected = *id;
    if (token.id != expected)
      return fail("added token '{0}' has the id {1} where it would get {2}",
                  token.content, token.id, expected);
    largest = std::max(largest, token.id);
    end = std::max(end, token.id + 1);
    tokens.emplace_back(token.content, token.id);
  }
  Expected<tokenizers::detail::TokenMap> map = makeMap(std::move(tokens));
  if (!map)
    return fail("added_tokens: {0}", toString(map.takeError()));
  special_token_map_.emplace(std::move(*map));
  return Error::success();
}

std::optional<int32_t> BytePairs::find(StringRef text) const {
  std::optional<uint64_t> id =
      token_map_->tryGetInteger({text.data(), text.size()});
  if (!id)
    return std::nullopt;
  return static_cast<int32_t>(*id);
}

Error BytePairs::readMerges(const json::Array &list) {
  std::vector<MergeTable::Merge> read;
  read.reserve(list.size());
  for (auto [rank, value] : enumerate(list)) {
    StringRef left, right;
    if (std::optional<StringRef> text = value.getAsString()) {
      std::tie(left, right) = text->split(' ');
    } else if (const json::Array *pair = value.getAsArray();
               pair && pair->size() == 2) {
      left = (*pair)[0].getAsString().value_or("");
      right = (*pair)[1].getAsString().value_or("");
    }
    std::optional<int32_t> first = find(left), second = find(right),
                           result = find((left + right).str());
    if (left.empty() || right.empty() || !first || !second || !result)
      return fail("merge {0} ('{1}' with '{2}') is not in the vocabulary", rank,
                  left, right);
    read.push_back({*first, *second, static_cast<uint32_t>(rank), *result});
  }
  merges = MergeTable(std::move(read));
  return Error::success();
}

Expected<std::unique_ptr<BytePairs>>
BytePairs::parse(const json::Object &model, ArrayRef<AddedToken> added,
                 tokenizers::PreTokenizer::Ptr splitter,
                 tokenizers::TokenDecoder::Ptr decoder) {
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

  auto out = std::make_unique<BytePairs>();
  out->splitter = std::move(splitter);
  out->decoder = std::move(decoder);
  out->byteFallback = model.getBoolean("byte_fallback").value_or(false);
  out->ignoreMerges = model.getBoolean("ignore_merges").value_or(false);
  out->fuseUnknown = model.getBoolean("fuse_unk").value_or(false);
  if (Error error = out->readVocabulary(*vocabulary))
    return fail("model: {0}", toString(std::move(error)));
  if (Error error = out->readMerges(*mergeList))
    return fail("model: {0}", toString(std::move(error)));
  if (Error error = out->readAdded(added))
    return std::move(error);
  if (std::optional<StringRef> text = model.getString("unk_token")) {
    out->unknown = out->find(*text);
    if (!out->unknown)
      return fail("model: the unknown token '{0}' is not in the vocabulary",
                  *text);
  }
  out->initialized_ = true;
  return out;
}

tokenizers::Error BytePairs::load(const std::string &) {
  // The library would read a path; parse() has checked what it reads.
  return tokenizers::Error::LoadFailure;
}

std::optional<int64_t> BytePairs::idOf(StringRef text) const {
  return find(text);
}

std::vector<int32_t> BytePairs::characters(StringRef piece) const {
  std::vector<int32_t> out;
  out.reserve(piece.size());
  bool afterUnknown = false;
  while (!piece.empty()) {
    StringRef character = piece.take_front(firstCharacter(piece).length);
    piece = piece.drop_front(character.size());
    bool wasUnknown = std::exchange(afterUnknown, false);
    if (std::optional<int32_t> id = find(character)) {
      out.push_back(*id);
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
  return out;
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
    if (const auto *merge = merges.find(symbols[at], symbols[after]))
      queue.push({merge->rank, at, symbols[at], symbols[after]});
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
    symbols[at] = merges.find(top.left, top.right)->result;
    symbols[after] = gone;
    next[at] = next[after];
    if (next[at] < size)
      previous[next[at]] = at;
    offer(previous[at]);
    offer(at);
  }
  llvm::erase(symbols, gone);
}

tokenizers::Result<std::vector<uint64_t>>
BytePairs::byte_pair_encode_(const std::string &piece,
                             const tokenizers::detail::TokenMap &) const {
  if (ignoreMerges)
    if (std::optional<int32_t> id = find(piece))
      return std::vector<uint64_t>{static_cast<uint64_t>(*id)};
  if (piece.size() > static_cast<size_t>(INT32_MAX))
    return tokenizers::Error::EncodeFailure;
  std::vector<int32_t> symbols = characters(piece);
  merge(symbols);
  return std::vector<uint64_t>(symbols.begin(), symbols.end());
}

tokenizers::Error BytePairs::_encode(const std::string &text,
                                     std::vector<uint64_t> &ids,
                                     uint64_t &lastPieceSize) const {
  auto append = [&](const std::string &piece) {
    auto merged = byte_pair_encode_(piece, *token_map_);
    if (!merged.ok())
      return merged.error();
    lastPieceSize = merged->size();
    ids.insert(ids.end(), merged->begin(), merged->end());
    return tokenizers::Error::Ok;
  };
  if (!splitter)
    return append(text);
  for (const std::string &piece : splitter->pre_tokenize(text))
    if (auto error = append(piece); error != tokenizers::Error::Ok)
      return error;
  return tokenizers::Error::Ok;
}

void BytePairs::_decode(const std::string &token, std::string &out) const {
  out += decoder ? decoder->decode(token) : token;
}

Error BytePairs::appendIds(StringRef text, std::vector<int64_t> &ids) const {
  try {
    auto result = tokenizers::detail::BPETokenizerBase::encode(text.str(), 0, 0);
    if (!result.ok())
      return fail("a piece of the text is too long");
    ids.insert(ids.end(), result->begin(), result->end());
  } catch (const std::exception &exception) {
    return fail("splitting the text: {0}", exception.what());
  }
  return Error::success();
}

Expected<TokenBytes> BytePairs::bytesOfTokens() const {
  TokenBytes out;
  for (int64_t id = 0; id < end; ++id) {
    std::optional<std::string> text;
    if (token_map_->tryGetString(id) || special_token_map_->tryGetString(id)) {
      try {
        auto bytes = decode(/*prev=*/0, id);
        if (bytes.ok())
          text = std::move(*bytes);
      } catch (const std::exception &exception) {
        return fail("decoder: {0}", exception.what());
      }
    }
    out.append(text ? std::optional<StringRef>(*text) : std::nullopt);
  }
  out.shrink();
  return std::move(out);
}

} // namespace weir
