//===- PlanForms.cpp - What edits of a site have in common ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanForms.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

/// Longest list of positions that becomes a row of a table: every token is
/// compared with all of it.
static constexpr int64_t maxListed = 64;

static uintptr_t keyOf(Value value) {
  return reinterpret_cast<uintptr_t>(value.getAsOpaquePointer());
}
static uintptr_t keyOf(Attribute attribute) {
  return reinterpret_cast<uintptr_t>(attribute.getAsOpaquePointer());
}

/// Tables are as wide as their widest row. Rows of one table differ by four
/// times at most: 1 to 4, 5 to 16, 17 to 64, …
static uintptr_t widthClass(size_t width) {
  uintptr_t widthClass = 0;
  for (size_t most = 4; width > most; most *= 4)
    ++widthClass;
  return widthClass;
}

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

TokenBounds TokenBounds::of(TokensAttr scope) {
  TokenBounds bounds;
  // Padding has position -1, which no scope means.
  bounds.from = std::max<int64_t>({scope.getFrom(), scope.getSkipFirst(), 0});
  if (scope.getTo() >= 0)
    bounds.to = scope.getTo();
  bounds.listed = scope.getPositions();
  switch (scope.getSet()) {
  case TokenSet::All:
    break;
  case TokenSet::Prompt:
    bounds.last = -1;
    break;
  case TokenSet::Generated:
    bounds.first = 0;
    break;
  case TokenSet::Last:
    bounds.first = bounds.last = -1;
    break;
  case TokenSet::Sampled:
    bounds.first = -1;
    break;
  }
  return bounds;
}

void ReadForm::addKey(FormKey &key) const {
  ReadOp read = op;
  llvm::append_range(
      key, ArrayRef<uintptr_t>{
               keyOf(read.getInput()), keyOf(read.getDictionaryAttr()),
               keyOf(read.getActivationAttr()),
               static_cast<uintptr_t>(read.getNormalization()),
               static_cast<uintptr_t>(read.getDictionarySize()),
               static_cast<uintptr_t>(read.getGather())});
}

/// Which lists there are, and how long they are.
static void addMarkers(FormKey &key, MarkersAttr markers) {
  for (ArrayAttr list :
       {markers ? markers.getAfter() : ArrayAttr(),
        markers ? markers.getUntil() : ArrayAttr(),
        markers ? markers.getOpens() : ArrayAttr(),
        markers ? markers.getCloses() : ArrayAttr()})
    key.push_back(list ? 1 + widthClass(list.size()) : 0);
}

void KnobForm::addKey(FormKey &key) const {
  key.push_back(knob ? 1 : 0);
  // A knob that is not a column of the knobs stands for itself.
  key.push_back(keyOf(knobs ? knobs : knob));
  RampOp op = ramp;
  key.push_back(op ? 1 : 0);
  addMarkers(key, op ? op.getScope().getMarkers() : MarkersAttr());
  key.push_back(op && op.getHistory() ? keyOf(op.getHistory()) : 0);
  // Where tokens are flattened, a row is no dimension to gather for.
  bool isFlat = op && op.getPositions().getType().getRank() == 1;
  key.push_back(isFlat ? keyOf(op.getScope()) : 0);
}

void GateForm::addKey(FormKey &key) const {
  key.push_back(keyOf(plan));
  // A gate that says nothing about tokens is one whose bounds bound nothing.
  key.push_back(bounds.listed ? 1 + widthClass(bounds.listed.size()) : 0);
  MarkedOp behind = marked;
  addMarkers(key, behind ? behind.getMarkers() : MarkersAttr());
  key.push_back(behind ? keyOf(behind.getHistory()) : 0);
  key.push_back(trees);
  unsigned next = 0;
  for (const Node &node : condition) {
    key.push_back(node.kind);
    key.push_back(node.count);
    if (node.kind == Node::Plain)
      key.push_back(keyOf(node.value));
    if (node.kind != Node::Compare)
      continue;
    const Comparison &comparison = comparisons[next++];
    comparison.read.addKey(key);
    key.push_back(comparison.above.has_value());
    key.push_back(comparison.below.has_value());
  }
}

namespace {

/// Takes one gate apart.
class GateReader {
public:
  GateReader(GateForm &form, std::pair<Value, Value> &inputs)
      : form(form), inputs(inputs) {}

