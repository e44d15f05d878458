//===- SteerToKernels.cpp - Lowering of outlined patches to kernels ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "TokenBlocks.h"

#include "weir/Dialect/Steer/Transforms/KernelForm.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"

namespace weir {
#define GEN_PASS_DEF_CONVERTSTEERTOKERNELSPASS
#include "weir/Conversion/SteerToKernels/Passes.h.inc"
} // namespace weir

using namespace mlir;
using namespace weir;
using namespace weir::steer;

void weir::registerKernelDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, func::FuncDialect, math::MathDialect,
                  memref::MemRefDialect, scf::SCFDialect, vector::VectorDialect>();
}

namespace {

/// What follows the tokens of a tensor: nothing for plans and positions, which
/// are a number for a row or a token, else the last dimension.
bool hasColumns(RankedTensorType type) {
  return !(type.getElementType().isInteger(64) && type.getRank() < 3);
}

/// A kernel's buffer for a tensor. Dimensions of tokens have any stride, so that
/// what is the same for all of them is stored once; columns are contiguous.
MemRefType bufferType(RankedTensorType type) {
  SmallVector<int64_t> shape(type.getRank(), ShapedType::kDynamic);
  SmallVector<int64_t> strides(type.getRank(), ShapedType::kDynamic);
  if (hasColumns(type)) {
    shape.back() = type.getShape().back();
    strides.back() = 1;
  }
  return MemRefType::get(shape, storedType(type.getElementType()),
                         StridedLayoutAttr::get(type.getContext(), 0, strides));
}

/// The sizes of such a buffer, as `weir.sizes` has them.
SmallVector<int64_t> bufferSizes(RankedTensorType type) {
  SmallVector<int64_t> sizes(type.getShape());
  for (auto [i, size] : llvm::enumerate(sizes)) {
    if (!ShapedType::isDynamic(size))
      continue;
    bool isColumn = hasColumns(type) && i + 1 == sizes.size();
    size = isColumn ? AnySize : i == 0 ? BatchSize : SequenceSize;
  }
  return sizes;
}

/// What a kernel gives for a result of a site: gates are numbers, 1 where they
/// hold, so that all that is read is of one type.
RankedTensorType givenType(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (!tensor.getElementType().isInteger(1))
    return tensor;
  return fx::withElementType(tensor, Float32Type::get(type.getContext()));
}

/// One outlined function on its way to a kernel.
class KernelMaker {
public:
  KernelMaker(func::FuncOp site, ModuleOp kernels)
      : site(site), kernels(kernels), builder(site.getContext()),
        loc(UnknownLoc::get(site.getContext())) {}

  /// The kernel, under the name that its text has; it may have been there.
  FailureOr<func::FuncOp> make(bool &isNew) {
    builder.setInsertionPointToEnd(kernels.getBody());
    kernel = func::FuncOp::create(builder, loc, "kernel",
                                  builder.getFunctionType({}, {}));
    entry = kernel.addEntryBlock();
    for (Type type : site.getArgumentTypes())
      addBuffer(cast<RankedTensorType>(type),
                entry->getNumArguments() ? "input" : "value");
    for (auto [i, type] : llvm::enumerate(site.getResultTypes()))
      addBuffer(givenType(type), i ? "read" : "result");
    Value begin = entry->addArgument(builder.getIndexType(), loc);
    Value end = entry->addArgument(builder.getIndexType(), loc);
    KernelConstants collected(kernel);

    builder.setInsertionPointToStart(entry);
    BlockedReads reads(site);
    Value step = arith::ConstantIndexOp::create(
        builder, loc, reads.empty() ? 1 : reads.blockSize());
    auto loop = scf::ForOp::create(builder, loc, begin, end, step);
    func::ReturnOp::create(builder, loc);
    builder.setInsertionPointToStart(loop.getBody());
    KernelBuilder k(builder, loop, collected);
    knownOf = [&](Operation *op) { return reads.knownOf(k, op, slot); };
    known = &collected.known;
    if (reads.empty())
      fillLoop(loop.getInductionVar());
    else
      fillBlock(k, loop.getInductionVar(), end, reads);

    if (failed(lower(collected)))
      return failure();
    constants = collected.finish();
    for (auto &[value, type] : constants)
      describe("constant", type.getShape(), type.getElementType());
    finishSignature();
    return share(isNew);
  }

