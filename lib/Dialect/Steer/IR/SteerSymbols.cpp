//===- SteerSymbols.cpp - What the steer dialect's symbols mean ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Shapes.h"

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

//===----------------------------------------------------------------------===//
// Policies and plans
//===----------------------------------------------------------------------===//

LogicalResult PolicyOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FlatSymbolRefAttr knob = getTimesAttr();
  if (knob && !symbols.lookupNearestSymbolFrom<KnobOp>(*this, knob))
    return emitError() << "there is no knob " << knob;
  return success();
}

LogicalResult PlanOp::verifySymbolUses(SymbolTableCollection &symbols) {
  for (auto policy : getPolicies().getAsRange<FlatSymbolRefAttr>())
    if (!symbols.lookupNearestSymbolFrom<PolicyOp>(*this, policy))
      return emitError() << "there is no policy " << policy;
  return success();
}

/// The number of symbols of one kind that are declared around an operation.
template <typename SymbolOp> static int64_t countDeclared(Operation *op) {
  Operation *table = SymbolTable::getNearestSymbolTable(op);
  return table ? llvm::range_size(table->getRegion(0).getOps<SymbolOp>()) : 0;
}

/// Whether an operation is the first of its kind among the users of an input.
/// That one checks the others too, so that plans are counted once a program and
/// not once a gate.
template <typename Op> static bool checksForAll(Op op, Value input) {
  return *llvm::find_if(input.getUsers(), llvm::IsaPred<Op>) ==
         op.getOperation();
}

LogicalResult InPlansOp::verifySymbolUses(SymbolTableCollection &) {
  if (!checksForAll(*this, getPlan()))
    return success();
  int64_t declared = countDeclared<PlanOp>(*this);
  for (Operation *user : getPlan().getUsers())
    if (auto gate = dyn_cast<InPlansOp>(user))
      for (int64_t plan : gate.getPlans())
        if (plan >= declared)
          return gate.emitOpError("holds in plan ")
                 << plan << " of a module that declares " << declared;
  return success();
}

LogicalResult KnobValueOp::verifySymbolUses(SymbolTableCollection &) {
  if (!checksForAll(*this, getKnobs()))
    return success();
  int64_t declared = countDeclared<KnobOp>(*this);
  for (Operation *user : getKnobs().getUsers())
    if (auto knob = dyn_cast<KnobValueOp>(user))
      if (knob.getIndex() >= static_cast<uint64_t>(declared))
        return knob.emitOpError("takes knob ")
               << knob.getIndex() << " of a module that declares " << declared;
  return success();
}

//===----------------------------------------------------------------------===//
// Dictionaries
//===----------------------------------------------------------------------===//

/// The dictionary, or null after an error.
static flow::DictionaryOp lookUp(Operation *op, SymbolTableCollection &symbols,
                                 FlatSymbolRefAttr name) {
  auto dictionary =
      symbols.lookupNearestSymbolFrom<flow::DictionaryOp>(op, name);
  if (!dictionary)
    op->emitError() << "there is no dictionary " << name;
  return dictionary;
}

static LogicalResult verifyFeatures(Operation *op,
                                    flow::DictionaryOp dictionary,
                                    ArrayRef<int64_t> features) {
  for (int64_t feature : features)
    if (feature < 0 || feature >= static_cast<int64_t>(dictionary.getFeatures()))
      return op->emitOpError("uses feature ")
             << feature << " of @" << dictionary.getSymName() << ", which has "
             << dictionary.getFeatures();
  return success();
}

static LogicalResult verifySizes(Operation *op, flow::DictionaryOp dictionary,
                                 int64_t features, int64_t width) {
  if (features != static_cast<int64_t>(dictionary.getFeatures()))
    return op->emitOpError("has a size of ")
           << features << ", but @" << dictionary.getSymName() << " has "
           << dictionary.getFeatures() << " features";
  if (width != static_cast<int64_t>(dictionary.getWidth()))
    return op->emitOpError("has a value of width ")
           << width << ", but @" << dictionary.getSymName() << " encodes "
           << dictionary.getWidth();
  return success();
}

/// Every row that a recipe is made from is of a dictionary, and of the width of
/// the value it is written to.
static LogicalResult verifyRecipe(Operation *op, SymbolTableCollection &symbols,
                                  Attribute recipe, int64_t width) {
  WalkResult walked = recipe.walk([&](flow::RowsAttr rows) {
    flow::DictionaryOp dictionary = lookUp(op, symbols, rows.getDictionary());
    if (!dictionary || failed(verifyFeatures(op, dictionary, rows.getFeatures())))
      return WalkResult::interrupt();
    if (width == static_cast<int64_t>(dictionary.getWidth()))
      return WalkResult::advance();
    op->emitOpError("has a value of width ")
        << width << ", but rows of @" << dictionary.getSymName() << " have "
        << dictionary.getWidth() << " numbers";
    return WalkResult::interrupt();
  });
  return failure(walked.wasInterrupted());
}

