//===- Formats.cpp - What the dictionary formats share ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

#include "weir/Dictionary/Hooks.h"
#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace llvm;

namespace weir::dictionary {

Error fail(StringRef path, const Twine &message) {
  return createStringError(std::make_error_code(std::errc::invalid_argument),
                           Twine(path) + ": " + message);
}

std::string shapeText(ArrayRef<int64_t> shape) {
  return ("[" +
          join(map_range(shape, [](int64_t n) { return std::to_string(n); }),
               ", ") +
          "]");
}

std::string NamedTensor::text() const {
  return (name + " is " + nameOf(view.dtype) + " " + shapeText(view.shape))
      .str();
}

Error NamedTensor::load() {
  if (view.data || !file)
    return Error::success();
  Expected<TensorView> loaded = file->tensor(name);
  if (!loaded)
    return loaded.takeError();
  view.data = loaded->data + byteOffset;
  view.owner = std::move(loaded->owner);
  return Error::success();
}

void NamedTensor::reshape(ArrayRef<int64_t> shape) {
  view.shape.assign(shape.begin(), shape.end());
}

void NamedTensor::slice(int64_t index) {
  view.shape.erase(view.shape.begin());
  size_t bytes = view.numBytes() * index;
  byteOffset += bytes;
  if (view.data)
    view.data += bytes;
}

std::string inFolder(StringRef folder, StringRef file) {
  SmallString<256> path(folder);
  sys::path::append(path, file);
  return path.str().str();
}

Error requireFolder(StringRef path, StringRef holds) {
  if (!sys::fs::exists(path))
    return fail(path, "no such folder; expected a folder with " + holds);
  if (!sys::fs::is_directory(path))
    return fail(path, "is a file; expected the folder with " + holds);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Settings
//===----------------------------------------------------------------------===//

Expected<Settings> Settings::read(StringRef path) {
  Expected<std::string> text = readText(path);
  if (!text)
    return text.takeError();
  Expected<json::Value> value = parseJSON(*text);
  if (!value)
    return fail(path, toString(value.takeError()));
  json::Object *object = value->getAsObject();
  if (!object)
    return fail(path, "expected a JSON object");
  Settings settings;
  settings.file = path.str();
  settings.values = std::move(*object);
  return settings;
}

const json::Value *Settings::find(StringRef key) const {
  const json::Value *value = values.get(key);
  return value && value->kind() != json::Value::Null ? value : nullptr;
}

Error Settings::wrong(StringRef key, const Twine &message) const {
  return fail(file, "'" + prefix + key + "' " + message);
}

/// "true", "a string"... for errors.
static std::string describe(const json::Value &value) {
  switch (value.kind()) {
  case json::Value::Object:
    return "an object";
  case json::Value::Array:
    return "a list";
  default:
    return formatv("{0}", value).str();
  }
}

Expected<Settings> Settings::object(StringRef key) const {
  Settings result;
  result.file = file;
  result.prefix = (prefix + key + ".").str();
  if (const json::Value *value = find(key)) {
    const json::Object *object = value->getAsObject();
    if (!object)
      return wrong(key, "must be an object, not " + describe(*value));
    result.values = *object;
  }
  return result;
}

Expected<std::optional<bool>> Settings::boolean(StringRef key) const {
  const json::Value *value = find(key);
  if (!value)
    return std::nullopt;
  if (std::optional<bool> result = value->getAsBoolean())
    return result;
  return wrong(key, "must be true or false, not " + describe(*value));
}

Expected<std::optional<double>> Settings::number(StringRef key) const {
  const json::Value *value = find(key);
  if (!value)
    return std::nullopt;
  std::optional<double> result = value->getAsNumber();
  if (!result)
    return wrong(key, "must be a number, not " + describe(*value));
  if (!std::isfinite(*result))
    return wrong(key, "must be a finite number");
  return result;
}

Expected<std::optional<int64_t>> Settings::integer(StringRef key) const {
  const json::Value *value = find(key);
  if (!value)
    return std::nullopt;
  if (std::optional<int64_t> result = value->getAsInteger())
    return result;
  return wrong(key, "must be a whole number, not " + describe(*value));
}

Expected<std::optional<std::string>> Settings::string(StringRef key) const {
  const json::Value *value = find(key);
  if (!value)
    return std::nullopt;
  if (std::optional<StringRef> result = value->getAsString())
    return result->str();
  return wrong(key, "must be a string, not " + describe(*value));
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

Expected<NamedTensor> floatTensor(const TensorFile &file, StringRef name,
                                  int64_t rank) {
  Expected<TensorView> view = file.describe(name);
  if (!view)
    return view.takeError();
  NamedTensor tensor{name.str(), std::move(*view), file.shared_from_this()};
  if (!isFloat(tensor.view.dtype))
    return fail(file.path(),
                tensor.text() + "; expected f64, f32, f16 or bf16");
  if (tensor.view.rank() != rank)
    return fail(file.path(), tensor.text() + "; expected " + Twine(rank) +
                                 (rank == 1 ? " dimension" : " dimensions"));
  return tensor;
}

Error refuseOtherTensors(const TensorFile &file, ArrayRef<StringRef> known,
                         const Twine &why) {
  for (const std::string &name : file.names())
    if (!is_contained(known, name))
      return fail(file.path(), "unexpected tensor '" + name + "': " + why +
                                   " has " + join(known, ", ") +
                                   "; nothing in the file is ignored");
  return Error::success();
}

Error requireShape(StringRef path, const NamedTensor &tensor,
                   ArrayRef<int64_t> shape, const NamedTensor &because) {
  if (ArrayRef<int64_t>(tensor.view.shape) == shape)
    return Error::success();
  return fail(path, tensor.name + " is " + shapeText(tensor.view.shape) +
                        ", but " + because.name + " is " +
                        shapeText(because.view.shape) + ", so it must be " +
                        shapeText(shape));
}

Error requireSize(const Settings &settings, StringRef key, int64_t found,
                  const NamedTensor &tensor) {
  Expected<std::optional<int64_t>> size = settings.integer(key);
  if (!size)
    return size.takeError();
  if (!*size || **size == found)
    return Error::success();
  return settings.wrong(key, "is " + Twine(**size) + ", but " + tensor.name +
                                 " is " + shapeText(tensor.view.shape));
}

Error requireFinite(StringRef path, const NamedTensor &tensor) {
  for (int64_t i = 0, n = tensor.view.numElements(); i < n; ++i) {
    double value = tensor.view.at(i);
    if (!std::isfinite(value))
      return fail(path, tensor.name + "[" + Twine(i) + "] is " +
                            (std::isnan(value) ? "NaN" : "infinite"));
  }
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Transcoders
//===----------------------------------------------------------------------===//

void makeTranscoder(DictionaryInfo &info, LinearForm &form, std::string in,
                    std::string out, const DictionaryPlace &place) {
  info.readsSite = false;
  info.hookName = std::move(in);
  info.outputHookName = std::move(out);
  std::optional<HookPlace> read = parseHookName(info.hookName);
  if (place.readsKnown || (read && read->canBeRead()))
    return;
  form.unreadable =
      "a transcoder, which reads " +
      (info.hookName.empty() ? std::string("at a place that its files do not name")
                             : "'" + info.hookName + "'") +
      ": say with `reads` which place of the layer that is; without it only its "
      "decoder rows can be used";
}

Error addSkip(const TensorFile &file, StringRef name, bool byInput,
              LinearForm &form) {
  Expected<NamedTensor> skip = floatTensor(file, name, 2);
  if (!skip)
    return skip.takeError();
  int64_t in = form.encoder.view.shape[form.encoderByRow ? 1 : 0];
  int64_t out = form.decoder.view.shape[form.decoderByRow ? 1 : 0];
  int64_t shape[] = {in, out};
  if (!byInput)
    std::swap(shape[0], shape[1]);
  if (Error error = requireShape(file.path(), *skip, shape, form.encoder))
    return error;
  form.others.push_back(std::move(*skip));
  return Error::success();
}

} // namespace weir::dictionary
