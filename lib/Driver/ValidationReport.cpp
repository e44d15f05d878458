//===- ValidationReport.cpp - Tables of a validation ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Intervals are of 95%: Wilson's score interval for shares, and mean -/+ 1.96 s /
// sqrt(n) for means, s being the sample's standard deviation. Both count cases as
// if they were drawn one by one.
//
//===----------------------------------------------------------------------===//

#include "ValidationCases.h"

#include "weir/Program/TensorWriter.h"
#include "weir/Spec/Spec.h"
#include "weir/Support/Files.h"
#include "weir/Support/Words.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <limits>
#include <set>

using namespace weir;
using llvm::StringRef;

static constexpr double z = 1.959963984540054;
static constexpr double none = std::numeric_limits<double>::quiet_NaN();

namespace {

struct Estimate {
  int64_t count = 0;
  double value = none, low = none, high = none;
};

/// Numbers, of which finite ones count.
struct Sum {
  int64_t count = 0;
  double sum = 0, squares = 0;

  void add(double number) {
    if (!std::isfinite(number))
      return;
    ++count;
    sum += number;
    squares += number * number;
  }
  Estimate mean() const {
    Estimate result{count};
    if (count == 0)
      return result;
    result.value = sum / count;
    if (count == 1)
      return result;
    double variance =
        std::max(0.0, (squares - sum * result.value) / double(count - 1));
    double half = z * std::sqrt(variance / count);
    result.low = result.value - half;
    result.high = result.value + half;
    return result;
  }
};

/// Of how many something is true.
struct Share {
  int64_t count = 0, successes = 0;

  void add(bool success) {
    ++count;
    successes += success;
  }
  Estimate wilson() const {
    Estimate result{count};
    if (count == 0)
      return result;
    double n = count, p = successes / n;
    double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
    double half = z / (1 + z * z / n) *
                  std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    // At the ends they are 0 and 1, up to rounding.
    result.value = p;
    result.low = successes == 0 ? 0 : centre - half;
    result.high = successes == count ? 1 : centre + half;
    return result;
  }
};

/// What cases of one method have in common, all of them or those of a group.
struct Row {
  Share pairs;
  Sum change, loss;
  /// Occurrences, and those that at least one case put out.
  Share occurrences;
};

/// Edges whose similarity lies in a range.
struct Band {
  double from, to;
  int64_t edges = 0;
  Share strong = {}; ///< effect above 0.1
  Sum effect = {};
};

constexpr double strongEffect = 0.1;

struct Tables {
  std::map<ValidationMethod, std::map<std::optional<uint32_t>, Row>> rows;
  std::map<uint32_t, int64_t> groups;
  /// Occurrences with a joint case: those that it alone puts out.
  std::optional<Share> jointOnly;
  std::vector<Band> bands = {{-std::numeric_limits<double>::infinity(), 0.15},
                             {0.15, 0.3},
                             {0.3, 0.5},
                             {0.5, std::numeric_limits<double>::infinity()}};

  explicit Tables(const ValidationResult &result);
};

} // namespace

