//===- SourcesTest.cpp - Where the numbers of a tensor come from ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Weights/Sources.h"

#include "../Dictionary/TestFiles.h"

#include "weir/Dictionary/Rows.h"

#include "gmock/gmock.h"

#include <cstring>

using namespace llvm;
using namespace weir;
using namespace weir::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

using Source = std::shared_ptr<const TensorSource>;

/// All numbers of an f32 source; `largest` is the size of its largest piece.
std::vector<float> numbersOf(const TensorSource &source, size_t *largest = nullptr) {
  std::vector<std::byte> bytes;
  cantFail(source.stream([&](ArrayRef<std::byte> piece) -> Error {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    if (largest)
      *largest = std::max(*largest, piece.size());
    return Error::success();
  }));
  EXPECT_EQ(bytes.size(), source.numBytes());
  std::vector<float> numbers(bytes.size() / sizeof(float));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

TEST(Sources, StoredTensorsAreNotCopied) {
  TensorView stored = view({2, 2}, {1, 2, 3, 4});
  Source source = storedTensor(stored);
  EXPECT_THAT(source->shape(), ElementsAre(2, 2));
  cantFail(source->stream([&](ArrayRef<std::byte> piece) -> Error {
    EXPECT_EQ(piece.data(), stored.data);
    EXPECT_EQ(piece.size(), 16u);
    return Error::success();
  }));
}

TEST(Sources, OwnedBytesHaveToFit) {
  Source source = take(ownedTensor(DType::BFloat16, {3}, std::vector<std::byte>(6)));
  EXPECT_EQ(source->numBytes(), 6u);
  EXPECT_THAT(message(ownedTensor(DType::BFloat16, {3}, std::vector<std::byte>(5))),
              HasSubstr("5 bytes do not fit"));
  EXPECT_THAT(message(ownedTensor(DType::UInt8, {-1}, {})),
              HasSubstr("do not fit"));
}

TEST(Sources, RowsMerge) {
  Source upper = storedTensor(view({1, 2}, {1, 2}));
  Source lower = computedRows(RowMatrix::Constant(2, 2, 7));
  Source merged = take(mergedRows({upper, lower}));
  EXPECT_THAT(merged->shape(), ElementsAre(3, 2));
  EXPECT_THAT(numbersOf(*merged), ElementsAre(1, 2, 7, 7, 7, 7));
  EXPECT_EQ(take(mergedRows({upper})), upper);

  EXPECT_THAT(message(mergedRows({})), HasSubstr("nothing to merge"));
  EXPECT_THAT(message(mergedRows({storedTensor(view({}, {1}))})),
              HasSubstr("no rows"));
  EXPECT_THAT(message(mergedRows({upper, storedTensor(view({1, 3}, {1, 2, 3}))})),
              HasSubstr("do not merge"));
  Source other = take(ownedTensor(DType::Float16, {1, 2}, std::vector<std::byte>(4)));
  EXPECT_THAT(message(mergedRows({upper, other})), HasSubstr("do not merge"));
}

TEST(Sources, AWholeEncoderComesInBlocks) {
  // More rows than a block has, and not a multiple of it.
  const int64_t features = 300001, width = 4;
  std::vector<float> numbers(features * width);
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<float>(i % 97) - 31.5f;
  std::shared_ptr<const Dictionary> dictionary =
      take(unembeddingDictionary(view({features, width}, numbers)));
  EncoderRows all = take(dictionary->encoder({}));

  size_t largest = 0;
  Source encoder = dictionaryRows(dictionary, DictionaryPart::Encoder, {});
  EXPECT_THAT(encoder->shape(), ElementsAre(features, width));
  std::vector<float> streamed = numbersOf(*encoder, &largest);
  EXPECT_LE(largest, size_t(4) << 20);
  ASSERT_EQ(streamed.size(), static_cast<size_t>(all.weight.size()));
  EXPECT_EQ(std::memcmp(streamed.data(), all.weight.data(),
                        streamed.size() * sizeof(float)),
            0);
  Source bias = dictionaryRows(dictionary, DictionaryPart::EncoderBias, {});
  EXPECT_THAT(bias->shape(), ElementsAre(features));
  EXPECT_EQ(numbersOf(*bias), std::vector<float>(features, 0.0f));
}

TEST(Sources, NamedRowsKeepTheirOrder) {
  std::shared_ptr<const Dictionary> dictionary =
      take(unembeddingDictionary(view({3, 2}, {3, 4, 0, 2, 1, 0})));
  EXPECT_THAT(numbersOf(*dictionaryRows(dictionary, DictionaryPart::Decoder,
                                        {2, 0, 2})),
              ElementsAre(1, 0, 3, 4, 1, 0));
  EXPECT_THAT(numbersOf(*dictionaryRows(dictionary, DictionaryPart::UnitDecoder,
                                        {1, 0})),
              ElementsAre(0, 1, 0.6f, 0.8f));
  EXPECT_THAT(
      numbersOf(*dictionaryRows(dictionary, DictionaryPart::Decoder, {})),
      ElementsAre(3, 4, 0, 2, 1, 0));
}

TEST(Sources, FeaturesAreCarriedToAnotherDecoder) {
  std::shared_ptr<const Dictionary> from =
      take(unembeddingDictionary(view({3, 2}, {3, 4, 0, 2, 1, 0})));
  std::shared_ptr<const Dictionary> to =
      take(unembeddingDictionary(view({2, 2}, {0, 8, 6, 8})));
  Source plain = carriedRows(from, to, {1, -1, 0}, {false, false, false},
                             FeatureUnit::One);
  EXPECT_THAT(plain->shape(), ElementsAre(3, 2));
  // What has no partner is left out, or keeps its own row.
  EXPECT_THAT(numbersOf(*plain), ElementsAre(6, 8, 0, 0, 0, 8));
  Source own = carriedRows(from, to, {1, -1, 0}, {false, true, true},
                           FeatureUnit::One);
  EXPECT_THAT(numbersOf(*own), ElementsAre(6, 8, 0, 2, 1, 0));
  // Norms: a row gets the length of the feature that it stands for.
  Source norms = carriedRows(from, to, {1, -1, 0}, {false, false, false},
                             FeatureUnit::DecoderNorm);
  EXPECT_THAT(numbersOf(*norms), ElementsAre(3, 4, 0, 0, 0, 1));
  EXPECT_THAT(numbersOf(*dictionaryRows(from, DictionaryPart::DecoderBias, {})),
              ElementsAre(0, 0));
}

TEST(Sources, WhatCannotBeCarriedIsAnErrorOfStreaming) {
  std::shared_ptr<const Dictionary> from =
      take(unembeddingDictionary(view({2, 2}, {1, 0, 0, 1e-30f})));
  std::shared_ptr<const Dictionary> to =
      take(unembeddingDictionary(view({2, 2}, {1e30f, 0, 0, 1})));
  auto ignore = [](ArrayRef<std::byte>) { return Error::success(); };
  EXPECT_THAT(toString(carriedRows(from, to, {0, 1}, {false, false},
                                   FeatureUnit::Threshold)
                           ->stream(ignore)),
              HasSubstr("has no thresholds"));
  EXPECT_THAT(toString(carriedRows(from, to, {0}, {false}, FeatureUnit::One)
                           ->stream(ignore)),
              HasSubstr("a match of other dictionaries"));
  auto full = [](ArrayRef<std::byte>) -> Error { return createStringError("full"); };
  EXPECT_EQ(toString(carriedRows(from, to, {1, 0}, {false, false},
                                 FeatureUnit::One)
                         ->stream(full)),
            "full");
}

TEST(Sources, ErrorsComeWhenTheyStream) {
  std::shared_ptr<const Dictionary> dictionary =
      take(unembeddingDictionary(view({2, 2}, {1, 0, 0, 0})));
  auto ignore = [](ArrayRef<std::byte>) { return Error::success(); };
  Source zero = dictionaryRows(dictionary, DictionaryPart::Encoder, {1});
  EXPECT_THAT(toString(zero->stream(ignore)), HasSubstr("zero row at 1"));
  Source none = dictionaryRows(dictionary, DictionaryPart::Encoder, {2});
  EXPECT_THAT(toString(none->stream(ignore)), HasSubstr("no feature 2"));
  Source good = dictionaryRows(dictionary, DictionaryPart::Decoder, {0});
  auto full = [](ArrayRef<std::byte>) -> Error { return createStringError("full"); };
  EXPECT_EQ(toString(good->stream(full)), "full");
}

} // namespace
