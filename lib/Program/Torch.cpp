//===- Torch.cpp - Reader of .pt ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// What torch.save writes since PyTorch 1.6, for a mapping of names to tensors: a
// zip file whose members are in a folder, data.pkl (see Pickle.h) and the numbers
// of each storage as data/KEY, stored as they are.
//
//===----------------------------------------------------------------------===//

#include "Pickle.h"
#include "Readers.h"
#include "Zip.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

#include <cstring>
#include <mutex>

using namespace llvm;

namespace weir {

namespace {

class TorchFile final : public TensorFile {
public:
  explicit TorchFile(FileBytes file) : file(std::move(file)) {}
  Error read();

  StringRef path() const override { return file.name; }
  ArrayRef<std::string> names() const override { return order; }
  Expected<TensorView> tensor(StringRef name) const override;
  Expected<TensorView> describe(StringRef name) const override;

private:
  struct Entry {
    PickledTensor tensor;
    const std::byte *storage = nullptr;
    bool contiguous = false;
    /// Brought into row-major order, as long as someone uses it.
    std::weak_ptr<const std::byte[]> ordered;
  };
  Error addTensor(PickledTensor tensor,
                  const StringMap<ArrayRef<std::byte>> &storages);

  FileBytes file;
  mutable std::vector<Entry> entries;
  std::vector<std::string> order;
  StringMap<size_t> index;
  mutable std::mutex lock;
};

} // namespace

Error TorchFile::addTensor(PickledTensor tensor,
                           const StringMap<ArrayRef<std::byte>> &storages) {
  std::string who = "tensor '" + tensor.name + "' ";
  auto storage = storages.find("data/" + tensor.storage);
  if (storage == storages.end())
    return errorInFile(file.name, who + "lies in the storage '" +
                                      tensor.storage +
                                      "', which is not in the file");
  int64_t size = sizeOf(tensor.dtype);
  int64_t elements = static_cast<int64_t>(storage->second.size()) / size;
  if (tensor.storageSize < 0 || tensor.storageSize > elements)
    return errorInFile(file.name, who + "has a storage of " +
                                      Twine(tensor.storageSize) +
                                      " numbers, and the file holds " +
                                      Twine(elements));
  std::optional<int64_t> count = checkedBytes(tensor.sizes, 1);
  // A view may show a number more than once; no weight of a dictionary does,
  // and a short file could ask for any amount of memory.
  if (!count || *count > elements)
    return errorInFile(file.name, who + "is larger than its storage");
  int64_t last = tensor.offset, dense = 1;
  bool contiguous = true, outside = tensor.offset < 0 || tensor.offset > elements;
  for (size_t i = tensor.sizes.size(); i-- > 0 && !outside;) {
    if (*count == 0)
      break;
    int64_t stride = tensor.strides[i], steps = tensor.sizes[i] - 1;
    // Both are bounded by the storage's size, as soon as they matter.
    outside = stride < 0 || (steps > 0 && stride > elements / steps);
    if (outside)
      break;
    contiguous &= tensor.sizes[i] == 1 || stride == dense;
    dense *= tensor.sizes[i];
    last += steps > 0 ? stride * steps : 0;
    outside = last >= elements;
  }
  outside |= *count > 0 && last >= elements;
  if (outside)
    return errorInFile(file.name, who + "reaches outside of its storage");
  if (!index.try_emplace(tensor.name, entries.size()).second)
    return errorInFile(file.name, who + "is there twice");
  order.push_back(tensor.name);
  entries.push_back(
      {std::move(tensor), storage->second.data(), contiguous, {}});
  return Error::success();
}

Error TorchFile::read() {
  Expected<std::vector<ZipMember>> directory = readZipDirectory(file.bytes);
  if (!directory)
    return inFile(file.name, directory.takeError());
  StringMap<ArrayRef<std::byte>> members;
  const ZipMember *pickle = nullptr;
  for (const ZipMember &member : *directory) {
    StringRef name = StringRef(member.name).split('/').second;
    if (member.deflated)
      return errorInFile(file.name, "member '" + member.name +
                                        "' is compressed, which torch.save does "
                                        "not do");
    if (!members.try_emplace(name, member.stored).second)
      return errorInFile(file.name, "has members of more than one folder");
    if (name == "data.pkl")
      pickle = &member;
  }
  if (!pickle)
    return errorInFile(file.name, "was not written by torch.save: it has no "
                                  "data.pkl");
  if (zipChecksum(pickle->stored) != pickle->crc)
    return errorInFile(file.name, "data.pkl is damaged: its checksum is wrong");
  if (auto byteOrder = members.find("byteorder"); byteOrder != members.end())
    if (StringRef(reinterpret_cast<const char *>(byteOrder->second.data()),
                  byteOrder->second.size()) != "little")
      return errorInFile(file.name, "is not in little-endian byte order");
  Expected<std::vector<PickledTensor>> tensors = readStateDict(pickle->stored);
  if (!tensors)
    return inFile(file.name, tensors.takeError());
  for (PickledTensor &tensor : *tensors)
    if (Error error = addTensor(std::move(tensor), members))
      return error;
  return Error::success();
}

Expected<TensorView> TorchFile::describe(StringRef name) const {
  auto found = index.find(name);
  if (found == index.end())
    return noSuchTensor(file.name, name, order);
  const Entry &entry = entries[found->second];
  TensorView view{entry.tensor.dtype, entry.tensor.sizes, nullptr, nullptr};
  if (entry.contiguous) {
    view.data = entry.storage + entry.tensor.offset * sizeOf(view.dtype);
    view.owner = file.owner;
  }
  return view;
}

Expected<TensorView> TorchFile::tensor(StringRef name) const {
  Expected<TensorView> view = describe(name);
  if (!view || view->data)
    return view;
  Entry &entry = entries[index.find(name)->second];
  std::lock_guard<std::mutex> guard(lock);
  std::shared_ptr<const std::byte[]> ordered = entry.ordered.lock();
  if (!ordered) {
    size_t size = sizeOf(view->dtype);
    std::shared_ptr<std::byte[]> bytes = allocateBytes(view->numBytes());
    if (!bytes)
      return errorInFile(file.name, "no memory to bring tensor '" + name +
                                        "' into order");
    ArrayRef<int64_t> sizes = entry.tensor.sizes, strides = entry.tensor.strides;
    SmallVector<int64_t> place(sizes.size(), 0);
    int64_t from = entry.tensor.offset;
    for (int64_t i = 0, n = view->numElements(); i < n; ++i) {
      std::memcpy(bytes.get() + i * size, entry.storage + from * size, size);
      for (size_t axis = sizes.size(); axis-- > 0;) {
        from += strides[axis];
        if (++place[axis] < sizes[axis])
          break;
        from -= strides[axis] * sizes[axis];
        place[axis] = 0;
      }
    }
    ordered = std::move(bytes);
    entry.ordered = ordered;
  }
  view->data = ordered.get();
  view->owner = std::move(ordered);
  return view;
}

Expected<std::shared_ptr<TensorFile>> openTorch(FileBytes file) {
  auto opened = std::make_shared<TorchFile>(std::move(file));
  if (Error error = opened->read())
    return error;
  return opened;
}

} // namespace weir
