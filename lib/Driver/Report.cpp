//===- Report.cpp - What steering costs, site by site ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/Report.h"

#include "weir/Dialect/FX/IR/CallCost.h"
#include "weir/Dialect/Steer/Transforms/MeasurePasses.h"
#include "weir/Spec/Spec.h"
#include "weir/Support/Words.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace weir;

int64_t SteeringReport::bytesPerToken() const {
  int64_t bytes = 0;
  for (const SiteReport &site : sites)
    bytes += site.bytesPerToken;
  return bytes;
}

int64_t SteeringReport::operationsPerToken() const {
  int64_t operations = 0;
  for (const SiteReport &site : sites)
    operations += site.operationsPerToken;
  return operations;
}

/// The policies of an op. Their names are in its location; an op that was merged
/// from several has several.
static void collectPolicies(const SymbolTable &symbols, Location loc,
                            llvm::SetVector<StringRef> &seen,
                            std::vector<std::string> &policies) {
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      collectPolicies(symbols, part, seen, policies);
    return;
  }
  auto named = dyn_cast<NameLoc>(loc);
  if (!named || !symbols.lookup<steer::PolicyOp>(named.getName()) ||
      !seen.insert(named.getName()))
    return;
  std::string text = specName(named.getName()).str();
  Location inner = named.getChildLoc();
  if (auto fused = dyn_cast<FusedLoc>(inner);
      fused && !fused.getLocations().empty())
    inner = fused.getLocations().front();
  if (auto file = inner->findInstanceOf<FileLineColRange>())
    text += (" (" + llvm::sys::path::filename(file.getFilename()) + ":" +
             Twine(file.getStartLine()) + ")")
                .str();
  policies.push_back(text);
}

/// What each row of a batch takes of something that all plans have together.
static std::string perRow(Value rows, int64_t all, StringRef what) {
  int64_t own = cast<RankedTensorType>(rows.getType()).getShape().back();
  return "for each row " + countOf(own, what) + ", by its plan, out of " +
         std::to_string(all);
}

/// A recipe in a few words.
static std::string describe(Attribute rows) {
  if (auto part = dyn_cast<flow::RowsAttr>(rows))
    return countOf(part.getFeatures().size(), "row") + " (" +
           flow::stringifyRowsPart(part.getPart()).str() + ") of " +
           part.getDictionary().getValue().str();
  if (auto sum = dyn_cast<flow::SumAttr>(rows))
    return "one direction: the sum of " + describe(sum.getRows());
  auto concat = dyn_cast<flow::ConcatAttr>(rows);
  if (!concat)
    return countOf(cast<flow::RecipeAttrInterface>(rows).getNumRows(), "row");
  SmallVector<std::string> parts;
  for (Attribute part : concat.getParts())
    parts.push_back(describe(part));
  return llvm::join(parts, ", ");
}

static SiteReport collectSite(const SymbolTable &symbols, steer::PatchOp patch,
                              SteeringReport &report) {
  SiteReport site;
  site.name =
      fx::siteName(patch.getSite().getKind(), patch.getSite().getLayer());
  llvm::SetVector<StringRef> policies;
  patch.walk([&](Operation *op) {
    if (op != patch)
      collectPolicies(symbols, op->getLoc(), policies, site.policies);
    if (auto cost = dyn_cast<steer::CostOpInterface>(op)) {
      site.bytesPerToken += cost.getBytesPerToken();
      site.operationsPerToken += cost.getOperationsPerToken();
    }
    if (auto read = dyn_cast<steer::ReadOp>(op)) {
      std::string text = countOf(read.getFeatures().size(), "feature") + " of " +
                         read.getDictionary().str();
      if (read.getActivation().getKind() == flow::ActivationKind::TopK) {
        text += " (its whole encoder)";
        report.notes.push_back(
            "`" + read.getDictionary().str() + "` at " + site.name +
            " is a TopK dictionary: who is in the top " +
            std::to_string(read.getActivation().getTopK()) +
            " depends on all of its " +
            std::to_string(read.getDictionarySize()) +
            " features, so its whole encoder is read for every token.");
      }
      site.reads.push_back(text);
    } else if (auto read = dyn_cast<steer::RowReadOp>(op)) {
      site.reads.push_back(
          perRow(read.getRows(), read.getFeatures().size(), "feature") +
          " of " + read.getDictionary().str());
    } else if (auto write = dyn_cast<steer::RowWriteOp>(op)) {
      site.writes.push_back(perRow(
          write.getRows(), write.getDirections().getNumRows(), "direction"));
    } else if (auto project = dyn_cast<steer::RowProjectOp>(op)) {
      site.writes.push_back("out of " +
                            perRow(project.getRows(),
                                   project.getDirections().getNumRows(),
                                   "direction"));
    } else if (auto write = dyn_cast<steer::WriteOp>(op)) {
      for (Attribute rows : write.getRows())
        site.writes.push_back(describe(rows));
    } else if (auto project = dyn_cast<steer::ProjectOp>(op)) {
      site.writes.push_back("out of " + describe(project.getRows()));
    } else if (isa<steer::RescaleOp>(op)) {
      site.writes.push_back("the norm");
    } else if (auto record = dyn_cast<steer::RecordOp>(op)) {
      site.writes.push_back("output " + record.getName().str());
    } else if (isa<steer::CountOp>(op)) {
      site.writes.push_back("the tokens that are edited, as an output");
    }
  });
  return site;
}

