//===- SteerOps.cpp - The steer dialect's operations ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reads.h"
#include "Shapes.h"

#include "weir/Dialect/Steer/IR/Conflicts.h"
#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

#include "llvm/ADT/SmallBitVector.h"

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
  if (getAction().hasTarget() != static_cast<bool>(getTo()))
    return emitOpError(getTo() ? "has features to give to, which no '"
                               : "has no features to give to, which a '")
           << getAction().getKeyword() << "' takes";
  bool isStream = getLayers() && getLayers()->getKind() == LayersKind::All;
  if (isStream && !getAction().canWriteStream())
    return emitOpError("cannot write '")
           << getAction().getKeyword()
           << "' at every value of the residual stream";
  if (getLayers() && getLayers()->getKind() != LayersKind::Own && !isStream &&
      !getAction().canWriteElsewhere())
    return emitOpError("cannot write '")
           << getAction().getKeyword()
           << "' at other layers: it needs the features' activations, which "
              "live at their own";
  // A transfer always edits both ends: what is taken from one has to arrive.
  if (getOnlyActive() &&
      (!getAction().isAbsolute() || getTo()))
    return emitOpError("takes only_active with an action that edits features "
                       "one by one, not with '")
           << getAction().getKeyword() << "'";
  if (getTimes() && !getAction().takesKnob())
    return emitOpError("has no number that a knob could multiply: its action "
                       "is '")
           << getAction().getKeyword() << "'";
  if (getTokens() && getTokens()->isRamped() && !getAction().takesShare())
    return emitOpError("has no edit that a token could get a share of: its "
                       "action is '")
           << getAction().getKeyword() << "'";
  if (getPreserveNorm() && getAction().leavesValue())
    return emitOpError("takes preserve_norm with an action that changes the "
                       "value, not with '")
           << getAction().getKeyword() << "'";
  llvm::SmallBitVector seen(getWatched().size());
  int64_t outside = -1;
  if (auto condition = getWhenAttr())
    condition.walk([&](WatchAttr watch) {
      if (watch.getFeatures() >= static_cast<int64_t>(seen.size()))
        outside = watch.getFeatures();
      else
        seen.set(watch.getFeatures());
    });
  if (outside >= 0)
    return emitOpError("has a condition on list ")
           << outside << " of " << seen.size() << " that it watches";
  if (!seen.all())
    return emitOpError("watches list ")
           << seen.find_first_unset() << ", on which it has no condition";
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
  if (DictionaryAttr knobs = getFixedAttr())
    for (NamedAttribute knob : knobs)
      if (auto value = dyn_cast<FloatAttr>(knob.getValue());
          !value || !value.getType().isF32())
        return emitOpError("fixes knob '")
               << knob.getName().getValue() << "' at " << knob.getValue()
               << ", which is no number of f32";
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
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<RoundOp, WidenOp>(op))
    return isEdited(op->getOperand(0));
  return isa_and_nonnull<EditOpInterface, PatchOp>(op);
}

/// Features of one dictionary, in the order of a value's columns.
using Columns = std::pair<FlatSymbolRefAttr, SmallVector<int64_t>>;

/// What the columns of activations are; no dictionary where that is unknown.
static Columns featuresOf(Value activations) {
  if (auto read = activations.getDefiningOp<ReadOp>())
    return {read.getDictionaryAttr(), llvm::to_vector(read.getFeatures())};
  if (auto activate = activations.getDefiningOp<ActivateOp>()) {
    if (!activate.getFeatures().empty())
      return {activate.getDictionaryAttr(),
              llvm::to_vector(activate.getFeatures())};
    int64_t size = lastSize(activations);
    if (ShapedType::isDynamic(size))
      return {};
    return {activate.getDictionaryAttr(),
            llvm::to_vector(llvm::seq<int64_t>(size))};
  }
  auto pick = activations.getDefiningOp<PickOp>();
  if (!pick)
    return {};
  SmallVector<int64_t> picked;
  // Many may pick from one long list, which is not copied for each.
  if (auto read = pick.getInput().getDefiningOp<ReadOp>()) {
    for (int64_t column : pick.getColumns())
      if (column >= 0 && column < static_cast<int64_t>(read.getFeatures().size()))
        picked.push_back(read.getFeatures()[column]);
    return {read.getDictionaryAttr(), picked};
  }
  Columns whole = featuresOf(pick.getInput());
  for (int64_t column : pick.getColumns())
    if (column >= 0 && column < static_cast<int64_t>(whole.second.size()))
      picked.push_back(whole.second[column]);
  return {whole.first, picked};
}

/// The order of a site: one write, then projections, then one norm. What is
/// edited is only edited further.
static LogicalResult verifyOrder(Block &block) {
  int stage = 0;
  for (Operation &op : block) {
    auto edit = dyn_cast<EditOpInterface>(op);
    if (!isa<RoundOp, WidenOp, YieldOp>(op))
      for (Value operand : op.getOperands().drop_front(edit ? 1 : 0))
        if (operand.getParentBlock() == &block && isEdited(operand))
          return op.emitOpError("sees a value that this site has edited; all "
                                "reads come before any edit");
    if (!edit)
      continue;
    int next = static_cast<int>(edit.getStage());
    if (next < stage || (next == stage && !edit.mayRepeat()))
      return op.emitOpError(
          "is out of order: a site writes, then projects, then rescales");
    stage = next;
  }
  return success();
}

