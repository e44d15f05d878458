//===- StableArguments.h - What operators take and say ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_KERNELS_STABLEARGUMENTS_H
#define WEIR_LIB_KERNELS_STABLEARGUMENTS_H

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>

#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace weir::kernels {

/// A list that the dispatcher gave, taken apart and given back.
template <typename T> std::vector<T> takeList(StableIValue value) {
  return torch::stable::detail::to<std::vector<T>>(value);
}

/// torch's own conversion of a string leaves a copy behind each time.
inline std::string takeString(StableIValue value) {
  auto handle = torch::stable::detail::to<StringHandle>(value);
  std::unique_ptr<StringOpaque, void (*)(StringHandle)> owner(
      handle, [](StringHandle held) { (void)torch_delete_string(held); });
  size_t length = 0;
  const char *data = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(torch_string_length(handle, &length));
  STABLE_TORCH_ERROR_CODE_CHECK(torch_string_c_str(handle, &data));
  return std::string(data, length);
}

/// Ends the call with an error that begins with what the user called.
template <typename... Parts> void require(bool holds, const Parts &...parts) {
  if (holds)
    return;
  std::ostringstream text;
  text << "weir: ";
  (text << ... << parts);
  throw std::runtime_error(text.str());
}

} // namespace weir::kernels

#endif // WEIR_LIB_KERNELS_STABLEARGUMENTS_H
