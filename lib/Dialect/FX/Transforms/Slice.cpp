//===- Slice.cpp - A part of a program between two places ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Behind the first place a value either depends on it, and is copied, or does not.
// Of the latter, what depends on positions and weights alone is copied too, since
// rows of the copy have positions of their own; the rest is carried over as an
// input. A cache that is read is an input as well: its rows are those of the copy.
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/FX/Transforms/Slice.h"
#include "SharedMemory.h"
#include "SlotDims.h"

#include "weir/Dialect/FX/Transforms/Passes.h"
#include "weir/Support/Json.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace weir::fx {
#define GEN_PASS_DEF_FXSLICE
#include "weir/Dialect/FX/Transforms/Passes.h.inc"
} // namespace weir::fx

using namespace weir;
using namespace weir::fx;

namespace {

class Slicer {
public:
  Slicer(ProgramOp program, ArrayRef<SlicePlace> places,
         const SliceOptions &options)
      : program(program), places(places), options(options),
        builder(program.getReturn()), memory(program) {
    for (const SlicePlace &place : places)
      placeOf[place.result.getDefiningOp()] = &place;
  }

  FailureOr<Slice> run(ArrayRef<Value> targets);

private:
  LogicalResult findPositions();
  void findWriters();
  void findDependent();
  LogicalResult need(Value value);
  LogicalResult needNow(Value value);
  LogicalResult needInput(BlockArgument argument);
  LogicalResult carry(Value value);
  bool isPortable(Value value);
  bool isWritten(Value value) { return writers.contains(classOf(value)); }
  LogicalResult addInputs();
  LogicalResult copyOps();
  LogicalResult copyCall(CallOp call);
  /// A size of the positions, which the copy has in its own.
  std::optional<int64_t> sizeOfPositions(Value value);
  Value classOf(Value value) { return memory.classOf(value); }
  InFlightDiagnostic refuse(Value value) {
    Operation *op = value.getDefiningOp();
    Location where = op ? op->getLoc() : program.getLoc();
    return emitError(FusedLoc::get(program.getContext(),
                                   {program.getLoc(), where}))
           << "the model cannot be cut at " << options.name << ": ";
  }

  ProgramOp program;
  ArrayRef<SlicePlace> places;
  const SliceOptions &options;
  OpBuilder builder; ///< at the end of the program
  llvm::DenseMap<Operation *, const SlicePlace *> placeOf;

  BlockArgument positions; ///< of the program
  SmallVector<Attribute> positionSizes;
  SharedMemory memory;
  /// Calls that write into memory, by its class, in the program's order.
  llvm::DenseMap<Value, SmallVector<Operation *>> writers;
  llvm::DenseSet<Value> dependent, dependentMemory;
  llvm::DenseMap<Value, bool> portable;

  llvm::DenseSet<Value> needed;
  SmallVector<Value> queue;
  llvm::DenseSet<Operation *> copied;
  SmallVector<Value> carried;
  SmallVector<BlockArgument> caches;
  SlotDims slots;
  IRMapping mapping;
  Slice slice;
};

} // namespace

LogicalResult Slicer::findPositions() {
  program.recogniseRoles();
  positions = program.findInput(InputRole::Positions);
  auto type = positions ? dyn_cast<RankedTensorType>(positions.getType())
                        : RankedTensorType();
  if (!type || type.getRank() != 2)
    return program.emitError()
           << "the program cannot be cut: it needs the input `positions`, "
              "[batch, sequence] of int64, as `python -m weir export` makes it";
  positionSizes = sizesOf(type);
  if (!llvm::all_of(positionSizes, llvm::IsaPred<SymExprAttr>))
    return program.emitError()
           << "the program cannot be cut: its batch or its texts have one size "
              "only; export the model with room for more rows (--max-batch 2)";
  return success();
}

std::optional<int64_t> Slicer::sizeOfPositions(Value value) {
  auto type = dyn_cast<SymIntType>(value.getType());
  if (!type || !type.getValue())
    return std::nullopt;
  for (auto [dim, size] : llvm::enumerate(positionSizes))
    if (size == type.getValue())
      return dim;
  return std::nullopt;
}

void Slicer::findWriters() {
  for (auto call : program.getEntry().getOps<CallOp>())
    if (!call.getPure())
      call.forEachWritten([&](OpOperand &operand) {
        writers[classOf(operand.get())].push_back(call);
      });
}

