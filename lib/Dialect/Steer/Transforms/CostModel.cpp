//===- CostModel.cpp - What a site takes in each lowering ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Steer/Transforms/CostModel.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

namespace {

/// The calls of docs/Rationale-Lowering.md, "What each operation becomes".
class Counter {
public:
  Counter(SiteCost &cost, bool compiled) : cost(cost), compiled(compiled) {}

  void count(Operation *op) {
    TypeSwitch<Operation *>(op)
        .Case([&](ReadOp read) { countRead(read); })
        .Case([&](RowReadOp read) { countRowRead(read); })
        .Case([&](WriteOp write) {
          for (Value coefficient : write.getCoefficients()) {
            bool isSingle = lastSize(coefficient) == 1;
            ++(isSingle ? cost.others : cost.products);
            others(1); // the addition
          }
        })
        .Case<RowWriteOp, RowProjectOp>([&](auto write) {
          int64_t times = isa<RowProjectOp>(op) ? 2 : 1;
          others(1);
          gatheredProducts(times);
          others(times); // additions, and a gate or columns
          cost.moved += 2 * write.getBytesPerToken();
        })
        .Case([&](ProjectOp project) {
          product(project.getRows().getNumRows());
          product(project.getRows().getNumRows());
          others(project.getGate() ? 2 : 1);
        })
        .Case([&](RescaleOp rescale) { others(rescale.getGate() ? 6 : 5); })
        .Case([&](DeltaOp delta) {
          others(1 + (delta.getScale() ? 1 : 0) + (delta.getGate() ? 1 : 0) +
                 (delta.getOnlyActive() ? 2 : 0));
        })
        .Case<StrengthOp, RowStrengthOp>([&](auto strength) {
          others((strength.getTimes() ? 1 : 0) + (strength.getGate() ? 1 : 0));
        })
        .Case<AllOp, AnyOp>(
            [&](auto gates) { others(gates.getNumOperands() - 1); })
        .Case([&](InputScaleOp) { others(2); })
        .Case<YieldOp, WidenOp, RoundOp>([](auto) {})
        .Default([&](Operation *) { others(1); });
    if (auto bytes = dyn_cast<CostOpInterface>(op))
      cost.bytes += bytes.getBytesPerToken();
  }

private:
  static int64_t lastSize(Value value) {
    return cast<RankedTensorType>(value.getType()).getShape().back();
  }

  void others(int64_t calls) { cost.others += calls; }
  void product(int64_t rows) {
    ++(compiled && rows == 1 ? cost.others : cost.products);
  }
  void gatheredProducts(int64_t calls) {
    (compiled ? cost.others : cost.products) += calls;
  }

  void countActivation(flow::ActivationAttr activation) {
    switch (activation.getKind()) {
    case flow::ActivationKind::Identity:
      return;
    case flow::ActivationKind::ReLU:
      return others(1);
    case flow::ActivationKind::JumpReLU:
      return others(3);
    case flow::ActivationKind::Gated:
      return others(6);
    case flow::ActivationKind::TopK:
      // The search is a call whatever is around it; relu, scatter and columns.
      ++cost.products;
      return others(3);
    }
  }
  void countNormalization(flow::Normalization normalization) {
    if (normalization == flow::Normalization::LayerNorm)
      others(5);
    if (normalization == flow::Normalization::ConstantNorm)
      others(4);
  }

  void countRead(ReadOp read) {
    if (read.getGather())
      return others(1);
    countNormalization(read.getNormalization());
    bool whole = read.getActivation().getKind() == flow::ActivationKind::TopK;
    product(whole ? read.getDictionarySize()
                  : static_cast<int64_t>(read.getFeatures().size()));
    countActivation(read.getActivation());
  }
  void countRowRead(RowReadOp read) {
    if (read.getGather())
      return others(1);
    countNormalization(read.getNormalization());
    others(3); // encoder rows and biases, and their sum
    gatheredProducts(1);
    countActivation(read.getActivation());
    if (read.getActivation().getKind() != flow::ActivationKind::TopK)
      cost.moved += 2 * read.getBytesPerToken();
  }

  SiteCost &cost;
  bool compiled;
};

} // namespace

SiteCost steer::costOf(PatchOp patch, bool compiled) {
  SiteCost cost;
  Counter counter(cost, compiled);
  for (Operation &op : patch.getBody().front())
    counter.count(&op);
  return cost;
}
