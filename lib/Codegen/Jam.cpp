//===- Jam.cpp - Iterations side by side ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products of T tokens with R rows load T + R vectors for T R multiplications, so
// a code generator takes as many side by side as its processor has registers for
// their sums. Rows are the outer loop, so that a block of tokens reads each of them
// once from memory. Each sum keeps its order: only which of them are made together
// depends on the processor. Upstream's unroll-and-jam of scf.for takes no trip
// counts that are known while running only.
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::codegen;

static constexpr StringLiteral jamName = "weir.jam";

static bool isWritten(Operation &op) {
  return !isMemoryEffectFree(&op) &&
         !hasSingleEffect<MemoryEffects::Read>(&op);
}

/// Copies a block once for each mapping, operation by operation. What is the same
/// for all of them is there once, and the loops within are shared.
static void copySideBySide(Block &from, MutableArrayRef<IRMapping> maps,
                           OpBuilder &b) {
  auto mapped = [](IRMapping &map, ValueRange values) {
    return llvm::map_to_vector(
        values, [&](Value value) { return map.lookupOrDefault(value); });
  };
  for (Operation &op : from.without_terminator()) {
    auto loop = dyn_cast<scf::ForOp>(op);
    if (!loop) {
      bool isShared = op.getNumRegions() == 0 && !isWritten(op) &&
                      llvm::all_of(maps, [&](IRMapping &map) {
                        return mapped(map, op.getOperands()) ==
                               mapped(maps.front(), op.getOperands());
                      });
      if (!isShared) {
        for (IRMapping &map : maps)
          b.clone(op, map);
        continue;
      }
      Operation *copy = b.clone(op, maps.front());
      for (IRMapping &map : maps.drop_front())
        map.map(op.getResults(), copy->getResults());
      continue;
    }
    SmallVector<Value> initial;
    for (IRMapping &map : maps)
      llvm::append_range(initial, mapped(map, loop.getInitArgs()));
    auto copy = scf::ForOp::create(
        b, loop.getLoc(), maps.front().lookupOrDefault(loop.getLowerBound()),
        maps.front().lookupOrDefault(loop.getUpperBound()),
        maps.front().lookupOrDefault(loop.getStep()), initial);
    copy->setDiscardableAttrs(loop->getDiscardableAttrDictionary());
    unsigned carried = loop.getNumRegionIterArgs();
    for (auto [i, map] : llvm::enumerate(maps)) {
      map.map(loop.getInductionVar(), copy.getInductionVar());
      map.map(loop.getRegionIterArgs(),
              copy.getRegionIterArgs().slice(i * carried, carried));
    }
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(copy.getBody());
    copySideBySide(*loop.getBody(), maps, b);
    if (carried) {
      SmallVector<Value> next;
      for (IRMapping &map : maps)
        llvm::append_range(
            next, mapped(map, loop.getBody()->getTerminator()->getOperands()));
      scf::YieldOp::create(b, loop.getLoc(), next);
    }
    for (auto [i, map] : llvm::enumerate(maps))
      map.map(loop.getResults(), copy.getResults().slice(i * carried, carried));
  }
}

/// `factor` iterations of a loop at a time; the original makes what is left.
/// Gives the new loop.
static scf::ForOp jam(scf::ForOp loop, int64_t factor) {
  OpBuilder b(loop);
  Location loc = loop.getLoc();
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  Value first = loop.getLowerBound(), step = loop.getStep();
  Value wide = arith::MulIOp::create(b, loc, step, index(factor));
  Value span = arith::SubIOp::create(b, loc, loop.getUpperBound(), first);
  Value rest = arith::RemSIOp::create(b, loc, span, wide);
  Value end = arith::SubIOp::create(b, loc, loop.getUpperBound(), rest);
  auto jammed = scf::ForOp::create(b, loc, first, end, wide);
  b.setInsertionPointToStart(jammed.getBody());
  SmallVector<IRMapping> maps(factor);
  for (auto [i, map] : llvm::enumerate(maps)) {
    Value at = jammed.getInductionVar();
    if (i)
      at = arith::AddIOp::create(
          b, loc, at, arith::MulIOp::create(b, loc, step, index(i)));
    map.map(loop.getInductionVar(), at);
  }
  copySideBySide(*loop.getBody(), maps, b);
  loop.setLowerBound(end);
  return jammed;
}

