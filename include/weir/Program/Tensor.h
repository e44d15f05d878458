//===- Tensor.h - Views of stored tensors ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tensor as a file holds it: element type, shape and a span of bytes inside a
// mapping. Nothing here owns or copies numbers.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PROGRAM_TENSOR_H
#define WEIR_PROGRAM_TENSOR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir {

/// Element types that the supported file formats share.
enum class DType : uint8_t {
  Float64,
  Float32,
  Float16,
  BFloat16,
  Int64,
  Int32,
  Int16,
  Int8,
  UInt8,
  Bool,
};

/// Bytes of one element.
size_t sizeOf(DType type);

/// The short name: "f32", "bf16", "i64", "bool"...
llvm::StringRef nameOf(DType type);

/// The product of the sizes and of `itemSize`; none if a size is negative or
/// the product does not fit 63 bits.
std::optional<int64_t> checkedBytes(llvm::ArrayRef<int64_t> shape,
                                    size_t itemSize);

/// True for f64, f32, f16 and bf16.
bool isFloat(DType type);

/// A dense row-major tensor inside a mapped file. The view keeps the mapping
/// alive through `owner`.
struct TensorView {
  DType dtype = DType::Float32;
  llvm::SmallVector<int64_t, 4> shape;
  const std::byte *data = nullptr; ///< not necessarily aligned
  std::shared_ptr<const void> owner;

  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  int64_t numElements() const;
  size_t numBytes() const { return numElements() * sizeOf(dtype); }

  /// Element `i` in row-major order, widened to double (booleans are 0 or 1).
  double at(int64_t i) const;

  /// Widens `count` elements from element `first` on, `stride` elements apart,
  /// to f32. The caller keeps the range inside the tensor.
  void copyTo(float *out, int64_t first, int64_t count,
              int64_t stride = 1) const;
};

/// A file of named tensors (.safetensors, .npz, .gguf, and .pt as torch.save
/// writes a state dict) or of a single one (.npy, under the name of the file's
/// stem), memory-mapped. Everything the header says is
/// checked against the file's size before a view is made; pickled content is
/// refused but for the state dict of a .pt, of which nothing is run (see
/// lib/Program/Pickle.h). Deflated members of an .npz, arrays in Fortran order,
/// and tensors of a .pt with other strides are brought to dense row-major memory when they are asked for. What all members
/// of an .npz inflate to is bounded by the size of the file.
class TensorFile : public std::enable_shared_from_this<TensorFile> {
public:
  virtual ~TensorFile() = default;

  /// Opens a file by its extension. Errors name the file and what is wrong.
  static llvm::Expected<std::shared_ptr<TensorFile>> open(llvm::StringRef path);

  /// The same for bytes that are in memory already. `name` decides on the
  /// format and stands in the errors; `owner` keeps the bytes alive.
  static llvm::Expected<std::shared_ptr<TensorFile>>
  fromMemory(llvm::StringRef name, llvm::ArrayRef<std::byte> bytes,
             std::shared_ptr<const void> owner);

  virtual llvm::StringRef path() const = 0;
  /// Names in the file's order.
  virtual llvm::ArrayRef<std::string> names() const = 0;
  bool contains(llvm::StringRef name) const;
  /// The tensor; an error that lists the names there are if it is missing.
  virtual llvm::Expected<TensorView> tensor(llvm::StringRef name) const = 0;
  /// Its type and shape. `data` is null where numbers are brought into order
  /// only when they are asked for: check the shape first.
  virtual llvm::Expected<TensorView> describe(llvm::StringRef name) const {
    return tensor(name);
  }
  /// The strings below "__metadata__" of a .safetensors, else nothing.
  virtual const std::map<std::string, std::string> &metadata() const;
};

} // namespace weir

#endif // WEIR_PROGRAM_TENSOR_H