/// What a read beside all patches is for.
static void collectUses(Operation *read, std::vector<std::string> &uses) {
  auto add = [&](const Twine &use) {
    if (std::string text = use.str(); !llvm::is_contained(uses, text))
      uses.push_back(text);
  };
  for (Operation *user : read->getUsers()) {
    if (isa<steer::PickOp>(user))
      collectUses(user, uses);
    else if (auto record = dyn_cast<steer::RecordOp>(user))
      add("output " + record.getName());
    else if (isa<steer::CompareOp, steer::RowCompareOp>(user))
      add("conditions");
    else if (auto patch = user->getParentOfType<steer::PatchOp>())
      add("edits of " + fx::siteName(patch.getSite().getKind(),
                                     patch.getSite().getLayer()));
  }
}

/// The features of each policy, which selectors may have chosen.
static void collectFeatures(ModuleOp module, SteeringReport &report) {
  llvm::DenseSet<Attribute> inPlans;
  for (auto plan : module.getOps<steer::PlanOp>())
    inPlans.insert(plan.getPolicies().begin(), plan.getPolicies().end());
  bool qualified = llvm::range_size(module.getOps<flow::CollectionOp>()) > 1;
  auto labels = flow::labelsOf(module);
  for (auto policy : module.getOps<steer::PolicyOp>()) {
    if (!inPlans.contains(FlatSymbolRefAttr::get(policy.getSymNameAttr())) ||
        policy.getAction().getRecordedPolicy())
      continue;
    PolicyReport entry{specName(policy.getSymName()).str(), {}, {}, 0};
    for (Value set : {policy.getOn(), policy.getTo()}) {
      auto features = set ? set.getDefiningOp<flow::SelectOp>() : flow::SelectOp();
      if (!features)
        continue;
      entry.count += features.getSelectors().size();
      for (auto feature :
           features.getSelectors().getAsRange<flow::FeatureAttr>()) {
        if (static_cast<int64_t>(entry.features.size()) ==
            PolicyReport::mostNamed)
          break;
        entry.features.push_back(
            (qualified
                 ? specName(feature.getCollection().getValue()).str() + ":"
                 : std::string()) +
            feature.str());
        entry.labels.push_back(labels.lookup(feature).str());
      }
    }
    report.policies.push_back(std::move(entry));
  }
}

static std::string shortly(double number) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.3g", number);
  return text;
}

