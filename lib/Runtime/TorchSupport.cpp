//===- TorchSupport.cpp - Bridges between archives and ATen ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TorchSupport.h"

#include "Support.h"

#include "weir/Support/Files.h"

#include "llvm/ADT/STLExtras.h"

#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>

#include <cerrno>
#include <cstring>
#include <sys/mman.h>

using namespace llvm;

namespace weir {

// torch._export.serde.schema.ScalarType, Layout and MemoryFormat.

std::optional<at::ScalarType> scalarTypeOf(int64_t number) {
  switch (number) {
  case 1: return at::kByte;
  case 2: return at::kChar;
  case 3: return at::kShort;
  case 4: return at::kInt;
  case 5: return at::kLong;
  case 6: return at::kHalf;
  case 7: return at::kFloat;
  case 8: return at::kDouble;
  case 9: return at::kComplexHalf;
  case 10: return at::kComplexFloat;
  case 11: return at::kComplexDouble;
  case 12: return at::kBool;
  case 13: return at::kBFloat16;
  case 28: return at::kUInt16;
  case 29: return at::kFloat8_e4m3fn;
  case 30: return at::kFloat8_e5m2;
  case 31: return at::kFloat8_e4m3fnuz;
  case 32: return at::kFloat8_e5m2fnuz;
  case 33: return at::kFloat8_e8m0fnu;
  case 34: return at::kUInt32;
  case 35: return at::kUInt64;
  default: return std::nullopt;
  }
}

std::optional<at::Layout> layoutOf(int64_t number) {
  // Sparse and opaque layouts cannot be checked against a payload's size.
  if (number == 7)
    return at::kStrided;
  return std::nullopt;
}

std::optional<at::MemoryFormat> memoryFormatOf(int64_t number) {
  switch (number) {
  case 1: return at::MemoryFormat::Contiguous;
  case 2: return at::MemoryFormat::ChannelsLast;
  case 3: return at::MemoryFormat::ChannelsLast3d;
  case 4: return at::MemoryFormat::Preserve;
  default: return std::nullopt;
  }
}

std::string messageOf(const std::exception &exception) {
  if (const auto *error = dynamic_cast<const c10::Error *>(&exception))
    return error->what_without_backtrace();
  return exception.what();
}

Expected<std::shared_ptr<MappedTensors>>
MappedTensors::open(const Archive &archive) {
  std::shared_ptr<InputFile> file = archive.file();
  size_t size = file ? file->size() : archive.bytes().size();
  void *data = nullptr;
  if (size > 0) {
    // The file that the archive was read from, whatever its name means by now.
    int flags = MAP_PRIVATE | MAP_NORESERVE | (file ? 0 : MAP_ANONYMOUS);
    data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags,
                  file ? file->descriptor() : -1, 0);
    if (data == MAP_FAILED)
      return fail("{0}: {1}", archive.path(), std::strerror(errno));
    if (!file)
      std::memcpy(data, archive.bytes().data(), size);
  }
  std::shared_ptr<MappedTensors> out(new MappedTensors);
  out->archive = &archive;
  out->data = static_cast<std::byte *>(data);
  out->size = size;
  return out;
}

MappedTensors::~MappedTensors() {
  if (data)
    ::munmap(data, size);
}

Expected<at::Tensor> MappedTensors::get(StringRef fqn) {
  const ArchiveTensor *tensor = archive->find(fqn);
  if (!tensor)
    return fail("there is no payload for '{0}'", fqn);
  std::optional<at::ScalarType> dtype = scalarTypeOf(tensor->dtype);
  if (!dtype)
    return fail("'{0}' has the unknown dtype {1}", fqn, tensor->dtype);
  size_t length = tensor->bytes.size();
  if (tensor->fileOffset > size || length > size - tensor->fileOffset)
    return fail("'{0}' lies outside the file", fqn);

  try {
    at::Tensor &bytes = records[tensor->record];
    if (!bytes.defined()) {
      bytes = at::from_blob(data + tensor->fileOffset,
                            {static_cast<int64_t>(length)}, at::kByte);
      // Vectorised code may assume what the writer guarantees.
      if (tensor->fileOffset % 64 != 0)
        bytes = bytes.clone();
    }
    size_t width = at::elementSize(*dtype);
    at::Tensor typed =
        bytes.slice(0, 0, static_cast<int64_t>(length / width * width))
            .view(*dtype);
    return typed.as_strided(at::IntArrayRef(tensor->sizes.data(), tensor->sizes.size()),
                            at::IntArrayRef(tensor->strides.data(), tensor->strides.size()),
                            tensor->storageOffset);
  } catch (const std::exception &exception) {
    return fail("'{0}': {1}", fqn, messageOf(exception));
  }
}

/// -1 for a symbolic size, nothing for a malformed one.
static std::optional<int64_t> sizeOf(const json::Value &value) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return std::nullopt;
  if (std::optional<int64_t> number = object->getInteger("as_int"))
    return *number >= 0 ? number : std::nullopt;
  if (object->getObject("as_expr"))
    return -1;
  return std::nullopt;
}

