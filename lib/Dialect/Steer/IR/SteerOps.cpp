//===- SteerOps.cpp - The steer dialect's operations ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/IR/Steer.h"

#include "weir/Dialect/Steer/IR/Conflicts.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

#include "weir/Dialect/Steer/IR/SteerDialect.cpp.inc"
#include "weir/Dialect/Steer/IR/SteerEnums.cpp.inc"
#include "weir/Dialect/Steer/IR/SteerOpInterfaces.cpp.inc"

void SteerDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "weir/Dialect/Steer/IR/SteerOps.cpp.inc"
      >();
}

RankedTensorType weir::steer::broadcastGateType(ArrayRef<Type> types,
                                                Type element) {
  auto isOne = [](Attribute size) {
    auto number = dyn_cast_if_present<IntegerAttr>(size);
    return number && number.getInt() == 1;
  };
  SmallVector<Attribute> sizes =
      fx::sizesOf(cast<RankedTensorType>(types.front()));
  for (Type type : types.drop_front())
    for (auto [size, other] : llvm::zip_equal(
             sizes, fx::sizesOf(cast<RankedTensorType>(type))))
      if (isOne(size))
        size = other;
  return fx::withLastSize(fx::tensorOf(sizes, element), 1);
}

std::optional<SmallVector<int64_t>> weir::steer::plansOf(Value gate) {
  if (!gate)
    return std::nullopt;
  if (auto inPlans = gate.getDefiningOp<InPlansOp>())
    return SmallVector<int64_t>(inPlans.getPlans());
  auto all = gate.getDefiningOp<AllOp>();
  if (!all)
    return std::nullopt;
  std::optional<SmallVector<int64_t>> plans;
  for (Value input : all.getInputs()) {
    auto of = plansOf(input);
    if (!of)
      continue;
    if (!plans) {
      plans = of;
      continue;
    }
    llvm::erase_if(*plans,
                   [&](int64_t plan) { return !llvm::is_contained(*of, plan); });
  }
  return plans;
}

//===----------------------------------------------------------------------===//
// What a spec says
//===----------------------------------------------------------------------===//

LogicalResult ModelOp::verify() {
  DictionaryAttr sites = getSitesAttr();
  if (!sites)
    return success();
  for (NamedAttribute entry : sites) {
    if (!fx::symbolizeSiteKind(entry.getName()))
      return emitOpError("has an unknown site '")
             << entry.getName().getValue() << "'";
    if (!isa<StringAttr>(entry.getValue()))
      return emitOpError("expects a module path for site '")
             << entry.getName().getValue() << "'";
  }
  return success();
}

LogicalResult KnobOp::verify() {
  if (getMin().has_value() != getMax().has_value())
    return emitOpError("has one end of a range only");
  if (!getMin())
    return success();
  double low = getMin()->convertToDouble(), high = getMax()->convertToDouble();
  double start = getDefaultValue().convertToDouble();
  if (!(low <= high))
    return emitOpError("has an empty range");
  if (start < low || start > high)
    return emitOpError("has a default outside its range");
  return success();
}

LogicalResult PolicyOp::verify() {
  if (getLayers() && getLayers()->getKind() != LayersKind::Own &&
      !getAction().canWriteElsewhere())
    return emitOpError("cannot write '")
           << getAction().getKeyword()
           << "' at other layers: it needs the features' activations, which "
              "live at their own";
  // A transfer always edits both ends: what is taken from one has to arrive.
  if (getOnlyActive() &&
      (!getAction().isAbsolute() || getAction().getTarget()))
    return emitOpError("takes only_active with an action that edits features "
                       "one by one, not with '")
           << getAction().getKeyword() << "'";
  if (getTimes() && !getAction().takesKnob())
    return emitOpError("has no number that a knob could multiply: its action "
                       "is '")
           << getAction().getKeyword() << "'";
  if (getPreserveNorm() && getAction().leavesValue())
    return emitOpError("takes preserve_norm with an action that changes the "
                       "value, not with '")
           << getAction().getKeyword() << "'";
  return success();
}

