//===- TorchTensors.h - Tensors of PyTorch, to kernels ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_KERNELS_TORCHTENSORS_H
#define WEIR_LIB_KERNELS_TORCHTENSORS_H

#include "weir/Kernels/weir_kernels.h"

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/stableivalue_conversions.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace weir::kernels {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

/// An argument of the dispatcher's, which the callee owns.
template <typename T> T take(StableIValue value) {
  return torch::stable::detail::to<T>(value);
}

/// A result, which the dispatcher owns from now on.
template <typename T> StableIValue give(const T &value) {
  return torch::stable::detail::from(value);
}

/// A list that the dispatcher gave, taken apart and given back.
template <typename T> std::vector<T> takeList(StableIValue value) {
  return take<std::vector<T>>(value);
}

/// torch's own conversion of a string leaves a copy behind each time.
inline std::string takeString(StringHandle handle) {
  std::unique_ptr<StringOpaque, void (*)(StringHandle)> owner(
      handle, [](StringHandle held) { (void)torch_delete_string(held); });
  size_t length = 0;
  const char *data = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(torch_string_length(handle, &length));
  STABLE_TORCH_ERROR_CODE_CHECK(torch_string_c_str(handle, &data));
  return std::string(data, length);
}
inline std::string takeString(StableIValue value) {
  return takeString(take<StringHandle>(value));
}
inline std::vector<std::string> takeStrings(StableIValue value) {
  std::vector<std::string> strings;
  for (StringHandle handle : takeList<StringHandle>(value))
    strings.push_back(takeString(handle));
  return strings;
}

/// The tensor itself where it is contiguous.
inline Tensor asContiguous(const Tensor &tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

/// New numbers of f32 on the CPU, contiguous, without the dispatcher: a step between
/// two tokens makes hundreds of them. Sizes are not negative.
template <typename Sizes> Tensor newFloats(const Sizes &sizes) {
  std::vector<int64_t> strides(sizes.size());
  int64_t stride = 1;
  bool fits = true;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = stride;
    fits &= !__builtin_mul_overflow(stride, std::max<int64_t>(1, sizes[i]), &stride);
  }
  if (!fits)
    throw std::runtime_error("weir: a result is too large");
  AtenTensorHandle made = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(
      static_cast<int64_t>(sizes.size()), sizes.data(), strides.data(),
      aoti_torch_dtype_float32(), aoti_torch_device_type_cpu(), 0, &made));
  return Tensor(made);
}

inline int64_t typeOf(const Tensor &tensor) {
  switch (tensor.scalar_type()) {
  case ScalarType::Float:
    return WEIR_F32;
  case ScalarType::BFloat16:
    return WEIR_BF16;
  case ScalarType::Half:
    return WEIR_F16;
  case ScalarType::Long:
    return WEIR_I64;
  case ScalarType::Bool:
    return WEIR_BOOL;
  default:
    return -1;
  }
}

/// Ends the call with an error that begins with what the user called.
template <typename... Parts>
void require(bool holds, const Parts &...parts) {
  if (holds)
    return;
  std::ostringstream text;
  text << "weir: ";
  (text << ... << parts);
  throw std::runtime_error(text.str());
}

inline void check(const char *error) { require(!error, error ? error : ""); }

} // namespace weir::kernels

#endif // WEIR_LIB_KERNELS_TORCHTENSORS_H
