//===- TensorWriter.cpp - Writers of .npy, .npz and .safetensors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/TensorWriter.h"

#include "Readers.h"
#include "Zip.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Endian.h"

using namespace llvm;

namespace weir {

/// All formats of here align their numbers to this many bytes.
static constexpr size_t alignment = 64;

NamedTensor NamedTensor::of(StringRef name, DType dtype, ArrayRef<int64_t> shape,
                            const void *numbers) {
  NamedTensor result;
  result.name = name.str();
  result.tensor.dtype = dtype;
  result.tensor.shape.assign(shape.begin(), shape.end());
  result.tensor.data = static_cast<const std::byte *>(numbers);
  return result;
}

static ArrayRef<std::byte> bytesOf(const TensorView &tensor) {
  return {tensor.data, tensor.numBytes()};
}

static Error withOutput(StringRef path,
                        function_ref<Error(OutputFile &)> write) {
  return writeAtomically(path, [&](StringRef temporary) -> Error {
    Expected<std::unique_ptr<OutputFile>> file = OutputFile::open(temporary);
    if (!file)
      return file.takeError();
    if (Error error = write(**file))
      return error;
    return (*file)->close();
  });
}

//===----------------------------------------------------------------------===//
// NumPy
//===----------------------------------------------------------------------===//

static StringRef descrOf(DType type) {
  switch (type) {
  case DType::Float64:
    return "<f8";
  case DType::Float32:
    return "<f4";
  case DType::Float16:
    return "<f2";
  case DType::BFloat16:
    return "<V2";
  case DType::Int64:
    return "<i8";
  case DType::Int32:
    return "<i4";
  case DType::Int16:
    return "<i2";
  case DType::Int8:
    return "|i1";
  case DType::UInt8:
    return "|u1";
  case DType::Bool:
    return "|b1";
  }
  llvm_unreachable("unknown element type");
}

/// Everything before the numbers, padded so that these are aligned.
static Expected<std::string> npyHeader(const TensorView &tensor) {
  if (tensor.shape.size() > largestRank)
    return createStringError("an array of " + Twine(tensor.shape.size()) +
                             " dimensions cannot be written; NumPy has at "
                             "most " +
                             Twine(largestRank));
  std::string shape;
  for (int64_t size : tensor.shape)
    shape += std::to_string(size) + ", ";
  // (3,) but (3, 4) and ().
  if (tensor.shape.size() > 1)
    shape.resize(shape.size() - 2);
  else if (tensor.shape.size() == 1)
    shape.pop_back();
  std::string literal = "{'descr': '" + descrOf(tensor.dtype).str() +
                        "', 'fortran_order': False, 'shape': (" + shape +
                        "), }";
  std::string header("\x93NUMPY\x01\x00", 8);
  size_t used = header.size() + 2 + literal.size() + 1;
  literal.append((alignment - used % alignment) % alignment, ' ');
  literal.push_back('\n');
  char length[2];
  support::endian::write16le(length, static_cast<uint16_t>(literal.size()));
  return header + std::string(length, 2) + literal;
}

Error writeNpy(StringRef path, const TensorView &tensor) {
  Expected<std::string> header = npyHeader(tensor);
  if (!header)
    return inFile(path, header.takeError());
  return withOutput(path, [&](OutputFile &file) -> Error {
    if (Error error = file.write(StringRef(*header)))
      return error;
    return file.write(bytesOf(tensor));
  });
}

Error writeNpz(StringRef path, ArrayRef<NamedTensor> tensors) {
  return withOutput(path, [&](OutputFile &file) -> Error {
    ZipWriter zip([&](ArrayRef<std::byte> bytes) { return file.write(bytes); },
                  alignment);
    for (const NamedTensor &named : tensors) {
      Expected<std::string> header = npyHeader(named.tensor);
      if (!header)
        return inFile(path, header.takeError());
      ArrayRef<std::byte> headerBytes(
          reinterpret_cast<const std::byte *>(header->data()), header->size());
      if (Error error = zip.add(named.name + ".npy",
                                {headerBytes, bytesOf(named.tensor)}))
        return inFile(path, std::move(error));
    }
    return zip.finish();
  });
}

//===----------------------------------------------------------------------===//
// safetensors
//===----------------------------------------------------------------------===//

static StringRef safetensorsName(DType type) {
  switch (type) {
  case DType::Float64:
    return "F64";
  case DType::Float32:
    return "F32";
  case DType::Float16:
    return "F16";
  case DType::BFloat16:
    return "BF16";
  case DType::Int64:
    return "I64";
  case DType::Int32:
    return "I32";
  case DType::Int16:
    return "I16";
  case DType::Int8:
    return "I8";
  case DType::UInt8:
    return "U8";
  case DType::Bool:
    return "BOOL";
  }
  llvm_unreachable("unknown element type");
}

Error writeSafetensors(StringRef path, ArrayRef<NamedTensor> tensors,
                       const std::map<std::string, std::string> &metadata) {
  std::vector<const NamedTensor *> order;
  StringSet<> names;
  for (const NamedTensor &named : tensors) {
    if (named.name == "__metadata__" || !json::isUTF8(named.name) ||
        !names.insert(named.name).second)
      return errorInFile(path, "tensor '" + named.name +
                                   "' has a name that is taken or not UTF-8");
    order.push_back(&named);
  }
  llvm::sort(order, [](const NamedTensor *a, const NamedTensor *b) {
    size_t sizeA = sizeOf(a->tensor.dtype), sizeB = sizeOf(b->tensor.dtype);
    return sizeA != sizeB ? sizeA > sizeB : a->name < b->name;
  });

  json::Object header;
  int64_t offset = 0;
  for (const NamedTensor *named : order) {
    const TensorView &tensor = named->tensor;
    int64_t end = offset + static_cast<int64_t>(tensor.numBytes());
    header[named->name] =
        json::Object{{"dtype", safetensorsName(tensor.dtype)},
                     {"shape", json::Array(tensor.shape)},
                     {"data_offsets", json::Array{offset, end}}};
    offset = end;
  }
  if (!metadata.empty()) {
    json::Object strings;
    for (const auto &[key, value] : metadata) {
      if (!json::isUTF8(key) || !json::isUTF8(value))
        return errorInFile(path, "metadata that is not UTF-8");
      strings[key] = value;
    }
    header["__metadata__"] = std::move(strings);
  }
  std::string text = printJSON(header);
  text.append((alignment - (8 + text.size()) % alignment) % alignment, ' ');
  char length[8];
  support::endian::write64le(length, text.size());

  return withOutput(path, [&](OutputFile &file) -> Error {
    if (Error error = file.write(StringRef(length, sizeof(length))))
      return error;
    if (Error error = file.write(StringRef(text)))
      return error;
    for (const NamedTensor *named : order)
      if (Error error = file.write(bytesOf(named->tensor)))
        return error;
    return Error::success();
  });
}

} // namespace weir