void PolicyOp::collectFeatures(
    SmallVectorImpl<flow::FeatureAttr> &features) {
  if (auto condition = getWhenAttr())
    condition.collectFeatures(features);
}

LogicalResult PlanOp::verify() {
  SmallPtrSet<Attribute, 8> seen;
  for (Attribute policy : getPolicies())
    if (!seen.insert(policy).second)
      return emitOpError("names ") << policy << " twice";
  return success();
}

//===----------------------------------------------------------------------===//
// PatchOp
//===----------------------------------------------------------------------===//

void PatchOp::build(OpBuilder &builder, OperationState &state, Value input,
                    flow::SiteAttr site) {
  state.addOperands(input);
  state.addTypes(input.getType());
  state.getOrAddProperties<Properties>().site = site;
  Region *body = state.addRegion();
  body->emplaceBlock().addArgument(input.getType(), input.getLoc());
}

YieldOp PatchOp::getYield() {
  return cast<YieldOp>(getBody().front().getTerminator());
}

/// Whether a value has passed an edit, following the chain of new values.
static bool isEdited(Value value) {
  return isa_and_nonnull<WriteOp, ProjectOp, RescaleOp, PatchOp, RowWriteOp,
                         RowProjectOp>(value.getDefiningOp());
}

/// The feature indices a delta edits, with the dictionary they are of. Looks
/// through `pick`.
static std::pair<FlatSymbolRefAttr, SmallVector<int64_t>>
editedFeatures(DeltaOp delta) {
  Value from = delta.getFrom();
  SmallVector<int64_t> columns;
  bool picked = false;
  if (auto pick = from.getDefiningOp<PickOp>()) {
    columns.assign(pick.getColumns().begin(), pick.getColumns().end());
    from = pick.getInput();
    picked = true;
  }
  auto read = from.getDefiningOp<ReadOp>();
  if (!read)
    return {};
  if (!picked)
    return {read.getDictionaryAttr(), llvm::to_vector(read.getFeatures())};
  SmallVector<int64_t> features;
  for (int64_t column : columns)
    if (column < static_cast<int64_t>(read.getFeatures().size()))
      features.push_back(read.getFeatures()[column]);
  return {read.getDictionaryAttr(), features};
}

