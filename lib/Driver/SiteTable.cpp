//===- SiteTable.cpp - What is done at each site, for other runtimes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SiteTable.h"

#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Spec/Spec.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace weir;
namespace json = llvm::json;

namespace weir {

/// Operations refer to values by number, to inputs of the program by the names of
/// their roles, and to the value of their own site as "x".
class SiteTableBuilder {
public:
  explicit SiteTableBuilder(ModuleOp module)
      : symbols(module), module(module) {}

  SiteTable build();

private:
  using Site = flow::SiteAttr;

  void findSites(fx::ProgramOp program);
  void note(Site site, Value value);
  void addBlock(Block &block, Site own);
  void add(Operation *op, Site own);
  void refuse(Operation *op, StringRef why);
  void addPolicies();

  /// The site whose value it is, before the edits there; null for other values.
  Site siteOf(Value value) const { return siteValues.lookup(value); }
  bool isBefore(Site a, Site b) const {
    return order.lookup(a) < order.lookup(b);
  }
  json::Value operandJSON(Value operand, Site at);
  json::Array operandsJSON(Operation *op, Site at);
  /// None if there is no way to say it.
  std::optional<json::Value> attributeJSON(Attribute attr);
  bool addAttributes(Operation *op, json::Object &out);
  template <typename ReadOp> void addDictionary(ReadOp op, json::Object &out);
  json::Value tensor(Attribute content, const Twine &name);
  void addFeatures(ArrayRef<flow::FeatureAttr> features,
                   llvm::SetVector<StringRef> &dictionaries);

  SymbolTable symbols;
  ModuleOp module;
  SiteTable table;
  llvm::DenseMap<Value, Site> siteValues;
  llvm::MapVector<Attribute, RankedTensorType> sites; ///< in program order
  llvm::DenseMap<Attribute, unsigned> order;
  llvm::DenseMap<Value, std::string> inputs;
  llvm::DenseMap<Value, int64_t> numbers;
  llvm::DenseMap<Value, Site> madeAt; ///< null: before all sites
  llvm::DenseSet<Value> behind;       ///< made of values behind edits
  llvm::DenseMap<Attribute, std::string> names;
  llvm::DenseMap<Attribute, json::Array> operations;
  llvm::DenseMap<Attribute, int64_t> results;
  json::Array prelude, refused;
};

} // namespace weir

//===----------------------------------------------------------------------===//
// Sites
//===----------------------------------------------------------------------===//

void SiteTableBuilder::note(Site site, Value value) {
  siteValues.try_emplace(value, site);
  if (sites.insert({site, cast<RankedTensorType>(value.getType())}).second)
    order[site] = order.size() + 1;
}

