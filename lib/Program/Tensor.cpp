//===- Tensor.cpp - Views of stored tensors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Program/Tensor.h"

#include "llvm/ADT/bit.h"
#include "llvm/Support/ErrorHandling.h"

#include <cassert>
#include <cstring>

using namespace llvm;

namespace weir {

size_t sizeOf(DType type) {
  switch (type) {
  case DType::Float64:
  case DType::Int64:
    return 8;
  case DType::Float32:
  case DType::Int32:
    return 4;
  case DType::Float16:
  case DType::BFloat16:
  case DType::Int16:
    return 2;
  case DType::Int8:
  case DType::UInt8:
  case DType::Bool:
    return 1;
  }
  llvm_unreachable("unknown element type");
}

StringRef nameOf(DType type) {
  switch (type) {
  case DType::Float64:
    return "f64";
  case DType::Float32:
    return "f32";
  case DType::Float16:
    return "f16";
  case DType::BFloat16:
    return "bf16";
  case DType::Int64:
    return "i64";
  case DType::Int32:
    return "i32";
  case DType::Int16:
    return "i16";
  case DType::Int8:
    return "i8";
  case DType::UInt8:
    return "u8";
  case DType::Bool:
    return "bool";
  }
  llvm_unreachable("unknown element type");
}

bool isFloat(DType type) {
  return type == DType::Float64 || type == DType::Float32 ||
         type == DType::Float16 || type == DType::BFloat16;
}

std::optional<int64_t> checkedBytes(ArrayRef<int64_t> shape, size_t itemSize) {
  int64_t product = static_cast<int64_t>(itemSize);
  for (int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(product, size, &product))
      return std::nullopt;
  return product;
}

int64_t TensorView::numElements() const {
  int64_t product = 1;
  for (int64_t size : shape)
    product *= size;
  return product;
}

namespace {

/// IEEE half precision to single, exactly, NaN payloads included. Written as
/// selections, so that loops over it become vector code.
float halfToFloat(uint16_t half) {
  uint32_t sign = uint32_t(half & 0x8000) << 16;
  uint32_t magnitude = half & 0x7fff;
  // A subnormal is a multiple of 2^-24, which single precision holds exactly.
  uint32_t subnormal =
      bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
  // The bias of the exponent grows by 112.
  uint32_t normal = (magnitude << 13) + (112u << 23);
  uint32_t special = 0x7f800000 | (magnitude & 0x3ff) << 13;
  uint32_t bits = magnitude < 0x0400   ? subnormal
                  : magnitude < 0x7c00 ? normal
                                       : special;
  return bit_cast<float>(sign | bits);
}

float bfloatToFloat(uint16_t bits) {
  return bit_cast<float>(uint32_t(bits) << 16);
}

int boolToInt(uint8_t byte) { return byte ? 1 : 0; }

template <typename T> T same(T value) { return value; }

/// How to read an element that is stored as `T`. Bytes need not be aligned.
template <typename T, auto convert> struct Reader {
  static constexpr ptrdiff_t size = sizeof(T);
  auto operator()(const std::byte *from) const {
    T stored;
    std::memcpy(&stored, from, sizeof(T));
    return convert(stored);
  }
};

/// Calls `use` with the reader of `type`.
template <typename Use> auto withReader(DType type, Use use) {
  switch (type) {
  case DType::Float64:
    return use(Reader<double, same<double>>());
  case DType::Float32:
    return use(Reader<float, same<float>>());
  case DType::Float16:
    return use(Reader<uint16_t, halfToFloat>());
  case DType::BFloat16:
    return use(Reader<uint16_t, bfloatToFloat>());
  case DType::Int64:
    return use(Reader<int64_t, same<int64_t>>());
  case DType::Int32:
    return use(Reader<int32_t, same<int32_t>>());
  case DType::Int16:
    return use(Reader<int16_t, same<int16_t>>());
  case DType::Int8:
    return use(Reader<int8_t, same<int8_t>>());
  case DType::UInt8:
    return use(Reader<uint8_t, same<uint8_t>>());
  case DType::Bool:
    return use(Reader<uint8_t, boolToInt>());
  }
  llvm_unreachable("unknown element type");
}

} // namespace

double TensorView::at(int64_t i) const {
  assert(i >= 0 && i < numElements() && "element out of range");
  const std::byte *element = data + static_cast<size_t>(i) * sizeOf(dtype);
  return withReader(
      dtype, [&](auto read) { return static_cast<double>(read(element)); });
}

void TensorView::copyTo(float *out, int64_t first, int64_t count,
                        int64_t stride) const {
  if (count <= 0)
    return;
  assert(first >= 0 && first < numElements() && "range starts outside");
  assert(first + (count - 1) * stride >= 0 &&
         first + (count - 1) * stride < numElements() && "range ends outside");
  const std::byte *from = data + static_cast<size_t>(first) * sizeOf(dtype);
  withReader(dtype, [&](auto read) {
    if (stride == 1) {
      // A step known here lets the loop become vector code.
      for (int64_t i = 0; i < count; ++i)
        out[i] = static_cast<float>(read(from + i * read.size));
      return;
    }
    for (int64_t i = 0; i < count; ++i)
      out[i] = static_cast<float>(read(from + i * stride * read.size));
  });
}

} // namespace weir
