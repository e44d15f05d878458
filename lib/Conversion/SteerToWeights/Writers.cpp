//===- Writers.cpp - What makes a value, as linear maps ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Writers.h"

#include "weir/Operators/Operators.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::fx;
using namespace weir::steer;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// What an operation hands on as it is, or null.
static Value forwardedBy(Operation *op) {
  if (auto site = dyn_cast_if_present<SiteOp>(op))
    return site.getInput();
  if (auto call = dyn_cast_if_present<CallOp>(op))
    return call.getForwarded();
  return {};
}

FailureOr<ProgramOp> weir::onlyProgram(ModuleOp module) {
  auto programs = llvm::to_vector(module.getOps<ProgramOp>());
  if (programs.size() != 1)
    return module.emitError()
           << "expects one program, found " << programs.size();
  return programs.front();
}

Value weir::handedOn(Value value) {
  while (Value before = forwardedBy(value.getDefiningOp()))
    value = before;
  return value;
}

/// Does a call look at the sizes of a tensor, or check it, and at none of its
/// numbers?
static bool looksAtSizes(Operation *op) {
  auto call = dyn_cast<CallOp>(op);
  const OperatorInfo *info = call ? call.getOperatorInfo() : nullptr;
  return info && info->costKind() == OperatorCost::Nothing &&
         llvm::none_of(op->getResultTypes(),
                       [](Type type) { return isa<RankedTensorType>(type); });
}

SmallVector<OpOperand *> weir::readersOf(Value value) {
  SmallVector<OpOperand *> readers;
  SmallVector<Value> queue{value};
  while (!queue.empty())
    for (OpOperand &use : queue.pop_back_val().getUses())
      if (forwardedBy(use.getOwner()) == use.get())
        queue.push_back(use.getOwner()->getResult(0));
      else if (!looksAtSizes(use.getOwner()))
        readers.push_back(&use);
  return readers;
}

static OperatorRole roleOf(CallOp call) {
  const OperatorInfo *info = call ? call.getOperatorInfo() : nullptr;
  return info && info->effect != OperatorEffect::Writes &&
                 call->getNumResults() == 1
             ? info->role
             : OperatorRole::Other;
}

bool weir::isPlainSum(CallOp call) {
  if (roleOf(call) != OperatorRole::Sum)
    return false;
  if (Attribute alpha = call.getArgument("alpha")) {
    auto number = dyn_cast<IntegerAttr>(alpha);
    if (!number || number.getInt() != 1)
      return false;
  }
  Value other = call.getArgumentValue("other");
  return call.getMainInput() && other && isa<RankedTensorType>(other.getType());
}

static int64_t widthOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() ? type.getShape().back() : ShapedType::kDynamic;
}

std::string Writers::describe(Value value) {
  auto call = value.getDefiningOp<CallOp>();
  if (!call)
    return "an input of the program";
  std::string text = ("'" + call.getTarget() + "'").str();
  if (!call.getModulePath().empty())
    text += (" in module '" + call.getModulePath() + "'").str();
  return text;
}

bool Writers::fail(const Twine &what) {
  // What is furthest from the value explains the most.
  problem = what.str();
  return false;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

StoredWeight weir::storedWeight(ProgramOp program, CallOp call) {
  const OperatorInfo *info = call.getOperatorInfo();
  Value weight = call.getMainWeight();
  if (!info || !weight || info->packing != WeightPacking::Plain)
    return {};
  StoredWeight result;
  result.layout = info->role == OperatorRole::Gather ? WeightLayout::InOut
                                                     : info->layout;
  for (OpOperand &operand : call->getOpOperands())
    if (operand.get() == weight)
      result.operand = &operand;
  for (unsigned steps = 0; steps < 8; ++steps) {
    Value value = result.operand->get();
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      InputAttr input = program.getInput(argument.getArgNumber());
      auto type = dyn_cast<RankedTensorType>(value.getType());
      if (input.getKind() != InputKind::Parameter || !type ||
          type.getRank() != 2 || !type.hasStaticShape() ||
          !isa<FloatType>(type.getElementType()))
        return {};
      result.name = input.getWeight();
      return result;
    }
    // Whoever else reads what is turned would get the other weight too.
    auto turned = value.getDefiningOp<CallOp>();
    if (!turned || !value.hasOneUse() || !turned.getMainInput())
      return {};
    if (roleOf(turned) == OperatorRole::Transpose)
      result.layout = result.layout == WeightLayout::OutIn ? WeightLayout::InOut
                                                           : WeightLayout::OutIn;
    else if (!turned.getForwarded())
      return {};
    for (OpOperand &operand : turned->getOpOperands())
      if (operand.get() == turned.getMainInput())
        result.operand = &operand;
  }
  return {};
}