/// A decoder for each of some features, and the vector that it begins with.
static LogicalResult verifyDecoder(Operation *op, SymbolTableCollection &symbols,
                                   Attribute rows, Attribute bias,
                                   int64_t features, int64_t width) {
  if (failed(verifyRecipe(op, symbols, rows, width)) ||
      failed(verifyRecipe(op, symbols, bias, width)))
    return failure();
  FlatSymbolRefAttr of;
  if (auto carried = dyn_cast<flow::CarriedAttr>(rows)) {
    flow::DictionaryOp target = lookUp(op, symbols, carried.getTarget());
    if (!target)
      return failure();
    if (width != static_cast<int64_t>(target.getWidth()))
      return op->emitOpError("has a value of width ")
             << width << ", but rows of @" << target.getSymName() << " have "
             << target.getWidth() << " numbers";
    of = carried.getSource();
  } else {
    of = cast<flow::RowsAttr>(rows).getDictionary();
  }
  flow::DictionaryOp dictionary = lookUp(op, symbols, of);
  if (!dictionary)
    return failure();
  if (features == static_cast<int64_t>(dictionary.getFeatures()))
    return success();
  return op->emitOpError("has ")
         << features << " activations for the " << dictionary.getFeatures()
         << " features of @" << dictionary.getSymName();
}

LogicalResult
ReconstructOp::verifySymbolUses(SymbolTableCollection &symbols) {
  flow::DictionaryOp dictionary = lookUp(*this, symbols, getDictionaryAttr());
  int64_t width = lastSize(getInput());
  if (!dictionary ||
      failed(verifySizes(*this, dictionary, getDictionarySize(), width)))
    return failure();
  if (getActivationAttr() != dictionary.getActivationAttr() ||
      getNormalization() != dictionary.getNormalization())
    return emitOpError("does not encode as @")
           << dictionary.getSymName() << " does: activation "
           << dictionary.getActivationAttr() << ", normalization "
           << flow::stringifyNormalization(dictionary.getNormalization());
  return verifyDecoder(*this, symbols, getRows(), getBias(),
                       getDictionarySize(), width);
}

LogicalResult DecodeOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyDecoder(*this, symbols, getRows(), getBias(),
                       lastSize(getInput()), lastSize(getResult()));
}

/// A read, of some features or of those of the row's plan: it says of its
/// dictionary what the dictionary says.
template <typename Op>
static LogicalResult verifyRead(Op op, SymbolTableCollection &symbols) {
  flow::DictionaryOp dictionary = lookUp(op, symbols, op.getDictionaryAttr());
  if (!dictionary)
    return failure();
  // Neurons are read where they are, and written at another width.
  int64_t width =
      op.getGather() ? dictionary.getWidth() : lastSize(op.getInput());
  if (failed(verifySizes(op, dictionary, op.getDictionarySize(), width)))
    return failure();
  if (op.getActivationAttr() != dictionary.getActivationAttr() ||
      op.getNormalization() != dictionary.getNormalization())
    return op.emitOpError("does not encode as @")
           << dictionary.getSymName() << " does: activation "
           << dictionary.getActivationAttr() << ", normalization "
           << flow::stringifyNormalization(dictionary.getNormalization());
  return success();
}

LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyRead(*this, symbols);
}

LogicalResult EncodeOp::verifySymbolUses(SymbolTableCollection &symbols) {
  flow::DictionaryOp dictionary = lookUp(*this, symbols, getDictionaryAttr());
  if (!dictionary)
    return failure();
  return verifySizes(*this, dictionary, getDictionarySize(),
                     lastSize(getInput()));
}

LogicalResult ActivateOp::verifySymbolUses(SymbolTableCollection &symbols) {
  flow::DictionaryOp dictionary = lookUp(*this, symbols, getDictionaryAttr());
  if (!dictionary || failed(verifyFeatures(*this, dictionary, getFeatures())))
    return failure();
  if (getFeatures().empty() &&
      lastSize(getInput()) != static_cast<int64_t>(dictionary.getFeatures()))
    return emitOpError("has ") << lastSize(getInput()) << " columns for the "
                               << dictionary.getFeatures() << " features of @"
                               << dictionary.getSymName();
  if (getActivationAttr() != dictionary.getActivationAttr())
    return emitOpError("does not activate as @")
           << dictionary.getSymName() << " does: "
           << dictionary.getActivationAttr();
  return success();
}

LogicalResult WriteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyRecipe(*this, symbols, getRows(), lastSize(getInput()));
}

LogicalResult ProjectOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyRecipe(*this, symbols, getRows(), lastSize(getInput()));
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

LogicalResult SlotOp::verifySymbolUses(SymbolTableCollection &) {
  if (!checksForAll(*this, getPlan()))
    return success();
  int64_t declared = countDeclared<PlanOp>(*this);
  for (Operation *user : getPlan().getUsers())
    if (auto slot = dyn_cast<SlotOp>(user))
      if (static_cast<int64_t>(slot.getSlots().size()) != declared)
        return slot.emitOpError("has ")
               << slot.getSlots().size()
               << " entries for a module that declares " << declared
               << " plans";
  return success();
}

LogicalResult RowReadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyRead(*this, symbols);
}

LogicalResult RowWriteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyRecipe(*this, symbols, getDirections(), lastSize(getInput()));
}

LogicalResult RowProjectOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyRecipe(*this, symbols, getDirections(), lastSize(getInput()));
}