/// Two absolute edits of one feature would make the result depend on which one
/// came last.
static LogicalResult verifyAbsoluteEdits(Block &block) {
  SmallVector<DeltaOp> deltas(block.getOps<DeltaOp>());
  // A gate's plans are looked up once, however many edits it holds back.
  llvm::DenseMap<Value, std::optional<SmallVector<int64_t>>> plansOfGate;
  for (DeltaOp delta : deltas)
    if (delta.getGate() && !plansOfGate.contains(delta.getGate()))
      plansOfGate[delta.getGate()] = plansOf(delta.getGate());
  std::vector<Columns> edited;
  std::vector<AbsoluteEdit> edits;
  for (DeltaOp delta : deltas)
    edited.push_back(featuresOf(delta.getFrom()));
  for (auto [delta, columns] : llvm::zip_equal(deltas, edited)) {
    AbsoluteEdit &edit = edits.emplace_back();
    edit.dictionary =
        columns.first ? columns.first.getAsOpaquePointer() : nullptr;
    edit.features = columns.second;
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

LogicalResult PatchOp::verifyRegions() {
  Block &block = getBody().front();
  if (block.getNumArguments() != 1 ||
      block.getArgument(0).getType() != getInput().getType())
    return emitOpError("expects one block argument of the site's type");
  auto yield = dyn_cast<YieldOp>(block.getTerminator());
  if (!yield || yield.getValue().getType() != getInput().getType())
    return emitOpError("expects to yield a value of the site's type");
  if (failed(verifyOrder(block)))
    return failure();
  return verifyAbsoluteEdits(block);
}

//===----------------------------------------------------------------------===//
// Reading and new activations
//===----------------------------------------------------------------------===//

LogicalResult ReadOp::verify() {
  return failed(verifyFeaturesRead(*this)) ? failure() : verifyGather(*this);
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
  if (getColumns().empty())
    return emitOpError("picks no column");
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a static number of columns");
  for (int64_t column : getColumns())
    if (column < 0 || column >= lastSize(getInput()))
      return emitOpError("picks column ")
             << column << " of " << lastSize(getInput());
  return success();
}

LogicalResult InputScaleOp::verify() {
  if (getNormalization() == flow::Normalization::None)
    return emitOpError("is for normalised dictionaries");
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a value of static width");
  return success();
}

/// One number for all features, or one for each; a knob for the same tokens.
static LogicalResult verifyNumbers(Operation *op, ArrayRef<double> numbers,
                                   Value times, Value result) {
  int64_t count = numbers.size();
  if (count != 1 && count != lastSize(result))
    return op->emitOpError("has ")
           << count << " numbers for " << lastSize(result) << " features";
  for (double number : numbers)
    if (!std::isfinite(number))
      return op->emitOpError("has a number that is not finite");
  return verifyFits(op, times, "knob", result);
}

LogicalResult SetToOp::verify() {
  return verifyNumbers(*this, getValues(), getTimes(), getResult());
}
LogicalResult ScaleByOp::verify() {
  return verifyNumbers(*this, getFactors(), getTimes(), getResult());
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

LogicalResult DeltaOp::verify() {
  if (failed(verifyFits(*this, getGate(), "gate", getResult())))
    return failure();
  return verifyFits(*this, getScale(), "scale", getResult());
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
    bool everyToken = cast<ShapedType>(coefficient.getType()).getRank() == 1;
    if (everyToken && lastSize(coefficient) != 1)
      return emitOpError("expects one coefficient where there is no token, got ")
             << lastSize(coefficient);
    if (!everyToken &&
        failed(verifyFits(*this, coefficient, "coefficient", getInput())))
      return failure();
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
  if (!isa<flow::BasisAttr>(getRows()))
    return emitOpError("expects an orthonormal basis, got ") << getRows();
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a value of static width");
  return verifyFits(*this, getGate(), "gate", getInput());
}

EditStage WriteOp::getStage() { return EditStage::Write; }
EditStage ProjectOp::getStage() { return EditStage::Project; }
EditStage RescaleOp::getStage() { return EditStage::Rescale; }
bool ProjectOp::mayRepeat() { return true; }

LogicalResult RescaleOp::verify() {
  return verifyFits(*this, getGate(), "gate", getInput());
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
  return verifyFits(*this, getGate(), "gate", getInput());
}

LogicalResult RecordValueOp::verify() {
  if (ShapedType::isDynamic(lastSize(getInput())))
    return emitOpError("expects a value of static width");
  return success();
}

LogicalResult CountOp::verify() {
  if (getEdits().empty())
    return emitOpError("counts no edit");
  if (getPolicies().size() != getEdits().size())
    return emitOpError("names ") << getPolicies().size() << " policies for "
                                 << getEdits().size() << " edits";
  return success();
}

SmallVector<StringRef> CountOp::getColumns() {
  llvm::SetVector<StringRef> columns;
  for (auto name : getPolicies().getAsValueRange<StringAttr>())
    columns.insert(name);
  return columns.takeVector();
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

/// A row's prompt length for each row, or a token's for each token.
LogicalResult TokensOp::verify() {
  if (getScope() != getScope().getPlain())
    return emitOpError("goes by positions: markers are those of "
                       "'steer.marked', shares those of 'steer.ramp'");
  int64_t rows = getPositions().getType().getDimSize(0);
  int64_t lengths = getPromptLength().getType().getDimSize(0);
  if (!ShapedType::isDynamic(rows) && !ShapedType::isDynamic(lengths) &&
      rows != lengths)
    return emitOpError("has ") << lengths << " prompt lengths for positions of "
                               << rows << " rows";
  return success();
}

LogicalResult CompareOp::verify() {
  if (!getAbove() && !getBelow())
    return emitOpError("has nothing to compare with");
  if ((getAbove() && getAbove()->isNaN()) || (getBelow() && getBelow()->isNaN()))
    return emitOpError("compares with what is no number");
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
