//===- MatchReport.cpp - What matches were found, and how good they are ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/MatchReport.h"

#include "weir/Matching/Maps.h"
#include "weir/Support/Files.h"
#include "weir/Support/Words.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace weir;
using llvm::StringRef;

/// How exports begin, by which they are known again.
static constexpr llvm::StringLiteral tensorFormat = "weir matches 1";
static constexpr llvm::StringLiteral tableHead =
    "matching,source,source_feature,target,target_feature,rank,similarity,"
    "steps\n";

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

Distribution Distribution::of(std::vector<double> numbers) {
  Distribution result;
  result.count = static_cast<int64_t>(numbers.size());
  if (numbers.empty())
    return result;
  llvm::sort(numbers);
  double sum = 0;
  for (double number : numbers)
    sum += number;
  result.mean = sum / static_cast<double>(numbers.size());
  auto at = [&](double quantile) {
    double place = quantile * static_cast<double>(numbers.size() - 1);
    auto below = static_cast<size_t>(place);
    size_t above = std::min(below + 1, numbers.size() - 1);
    return numbers[below] +
           (place - static_cast<double>(below)) * (numbers[above] - numbers[below]);
  };
  result.p10 = at(0.1);
  result.p25 = at(0.25);
  result.median = at(0.5);
  result.p75 = at(0.75);
  result.p90 = at(0.9);
  return result;
}

llvm::Expected<const RowMatrix *>
MatchReport::decoderOf(StringRef symbol, flow::DictionaryStore &store) {
  for (auto it = decoders.begin(); it != decoders.end(); ++it)
    if (it->first == symbol) {
      decoders.splice(decoders.end(), decoders, it);
      return &it->second;
    }
  auto dictionary = store.open(symbol);
  if (!dictionary)
    return dictionary.takeError();
  auto rows = (*dictionary)->decoder({});
  if (!rows)
    return rows.takeError();
  constexpr size_t kept = 8;
  if (decoders.size() == kept)
    decoders.pop_front();
  decoders.emplace_back(symbol.str(), std::move(*rows));
  return &decoders.back().second;
}

//===----------------------------------------------------------------------===//
// Collecting
//===----------------------------------------------------------------------===//

/// The pairs that a map was made of, in order.
static void collectPairs(flow::ComputedOpInterface op,
                         llvm::SmallVectorImpl<flow::PairOpInterface> &pairs) {
  if (auto pair =
          llvm::dyn_cast<flow::PairOpInterface>(op.getOperation())) {
    pairs.push_back(pair);
    return;
  }
  for (mlir::Value map : op->getOperands())
    if (auto made = map.getDefiningOp<flow::ComputedOpInterface>())
      collectPairs(made, pairs);
}

static flow::SiteAttr siteOf(mlir::Operation *op, mlir::FlatSymbolRefAttr ref) {
  auto module = op->getParentOfType<mlir::ModuleOp>();
  return module.lookupSymbol<flow::DictionaryOp>(ref.getAttr()).getSite();
}

static std::string textOf(flow::SiteAttr site) {
  return (fx::stringifySiteKind(site.getKind()) + "." +
          llvm::Twine(site.getLayer()))
      .str();
}