/// What the first place's value reaches, through values and through memory.
void Slicer::findDependent() {
  dependent.insert(places.front().result);
  Operation *start = places.front().result.getDefiningOp();
  for (Operation *op = start->getNextNode(); op; op = op->getNextNode()) {
    bool depends = false;
    forEachInput(op, [&](Value value) {
      depends |= dependent.contains(value) ||
                 (isTensor(value) && dependentMemory.contains(classOf(value)));
    });
    if (!depends)
      continue;
    dependent.insert(op->result_begin(), op->result_end());
    if (auto call = dyn_cast<CallOp>(op); call && !call.getPure())
      call.forEachWritten([&](OpOperand &operand) {
        dependentMemory.insert(classOf(operand.get()));
      });
  }
}

/// Whether a value is made of positions and weights alone.
bool Slicer::isPortable(Value value) {
  if (auto known = portable.find(value); known != portable.end())
    return known->second;
  bool result = false;
  if (sizeOfPositions(value) || value == positions) {
    result = true;
  } else if (auto argument = dyn_cast<BlockArgument>(value)) {
    InputKind kind = program.getInput(argument.getArgNumber()).getKind();
    result = kind != InputKind::UserInput && kind != InputKind::Raw &&
             !isWritten(value);
  } else {
    Operation *op = value.getDefiningOp();
    auto call = dyn_cast<CallOp>(op);
    result = isa<ConstantOp>(op) ||
             (call && call.getOperatorInfo() && !call.drawsRandomNumbers() &&
              !(isTensor(value) && isWritten(value)) &&
              llvm::all_of(op->getOperands(),
                           [&](Value operand) { return isPortable(operand); }));
  }
  portable[value] = result;
  return result;
}

LogicalResult Slicer::carry(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.getRank() < 2 ||
      !llvm::equal(ArrayRef(sizesOf(type)).take_front(2), positionSizes) ||
      llvm::any_of(type.getShape().drop_front(2), ShapedType::isDynamic))
    return refuse(value) << "what is read behind it has the type "
                         << value.getType() << ", which has no row and token";
  if (isWritten(value))
    return refuse(value) << "what is read behind it is written in place";
  carried.push_back(value);
  return success();
}

LogicalResult Slicer::needInput(BlockArgument argument) {
  if (argument == positions)
    return success();
  InputKind kind = program.getInput(argument.getArgNumber()).getKind();
  if (kind == InputKind::UserInput || kind == InputKind::Raw)
    return refuse(argument)
           << "the input '" << program.getInputName(argument.getArgNumber())
           << "' is read behind it";
  if (!isWritten(argument))
    return success();
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!type || type.getRank() < 2)
    return refuse(argument) << "a buffer of the type " << argument.getType()
                            << " is written";
  caches.push_back(argument);
  return success();
}

LogicalResult Slicer::need(Value value) {
  if (needed.insert(value).second)
    queue.push_back(value);
  while (!queue.empty())
    if (failed(needNow(queue.pop_back_val())))
      return failure();
  return success();
}

LogicalResult Slicer::needNow(Value value) {
  auto enqueue = [&](Value next) {
    if (needed.insert(next).second)
      queue.push_back(next);
  };
  if (value == places.front().result || sizeOfPositions(value))
    return success();
  if (auto argument = dyn_cast<BlockArgument>(value))
    return needInput(argument);
  Operation *op = value.getDefiningOp();
  auto place = placeOf.find(op);
  // A site beside the first one, of two halves that read the same stream, does
  // not depend on it and may be edited all the same.
  bool isEdited = place != placeOf.end() && place->second->edit;
  if (!isEdited && !dependent.contains(value) && !isPortable(value))
    return carry(value);
  copied.insert(op);
  if (place != placeOf.end()) {
    enqueue(place->second->input);
    return success();
  }
  if (!isa<CallOp, ConstantOp, SiteOp>(op))
    return refuse(value) << "nobody knows how to copy '"
                         << op->getName().getStringRef() << "'";
  forEachInput(op, [&](Value operand) {
    enqueue(operand);
    // What is read may have been written before, without being a result.
    if (isTensor(operand) && dependentMemory.contains(classOf(operand)))
      for (Operation *writer : writers[classOf(operand)])
        if (writer->isBeforeInBlock(op) &&
            llvm::any_of(writer->getResults(), [&](Value result) {
              return dependent.contains(result);
            }))
          for (Value result : writer->getResults())
            enqueue(result);
  });
  return success();
}