LogicalResult PatchOp::verifyRegions() {
  Block &block = getBody().front();
  if (block.getNumArguments() != 1 ||
      block.getArgument(0).getType() != getInput().getType())
    return emitOpError("expects one block argument of the site's type");
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getValue().getType() != getInput().getType())
    return emitOpError("expects to yield a value of the site's type");

  // The order of a site: one write, then projections, then one norm.
  enum Stage { Unedited, Written, Projected, Rescaled } stage = Unedited;
  for (Operation &op : block) {
    if (isa<ReadOp, RowReadOp>(op)) {
      Value input = op.getOperand(0);
      if (isEdited(input) && input.getParentRegion() == &getBody())
        return op.emitOpError("sees a value that this site has edited; all "
                              "reads come before any edit");
      continue;
    }
    Stage next = isa<WriteOp, RowWriteOp>(op)         ? Written
                 : isa<ProjectOp, RowProjectOp>(op)   ? Projected
                 : isa<RescaleOp>(op)                 ? Rescaled
                                                      : Unedited;
    if (next == Unedited)
      continue;
    // What rows of different plans write is added by an op each.
    if (next < stage ||
        (next == stage && next != Projected && !isa<RowWriteOp>(op)))
      return op.emitOpError(
          "is out of order: a site writes, then projects, then rescales");
    stage = next;
  }

  // Two absolute edits of one feature would make the result depend on which
  // one came last.
  SmallVector<DeltaOp> deltas(block.getOps<DeltaOp>());
  // A gate's plans are looked up once, however many edits it holds back.
  llvm::DenseMap<Value, std::optional<SmallVector<int64_t>>> plansOfGate;
  for (DeltaOp delta : deltas)
    if (delta.getGate() && !plansOfGate.contains(delta.getGate()))
      plansOfGate[delta.getGate()] = plansOf(delta.getGate());
  std::vector<std::pair<FlatSymbolRefAttr, SmallVector<int64_t>>> edited;
  std::vector<AbsoluteEdit> edits;
  edited.reserve(deltas.size());
  for (DeltaOp delta : deltas) {
    auto &[dictionary, features] = edited.emplace_back(editedFeatures(delta));
    AbsoluteEdit &edit = edits.emplace_back();
    edit.dictionary = dictionary ? dictionary.getAsOpaquePointer() : nullptr;
    edit.features = features;
    if (auto found = plansOfGate.find(delta.getGate());
        found != plansOfGate.end() && found->second)
      edit.plans = *found->second;
  }
  for (const Conflict &conflict : findConflicts(edits)) {
    DeltaOp first = deltas[conflict.first], second = deltas[conflict.second];
    FlatSymbolRefAttr dictionary = edited[conflict.second].first;
    if (first == second)
      return first.emitOpError("edits feature ")
             << conflict.feature << " of " << dictionary << " twice";
    InFlightDiagnostic diag = second.emitOpError("edits feature ")
                              << conflict.feature << " of " << dictionary
                              << " a second time";
    diag.attachNote(first.getLoc()) << "the first edit is here";
    return diag;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Reading and new activations
//===----------------------------------------------------------------------===//

static int64_t lastSize(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape().back();
}

LogicalResult ReadOp::verify() {
  if (getFeatures().empty())
    return emitOpError("reads no feature");
  if (lastSize(getResult()) != static_cast<int64_t>(getFeatures().size()))
    return emitOpError("reads ") << getFeatures().size() << " features into "
                                 << lastSize(getResult()) << " columns";
  for (int64_t feature : getFeatures())
    if (feature < 0 ||
        feature >= static_cast<int64_t>(getDictionarySize()))
      return emitOpError("reads feature ")
             << feature << " of a dictionary of " << getDictionarySize();
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a value of static width");
  if (getActivation().getTopK() > static_cast<int64_t>(getDictionarySize()))
    return emitOpError("keeps ") << getActivation().getTopK()
                                 << " features of " << getDictionarySize();
  if (!getGather())
    return success();
  // The value holds the activations themselves, one a feature.
  if (getActivation().getKind() != flow::ActivationKind::Identity ||
      getNormalization() != flow::Normalization::None)
    return emitOpError("gathers activations, which nothing is done to");
  if (lastSize(getInput()) != static_cast<int64_t>(getDictionarySize()))
    return emitOpError("gathers from ")
           << lastSize(getInput()) << " columns for a dictionary of "
           << getDictionarySize();
  return success();
}

int64_t ReadOp::positionOf(int64_t feature) {
  auto at = llvm::find(getFeatures(), feature);
  return at == getFeatures().end() ? -1 : at - getFeatures().begin();
}

/// Encoder rows that a read touches: all of them where it takes a top k.
static int64_t rowsRead(ReadOp read) {
  if (read.getGather())
    return 0;
  return read.getActivation().getKind() == flow::ActivationKind::TopK
             ? read.getDictionarySize()
             : read.getFeatures().size();
}

int64_t ReadOp::getBytesPerToken() {
  // Rows and biases are f32.
  return rowsRead(*this) * (lastSize(getInput()) + 1) * 4;
}
int64_t ReadOp::getOperationsPerToken() {
  return 2 * rowsRead(*this) * lastSize(getInput());
}

LogicalResult PickOp::verify() {
  if (lastSize(getResult()) != static_cast<int64_t>(getColumns().size()))
    return emitOpError("picks ") << getColumns().size() << " columns into "
                                 << lastSize(getResult());
  for (int64_t column : getColumns())
    if (column < 0 || column >= lastSize(getInput()))
      return emitOpError("picks column ")
             << column << " of " << lastSize(getInput());
  return success();
}

LogicalResult InputScaleOp::verify() {
  if (getNormalization() == flow::Normalization::None)
    return emitOpError("is for normalised dictionaries");
  return success();
}

/// One number for all features, or one for each.
static LogicalResult verifyNumbers(Operation *op, ArrayRef<double> numbers,
                                   Value result) {
  int64_t count = numbers.size();
  if (count != 1 && count != lastSize(result))
    return op->emitOpError("has ")
           << count << " numbers for " << lastSize(result) << " features";
  for (double number : numbers)
    if (!std::isfinite(number))
      return op->emitOpError("has a number that is not finite");
  return success();
}

LogicalResult SetToOp::verify() {
  return verifyNumbers(*this, getValues(), getResult());
}
LogicalResult ScaleByOp::verify() {
  return verifyNumbers(*this, getFactors(), getResult());
}
LogicalResult ClampToOp::verify() {
  if (!getMin() && !getMax())
    return emitOpError("has no bound");
  if ((getMin() && getMin()->isNaN()) || (getMax() && getMax()->isNaN()))
    return emitOpError("has a bound that is no number");
  if (getMin() && getMax() &&
      getMin()->convertToDouble() > getMax()->convertToDouble())
    return emitOpError("has a min above its max");
  return success();
}

LogicalResult StrengthOp::verify() {
  if (!getValue().isFinite())
    return emitOpError("has a number that is not finite");
  return success();
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

LogicalResult WriteOp::verify() {
  if (getRows().size() != getCoefficients().size())
    return emitOpError("has ") << getCoefficients().size()
                               << " coefficients along " << getRows().size()
                               << " sets of rows";
  for (auto [coefficient, rows] :
       llvm::zip_equal(getCoefficients(), getRows())) {
    auto recipe = dyn_cast<flow::RecipeAttrInterface>(rows);
    if (!recipe || recipe.getNumRows() < 0)
      return emitOpError("expects recipes with a known number of rows, got ")
             << rows;
    if (recipe.getNumRows() != lastSize(coefficient))
      return emitOpError("has ") << lastSize(coefficient)
                                 << " coefficients along "
                                 << recipe.getNumRows() << " rows";
  }
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a value of static width");
  return success();
}

int64_t WriteOp::getBytesPerToken() {
  int64_t rows = 0;
  for (Value coefficient : getCoefficients())
    rows += lastSize(coefficient);
  return rows * lastSize(getInput()) * 4;
}
int64_t WriteOp::getOperationsPerToken() { return getBytesPerToken() / 2; }

LogicalResult ProjectOp::verify() {
  if (getRows().getNumRows() < 0)
    return emitOpError("expects a known number of rows");
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a value of static width");
  return success();
}

int64_t ProjectOp::getBytesPerToken() {
  return getRows().getNumRows() * lastSize(getInput()) * 4;
}
int64_t ProjectOp::getOperationsPerToken() { return getBytesPerToken(); }

LogicalResult RecordOp::verify() {
  if (static_cast<int64_t>(getFeatures().size()) != lastSize(getInput()))
    return emitOpError("names ") << getFeatures().size() << " features for "
                                 << lastSize(getInput()) << " columns";
  for (Attribute feature : getFeatures())
    if (!isa<flow::FeatureAttr>(feature))
      return emitOpError("expects features, got ") << feature;
  return success();
}

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

LogicalResult InPlansOp::verify() {
  for (int64_t plan : getPlans())
    if (plan < 0)
      return emitOpError("expects plans from 0 on");
  if (!llvm::is_sorted(getPlans()) ||
      std::adjacent_find(getPlans().begin(), getPlans().end()) !=
          getPlans().end())
    return emitOpError("expects plans in ascending order, each once");
  return success();
}

LogicalResult CompareOp::verify() {
  if (!getAbove() && !getBelow())
    return emitOpError("has nothing to compare with");
  return success();
}

LogicalResult KnobValueOp::verify() {
  int64_t columns = lastSize(getKnobs());
  if (!ShapedType::isDynamic(columns) &&
      getIndex() >= static_cast<uint64_t>(columns))
    return emitOpError("takes column ")
           << getIndex() << " of " << columns << " knobs";
  return success();
}

LogicalResult AllOp::verify() {
  return getInputs().empty() ? emitOpError("joins no gate") : success();
}
LogicalResult AnyOp::verify() {
  return getInputs().empty() ? emitOpError("joins no gate") : success();
}

#define GET_OP_CLASSES
#include "weir/Dialect/Steer/IR/SteerOps.cpp.inc"