llvm::Error MatchReport::add(flow::ComputedOpInterface op,
                             const matching::Matcher::Outcome &outcome,
                             flow::DictionaryStore &store) {
  llvm::SmallVector<flow::PairOpInterface> pairs;
  collectPairs(op, pairs);
  if (pairs.empty())
    return llvm::createStringError("a composition of unknown matches");
  flow::PairOpInterface first = pairs.front(), last = pairs.back();
  flow::SiteAttr source = siteOf(op, first.getSourceRef());
  flow::SiteAttr target = siteOf(op, last.getTargetRef());

  MatchEntry entry;
  if (first.getMatchingRef())
    entry.matching = specName(first.getMatchingRef().getValue()).str();
  entry.source = textOf(source);
  entry.target = textOf(target);
  entry.sourceDictionary = first.getSourceRef().getValue().str();
  entry.targetDictionary = last.getTargetRef().getValue().str();
  entry.kind = fx::stringifySiteKind(source.getKind()).str();
  entry.method = first.getNumBest() ? "top_k" : "permutation";
  entry.similarity = flow::stringifySimilarity(first.getSimilarityKind()).str();
  entry.steps = static_cast<int64_t>(pairs.size());
  entry.distance = std::abs(source.getLayer() - target.getLayer());
  entry.sameKind = source.getKind() == target.getKind();
  entry.key = outcome.key;
  entry.wasCached = outcome.wasCached;
  entry.match = outcome.match;

  auto left = decoderOf(first.getSourceRef().getValue(), store);
  if (!left)
    return left.takeError();
  auto rowsOf = [](StringRef name, const RowMatrix &rows) {
    return matching::Matrix::make(
        name, matching::MatrixPart::dense(rows.data(), rows.rows(), rows.cols()));
  };
  auto right = decoderOf(last.getTargetRef().getValue(), store);
  if (!right)
    return right.takeError();
  auto a = rowsOf(entry.source, **left);
  if (!a)
    return a.takeError();
  auto b = rowsOf(entry.target, **right);
  if (!b)
    return b.takeError();

  const matching::Match &match = entry.match;
  std::vector<int64_t> best(match.rows, -1);
  std::vector<double> values;
  for (int64_t i = 0; i < match.rows; ++i) {
    best[i] = match.indices[i * match.k];
    if (best[i] >= 0)
      values.push_back(match.values[i * match.k]);
  }
  entry.values = Distribution::of(values);
  std::vector<double> firing;
  for (size_t i = 0; i < match.firing.size(); i += match.k)
    if (!std::isnan(match.firing[i]))
      firing.push_back(match.firing[i]);
  entry.firing = Distribution::of(std::move(firing));
  auto quality = matching::matchQuality(*a, *b, best);
  if (!quality)
    return quality.takeError();
  std::vector<double> found;
  for (double cosine : quality->cosine)
    if (!std::isnan(cosine))
      found.push_back(cosine);
  entry.cosines = Distribution::of(found);
  for (auto [share, threshold] : llvm::zip_equal(entry.shares, thresholds))
    share = match.rows ? static_cast<double>(llvm::count_if(
                             found,
                             [&](double cosine) { return cosine >= threshold; })) /
                             static_cast<double>(match.rows)
                       : 0;
  matches.push_back(std::move(entry));
  cosines.push_back(std::move(found));
  return llvm::Error::success();
}

std::vector<CurvePoint> MatchReport::curve() const {
  llvm::MapVector<std::tuple<StringRef, StringRef, int64_t>,
                  std::vector<double>>
      groups;
  for (auto [entry, found] : llvm::zip_equal(matches, cosines))
    if (entry.sameKind)
      llvm::append_range(groups[{entry.matching, entry.kind, entry.distance}],
                         found);
  std::vector<CurvePoint> points;
  for (auto &[key, found] : groups)
    points.push_back({std::get<0>(key).str(), std::get<1>(key).str(),
                      std::get<2>(key), Distribution::of(found)});
  // No two of them are equal: they were the keys of a map.
  llvm::sort(points, [](const CurvePoint &a, const CurvePoint &b) {
    return std::tie(a.matching, a.kind, a.distance) <
           std::tie(b.matching, b.kind, b.distance);
  });
  return points;
}

//===----------------------------------------------------------------------===//
// Output
//===----------------------------------------------------------------------===//