/// The doses of one policy, which was measured.
static void collectDoses(const SymbolTable &symbols, steer::PolicyOp policy,
                         SteeringReport &report) {
  auto action = cast<steer::AddAttr>(policy.getAction());
  double knob = 1, mostKnob = 1;
  if (FlatSymbolRefAttr times = policy.getTimesAttr())
    if (auto op = symbols.lookup<steer::KnobOp>(times.getAttr())) {
      knob = mostKnob = std::abs(op.getDefaultValue().convertToDouble());
      for (const auto &end : {op.getMin(), op.getMax()})
        if (end)
          mostKnob = std::max(mostKnob, std::abs(end->convertToDouble()));
    }
  int64_t first = std::numeric_limits<int64_t>::max(), last = -1;
  for (steer::MeasuredAttr at : action.getMeasured()) {
    first = std::min(first, at.getSite().getLayer());
    last = std::max(last, at.getSite().getLayer());
  }
  for (steer::MeasuredAttr at : action.getMeasured()) {
    double median = at.getMedian().getValueAsDouble();
    double dose = std::abs(action.getSchedule().strengthAt(
        at.getSite().getLayer(), first, last));
    if (!action.getDose())
      dose *= median > 0 ? at.getLength().getValueAsDouble() / median : 0;
    report.doses.push_back(
        {specName(policy.getSymName()).str(),
         fx::siteName(at.getSite().getKind(), at.getSite().getLayer()), median,
         dose * knob, dose * mostKnob,
         steer::collapsingDose(at.getSite().getKind())});
  }
}

/// What a plan adds at each site, all of its policies together.
static void noteSums(steer::PlanOp plan,
                     const llvm::StringMap<SmallVector<const DoseReport *>> &doses,
                     SteeringReport &report) {
  struct Sum {
    double dose = 0, collapse = 0;
  };
  llvm::MapVector<StringRef, Sum> sums;
  for (auto name : plan.getPolicies().getAsRange<FlatSymbolRefAttr>())
    if (auto found = doses.find(specName(name.getValue())); found != doses.end())
      for (const DoseReport *dose : found->second)
        if (dose->collapse) {
          sums[dose->site].dose += dose->dose;
          sums[dose->site].collapse = *dose->collapse;
        }
  StringRef largest;
  double excess = 1;
  for (const auto &[site, sum] : sums)
    if (sum.dose / sum.collapse > excess) {
      excess = sum.dose / sum.collapse;
      largest = site;
    }
  if (!largest.empty())
    report.notes.push_back(
        "Warning: plan `" + specName(plan.getSymName()).str() +
        "` adds up to a dose of " + shortly(sums[largest].dose) + " at " +
        largest.str() + "; above " + shortly(sums[largest].collapse) +
        " text falls apart.");
}

static void collectDoses(ModuleOp module, SteeringReport &report) {
  SymbolTable symbols(module);
  llvm::SetVector<StringRef> texts;
  for (auto policy : module.getOps<steer::PolicyOp>()) {
    auto action = dyn_cast<steer::AddAttr>(policy.getAction());
    if (!action || action.getMeasured().empty())
      continue;
    if (action.getDose())
      texts.insert(action.getDose().getValue());
    collectDoses(symbols, policy, report);
  }
  report.doseText = llvm::join(texts, ", ");
  llvm::StringMap<SmallVector<const DoseReport *>> byPolicy;
  for (const DoseReport &dose : report.doses)
    byPolicy[dose.policy].push_back(&dose);
  for (auto plan : module.getOps<steer::PlanOp>())
    noteSums(plan, byPolicy, report);
  // A knob may go further than its default.
  llvm::StringSet<> told;
  for (const DoseReport &dose : report.doses)
    if (dose.collapse && dose.most > *dose.collapse &&
        dose.dose <= *dose.collapse && told.insert(dose.policy).second)
      report.notes.push_back("Warning: its knob can bring the dose of `" +
                             dose.policy + "` at " + dose.site + " to " +
                             shortly(dose.most) + "; above " +
                             shortly(*dose.collapse) +
                             " text falls apart.");
}

static int64_t bytesOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape() ||
      !tensor.getElementType().isIntOrFloat())
    return 0;
  return tensor.getNumElements() *
         ((tensor.getElementTypeBitWidth() + 7) / 8);
}

/// Is a weight read whole for every token? A table gives the rows of the token.
static bool isReadWhole(Value weight) {
  return llvm::any_of(weight.getUses(), [](OpOperand &use) {
    auto call = dyn_cast<fx::CallOp>(use.getOwner());
    const OperatorInfo *info = call ? call.getOperatorInfo() : nullptr;
    if (info && info->effect == OperatorEffect::View)
      return llvm::any_of(call.getResults(), isReadWhole);
    return call && fx::readsWhole(call, use);
  });
}