Tables::Tables(const ValidationResult &result) {
  for (const ValidationOccurrence &occurrence : result.occurrences)
    ++groups[occurrence.group];
  std::map<ValidationMethod, std::set<uint32_t>> putOut;
  std::set<uint32_t> joint;
  for (const ValidationCase &made : result.cases) {
    uint32_t group = result.occurrences[made.occurrence].group;
    double loss = (made.lossAfter - made.loss) / made.loss;
    for (std::optional<uint32_t> key : {std::optional<uint32_t>(), {group}}) {
      Row &row = rows[made.method][key];
      row.pairs.add(made.isSuccess());
      row.change.add(made.change());
      row.loss.add(loss);
    }
    if (made.isSuccess())
      putOut[made.method].insert(made.occurrence);
    if (made.method == ValidationMethod::Joint)
      joint.insert(made.occurrence);
  }
  for (ValidationMethod method : result.methods) {
    const std::set<uint32_t> &out = putOut[method];
    auto &table = rows[method];
    for (auto [number, occurrence] : llvm::enumerate(result.occurrences))
      for (std::optional<uint32_t> key :
           {std::optional<uint32_t>(), {occurrence.group}})
        table[key].occurrences.add(out.contains(number));
  }
  const ValidationMethod single = rows.contains(ValidationMethod::Edges)
                                      ? ValidationMethod::Edges
                                      : ValidationMethod::Top1;
  if (rows.contains(ValidationMethod::Joint) && rows.contains(single)) {
    jointOnly.emplace();
    for (uint32_t occurrence : joint)
      jointOnly->add(putOut[ValidationMethod::Joint].contains(occurrence) &&
                     !putOut[single].contains(occurrence));
  }
  for (const ValidationEdge &edge : result.edges)
    for (Band &band : bands)
      if (edge.cases > 0 && edge.similarity >= band.from && edge.similarity < band.to) {
        ++band.edges;
        band.strong.add(edge.effect > strongEffect);
        band.effect.add(edge.effect);
      }
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

std::string ValidationResult::nameOf(const ValidationFeature &feature) const {
  const ActivationSite &site = sites[feature.site];
  std::string name;
  // As a spec has to write it, where there are several dictionaries.
  if (llvm::any_of(sites, [&](const ActivationSite &each) {
        return each.collection != site.collection;
      }))
    name = specName(site.collection).str() + ":";
  return name + fx::siteName(site.kind, site.layer) + "/" +
         std::to_string(feature.index);
}

std::string ValidationResult::nameOfGroup(uint32_t group) const {
  if (group == 0)
    return "nowhere";
  std::string name;
  for (uint32_t kind = 0; kind < 32; ++kind)
    if (group >> kind & 1) {
      if (!name.empty())
        name += "+";
      name += fx::stringifySiteKind(static_cast<fx::SiteKind>(kind)).upper();
    }
  return name;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static std::string textOf(const Estimate &estimate) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (std::isnan(estimate.value))
    return "-";
  os << llvm::format("%.3f", estimate.value);
  if (!std::isnan(estimate.low))
    os << llvm::format(" [%.3f, %.3f]", estimate.low, estimate.high);
  return text;
}

/// A line for each target that the spec has a name for, over all methods.
void ValidationResult::printNamed(llvm::raw_ostream &os) const {
  struct Target {
    int64_t occurrences = 0;
    Share pairs;
    Sum change;
  };
  std::map<uint32_t, Target> named;
  auto isNamed = [&](uint32_t target) {
    return labels.count(targets[target]) != 0;
  };
  for (const ValidationOccurrence &occurrence : occurrences)
    if (isNamed(occurrence.target))
      ++named[occurrence.target].occurrences;
  for (const ValidationCase &made : cases) {
    uint32_t target = occurrences[made.occurrence].target;
    if (!isNamed(target))
      continue;
    named[target].pairs.add(made.isSuccess());
    named[target].change.add(made.change());
  }
  if (named.empty())
    return;
  os << "\nnamed target                      occurrences    cases  "
     << llvm::left_justify("success within pairs", 23) << "activation change\n";
  for (const auto &[number, target] : named) {
    std::string name =
        withLabel(nameOf(targets[number]), labels.at(targets[number]));
    os << llvm::left_justify(name, 34)
       << llvm::right_justify(std::to_string(target.occurrences), 11) << "  "
       << llvm::right_justify(std::to_string(target.pairs.count), 7) << "  "
       << llvm::left_justify(textOf(target.pairs.wilson()), 23)
       << textOf(target.change.mean()) << "\n";
  }
}

void ValidationResult::print(llvm::raw_ostream &os) const {
  Tables tables(*this);
  std::set<uint32_t> seen;
  for (const ValidationOccurrence &occurrence : occurrences)
    seen.insert(occurrence.target);
  os << occurrences.size() << " occurrences of " << seen.size() << " of "
     << targets.size() << " targets in " << windowsRead << " of "
     << windows.size() << " windows, " << cases.size() << " cases\n\n";

  auto cell = [&](StringRef text, unsigned width) {
    os << llvm::left_justify(text, width);
  };
  auto number = [&](int64_t count, unsigned width) {
    os << llvm::right_justify(std::to_string(count), width) << "  ";
  };
  cell("method", 13);
  cell("group", 13);
  os << "  cases  ";
  cell("success within pairs", 23);
  cell("activation change", 25);
  if (losses)
    cell("relative loss change", 25);
  os << "occurrences  success over targets\n";
  for (ValidationMethod method : methods)
    for (const auto &[group, row] : tables.rows[method]) {
      cell(group ? StringRef() : weir::nameOf(method), 13);
      cell(group ? nameOfGroup(*group) : "all", 13);
      number(row.pairs.count, 7);
      cell(textOf(row.pairs.wilson()), 23);
      cell(textOf(row.change.mean()), 25);
      if (losses)
        cell(textOf(row.loss.mean()), 25);
      number(row.occurrences.count, 11);
      os << textOf(row.occurrences.wilson()) << "\n";
    }
  if (tables.jointOnly && tables.jointOnly->count)
    os << "\nonly together: " << tables.jointOnly->successes << " of "
       << tables.jointOnly->count
       << " occurrences with several active predecessors go out when these are "
          "taken away together, and by none of them alone\n";
  printNamed(os);
  if (!graphs.empty()) {
    int64_t all = 0, measured = 0, strong = 0;
    for (const ValidationEdge &edge : edges)
      if (edge.isInGraph) {
        ++all;
        measured += edge.cases > 0;
        strong += edge.effect > strongEffect;
      }
    os << "\n"
       << (graphs.size() == 1 ? "graph '" : "graphs '")
       << llvm::join(graphs, "', '") << "': " << all << " edges, " << measured
       << " of them with a case in the text, " << strong
       << " with an effect above 0.1\n";
  }
  if (!edges.empty()) {
    os << "\nsimilarity of an edge   edges  effect above 0.1        mean effect\n";
    for (const Band &band : tables.bands) {
      std::string range =
          std::isinf(band.from) ? "below 0.15"
          : std::isinf(band.to)
              ? "0.5 and more"
              : llvm::formatv("{0:f2} to {1:f2}", band.from, band.to).str();
      cell(range, 20);
      number(band.edges, 8);
      cell(textOf(band.strong.wilson()), 23);
      os << textOf(band.effect.mean()) << "\n";
    }
  }
  os << "\nIn brackets: 95% intervals, Wilson's for shares and mean -/+ 1.96 "
        "s/sqrt(n) for means.\n";
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

static llvm::json::Value jsonOf(double number) {
  if (!std::isfinite(number))
    return nullptr;
  return number;
}

static llvm::json::Object jsonOf(const Estimate &estimate) {
  return llvm::json::Object{{"n", estimate.count},
                            {"value", jsonOf(estimate.value)},
                            {"low", jsonOf(estimate.low)},
                            {"high", jsonOf(estimate.high)}};
}

llvm::json::Object ValidationResult::toJSON() const {
  Tables tables(*this);
  llvm::json::Array rows, groups, bands, edgeList, targetList;
  for (ValidationMethod method : methods)
    for (const auto &[group, row] : tables.rows[method]) {
      llvm::json::Object entry{
          {"method", weir::nameOf(method)},
          {"group", group ? llvm::json::Value(nameOfGroup(*group))
                          : llvm::json::Value(nullptr)},
          {"cases", row.pairs.count},
          {"successes", row.pairs.successes},
          {"within_pairs", jsonOf(row.pairs.wilson())},
          {"over_targets", jsonOf(row.occurrences.wilson())},
          {"activation_change", jsonOf(row.change.mean())}};
      if (losses)
        entry["loss_change"] = jsonOf(row.loss.mean());
      rows.push_back(std::move(entry));
    }
  for (const auto &[group, count] : tables.groups)
    groups.push_back(llvm::json::Object{{"group", nameOfGroup(group)},
                                        {"occurrences", count}});
  for (const Band &band : tables.bands)
    bands.push_back(llvm::json::Object{{"from", jsonOf(band.from)},
                                       {"to", jsonOf(band.to)},
                                       {"edges", band.edges},
                                       {"above_0.1", jsonOf(band.strong.wilson())},
                                       {"effect", jsonOf(band.effect.mean())}});
  for (const ValidationEdge &edge : edges)
    edgeList.push_back(
        llvm::json::Object{{"from", nameOf(edge.predecessor)},
                           {"to", nameOf(targets[edge.target])},
                           {"similarity", jsonOf(edge.similarity)},
                           {"in_graph", edge.isInGraph},
                           {"effect", jsonOf(edge.effect)},
                           {"cases", edge.cases}});
  for (const ValidationFeature &target : targets)
    targetList.push_back(nameOf(target));
  // Of what is named here.
  std::set<ValidationFeature> features(targets.begin(), targets.end());
  for (const ValidationEdge &edge : edges)
    features.insert(edge.predecessor);
  llvm::json::Object labelled;
  for (const auto &[feature, label] : labels)
    if (features.count(feature))
      labelled[nameOf(feature)] = label;
  llvm::json::Object result{{"targets", std::move(targetList)},
                            {"labels", std::move(labelled)},
                            {"graphs", llvm::json::Array(graphs)},
                            {"occurrences", int64_t(occurrences.size())},
                            {"cases", int64_t(cases.size())},
                            {"windows", int64_t(windows.size())},
                            {"windows_read", int64_t(windowsRead)},
                            {"windows_resumed", int64_t(windowsResumed)},
                            {"table", std::move(rows)},
                            {"groups", std::move(groups)},
                            {"similarity", std::move(bands)},
                            {"edges", std::move(edgeList)},
                            {"intervals", "95%: Wilson's score interval for "
                                          "shares, mean -/+ 1.96 s/sqrt(n) for "
                                          "means"}};
  if (losses)
    result["loss_tokens"] = lossTokens;
  if (tables.jointOnly)
    result["only_together"] = jsonOf(tables.jointOnly->wilson());
  return result;
}

static constexpr StringRef casesHead =
    "target,document,window,position,method,predecessors,group,before,after,"
    "loss,loss_after\n";

static llvm::Error refuse(StringRef path, StringRef what) {
  return llvm::createStringError("cannot write '" + path + "': the file that is "
                                 "there " + what + " and is not replaced; remove "
                                 "it, or choose another name");
}

llvm::Error ValidationResult::checkCases(StringRef path) {
  if (!path.ends_with(".csv"))
    return llvm::createStringError("cannot write '" + path +
                                   "': the name has to end in .csv");
  if (!holdsSomething(path))
    return llvm::Error::success();
  auto file = FileMapping::open(path);
  if (!file)
    return file.takeError();
  if (!(*file)->text().starts_with(casesHead))
    return refuse(path, "is no table of cases");
  return llvm::Error::success();
}

llvm::Error ValidationResult::checkTokens(StringRef path, StringRef text) {
  if (!path.ends_with(".npy"))
    return llvm::createStringError("cannot write '" + path +
                                   "': the name has to end in .npy");
  bool isText = false;
  if (!llvm::sys::fs::equivalent(path, text, isText) && isText)
    return refuse(path, "is the text");
  if (!holdsSomething(path))
    return llvm::Error::success();
  auto file = TensorFile::open(path);
  if (!file)
    return llvm::joinErrors(file.takeError(), refuse(path, "is no array"));
  auto array = (*file)->describe((*file)->names().front());
  if (!array)
    return array.takeError();
  if (array->dtype != DType::Int64 || array->rank() != 2)
    return refuse(path, "holds no windows of tokens");
  return llvm::Error::success();
}

llvm::Error ValidationResult::writeCases(StringRef path) const {
  return writeAtomically(path, [&](StringRef temporary) -> llvm::Error {
    auto file = OutputFile::open(temporary);
    if (!file)
      return file.takeError();
    std::string text = casesHead.str();
    llvm::raw_string_ostream os(text);
    auto exact = [&](double number) {
      if (std::isfinite(number))
        os << llvm::format("%.17g", number);
    };
    for (const ValidationCase &made : cases) {
      const ValidationOccurrence &occurrence = occurrences[made.occurrence];
      os << nameOf(targets[occurrence.target]) << ','
         << windows.document(occurrence.window) << ',' << occurrence.window << ','
         << occurrence.position << ',' << weir::nameOf(made.method) << ',';
      llvm::interleave(
          made.predecessors, os,
          [&](const ValidationFeature &feature) { os << nameOf(feature); }, "+");
      // Activations are f32: nine digits are all of it.
      os << ',' << nameOfGroup(occurrence.group)
         << llvm::format(",%.9g,%.9g,", double(made.before), double(made.after));
      exact(made.loss);
      os << ',';
      exact(made.lossAfter);
      os << '\n';
      if (text.size() > (1u << 20)) {
        if (llvm::Error error = (*file)->write(StringRef(text)))
          return error;
        text.clear();
      }
    }
    if (llvm::Error error = (*file)->write(StringRef(text)))
      return error;
    return (*file)->close();
  });
}

llvm::Error ValidationResult::writeTokens(StringRef path) const {
  const auto context = static_cast<size_t>(windows.context());
  std::vector<int64_t> ids(windows.size() * context, -1), row;
  for (size_t window = 0; window < windows.size(); ++window) {
    row.clear();
    windows.append(window, row);
    llvm::copy(row, ids.begin() + window * context);
  }
  TensorView view;
  view.dtype = DType::Int64;
  view.shape = {static_cast<int64_t>(windows.size()),
                static_cast<int64_t>(context)};
  view.data = reinterpret_cast<const std::byte *>(ids.data());
  // A file of this name, whatever its ending, is replaced as a whole.
  return writeAtomically(path, [&](StringRef temporary) {
    return writeNpy(temporary, view);
  });
}
