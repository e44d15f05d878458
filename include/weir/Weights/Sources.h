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
  MagnitudeBias,  ///< [k], gated
  DecoderBias     ///< [width], one of the whole dictionary
};

/// Rows of a dictionary, for k features or (empty) all of them, f32. They are
/// read and brought into effective form while they stream, about 4 MB at a time,
/// only the decoder of all features at once; errors of the files come then.
std::shared_ptr<const TensorSource>
dictionaryRows(std::shared_ptr<const Dictionary> dictionary, DictionaryPart part,
               llvm::ArrayRef<int64_t> features);

/// What is divided out of a feature before it is compared with one of another
/// dictionary (Folding.h): nothing, its threshold or the norm of its decoder row.
/// A feature for which that is not positive has the unit 1.
enum class FeatureUnit { One, Threshold, DecoderNorm };

/// Decoder rows [F, width] that stand for the features of another dictionary: row
/// i is row `to[i]` of the target's, times the unit of that feature and divided by
/// the unit of the source's feature i; zeros where `to[i]` is -1; the source's own
/// row i where `keepsOwn[i]`. Errors of streaming: those of the dictionaries, a
/// unit that one of them does not have, numbers beyond f32.
std::shared_ptr<const TensorSource>
carriedRows(std::shared_ptr<const Dictionary> source,
            std::shared_ptr<const Dictionary> target, std::vector<int64_t> to,
            std::vector<bool> keepsOwn, FeatureUnit unit);

} // namespace weir

#endif // WEIR_WEIGHTS_SOURCES_H