void MatchReport::print(llvm::raw_ostream &os) const {
  os << "Cosines are those of the decoder rows of a feature and its best match;\n"
        "shares are of features whose cosine is at least that; ~ was in the cache.\n"
        "Permutations: the gap to the dual bound and the least reduced cost, 0 up\n"
        "to rounding. Activations: medians of the correlation and of how likely\n"
        "the match fires where the feature does.\n\n";
  os << llvm::left_justify("match", 14) << llvm::left_justify("from", 9)
     << llvm::left_justify("to", 9)
     << "features    p10    p25 median    p75    p90   >=.3   >=.5   >=.7   "
        ">=.9\n";
  for (const MatchEntry &entry : matches) {
    if (entry.steps != 1)
      continue;
    os << llvm::left_justify(entry.matching, 13) << ' '
       << llvm::left_justify(entry.source, 8) << ' '
       << llvm::left_justify(entry.target, 8) << ' '
       << llvm::format("%8lld", static_cast<long long>(entry.match.rows));
    const Distribution &d = entry.cosines;
    for (double number : {d.p10, d.p25, d.median, d.p75, d.p90})
      os << llvm::format(" %6.3f", number);
    for (double share : entry.shares)
      os << llvm::format(" %5.1f%%", 100 * share);
    if (entry.match.certificate)
      os << llvm::format("  gap %.1e, reduced cost %.1e",
                         entry.match.certificate->gap,
                         entry.match.certificate->worstReducedCost);
    if (entry.firing.count)
      os << llvm::format("  correlation %.3f, fire together %.3f",
                         entry.values.median, entry.firing.median);
    os << (entry.wasCached ? "  ~" : "") << "\n";
  }
  std::vector<CurvePoint> points = curve();
  bool far = llvm::any_of(points, [](auto &p) { return p.distance > 1; });
  if (!far)
    return;
  os << "\nSimilarity over distance, matches composed layer by layer\n\n"
     << llvm::left_justify("match", 14) << llvm::left_justify("site", 6)
     << "layers   pairs   mean    p25 median    p75\n";
  for (const CurvePoint &point : points)
    os << llvm::left_justify(point.matching, 13) << ' '
       << llvm::left_justify(point.kind, 5) << ' '
       << llvm::format("%6lld %7lld %6.3f %6.3f %6.3f %6.3f\n",
                       static_cast<long long>(point.distance),
                       static_cast<long long>(point.cosines.count),
                       point.cosines.mean, point.cosines.p25,
                       point.cosines.median, point.cosines.p75);
}

static llvm::json::Object toJSON(const Distribution &d) {
  return llvm::json::Object{{"count", d.count}, {"mean", d.mean}, {"p10", d.p10}, {"p25", d.p25},
          {"median", d.median}, {"p75", d.p75}, {"p90", d.p90}};
}

llvm::json::Object MatchReport::toJSON() const {
  llvm::json::Array list, points;
  for (const MatchEntry &entry : matches) {
    llvm::json::Object shares;
    for (auto [share, threshold] : llvm::zip_equal(entry.shares, thresholds)) {
      std::string name;
      llvm::raw_string_ostream(name) << llvm::format("%.1f", threshold);
      shares[name] = share;
    }
    llvm::json::Object object{{"matching", entry.matching},
                              {"source", entry.source},
                              {"target", entry.target},
                              {"method", entry.method},
                              {"similarity", entry.similarity},
                              {"steps", entry.steps},
                              {"features", entry.match.rows},
                              {"targets", entry.match.columns},
                              {"k", entry.match.k},
                              {"key", "sha256:" + entry.key},
                              {"cached", entry.wasCached},
                              {"values", ::toJSON(entry.values)},
                              {"cosines", ::toJSON(entry.cosines)},
                              {"shares", std::move(shares)}};
    if (entry.firing.count)
      object["fires_together"] = ::toJSON(entry.firing);
    if (const auto &certificate = entry.match.certificate)
      object["certificate"] = llvm::json::Object{
          {"cost", entry.match.cost},
          {"dual_cost", certificate->dualCost},
          {"gap", certificate->gap},
          {"worst_reduced_cost", certificate->worstReducedCost}};
    list.push_back(std::move(object));
  }
  for (const CurvePoint &point : curve())
    points.push_back(llvm::json::Object{{"matching", point.matching},
                                        {"site", point.kind},
                                        {"distance", point.distance},
                                        {"cosines", ::toJSON(point.cosines)}});
  return llvm::json::Object{{"matches", std::move(list)}, {"curve", std::move(points)}};
}

