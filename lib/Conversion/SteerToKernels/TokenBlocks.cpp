//===- TokenBlocks.cpp - Products of several tokens at once ---===//
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

/// Below, the rows stay in the nearest cache anyway.
static constexpr int64_t fewRows = 4;
/// A multiple of all numbers of tokens that a code generator takes side by side.
static constexpr int64_t jammed = 3;
static constexpr int64_t largestBlock = 8 * jammed;
/// Numbers of a block that are kept on the stack, at most.
static constexpr int64_t keptNumbers = 256 * 1024;

/// Operations between the site's value and an operation's input; nothing if something
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
  auto addProducts = [&](Operation *op, int64_t count) {
    Value input = op->getOperand(0);
    auto makers = makersOf(input, body.getArgument(0));
    if (!makers || count < fewRows)
      return;
    int64_t needed = count + (makers->empty() ? 0 : lastSize(input));
    // With fewer tokens than are taken side by side nothing is gained.
    if ((numbers + needed) * jammed > keptNumbers)
      return;
    numbers += needed;
    products.push_back({op, count, std::move(*makers), Value()});
  };
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
    if (auto encode = dyn_cast<EncodeOp>(op))
      addProducts(encode, lastSize(encode.getResult()));
    if (auto project = dyn_cast<ProjectOp>(op))
      addProducts(project, project.getRows().getNumRows());
    if (auto read = dyn_cast<ReadOp>(op))
      addSearch(read);
    if (auto read = dyn_cast<RowReadOp>(op))
      addSearch(read);
  }
  if (empty())
    return;
  size = std::min(largestBlock, keptNumbers / numbers / jammed * jammed);
  size = std::max<int64_t>(size, 1);
  for (Products &made : products)
    if (isa<EncodeOp>(made.op))
      done.insert(made.op);
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
  for (Products &made : products) {
    if (made.input.empty()) {
      build(made, k, count, rowOf);
      continue;
    }
    Value input = made.op->getOperand(0);
    Value inputs = k.scratchMatrix(size, lastSize(input));
    k.forRange(count, [&](Value token) {
      IRMapping map;
      // In front of what may write there at once.
      Value to = k.row(inputs, token);
      map.map(whole, k.asType(rowOf(token), whole.getType()));
      for (Operation *op : made.input)
        clone(*op, map);
      k.deliver(map.lookup(input), to);
    });
    build(made, k, count, [&](Value token) { return k.row(inputs, token); });
  }
}

void BlockedReads::build(Products &made, KernelBuilder &k, Value count,
                         function_ref<Value(Value)> inputOf) {
  SmallVector<int64_t> shape = {made.count, lastSize(made.op->getOperand(0))};
  auto encode = dyn_cast<EncodeOp>(made.op);
  Value rows = encode
                   ? k.rowsOf(encode, flow::RowsPart::Encoder, shape)
                   : k.rows(cast<ProjectOp>(made.op).getRows(), shape);
  Value bias;
  if (encode && !encode.getUnbiased())
    bias = k.rowsOf(encode, flow::RowsPart::EncoderBias, {made.count});
  made.all = k.scratchMatrix(size, made.count);
  auto tokens = k.forRange(count, [&](Value token) {
    Value x = inputOf(token);
    auto columns = k.forRange(k.index(made.count), [&](Value column) {
      Value z = k.dot(x, k.row(rows, column));
      if (bias)
        z = k.add(z, k.element(bias, column));
      k.storeAt(z, made.all, {token, column});
    });
    columns->setAttr(kernelJamName, k.builder().getStringAttr("rows"));
  });
  tokens->setAttr(kernelJamName, k.builder().getStringAttr("tokens"));
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

Value BlockedReads::knownOf(KernelBuilder &k, Operation *op, Value token) {
  for (Search &search : searches)
    if (search.op == op)
      return search.block->boundAt(token);
  for (Products &made : products)
    if (made.op == op && isa<ProjectOp>(op))
      return k.row(made.all, token);
  return {};
}

void BlockedReads::mapResults(KernelBuilder &k, Value token, IRMapping &map) {
  for (Products &made : products)
    if (auto encode = dyn_cast<EncodeOp>(made.op))
      map.map(encode.getResult(), k.asType(k.row(made.all, token),
                                           encode.getResult().getType()));
}