  ArrayRef<std::pair<Attribute, RankedTensorType>> getConstants() const {
    return constants;
  }

private:
  void addBuffer(RankedTensorType type, StringRef role) {
    entry->addArgument(bufferType(type), loc);
    describe(role, bufferSizes(type), type.getElementType());
  }
  void describe(StringRef role, ArrayRef<int64_t> sizes, Type element) {
    descriptions.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr(kernelRoleName, builder.getStringAttr(role)),
         builder.getNamedAttr(kernelSizesName,
                              builder.getDenseI64ArrayAttr(sizes)),
         builder.getNamedAttr(kernelTypeName, TypeAttr::get(element))}));
  }

  /// The row and the place in it of a token.
  void splitToken(Value token) {
    Value value = entry->getArgument(0);
    row = token;
    if (cast<MemRefType>(value.getType()).getRank() == 2)
      return;
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    Value sequence = memref::DimOp::create(builder, loc, value, one);
    row = arith::DivUIOp::create(builder, loc, token, sequence);
    place = arith::RemUIOp::create(builder, loc, token, sequence);
  }

  /// What a buffer holds of the token.
  Value viewOf(Value buffer, RankedTensorType type) {
    SmallVector<Value> at = {row};
    if (type.getRank() == 3 || (type.getRank() == 2 && !hasColumns(type)))
      at.push_back(place);
    Type wanted = tokenType(type);
    if (auto rowOfToken = dyn_cast<MemRefType>(wanted)) {
      SmallVector<OpFoldResult> offsets(at.begin(), at.end());
      SmallVector<OpFoldResult> sizes(at.size(), builder.getIndexAttr(1));
      SmallVector<OpFoldResult> strides(at.size() + 1, builder.getIndexAttr(1));
      offsets.push_back(builder.getIndexAttr(0));
      if (rowOfToken.isDynamicDim(0)) {
        Value last = arith::ConstantIndexOp::create(builder, loc, at.size());
        sizes.push_back(
            Value(memref::DimOp::create(builder, loc, buffer, last)));
      } else {
        sizes.push_back(builder.getIndexAttr(rowOfToken.getDimSize(0)));
      }
      return memref::SubViewOp::create(builder, loc, rowOfToken, buffer, offsets,
                                       sizes, strides);
    }
    if (hasColumns(type))
      at.push_back(arith::ConstantIndexOp::create(builder, loc, 0));
    Value loaded = memref::LoadOp::create(builder, loc, buffer, at);
    if (!wanted.isInteger(1))
      return loaded;
    Value zero = arith::ConstantOp::create(builder, loc,
                                           builder.getI8IntegerAttr(0));
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, loaded,
                                 zero);
  }

  Value asType(Value value, Type type) {
    return UnrealizedConversionCastOp::create(builder, loc, type, value)
        .getResult(0);
  }

  /// What the site's arguments are for the token, and copies of what sees no
  /// value of the model. Gives the rows of its results.
  SmallVector<Value> startToken(Value token, IRMapping &map,
                                llvm::DenseSet<Operation *> &done) {
    splitToken(token);
    for (auto [i, argument] : llvm::enumerate(site.getArguments())) {
      auto type = cast<RankedTensorType>(argument.getType());
      map.map(argument, asType(viewOf(entry->getArgument(i), type), type));
    }
    SmallVector<Value> results;
    for (auto [i, type] : llvm::enumerate(site.getResultTypes())) {
      Value buffer = entry->getArgument(site.getNumArguments() + i);
      results.push_back(resultRow(buffer, givenType(type)));
    }
    for (Operation &op : site.front())
      if (isOfRows(&op) && llvm::all_of(op.getOperands(), [&](Value operand) {
            return map.contains(operand);
          })) {
        clone(op, map);
        done.insert(&op);
      }
    return results;
  }

  /// Everything else that the site does for the token.
  void finishToken(IRMapping &map, function_ref<bool(Operation *)> isDone,
                   ArrayRef<Value> results) {
    Block &body = site.front();
    for (Operation &op : body.without_terminator())
      if (!isDone(&op))
        clone(op, map);
    for (auto [value, to] :
         llvm::zip_equal(body.getTerminator()->getOperands(), results))
      DeliverOp::create(builder, loc, map.lookup(value), to);
  }

  /// Whether any edit is meant for the token, or nothing if that depends on more
  /// than plans and tokens. What else leaves the kernel is always computed.
  Value isEdited(IRMapping &map, ArrayRef<Value> results) {
    SmallVector<Value> gates;
    if (results.size() != 1 || !collectGates(site.front(), map, gates))
      return {};
    Value any = gates.size() == 1
                    ? gates.front()
                    : Value(AnyOp::create(builder, loc, gates));
    return asType(any, builder.getI1Type());
  }

  void fillLoop(Value token) {
    IRMapping map;
    llvm::DenseSet<Operation *> done;
    SmallVector<Value> results = startToken(token, map, done);
    auto isDone = [&](Operation *op) { return done.contains(op); };
    // A token that no edit is meant for keeps its row.
    Value edited = isEdited(map, results);
    if (!edited)
      return finishToken(map, isDone, results);
    auto branch =
        scf::IfOp::create(builder, loc, edited, /*withElseRegion=*/true);
    builder.setInsertionPointToStart(branch.elseBlock());
    DeliverOp::create(builder, loc, map.lookup(site.getArgument(0)),
                      results.front());
    builder.setInsertionPointToStart(branch.thenBlock());
    finishToken(map, isDone, results);
  }

  /// A block of tokens that begins with `first`: what is read, then the rest.
  void fillBlock(KernelBuilder &k, Value first, Value end, BlockedReads &reads) {
    Value last = arith::AddIOp::create(builder, loc, first,
                                       k.index(reads.blockSize()));
    last = arith::MinSIOp::create(builder, loc, last, end);
    Value count = arith::SubIOp::create(builder, loc, last, first), list;
    auto [edited, listed] = listEdited(k, first, count, reads.blockSize());
    if (listed) {
      count = edited;
      list = listed;
    }
    auto tokenAt = [&](Value at) -> Value {
      if (list)
        return memref::LoadOp::create(builder, loc, list, at);
      return arith::AddIOp::create(builder, loc, first, at);
    };
    auto rowOf = [&](Value at) {
      splitToken(tokenAt(at));
      return viewOf(entry->getArgument(0),
                    cast<RankedTensorType>(site.getArgumentTypes().front()));
    };
    reads.build(k, count, rowOf,
                [&](Operation &op, IRMapping &map) { clone(op, map); });
    reads.search(k, count, rowOf);
    k.forRange(count, [&](Value at) {
      slot = at;
      IRMapping map;
      llvm::DenseSet<Operation *> done;
      SmallVector<Value> results = startToken(tokenAt(at), map, done);
      reads.mapResults(k, at, map);
      finishToken(
          map,
          [&](Operation *op) { return done.contains(op) || reads.isDone(op); },
          results);
    });
  }

  /// The number and the list of a block's tokens that an edit is meant for; the
  /// others keep their rows. Nothing if that is not known beforehand.
  std::pair<Value, Value> listEdited(KernelBuilder &k, Value first, Value count,
                                     int64_t size) {
    OpBuilder::InsertionGuard guard(builder);
    Value none = k.index(0), one = k.index(1);
    auto loop = scf::ForOp::create(builder, loc, none, count, one, none);
    builder.setInsertionPointToStart(loop.getBody());
    Value token =
        arith::AddIOp::create(builder, loc, first, loop.getInductionVar());
    IRMapping map;
    llvm::DenseSet<Operation *> done;
    SmallVector<Value> results = startToken(token, map, done);
    Value edited = isEdited(map, results);
    if (!edited) {
      loop.erase();
      return {};
    }
    Value list = k.scratch(size, builder.getIndexType());
    Value known = loop.getRegionIterArgs().front();
    auto branch = scf::IfOp::create(builder, loc, builder.getIndexType(), edited,
                                    /*withElseRegion=*/true);
    scf::YieldOp::create(builder, loc, branch.getResults());
    builder.setInsertionPointToStart(branch.elseBlock());
    DeliverOp::create(builder, loc, map.lookup(site.getArgument(0)),
                      results.front());
    scf::YieldOp::create(builder, loc, known);
    builder.setInsertionPointToStart(branch.thenBlock());
    memref::StoreOp::create(builder, loc, token, list, known);
    Value next = arith::AddIOp::create(builder, loc, known, one);
    scf::YieldOp::create(builder, loc, next);
    return {loop.getResult(0), list};
  }

  /// A result's row of the token, as a buffer even where it is one number.
  Value resultRow(Value buffer, RankedTensorType type) {
    SmallVector<OpFoldResult> offsets = {row};
    if (type.getRank() == 3)
      offsets.push_back(place);
    SmallVector<OpFoldResult> sizes(offsets.size(), builder.getIndexAttr(1));
    SmallVector<OpFoldResult> strides(offsets.size() + 1,
                                      builder.getIndexAttr(1));
    offsets.push_back(builder.getIndexAttr(0));
    sizes.push_back(builder.getIndexAttr(type.getShape().back()));
    return memref::SubViewOp::create(
        builder, loc, rowType(type.getShape().back(), type.getElementType()),
        buffer, offsets, sizes, strides);
  }

  void clone(Operation &op, IRMapping &map) {
    Value found = knownOf(&op);
    Operation *copy = builder.clone(op, map);
    copy->setLoc(loc);
    if (found)
      known->insert({copy, found});
  }

  /// Gates of which one holds wherever something is edited; false if an edit has
  /// none that is known before the row is read.
  bool collectGates(Block &body, IRMapping &map, SmallVectorImpl<Value> &gates) {
    llvm::SmallPtrSet<Value, 8> seen;
    auto take = [&](Value gate) {
      Value known = gate ? knownBefore(gate, map) : Value();
      if (known && seen.insert(known).second)
        gates.push_back(known);
      return static_cast<bool>(known);
    };
    bool isGated = true;
    auto takeCoefficient = [&](Value coefficient) {
      Operation *made = coefficient.getDefiningOp();
      // What a table pads is taken out behind the gate.
      if (auto keep = dyn_cast_if_present<RowKeepOp>(made))
        made = keep.getInput().getDefiningOp();
      if (auto delta = dyn_cast_if_present<DeltaOp>(made))
        return take(delta.getGate());
      if (auto strength = dyn_cast_if_present<StrengthOp>(made))
        return take(strength.getGate());
      if (auto strength = dyn_cast_if_present<RowStrengthOp>(made))
        return take(strength.getGate());
      return false;
    };
    for (Operation &op : body) {
      if (auto write = dyn_cast<WriteOp>(op)) {
        for (Value coefficient : write.getCoefficients())
          isGated &= takeCoefficient(coefficient);
      } else if (auto write = dyn_cast<RowWriteOp>(op)) {
        isGated &= takeCoefficient(write.getCoefficients());
      } else if (auto project = dyn_cast<ProjectOp>(op)) {
        isGated &= take(project.getGate());
      } else if (auto project = dyn_cast<RowProjectOp>(op)) {
        isGated &= take(project.getGate());
      } else if (auto rescale = dyn_cast<RescaleOp>(op)) {
        isGated &= take(rescale.getGate());
      } else if (isa<EditOpInterface>(op)) {
        isGated = false;
      }
    }
    return isGated && !gates.empty();
  }

  /// A gate, or one of those that have to hold for it, that is already there.
  Value knownBefore(Value gate, IRMapping &map) {
    if (Value known = map.lookupOrNull(gate))
      return known;
    if (auto all = gate.getDefiningOp<AllOp>())
      for (Value operand : all.getInputs())
        if (Value known = knownBefore(operand, map))
          return known;
    return {};
  }

  LogicalResult lower(KernelConstants &collected) {
    MLIRContext *context = site.getContext();
    TypeConverter types;
    types.addConversion([](Type type) { return tokenType(type); });
    auto materialise = [](OpBuilder &builder, Type type, ValueRange values,
                          Location loc) -> Value {
      return UnrealizedConversionCastOp::create(builder, loc, type, values)
          .getResult(0);
    };
    types.addSourceMaterialization(materialise);
    types.addTargetMaterialization(materialise);
    ConversionTarget target(*context);
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    target.addIllegalDialect<SteerDialect>();
    RewritePatternSet patterns(context);
    populateGateToKernelPatterns(patterns, types, collected);
    populateActivationToKernelPatterns(patterns, types, collected);
    populateEditToKernelPatterns(patterns, types, collected);
    populateTableToKernelPatterns(patterns, types, collected);
    populateTopKToKernelPatterns(patterns, types, collected);
    if (failed(applyPartialConversion(kernel, target, std::move(patterns))))
      return failure();
    SmallVector<UnrealizedConversionCastOp> casts;
    kernel.walk([&](UnrealizedConversionCastOp op) { casts.push_back(op); });
    reconcileUnrealizedCasts(casts);
    return success();
  }

  void finishSignature() {
    kernel.setFunctionType(
        builder.getFunctionType(entry->getArgumentTypes(), {}));
    // The two bounds stand between what a site has and its constants.
    size_t buffers = site.getNumArguments() + site.getNumResults(), next = 0;
    for (unsigned i = 0; i < entry->getNumArguments(); ++i)
      if (i < buffers || i >= buffers + 2)
        kernel.setArgAttrs(i, descriptions[next++]);
  }

  FailureOr<func::FuncOp> share(bool &isNew) {
    std::string text;
    llvm::raw_string_ostream os(text);
    kernel->print(os, OpPrintingFlags().useLocalScope());
    auto digest = llvm::SHA256::hash(llvm::arrayRefFromStringRef(text));
    std::string name =
        "edit_" + llvm::toHex(ArrayRef(digest).take_front(8), /*LowerCase=*/true);
    if (auto known = kernels.lookupSymbol<func::FuncOp>(name)) {
      kernel.erase();
      isNew = false;
      return known;
    }
    kernel.setSymName(name);
    isNew = true;
    return kernel;
  }

  func::FuncOp site;
  ModuleOp kernels;
  OpBuilder builder;
  Location loc; ///< none: equal sites are equal text
  func::FuncOp kernel;
  Block *entry = nullptr;
  Value row, place;
  Value slot; ///< of the token in its block
  /// What was found for an operation of a token of a block, and of its copies.
  std::function<Value(Operation *)> knownOf;
  llvm::DenseMap<Operation *, Value> *known = nullptr;
  SmallVector<DictionaryAttr> descriptions;
  SmallVector<std::pair<Attribute, RankedTensorType>> constants;
};

