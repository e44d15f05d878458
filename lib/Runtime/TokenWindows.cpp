//===- TokenWindows.cpp - A text as pieces that a model reads ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/TokenWindows.h"

#include "Support.h"

#include "weir/Runtime/Program.h"
#include "weir/Support/Files.h"
#include "weir/Support/JsonLines.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <cstring>

using namespace llvm;

namespace weir {

class WindowReader {
public:
  WindowReader(const Program &program, const WindowOptions &options)
      : program(program), options(options) {}

  Error checkOptions();
  Error read(StringRef path);
  TokenWindows take() { return std::move(out); }

private:
  Error readText(StringRef path);
  Error readLines(StringRef path);
  Error readArray(StringRef path);
  Error addText(StringRef text);
  void addDocument(ArrayRef<int64_t> ids);
  bool isFull() const {
    return options.maxTokens && out.total >= *options.maxTokens;
  }

  const Program &program;
  const WindowOptions &options;
  std::unique_ptr<Tokenizer> tokenizer;
  int64_t documents = 0;
  TokenWindows out;
};

Error WindowReader::checkOptions() {
  const ModelInfo &model = program.model();
  out.positions =
      options.context.value_or(std::min<int64_t>(128, model.maxLength));
  if (out.positions < 1 || out.positions > model.maxLength)
    return fail("a context of {0} positions; the program holds 1 to {1}",
                out.positions, model.maxLength);
  if (options.skipFirst < 0 || options.skipFirst >= out.positions)
    return fail("skipping {0} of {1} positions leaves none", options.skipFirst,
                out.positions);
  out.skip = options.skipFirst;
  if (options.maxTokens && *options.maxTokens < 1)
    return fail("at least one token is needed, not {0}", *options.maxTokens);
  if (!options.beginWithBos)
    return Error::success();
  if (!model.bos)
    return fail("the model has no beginning-of-sequence token to begin windows "
                "with");
  if (out.positions < 2)
    return fail("a window of one position has no room for more than the "
                "beginning-of-sequence token");
  out.bos = model.bos;
  return Error::success();
}

void WindowReader::addDocument(ArrayRef<int64_t> ids) {
  const int64_t room = out.positions - out.bos.has_value();
  const int64_t document = documents++;
  while (!ids.empty() && !isFull()) {
    int64_t length = std::min<int64_t>(room, ids.size());
    int64_t counted = length + out.bos.has_value() - out.skip;
    if (counted <= 0)
      return; // the rest of the document is shorter than what is skipped
    if (options.maxTokens && counted > *options.maxTokens - out.total) {
      length -= counted - (*options.maxTokens - out.total);
      counted = *options.maxTokens - out.total;
    }
    out.windows.push_back({out.tokens.size(), length, document});
    out.tokens.insert(out.tokens.end(), ids.begin(), ids.begin() + length);
    out.total += counted;
    ids = ids.drop_front(length);
  }
}

Error WindowReader::addText(StringRef text) {
  if (!tokenizer) {
    Expected<std::unique_ptr<Tokenizer>> loaded = program.loadTokenizer();
    if (!loaded)
      return loaded.takeError();
    tokenizer = std::move(*loaded);
  }
  Expected<std::vector<int64_t>> ids =
      tokenizer->encode(text, /*addSpecialTokens=*/false);
  if (!ids)
    return ids.takeError();
  for (int64_t id : *ids)
    if (id < 0 || id >= program.model().vocabularySize)
      return fail("the tokenizer gives id {0}, outside of the vocabulary of {1}",
                  id, program.model().vocabularySize);
  addDocument(*ids);
  return Error::success();
}

Error WindowReader::readText(StringRef path) {
  Expected<std::shared_ptr<FileMapping>> file = FileMapping::open(path);
  if (!file)
    return file.takeError();
  if (Error error = addText((*file)->text()))
    return fail("{0}: {1}", path, toString(std::move(error)));
  return Error::success();
}

Error WindowReader::readLines(StringRef path) {
  Expected<std::shared_ptr<FileMapping>> file = FileMapping::open(path);
  if (!file)
    return file.takeError();
  StringRef rest = (*file)->text();
  for (size_t number = 1; !rest.empty() && !isFull(); ++number) {
    StringRef line;
    std::tie(line, rest) = rest.split('\n');
    if (line.trim().empty())
      continue;
    auto failHere = [&](const std::string &what) {
      return fail("{0}:{1}: {2}", path, number, what);
    };
    Expected<json::Value> value = parseJSONLine(line);
    if (!value)
      return failHere(toString(value.takeError()));
    const json::Object *object = value->getAsObject();
    std::optional<StringRef> text =
        object ? object->getString("text") : std::nullopt;
    if (!text)
      return failHere("a line is an object with a string \"text\"");
    if (Error error = addText(*text))
      return failHere(toString(std::move(error)));
  }
  return Error::success();
}

Error WindowReader::readArray(StringRef path) {
  Expected<std::shared_ptr<TensorFile>> file = TensorFile::open(path);
  if (!file)
    return file.takeError();
  Expected<TensorView> view = (*file)->tensor((*file)->names().front());
  if (!view)
    return view.takeError();
  if ((view->dtype != DType::Int64 && view->dtype != DType::Int32) ||
      view->rank() < 1 || view->rank() > 2)
    return fail("{0}: token ids are an int64 or int32 array, [n] or "
                "[documents, length]",
                path);
  const bool isMatrix = view->rank() == 2;
  const int64_t rows = isMatrix ? view->shape[0] : 1;
  const int64_t length = view->shape.back();
  const size_t itemSize = sizeOf(view->dtype);
  std::vector<int64_t> ids;
  for (int64_t row = 0; row < rows && !isFull(); ++row) {
    ids.clear();
    bool padding = false;
    for (int64_t at = 0; at < length; ++at) {
      const std::byte *item = view->data + (row * length + at) * itemSize;
      int64_t id;
      if (view->dtype == DType::Int64) {
        std::memcpy(&id, item, sizeof(id));
      } else {
        int32_t narrow;
        std::memcpy(&narrow, item, sizeof(narrow));
        id = narrow;
      }
      if (id == -1) {
        padding = true;
        continue;
      }
      if (padding)
        return fail("{0}: row {1}: padding (-1) is allowed on the right only",
                    path, row);
      if (id < 0 || id >= program.model().vocabularySize)
        return fail("{0}: row {1}: id {2} is outside of the vocabulary of {3}",
                    path, row, id, program.model().vocabularySize);
      ids.push_back(id);
    }
    addDocument(ids);
  }
  return Error::success();
}

Error WindowReader::read(StringRef path) {
  if (Error error = checkOptions())
    return error;
  StringRef extension = sys::path::extension(path);
  Error error = Error::success();
  if (extension == ".txt")
    error = readText(path);
  else if (extension == ".jsonl")
    error = readLines(path);
  else if (extension == ".npy")
    error = readArray(path);
  else
    error = fail("{0}: text is read from .txt and .jsonl files, token ids from "
                 ".npy files",
                 path);
  if (error)
    return error;
  if (out.windows.empty())
    return fail("{0}: there is no token that counts", path);
  return Error::success();
}

Expected<TokenWindows> TokenWindows::read(StringRef path,
                                          const Program &program,
                                          const WindowOptions &options) {
  WindowReader reader(program, options);
  if (Error error = reader.read(path))
    return std::move(error);
  return reader.take();
}

} // namespace weir
