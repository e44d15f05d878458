//===- TabulatePlans.cpp - Policies of one form become tables ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanForms.h"
#include "PlanTables.h"

#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/IR/Remarks.h"
#include "llvm/ADT/STLExtras.h"

namespace weir::steer {
#define GEN_PASS_DEF_STEERTABULATEPLANSPASS
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// Rewrites one patch.
class PatchTabulator {
public:
  PatchTabulator(PatchOp patch, GateForms &gates, int64_t plans,
                 unsigned minPolicies)
      : patch(patch), gates(gates), plans(plans), minPolicies(minPolicies) {}

  void run();
  /// The edits that went into tables, by group.
  std::vector<std::vector<Location>> tabulated;

private:
  void tabulateWrite(WriteOp write);
  void tabulateProjections(MutableArrayRef<ProjectOp> chain);
  void tabulateNorm(RescaleOp rescale);

  Value writeGroup(OpBuilder &builder, Value x, ArrayRef<const EditForm *> group);
  Value projectGroup(OpBuilder &builder, Value x,
                     ArrayRef<const ProjectionForm *> group);
  /// Says that a group was tabulated; the location of all of it.
  template <typename Form> Location note(ArrayRef<const Form *> group);
  template <typename Form>
  static std::vector<const GateForm *> gatesOf(ArrayRef<const Form *> group) {
    std::vector<const GateForm *> gates;
    for (const Form *form : group)
      gates.push_back(form->gate);
    return gates;
  }