static SmallVector<scf::ForOp> loopsMarked(Operation *within, StringRef what) {
  SmallVector<scf::ForOp> found;
  within->walk([&](scf::ForOp loop) {
    auto marked = loop->getAttrOfType<StringAttr>(jamName);
    // A loop with results carries something from one iteration to the next.
    if (marked && marked.getValue() == what && loop.getNumResults() == 0)
      found.push_back(loop);
  });
  return found;
}

/// The loop over rows within one over tokens, if there is nothing else there but
/// what finds the token's row.
static scf::ForOp rowsWithin(scf::ForOp tokens) {
  SmallVector<scf::ForOp> rows = loopsMarked(tokens, "rows");
  if (rows.size() != 1 || rows.front()->getParentOp() != tokens)
    return {};
  for (Operation &op : tokens.getBody()->without_terminator())
    if (&op != rows.front() && (op.getNumRegions() || isWritten(op)))
      return {};
  for (Value bound : {rows.front().getLowerBound(), rows.front().getUpperBound(),
                      rows.front().getStep()}) {
    Operation *made = bound.getDefiningOp();
    if (made && made->getBlock() == tokens.getBody()) {
      if (!made->hasTrait<OpTrait::ConstantLike>())
        return {};
      made->moveBefore(tokens);
    }
  }
  return rows.front();
}

/// Groups of tokens become the inner loop of rows, several of both at a time. What
/// is left are single tokens, which read their rows one after the other, at the
/// speed of memory.
static void jamProducts(scf::ForOp tokens, const Variant &variant) {
  scf::ForOp rows = rowsWithin(tokens);
  if (!rows)
    return;
  OpBuilder b(tokens);
  Location loc = tokens.getLoc();
  Value first = tokens.getLowerBound(), step = tokens.getStep();
  Value group = arith::MulIOp::create(
      b, loc, step,
      arith::ConstantIndexOp::create(b, loc, variant.jammedTokens));
  Value span = arith::SubIOp::create(b, loc, tokens.getUpperBound(), first);
  Value rest = arith::RemSIOp::create(b, loc, span, group);
  Value end = arith::SubIOp::create(b, loc, tokens.getUpperBound(), rest);
  Value some = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, end, first);
  auto branch = scf::IfOp::create(b, loc, some, /*withElseRegion=*/false);
  b.setInsertionPointToStart(branch.thenBlock());
  auto outer = scf::ForOp::create(b, loc, rows.getLowerBound(),
                                  rows.getUpperBound(), rows.getStep());
  b.setInsertionPointToStart(outer.getBody());
  auto inner = scf::ForOp::create(b, loc, first, end, step);
  b.setInsertionPointToStart(inner.getBody());
  IRMapping map;
  map.map(tokens.getInductionVar(), inner.getInductionVar());
  map.map(rows.getInductionVar(), outer.getInductionVar());
  for (Operation &op : tokens.getBody()->without_terminator())
    if (&op != rows)
      b.clone(op, map);
  for (Operation &op : rows.getBody()->without_terminator())
    b.clone(op, map);
  tokens.setLowerBound(end);

  jam(inner, variant.jammedTokens);
  inner.erase();
  if (variant.jammedRows > 1)
    jam(outer, variant.jammedRows);
}

void codegen::jamLoops(ModuleOp module, const Variant &variant) {
  if (variant.jammedTokens > 1)
    for (scf::ForOp tokens : loopsMarked(module, "tokens"))
      jamProducts(tokens, variant);
  if (variant.jammedGathered > 1)
    for (scf::ForOp rows : loopsMarked(module, "gathered"))
      jam(rows, variant.jammedGathered);
  module.walk([](scf::ForOp loop) { loop->removeAttr(jamName); });
}
