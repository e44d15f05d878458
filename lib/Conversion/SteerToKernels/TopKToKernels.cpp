//===- TopKToKernels.cpp - Which features of a TopK dictionary stay ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All features of a dictionary compete, whatever a patch reads of it. One pass
// over the encoder offers each of them to a list of a few times k, which holds
// what may be among the k largest: whenever it is full, the k-th largest of it is
// the bound that later ones have to pass. Nothing of the dictionary's size is
// stored, and of what the patch reads the products are made again.
//
// The order is total, since the feature is the last part of it; so the bound says
// all, and of equal numbers the first stay.
//
//===----------------------------------------------------------------------===//

#include "TopKSearch.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;
using arith::CmpIPredicate;

TopKSearch::TopKSearch(KernelBuilder &k, flow::ActivationAttr activation,
                       Location loc)
    : k(k), b(k.builder()), loc(loc), count(activation.getTopK()),
      room(llvm::alignTo(2 * count, KernelBuilder::lanes) + KernelBuilder::lanes) {}

Value TopKSearch::word(int64_t value) {
  return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(value));
}

/// A number, or a vector of it, of the given type.
static Value filled(OpBuilder &b, Location loc, Type type, int64_t value) {
  TypedAttr attr = b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, attr);
  return arith::ConstantOp::create(b, loc, attr);
}

Value TopKSearch::orderOf(Value number, Value feature) {
  auto like = [&](Type element) -> Type {
    if (auto vector = dyn_cast<VectorType>(number.getType()))
      return vector.clone(element);
    return element;
  };
  Type i32 = like(b.getI32Type()), i64 = like(b.getI64Type());
  auto half = [&](int32_t value) { return filled(b, loc, i32, value); };
  // Bits of floats are in their order as unsigned integers once the sign is
  // turned and, of negative ones, the rest.
  Value bits = arith::BitcastOp::create(b, loc, i32, number);
  Value sign = arith::ShRSIOp::create(b, loc, bits, half(31));
  Value flip = arith::OrIOp::create(b, loc, sign, half(INT32_MIN));
  Value order = arith::XOrIOp::create(b, loc, bits, flip);
  // NaN is the largest, as torch.topk has it.
  Value isNaN =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, number, number);
  order = k.where(isNaN, half(-1), order);
  Value high = arith::ShLIOp::create(
      b, loc, arith::ExtUIOp::create(b, loc, i64, order), filled(b, loc, i64, 32));
  Value place = arith::IndexCastOp::create(b, loc, i64, feature);
  Value low =
      arith::SubIOp::create(b, loc, filled(b, loc, i64, UINT32_MAX), place);
  return arith::OrIOp::create(b, loc, high, low);
}

void TopKSearch::clear(Value held) {
  Value none = k.splat(word(0));
  k.forEachVector(room, [&](Value at, Value mask) {
    k.store(none, held, at, mask);
  });
}

/// How many lanes a mask has, i64: the bits of a word, since a sum of lanes takes
/// longer than all comparisons.
static Value countLanes(OpBuilder &b, Location loc, Value mask) {
  auto word = b.getIntegerType(KernelBuilder::lanes);
  Value bits = vector::BitCastOp::create(b, loc, VectorType::get({1}, word), mask);
  bits = vector::ExtractOp::create(b, loc, bits, ArrayRef<int64_t>(int64_t(0)));
  return arith::ExtUIOp::create(b, loc, b.getI64Type(),
                                math::CtPopOp::create(b, loc, bits));
}

Value TopKSearch::countFrom(Value held, Value bound) {
  Value splat = k.splat(bound);
  auto loop = scf::ForOp::create(
      b, loc, k.index(0), k.index(room), k.index(KernelBuilder::lanes), word(0),
      [&](OpBuilder &, Location, Value at, ValueRange counted) {
        Value isFrom = arith::CmpIOp::create(
            b, loc, CmpIPredicate::uge, k.load(held, at, Value()), splat);
        scf::YieldOp::create(
            b, loc, Value(arith::AddIOp::create(b, loc, counted.front(),
                                                countLanes(b, loc, isFrom))));
      });
  return loop.getResult(0);
}

