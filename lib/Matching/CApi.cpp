//===- CApi.cpp - C interface of the matchers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/CApi.h"

#include "weir/Matching/Assignment.h"
#include "weir/Matching/Folding.h"
#include "weir/Matching/Maps.h"

#include <algorithm>
#include <cstring>
#include <new>

using namespace weir;
using namespace weir::matching;

namespace {

int report(const std::string &message, char *error, int64_t errorSize) {
  if (error && errorSize > 0) {
    const size_t length =
        std::min<size_t>(message.size(), static_cast<size_t>(errorSize) - 1);
    std::memcpy(error, message.data(), length);
    error[length] = 0;
  }
  return 1;
}

llvm::Expected<Matrix> matrixOf(const char *name,
                                const weir_matching_part *parts,
                                int64_t count) {
  llvm::SmallVector<MatrixPart, 3> list;
  for (int64_t t = 0; t < count; ++t) {
    const weir_matching_part &part = parts[t];
    DType dtype = part.dtype == WEIR_F32    ? DType::Float32
                  : part.dtype == WEIR_F16  ? DType::Float16
                  : part.dtype == WEIR_BF16 ? DType::BFloat16
                                            : DType::Int8;
    list.push_back({dtype, static_cast<const std::byte *>(part.data), part.rows,
                    part.cols, part.row_stride, part.col_stride});
  }
  return Matrix::make(name, list);
}

llvm::Error checkCodes(int32_t similarity, int32_t screen, int32_t device) {
  if (similarity < WEIR_COSINE || similarity > WEIR_MSE)
    return llvm::createStringError("unknown similarity %d", similarity);
  if (screen < WEIR_SCREEN_AUTO || screen > WEIR_SCREEN_INT8)
    return llvm::createStringError("unknown screen %d", screen);
  if (device < WEIR_DEVICE_CPU || device > WEIR_DEVICE_AUTO)
    return llvm::createStringError("unknown device %d", device);
  return llvm::Error::success();
}

/// Runs `body`, which returns an llvm::Error; no exception leaves.
template <typename Body>
int guarded(char *error, int64_t errorSize, Body body) {
  try {
    if (llvm::Error failure = body())
      return report(llvm::toString(std::move(failure)), error, errorSize);
    return 0;
  } catch (const std::bad_alloc &) {
    return report("out of memory", error, errorSize);
  } catch (const std::exception &exception) {
    return report(exception.what(), error, errorSize);
  }
}

} // namespace

#define WEIR_EXPORT __attribute__((visibility("default")))