bool Writers::takes(CallOp call, const ConstantEdit &edit, bool reads) {
  StoredWeight weight = storedWeight(program, call);
  const OperatorInfo *info = call.getOperatorInfo();
  if (!weight.name)
    return fail("the weight of " + describe(call.getResult(0)) +
                " is not stored as a matrix of floating-point numbers");
  if (roleOf(call) == OperatorRole::Gather)
    return edit.isProjection ||
           fail("a vector that is added to every embedding has no place in " +
                describe(call.getResult(0)));
  for (StringRef factor : {"beta", "alpha"})
    if (Attribute number = call.getArgument(factor)) {
      auto integer = dyn_cast<IntegerAttr>(number);
      if (!integer || integer.getInt() != 1)
        return fail(describe(call.getResult(0)) + " multiplies its terms");
    }
  Value bias =
      info->bias.empty() ? Value() : call.getArgumentValue(info->bias);
  bool needsBias = !edit.isProjection || (!reads && bias);
  if (!needsBias)
    return true;
  if (info->bias.empty())
    return fail(describe(call.getResult(0)) + " has no bias");
  if (!bias)
    return true;
  auto argument = dyn_cast<BlockArgument>(bias);
  auto type = dyn_cast<RankedTensorType>(bias.getType());
  if (!argument || !type || type.getRank() != 1 || !type.hasStaticShape() ||
      program.getInput(argument.getArgNumber()).getKind() != InputKind::Parameter)
    return fail("the bias of " + describe(call.getResult(0)) +
                " is not a stored vector");
  return true;
}

//===----------------------------------------------------------------------===//
// Searching
//===----------------------------------------------------------------------===//

bool Writers::isClean(Value value, Attribute basis) {
  value = handedOn(value);
  if (auto found = clean.find(value); found != clean.end())
    if (found->second.back() == basis)
      return true;
  auto call = value.getDefiningOp<CallOp>();
  if (isPlainSum(call))
    return isClean(call.getMainInput(), basis) &&
           isClean(call.getArgumentValue("other"), basis);
  return false;
}

bool Writers::isOvertaken(Value value, Attribute basis) {
  value = handedOn(value);
  if (auto found = clean.find(value); found != clean.end())
    return llvm::is_contained(found->second, basis);
  auto call = value.getDefiningOp<CallOp>();
  return isPlainSum(call) &&
         (isOvertaken(call.getMainInput(), basis) ||
          isOvertaken(call.getArgumentValue("other"), basis));
}

bool Writers::backwardSum(CallOp sum, const ConstantEdit &edit,
                          Targets &targets) {
  Value terms[] = {sum.getMainInput(), sum.getArgumentValue("other")};
  if (handedOn(terms[0]) == handedOn(terms[1]))
    return fail(describe(sum.getResult(0)) + " adds a value to itself");
  if (edit.isProjection) {
    for (Value term : terms) {
      if (isClean(term, edit.recipe))
        continue;
      // Two projections give one where they commute, which those of two policies
      // hardly ever do: the second one brings back a part of what the first took.
      if (isOvertaken(term, edit.recipe))
        return fail("another policy's projection of the stream follows at every "
                    "layer, and weights cannot do the two in turn; one policy with "
                    "the features of both folds");
      if (!backward(term, edit, sum, targets))
        return false;
    }
    return true;
  }
  // Into one of them. A block's own part is the one that nobody else reads.
  std::string first;
  size_t before = targets.size(), depth = path.size();
  for (Value term : terms) {
    if (backward(term, edit, sum, targets))
      return true;
    targets.truncate(before);
    path.truncate(depth);
    // Who else reads the stream explains less than what the block's part is.
    if (first.empty() || StringRef(first).contains("also read"))
      first = problem;
  }
  problem = first;
  return false;
}

