//===- Merge.cpp - Merges the edits of each site ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"

namespace weir::steer {
#define GEN_PASS_DEF_STEERMERGEPASS
#include "weir/Dialect/Steer/Transforms/Passes.h.inc"
} // namespace weir::steer

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// In place of some reads of one dictionary from one value: one read of all their
/// features at the insertion point, and picks from it where they were.
void replaceByOne(ArrayRef<ReadOp> reads, Value input, RewriterBase &rewriter) {
  llvm::SetVector<int64_t> features;
  SmallVector<Location> locs;
  for (ReadOp read : reads) {
    features.insert(read.getFeatures().begin(), read.getFeatures().end());
    locs.push_back(read.getLoc());
  }
  ReadOp first = reads.front();
  auto whole = ReadOp::create(
      rewriter, rewriter.getFusedLoc(locs), input,
      first.getDictionaryAttr(),
      rewriter.getDenseI64ArrayAttr(features.getArrayRef()),
      first.getActivationAttr(), first.getNormalizationAttr(),
      first.getDictionarySizeAttr(), first.getGatherAttr());
  llvm::DenseMap<int64_t, int64_t> positionOf;
  for (auto [position, feature] : llvm::enumerate(features))
    positionOf[feature] = position;
  for (ReadOp read : reads) {
    SmallVector<int64_t> columns;
    for (int64_t feature : read.getFeatures())
      columns.push_back(positionOf.at(feature));
    rewriter.setInsertionPoint(read);
    rewriter.replaceOpWithNewOp<PickOp>(read, whole, columns);
  }
}

/// Reads of one dictionary from one value become one read and picks from it.
struct MergeReads : OpRewritePattern<PatchOp> {
  MergeReads(MLIRContext *context, Pass::Statistic &merged)
      : OpRewritePattern(context), merged(merged) {}

  LogicalResult matchAndRewrite(PatchOp patch,
                                PatternRewriter &rewriter) const override {
    llvm::MapVector<std::pair<Value, Attribute>, SmallVector<ReadOp>> groups;
    for (auto read : patch.getBody().front().getOps<ReadOp>())
      groups[{read.getInput(), read.getDictionaryAttr()}].push_back(read);

    bool changed = false;
    for (auto &[key, reads] : groups) {
      if (reads.size() < 2)
        continue;
      changed = true;
      merged += reads.size() - 1;
      // All reads of a patch come before its edits, so the first one's place
      // serves them all.
      rewriter.setInsertionPoint(reads.front());
      replaceByOne(reads, key.first, rewriter);
    }
    return success(changed);
  }

  Pass::Statistic &merged;
};

/// A single row as weights over other rows: w R.
std::pair<SmallVector<double>, Attribute> asSum(Attribute row) {
  if (auto sum = dyn_cast<flow::SumAttr>(row))
    return {llvm::to_vector(sum.getWeights().asArrayRef()), sum.getRows()};
  return {{1.0}, row};
}

/// Additions with the same gate and knob become one: their directions are
/// summed once, when the program is written.
struct MergeAdditions : OpRewritePattern<WriteOp> {
  MergeAdditions(MLIRContext *context, Pass::Statistic &merged)
      : OpRewritePattern(context), merged(merged) {}

  LogicalResult matchAndRewrite(WriteOp write,
                                PatternRewriter &rewriter) const override {
    llvm::MapVector<std::pair<Value, Value>, SmallVector<unsigned>> groups;
    for (auto [i, coefficient] : llvm::enumerate(write.getCoefficients()))
      if (auto strength = coefficient.getDefiningOp<StrengthOp>())
        groups[{strength.getGate(), strength.getTimes()}].push_back(i);

    SmallVector<Value> coefficients(write.getCoefficients());
    SmallVector<Attribute> rows(write.getRows().getAsRange<Attribute>());
    SmallVector<bool> dropped(rows.size(), false);
    bool changed = false;
    for (auto &[key, members] : groups) {
      if (members.size() < 2)
        continue;
      changed = true;
      merged += members.size() - 1;
      SmallVector<double> weights;
      SmallVector<Attribute> parts;
      SmallVector<Location> locs;
      for (unsigned i : members) {
        auto strength = coefficients[i].getDefiningOp<StrengthOp>();
        auto [inner, part] = asSum(rows[i]);
        double s = strength.getValue().convertToDouble();
        for (double weight : inner)
          weights.push_back(s * weight);
        parts.push_back(part);
        locs.push_back(strength.getLoc());
      }
      auto first = coefficients[members.front()].getDefiningOp<StrengthOp>();
      rewriter.setInsertionPoint(write);
      coefficients[members.front()] = StrengthOp::create(
          rewriter, rewriter.getFusedLoc(locs), rewriter.getF64FloatAttr(1.0), first.getTimes(), first.getGate());
      rows[members.front()] = flow::SumAttr::get(
          getContext(), rewriter.getDenseF64ArrayAttr(weights),
          flow::ConcatAttr::get(getContext(), rewriter.getArrayAttr(parts)));
      for (unsigned i : ArrayRef(members).drop_front())
        dropped[i] = true;
    }
    if (!changed)
      return failure();

    SmallVector<Value> keptCoefficients;
    SmallVector<Attribute> keptRows;
    for (auto [coefficient, row, drop] :
         llvm::zip_equal(coefficients, rows, dropped)) {
      if (drop)
        continue;
      keptCoefficients.push_back(coefficient);
      keptRows.push_back(row);
    }
    rewriter.replaceOpWithNewOp<WriteOp>(
        write, write.getInput(), keptCoefficients,
        rewriter.getArrayAttr(keptRows));
    return success();
  }

  Pass::Statistic &merged;
};

/// The same for reads in different places: a feature of a condition is read where
/// its site is, and a patch or a record there may read it as well.
void mergeAcrossPatches(fx::ProgramOp program, Pass::Statistic &merged) {
  llvm::MapVector<std::pair<Value, Attribute>, SmallVector<ReadOp>> groups;
  program.walk([&](ReadOp read) {
    Value value = read.getInput();
    if (auto argument = dyn_cast<BlockArgument>(value))
      if (auto patch = dyn_cast<PatchOp>(argument.getOwner()->getParentOp()))
        value = patch.getInput();
    groups[{value, read.getDictionaryAttr()}].push_back(read);
  });
  IRRewriter rewriter(program.getContext());
  for (auto &[key, reads] : groups) {
    if (reads.size() < 2)
      continue;
    merged += reads.size() - 1;
    Operation *first = nullptr;
    for (ReadOp read : reads) {
      Operation *place = program.getEntry().findAncestorOpInBlock(*read);
      if (!first || place->isBeforeInBlock(first))
        first = place;
    }
    rewriter.setInsertionPoint(first);
    replaceByOne(reads, key.first, rewriter);
  }
}

struct SteerMerge : steer::impl::SteerMergePassBase<SteerMerge> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<MergeReads>(&getContext(), reads);
    patterns.add<MergeAdditions>(&getContext(), additions);
    WriteOp::getCanonicalizationPatterns(patterns, &getContext());
    PatchOp::getCanonicalizationPatterns(patterns, &getContext());
    PickOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    mergeAcrossPatches(getOperation(), reads);
  }
};

} // namespace
