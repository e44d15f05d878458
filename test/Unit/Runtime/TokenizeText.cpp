//===- TokenizeText.cpp - Ids of texts, for comparing them ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// usage: weir-tokenize-text tokenizer.json < texts
//
// Every line of the input is a JSON string, every line of the output the JSON
// object of what the tokenizer makes of it: "ids" with the special tokens of the
// post-processor, "plain" without, "text" and "whole" decoded from "ids" without
// and with special tokens; or "error". Exits with 1 if the tokenizer is refused,
// with the message on stderr.
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Tokenizer.h"
#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <iostream>

using namespace llvm;

namespace {

Expected<json::Object> describe(const weir::Tokenizer &tokenizer,
                                StringRef line) {
  Expected<json::Value> value = weir::parseJSON(line);
  if (!value)
    return value.takeError();
  std::optional<StringRef> text = value->getAsString();
  if (!text)
    return createStringError("not a string");
  auto ids = tokenizer.encode(*text), plain = tokenizer.encode(*text, false);
  if (!ids || !plain)
    return joinErrors(ids.takeError(), plain.takeError());
  auto decoded = tokenizer.decode(*ids), whole = tokenizer.decode(*ids, false);
  if (!decoded || !whole)
    return joinErrors(decoded.takeError(), whole.takeError());
  return json::Object{{"ids", json::Array(*ids)},
                      {"plain", json::Array(*plain)},
                      {"text", *decoded},
                      {"whole", *whole}};
}

} // namespace

int main(int argc, char **argv) {
  auto buffer = MemoryBuffer::getFile(argc == 2 ? argv[1] : "");
  if (!buffer) {
    errs() << "usage: weir-tokenize-text tokenizer.json < texts\n";
    return 1;
  }
  auto tokenizer = weir::Tokenizer::parse((*buffer)->getBuffer());
  if (!tokenizer) {
    errs() << toString(tokenizer.takeError()) << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    Expected<json::Object> out = describe(**tokenizer, line);
    if (out)
      outs() << json::Value(std::move(*out)) << "\n";
    else
      outs() << json::Value(json::Object{{"error", toString(out.takeError())}})
             << "\n";
  }
}