/// The symbol that a size is, and the range that the program gives it. Archives
/// write Symbol('s72', positive=True, integer=True).
static ProgramInput::Extent extentOf(const json::Value &size,
                                     const json::Object *ranges) {
  ProgramInput::Extent out;
  const json::Object *object = size.getAsObject();
  const json::Object *expression = object ? object->getObject("as_expr") : nullptr;
  StringRef text =
      expression ? expression->getString("expr_str").value_or("") : "";
  if (!text.consume_front("Symbol('"))
    return out;
  auto [name, rest] = text.split('\'');
  if (!rest.starts_with(", ") || rest.find(')') + 1 != rest.size())
    return out;
  out.symbol = name.str();
  if (const json::Object *range = ranges ? ranges->getObject(name) : nullptr) {
    out.min = range->getInteger("min_val").value_or(out.min);
    out.max = range->getInteger("max_val").value_or(out.max);
  }
  return out;
}

/// The tensors that the caller passes or gets, of one list of the signature.
static Expected<std::vector<ProgramInput>>
readUserTensors(const json::Object &model, StringRef list, StringRef kind) {
  StringRef what = kind == "user_input" ? "input" : "output";
  const json::Object *module = model.getObject("graph_module");
  const json::Object *graph = module ? module->getObject("graph") : nullptr;
  const json::Object *signature =
      module ? module->getObject("signature") : nullptr;
  const json::Array *specs = signature ? signature->getArray(list) : nullptr;
  const json::Object *metadata =
      graph ? graph->getObject("tensor_values") : nullptr;
  if (!specs || !metadata)
    return fail("the archive has no graph signature");

  std::vector<ProgramInput> out;
  for (const json::Value &spec : *specs) {
    const json::Object *object = spec.getAsObject();
    const json::Object *user = object ? object->getObject(kind) : nullptr;
    if (!user)
      continue;
    const json::Object *argument = user->getObject("arg");
    const json::Object *tensor =
        argument ? argument->getObject("as_tensor") : nullptr;
    std::optional<StringRef> name =
        tensor ? tensor->getString("name") : std::nullopt;
    if (!name)
      return fail("user {0} {1} is not a tensor", what, out.size());
    const json::Object *meta = metadata->getObject(*name);
    const json::Array *sizes = meta ? meta->getArray("sizes") : nullptr;
    std::optional<int64_t> number =
        meta ? meta->getInteger("dtype") : std::nullopt;
    std::optional<at::ScalarType> dtype =
        number ? scalarTypeOf(*number) : std::nullopt;
    if (!sizes || !dtype)
      return fail("user {0} '{1}' has no dtype or sizes", what, *name);
    ProgramInput entry;
    entry.name = name->str();
    entry.dtype = *dtype;
    for (const json::Value &size : *sizes) {
      std::optional<int64_t> extent = sizeOf(size);
      if (!extent)
        return fail("user {0} '{1}' has a malformed size", what, *name);
      entry.sizes.push_back(*extent);
      entry.extents.push_back(
          extentOf(size, model.getObject("range_constraints")));
    }
    out.push_back(std::move(entry));
  }
  return out;
}

Expected<std::vector<ProgramInput>>
readProgramInputs(const json::Object &model) {
  return readUserTensors(model, "input_specs", "user_input");
}

Expected<std::vector<ProgramInput>>
readProgramOutputs(const json::Object &model) {
  return readUserTensors(model, "output_specs", "user_output");
}

Error checkInputs(ArrayRef<ProgramInput> declared, ArrayRef<at::Tensor> given) {
  if (declared.size() != given.size())
    return fail("the program takes {0} inputs, {1} are given", declared.size(),
                given.size());
  StringMap<std::pair<int64_t, StringRef>> symbols; // size and first input
  for (auto [input, tensor] : zip(declared, given)) {
    if (!tensor.defined())
      return fail("input '{0}' is undefined", input.name);
    if (tensor.scalar_type() != input.dtype)
      return fail("input '{0}' is {1}, the program takes {2}", input.name,
                  c10::toString(tensor.scalar_type()),
                  c10::toString(input.dtype));
    if (tensor.dim() != static_cast<int64_t>(input.sizes.size()))
      return fail("input '{0}' has {1} dimensions, the program takes {2}",
                  input.name, tensor.dim(), input.sizes.size());
    for (auto [axis, extent] : enumerate(input.sizes))
      if (extent >= 0 && tensor.size(axis) != extent)
        return fail("dimension {0} of input '{1}' is {2}, the program takes {3}",
                    axis, input.name, tensor.size(axis), extent);
    // Compiled code does not look at sizes: it would read past the end.
    for (auto [axis, extent] : enumerate(input.extents)) {
      int64_t size = tensor.size(axis);
      if (extent.symbol.empty())
        continue;
      if (size < extent.min || size > extent.max)
        return fail("dimension {0} of input '{1}' is {2}, the program takes "
                    "{3} to {4}",
                    axis, input.name, size, extent.min, extent.max);
      auto [it, isNew] =
          symbols.try_emplace(extent.symbol, size, StringRef(input.name));
      if (!isNew && it->second.first != size)
        return fail("dimension {0} of input '{1}' is {2}, but input '{3}' says "
                    "{4}",
                    axis, input.name, size, it->second.second,
                    it->second.first);
    }
  }
  return Error::success();
}

} // namespace weir