static llvm::Error writeTensors(llvm::ArrayRef<MatchEntry> entries,
                                StringRef path) {
  std::vector<NamedTensor> tensors;
  for (const MatchEntry &entry : entries) {
    std::string name =
        entry.matching + "/" + entry.source + "/" + entry.target + "/";
    auto add = [&](StringRef part, DType dtype, const void *data) {
      tensors.push_back(NamedTensor::of(name + part.str(), dtype,
                                        {entry.match.rows, entry.match.k}, data));
    };
    add("indices", DType::Int64, entry.match.indices.data());
    add("values", DType::Float64, entry.match.values.data());
    if (!entry.match.firing.empty())
      add("firing", DType::Float64, entry.match.firing.data());
  }
  return writeSafetensors(path, tensors, {{"format", tensorFormat.str()}});
}

/// Files of matches have no ending of their own, so that a slip of the hand could
/// name a dictionary: only older exports and empty files are replaced.
static llvm::Error checkReplaceable(StringRef path) {
  if (!holdsSomething(path))
    return llvm::Error::success();
  bool isOurs = false;
  if (llvm::sys::path::extension(path) == ".csv") {
    auto file = FileMapping::open(path);
    if (!file)
      return file.takeError();
    isOurs = (*file)->text().starts_with(tableHead);
  } else if (auto file = TensorFile::open(path)) {
    auto format = (*file)->metadata().find("format");
    isOurs = format != (*file)->metadata().end() &&
             format->second == tensorFormat;
  } else {
    llvm::consumeError(file.takeError());
  }
  if (isOurs)
    return llvm::Error::success();
  return llvm::createStringError(
      "cannot export to '" + path + "': the file that is there is no export of "
      "matches and is not replaced; remove it, or choose another name");
}

static llvm::Error writeTable(llvm::ArrayRef<MatchEntry> entries,
                              StringRef path) {
  // Names of a spec are identifiers, so that no field needs quotes.
  std::string text = tableHead.str();
  llvm::raw_string_ostream os(text);
  for (const MatchEntry &entry : entries)
    for (int64_t i = 0; i < entry.match.rows; ++i)
      for (int64_t t = 0; t < entry.match.k; ++t) {
        int64_t at = i * entry.match.k + t;
        if (entry.match.indices[at] < 0)
          continue;
        os << entry.matching << ',' << entry.source << ',' << i << ','
           << entry.target << ',' << entry.match.indices[at] << ',' << t + 1
           << ',' << llvm::format("%.17g", entry.match.values[at]) << ','
           << entry.steps << '\n';
      }
  return writeTextAtomically(path, text);
}

llvm::Error MatchReport::write(StringRef path) const {
  if (llvm::Error error = checkExport(path))
    return error;
  llvm::Error error = llvm::sys::path::extension(path) == ".csv"
                          ? writeTable(matches, path)
                          : writeTensors(matches, path);
  // The writers speak of their temporary file.
  return error ? llvm::createStringError("cannot export to '" + path + "': " +
                                         llvm::toString(std::move(error)))
               : llvm::Error::success();
}

llvm::Error MatchReport::checkExport(StringRef path) {
  StringRef extension = llvm::sys::path::extension(path);
  if (extension == ".safetensors" || extension == ".csv")
    return checkReplaceable(path);
  return llvm::createStringError("cannot export to '" + path +
                                 "': the name has to end in .safetensors or "
                                 ".csv");
}