/// Sites that are edited or read, in the order in which a model computes them.
void SiteTableBuilder::findSites(fx::ProgramOp program) {
  // What is marked; a value that is read has its mark, its patch, or is the choice
  // between it and what takes its place.
  llvm::DenseMap<Value, Site> marked;
  auto mark = [&](Value value, Site site) { marked.try_emplace(value, site); };
  program.walk([&](Operation *op) {
    if (auto site = dyn_cast<fx::SiteOp>(op)) {
      auto at = Site::get(op->getContext(), site.getKind(), site.getLayer());
      mark(site.getInput(), at);
      mark(site.getResult(), at);
    } else if (auto patch = dyn_cast<steer::PatchOp>(op)) {
      mark(patch.getInput(), patch.getSite());
    } else if (auto choose = dyn_cast<steer::ChooseOp>(op)) {
      mark(choose.getResult(), choose.getSite());
    }
  });
  // One place may be two sites, such as the sum in front of a block and what the
  // dictionary of a transcoder reads; the dictionary knows.
  auto readBy = [&](Operation *op, Value value) -> Site {
    FlatSymbolRefAttr name = op->getAttrOfType<FlatSymbolRefAttr>("dictionary");
    auto dictionary = name ? symbols.lookup<flow::DictionaryOp>(name.getValue())
                           : flow::DictionaryOp();
    return dictionary ? dictionary.getReads() : marked.lookup(value);
  };
  for (Operation &op : program.getEntry())
    for (Value result : op.getResults()) {
      if (isa<steer::SteerDialect>(op.getDialect()) &&
          !isa<steer::ChooseOp>(op))
        continue;
      for (Operation *user : result.getUsers()) {
        if (auto patch = dyn_cast<steer::PatchOp>(user))
          note(patch.getSite(), result);
        else if (isa<steer::SteerDialect>(user->getDialect()))
          if (Site site = readBy(user, result))
            note(site, result);
      }
    }
  program.walk([&](steer::PatchOp patch) {
    siteValues.try_emplace(patch.getValue(), patch.getSite());
  });
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

void SiteTableBuilder::refuse(Operation *op, StringRef why) {
  std::string name = op->getName().getStringRef().str();
  refused.push_back(
      json::Object{{"operation", std::move(name)}, {"why", why}});
}

json::Value SiteTableBuilder::operandJSON(Value operand, Site at) {
  if (auto input = inputs.find(operand); input != inputs.end())
    return input->second;
  if (Site site = siteOf(operand))
    return site == at ? std::string("x") : site.str();
  return numbers.lookup(operand);
}

/// A list of operands or, where some of them may be missing or are several, a list
/// of such lists.
json::Array SiteTableBuilder::operandsJSON(Operation *op, Site at) {
  json::Array all;
  auto segments = dyn_cast_if_present<DenseI32ArrayAttr>(
      op->getInherentAttr("operandSegmentSizes").value_or(Attribute()));
  if (!segments) {
    for (Value operand : op->getOperands())
      all.push_back(operandJSON(operand, at));
    return all;
  }
  unsigned next = 0;
  for (int32_t size : segments.asArrayRef()) {
    json::Array group;
    for (Value operand : op->getOperands().slice(next, size))
      group.push_back(operandJSON(operand, at));
    all.push_back(std::move(group));
    next += size;
  }
  return all;
}

json::Value SiteTableBuilder::tensor(Attribute content, const Twine &name) {
  std::string &known = names[content];
  if (known.empty()) {
    known = (Twine(table.tensors.size()) + "/" + name).str();
    table.tensors.push_back({known, content});
  }
  return json::Object{{"tensor", known}};
}

/// A number; JSON has no infinity.
static json::Value numberJSON(double value) {
  if (std::isfinite(value))
    return value;
  return value > 0 ? "inf" : "-inf";
}

static json::Value markersJSON(steer::MarkersAttr markers) {
  json::Object out;
  auto add = [&](StringRef key, ArrayAttr list) {
    if (list)
      out[key] = json::Array(steer::MarkersAttr::idsOf(list));
  };
  add("after", markers.getAfter());
  add("until", markers.getUntil());
  add("opens", markers.getOpens());
  add("closes", markers.getCloses());
  return out;
}

static json::Value scopeJSON(steer::TokensAttr scope) {
  json::Object out{{"set", steer::stringifyTokenSet(scope.getSet())}};
  if (scope.getPositions())
    out["positions"] = json::Array(scope.getPositions().asArrayRef());
  if (scope.getFrom() >= 0)
    out["from"] = scope.getFrom();
  if (scope.getTo() >= 0)
    out["to"] = scope.getTo();
  if (scope.getSkipFirst())
    out["skip_first"] = scope.getSkipFirst();
  if (scope.getMarkers())
    out["markers"] = markersJSON(scope.getMarkers());
  if (scope.getOver())
    out["over"] = scope.getOver();
  if (scope.getHalf())
    out["half"] = scope.getHalf().getValueAsDouble();
  return out;
}

std::optional<json::Value> SiteTableBuilder::attributeJSON(Attribute attr) {
  using Result = std::optional<json::Value>;
  return llvm::TypeSwitch<Attribute, Result>(attr)
      .Case([](UnitAttr) { return json::Value(true); })
      .Case([](BoolAttr flag) { return json::Value(flag.getValue()); })
      .Case([](IntegerAttr number) { return json::Value(number.getInt()); })
      .Case([](FloatAttr number) {
        return numberJSON(number.getValueAsDouble());
      })
      .Case([](StringAttr text) { return json::Value(text.getValue()); })
      .Case([](DenseI64ArrayAttr list) {
        return json::Value(json::Array(list.asArrayRef()));
      })
      .Case([](DenseF64ArrayAttr list) {
        json::Array out;
        for (double number : list.asArrayRef())
          out.push_back(numberJSON(number));
        return json::Value(std::move(out));
      })
      .Case([&](DenseElementsAttr table) { return tensor(table, "table"); })
      .Case([&](flow::RecipeAttrInterface recipe) {
        return tensor(recipe, "rows");
      })
      .Case([](flow::FeatureAttr feature) { return json::Value(feature.str()); })
      .Case([](flow::SiteAttr site) { return json::Value(site.str()); })
      .Case([](FlatSymbolRefAttr symbol) {
        return json::Value(specName(symbol.getValue()));
      })
      .Case([](flow::ActivationAttr activation) {
        json::Object out{{"kind", stringifyEnum(activation.getKind())}};
        if (activation.getTopK())
          out["k"] = activation.getTopK();
        return json::Value(std::move(out));
      })
      .Case([](flow::NormalizationAttr normalization) {
        return json::Value(
            flow::stringifyNormalization(normalization.getValue()));
      })
      .Case([](steer::TokensAttr scope) { return scopeJSON(scope); })
      .Case([](steer::MarkersAttr markers) { return markersJSON(markers); })
      .Case([&](ArrayAttr list) -> Result {
        json::Array out;
        for (Attribute element : list) {
          Result value = attributeJSON(element);
          if (!value)
            return std::nullopt;
          out.push_back(std::move(*value));
        }
        return json::Value(std::move(out));
      })
      .Default([](Attribute) { return Result(); });
}

/// What encodes the features that a read lists: of a TopK dictionary all of its
/// rows, of neurons none, since they are columns of the value.
template <typename ReadOp>
void SiteTableBuilder::addDictionary(ReadOp op, json::Object &out) {
  if (op.getGather())
    return;
  flow::ActivationKind kind = op.getActivation().getKind();
  bool whole = kind == flow::ActivationKind::TopK;
  auto add = [&](StringRef key, flow::RowsPart part) {
    auto rows = flow::RowsAttr::get(op.getContext(), part, op.getDictionaryAttr(),
                                    whole ? ArrayRef<int64_t>() : op.getFeatures());
    out[key] = tensor(rows, key);
  };
  add("encoder", flow::RowsPart::Encoder);
  add("encoder_bias", flow::RowsPart::EncoderBias);
  if (kind == flow::ActivationKind::JumpReLU)
    add("threshold", flow::RowsPart::Threshold);
  if (kind == flow::ActivationKind::Gated) {
    add("magnitude_scale", flow::RowsPart::MagnitudeScale);
    add("magnitude_bias", flow::RowsPart::MagnitudeBias);
  }
}

bool SiteTableBuilder::addAttributes(Operation *op, json::Object &out) {
  for (NamedAttribute attr : op->getAttrDictionary()) {
    StringRef name = attr.getName().getValue();
    if (name == "operandSegmentSizes")
      continue;
    std::optional<json::Value> value = attributeJSON(attr.getValue());
    if (!value) {
      refuse(op, ("its attribute '" + name + "' has no form in a table").str());
      return false;
    }
    out[name] = std::move(*value);
  }
  if (auto read = dyn_cast<steer::ReadOp>(op))
    addDictionary(read, out);
  else if (auto read = dyn_cast<steer::RowReadOp>(op))
    addDictionary(read, out);
  return true;
}

void SiteTableBuilder::add(Operation *op, Site own) {
  // They keep ids, count, or give out whole values behind all edits: none edits. What
  // replaces layers is said of its policy.
  if (isa<steer::HistoryOp, steer::CountOp, steer::RecordValueOp,
          steer::ReconstructOp, steer::ChooseOp>(op))
    return;
  Site at = own;
  bool readsElsewhere = false;
  for (Value operand : op->getOperands()) {
    Site site = siteOf(operand);
    bool isKnown = site || inputs.contains(operand) || numbers.contains(operand);
    if (!isKnown) {
      // What is read behind the edits of a site is for records alone, which are the
      // program's own.
      bool isBehind = isa_and_present<steer::PatchOp>(operand.getDefiningOp()) ||
                      behind.contains(operand);
      if (isBehind && !own)
        behind.insert(op->result_begin(), op->result_end());
      else
        refuse(op, "it uses a value that is of no site");
      return;
    }
    if (!site)
      site = madeAt.lookup(operand);
    else if (site != own)
      readsElsewhere = true;
    if (site && (!at || (!own && isBefore(at, site))))
      at = site;
  }
  // A read of an earlier site's value has to be made there.
  if (own && readsElsewhere) {
    at = {};
    for (Value operand : op->getOperands()) {
      Site site = siteOf(operand);
      if (!site)
        site = madeAt.lookup(operand);
      if (site && (!at || isBefore(at, site)))
        at = site;
    }
  }
  json::Object out;
  if (!addAttributes(op, out))
    return;
  out["op"] = op->getName().stripDialect();
  out["in"] = operandsJSON(op, at);
  if (op->getNumResults()) {
    int64_t number = numbers.size();
    numbers[op->getResult(0)] = number;
    madeAt[op->getResult(0)] = at;
    out["out"] = number;
  }
  (at ? operations[at] : prelude).push_back(std::move(out));
}

void SiteTableBuilder::addBlock(Block &block, Site own) {
  for (Operation &op : block) {
    if (auto patch = dyn_cast<steer::PatchOp>(op)) {
      addBlock(patch.getBody().front(), patch.getSite());
    } else if (auto yield = dyn_cast<steer::YieldOp>(op)) {
      if (auto result = numbers.find(yield.getValue()); result != numbers.end())
        results[own] = result->second;
    } else if (isa<steer::SteerDialect>(op.getDialect())) {
      add(&op, own);
    }
  }
}

//===----------------------------------------------------------------------===//
// Policies
//===----------------------------------------------------------------------===//

void SiteTableBuilder::addFeatures(ArrayRef<flow::FeatureAttr> features,
                                   llvm::SetVector<StringRef> &dictionaries) {
  for (flow::FeatureAttr feature : features)
    if (auto dictionary = flow::lookupDictionary(symbols, feature)) {
      dictionaries.insert(dictionary.getSymName());
      if (auto further = dictionary.getFurther())
        for (auto name : further->getAsRange<FlatSymbolRefAttr>())
          dictionaries.insert(name.getValue());
    }
}

void SiteTableBuilder::addPolicies() {
  llvm::MapVector<Attribute, json::Array> plansOf;
  for (auto plan : module.getOps<steer::PlanOp>())
    for (Attribute policy : plan.getPolicies())
      plansOf[policy].push_back(specName(plan.getSymName()));
  json::Array policies;
  for (auto policy : module.getOps<steer::PolicyOp>()) {
    auto plans = plansOf.find(FlatSymbolRefAttr::get(policy.getSymNameAttr()));
    if (plans == plansOf.end())
      continue;
    steer::ActionAttrInterface action = policy.getAction();
    std::string name = specName(policy.getSymName()).str();
    json::Object entry{{"name", name},
                       {"edits", !action.leavesValue()},
                       {"plans", json::Array(plans->second)},
                       {"conditional", bool(policy.getWhenAttr())}};
    if (policy.getTokensAttr())
      entry["tokens"] = scopeJSON(policy.getTokensAttr());
    if (policy.getTimes())
      entry["knob"] = specName(*policy.getTimes());
    if (isa<steer::SubstituteAttr>(action)) {
      refused.push_back(json::Object{
          {"operation", "substitute"},
          {"policy", name},
          {"why", "it replaces layers, which is no edit of a site"}});
    }

    std::string text;
    llvm::raw_string_ostream os(text);
    os << Attribute(action) << " layers " << policy.getLayersAttr() << " tokens "
       << policy.getTokensAttr() << " when " << Attribute(policy.getWhenAttr())
       << " times " << policy.getTimesAttr() << " only_active "
       << policy.getOnlyActive() << " preserve_norm " << policy.getPreserveNorm();
    llvm::SetVector<StringRef> dictionaries;
    SmallVector<flow::FeatureAttr> compared;
    if (steer::ConditionAttrInterface when = policy.getWhenAttr())
      when.collectFeatures(compared);
    addFeatures(compared, dictionaries);
    json::Array listed;
    for (Value set : policy->getOperands()) {
      auto select = set.getDefiningOp<flow::SelectOp>();
      if (!select)
        continue;
      os << " of " << select.getSelectorsAttr();
      // Their weights too.
      for (NamedAttribute attr : select->getAttrs())
        if (attr.getName() != "selectors")
          os << " " << attr.getName().getValue() << " " << attr.getValue();
      SmallVector<flow::FeatureAttr> list;
      for (Attribute selector : select.getSelectors())
        if (auto feature = dyn_cast<flow::FeatureAttr>(selector))
          list.push_back(feature);
      addFeatures(list, dictionaries);
      if (set == policy.getOn())
        for (flow::FeatureAttr feature : list)
          listed.push_back(feature.str());
    }
    entry["features"] = std::move(listed);
    table.policyTexts.push_back({name, std::move(text)});
    std::vector<std::string> sorted;
    for (StringRef dictionary : dictionaries)
      sorted.push_back(dictionary.str());
    llvm::sort(sorted);
    table.policyDictionaries.push_back(std::move(sorted));
    policies.push_back(std::move(entry));
  }
  table.document["policies"] = std::move(policies);
}

SiteTable SiteTableBuilder::build() {
  for (auto program : module.getOps<fx::ProgramOp>()) {
    for (InputRole role : {InputRole::InputIds, InputRole::Positions,
                           InputRole::PromptLength, InputRole::Plan,
                           InputRole::Knobs})
      if (BlockArgument input = program.findInput(role))
        inputs[input] = roleName(role).str();
    // The earlier tokens of a row, which whoever runs the model has.
    program.walk([&](steer::HistoryOp op) { inputs[op.getResult()] = "history"; });
    findSites(program);
    addBlock(program.getEntry(), {});
  }
  addPolicies();

  json::Array list;
  for (auto &[attr, type] : sites) {
    auto site = cast<Site>(attr);
    json::Object entry{{"site", fx::stringifySiteKind(site.getKind())},
                       {"layer", site.getLayer()},
                       {"width", type.getShape().back()},
                       {"ops", std::move(operations[attr])}};
    if (auto result = results.find(attr); result != results.end())
      entry["result"] = result->second;
    list.push_back(std::move(entry));
  }
  table.document["sites"] = std::move(list);
  table.document["prelude"] = std::move(prelude);
  table.document["refused"] = std::move(refused);
  return std::move(table);
}

SiteTable SiteTable::collect(ModuleOp module) {
  return SiteTableBuilder(module).build();
}