/// Weights that a product uses are read whole for every token.
static void collectModel(fx::ProgramOp program, SteeringReport &report) {
  for (BlockArgument weight : program.getEntry().getArguments()) {
    if (program.getInput(weight.getArgNumber()).getKind() !=
            fx::InputKind::Parameter ||
        !isReadWhole(weight))
      continue;
    report.modelBytesPerToken += bytesOf(weight.getType());
    auto type = cast<RankedTensorType>(weight.getType());
    if (type.getRank() == 2)
      report.modelOperationsPerToken += 2 * type.getNumElements();
  }
}

SteeringReport weir::collectReport(ModuleOp module) {
  SteeringReport report;
  SymbolTable symbols(module);
  for (auto program : module.getOps<fx::ProgramOp>()) {
    collectModel(program, report);
    for (auto patch : program.getEntry().getOps<steer::PatchOp>())
      report.sites.push_back(collectSite(symbols, patch, report));
    // What is read for conditions of other sites, and for records at sites that
    // nothing edits, stands in the program itself.
    for (auto value : program.getEntry().getOps<steer::RecordValueOp>()) {
      SiteReport site;
      site.name = fx::siteName(value.getSite().getKind(),
                               value.getSite().getLayer());
      llvm::SetVector<StringRef> policies;
      collectPolicies(symbols, value.getLoc(), policies, site.policies);
      site.reads.push_back("its values");
      site.writes.push_back("output " + value.getName().str());
      report.sites.push_back(std::move(site));
    }
    for (auto made : program.getEntry().getOps<steer::ReconstructOp>()) {
      SiteReport site;
      auto dictionary =
          symbols.lookup<flow::DictionaryOp>(made.getDictionary());
      site.name = dictionary ? fx::siteName(dictionary.getReads().getKind(),
                                            dictionary.getReads().getLayer())
                             : "elsewhere";
      llvm::SetVector<StringRef> policies;
      collectPolicies(symbols, made.getLoc(), policies, site.policies);
      site.reads.push_back("all " + countOf(made.getDictionarySize(), "feature") +
                           " of " + made.getDictionary().str());
      site.writes.push_back("the value of a later layer");
      site.bytesPerToken = made.getBytesPerToken();
      site.operationsPerToken = made.getOperationsPerToken();
      report.sites.push_back(std::move(site));
    }
    // Reads that belong to no patch, such as those of conditions elsewhere.
    auto addRead = [&](auto read, const std::string &features) {
      SiteReport site;
      auto dictionary =
          symbols.lookup<flow::DictionaryOp>(read.getDictionary());
      site.name = dictionary ? fx::siteName(dictionary.getReads().getKind(),
                                            dictionary.getReads().getLayer())
                             : "elsewhere";
      llvm::SetVector<StringRef> policies;
      collectUses(read, site.writes);
      collectPolicies(symbols, read.getLoc(), policies, site.policies);
      site.reads.push_back(features + " of " + read.getDictionary().str());
      site.bytesPerToken = read.getBytesPerToken();
      site.operationsPerToken = read.getOperationsPerToken();
      report.sites.push_back(std::move(site));
    };
    for (auto read : program.getEntry().getOps<steer::RowReadOp>())
      addRead(read, perRow(read.getRows(), read.getFeatures().size(), "feature"));
    for (auto read : program.getEntry().getOps<steer::ReadOp>())
      addRead(read, countOf(read.getFeatures().size(), "feature"));
    for (auto gate : program.getEntry().getOps<steer::RecordGateOp>())
      report.notes.push_back("The output `" + gate.getName().str() +
                             "` is 1 where `" + specName(gate.getOf()).str() +
                             "` acts.");
  }
  collectFeatures(module, report);
  collectDoses(module, report);
  return report;
}

static std::string share(int64_t part, int64_t whole) {
  if (whole == 0)
    return "-";
  std::string text;
  llvm::raw_string_ostream os(text);
  os << llvm::format("%.3f %%", 100.0 * static_cast<double>(part) /
                                    static_cast<double>(whole));
  return text;
}