extern "C" {

WEIR_EXPORT int32_t weir_matching_abi(void) { return WEIR_MATCHING_ABI; }

WEIR_EXPORT int
weir_matching_top_k(const weir_matching_part *a, int64_t partsOfA,
                    const weir_matching_part *b, int64_t partsOfB, int64_t k,
                    int32_t similarity, int32_t screen, int32_t device, int32_t threads,
                    int64_t *indices, double *values, int64_t stats[3],
                    char *error, int64_t errorSize) {
  return guarded(error, errorSize, [&]() -> llvm::Error {
    if (llvm::Error failure = checkCodes(similarity, screen, device))
      return failure;
    llvm::Expected<Matrix> left = matrixOf("a", a, partsOfA);
    if (!left)
      return left.takeError();
    llvm::Expected<Matrix> right = matrixOf("b", b, partsOfB);
    if (!right)
      return right.takeError();
    Options options;
    options.screen = static_cast<Screen>(screen);
    options.device = static_cast<Device>(device);
    options.threads = threads;
    llvm::Expected<TopK> result =
        topK(*left, *right, k, static_cast<Similarity>(similarity), options);
    if (!result)
      return result.takeError();
    std::copy(result->indices.begin(), result->indices.end(), indices);
    std::copy(result->values.begin(), result->values.end(), values);
    stats[0] = result->survivors;
    stats[1] = result->distinct;
    stats[2] = static_cast<int64_t>(result->screen);
    return llvm::Error::success();
  });
}

WEIR_EXPORT int weir_matching_permutation(
    const weir_matching_part *a, int64_t partsOfA, const weir_matching_part *b,
    int64_t partsOfB, int32_t similarity, int32_t screen, int32_t device, int32_t threads,
    int64_t candidates, int64_t denseSize, int64_t *permutation, double *u,
    double *v, double numbers[4], int64_t stats[5], char *error,
    int64_t errorSize) {
  return guarded(error, errorSize, [&]() -> llvm::Error {
    if (llvm::Error failure = checkCodes(similarity, screen, device))
      return failure;
    llvm::Expected<Matrix> left = matrixOf("a", a, partsOfA);
    if (!left)
      return left.takeError();
    llvm::Expected<Matrix> right = matrixOf("b", b, partsOfB);
    if (!right)
      return right.takeError();
    AssignmentOptions options;
    options.screen = static_cast<Screen>(screen);
    options.device = static_cast<Device>(device);
    options.threads = threads;
    if (candidates > 0)
      options.candidates = candidates;
    if (denseSize >= 0)
      options.denseSize = denseSize;
    llvm::Expected<Assignment> result =
        assign(*left, *right, static_cast<Similarity>(similarity), options);
    if (!result)
      return result.takeError();
    const Certificate &certificate = result->certificate;
    std::copy(result->permutation.begin(), result->permutation.end(),
              permutation);
    std::copy(certificate.u.begin(), certificate.u.end(), u);
    std::copy(certificate.v.begin(), certificate.v.end(), v);
    numbers[0] = result->cost;
    numbers[1] = certificate.dualCost;
    numbers[2] = certificate.gap;
    numbers[3] = certificate.worstReducedCost;
    stats[0] = result->rounds;
    stats[1] = result->arcs;
    stats[2] = result->pricedRows;
    stats[3] = result->survivors;
    stats[4] = result->dense;
    return llvm::Error::success();
  });
}

WEIR_EXPORT int weir_matching_compose(const int64_t *first, int64_t size,
                                      const int64_t *second,
                                      int64_t sizeOfSecond, int64_t *out,
                                      char *error, int64_t errorSize) {
  return guarded(error, errorSize, [&]() -> llvm::Error {
    llvm::Expected<std::vector<int64_t>> result = composePermutations(
        llvm::ArrayRef(first, size), llvm::ArrayRef(second, sizeOfSecond));
    if (!result)
      return result.takeError();
    std::copy(result->begin(), result->end(), out);
    return llvm::Error::success();
  });
}

WEIR_EXPORT int weir_matching_compose_top_k(
    const int64_t *firstIndices, const double *firstValues, int64_t rows,
    int64_t firstK, const int64_t *secondIndices, const double *secondValues,
    int64_t secondRows, int64_t secondK, double least, int64_t keep,
    int64_t *starts, int64_t *outIndices, double *outWeights, char *error,
    int64_t errorSize) {
  return guarded(error, errorSize, [&]() -> llvm::Error {
    auto map = [&](const int64_t *indices, const double *values, int64_t count,
                   int64_t k) {
      TopK matches;
      matches.rows = count;
      matches.k = k;
      matches.indices.assign(indices, indices + count * k);
      matches.values.assign(values, values + count * k);
      return mapOf(matches, least);
    };
    llvm::Expected<FeatureMap> result =
        composeMaps(map(firstIndices, firstValues, rows, firstK),
                    map(secondIndices, secondValues, secondRows, secondK),
                    keep);
    if (!result)
      return result.takeError();
    std::copy(result->starts.begin(), result->starts.end(), starts);
    std::copy(result->indices.begin(), result->indices.end(), outIndices);
    std::copy(result->weights.begin(), result->weights.end(), outWeights);
    return llvm::Error::success();
  });
}

WEIR_EXPORT int
weir_matching_mutual_best(const int64_t *forward, int64_t forwardRows,
                          int64_t forwardK, const int64_t *backward,
                          int64_t backwardRows, int64_t backwardK, int64_t *out,
                          char *error, int64_t errorSize) {
  return guarded(error, errorSize, [&]() -> llvm::Error {
    llvm::Expected<std::vector<int64_t>> result = mutualBest(
        llvm::ArrayRef(forward, forwardRows * forwardK), forwardK,
        llvm::ArrayRef(backward, backwardRows * backwardK), backwardK);
    if (!result)
      return result.takeError();
    std::copy(result->begin(), result->end(), out);
    return llvm::Error::success();
  });
}

WEIR_EXPORT int weir_matching_quality(
    const weir_matching_part *a, int64_t partsOfA, const weir_matching_part *b,
    int64_t partsOfB, const int64_t *match, int64_t size,
    const double *quantiles, int64_t count, double *cosine,
    double *squaredError, double *errorQuantiles, double means[2],
    int64_t *pairs, char *error, int64_t errorSize) {
  return guarded(error, errorSize, [&]() -> llvm::Error {
    llvm::Expected<Matrix> left = matrixOf("a", a, partsOfA);
    if (!left)
      return left.takeError();
    llvm::Expected<Matrix> right = matrixOf("b", b, partsOfB);
    if (!right)
      return right.takeError();
    llvm::Expected<Quality> result =
        matchQuality(*left, *right, llvm::ArrayRef(match, size),
                     llvm::ArrayRef(quantiles, count));
    if (!result)
      return result.takeError();
    std::copy(result->cosine.begin(), result->cosine.end(), cosine);
    std::copy(result->squaredError.begin(), result->squaredError.end(),
              squaredError);
    std::copy(result->errorQuantiles.begin(), result->errorQuantiles.end(),
              errorQuantiles);
    means[0] = result->meanCosine;
    means[1] = result->meanSquaredError;
    *pairs = result->pairs;
    return llvm::Error::success();
  });
}

WEIR_EXPORT int weir_matching_fold(int32_t what, int64_t features,
                                   int64_t inputWidth, int64_t width,
                                   float *encoder, float *bias,
                                   float *threshold, float *decoder,
                                   const float *means, int64_t *left,
                                   int64_t *leftCount, char *error,
                                   int64_t errorSize) {
  return guarded(error, errorSize, [&]() -> llvm::Error {
    const FoldedRows rows = {features, inputWidth, width,  encoder,
                             bias,     threshold,  decoder};
    if (what < WEIR_FOLD_THRESHOLDS || what > WEIR_FOLD_MEAN_ACTIVATIONS)
      return llvm::createStringError("unknown folding %d", what);
    llvm::Expected<std::vector<int64_t>> result =
        what == WEIR_FOLD_THRESHOLDS      ? foldThresholds(rows)
        : what == WEIR_FOLD_DECODER_NORMS ? foldDecoderNorms(rows)
                                          : foldMeanActivations(
                                                rows, llvm::ArrayRef(
                                                          means,
                                                          means ? features : 0));
    if (!result)
      return result.takeError();
    std::copy(result->begin(), result->end(), left);
    *leftCount = static_cast<int64_t>(result->size());
    return llvm::Error::success();
  });
}

} // extern "C"