LogicalResult Slicer::addInputs() {
  auto name = [&](StringRef what) { return options.name + "_" + what.str(); };
  slice.positions =
      program.addUserInput(name("positions"), positions.getType());
  slice.value = program.addUserInput(name("value"),
                                     places.front().input.getType());
  mapping.map(positions, slice.positions);
  // Values in the order of the program, however they were found.
  llvm::sort(carried, [](Value a, Value b) {
    auto first = dyn_cast<BlockArgument>(a), second = dyn_cast<BlockArgument>(b);
    if (first || second)
      return first && (!second || first.getArgNumber() < second.getArgNumber());
    return a.getDefiningOp() == b.getDefiningOp()
               ? cast<OpResult>(a).getResultNumber() <
                     cast<OpResult>(b).getResultNumber()
               : a.getDefiningOp()->isBeforeInBlock(b.getDefiningOp());
  });
  llvm::sort(caches, [](BlockArgument a, BlockArgument b) {
    return a.getArgNumber() < b.getArgNumber();
  });
  for (auto [number, value] : llvm::enumerate(carried)) {
    BlockArgument input = program.addUserInput(
        name("carried" + std::to_string(number)), value.getType());
    mapping.map(value, input);
    slice.carried.push_back({value, input});
  }
  if (!caches.empty())
    slice.rows = program.addUserInput(
        name("rows"), tensorOf({positionSizes[0]}, builder.getI64Type()));
  builder.setInsertionPoint(program.getReturn());
  for (auto [number, cache] : llvm::enumerate(caches)) {
    auto type = cast<RankedTensorType>(cache.getType());
    BlockArgument input =
        program.addUserInput(name("cache" + std::to_string(number)), type);
    // The rows' own: the copy writes into them.
    SmallVector<Attribute> sizes = sizesOf(type);
    Value own = input;
    auto call = [&](StringRef target, ArrayRef<Argument> arguments) {
      own = CallOp::create(builder, program.getLoc(),
                           tensorOf(sizes, type.getElementType()), target,
                           arguments)
                .getResult(0);
    };
    if (slots.isTracked(cache)) {
      sizes[1] = builder.getI64IntegerAttr(options.slots);
      call("aten.slice.Tensor", {{"self", own}, {"dim", 1}, {"start", 0},
                                 {"end", options.slots}});
    }
    sizes[0] = positionSizes[0];
    call("aten.index_select.default",
         {{"self", own}, {"dim", 0}, {"index", slice.rows}});
    // Nobody else has this memory, though it is made by a call of the compiler.
    own.getDefiningOp<CallOp>().setPure(false);
    mapping.map(cache, own);
    // Whoever runs the program sees a cache through the last call that wrote it.
    Value after;
    for (Operation *writer : writers[classOf(cache)])
      for (Value result : writer->getResults())
        if (result.getType() == cache.getType())
          after = result;
    if (!after)
      return refuse(cache) << "a cache is written without a result";
    slice.caches.push_back({after, input});
  }
  return success();
}

LogicalResult Slicer::copyCall(CallOp call) {
  for (Value operand : call->getOperands())
    if (std::optional<int64_t> dim = sizeOfPositions(operand);
        dim && !mapping.contains(operand)) {
      OpFoldResult size =
          sizeOf(builder, call.getLoc(), slice.positions, *dim);
      mapping.map(operand, cast<Value>(size));
    }
  auto copy = cast<CallOp>(builder.clone(*call, mapping));
  // Names belong to one value, and strides to the sizes that there were.
  copy.removeNamesAttr();
  copy.removeNodeAttr();
  copy.removeMetaAttr();
  slots.apply(call, copy, builder, options.slots);
  // A cache has the rows of its copy.
  for (auto [before, after] :
       llvm::zip_equal(call.getResults(), copy.getResults())) {
    auto type = dyn_cast<RankedTensorType>(after.getType());
    if (!type || !isTensor(before))
      continue;
    bool isCache = llvm::any_of(caches, [&](BlockArgument cache) {
      return cache.getType() == before.getType() &&
             classOf(cache) == classOf(before);
    });
    if (!isCache)
      continue;
    SmallVector<Attribute> sizes = sizesOf(type);
    sizes[0] = positionSizes[0];
    after.setType(tensorOf(sizes, type.getElementType()));
  }
  return success();
}