bool Writers::backwardProduct(CallOp product, ConstantEdit edit,
                              Targets &targets) {
  Value input = product.getMainInput();
  Attribute constant = product.getArgument("other");
  Value other = product.getArgumentValue("other");
  if (other) {
    auto isNumber = [](Value value) {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      return type && type.hasStaticShape() && type.getNumElements() == 1;
    };
    if (isNumber(input))
      std::swap(input, other);
    if (!isNumber(other))
      return fail("it comes from " + describe(product.getResult(0)) +
                  ", which is no linear map of a stored weight");
    if (!edit.isProjection)
      return fail("it is multiplied by a stored number in " +
                  describe(product.getResult(0)));
    return backward(input, edit, product, targets);
  }
  double factor = 0;
  if (auto real = dyn_cast_if_present<FloatAttr>(constant))
    factor = real.getValueAsDouble();
  else if (auto integer = dyn_cast_if_present<IntegerAttr>(constant))
    factor = static_cast<double>(integer.getInt());
  if (factor == 0)
    return fail("it is multiplied by nothing in " +
                describe(product.getResult(0)));
  if (!edit.isProjection) {
    auto sum = cast<flow::SumAttr>(edit.recipe);
    SmallVector<double> weights(sum.getWeights().asArrayRef());
    for (double &weight : weights)
      weight /= factor;
    edit.recipe = flow::SumAttr::get(
        sum.getContext(),
        DenseF64ArrayAttr::get(sum.getContext(), weights), sum.getRows());
  }
  return backward(input, edit, product, targets);
}

bool Writers::backward(Value value, ConstantEdit edit, Operation *reader,
                       Targets &targets) {
  int64_t width = widthOf(value);
  value = handedOn(value);
  for (OpOperand *use : readersOf(value))
    if (use->getOwner() != reader) {
      std::string who =
          isa<CallOp>(use->getOwner()) && use->getOwner()->getNumResults()
              ? describe(use->getOwner()->getResult(0))
              : "another edit";
      return fail("what " + describe(value) + " gives is also read by " + who +
                  (edit.isProjection ? ", which would see it projected"
                                     : ", which would see the addition"));
    }
  path.push_back(value);
  auto call = value.getDefiningOp<CallOp>();
  switch (roleOf(call)) {
  case OperatorRole::Sum:
    if (isPlainSum(call))
      return backwardSum(call, edit, targets);
    break;
  case OperatorRole::Multiply:
    return backwardProduct(call, edit, targets);
  case OperatorRole::Reshape:
    if (call.getMainInput() && widthOf(call.getMainInput()) == width)
      return backward(call.getMainInput(), edit, call, targets);
    break;
  case OperatorRole::Linear:
  case OperatorRole::Gather:
    if (!takes(call, edit, /*reads=*/false))
      return false;
    targets.push_back({call, false, edit.recipe});
    return true;
  default:
    break;
  }
  return fail("it comes from " + describe(value) +
              ", which is no linear map of a stored weight");
}

bool Writers::forward(Value value, const ConstantEdit &edit, Targets &targets) {
  SmallVector<OpOperand *> readers = readersOf(value);
  if (readers.empty())
    return fail("nothing reads " + describe(value));
  for (OpOperand *use : readers) {
    auto call = dyn_cast<CallOp>(use->getOwner());
    OperatorRole role = roleOf(call);
    bool isInput = call && call.getMainInput() == use->get();
    if (role == OperatorRole::Reshape && isInput &&
        widthOf(call.getResult(0)) == widthOf(value)) {
      if (!forward(call.getResult(0), edit, targets))
        return false;
    } else if (role == OperatorRole::Linear && isInput &&
               call.getMainWeight() != use->get()) {
      if (!takes(call, edit, /*reads=*/true))
        return false;
      targets.push_back({call, true, edit.recipe});
    } else {
      return fail("it is read by " +
                  (call && call->getNumResults() ? describe(call.getResult(0))
                                                 : "another edit") +
                  ", which is no linear map of a stored weight");
    }
  }
  return true;
}

LogicalResult Writers::fold(PatchOp patch, const ConstantEdit &edit) {
  Targets targets;
  path.clear();
  Value value = handedOn(patch.getInput());
  bool isFolded = backward(patch.getInput(), edit, patch, targets);
  if (!isFolded) {
    std::string behind = problem;
    targets.clear();
    path.clear();
    isFolded = forward(patch.getResult(), edit, targets);
    // An input of a linear map is described by who reads it.
    if (!isFolded && patch.getSite().getKind() != SiteKind::Head)
      problem = behind;
  }
  if (!isFolded)
    return failure();
  for (const Target &target : targets) {
    Folded &entry = folded[target.call];
    entry.call = target.call;
    (target.reads ? entry.reads : entry.gives).push_back(target.recipe);
    entry.locs.push_back(edit.loc);
  }
  auto taken = clean.lookup(value);
  for (Value changed : path)
    clean.erase(changed);
  if (edit.isProjection) {
    taken.push_back(edit.recipe);
    clean[value] = std::move(taken);
  }
  return success();
}
