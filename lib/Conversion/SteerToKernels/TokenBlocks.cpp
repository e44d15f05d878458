//===- TokenBlocks.cpp - Reads of several tokens at once ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TokenBlocks.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

/// Below, the rows of an encoder stay in the nearest cache anyway.
static constexpr int64_t fewFeatures = 4;
/// A multiple of all numbers of tokens that a code generator takes side by side.
static constexpr int64_t jammed = 3;
static constexpr int64_t largestBlock = 8 * jammed;
/// Numbers of a block that are kept on the stack, at most.
static constexpr int64_t keptNumbers = 256 * 1024;

/// Operations between the site's value and a read's input; nothing if something
/// else is among them.
static std::optional<SmallVector<Operation *>> makersOf(Value input,
                                                        Value value) {
  SmallVector<Operation *> makers;
  while (input != value) {
    Operation *op = input.getDefiningOp();
    if (!isa_and_present<WidenOp, NormalizeOp>(op))
      return std::nullopt;
    makers.push_back(op);
    input = op->getOperand(0);
  }
  std::reverse(makers.begin(), makers.end());
  return makers;
}

BlockedReads::BlockedReads(func::FuncOp site) : site(site) {
  Block &body = site.front();
  int64_t numbers = 0;
  for (auto encode : body.getOps<EncodeOp>()) {
    int64_t count = lastSize(encode.getResult());
    auto makers = makersOf(encode.getInput(), body.getArgument(0));
    if (!makers || count < fewFeatures)
      continue;
    int64_t needed = count + (makers->empty() ? 0 : lastSize(encode.getInput()));
    // With fewer tokens than are taken side by side nothing is gained.
    if ((numbers + needed) * jammed > keptNumbers)
      continue;
    numbers += needed;
    reads.push_back({encode, std::move(*makers), Value()});
  }
  auto addSearch = [&](auto read) {
    Value x = read.getInput();
    if (auto widen = x.template getDefiningOp<WidenOp>())
      x = widen.getInput();
    if (x != body.getArgument(0) || read.getGather() ||
        read.getActivation().getKind() != flow::ActivationKind::TopK)
      return;
    // However much of it has to be kept.
    searches.push_back({read, TopKRead::of(read), std::nullopt});
    numbers += BlockSearch::numbersOf(searches.back().read);
  };
  for (Operation &op : body) {
    if (auto read = dyn_cast<ReadOp>(op))
      addSearch(read);
    if (auto read = dyn_cast<RowReadOp>(op))
      addSearch(read);
  }
  if (empty())
    return;
  size = std::min(largestBlock, keptNumbers / numbers / jammed * jammed);
  size = std::max<int64_t>(size, 1);
  for (Read &read : reads)
    done.insert(read.op);
  for (Operation &op : llvm::reverse(body))
    if (isa<WidenOp, NormalizeOp>(op) &&
        llvm::all_of(op.getUsers(),
                     [&](Operation *user) { return done.contains(user); }))
      done.insert(&op);
}

void BlockedReads::build(
    KernelBuilder &k, Value count, function_ref<Value(Value)> rowOf,
    function_ref<void(Operation &, IRMapping &)> clone) {
  Value whole = site.getArgument(0);
  for (Read &read : reads) {
    int64_t features = lastSize(read.op.getResult());
    int64_t width = lastSize(read.op.getInput());
    Value inputs;
    if (!read.input.empty()) {
      inputs = k.scratchMatrix(size, width);
      k.forRange(count, [&](Value token) {
        IRMapping map;
        // In front of what may write there at once.
        Value to = k.row(inputs, token);
        map.map(whole, k.asType(rowOf(token), whole.getType()));
        for (Operation *op : read.input)
          clone(*op, map);
        k.deliver(map.lookup(read.op.getInput()), to);
      });
    }
    Value weight =
        k.rowsOf(read.op, flow::RowsPart::Encoder, {features, width});
    Value bias;
    if (!read.op.getUnbiased())
      bias = k.rowsOf(read.op, flow::RowsPart::EncoderBias, {features});
    read.products = k.scratchMatrix(size, features);
    auto tokens = k.forRange(count, [&](Value token) {
      Value x = inputs ? k.row(inputs, token) : rowOf(token);
      auto rows = k.forRange(k.index(features), [&](Value feature) {
        Value z = k.dot(x, k.row(weight, feature));
        if (bias)
          z = k.add(z, k.element(bias, feature));
        k.storeAt(z, read.products, {token, feature});
      });
      rows->setAttr(kernelJamName, k.builder().getStringAttr("rows"));
    });
    tokens->setAttr(kernelJamName, k.builder().getStringAttr("tokens"));
  }
}

void BlockedReads::search(KernelBuilder &k, Value count,
                          function_ref<Value(Value)> rowOf) {
  Type element =
      cast<RankedTensorType>(site.getArgument(0).getType()).getElementType();
  for (Search &search : searches) {
    search.block.emplace(k, search.read, size, k.builder().getUnknownLoc());
    search.block->run(count, rowOf, element.isF32() ? Type() : element);
  }
}

Value BlockedReads::boundOf(KernelBuilder &k, Operation *op, Value token) {
  for (Search &search : searches)
    if (search.op == op)
      return search.block->boundAt(token);
  return {};
}

void BlockedReads::mapResults(KernelBuilder &k, Value token, IRMapping &map) {
  for (Read &read : reads)
    map.map(read.op.getResult(), k.asType(k.row(read.products, token),
                                          read.op.getResult().getType()));
}
