//===- Tokenizer.cpp - Hugging Face's tokenizer.json ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Tokenizer.h"

#include "../Support.h"
#include "BytePairs.h"
#include "Components.h"
#include "PreTokenizers.h"
#include "Utf8.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"

using namespace llvm;

namespace weir {
namespace {

/// A token that is looked for in the text before anything else happens.
struct AddedToken {
  int64_t id = 0;
  std::string content;
  bool special = false, normalized = false, leftStrip = false,
       rightStrip = false;
};

/// Finds added tokens, the leftmost and of these the longest first.
class AddedTokens {
public:
  void add(const AddedToken &token, std::string pattern) {
    if (pattern.empty())
      return;
    auto &bucket = byFirstByte[static_cast<uint8_t>(pattern[0])];
    auto longer = llvm::find_if(bucket, [&](const Entry &entry) {
      return entry.pattern.size() < pattern.size();
    });
    bucket.insert(longer, {std::move(pattern), token});
  }

  struct Piece {
    StringRef text;
    std::optional<int64_t> id; ///< of the token, or nothing for text between
  };

  std::vector<Piece> split(StringRef text) const {
    std::vector<Piece> out;
    size_t done = 0;
    for (size_t at = 0; at < text.size();) {
      const Entry *entry = match(text.drop_front(at));
      if (!entry) {
        ++at;
        continue;
      }
      size_t begin = at, end = at + entry->pattern.size();
      at = end;
      if (entry->token.leftStrip)
        begin = std::max(done, done + trimmedSize(text.slice(done, begin)));
      if (entry->token.rightStrip)
        end += leadingWhitespace(text.drop_front(end));
      if (begin < done)
        continue;
      if (done < begin)
        out.push_back({text.slice(done, begin), std::nullopt});
      out.push_back({text.slice(begin, end), entry->token.id});
      done = end;
      at = std::max(at, end);
    }
    if (done < text.size())
      out.push_back({text.drop_front(done), std::nullopt});
    return out;
  }

private:
  struct Entry {
    std::string pattern;
    AddedToken token;
  };

  const Entry *match(StringRef text) const {
    for (const Entry &entry : byFirstByte[static_cast<uint8_t>(text[0])])
      if (text.starts_with(entry.pattern))
        return &entry;
    return nullptr;
  }

  static size_t leadingWhitespace(StringRef text) {
    size_t size = 0;
    while (size < text.size()) {
      Character character = firstCharacter(text.drop_front(size));
      if (!isWhitespace(character.codePoint))
        break;
      size += character.length;
    }
    return size;
  }

  /// The size of a text without its trailing whitespace.
  static size_t trimmedSize(StringRef text) {
    size_t size = 0;
    for (size_t at = 0; at < text.size();) {
      Character character = firstCharacter(text.drop_front(at));
      at += character.length;
      if (!isWhitespace(character.codePoint))
        size = at;
    }
    return size;
  }

  std::array<std::vector<Entry>, 256> byFirstByte;
};

class TokenizerImpl final : public Tokenizer {
public:
  Error read(const json::Object &object);

  Expected<std::vector<int64_t>> encode(StringRef text,
                                        bool addSpecialTokens) const override;
  std::optional<StringRef> bytesOf(int64_t id) const override {
    return bytes[id];
  }
  bool isSpecial(int64_t id) const override { return special.contains(id); }
  std::optional<int64_t> idOf(StringRef token) const override {
    if (auto it = addedIds.find(token); it != addedIds.end())
      return it->second;
    return model->idOf(token);
  }
  unsigned leadingSpacesToStrip() const override {
    return decoding.leadingSpaces;
  }

private:
  Error readAddedTokens(const json::Array *list);
  Error readPostProcessor(const json::Value *value);
  Error readTemplate(const json::Object &object);
  Expected<std::string> normalize(StringRef text) const;
  Error encodeText(StringRef text, bool begins, std::vector<int64_t> &ids) const;

