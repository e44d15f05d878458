//===- ArchiveWriter.cpp - Writer of torch.export archives ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/ScratchArchive.h"

#include "ArchiveLayout.h"
#include "Readers.h"
#include "Zip.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace llvm;

namespace weir {

namespace {

/// The folder that torch's writer uses where the file has no name.
constexpr StringLiteral topFolder = "archive/";

/// Payloads are mapped, and torch expects them aligned.
constexpr size_t recordAlignment = 64;

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
           {"dtype", archiveDType(tensor.values->dtype())},
           {"sizes", asInts(tensor.values->shape())},
           {"strides", asInts(denseStrides(tensor.values->shape()))},
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

ArrayRef<std::byte> asBytes(StringRef text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

class ArchiveWriter {
public:
  ArchiveWriter(const Archive &source, const json::Object &model,
                ArrayRef<AddedTensor> tensors, ArrayRef<AddedRecord> records,
                const StringSet<> &dropped, OutputFile &file)
      : source(source), model(model), tensors(tensors), records(records),
        dropped(dropped),
        zip(
            [&](ArrayRef<std::byte> bytes) -> Error {
              if (Error error = file.write(bytes))
                return error;
              source.releasePages(bytes);
              return Error::success();
            },
            recordAlignment),
        file(file) {
    for (const auto *all : {&source.weights(), &source.constants()})
      for (const auto &entry : *all)
        if (!dropped.contains(entry.getKey()))
          payloads.insert(entry.getValue().record);
  }

  Error write();

private:
  Error failed(const Twine &what) const {
    return errorInFile(source.path(), what);
  }
  bool replaced(StringRef name) const;
  /// Whether a record belongs to the program, its tensors or what goes along.
  bool isCopied(StringRef name) const;
  /// Adds a record below the folder that all are in.
  Error put(const Twine &name, ArrayRef<std::byte> bytes,
            std::optional<uint32_t> checksum = std::nullopt) {
    return zip.add((topFolder + name).str(), {bytes}, checksum);
  }
  /// Adds a tensor's bytes as they are made. Its checksum is known afterwards.
  Error put(const Twine &name, const TensorSource &values) {
    return zip.stream(
        (topFolder + name).str(), values.numBytes(),
        [&](ZipWriter::Piece piece) { return values.stream(piece); },
        [&](uint64_t position, ArrayRef<std::byte> bytes) {
          return file.rewrite(position, bytes);
        });
  }
  /// Writes one record of the source, or what takes its place.
  Error writeRecord(StringRef name);
  /// A config with the entries of the added tensors that belong to it, whose
  /// payloads come first.
  Error writeConfig(StringRef config, bool constants);

  const Archive &source;
  const json::Object &model;
  ArrayRef<AddedTensor> tensors;
  ArrayRef<AddedRecord> records;
  const StringSet<> &dropped;
  StringSet<> payloads; ///< records of the source's tensors that stay
  ZipWriter zip;
  OutputFile &file;
};

/// What can be said before anything is written.
Error checkAdded(const Archive &source, ArrayRef<AddedTensor> tensors,
                 ArrayRef<AddedRecord> records) {
  auto failed = [&](const Twine &what) {
    return errorInFile(source.path(), what);
  };
  StringSet<> names;
  for (const AddedTensor &tensor : tensors) {
    std::string who = "the added tensor '" + tensor.fqn + "' ";
    if (tensor.fqn.empty() || source.find(tensor.fqn) ||
        !names.insert(tensor.fqn).second)
      return failed(who + "has a name that is taken");
    if (!checkedBytes(tensor.values->shape(), sizeOf(tensor.values->dtype())))
      return failed(who + "has sizes that are negative or too large");
  }
  StringSet<> recordNames;
  for (const AddedRecord &record : records) {
    StringRef name = record.name;
    // Payloads come with tensors; sample inputs are a file like any other.
    if (archive::isZipWritersOwn(name) ||
        (name.starts_with("data/") &&
         !name.starts_with("data/sample_inputs/")) ||
        name.starts_with(archive::modelsFolder) ||
        name == archive::formatRecord || name == archive::versionRecord ||
        name == archive::byteOrderRecord)
      return failed("the added record '" + name + "' is one of the archive's");
    if (Error error = checkMemberName(name))
      return inFile(source.path(), std::move(error));
    if (name.ends_with("/") || !recordNames.insert(name).second)
      return failed("the added record '" + name +
                    "' is a folder or there twice");
  }
  return Error::success();
}

bool ArchiveWriter::replaced(StringRef name) const {
  return any_of(records,
                [&](const AddedRecord &record) { return record.name == name; });
}

/// What no tensor names is left behind: PyTorch unpickles some of these records
/// (weights of an older form, objects) and loads others as machine code
/// (data/aotinductor), whether the graph asks for them or not.
bool ArchiveWriter::isCopied(StringRef name) const {
  StringRef program = source.modelName();
  if (name.starts_with(archive::modelsFolder))
    return name == archive::modelRecord(program);
  if (!name.starts_with("data/") ||
      name == archive::weightsConfig(program) ||
      name == archive::constantsConfig(program) ||
      name == ("data/sample_inputs/" + program + ".pt").str())
    return true;
  return payloads.contains(name);
}

Error ArchiveWriter::writeConfig(StringRef config, bool constants) {
  Expected<ArrayRef<std::byte>> bytes = source.verifiedRecord(config);
  if (!bytes)
    return bytes.takeError();
  Expected<json::Value> document = parseJSON(
      StringRef(reinterpret_cast<const char *>(bytes->data()), bytes->size()));
  if (!document)
    return failed("record '" + config + "': " + toString(document.takeError()));
  json::Object *root = document->getAsObject();
  json::Object *entries = root ? root->getObject("config") : nullptr;
  if (!entries)
    return failed("record '" + config + "' has no object 'config'");

  for (StringRef name : dropped.keys())
    entries->erase(name);
  StringRef folder =
      constants ? archive::constantsFolder : archive::weightsFolder;
  std::string prefix = constants ? "tensor_" : "weight_";
  uint64_t number = nextNumber(source, (folder + prefix).str());
  for (const AddedTensor &tensor : tensors) {
    if ((tensor.kind == AddedTensor::Constant) != constants)
      continue;
    std::string file = prefix + std::to_string(number++);
    if (Error error = put(folder + file, *tensor.values))
      return error;
    (*entries)[tensor.fqn] = payloadMeta(tensor, file);
  }
  return put(config, asBytes(printJSON(*root)));
}

Error ArchiveWriter::writeRecord(StringRef name) {
  StringRef program = source.modelName();
  if (name == archive::modelRecord(program))
    return put(name, asBytes(printJSON(model)));
  if (name == archive::weightsConfig(program))
    return writeConfig(name, /*constants=*/false);
  if (name == archive::constantsConfig(program))
    return writeConfig(name, /*constants=*/true);
  Expected<ArrayRef<std::byte>> bytes = source.record(name);
  if (!bytes)
    return bytes.takeError();
  Expected<uint32_t> checksum = source.checksum(name);
  if (!checksum)
    return checksum.takeError();
  if (Error error = put(name, *bytes, *checksum))
    return error;
  // Whoever gets the copy gets a hash of it too, which would say that nothing
  // is damaged.
  if (zip.writtenChecksum() != *checksum)
    return failed("record '" + name + "' has a wrong checksum");
  return Error::success();
}

Error ArchiveWriter::write() {
  for (const std::string &name : source.records()) {
    // The identifier of the content would be wrong, and nobody needs it.
    if (archive::isZipWritersOwn(name) || replaced(name) || !isCopied(name))
      continue;
    if (Error error = writeRecord(name))
      return error;
  }
  for (const AddedRecord &record : records)
    if (Error error = put(record.name, record.bytes))
      return error;
  if (Error error =
          put(archive::zipVersionRecord, asBytes(archive::zipVersion)))
    return error;
  return zip.finish();
}

} // namespace

Error writeScratchArchive(const Archive &source, StringRef path,
                          const json::Object &model,
                          ArrayRef<AddedTensor> tensors,
                          ArrayRef<AddedRecord> records,
                          const StringSet<> &dropped) {
  if (Error error = checkAdded(source, tensors, records))
    return error;
  Expected<std::unique_ptr<OutputFile>> file = OutputFile::open(path);
  if (!file)
    return file.takeError();
  if (Error error =
          ArchiveWriter(source, model, tensors, records, dropped, **file)
              .write())
    return error;
  return (*file)->close();
}

Error rewriteArchive(const Archive &source, StringRef path,
                     const json::Object &model, ArrayRef<AddedTensor> tensors,
                     ArrayRef<AddedRecord> records,
                     const StringSet<> &dropped) {
  return writeAtomically(path, [&](StringRef temporary) -> Error {
    return writeScratchArchive(source, temporary, model, tensors, records,
                               dropped);
  });
}

} // namespace weir