LogicalResult Slicer::copyOps() {
  Operation *end = program.getReturn();
  // What is made of positions may stand before the first place. The copy stands
  // behind all of the program, which is walked as it was.
  SmallVector<Operation *> order;
  for (Operation &op : program.getEntry())
    if (copied.contains(&op))
      order.push_back(&op);
  builder.setInsertionPoint(end);
  Value value = slice.value;
  if (places.front().edit)
    value = places.front().edit(builder, value);
  mapping.map(places.front().result, value);
  for (Operation *op : order) {
    if (auto place = placeOf.find(op); place != placeOf.end()) {
      Value passed = mapping.lookup(place->second->input);
      if (place->second->edit)
        passed = place->second->edit(builder, passed);
      mapping.map(place->second->result, passed);
    } else if (auto site = dyn_cast<SiteOp>(op)) {
      mapping.map(site.getResult(), mapping.lookup(site.getInput()));
    } else if (auto call = dyn_cast<CallOp>(op)) {
      if (failed(copyCall(call)))
        return failure();
    } else {
      builder.clone(*op, mapping);
    }
  }
  return success();
}

FailureOr<Slice> Slicer::run(ArrayRef<Value> targets) {
  if (failed(findPositions()))
    return failure();
  findWriters();
  findDependent();
  for (Value target : targets) {
    if (!dependent.contains(target))
      return refuse(target) << "what is asked for does not depend on it";
    if (failed(need(target)))
      return failure();
  }
  // Which dimensions are slots is said of the program's own values.
  SmallVector<CallOp> calls;
  for (auto call : program.getEntry().getOps<CallOp>())
    if (copied.contains(call))
      calls.push_back(call);
  slots.track(caches, calls, options.slots);
  if (failed(addInputs()) || failed(copyOps()))
    return failure();
  for (Value target : targets)
    slice.results.push_back(mapping.lookup(target));
  return std::move(slice);
}

FailureOr<Slice> weir::fx::copySlice(ProgramOp program,
                                     ArrayRef<SlicePlace> places,
                                     ArrayRef<Value> targets,
                                     const SliceOptions &options) {
  return Slicer(program, places, options).run(targets);
}

void weir::fx::liftLimit(ProgramOp program, SymExprAttr size) {
  if (!program.getEnvelope())
    return;
  llvm::Expected<llvm::json::Value> envelope = parseJSON(*program.getEnvelope());
  if (!envelope) {
    llvm::consumeError(envelope.takeError()); // the verifier has looked at it
    return;
  }
  llvm::json::Object *object = envelope->getAsObject();
  llvm::json::Object *ranges =
      object ? object->getObject("range_constraints") : nullptr;
  llvm::json::Object *range =
      ranges ? ranges->getObject(size.getExpr()) : nullptr;
  if (!range)
    return;
  (*range)["max_val"] = int64_t(1) << 30;
  program.setEnvelope(printJSON(*object));
}

//===----------------------------------------------------------------------===//
// fx-slice
//===----------------------------------------------------------------------===//

namespace {

struct FXSlice : fx::impl::FXSliceBase<FXSlice> {
  using FXSliceBase::FXSliceBase;

  void runOnOperation() override {
    ProgramOp program = getOperation();
    SmallVector<SlicePlace> places;
    SiteOp end;
    for (auto site : program.getEntry().getOps<SiteOp>()) {
      std::string name = siteName(site.getKind(), site.getLayer());
      if (places.empty() && name != from)
        continue;
      if (name == to && !places.empty()) {
        end = site;
        break;
      }
      places.push_back({site.getInput(), site.getResult(), nullptr});
    }
    if (places.empty() || !end) {
      program.emitError() << "there is no site '" << (places.empty() ? from : to)
                          << "'" << (places.empty() ? "" : " behind '" + from + "'")
                          << "; --fx-find-sites marks them";
      return signalPassFailure();
    }
    SliceOptions options{"slice", slots};
    FailureOr<Slice> slice = copySlice(program, places, {end.getInput()}, options);
    if (failed(slice))
      return signalPassFailure();
    ReturnOp ret = program.getReturn();
    ret.getValuesMutable().assign(slice->results);
    ret.setOutputsAttr(ArrayAttr::get(
        &getContext(), {OutputAttr::get(&getContext(), OutputKind::UserOutput)}));
  }
};

} // namespace
