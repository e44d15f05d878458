//===- Archive.cpp - Reader of torch.export archives ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The zip is read by the checked reader of Zip.h rather than by LibTorch's:
// every place in the file is validated once, before anything uses it.
//
//===----------------------------------------------------------------------===//

#include "weir/Program/Archive.h"
#include "weir/Program/ArchiveGraph.h"

#include "ArchiveLayout.h"
#include "Readers.h"
#include "Zip.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <atomic>

using namespace llvm;

namespace weir {

namespace {

/// The major version of torch.export's schema that is understood. Minor
/// versions only add keys, which stay in the DOM.
constexpr int64_t schemaMajor = 8;

/// Documents of graphs have some hundred kilobytes a layer, and take some ten
/// megabytes of memory a layer when they are parsed.
constexpr size_t largestJSON = 64u << 20;
constexpr uint64_t largestDOM = uint64_t(2) << 30;

/// Bytes of an element by the schema's number; 0 for numbers it does not have.
size_t sizeOfArchiveDType(int64_t number) {
  switch (number) {
  case 1:  // uint8
  case 2:  // int8
  case 12: // bool
  case 29: // the float8 family
  case 30:
  case 31:
  case 32:
  case 33:
    return 1;
  case 3:  // int16
  case 6:  // float16
  case 13: // bfloat16
  case 28: // uint16
    return 2;
  case 4:  // int32
  case 7:  // float32
  case 9:  // complex32
  case 34: // uint32
    return 4;
  case 5:  // int64
  case 8:  // float64
  case 10: // complex64
  case 35: // uint64
    return 8;
  case 11: // complex128
    return 16;
  default:
    return 0;
  }
}

class MappedArchive final : public Archive {
public:
  /// `opened` and `mapping` are null for bytes that are in memory.
  MappedArchive(FileBytes content, std::shared_ptr<InputFile> opened,
                std::shared_ptr<FileMapping> mapping)
      : content(std::move(content)), opened(std::move(opened)),
        mapping(std::move(mapping)) {}
  Error read();

  StringRef path() const override { return content.name; }
  std::shared_ptr<InputFile> file() const override { return opened; }
  ArrayRef<std::byte> bytes() const override { return content.bytes; }
  const json::Object &model() const override {
    const json::Object *object = program.getAsObject();
    if (!object)
      report_fatal_error("the graph of an archive is read after its release");
    return *object;
  }
  void releaseGraph() { program = nullptr; }
  const StringMap<ArchiveTensor> &weights() const override {
    return weightTensors;
  }
  const StringMap<ArchiveTensor> &constants() const override {
    return constantTensors;
  }
  ArrayRef<std::string> records() const override { return names; }
  Expected<ArrayRef<std::byte>> record(StringRef name) const override;
  Expected<uint32_t> checksum(StringRef name) const override;
  void releasePages(ArrayRef<std::byte> bytes) const override {
    if (mapping)
      mapping->releasePages(bytes);
  }
  Error verify() const override;
  Error verify(StringRef name) const override;
  StringRef modelName() const override { return programName; }

private:
  Error readNames();
  Error checkMarkers() const;
  Error findProgram();
  Error readConfig(const std::string &config, StringRef folder,
                   StringMap<ArchiveTensor> &tensors);
  Error readTensor(StringRef fqn, const json::Object &meta,
                   ArchiveTensor &tensor) const;

  Expected<const ZipMember *> member(StringRef name) const;
  /// The text of a small record whose checksum is right.
  Expected<StringRef> text(StringRef name, size_t limit) const;
  Expected<json::Value> parsed(StringRef name) const;
  Error failed(const Twine &what) const {
    return errorInFile(content.name, what);
  }
  /// Compares one of `members`, once.
  Error verifyMember(size_t i) const;