/// The call of a site becomes one of its kernel.
void replaceCall(func::CallOp call, Attribute place, func::FuncOp kernel,
                 ArrayRef<std::pair<Attribute, RankedTensorType>> constants) {
  OpBuilder builder(call);
  SmallVector<Value> stored;
  for (auto &[value, type] : constants)
    stored.push_back(
        fx::ConstantOp::create(builder, call.getLoc(), type, value));
  SmallVector<fx::Argument> arguments = {
      {"x", call.getOperand(0)},
      fx::Argument::tensors("inputs", call.getOperands().drop_front()),
      fx::Argument::tensors("constants", stored)};
  bool reads = call.getNumResults() > 1;
  SmallVector<int64_t> columns;
  if (reads) {
    for (Value read : call.getResults().drop_front())
      columns.push_back(lastSize(read));
    arguments.push_back({"columns", ArrayRef<int64_t>(columns)});
  }
  arguments.push_back({"kernel", kernel.getSymName()});
  auto given = llvm::map_to_vector(
      call.getResultTypes(), [](Type type) -> Type { return givenType(type); });
  auto edit = fx::CallOp::create(
      builder, call.getLoc(), given,
      reads ? "weir.edit_and_read.default" : "weir.edit.default", arguments);
  edit->setAttr(kernelSiteName, place);
  if (reads) {
    Attribute slot = fx::SlotAttr::get(builder.getContext());
    SmallVector<Attribute> slots(call.getNumResults(), slot);
    edit.setOutputsAttr(builder.getArrayAttr(
        fx::ListAttr::get(builder.getContext(), fx::ListKind::Tensors, slots)));
  }
  for (auto [asked, made] : llvm::zip_equal(call.getResults(), edit.getResults())) {
    Value value = made;
    if (asked.getType() != value.getType())
      value = fx::CallOp::create(builder, call.getLoc(),
                                 TypeRange(asked.getType()), "aten.ne.Scalar",
                                 ArrayRef<fx::Argument>{{"self", value},
                                                        {"other", 0.0}})
                  .getResult(0);
    asked.replaceAllUsesWith(value);
  }
  call.erase();
}

struct ConvertSteerToKernels
    : weir::impl::ConvertSteerToKernelsPassBase<ConvertSteerToKernels> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<func::FuncOp> found;
    for (auto func : module.getOps<func::FuncOp>())
      if (func->hasAttr("steer.site"))
        found.push_back(func);
    if (found.empty())
      return;
    llvm::StringMap<SmallVector<func::CallOp>> calls;
    module.walk([&](func::CallOp call) {
      calls[call.getCallee()].push_back(call);
    });
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto all = ModuleOp::create(builder, module.getLoc(), kernelModuleName);
    for (func::FuncOp site : found) {
      KernelMaker maker(site, all);
      bool isNew = false;
      FailureOr<func::FuncOp> kernel = maker.make(isNew);
      if (failed(kernel))
        return signalPassFailure();
      kernels += isNew;
      for (func::CallOp call : calls[site.getSymName()]) {
        replaceCall(call, site->getAttr("steer.site"), *kernel,
                    maker.getConstants());
        ++sites;
      }
      site.erase();
    }
  }
};

} // namespace
