//===- ArchiveWriter.cpp - Writer of torch.export archives ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/Archive.h"

#include "ArchiveLayout.h"
#include "Readers.h"
#include "Zip.h"

#include "weir/Program/Files.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

#include <caffe2/serialize/inline_container.h>

using namespace llvm;

namespace weir {

namespace {

json::Array asInts(ArrayRef<int64_t> values) {
  json::Array array;
  for (int64_t value : values)
    array.push_back(json::Object{{"as_int", value}});
  return array;
}

/// Strides of a dense row-major tensor, as torch gives them: an empty axis
/// counts like one of size 1.
SmallVector<int64_t, 4> denseStrides(ArrayRef<int64_t> sizes) {
  SmallVector<int64_t, 4> strides(sizes.size(), 1);
  for (size_t i = sizes.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<int64_t>(sizes[i], 1);
  return strides;
}

/// `file` is taken by value: a JSON value made of a reference does not copy it.
json::Object payloadMeta(const AddedTensor &tensor, std::string file) {
  return json::Object{
      {"path_name", std::move(file)},
      {"is_param", tensor.kind == AddedTensor::Parameter},
      {"use_pickle", false},
      {"tensor_meta",
       json::Object{
           {"dtype", archiveDType(tensor.dtype)},
           {"sizes", asInts(tensor.sizes)},
           {"strides", asInts(denseStrides(tensor.sizes))},
           {"storage_offset", json::Object{{"as_int", 0}}},
           {"requires_grad", false},
           {"device", json::Object{{"type", "cpu"}, {"index", nullptr}}},
           {"layout", archive::stridedLayout},
       }},
  };
}

/// The first number that no record "<prefix><number>" has.
uint64_t nextNumber(const Archive &source, StringRef prefix) {
  uint64_t next = 0;
  for (StringRef name : source.records()) {
    uint64_t number;
    if (name.consume_front(prefix) && !name.getAsInteger(10, number) &&
        number != UINT64_MAX)
      next = std::max(next, number + 1);
  }
  return next;
}

class ArchiveWriter {
public:
  ArchiveWriter(const Archive &source, const json::Object &model,
                ArrayRef<AddedTensor> tensors, ArrayRef<AddedRecord> records)
      : source(source), model(model), tensors(tensors), records(records) {}

  Error check();
  Error write(StringRef path);

private:
  Error failed(const Twine &what) const {
    return errorInFile(source.path(), what);
  }
  /// A config with the entries of the added tensors that belong to it, whose
  /// payloads come first.
  Error extendConfig(const std::string &config, bool constants);
  bool replaced(StringRef name) const;
  void put(const std::string &name, ArrayRef<std::byte> bytes);
  void put(const std::string &name, StringRef text) {
    put(name, ArrayRef<std::byte>(
                  reinterpret_cast<const std::byte *>(text.data()),
                  text.size()));
  }

  const Archive &source;
  const json::Object &model;
  ArrayRef<AddedTensor> tensors;
  ArrayRef<AddedRecord> records;
  caffe2::serialize::PyTorchStreamWriter *zip = nullptr;
};

/// Records that the zip writer makes itself.
bool isWritersOwn(StringRef name) {
  return name == "version" || name.starts_with(".data/");
}

Error ArchiveWriter::check() {
  StringSet<> names;
  for (const AddedTensor &tensor : tensors) {
    std::string who = "the added tensor '" + tensor.fqn + "' ";
    if (tensor.fqn.empty() || source.find(tensor.fqn) ||
        !names.insert(tensor.fqn).second)
      return failed(who + "has a name that is taken");
    std::optional<int64_t> bytes =
        checkedBytes(tensor.sizes, sizeOf(tensor.dtype));
    if (!bytes || static_cast<uint64_t>(*bytes) != tensor.bytes.size())
      return failed(who + "has " + Twine(tensor.bytes.size()) +
                    " bytes, which do not fit its sizes");
  }
  StringSet<> recordNames;
  for (const AddedRecord &record : records) {
    StringRef name = record.name;
    if (isWritersOwn(name) || name.starts_with("data/") ||
        name.starts_with(archive::modelsFolder) ||
        name == archive::formatRecord || name == archive::versionRecord ||
        name == archive::byteOrderRecord)
      return failed("the added record '" + name + "' is one of the archive's");
    if (Error error = checkMemberName(name))
      return inFile(source.path(), std::move(error));
    if (name.ends_with("/") || !recordNames.insert(name).second)
      return failed("the added record '" + name + "' is a folder or there "
                    "twice");
  }
  return Error::success();
}

bool ArchiveWriter::replaced(StringRef name) const {
  return any_of(records,
                [&](const AddedRecord &record) { return record.name == name; });
}

void ArchiveWriter::put(const std::string &name, ArrayRef<std::byte> bytes) {
  zip->writeRecord(name, bytes.data(), bytes.size());
}

Error ArchiveWriter::extendConfig(const std::string &config, bool constants) {
  Expected<ArrayRef<std::byte>> bytes = source.record(config);
  if (!bytes)
    return bytes.takeError();
  Expected<json::Value> document = parseJSON(StringRef(
      reinterpret_cast<const char *>(bytes->data()), bytes->size()));
  if (!document)
    return failed("record '" + config +
                  "': " + toString(document.takeError()));
  json::Object *root = document->getAsObject();
  json::Object *entries = root ? root->getObject("config") : nullptr;
  if (!entries)
    return failed("record '" + config + "' has no object 'config'");

  StringRef folder =
      constants ? archive::constantsFolder : archive::weightsFolder;
  std::string prefix = constants ? "tensor_" : "weight_";
  uint64_t number = nextNumber(source, (folder + prefix).str());
  for (const AddedTensor &tensor : tensors) {
    if ((tensor.kind == AddedTensor::Constant) != constants)
      continue;
    std::string file = prefix + std::to_string(number++);
    put((folder + file).str(), tensor.bytes);
    (*entries)[tensor.fqn] = payloadMeta(tensor, file);
  }
  put(config, printJSON(*root));
  return Error::success();
}

Error ArchiveWriter::write(StringRef path) {
  Expected<std::unique_ptr<OutputFile>> file = OutputFile::open(path);
  if (!file)
    return file.takeError();
  // The zip writer finishes the file in its destructor, where it must not fail.
  // So it hears of no failure; the first one is kept and returned at the end.
  Error failure = Error::success();
  auto sink = [&](const void *data, size_t size) -> size_t {
    if (!failure)
      failure = (*file)->write(ArrayRef<std::byte>(
          static_cast<const std::byte *>(data), size));
    return size;
  };
  auto writeAll = [&]() -> Error {
    caffe2::serialize::PyTorchStreamWriter writer(sink);
    writer.setMinVersion(6); // as torch.export does
    zip = &writer;
    std::string modelRecord = archive::modelRecord(source.modelName());
    std::string weights = archive::weightsConfig(source.modelName());
    std::string constants = archive::constantsConfig(source.modelName());
    for (const std::string &name : source.records()) {
      if (isWritersOwn(name) || replaced(name))
        continue;
      if (name == modelRecord) {
        put(name, printJSON(model));
      } else if (name == weights || name == constants) {
        if (Error error = extendConfig(name, name == constants))
          return error;
      } else {
        Expected<ArrayRef<std::byte>> bytes = source.record(name);
        if (!bytes)
          return bytes.takeError();
        put(name, *bytes);
        releasePages(*bytes);
      }
      if (failure)
        return std::move(failure);
    }
    for (const AddedRecord &record : records)
      put(record.name, record.bytes);
    writer.writeEndOfFile();
    return Error::success();
  };

  Error result = Error::success();
  try {
    result = joinErrors(std::move(result), writeAll());
  } catch (const std::exception &exception) {
    result = joinErrors(std::move(result),
                        createStringError(Twine(exception.what())));
  }
  result = joinErrors(std::move(result), std::move(failure));
  if (result)
    return result;
  return (*file)->close();
}

} // namespace

Error rewriteArchive(const Archive &source, StringRef path,
                     const json::Object &model, ArrayRef<AddedTensor> tensors,
                     ArrayRef<AddedRecord> records) {
  ArchiveWriter writer(source, model, tensors, records);
  if (Error error = writer.check())
    return error;
  return writeAtomically(
      path, [&](StringRef temporary) { return writer.write(temporary); });
}

} // namespace weir