  FileBytes content;
  std::shared_ptr<InputFile> opened;
  std::shared_ptr<FileMapping> mapping;
  std::vector<ZipMember> members;
  /// Which of them were compared with their checksums and are right.
  mutable std::unique_ptr<std::atomic<bool>[]> verified;
  std::vector<std::string> names;
  StringMap<size_t> index; ///< into `members` and `names`, which run alike
  json::Value program = nullptr;
  std::string programName;
  StringMap<ArchiveTensor> weightTensors, constantTensors;
};

Error MappedArchive::readNames() {
  Expected<std::vector<ZipMember>> directory = readZipDirectory(content.bytes);
  if (!directory)
    return inFile(content.name, directory.takeError());
  for (ZipMember &member : *directory) {
    if (StringRef(member.name).ends_with("/") && member.size == 0)
      continue; // a folder
    if (member.deflated)
      return failed("record '" + member.name +
                    "' is compressed; archives are mapped, so save it again "
                    "with torch.export.save");
    members.push_back(std::move(member));
  }

  // The folder that all records may be in is the one of the format's mark.
  std::string top;
  for (const ZipMember &member : members) {
    auto [folder, rest] = StringRef(member.name).split('/');
    if (rest == archive::formatRecord)
      top = folder.str() + "/";
  }
  for (const ZipMember &member : members) {
    StringRef name = member.name;
    if (!name.consume_front(top))
      return failed("record '" + name + "' is outside the folder '" + top +
                    "'");
    index[name] = names.size();
    names.push_back(name.str());
  }
  verified = std::make_unique<std::atomic<bool>[]>(members.size());
  return Error::success();
}

Expected<const ZipMember *> MappedArchive::member(StringRef name) const {
  auto found = index.find(name);
  if (found == index.end())
    return failed("no record '" + name + "'");
  return &members[found->second];
}

Expected<ArrayRef<std::byte>> MappedArchive::record(StringRef name) const {
  Expected<const ZipMember *> found = member(name);
  if (!found)
    return found.takeError();
  return (*found)->stored;
}

Expected<uint32_t> MappedArchive::checksum(StringRef name) const {
  Expected<const ZipMember *> found = member(name);
  if (!found)
    return found.takeError();
  return (*found)->crc;
}

Expected<StringRef> MappedArchive::text(StringRef name, size_t limit) const {
  Expected<const ZipMember *> found = member(name);
  if (!found)
    return found.takeError();
  ArrayRef<std::byte> bytes = (*found)->stored;
  if (bytes.size() > limit)
    return failed("record '" + name + "' is larger than is accepted");
  if (Error error = verify(name))
    return std::move(error);
  return StringRef(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

Expected<json::Value> MappedArchive::parsed(StringRef name) const {
  Expected<StringRef> document = text(name, largestJSON);
  if (!document)
    return document.takeError();
  Expected<json::Value> value = parseJSON(*document, {.memory = largestDOM});
  if (!value)
    return failed("record '" + name + "': " + toString(value.takeError()));
  if (!value->getAsObject())
    return failed("record '" + name + "' is not a JSON object");
  return value;
}

Error MappedArchive::verifyMember(size_t i) const {
  if (verified[i])
    return Error::success();
  uint32_t crc = 0;
  for (ArrayRef<std::byte> rest = members[i].stored; !rest.empty();) {
    ArrayRef<std::byte> part = rest.take_front(pieceSize);
    rest = rest.drop_front(part.size());
    crc = zipChecksum(part, crc);
    releasePages(part);
  }
  if (crc != members[i].crc)
    return failed("record '" + names[i] + "' has a wrong checksum");
  verified[i] = true;
  return Error::success();
}

Error MappedArchive::verify(StringRef name) const {
  auto found = index.find(name);
  if (found == index.end())
    return failed("no record '" + name + "'");
  return verifyMember(found->second);
}

Error MappedArchive::verify() const {
  for (size_t i = 0; i < members.size(); ++i)
    if (Error error = verifyMember(i))
      return error;
  return Error::success();
}

Error MappedArchive::checkMarkers() const {
  if (!index.contains(archive::formatRecord))
    return failed("not a torch.export archive: no record '" +
                  archive::formatRecord + "'");
  struct Marker {
    StringRef record, value;
    bool optional;
  };
  for (const Marker &marker :
       {Marker{archive::formatRecord, "pt2", false},
        Marker{archive::versionRecord, "0", false},
        Marker{archive::byteOrderRecord, "little", true}}) {
    if (marker.optional && !index.contains(marker.record))
      continue;
    Expected<StringRef> value = text(marker.record, /*limit=*/64);
    if (!value)
      return value.takeError();
    if (value->trim() != marker.value)
      return failed("record '" + marker.record + "' says '" + value->trim() +
                    "'; only '" + marker.value + "' is supported");
  }
  return Error::success();
}

Error MappedArchive::findProgram() {
  for (StringRef name : names) {
    if (!name.consume_front(archive::modelsFolder))
      continue;
    if (!name.consume_back(".json") || name.empty() || name.contains('/'))
      return failed("record '" + archive::modelsFolder + name +
                    "' is not a program");
    if (!programName.empty())
      return failed("holds several programs, '" + programName + "' and '" +
                    name + "'");
    programName = name.str();
  }
  if (programName.empty())
    return failed("holds no exported program (no models/*.json)");
  Expected<json::Value> value = parsed(archive::modelRecord(programName));
  if (!value)
    return value.takeError();
  program = std::move(*value);

  const json::Object *version = model().getObject("schema_version");
  std::optional<int64_t> major =
      version ? version->getInteger("major") : std::nullopt;
  if (!major)
    return failed("the program does not say which schema_version it has");
  if (*major != schemaMajor)
    return failed("the program has schema version " + Twine(*major) +
                  "; version " + Twine(schemaMajor) + " is supported");
  if (!model().getObject("graph_module"))
    return failed("the program has no graph_module");
  return Error::success();
}

/// A size, stride or offset. Weights have numbers there, never symbols.
std::optional<int64_t> concreteInt(const json::Value *value) {
  const json::Object *object = value ? value->getAsObject() : nullptr;
  std::optional<int64_t> number =
      object ? object->getInteger("as_int") : std::nullopt;
  return number && *number >= 0 ? number : std::nullopt;
}

bool readInts(const json::Object &meta, StringRef key,
              SmallVectorImpl<int64_t> &out) {
  const json::Array *array = meta.getArray(key);
  if (!array)
    return false;
  for (const json::Value &element : *array) {
    std::optional<int64_t> number = concreteInt(&element);
    if (!number)
      return false;
    out.push_back(*number);
  }
  return true;
}

/// One past the last byte that a strided tensor touches, and for an empty one
/// the byte it starts at; none on overflow.
std::optional<int64_t> bytesTouched(const ArchiveTensor &tensor, size_t item) {
  int64_t end = tensor.storageOffset;
  if (!is_contained(tensor.sizes, 0)) {
    for (auto [size, stride] : zip_equal(tensor.sizes, tensor.strides)) {
      int64_t reach;
      if (__builtin_mul_overflow(size - 1, stride, &reach) ||
          __builtin_add_overflow(end, reach, &end))
        return std::nullopt;
    }
    if (__builtin_add_overflow(end, 1, &end))
      return std::nullopt;
  }
  int64_t bytes;
  if (__builtin_mul_overflow(end, static_cast<int64_t>(item), &bytes))
    return std::nullopt;
  return bytes;
}

Error MappedArchive::readTensor(StringRef fqn, const json::Object &meta,
                                ArchiveTensor &tensor) const {
  std::string who = "tensor '" + fqn.str() + "' ";
  std::optional<int64_t> dtype = meta.getInteger("dtype");
  size_t item = dtype ? sizeOfArchiveDType(*dtype) : 0;
  if (item == 0)
    return failed(who + "has an unknown dtype");
  std::optional<int64_t> offset = concreteInt(meta.get("storage_offset"));
  if (!readInts(meta, "sizes", tensor.sizes) ||
      !readInts(meta, "strides", tensor.strides) || !offset ||
      tensor.sizes.size() != tensor.strides.size())
    return failed(who + "has bad sizes, strides or storage_offset");
  if (meta.getInteger("layout") != archive::stridedLayout)
    return failed(who + "is not strided");
  tensor.dtype = *dtype;
  tensor.storageOffset = *offset;

  // The number of elements has to fit as well: with a stride of 0 it is not
  // bounded by the bytes.
  std::optional<int64_t> touched = bytesTouched(tensor, item);
  if (!touched || !checkedBytes(tensor.sizes, item) ||
      static_cast<uint64_t>(*touched) > tensor.bytes.size())
    return failed(who + "reaches outside its record, '" + tensor.record +
                  "' of " + Twine(tensor.bytes.size()) + " bytes");
  if (tensor.bytes.size() % item != 0)
    return failed(who + "has a record, '" + tensor.record +
                  "', that is not made of whole elements");
  return Error::success();
}

Error MappedArchive::readConfig(const std::string &config, StringRef folder,
                                StringMap<ArchiveTensor> &tensors) {
  Expected<json::Value> document = parsed(config);
  if (!document)
    return document.takeError();
  const json::Object *entries = document->getAsObject()->getObject("config");
  if (!entries)
    return failed("record '" + config + "' has no object 'config'");
  for (const auto &[key, value] : *entries) {
    StringRef fqn = key;
    std::string who = "tensor '" + fqn.str() + "' ";
    const json::Object *entry = value.getAsObject();
    if (!entry)
      return failed(who + "is not described by an object");
    std::optional<StringRef> file = entry->getString("path_name");
    std::optional<bool> pickled = entry->getBoolean("use_pickle");
    std::optional<bool> isParameter = entry->getBoolean("is_param");
    if (!file || !pickled || !isParameter)
      return failed(who + "needs path_name, use_pickle and is_param");
    // Unpickling runs code of whoever wrote the file.
    if (*pickled)
      return failed(who + "is pickled, which is refused");
    const json::Object *meta = entry->getObject("tensor_meta");
    if (!meta)
      return failed(who + "has no tensor_meta");

    ArchiveTensor tensor;
    tensor.record = (folder + *file).str();
    tensor.isParameter = *isParameter;
    auto found = index.find(tensor.record);
    if (found == index.end())
      return failed(who + "is in a record that is not there, '" +
                    tensor.record + "'");
    tensor.bytes = members[found->second].stored;
    tensor.fileOffset =
        static_cast<uint64_t>(tensor.bytes.data() - content.bytes.data());
    if (Error error = readTensor(fqn, *meta, tensor))
      return error;
    tensors[fqn] = std::move(tensor);
  }
  return Error::success();
}

Error MappedArchive::read() {
  if (Error error = readNames())
    return error;
  if (Error error = checkMarkers())
    return error;
  if (Error error = findProgram())
    return error;
  if (Error error = readConfig(archive::weightsConfig(programName),
                               archive::weightsFolder, weightTensors))
    return error;
  if (Error error = readConfig(archive::constantsConfig(programName),
                               archive::constantsFolder, constantTensors))
    return error;
  for (StringRef fqn : constantTensors.keys())
    if (weightTensors.contains(fqn))
      return failed("tensor '" + fqn + "' is both a weight and a constant");
  return Error::success();
}

} // namespace

void releaseGraph(Archive &archive) {
  if (auto *mapped = dynamic_cast<MappedArchive *>(&archive))
    mapped->releaseGraph();
}

static Expected<std::shared_ptr<Archive>>
openArchive(FileBytes content, std::shared_ptr<InputFile> opened,
            std::shared_ptr<FileMapping> mapping) {
  auto archive = std::make_shared<MappedArchive>(
      std::move(content), std::move(opened), std::move(mapping));
  if (Error error = archive->read())
    return error;
  return archive;
}

Expected<std::shared_ptr<Archive>>
Archive::fromMemory(StringRef name, ArrayRef<std::byte> bytes,
                    std::shared_ptr<const void> owner) {
  return openArchive({name.str(), bytes, std::move(owner)}, nullptr, nullptr);
}

Expected<std::shared_ptr<Archive>>
Archive::open(std::shared_ptr<InputFile> file) {
  Expected<std::shared_ptr<FileMapping>> mapping = file->map();
  if (!mapping)
    return mapping.takeError();
  FileBytes content{file->path().str(), (*mapping)->bytes(), nullptr};
  return openArchive(std::move(content), std::move(file), *mapping);
}

Expected<std::shared_ptr<Archive>> Archive::open(StringRef path) {
  // What a build leaves is a folder, of which one file is meant here.
  if (sys::fs::is_directory(path)) {
    SmallString<128> inner(path);
    sys::path::append(inner, "program.pt2");
    return createStringError(
        path + ": not a regular file but a folder; give " +
        (sys::fs::exists(inner) ? "the program in it, " + inner.str()
                                : Twine("a .pt2 file")));
  }
  Expected<std::shared_ptr<InputFile>> file = InputFile::open(path);
  if (!file)
    return file.takeError();
  return open(std::move(*file));
}

Expected<ArrayRef<std::byte>> Archive::verifiedRecord(StringRef name) const {
  if (Error error = verify(name))
    return std::move(error);
  return record(name);
}

const ArchiveTensor *Archive::find(StringRef fqn) const {
  for (const StringMap<ArchiveTensor> *tensors : {&weights(), &constants()})
    if (auto found = tensors->find(fqn); found != tensors->end())
      return &found->second;
  return nullptr;
}

int64_t archiveDType(DType type) {
  switch (type) {
  case DType::UInt8:
    return 1;
  case DType::Int8:
    return 2;
  case DType::Int16:
    return 3;
  case DType::Int32:
    return 4;
  case DType::Int64:
    return 5;
  case DType::Float16:
    return 6;
  case DType::Float32:
    return 7;
  case DType::Float64:
    return 8;
  case DType::Bool:
    return 12;
  case DType::BFloat16:
    return 13;
  }
  llvm_unreachable("unknown element type");
}

std::optional<DType> dtypeOfArchive(int64_t number) {
  for (DType type : {DType::Float64, DType::Float32, DType::Float16,
                     DType::BFloat16, DType::Int64, DType::Int32, DType::Int16,
                     DType::Int8, DType::UInt8, DType::Bool})
    if (archiveDType(type) == number)
      return type;
  return std::nullopt;
}

} // namespace weir