  /// Conjunctions at the top: plans, tokens and trees.
  bool readTop(Value gate) {
    if (auto all = gate.getDefiningOp<AllOp>())
      return llvm::all_of(all.getInputs(),
                          [&](Value input) { return readTop(input); });
    if (auto plans = gate.getDefiningOp<InPlansOp>()) {
      if (form.plan && form.plan != plans.getPlan())
        return false;
      // Where tokens are flattened a row is no dimension to gather for.
      if (cast<RankedTensorType>(plans.getType()).getRank() != 3)
        return false;
      if (!form.plan) {
        form.plan = plans.getPlan();
        form.plans.assign(plans.getPlans().begin(), plans.getPlans().end());
        return true;
      }
      llvm::SmallVector<int64_t> both;
      std::set_intersection(form.plans.begin(), form.plans.end(),
                            plans.getPlans().begin(), plans.getPlans().end(),
                            std::back_inserter(both));
      form.plans = both;
      return true;
    }
    if (auto tokens = gate.getDefiningOp<TokensOp>();
        tokens && isTable(tokens)) {
      // A program has one input of each; scopes of others are not compared.
      if (!inputs.first)
        inputs = {tokens.getPositions(), tokens.getPromptLength()};
      if (inputs != std::pair<Value, Value>(tokens.getPositions(),
                                            tokens.getPromptLength()))
        return false;
      form.tokens.push_back(tokens);
      // Two scopes at once are the part that they share; of two lists that
      // would have to be worked out.
      TokenBounds own = TokenBounds::of(tokens.getScope()), &all = form.bounds;
      if (own.listed && all.listed)
        return false;
      all = {std::max(all.from, own.from), std::min(all.to, own.to),
             std::max(all.first, own.first), std::min(all.last, own.last),
             own.listed ? own.listed : all.listed};
      return true;
    }
    if (auto marked = gate.getDefiningOp<MarkedOp>(); marked && !form.marked) {
      form.marked = marked;
      return true;
    }
    ++form.trees;
    readTree(gate);
    return true;
  }

private:
  static bool isTable(TokensOp tokens) {
    DenseI64ArrayAttr listed = tokens.getScope().getPositions();
    return !listed || static_cast<int64_t>(listed.size()) <= maxListed;
  }

  void readTree(Value gate) {
    Operation *op = gate.getDefiningOp();
    if (isa_and_nonnull<AllOp, AnyOp>(op)) {
      form.condition.push_back(
          {isa<AllOp>(op) ? GateForm::Node::All : GateForm::Node::Any,
           op->getNumOperands(), Value()});
      for (Value input : op->getOperands())
        readTree(input);
      return;
    }
    auto compare = dyn_cast_or_null<CompareOp>(op);
    auto read = compare ? compare.getInput().getDefiningOp<ReadOp>() : ReadOp();
    if (!read || read.getFeatures().size() != 1) {
      form.condition.push_back({GateForm::Node::Plain, 0, gate});
      return;
    }
    form.condition.push_back({GateForm::Node::Compare, 0, gate});
    Comparison &comparison = form.comparisons.emplace_back();
    comparison.value = gate;
    comparison.read = {read, read.getFeatures()};
    if (compare.getAbove())
      comparison.above = compare.getAbove()->convertToDouble();
    if (compare.getBelow())
      comparison.below = compare.getBelow()->convertToDouble();
  }

  GateForm &form;
  std::pair<Value, Value> &inputs;
};

} // namespace

const GateForm *GateForms::of(Value gate) {
  if (!gate)
    return nullptr;
  auto [place, isNew] = forms.try_emplace(gate);
  if (!isNew)
    return place->second.get();
  auto form = std::make_unique<GateForm>();
  if (!GateReader(*form, tokenInputs).readTop(gate) || !form->plan || form->plans.empty())
    return nullptr;
  place->second = std::move(form);
  return place->second.get();
}

//===----------------------------------------------------------------------===//
// Edits
//===----------------------------------------------------------------------===//

void EditForm::addKey(FormKey &key) const {
  key.push_back(kind);
  gate->addKey(key);
  knob.addKey(key);
  if (kind == Add)
    return;
  read.addKey(key);
  if (kind == Sum)
    other.addKey(key);
  llvm::append_range(
      key, ArrayRef<uintptr_t>{onlyActive, hasMin, hasMax,
                               widthClass(read.features.size())});
  scale.addKey(key);
}

KnobForm weir::steer::knobOf(Value value) {
  KnobForm form;
  form.value = form.knob = value;
  if (!value)
    return form;
  if (auto product = value.getDefiningOp<ProductOp>();
      product && product.getRhs().getDefiningOp<RampOp>()) {
    form.knob = product.getLhs();
    form.ramp = product.getRhs().getDefiningOp<RampOp>();
  } else if (auto ramp = value.getDefiningOp<RampOp>()) {
    form.knob = Value();
    form.ramp = ramp;
  }
  if (auto knob = form.knob ? form.knob.getDefiningOp<KnobValueOp>()
                            : KnobValueOp()) {
    form.knobs = knob.getKnobs();
    form.column = knob.getIndex();
  }
  return form;
}

/// One number for all features, or one for each.
static std::vector<double> spread(ArrayRef<double> numbers, size_t count) {
  if (numbers.size() == count)
    return {numbers.begin(), numbers.end()};
  return std::vector<double>(count, numbers.front());
}

