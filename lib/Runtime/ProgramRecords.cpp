//===- ProgramRecords.cpp - What a program's archive says of itself ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include "weir/Runtime/ProgramCheck.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace weir {

Expected<StringRef> textRecord(const Archive &archive, StringRef name) {
  Expected<ArrayRef<std::byte>> bytes = archive.verifiedRecord(name);
  if (!bytes)
    return bytes.takeError();
  return StringRef(reinterpret_cast<const char *>(bytes->data()),
                   bytes->size());
}

Expected<std::optional<Manifest>> readSteering(const Archive &archive) {
  if (!is_contained(archive.records(), Manifest::recordName))
    return std::nullopt;
  Expected<StringRef> text = textRecord(archive, Manifest::recordName);
  if (!text)
    return text.takeError();
  Expected<Manifest> record = Manifest::parseRecord(*text);
  if (!record)
    return fail("{0}: {1}", Manifest::recordName,
                toString(record.takeError()));
  return std::move(*record);
}

Expected<ModelInfo> ModelInfo::parse(StringRef text) {
  Expected<json::Value> value = parseJSON(text);
  if (!value)
    return value.takeError();
  const json::Object *object = value->getAsObject();
  if (!object || object->getInteger("weir") != 1)
    return fail("\"weir\": 1 is missing");
  ModelInfo out;
  out.model = object->getString("model").value_or("").str();
  out.family = object->getString("family").value_or("").str();
  out.dtype = object->getString("dtype").value_or("").str();
  out.arithmetic = object->getString("arithmetic").value_or("").str();
  out.vocabularySize = object->getInteger("vocab_size").value_or(0);
  out.maxBatch = object->getInteger("max_batch").value_or(0);
  out.maxLength = object->getInteger("max_length").value_or(0);
  if (out.vocabularySize < 1 || out.maxBatch < 1 || out.maxLength < 1)
    return fail("\"vocab_size\", \"max_batch\" and \"max_length\" must be "
                "positive");
  out.bos = object->getInteger("bos");
  if (const json::Array *ids = object->getArray("eos"))
    for (const json::Value &id : *ids) {
      std::optional<int64_t> number = id.getAsInteger();
      if (!number)
        return fail("\"eos\" must be a list of integers");
      out.eos.push_back(*number);
    }
  if (std::optional<StringRef> source = object->getString("chat_template"))
    out.chatTemplates["default"] = source->str();
  if (const json::Object *named = object->getObject("chat_templates"))
    for (const auto &[name, source] : *named) {
      std::optional<StringRef> text = source.getAsString();
      if (!text)
        return fail("\"chat_templates\" must be an object of texts");
      out.chatTemplates[StringRef(name).str()] = text->str();
    }
  return out;
}

} // namespace weir