Value TopKSearch::leastFrom(Value held, Value bound) {
  auto type = VectorType::get({KernelBuilder::lanes}, b.getI64Type());
  Value most = filled(b, loc, type, -1), splat = k.splat(bound);
  auto loop = scf::ForOp::create(
      b, loc, k.index(0), k.index(room), k.index(KernelBuilder::lanes), most,
      [&](OpBuilder &, Location, Value at, ValueRange least) {
        Value orders = k.load(held, at, Value());
        Value isFrom =
            arith::CmpIOp::create(b, loc, CmpIPredicate::uge, orders, splat);
        Value counted = arith::SelectOp::create(b, loc, isFrom, orders, most);
        scf::YieldOp::create(b, loc,
                             Value(arith::MinUIOp::create(b, loc, least.front(),
                                                          counted)));
      });
  return vector::ReductionOp::create(b, loc, vector::CombiningKind::MINUI,
                                     loop.getResult(0));
}

Value TopKSearch::bound(Value held) {
  // Bit by bit, until k are left: the least of them is the bound. Of fewer than k
  // nothing has to go: then no bit is set, and the least is an empty place's 0.
  Value zero = word(0), wanted = word(count);
  auto search = scf::WhileOp::create(
      b, loc, TypeRange{b.getI64Type(), b.getI64Type()},
      ValueRange{zero, word(int64_t(1) << 63)},
      [&](OpBuilder &, Location, ValueRange state) {
        Value found = state[0], bit = state[1];
        Value guess = arith::OrIOp::create(b, loc, found, bit);
        Value left = countFrom(held, guess);
        Value enough = k.compare(CmpIPredicate::sge, left, wanted);
        Value next = arith::ShRUIOp::create(b, loc, bit, word(1));
        Value more = k.both(k.compare(CmpIPredicate::ne, left, wanted),
                            k.compare(CmpIPredicate::ne, next, zero));
        scf::ConditionOp::create(
            b, loc, more, ValueRange{k.where(enough, guess, found), next});
      },
      [&](OpBuilder &, Location, ValueRange state) {
        scf::YieldOp::create(b, loc, state);
      });
  return leastFrom(held, search.getResult(0));
}

SmallVector<Value> TopKSearch::begin() { return {k.index(0), word(0)}; }

