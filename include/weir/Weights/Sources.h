//===- Sources.h - Where the numbers of a tensor come from ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The sources that programs are written from. None holds a whole matrix that is
// stored somewhere else; each gives the same bytes every time it is asked.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_WEIGHTS_SOURCES_H
#define WEIR_WEIGHTS_SOURCES_H

#include "weir/Dictionary/Dictionary.h"
#include "weir/Program/TensorSource.h"

namespace weir {

/// A tensor that lies in a mapped file, which the source keeps mapped.
std::shared_ptr<const TensorSource> storedTensor(TensorView view);

/// Bytes that are in memory already. Error: another number of bytes than dtype
/// and shape have.
llvm::Expected<std::shared_ptr<const TensorSource>>
ownedTensor(DType dtype, llvm::ArrayRef<int64_t> shape,
            std::vector<std::byte> bytes);

/// A small matrix that was computed, f32.
std::shared_ptr<const TensorSource> computedRows(RowMatrix rows);

/// Tensors one below the other: their sizes along axis 0 add up. A projection
/// that reads what others read is merged with them so. Errors: none at all,
/// another element type or other sizes along another axis than the first has.
llvm::Expected<std::shared_ptr<const TensorSource>>
mergedRows(std::vector<std::shared_ptr<const TensorSource>> parts);

/// What of a dictionary's effective form (Dictionary.h) is asked for.
enum class DictionaryPart {
  Decoder,        ///< [k, width]
  UnitDecoder,    ///< [k, width], every row divided by its norm
  Encoder,        ///< [k, inputWidth]
  EncoderBias,    ///< [k]
  Threshold,      ///< [k], JumpReLU
  MagnitudeScale, ///< [k], gated
  MagnitudeBias   ///< [k], gated
};

/// Rows of a dictionary, for k features or (empty) all of them, f32. They are
/// read and brought into effective form while they stream, about 4 MB at a time,
/// only the decoder of all features at once; errors of the files come then.
std::shared_ptr<const TensorSource>
dictionaryRows(std::shared_ptr<const Dictionary> dictionary, DictionaryPart part,
               llvm::ArrayRef<int64_t> features);

} // namespace weir

#endif // WEIR_WEIGHTS_SOURCES_H
