//===- TensorMath.h - What the matchers need of LibTorch ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LibTorch takes longer to load than most commands take to run, so no tool links
// it: what needs it is in libWeirTorch.so, which is loaded when the first command
// asks for it. Torch-free to include.
//
// The library has copies of LLVM and of Weir of its own, hidden inside. What
// passes its border is therefore plain data, objects with virtual functions, and
// std exceptions, but no llvm::Error: its kinds are told apart by addresses.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TORCH_TENSORMATH_H
#define WEIR_TORCH_TENSORMATH_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>
#include <stdexcept>

namespace weir {

/// What LibTorch throws, without its backtrace.
class TensorError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Where products are computed. Staged goes the way of a device with the processor
/// in its place, for tests.
enum class ProductPlace : uint8_t { Processor, Cuda, Staged };

/// Left rows that stay, times blocks of right rows, in one of three forms:
///
///   f32   float x float -> float
///   bf16  uint16_t (bits) x uint16_t -> uint16_t; sums in f32, rounded once
///   int8  int8_t x int8_t -> int32_t
///
/// All functions throw TensorError where LibTorch fails.
class RowProduct {
public:
  virtual ~RowProduct() = default;

  /// [rows, width], kept alive by the caller until the next call.
  virtual void setLeft(float *left, int64_t rows, int64_t width) = 0;
  virtual void setLeft(uint16_t *left, int64_t rows, int64_t width) = 0;
  virtual void setLeft(int8_t *left, int64_t rows, int64_t width) = 0;
  /// out [rows, columns] = left right^T for right [columns, width]. The form is
  /// that of `setLeft`.
  virtual void multiply(float *right, int64_t columns, float *out) = 0;
  virtual void multiply(uint16_t *right, int64_t columns, uint16_t *out) = 0;
  virtual void multiply(int8_t *right, int64_t columns, int32_t *out) = 0;
};

/// LibTorch's products and threads.
class TensorMath {
public:
  /// Loads LibTorch, once. Errors: libWeirTorch.so is not where it was installed
  /// beside this program or library, is of another build, or cannot be loaded.
  static llvm::Expected<const TensorMath &> load();

  virtual bool hasCuda() const = 0;
  virtual std::unique_ptr<RowProduct> product(ProductPlace place) const = 0;
  /// Whether LibTorch's product of int8 is exact here: it uses oneDNN, and was
  /// tried out once, as its code can be chosen by the user.
  virtual bool multipliesBytes() const = 0;
  /// The largest relative error of LibTorch's f32 product besides the sums: 0,
  /// or what a lower precision that the user allowed makes of it (bf16's eps).
  virtual double lowerPrecision() const = 0;

  virtual int threads() const = 0;
  virtual void setThreads(int threads) const = 0;
  /// Calls `body` with pieces of [begin, end), of at least `grain` numbers, on
  /// LibTorch's threads. What `body` throws, it throws.
  virtual void
  parallelFor(int64_t begin, int64_t end, int64_t grain,
              llvm::function_ref<void(int64_t, int64_t)> body) const = 0;

protected:
  ~TensorMath() = default;
};

} // namespace weir

#endif // WEIR_TORCH_TENSORMATH_H