SmallVector<Value> TopKSearch::cutIfFull(Value held, Value size, Value bound) {
  Type index = b.getIndexType(), i64 = b.getI64Type();
  // There is always room for one vector more.
  auto drop = scf::IfOp::create(
      b, loc, TypeRange{index, i64},
      k.compare(CmpIPredicate::sgt, size, k.index(room - KernelBuilder::lanes)),
      /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(drop.elseBlock());
  scf::YieldOp::create(b, loc, ValueRange{size, bound});
  b.setInsertionPointToStart(drop.thenBlock());
  Value raised = this->bound(held), splat = k.splat(raised);
  // What stays moves to the front, a vector at a time.
  scf::ForOp::create(
      b, loc, k.index(0), k.index(room), k.index(KernelBuilder::lanes), k.index(0),
      [&](OpBuilder &, Location, Value at, ValueRange kept) {
        Value orders = k.load(held, at, Value());
        Value stays =
            arith::CmpIOp::create(b, loc, CmpIPredicate::uge, orders, splat);
        scf::YieldOp::create(b, loc, append(held, kept.front(), orders, stays));
      });
  k.forEach(room - count, [&](Value at) {
    Value place = arith::AddIOp::create(b, loc, at, k.index(count));
    memref::StoreOp::create(b, loc, word(0), held, place);
  });
  scf::YieldOp::create(b, loc, ValueRange{k.index(count), raised});
  return drop.getResults();
}

Value TopKSearch::append(Value held, Value size, Value orders, Value mask) {
  vector::CompressStoreOp::create(b, loc, held, size, orders, mask);
  return arith::AddIOp::create(b, loc, size, k.toIndex(countLanes(b, loc, mask)));
}

SmallVector<Value> TopKSearch::offer(Value held, Value order,
                                     ValueRange state) {
  Value size = state[0], bound = state[1];
  auto take = scf::IfOp::create(
      b, loc, TypeRange{b.getIndexType(), b.getI64Type()},
      k.compare(CmpIPredicate::ugt, order, bound), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(take.elseBlock());
  scf::YieldOp::create(b, loc, ValueRange{size, bound});
  b.setInsertionPointToStart(take.thenBlock());
  memref::StoreOp::create(b, loc, order, held, size);
  Value more = arith::AddIOp::create(b, loc, size, k.index(1));
  scf::YieldOp::create(b, loc, cutIfFull(held, more, bound));
  return take.getResults();
}

SmallVector<Value> TopKSearch::offerRow(Value held, Value row, Value first,
                                        Value count, ValueRange state) {
  auto lanes = VectorType::get({KernelBuilder::lanes}, b.getIndexType());
  Value steps = vector::StepOp::create(b, loc, lanes);
  auto loop = scf::ForOp::create(
      b, loc, k.index(0), count, k.index(KernelBuilder::lanes), state,
      [&](OpBuilder &, Location, Value at, ValueRange carried) {
        Value size = carried[0], bound = carried[1];
        Value place = arith::AddIOp::create(b, loc, first, at);
        Value features = arith::AddIOp::create(b, loc, k.splat(place), steps);
        Value orders = orderOf(k.load(row, at, Value()), features);
        Value isAbove = arith::CmpIOp::create(b, loc, CmpIPredicate::ugt, orders,
                                              k.splat(bound));
        Value rest = arith::SubIOp::create(b, loc, count, at);
        Value mask = vector::CreateMaskOp::create(
            b, loc, lanes.clone(b.getI1Type()), rest);
        mask = arith::AndIOp::create(b, loc, mask, isAbove);
        Value any =
            vector::ReductionOp::create(b, loc, vector::CombiningKind::OR, mask);
        auto take =
            scf::IfOp::create(b, loc, TypeRange{b.getIndexType(), b.getI64Type()},
                              any, /*withElseRegion=*/true);
        scf::YieldOp::create(b, loc, take.getResults());
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(take.elseBlock());
        scf::YieldOp::create(b, loc, ValueRange{size, bound});
        b.setInsertionPointToStart(take.thenBlock());
        Value more = append(held, size, orders, mask);
        scf::YieldOp::create(b, loc, cutIfFull(held, more, bound));
      });
  return loop.getResults();
}

SmallVector<Value> TopKSearch::offerAll(Value held, Value from, Value to,
                                        ValueRange state,
                                        function_ref<Value(Value)> numberOf) {
  auto loop = scf::ForOp::create(
      b, loc, from, to, k.index(1), state,
      [&](OpBuilder &, Location, Value feature, ValueRange carried) {
        Value order = orderOf(numberOf(feature), feature);
        scf::YieldOp::create(b, loc, offer(held, order, carried));
      });
  return loop.getResults();
}

Value TopKSearch::keep(Value number, Value feature, Value bound) {
  Value stays = k.compare(CmpIPredicate::uge, orderOf(number, feature), bound);
  return k.keepWhere(stays, k.relu(number));
}

//===----------------------------------------------------------------------===//
// A block of tokens
//===----------------------------------------------------------------------===//

namespace {

/// The encoder rows and biases of all features, as they are stored.
struct WholeEncoder {
  WholeEncoder(KernelBuilder &k, const TopKRead &read) : k(k) {
    auto stored = [&](flow::RowsPart part, ArrayRef<int64_t> shape) {
      return k.rows(flow::RowsAttr::get(k.builder().getContext(), part,
                                        read.dictionary, ArrayRef<int64_t>()),
                    shape);
    };
    weight = stored(flow::RowsPart::Encoder, {read.features, read.width});
    bias = stored(flow::RowsPart::EncoderBias, {read.features});
  }
  Value product(Value x, Value feature) {
    return k.add(k.dot(x, k.row(weight, feature)), k.element(bias, feature));
  }

  KernelBuilder &k;
  Value weight, bias;
};

} // namespace

/// Features whose rows are at hand for all tokens of a block, a vector's multiple:
/// some hundreds of kilobytes.
static int64_t featuresAtOnce(const TopKRead &read) {
  int64_t most = (1 << 17) / std::max<int64_t>(read.width, 1);
  return llvm::alignDown(
      std::clamp<int64_t>(most, KernelBuilder::lanes, 256), KernelBuilder::lanes);
}

int64_t BlockSearch::numbersOf(const TopKRead &read) {
  return read.width + featuresAtOnce(read) +
         2 * (llvm::alignTo(2 * read.activation.getTopK(), KernelBuilder::lanes) +
              KernelBuilder::lanes);
}

BlockSearch::BlockSearch(KernelBuilder &k, const TopKRead &read, int64_t tokens,
                         Location loc)
    : k(k), loc(loc), read(read), search(k, read.activation, loc) {
  OpBuilder &b = k.builder();
  values = k.scratchMatrix(tokens, read.width);
  products = k.scratchMatrix(tokens, featuresAtOnce(read));
  held = k.scratchMatrix(tokens, search.getRoom(), b.getI64Type());
  bounds = k.scratch(tokens, b.getI64Type());
  sizes = k.scratch(tokens, b.getIndexType());
}

void BlockSearch::run(Value count, function_ref<Value(Value)> rowOf,
                      Type narrow) {
  OpBuilder &b = k.builder();
  auto put = [&](Value value, Value column, Value slot) {
    memref::StoreOp::create(b, loc, value, column, slot);
  };
  k.forRange(count, [&](Value slot) {
    SmallVector<Value> state = search.begin();
    put(state[0], sizes, slot);
    put(state[1], bounds, slot);
    search.clear(k.row(held, slot));
    Value to = k.row(values, slot);
    k.copy(rowOf(slot), to, narrow);
    if (read.normalization != flow::Normalization::None)
      k.copy(k.normalize(to, read.normalization), to);
  });
  Value all = k.index(read.features), step = k.index(featuresAtOnce(read));
  WholeEncoder encoder(k, read);
  auto some = scf::ForOp::create(b, loc, k.index(0), all, step);
  b.setInsertionPointToStart(some.getBody());
  Value from = some.getInductionVar();
  Value to = arith::MinSIOp::create(
      b, loc, arith::AddIOp::create(b, loc, from, step), all);
  Value width = arith::SubIOp::create(b, loc, to, from);
  auto tokens = k.forRange(count, [&](Value slot) {
    Value x = k.row(values, slot);
    auto rows = k.forRange(width, [&](Value at) {
      Value feature = arith::AddIOp::create(b, loc, from, at);
      k.storeAt(encoder.product(x, feature), products, {slot, at});
    });
    rows->setAttr(kernelJamName, b.getStringAttr("rows"));
  });
  tokens->setAttr(kernelJamName, b.getStringAttr("tokens"));
  k.forRange(count, [&](Value slot) {
    Value mine = k.row(products, slot);
    SmallVector<Value> state = search.offerRow(
        k.row(held, slot), mine, from, width,
        ValueRange{k.element(sizes, slot), k.element(bounds, slot)});
    put(state[0], sizes, slot);
    put(state[1], bounds, slot);
  });
  b.setInsertionPointAfter(some);
  k.forRange(count, [&](Value slot) {
    put(search.bound(k.row(held, slot)), bounds, slot);
  });
}

Value BlockSearch::boundAt(Value slot) { return k.element(bounds, slot); }

//===----------------------------------------------------------------------===//
// A token
//===----------------------------------------------------------------------===//

Value weir::readTopK(KernelBuilder &k, const TopKRead &read, Value x,
                     int64_t wanted, function_ref<Value(Value)> featureOf,
                     Value bound, Location loc) {
  if (read.normalization != flow::Normalization::None)
    x = k.normalize(x, read.normalization);
  WholeEncoder encoder(k, read);
  TopKSearch search(k, read.activation, loc);
  if (!bound) {
    Value held = k.scratch(search.getRoom(), k.builder().getI64Type());
    search.clear(held);
    search.offerAll(held, k.index(0), k.index(read.features), search.begin(),
                    [&](Value feature) { return encoder.product(x, feature); });
    bound = search.bound(held);
  }
  return k.columns(wanted, [&](Value column) {
    Value feature = featureOf(column);
    return search.keep(encoder.product(x, feature), feature, bound);
  });
}

namespace {

/// Other reads are decomposed: of a TopK dictionary a kernel stores no
/// activations.
struct ReadToKernel : KernelPattern<ReadOp> {
  using KernelPattern::KernelPattern;
  Value lower(ReadOp op, OpAdaptor adaptor, KernelBuilder &k) const override {
    if (op.getActivation().getKind() != flow::ActivationKind::TopK)
      return {};
    auto columns = k.integers(op.getFeatures());
    return readTopK(
        k, TopKRead::of(op), adaptor.getInput(), op.getFeatures().size(),
        [&](Value column) { return k.toIndex(columns(column)); },
        constants.known.lookup(op), op.getLoc());
  }
};

} // namespace

void weir::populateTopKToKernelPatterns(RewritePatternSet &patterns,
                                        const TypeConverter &types,
                                        KernelConstants &constants) {
  patterns.add<ReadToKernel>(types, patterns.getContext(), constants);
}