void weir::printMarkdown(const SteeringReport &report,
                         ArrayRef<Measure> measures, raw_ostream &os) {
  os << "# Steering report\n\n"
     << "Added for one token, over the whole model: "
     << report.bytesPerToken() << " bytes of weights read ("
     << share(report.bytesPerToken(), report.modelBytesPerToken)
     << " of the model's " << report.modelBytesPerToken << "), "
     << report.operationsPerToken() << " floating-point operations ("
     << share(report.operationsPerToken(), report.modelOperationsPerToken)
     << " of " << report.modelOperationsPerToken << ").\n\n";
  if (report.sites.empty())
    os << "No site is edited.\n";
  else
    os << "| site | policies | reads | writes | bytes/token | share | "
          "operations/token |\n|---|---|---|---|---:|---:|---:|\n";
  for (const SiteReport &site : report.sites)
    os << "| " << site.name << " | " << llvm::join(site.policies, "<br>")
       << " | " << llvm::join(site.reads, "<br>") << " | "
       << llvm::join(site.writes, "<br>") << " | " << site.bytesPerToken
       << " | " << share(site.bytesPerToken, report.modelBytesPerToken) << " | "
       << site.operationsPerToken << " |\n";
  for (const std::string &note : report.notes)
    os << "\n" << note << "\n";
  if (!report.policies.empty())
    os << "\n| policy | features |\n|---|---|\n";
  for (const PolicyReport &policy : report.policies) {
    os << "| " << policy.name << " | ";
    for (size_t i = 0; i < policy.features.size(); ++i) {
      os << (i == 0 ? "" : ", ") << policy.features[i];
      if (policy.labels[i].empty())
        continue;
      // A bar would end the cell.
      std::string label = policy.labels[i];
      for (size_t at = 0; (at = label.find('|', at)) != std::string::npos; at += 2)
        label.insert(at, "\\");
      os << " (" << label << ")";
    }
    if (policy.count > PolicyReport::mostNamed)
      os << " and " << policy.count - PolicyReport::mostNamed << " more";
    os << " |\n";
  }
  if (!report.doses.empty())
    os << "\nA dose is |s d| as a share of the median norm that the site's values "
          "have on "
       << report.doseText
       << ".\n\n| policy | site | dose | at most, by its knob | median norm |\n"
          "|---|---|---:|---:|---:|\n";
  size_t shown = 0;
  for (auto [i, dose] : llvm::enumerate(report.doses)) {
    bool isNew = i == 0 || report.doses[i - 1].policy != dose.policy;
    shown = isNew ? 1 : shown + 1;
    if (shown > DoseReport::mostNamed)
      continue;
    os << "| " << dose.policy << " | " << dose.site << " | "
       << shortly(dose.dose) << " | " << shortly(dose.most) << " | "
       << shortly(dose.median) << " |\n";
  }
  if (!measures.empty()) {
    os << "\n## The build\n\n| | |\n|---|---|\n";
    for (const Measure &measure : measures)
      os << "| " << measure.name << " | " << measure.value << " |\n";
  }
}

llvm::json::Value weir::toJSON(const SteeringReport &report) {
  llvm::json::Array sites;
  for (const SiteReport &site : report.sites)
    sites.push_back(llvm::json::Object{
        {"site", site.name},
        {"policies", llvm::json::Array(site.policies)},
        {"reads", llvm::json::Array(site.reads)},
        {"writes", llvm::json::Array(site.writes)},
        {"bytes_per_token", site.bytesPerToken},
        {"operations_per_token", site.operationsPerToken}});
  llvm::json::Array policies;
  for (const PolicyReport &policy : report.policies) {
    llvm::json::Object labels;
    for (auto [feature, label] : llvm::zip_equal(policy.features, policy.labels))
      if (!label.empty())
        labels[feature] = label;
    policies.push_back(
        llvm::json::Object{{"policy", policy.name},
                           {"count", policy.count},
                           {"features", llvm::json::Array(policy.features)},
                           {"labels", std::move(labels)}});
  }
  llvm::json::Array doses;
  for (const DoseReport &dose : report.doses)
    doses.push_back(llvm::json::Object{{"policy", dose.policy},
                                       {"site", dose.site},
                                       {"dose", dose.dose},
                                       {"most", dose.most},
                                       {"median_norm", dose.median}});
  return llvm::json::Object{
      {"sites", std::move(sites)},
      {"policies", std::move(policies)},
      {"doses", std::move(doses)},
      {"dose_text", report.doseText},
      {"notes", llvm::json::Array(report.notes)},
      {"bytes_per_token", report.bytesPerToken()},
      {"operations_per_token", report.operationsPerToken()},
      {"model_bytes_per_token", report.modelBytesPerToken},
      {"model_operations_per_token", report.modelOperationsPerToken}};
}
