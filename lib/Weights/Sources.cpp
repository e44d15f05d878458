//===- Sources.cpp - Where the numbers of a tensor come from ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Weights/Sources.h"

#include "weir/Dictionary/Rows.h"

#include "llvm/ADT/STLExtras.h"

#include <bit>
#include <numeric>

using namespace llvm;

namespace weir {

static_assert(std::endian::native == std::endian::little,
              "numbers are written as they lie in memory");

namespace {

/// Rows are made this many bytes at a time.
constexpr int64_t blockBytes = 4 << 20;

template <typename Numbers>
ArrayRef<std::byte> bytesOf(const Numbers &numbers) {
  return {reinterpret_cast<const std::byte *>(numbers.data()),
          static_cast<size_t>(numbers.size()) * sizeof(*numbers.data())};
}

class StoredTensor : public TensorSource {
public:
  explicit StoredTensor(TensorView view)
      : TensorSource(view.dtype, view.shape), view(std::move(view)) {}

  Error stream(Sink sink) const override {
    return sink({view.data, view.numBytes()});
  }

private:
  TensorView view;
};

class OwnedTensor : public TensorSource {
public:
  OwnedTensor(DType dtype, ArrayRef<int64_t> shape, std::vector<std::byte> bytes)
      : TensorSource(dtype, shape), bytes(std::move(bytes)) {}

  Error stream(Sink sink) const override { return sink(bytes); }

private:
  std::vector<std::byte> bytes;
};

class ComputedRows : public TensorSource {
public:
  explicit ComputedRows(RowMatrix rows)
      : TensorSource(DType::Float32, {rows.rows(), rows.cols()}),
        rows(std::move(rows)) {}

  Error stream(Sink sink) const override { return sink(bytesOf(rows)); }

private:
  RowMatrix rows;
};

class MergedRows : public TensorSource {
public:
  MergedRows(ArrayRef<int64_t> shape,
             std::vector<std::shared_ptr<const TensorSource>> parts)
      : TensorSource(parts.front()->dtype(), shape), parts(std::move(parts)) {}

  Error stream(Sink sink) const override {
    for (const auto &part : parts)
      if (Error error = part->stream(sink))
        return error;
    return Error::success();
  }

private:
  std::vector<std::shared_ptr<const TensorSource>> parts;
};

SmallVector<int64_t, 2> shapeOf(const Dictionary &dictionary,
                                DictionaryPart part, int64_t features) {
  const DictionaryInfo &info = dictionary.info();
  int64_t rows = features ? features : info.features;
  switch (part) {
  case DictionaryPart::Decoder:
  case DictionaryPart::UnitDecoder:
    return {rows, info.width};
  case DictionaryPart::Encoder:
    return {rows, info.inputWidth};
  case DictionaryPart::DecoderBias:
    return {info.width};
  default:
    return {rows};
  }
}

class DictionaryRows : public TensorSource {
public:
  DictionaryRows(std::shared_ptr<const Dictionary> dictionary,
                 DictionaryPart part, ArrayRef<int64_t> features)
      : TensorSource(DType::Float32, shapeOf(*dictionary, part, features.size())),
        dictionary(std::move(dictionary)), part(part), features(features) {}

  Error stream(Sink sink) const override {
    if (part == DictionaryPart::DecoderBias) {
      Expected<RowVector> bias = dictionary->decoderBias();
      return bias ? sink(bytesOf(*bias)) : bias.takeError();
    }
    // A block of a bias costs a block of the encoder that is read for it.
    const DictionaryInfo &info = dictionary->info();
    int64_t width = std::max(info.width, info.inputWidth);
    int64_t block = std::max<int64_t>(1, blockBytes / (4 * width));
    int64_t rows = shape().front();
    // A zero row without a direction is an error to who names it, and none to
    // who asks for all.
    if (features.empty() && isDecoder())
      return streamBlock({}, sink);
    std::vector<int64_t> wanted;
    for (int64_t first = 0; first < rows; first += block) {
      int64_t count = std::min(block, rows - first);
      if (features.empty()) {
        wanted.resize(count);
        std::iota(wanted.begin(), wanted.end(), first);
      } else {
        wanted.assign(features.begin() + first, features.begin() + first + count);
      }
      if (Error error = streamBlock(wanted, sink))
        return error;
    }
    return Error::success();
  }

private:
  bool isDecoder() const {
    return part == DictionaryPart::Decoder || part == DictionaryPart::UnitDecoder;
  }
  Error streamBlock(ArrayRef<int64_t> wanted, Sink sink) const {
    if (isDecoder()) {
      Expected<RowMatrix> rows = dictionary->decoder(wanted);
      if (!rows)
        return rows.takeError();
      return sink(bytesOf(part == DictionaryPart::Decoder ? *rows
                                                          : unitRows(*rows)));
    }
    Expected<EncoderRows> rows = dictionary->encoder(wanted);
    if (!rows)
      return rows.takeError();
    switch (part) {
    case DictionaryPart::Encoder:
      return sink(bytesOf(rows->weight));
    case DictionaryPart::EncoderBias:
      return sink(bytesOf(rows->bias));
    case DictionaryPart::Threshold:
      return sink(bytesOf(rows->threshold));
    case DictionaryPart::MagnitudeScale:
      return sink(bytesOf(rows->magnitudeScale));
    default:
      return sink(bytesOf(rows->magnitudeBias));
    }
  }

  std::shared_ptr<const Dictionary> dictionary;
  DictionaryPart part;
  std::vector<int64_t> features;
};

} // namespace

std::shared_ptr<const TensorSource> storedTensor(TensorView view) {
  return std::make_shared<StoredTensor>(std::move(view));
}

Expected<std::shared_ptr<const TensorSource>>
ownedTensor(DType dtype, ArrayRef<int64_t> shape, std::vector<std::byte> bytes) {
  std::optional<int64_t> expected = checkedBytes(shape, sizeOf(dtype));
  if (!expected || static_cast<uint64_t>(*expected) != bytes.size())
    return createStringError("%zu bytes do not fit the sizes of the tensor",
                             bytes.size());
  return std::make_shared<OwnedTensor>(dtype, shape, std::move(bytes));
}

std::shared_ptr<const TensorSource> computedRows(RowMatrix rows) {
  return std::make_shared<ComputedRows>(std::move(rows));
}

Expected<std::shared_ptr<const TensorSource>>
mergedRows(std::vector<std::shared_ptr<const TensorSource>> parts) {
  if (parts.empty())
    return createStringError("there is nothing to merge");
  SmallVector<int64_t> shape(parts.front()->shape());
  if (shape.empty())
    return createStringError("a single number has no rows to merge");
  shape.front() = 0;
  for (const auto &part : parts) {
    if (part->dtype() != parts.front()->dtype() ||
        part->shape().size() != shape.size() ||
        part->shape().drop_front() != ArrayRef(shape).drop_front())
      return createStringError("rows of different types or sizes do not merge");
    shape.front() += part->shape().front();
  }
  if (!checkedBytes(shape, sizeOf(parts.front()->dtype())))
    return createStringError("the merged tensor would be too large");
  if (parts.size() == 1)
    return parts.front();
  return std::make_shared<MergedRows>(shape, std::move(parts));
}

std::shared_ptr<const TensorSource>
dictionaryRows(std::shared_ptr<const Dictionary> dictionary, DictionaryPart part,
               ArrayRef<int64_t> features) {
  return std::make_shared<DictionaryRows>(std::move(dictionary), part, features);
}

} // namespace weir