/// The form of a delta along `rows`, if it has one; its gate is known.
static bool describeDelta(DeltaOp delta, Attribute rows, EditForm &form) {
  auto read = delta.getFrom().getDefiningOp<ReadOp>();
  auto decoder = dyn_cast<flow::RowsAttr>(rows);
  if (!read || !decoder || decoder.getPart() != flow::RowsPart::Decoder ||
      decoder.getDictionary() != read.getDictionaryAttr() ||
      decoder.getFeatures() != read.getFeatures())
    return false;
  form.read = {read, read.getFeatures()};
  form.scale = knobOf(delta.getScale());
  form.onlyActive = delta.getOnlyActive();
  size_t count = read.getFeatures().size();
  Operation *to = delta.getTo().getDefiningOp();
  if (!to || to->getOperand(0) != delta.getFrom())
    return false;
  if (auto set = dyn_cast<SetToOp>(to)) {
    form.kind = EditForm::Set;
    form.numbers = spread(set.getValues(), count);
    form.knob = knobOf(set.getTimes());
  } else if (auto scale = dyn_cast<ScaleByOp>(to)) {
    form.kind = EditForm::Scale;
    form.numbers = spread(scale.getFactors(), count);
    form.knob = knobOf(scale.getTimes());
  } else if (auto clamp = dyn_cast<ClampToOp>(to)) {
    form.kind = EditForm::Clamp;
    form.hasMin = clamp.getMin().has_value();
    form.hasMax = clamp.getMax().has_value();
    if (form.hasMin)
      form.numbers.assign(count, clamp.getMin()->convertToDouble());
    if (form.hasMax)
      form.maxima.assign(count, clamp.getMax()->convertToDouble());
  } else if (auto sum = dyn_cast<SumOp>(to)) {
    auto other = sum.getRhs().getDefiningOp<ReadOp>();
    if (!other || other.getFeatures().size() != count)
      return false;
    form.kind = EditForm::Sum;
    form.other = {other, other.getFeatures()};
  } else {
    return false;
  }
  return true;
}

/// A single row as weights over other rows: w R.
static std::pair<SmallVector<double>, Attribute> asSum(Attribute row) {
  if (auto sum = dyn_cast<flow::SumAttr>(row))
    return {llvm::to_vector(sum.getWeights().asArrayRef()), sum.getRows()};
  return {{1.0}, row};
}

/// Additions of one gate and knob are one direction, as `steer-merge` makes it;
/// one alone keeps its number, so that plans that differ in it share a row.
static EditForm describeAdditions(WriteOp write, ArrayRef<unsigned> members,
                                  const GateForm *gate) {
  auto strengthOf = [&](unsigned i) {
    return write.getCoefficients()[i].getDefiningOp<StrengthOp>();
  };
  StrengthOp first = strengthOf(members.front());
  EditForm form(EditForm::Add, gate, first.getLoc());
  form.coefficients.assign(members.begin(), members.end());
  form.knob = knobOf(first.getTimes());
  if (members.size() == 1) {
    form.numbers = {first.getValue().convertToDouble()};
    form.direction = write.getRows()[members.front()];
    return form;
  }
  SmallVector<double> weights;
  SmallVector<Attribute> parts;
  SmallVector<Location> locs;
  for (unsigned i : members) {
    auto [inner, part] = asSum(write.getRows()[i]);
    double strength = strengthOf(i).getValue().convertToDouble();
    for (double weight : inner)
      weights.push_back(strength * weight);
    parts.push_back(part);
    locs.push_back(strengthOf(i).getLoc());
  }
  Builder builder(write.getContext());
  form.loc = builder.getFusedLoc(locs);
  form.numbers = {1.0};
  form.direction = flow::SumAttr::get(
      write.getContext(), builder.getDenseF64ArrayAttr(weights),
      flow::ConcatAttr::get(write.getContext(), builder.getArrayAttr(parts)));
  return form;
}

std::vector<EditForm> weir::steer::collectEdits(WriteOp write,
                                                GateForms &gates) {
  std::vector<EditForm> forms;
  llvm::MapVector<std::pair<Value, Value>, SmallVector<unsigned, 1>> additions;
  for (auto [i, coefficient] : llvm::enumerate(write.getCoefficients())) {
    if (auto strength = coefficient.getDefiningOp<StrengthOp>()) {
      additions[{strength.getGate(), strength.getTimes()}].push_back(i);
      continue;
    }
    auto delta = coefficient.getDefiningOp<DeltaOp>();
    const GateForm *gate = delta ? gates.of(delta.getGate()) : nullptr;
    if (!gate)
      continue;
    EditForm form(EditForm::Set, gate, delta.getLoc());
    form.coefficients.push_back(i);
    if (describeDelta(delta, write.getRows()[i], form))
      forms.push_back(std::move(form));
  }
  for (auto &[key, members] : additions)
    if (const GateForm *gate = gates.of(key.first))
      forms.push_back(describeAdditions(write, members, gate));
  return forms;
}

//===----------------------------------------------------------------------===//
// Projections
//===----------------------------------------------------------------------===//

void ProjectionForm::addKey(FormKey &key) const {
  gate->addKey(key);
  ProjectOp project = op;
  key.push_back(widthClass(project.getRows().getNumRows()));
}

std::vector<ProjectionForm>
weir::steer::collectProjections(ArrayRef<ProjectOp> chain, GateForms &gates) {
  std::vector<ProjectionForm> forms;
  for (ProjectOp op : chain)
    forms.push_back({gates.of(op.getGate()), op.getLoc(), op});
  return forms;
}