  PatchOp patch;
  GateForms &gates;
  int64_t plans;
  unsigned minPolicies;
};

template <typename Form>
Location PatchTabulator::note(ArrayRef<const Form *> group) {
  std::vector<Location> &places = tabulated.emplace_back();
  for (const Form *form : group)
    places.push_back(form->loc);
  return FusedLoc::get(patch.getContext(), places);
}

void PatchTabulator::run() {
  WriteOp write;
  SmallVector<ProjectOp> projections;
  RescaleOp rescale;
  for (Operation &op : patch.getBody().front()) {
    if (auto found = dyn_cast<WriteOp>(op))
      write = found;
    else if (auto found = dyn_cast<ProjectOp>(op))
      projections.push_back(found);
    else if (auto found = dyn_cast<RescaleOp>(op))
      rescale = found;
  }
  // From the last to the first: what is behind an edit stays where it is.
  if (rescale)
    tabulateNorm(rescale);
  tabulateProjections(projections);
  if (write)
    tabulateWrite(write);
}

//===----------------------------------------------------------------------===//
// Edits and additions
//===----------------------------------------------------------------------===//

void PatchTabulator::tabulateWrite(WriteOp write) {
  std::vector<EditForm> forms = collectEdits(write, gates);
  Grouping<EditForm> grouping;
  for (const EditForm &form : forms)
    grouping.add(form);
  auto groups = grouping.takeAtLeast(minPolicies);
  if (groups.empty())
    return;

  llvm::DenseSet<unsigned> taken;
  for (const auto &group : groups)
    for (const EditForm *form : group)
      taken.insert(form->coefficients.begin(), form->coefficients.end());
  SmallVector<Value> coefficients;
  SmallVector<Attribute> rows;
  for (auto [i, coefficient, row] :
       llvm::enumerate(write.getCoefficients(), write.getRows())) {
    if (taken.contains(i))
      continue;
    coefficients.push_back(coefficient);
    rows.push_back(row);
  }
  OpBuilder builder(write);
  Value x = write.getInput();
  if (!coefficients.empty())
    x = WriteOp::create(builder, write.getLoc(), write.getType(), x,
                        coefficients, builder.getArrayAttr(rows));
  for (const auto &group : groups)
    x = writeGroup(builder, x, group);
  write.getResult().replaceAllUsesWith(x);
  write.erase();
}

Value PatchTabulator::writeGroup(OpBuilder &builder, Value x,
                                 ArrayRef<const EditForm *> group) {
  Location loc = note(group);
  const EditForm &first = *group.front();
  auto groupGates = gatesOf(group);
  PlanTables tables(patch, builder, loc, groupGates, plans);
  Value knob = tables.knob(llvm::map_to_vector(
      group, [](const EditForm *form) { return form->knob; }));

  if (first.kind == EditForm::Add) {
    SmallVector<Attribute> directions;
    std::vector<std::vector<double>> numbers;
    for (const EditForm *form : group) {
      directions.push_back(form->direction);
      numbers.push_back({form->numbers.front()});
    }
    Value gate = tables.gate();
    Value coefficient =
        RowStrengthOp::create(builder, loc, tables.numbers(numbers, 0.0), knob,
                              gate);
    auto [recipe, rows] = tables.directions(directions);
    return RowWriteOp::create(builder, loc, x.getType(), x, coefficient, rows,
                              recipe);
  }

  // Features are stored once, however many plans edit them.
  std::vector<ArrayRef<int64_t>> read, readOther;
  std::vector<std::vector<double>> numbers, others;
  for (const EditForm *form : group) {
    read.push_back(form->read.features);
    readOther.push_back(form->other.features);
    numbers.push_back(form->numbers);
    others.push_back(form->maxima);
  }
  auto [features, rows] = tables.features(read);
  Value f = tables.read(first.read, features, rows);
  Value v;
  switch (first.kind) {
  case EditForm::Set:
    v = RowSetOp::create(builder, loc, f.getType(), f,
                         tables.numbers(numbers, 0.0), knob);
    break;
  case EditForm::Scale:
    v = RowScaleOp::create(builder, loc, f.getType(), f,
                           tables.numbers(numbers, 1.0), knob);
    break;
  case EditForm::Clamp: {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    v = RowClampOp::create(
        builder, loc, f.getType(), f,
        first.hasMin ? tables.numbers(numbers, -infinity) : Value(),
        first.hasMax ? tables.numbers(others, infinity) : Value());
    break;
  }
  case EditForm::Sum: {
    auto [sources, sourceRows] = tables.features(readOther);
    v = SumOp::create(builder, loc, f.getType(), f,
                      tables.read(first.other, sources, sourceRows));
    break;
  }
  case EditForm::Add:
    llvm_unreachable("additions read nothing");
  }
  Value scale = tables.knob(
      llvm::map_to_vector(group,
                          [](const EditForm *form) { return form->scale; }),
      builder);
  Value delta = DeltaOp::create(builder, loc, f.getType(), f, v, tables.gate(),
                                scale, first.onlyActive);
  if (Value kept = tables.columns(read))
    delta = RowKeepOp::create(builder, loc, delta.getType(), delta, kept);
  ReadOp like = first.read.op;
  auto recipe = flow::RowsAttr::get(builder.getContext(),
                                    flow::RowsPart::Decoder,
                                    like.getDictionaryAttr(), features);
  return RowWriteOp::create(builder, loc, x.getType(), x, delta, rows, recipe);
}

//===----------------------------------------------------------------------===//
// Projections
//===----------------------------------------------------------------------===//

void PatchTabulator::tabulateProjections(MutableArrayRef<ProjectOp> chain) {
  std::vector<ProjectionForm> forms = collectProjections(chain, gates);
  if (forms.size() < minPolicies)
    return;
  for (auto [before, after] : llvm::zip(chain, chain.drop_front()))
    if (after.getInput() != before.getResult())
      return;
  // Projections of one plan stay in their order: each comes in a later step than
  // those before it that share a plan with it. Those of a step commute.
  std::vector<std::vector<const ProjectionForm *>> steps;
  llvm::DenseMap<int64_t, unsigned> stepAfter; // plan -> first step that is free
  unsigned everyPlan = 0;
  for (const ProjectionForm &form : forms) {
    unsigned step = everyPlan;
    if (!form.gate) {
      step = steps.size(); // acts in every plan
      everyPlan = step + 1;
    } else {
      for (int64_t plan : form.gate->plans)
        step = std::max(step, stepAfter.lookup(plan));
      for (int64_t plan : form.gate->plans)
        stepAfter[plan] = step + 1;
    }
    if (step >= steps.size())
      steps.resize(step + 1);
    steps[step].push_back(&form);
  }

  std::vector<Grouping<ProjectionForm>> groupings(steps.size());
  bool any = false;
  for (auto [step, grouping] : llvm::zip_equal(steps, groupings)) {
    for (const ProjectionForm *form : step)
      if (form->gate)
        grouping.add(*form);
    any |= grouping.hasAtLeast(minPolicies);
  }
  if (!any)
    return;

  OpBuilder builder(patch.getContext());
  builder.setInsertionPointAfter(chain.back());
  Value x = chain.front().getInput(), before = chain.back().getResult();
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : before.getUses())
    uses.push_back(&use);
  for (auto [step, grouping] : llvm::zip_equal(steps, groupings)) {
    llvm::DenseSet<const ProjectionForm *> taken;
    for (const auto &group : grouping.takeAtLeast(minPolicies)) {
      x = projectGroup(builder, x, group);
      taken.insert(group.begin(), group.end());
    }
    for (const ProjectionForm *form : step) {
      ProjectOp op = form->op;
      if (!taken.contains(form))
        x = ProjectOp::create(builder, op.getLoc(), x.getType(), x,
                              op.getRows(), op.getGate());
    }
  }
  for (OpOperand *use : uses)
    use->set(x);
  for (ProjectOp op : llvm::reverse(chain))
    op.erase();
}