  tokenizers::Normalizer::Ptr normalizer; ///< may be null
  Splitting splitting;
  Decoding decoding;
  std::unique_ptr<BytePairs> model;
  AddedTokens raw, normalized;
  std::vector<BytePairs::AddedToken> added;
  StringMap<int64_t> addedIds;
  DenseSet<int64_t> special;
  std::vector<int64_t> prefix, suffix; ///< of the post-processor
  TokenBytes bytes;
};

Error TokenizerImpl::readAddedTokens(const json::Array *list) {
  if (!list)
    return Error::success();
  for (const json::Value &value : *list) {
    const json::Object *object = value.getAsObject();
    std::optional<StringRef> content =
        object ? object->getString("content") : std::nullopt;
    std::optional<int64_t> id = object ? object->getInteger("id") : std::nullopt;
    if (!content || content->empty() || !id || *id < 0 || *id >= 1 << 24)
      return fail("added_tokens: an entry without \"content\" or \"id\"");
    if (Error error = allowOnly(*object, {"id", "content", "single_word",
                                          "lstrip", "rstrip", "normalized",
                                          "special"}))
      return fail("added token '{0}': {1}", *content,
                  toString(std::move(error)));
    if (object->getBoolean("single_word").value_or(false))
      return fail("added token '{0}': single_word is not known", *content);
    AddedToken token;
    token.id = *id;
    token.content = content->str();
    token.special = object->getBoolean("special").value_or(false);
    token.normalized = object->getBoolean("normalized").value_or(false);
    token.leftStrip = object->getBoolean("lstrip").value_or(false);
    token.rightStrip = object->getBoolean("rstrip").value_or(false);
    if (token.normalized) {
      Expected<std::string> pattern = normalize(token.content);
      if (!pattern)
        return pattern.takeError();
      normalized.add(token, std::move(*pattern));
    } else {
      raw.add(token, token.content);
    }
    if (token.special)
      special.insert(token.id);
    addedIds[token.content] = token.id;
    added.push_back({token.content, token.id});
  }
  return Error::success();
}

Error TokenizerImpl::readTemplate(const json::Object &object) {
  if (Error error = allowOnly(object, {"single", "pair", "special_tokens"}))
    return error;
  const json::Array *single = object.getArray("single");
  const json::Object *tokens = object.getObject("special_tokens");
  if (!single || !tokens)
    return fail("\"single\" or \"special_tokens\" is missing");
  bool seenText = false;
  for (const json::Value &value : *single) {
    const json::Object *step = value.getAsObject();
    if (step && step->getObject("Sequence") && !seenText) {
      seenText = true;
      continue;
    }
    const json::Object *token = step ? step->getObject("SpecialToken") : nullptr;
    std::optional<StringRef> name =
        token ? token->getString("id") : std::nullopt;
    const json::Object *entry = name ? tokens->getObject(*name) : nullptr;
    const json::Array *ids = entry ? entry->getArray("ids") : nullptr;
    if (!ids)
      return fail("\"single\" has a step that is not known");
    for (const json::Value &id : *ids) {
      std::optional<int64_t> number = id.getAsInteger();
      if (!number || *number < 0)
        return fail("special token '{0}' has no usable id", *name);
      (seenText ? suffix : prefix).push_back(*number);
    }
  }
  return seenText ? Error::success() : fail("\"single\" lacks the text");
}

Error TokenizerImpl::readPostProcessor(const json::Value *value) {
  return forEachComponent(
      value, "post_processor", "processors",
      [&](StringRef type, const json::Object &object) -> Error {
        if (type == "ByteLevel") // concerns offsets only
          return Error::success();
        if (type == "TemplateProcessing" && prefix.empty() && suffix.empty())
          return readTemplate(object);
        return fail("this type is not known");
      });
}

Error TokenizerImpl::read(const json::Object &object) {
  if (Error error = allowOnly(
          object, {"version", "truncation", "padding", "added_tokens",
                   "normalizer", "pre_tokenizer", "post_processor", "decoder",
                   "model"}))
    return error;
  // "truncation" and "padding" are what the last call of a Python program left
  // behind; transformers resets them, too.
  auto parsedNormalizer = parseNormalizer(object.get("normalizer"));
  if (!parsedNormalizer)
    return parsedNormalizer.takeError();
  normalizer = std::move(*parsedNormalizer);
  Expected<Splitting> parsedSplitting =
      parsePreTokenizer(object.get("pre_tokenizer"));
  if (!parsedSplitting)
    return parsedSplitting.takeError();
  splitting = std::move(*parsedSplitting);
  Expected<Decoding> parsedDecoding = parseDecoder(object.get("decoder"));
  if (!parsedDecoding)
    return parsedDecoding.takeError();
  decoding = std::move(*parsedDecoding);
  if (Error error = readAddedTokens(object.getArray("added_tokens")))
    return error;
  if (Error error = readPostProcessor(object.get("post_processor")))
    return error;
  const json::Object *modelObject = object.getObject("model");
  if (!modelObject)
    return fail("\"model\" is missing");
  auto parsedModel =
      BytePairs::parse(*modelObject, added, splitting.steps, decoding.steps);
  if (!parsedModel)
    return parsedModel.takeError();
  model = std::move(*parsedModel);
  auto tokens = model->bytesOfTokens();
  if (!tokens)
    return tokens.takeError();
  bytes = std::move(*tokens);
  return Error::success();
}

Expected<std::string> TokenizerImpl::normalize(StringRef text) const {
  try {
    return normalizer ? normalizer->normalize(text.str()) : text.str();
  } catch (const std::exception &exception) {
    return fail("normalizing the text: {0}", exception.what());
  }
}

/// `begins` says whether the whole text begins with this part of it.
Error TokenizerImpl::encodeText(StringRef text, bool begins,
                                std::vector<int64_t> &ids) const {
  if (splitting.space.empty())
    return model->appendIds(text, ids);
  std::string spaced;
  for (char byte : text)
    if (byte == ' ')
      spaced += splitting.space;
    else
      spaced += byte;
  bool prepend = splitting.prepend == Splitting::Prepend::Always ||
                 (splitting.prepend == Splitting::Prepend::First && begins);
  if (prepend && !StringRef(spaced).starts_with(splitting.space))
    spaced.insert(0, splitting.space);
  return model->appendIds(spaced, ids);
}

Expected<std::vector<int64_t>>
TokenizerImpl::encode(StringRef text, bool addSpecialTokens) const {
  if (!isUtf8(text))
    return fail("the text is not UTF-8");
  std::vector<int64_t> ids;
  if (addSpecialTokens)
    ids = prefix;
  for (const AddedTokens::Piece &piece : raw.split(text)) {
    if (piece.id) {
      ids.push_back(*piece.id);
      continue;
    }
    Expected<std::string> clean = normalize(piece.text);
    if (!clean)
      return clean.takeError();
    for (const AddedTokens::Piece &inner : normalized.split(*clean)) {
      bool begins = piece.text.data() == text.data() &&
                    inner.text.data() == clean->data();
      if (inner.id)
        ids.push_back(*inner.id);
      else if (Error error = encodeText(inner.text, begins, ids))
        return std::move(error);
    }
  }
  if (addSpecialTokens)
    ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

} // namespace

Expected<std::unique_ptr<Tokenizer>> Tokenizer::parse(StringRef text) {
  Expected<json::Value> value = parseJSON(text);
  if (!value)
    return fail("tokenizer.json: {0}", toString(value.takeError()));
  const json::Object *object = value->getAsObject();
  if (!object)
    return fail("tokenizer.json is not a JSON object");
  auto out = std::make_unique<TokenizerImpl>();
  if (Error error = out->read(*object))
    return fail("tokenizer.json: {0}", toString(std::move(error)));
  return out;
}

Expected<std::string> Tokenizer::decode(ArrayRef<int64_t> ids,
                                        bool skipSpecialTokens) const {
  TextStream stream(*this, skipSpecialTokens);
  std::string out;
  for (int64_t id : ids) {
    Expected<std::string> text = stream.push(id);
    if (!text)
      return text.takeError();
    out += *text;
  }
  return out + stream.finish();
}

Expected<std::string> TextStream::push(int64_t id) {
  std::optional<StringRef> bytes = tokenizer.bytesOf(id);
  if (!bytes)
    return fail("token {0} is not in the vocabulary", id);
  if (skipSpecialTokens && tokenizer.isSpecial(id))
    return std::string();
  while (toStrip > 0 && !bytes->empty()) {
    if (!bytes->consume_front(" ")) {
      toStrip = 0;
      break;
    }
    --toStrip;
  }
  pending += *bytes;
  return takeText(pending, /*all=*/false);
}

std::string TextStream::finish() { return takeText(pending, /*all=*/true); }

} // namespace weir
