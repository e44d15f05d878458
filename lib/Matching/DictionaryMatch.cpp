//===- DictionaryMatch.cpp - Matching two dictionaries ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Matching/DictionaryMatch.h"

#include "StoredMatch.h"

#include "weir/Matching/Folding.h"
#include "weir/Matching/Maps.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace weir::matching {

/// Part of every key. Counts up when the meaning of a result, or the form of an
/// entry, changes.
static constexpr StringLiteral keyVersion = "weir match 1";

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

static StringRef nameOf(Similarity similarity) {
  switch (similarity) {
  case Similarity::Cosine:
    return "cosine";
  case Similarity::Dot:
    return "dot";
  case Similarity::MeanSquaredError:
    return "mse";
  }
  llvm_unreachable("unknown similarity");
}

static StringRef nameOf(Fold fold) {
  switch (fold) {
  case Fold::None:
    return "none";
  case Fold::Threshold:
    return "threshold";
  case Fold::DecoderNorm:
    return "decoder_norm";
  case Fold::MeanActivation:
    return "mean_activation";
  }
  llvm_unreachable("unknown fold");
}

std::string MatchOptions::str() const {
  SmallVector<StringRef, 3> weights;
  if (decoder)
    weights.push_back("decoder");
  if (encoder)
    weights.push_back("encoder");
  if (encoderBias)
    weights.push_back("encoder_bias");
  std::string text = method == Method::TopK
                         ? "top_k k=" + std::to_string(k)
                         : std::string("permutation");
  return text + " similarity=" + nameOf(similarity).str() +
         " weights=" + join(weights, "+") + " fold=" + nameOf(fold).str();
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

static std::string hashOf(ArrayRef<RowMatrix> parts) {
  Sha256 hash;
  for (const RowMatrix &part : parts) {
    hash.update(std::to_string(part.rows()) + "x" +
                std::to_string(part.cols()) + ":");
    hash.update(
        ArrayRef<std::byte>(reinterpret_cast<const std::byte *>(part.data()),
                            part.size() * sizeof(float)));
  }
  return hash.finish();
}

/// Folds in place; returns the features that stay as they are.
static Expected<std::vector<int64_t>> apply(Fold fold, const FoldedRows &rows,
                                            ArrayRef<float> means) {
  switch (fold) {
  case Fold::None:
    return std::vector<int64_t>();
  case Fold::Threshold:
    return foldThresholds(rows);
  case Fold::DecoderNorm:
    return foldDecoderNorms(rows);
  case Fold::MeanActivation:
    return foldMeanActivations(rows, means);
  }
  llvm_unreachable("unknown fold");
}

Expected<FeatureRows> FeatureRows::read(StringRef name,
                                        const Dictionary &dictionary,
                                        const MatchOptions &options,
                                        ArrayRef<float> means) {
  auto problem = [&](const Twine &what) {
    return createStringError(name + ": " + what);
  };
  if (!options.decoder && !options.encoder && !options.encoderBias)
    return problem("no weights to match by");
  FeatureRows result;
  result.title = name.str();
  result.rows = dictionary.info().features;

  bool needsEncoder = options.encoder || options.encoderBias ||
                      options.fold == Fold::Threshold;
  RowMatrix decoder;
  EncoderRows encoder;
  if (options.decoder || options.fold != Fold::None) {
    auto rows = dictionary.decoder({});
    if (!rows)
      return rows.takeError();
    decoder = std::move(*rows);
  }
  if (needsEncoder) {
    auto rows = dictionary.encoder({});
    if (!rows)
      return rows.takeError();
    encoder = std::move(*rows);
  }

  if (options.fold != Fold::None) {
    FoldedRows folded;
    folded.features = result.rows;
    folded.width = decoder.cols();
    folded.decoder = decoder.data();
    if (needsEncoder) {
      folded.inputWidth = encoder.weight.cols();
      folded.encoder = encoder.weight.data();
      folded.bias = encoder.bias.data();
      if (encoder.threshold.size())
        folded.threshold = encoder.threshold.data();
    }
    if (options.fold == Fold::Threshold && !folded.threshold)
      return problem("has no thresholds to fold: only JumpReLU dictionaries "
                     "have; use fold: none or decoder_norm");
    auto left = apply(options.fold, folded, means);
    if (!left)
      return problem(toString(left.takeError()));
    result.left = std::move(*left);
  }

  if (options.decoder)
    result.parts.push_back(std::move(decoder));
  if (options.encoder)
    result.parts.push_back(std::move(encoder.weight));
  if (options.encoderBias)
    result.parts.push_back(encoder.bias.transpose());
  result.digest = hashOf(result.parts);
  return result;
}

Expected<Matrix> FeatureRows::matrix(int64_t first, int64_t last) const {
  SmallVector<MatrixPart, 3> views;
  for (const RowMatrix &part : parts)
    views.push_back(MatrixPart::dense(part.data() + first * part.cols(),
                                      last - first, part.cols()));
  return Matrix::make(title, views);
}

//===----------------------------------------------------------------------===//
// Entries of the cache
//===----------------------------------------------------------------------===//

/// A double that reads back as the same one.
static std::string exact(double value) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

Error Match::store(const ResultCache &cache, StringRef key,
                   StringRef about) const {
  std::vector<NamedTensor> tensors = {
      NamedTensor::of("indices", DType::Int64, {rows, k}, indices.data()),
      NamedTensor::of("values", DType::Float64, {rows, k}, values.data())};
  std::map<std::string, std::string> strings = {
      {"about", about.str()},
      {"columns", std::to_string(columns)},
      {"survivors", std::to_string(survivors)}};
  if (!firing.empty())
    tensors.push_back(NamedTensor::of("firing", DType::Float64, {rows, k}, firing.data()));
  if (certificate) {
    tensors.push_back(NamedTensor::of("u", DType::Float64, {rows}, certificate->u.data()));
    tensors.push_back(NamedTensor::of("v", DType::Float64, {columns}, certificate->v.data()));
    strings["cost"] = exact(cost);
    strings["dual_cost"] = exact(certificate->dualCost);
    strings["gap"] = exact(certificate->gap);
    strings["worst_reduced_cost"] = exact(certificate->worstReducedCost);
  }
  return cache.store(key, tensors, std::move(strings));
}

template <typename T>
static std::vector<T> numbersOf(const TensorView &view) {
  std::vector<T> numbers(view.numElements());
  std::memcpy(numbers.data(), view.data, view.numBytes());
  return numbers;
}

Expected<StoredMatch> StoredMatch::of(const CachedResult &entry) {
  auto indices = entry.tensor("indices", DType::Int64, {-1, -1});
  if (!indices)
    return indices.takeError();
  auto values = entry.tensor("values", DType::Float64,
                             {indices->shape[0], indices->shape[1]});
  if (!values)
    return values.takeError();
  auto columns = wholeNumberOf(entry, "columns");
  if (!columns)
    return columns.takeError();
  return StoredMatch{std::move(*indices), std::move(*values), *columns};
}

Expected<int64_t> wholeNumberOf(const CachedResult &entry, StringRef name) {
  auto text = entry.text(name);
  if (!text)
    return text.takeError();
  int64_t number = 0;
  if (StringRef(*text).getAsInteger(10, number) || number < 0)
    return createStringError(entry.file().path() + ": '" + name +
                             "' is no number");
  return number;
}

Error checkIndices(const CachedResult &entry, ArrayRef<int64_t> indices,
                   int64_t columns) {
  for (int64_t index : indices)
    if (index < -1 || index >= columns)
      return createStringError(entry.file().path() +
                               ": an index is out of range");
  return Error::success();
}

Expected<Match> Match::load(const CachedResult &entry) {
  auto stored = StoredMatch::of(entry);
  if (!stored)
    return stored.takeError();
  Match match;
  match.rows = stored->indices.shape[0];
  match.k = stored->indices.shape[1];
  match.indices = numbersOf<int64_t>(stored->indices);
  match.values = numbersOf<double>(stored->values);
  match.columns = stored->columns;

  auto real = [&](StringRef name, double &into) -> Error {
    auto text = entry.text(name);
    if (!text)
      return text.takeError();
    if (StringRef(*text).getAsDouble(into))
      return createStringError(entry.file().path() + ": '" + name +
                               "' is no number");
    return Error::success();
  };
  auto survivors = wholeNumberOf(entry, "survivors");
  if (!survivors)
    return survivors.takeError();
  match.survivors = *survivors;
  if (Error error = checkIndices(entry, match.indices, match.columns))
    return std::move(error);

  if (entry.file().contains("firing")) {
    auto firing = entry.tensor("firing", DType::Float64, {match.rows, match.k});
    if (!firing)
      return firing.takeError();
    match.firing = numbersOf<double>(*firing);
  }
  if (!entry.file().contains("u"))
    return match;
  auto u = entry.tensor("u", DType::Float64, {match.rows});
  if (!u)
    return u.takeError();
  auto v = entry.tensor("v", DType::Float64, {match.columns});
  if (!v)
    return v.takeError();
  Certificate &certificate = match.certificate.emplace();
  certificate.u = numbersOf<double>(*u);
  certificate.v = numbersOf<double>(*v);
  if (Error error = real("cost", match.cost))
    return std::move(error);
  if (Error error = real("dual_cost", certificate.dualCost))
    return std::move(error);
  if (Error error = real("gap", certificate.gap))
    return std::move(error);
  if (Error error = real("worst_reduced_cost", certificate.worstReducedCost))
    return std::move(error);
  return match;
}

//===----------------------------------------------------------------------===//
// Composition
//===----------------------------------------------------------------------===//

static Expected<Match> composePermuted(const Match &first,
                                       const Match &second) {
  if (first.k != 1 || second.k != 1)
    return createStringError("only permutations compose without a number of "
                             "pairs to keep");
  auto indices = composePermutations(first.indices, second.indices);
  if (!indices)
    return indices.takeError();
  Match result;
  result.indices = std::move(*indices);
  result.k = 1;
  result.values.resize(first.rows);
  for (int64_t i = 0; i < first.rows; ++i)
    if (result.indices[i] >= 0)
      result.values[i] =
          std::min(first.values[i], second.values[first.indices[i]]);
  return result;
}

static Expected<Match> composeBest(const Match &first, const Match &second,
                                   int64_t keep) {
  auto composed =
      composeMaps(mapOf(first.k, first.indices, first.values),
                  mapOf(second.k, second.indices, second.values), keep);
  if (!composed)
    return composed.takeError();
  Match result;
  result.k = keep;
  result.indices.assign(first.rows * keep, -1);
  result.values.assign(first.rows * keep, 0);
  for (int64_t i = 0; i < first.rows; ++i)
    for (int64_t from = composed->starts[i]; from < composed->starts[i + 1];
         ++from) {
      int64_t to = i * keep + from - composed->starts[i];
      result.indices[to] = composed->indices[from];
      result.values[to] = composed->weights[from];
    }
  return result;
}

Expected<Match> composeMatches(const Match &first, const Match &second,
                               std::optional<int64_t> keep) {
  if (first.columns != second.rows)
    return createStringError("a match to " + Twine(first.columns) +
                             " features is followed by one from " +
                             Twine(second.rows));
  auto result = keep ? composeBest(first, second, *keep)
                     : composePermuted(first, second);
  if (!result)
    return result.takeError();
  result->rows = first.rows;
  result->columns = second.columns;
  return result;
}

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

static std::string keyOfRows(const FeatureRows &a, const FeatureRows &b,
                             const MatchOptions &options, int64_t first,
                             int64_t last) {
  std::string text = keyVersion.str() + "\n" + options.str() + "\n" + a.hash() +
                     "\n" + b.hash();
  // The whole match has the same key whatever it is cut into.
  if (first != 0 || last != a.features())
    text += "\n" + std::to_string(first) + ".." + std::to_string(last);
  return sha256(StringRef(text));
}

std::string Matcher::keyOf(const FeatureRows &a, const FeatureRows &b,
                           const MatchOptions &options) {
  return keyOfRows(a, b, options, 0, a.features());
}

std::vector<MatchUnit> Matcher::unitsOf(const FeatureRows &a,
                                        const FeatureRows &b,
                                        const MatchOptions &options) const {
  int64_t step = options.method == Method::TopK
                     ? std::max<int64_t>(settings.unitRows, 1)
                     : a.features();
  std::vector<MatchUnit> units;
  for (int64_t first = 0; first < a.features(); first += step) {
    int64_t last = std::min(first + step, a.features());
    units.push_back({keyOfRows(a, b, options, first, last), first, last});
  }
  return units;
}

Expected<Match> Matcher::computeRows(const FeatureRows &a,
                                     const FeatureRows &b,
                                     const MatchOptions &options,
                                     int64_t first, int64_t last) const {
  auto left = a.matrix(first, last);
  if (!left)
    return left.takeError();
  auto right = b.matrix(0, b.features());
  if (!right)
    return right.takeError();
  Match match;
  match.rows = last - first;
  match.columns = b.features();
  if (options.method == Method::TopK) {
    auto found = topK(*left, *right, options.k, options.similarity,
                      settings.engine);
    if (!found)
      return found.takeError();
    match.k = found->k;
    match.indices = std::move(found->indices);
    match.values = std::move(found->values);
    match.survivors = found->survivors;
    return match;
  }
  AssignmentOptions assignment;
  static_cast<Options &>(assignment) = settings.engine;
  auto found = assign(*left, *right, options.similarity, assignment);
  if (!found)
    return found.takeError();
  match.k = 1;
  match.indices = std::move(found->permutation);
  match.values.resize(match.rows);
  for (int64_t i = 0; i < match.rows; ++i)
    if (match.indices[i] >= 0)
      match.values[i] =
          similarity(*left, i, *right, match.indices[i], options.similarity);
  match.cost = found->cost;
  match.certificate = std::move(found->certificate);
  match.survivors = found->survivors;
  return match;
}

Error Matcher::checkProof(const FeatureRows &a, const FeatureRows &b,
                          const MatchOptions &options,
                          const Match &match) const {
  if (match.rows != a.features() || match.columns != b.features() ||
      (options.method == Method::Permutation && match.k != 1))
    return createStringError("it does not fit the dictionaries");
  if (options.method != Method::Permutation)
    return Error::success();
  if (!match.certificate)
    return createStringError("a permutation without its proof");
  auto left = a.matrix(0, a.features());
  if (!left)
    return left.takeError();
  auto right = b.matrix(0, b.features());
  if (!right)
    return right.takeError();
  if (Error error = checkAssignment(*left, *right, options.similarity,
                                    match.indices, *match.certificate,
                                    match.cost, settings.engine))
    return error;
  for (int64_t i = 0; i < match.rows; ++i) {
    double value = match.indices[i] < 0
                       ? 0
                       : similarity(*left, i, *right, match.indices[i],
                                    options.similarity);
    if (match.values[i] != value)
      return createStringError("the similarity of row " + Twine(i) +
                               " is not that of the dictionaries");
  }
  return Error::success();
}

Expected<std::optional<Match>>
Matcher::lookUp(StringRef key, function_ref<Error(const Match &)> check) const {
  auto entry = cache.find(key);
  if (entry && !*entry)
    return std::nullopt;
  std::string reason;
  if (!entry) {
    reason = toString(entry.takeError());
  } else {
    auto match = Match::load(**entry);
    Error wrong = !match ? match.takeError()
                  : check ? check(*match)
                          : Error::success();
    if (!wrong)
      return std::optional<Match>(std::move(*match));
    reason = toString(std::move(wrong));
    if (match)
      reason = ((*entry)->file().path() + ": " + reason).str();
  }
  if (settings.warn)
    settings.warn("a cached result is damaged and is made anew: " + reason);
  if (Error error = cache.remove(key))
    return std::move(error);
  return std::nullopt;
}

Expected<Matcher::Outcome>
Matcher::cached(StringRef key, StringRef about,
                function_ref<Expected<Match>()> compute,
                function_ref<Error(const Match &)> check) const {
  auto found = lookUp(key, check);
  if (!found)
    return found.takeError();
  if (*found)
    return Outcome{key.str(), std::move(**found), true};
  auto lock = cache.lock(key);
  if (!lock)
    return lock.takeError();
  // Another process may have made it while this one waited.
  found = lookUp(key, check);
  if (!found)
    return found.takeError();
  if (*found)
    return Outcome{key.str(), std::move(**found), true};
  auto match = compute();
  if (!match)
    return match.takeError();
  if (Error error = match->store(cache, key, about))
    return std::move(error);
  return Outcome{key.str(), std::move(*match), false};
}

static std::string aboutMatch(const FeatureRows &a, const FeatureRows &b,
                              const MatchOptions &options) {
  return a.name().str() + " -> " + b.name().str() + " " + options.str();
}

Error Matcher::computeUnit(const FeatureRows &a, const FeatureRows &b,
                           const MatchOptions &options,
                           const MatchUnit &unit) const {
  // A whole match has removed its parts: nothing would use this one.
  if (isDone(keyOf(a, b, options)))
    return Error::success();
  std::string about = aboutMatch(a, b, options) + " rows " +
                      std::to_string(unit.first) + ".." +
                      std::to_string(unit.last - 1);
  auto outcome = cached(unit.key, about, [&] {
    return computeRows(a, b, options, unit.first, unit.last);
  });
  return outcome ? Error::success() : outcome.takeError();
}

Expected<Matcher::Outcome> Matcher::match(const FeatureRows &a,
                                          const FeatureRows &b,
                                          const MatchOptions &options) const {
  std::string key = keyOf(a, b, options);
  std::vector<MatchUnit> units = unitsOf(a, b, options);
  auto progress = [&](int64_t done) {
    if (settings.progress)
      settings.progress(done, units.size());
  };
  progress(0);
  auto compute = [&]() -> Expected<Match> {
    if (units.size() == 1)
      return computeRows(a, b, options, 0, a.features());
    Match match;
    for (auto [i, unit] : enumerate(units)) {
      if (Error error = computeUnit(a, b, options, unit))
        return std::move(error);
      auto part = lookUp(unit.key);
      if (!part)
        return part.takeError();
      if (!*part)
        return createStringError("a result vanished from the cache '" +
                                 cache.folder() + "' while it was needed");
      if ((*part)->rows != unit.last - unit.first ||
          (*part)->columns != b.features())
        return createStringError("a part of a match in the cache '" +
                                 cache.folder() + "' does not fit");
      match.k = (*part)->k;
      match.columns = (*part)->columns;
      match.rows += (*part)->rows;
      match.survivors += (*part)->survivors;
      append_range(match.indices, (*part)->indices);
      append_range(match.values, (*part)->values);
      progress(i + 1);
    }
    return match;
  };
  auto whole = cached(key, aboutMatch(a, b, options), compute,
                      [&](const Match &match) {
                        return checkProof(a, b, options, match);
                      });
  if (!whole)
    return whole.takeError();
  if (whole->match.rows != a.features() || whole->match.columns != b.features())
    return createStringError("the entry " + key + " of the cache '" +
                             cache.folder() + "' does not fit the dictionaries");
  progress(units.size());
  // What the parts were for is there now.
  if (units.size() > 1 && !whole->wasCached)
    for (const MatchUnit &unit : units)
      if (Error error = cache.remove(unit.key))
        return std::move(error);
  return whole;
}

} // namespace weir::matching