Value PatchTabulator::projectGroup(OpBuilder &builder, Value x,
                                   ArrayRef<const ProjectionForm *> group) {
  Location loc = note(group);
  auto groupGates = gatesOf(group);
  PlanTables tables(patch, builder, loc, groupGates, plans);
  SmallVector<Attribute> bases;
  for (const ProjectionForm *form : group) {
    ProjectOp op = form->op;
    bases.push_back(op.getRows());
  }
  Value columns;
  auto [recipe, rows] = tables.directions(bases, &columns);
  Value gate = tables.gate();
  return RowProjectOp::create(builder, loc, x.getType(), x, rows, recipe,
                              columns, gate);
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

void PatchTabulator::tabulateNorm(RescaleOp rescale) {
  auto any = rescale.getGate() ? rescale.getGate().getDefiningOp<AnyOp>()
                               : AnyOp();
  if (!any || any.getInputs().size() < minPolicies)
    return;
  std::vector<NormForm> forms;
  SmallVector<Value> kept;
  for (Value gate : any.getInputs()) {
    if (const GateForm *form = gates.of(gate))
      forms.push_back({form, gate.getLoc(), gate});
    else
      kept.push_back(gate);
  }
  Grouping<NormForm> grouping;
  for (const NormForm &form : forms)
    grouping.add(form);
  auto groups = grouping.takeAtLeast(minPolicies);
  if (groups.empty())
    return;
  llvm::DenseSet<const NormForm *> taken;
  OpBuilder builder(rescale);
  SmallVector<Value> joined;
  for (const auto &group : groups) {
    taken.insert(group.begin(), group.end());
    std::vector<Location> places;
    for (const NormForm *form : group)
      places.push_back(form->loc);
    auto groupGates = gatesOf(ArrayRef<const NormForm *>(group));
    PlanTables tables(patch, builder,
                      FusedLoc::get(patch.getContext(), places), groupGates,
                      plans);
    joined.push_back(tables.gate());
  }
  for (const NormForm &form : forms)
    if (!taken.contains(&form))
      kept.push_back(form.value);
  llvm::append_range(kept, joined);
  Value gate = kept.front();
  if (kept.size() > 1)
    gate = AnyOp::create(
        builder, any.getLoc(),
        broadcastGateType(llvm::map_to_vector(
                              kept, [](Value each) { return each.getType(); }),
                          builder.getI1Type()),
        kept);
  rescale.getGateMutable().assign(gate);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

void eraseDead(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isa_and_nonnull<SteerDialect>(op.getDialect()) &&
        isOpTriviallyDead(&op))
      op.erase();
}

struct SteerTabulatePlans
    : steer::impl::SteerTabulatePlansPassBase<SteerTabulatePlans> {
  using SteerTabulatePlansPassBase::SteerTabulatePlansPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    int64_t plans = llvm::range_size(module.getOps<PlanOp>());
    for (auto program : module.getOps<fx::ProgramOp>())
      tabulate(program, plans);
  }

  void tabulate(fx::ProgramOp program, int64_t plans) {
    // A program may stand by itself, without the plans that it was made for.
    program.walk([&](InPlansOp op) {
      if (!op.getPlans().empty())
        plans = std::max(plans, op.getPlans().back() + 1);
    });
    GateForms gates;
    SmallVector<PatchOp> patches(program.getEntry().getOps<PatchOp>());
    for (PatchOp patch : patches) {
      if (isCounted(patch))
        continue;
      PatchTabulator tabulator(patch, gates, plans,
                               std::max<unsigned>(minPolicies, 2));
      tabulator.run();
      for (ArrayRef<Location> group : tabulator.tabulated)
        report(patch, group);
    }
    for (PatchOp patch : patches)
      eraseDead(patch.getBody().front());
    eraseDead(program.getEntry());
  }

  /// Where the edits of each policy are counted, each has to be worked out for
  /// every row, so that a table would only do the same a second time.
  bool isCounted(PatchOp patch) {
    auto counts = patch.getBody().front().getOps<CountOp>();
    if (counts.empty())
      return false;
    CountOp count = *counts.begin();
    if (count.getEdits().size() >= std::max<unsigned>(minPolicies, 2))
      remark::missed(patch.getLoc(), remark::RemarkOpts::name("Counted").category(
                                         "steer"))
          << "no policy became a row of a table at " +
                 fx::siteName(patch.getSite().getKind(),
                              patch.getSite().getLayer()) +
                 ", where the edits of each one are counted";
    return true;
  }

  void report(PatchOp patch, ArrayRef<Location> group) {
    ++tables;
    policies += group.size();
    std::string site =
        fx::siteName(patch.getSite().getKind(), patch.getSite().getLayer());
    std::string message = " became a row of a table at " + site + ", one of " +
                          std::to_string(group.size());
    for (Location loc : group)
      loc->walk([&](Location part) {
        auto name = dyn_cast<NameLoc>(part);
        if (!name)
          return WalkResult::advance();
        remark::passed(name, remark::RemarkOpts::name("Tabulated")
                                 .category("steer"))
            << "policy '" + name.getName().str() + "'" + message;
        return WalkResult::skip();
      });
  }
};

} // namespace
