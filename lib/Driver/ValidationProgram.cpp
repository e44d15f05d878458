//===- ValidationProgram.cpp - The program that validation runs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ValidationProgram.h"

#include "weir/Dialect/FX/Transforms/Slice.h"
#include "weir/Dialect/Steer/IR/Steer.h"

using namespace mlir;
using namespace weir;

using Source = CaseProgram::Source;

namespace {
/// A site that is recorded: its mark, how it is read, and what the columns are.
struct RecordedSite {
  fx::SiteOp mark;
  steer::ReadOp read;
  ArrayAttr columns;
};
} // namespace

/// The record of a site. What only reads a site leaves no patch behind, so that its
/// value is marked here.
static RecordedSite recordedAt(fx::ProgramOp program, size_t index,
                               const ActivationSite &site) {
  std::string name = recordName(index, site);
  RecordedSite found;
  for (auto record : program.getEntry().getOps<steer::RecordOp>())
    if (record.getName() == name) {
      found.read = record.getInput().getDefiningOp<steer::ReadOp>();
      found.columns = record.getFeatures();
    }
  if (!found.read)
    return found;
  Value value = found.read.getInput();
  found.mark = value.getDefiningOp<fx::SiteOp>();
  if (found.mark && found.mark.getKind() == site.kind &&
      static_cast<int64_t>(found.mark.getLayer()) == site.layer)
    return found;
  OpBuilder builder(program.getContext());
  builder.setInsertionPointAfterValue(value);
  found.mark = fx::SiteOp::create(builder, found.read.getLoc(), site.kind,
                                  site.layer, value);
  value.replaceAllUsesExcept(found.mark.getResult(), found.mark);
  return found;
}

FailureOr<std::vector<size_t>>
weir::orderOfSites(Compiler &compiler, ArrayRef<ActivationSite> sites) {
  std::vector<size_t> order;
  std::vector<Operation *> places;
  ModuleOp module = compiler.module();
  for (auto [index, site] : llvm::enumerate(sites)) {
    auto collection = module.lookupSymbol<flow::CollectionOp>(site.collection);
    auto name = collection.dictionaryName(
        flow::SiteAttr::get(module.getContext(), site.kind, site.layer));
    auto dictionary = module.lookupSymbol<flow::DictionaryOp>(name);
    std::string where = fx::siteName(site.kind, site.layer);
    if (dictionary.getReads() != dictionary.getSite())
      return collection.emitError()
             << "the dictionary at " << where
             << " reads another site than it writes to; such features cannot be "
                "validated by taking them away";
    if (dictionary.getActivation().getKind() == flow::ActivationKind::Identity)
      return collection.emitError()
             << "the features at " << where
             << " are never off, so nothing can be validated by whether they go "
                "out";
    RecordedSite recorded = recordedAt(compiler.program(), index, site);
    if (!recorded.mark)
      return collection.emitError() << "the dictionary at " << where
                                    << " cannot be read in this model";
    order.push_back(index);
    places.push_back(recorded.mark);
  }
  llvm::sort(order, [&](size_t a, size_t b) {
    return places[a] == places[b] ? a < b : places[a]->isBeforeInBlock(places[b]);
  });
  return order;
}

namespace {

class CaseProgramBuilder {
public:
  CaseProgramBuilder(Compiler &compiler, ArrayRef<ActivationSite> sites,
                     const CaseProgramOptions &options)
      : compiler(compiler), program(compiler.program()), options(options),
        builder(program.getContext()) {
    for (auto [index, site] : llvm::enumerate(sites))
      recorded.push_back(recordedAt(program, index, site));
    result.removed = options.removed;
    result.windows = compiler.model().maxBatch;
  }

  LogicalResult addSlice(size_t number, const WantedSlice &wanted);
  FailureOr<CaseProgram> finish(ArrayRef<ActivationSite> sites);

private:
  Value takeAway(OpBuilder &at, Value value, size_t site, StringRef name,
                 size_t edit, Value tokens, CaseProgram::Slice &slice);
  void readEnd(Value value, size_t site, StringRef record);
  size_t outputOf(Value value);
  Value logits();

  Compiler &compiler;
  fx::ProgramOp program;
  const CaseProgramOptions &options;
  OpBuilder builder;
  flow::SiteAttr siteOf(fx::SiteOp mark) {
    return flow::SiteAttr::get(builder.getContext(), mark.getKind(),
                               mark.getLayer());
  }

  std::vector<RecordedSite> recorded; ///< of each site
  llvm::DenseMap<Value, size_t> outputs;
  /// Slices and the names of their records, whose outputs come with lowering.
  std::vector<std::pair<size_t, std::string>> records;
  CaseProgram result;
};

} // namespace

/// The number of the output that gives a value.
size_t CaseProgramBuilder::outputOf(Value value) {
  auto [place, isNew] =
      outputs.try_emplace(value, program.getUserOutputs().size());
  if (isNew)
    program.addUserOutput(value);
  return place->second;
}

Value CaseProgramBuilder::logits() {
  unsigned next = 0;
  fx::ReturnOp ret = program.getReturn();
  for (auto output : ret.getOutputs().getAsRange<fx::OutputAttr>()) {
    if (output.getLiteral())
      continue;
    Value value = ret.getValues()[next++];
    if (isa_and_present<fx::LogitsAttr>(output.getRole()))
      return value;
  }
  return {};
}

/// h - sum_j f_j d_j over the features that a row names, at the edited token.
Value CaseProgramBuilder::takeAway(OpBuilder &at, Value value, size_t site,
                                   StringRef name, size_t edit, Value tokens,
                                   CaseProgram::Slice &slice) {
  steer::ReadOp like = recorded[site].read;
  auto type = cast<RankedTensorType>(value.getType());
  Attribute rows = fx::sizesOf(type).front();
  SmallVector<Attribute> sizes = {rows, builder.getI64IntegerAttr(1),
                                  builder.getI64IntegerAttr(options.removed)};
  auto add = [&](StringRef what, Type element, Source source) {
    std::string input = (name + "_" + what + Twine(edit)).str();
    slice.inputs.push_back({input, source, edit});
    return program.addUserInput(input, fx::tensorOf(sizes, element));
  };
  Value features = add("features", builder.getI64Type(), Source::Features);
  Value kept = add("kept", builder.getI1Type(), Source::Kept);

  Location loc = like.getLoc();
  auto edited = steer::PatchOp::create(at, loc, value, siteOf(recorded[site].mark));
  OpBuilder in = OpBuilder::atBlockEnd(&edited.getBody().front());
  Value x = edited.getValue();
  SmallVector<int64_t> all(
      llvm::to_vector(llvm::seq<int64_t>(0, like.getDictionarySize())));
  Value f = steer::RowReadOp::create(
      in, loc, x, features, like.getDictionaryAttr(),
      in.getDenseI64ArrayAttr(all), like.getActivationAttr(),
      like.getNormalizationAttr(), like.getDictionarySizeAttr(),
      like.getGatherAttr());
  Value zero = steer::SetToOp::create(in, loc, f.getType(), f,
                                      in.getDenseF64ArrayAttr({0.0}), Value());
  Value scale;
  if (like.getNormalization() != flow::Normalization::None)
    scale = steer::InputScaleOp::create(in, loc, x, like.getNormalizationAttr());
  Value delta = steer::DeltaOp::create(in, loc, f.getType(), f, zero, tokens,
                                       scale, /*only_active=*/UnitAttr());
  delta = steer::RowKeepOp::create(in, loc, delta.getType(), delta, kept);
  auto decoder = flow::RowsAttr::get(builder.getContext(),
                                     flow::RowsPart::Decoder,
                                     like.getDictionaryAttr(), all);
  Value y = steer::RowWriteOp::create(in, loc, x.getType(), x, delta, features,
                                      decoder);
  steer::YieldOp::create(in, loc, y);
  return edited.getResult();
}

/// All activations of a site, as an output.
void CaseProgramBuilder::readEnd(Value value, size_t site, StringRef record) {
  steer::ReadOp like = recorded[site].read;
  Location loc = like.getLoc();
  OpBuilder at(program.getReturn());
  auto read = steer::PatchOp::create(at, loc, value, siteOf(recorded[site].mark));
  OpBuilder in = OpBuilder::atBlockEnd(&read.getBody().front());
  Value x = read.getValue();
  Value f = steer::ReadOp::create(
      in, loc, x, like.getDictionaryAttr(), like.getFeaturesAttr(),
      like.getActivationAttr(), like.getNormalizationAttr(),
      like.getDictionarySizeAttr(), like.getGatherAttr());
  steer::RecordOp::create(in, loc, f, in.getStringAttr(record),
                          recorded[site].columns, Value());
  steer::YieldOp::create(in, loc, x);
}

LogicalResult CaseProgramBuilder::addSlice(size_t number,
                                           const WantedSlice &wanted) {
  std::string name = "part" + std::to_string(number);
  CaseProgram::Slice slice;
  fx::SiteOp from = recorded[wanted.from].mark;

  // The token that is edited: [n, t, 1].
  Value tokens;
  if (!wanted.edited.empty()) {
    SmallVector<Attribute> sizes =
        fx::sizesOf(cast<RankedTensorType>(from.getInput().getType()));
    sizes.back() = builder.getI64IntegerAttr(1);
    std::string input = name + "_tokens";
    slice.inputs.push_back({input, Source::Tokens, 0});
    tokens = program.addUserInput(input, fx::tensorOf(sizes, builder.getI1Type()));
  }

  std::vector<fx::SlicePlace> places;
  for (Operation *op = from; op; op = op->getNextNode()) {
    auto mark = dyn_cast<fx::SiteOp>(op);
    if (!mark)
      continue;
    fx::SlicePlace place{mark.getInput(), mark.getResult(), nullptr};
    for (auto [edit, site] : llvm::enumerate(wanted.edited))
      if (recorded[site].mark == mark)
        place.edit = [&, edit = edit, site = site](OpBuilder &at, Value value) {
          return takeAway(at, value, site, name, edit, tokens, slice);
        };
    places.push_back(std::move(place));
  }
  Value target = wanted.to ? Value(recorded[*wanted.to].mark.getInput()) : logits();
  if (!target)
    return program.emitError() << "the program has no logits";
  auto made = fx::copySlice(program, places, {target}, {name, options.slots});
  if (failed(made))
    return failure();

  auto nameOf = [&](BlockArgument argument) {
    return program.getInputName(argument.getArgNumber()).str();
  };
  slice.inputs.push_back({nameOf(made->positions), Source::Positions, 0});
  slice.inputs.push_back(
      {nameOf(made->value), Source::Value, outputOf(from.getInput())});
  for (const fx::Slice::Input &carried : made->carried)
    slice.inputs.push_back(
        {nameOf(carried.input), Source::Recorded, outputOf(carried.original)});
  if (made->rows)
    slice.inputs.push_back({nameOf(made->rows), Source::Rows, 0});
  for (const fx::Slice::Input &cache : made->caches)
    slice.inputs.push_back(
        {nameOf(cache.input), Source::Cache, outputOf(cache.original)});
  Value end = made->results.front();
  if (!wanted.to)
    slice.logits = outputOf(end);
  if (wanted.value)
    slice.value = outputOf(end);
  if (wanted.activations) {
    records.push_back({number, name + ".activations"});
    readEnd(end, *wanted.to, records.back().second);
  }
  result.slices.push_back(std::move(slice));
  return success();
}

FailureOr<CaseProgram>
CaseProgramBuilder::finish(ArrayRef<ActivationSite> sites) {
  // Rows of slices are cases, as many as one likes.
  auto positions = program.findInput(InputRole::Positions);
  if (auto rows = dyn_cast<fx::SymExprAttr>(
          fx::sizesOf(cast<RankedTensorType>(positions.getType())).front()))
    fx::liftLimit(program, rows);
  if (options.losses)
    result.logits = outputOf(logits());
  if (failed(compiler.lower(/*isLimited=*/false)))
    return failure();
  llvm::StringMap<size_t> numbers;
  for (auto [number, output] : llvm::enumerate(program.getUserOutputs()))
    if (auto record = dyn_cast_if_present<fx::RecordAttr>(output.getRole()))
      numbers[record.getName().getValue()] = number;
  for (auto [index, site] : llvm::enumerate(sites))
    result.activations.push_back(numbers.lookup(recordName(index, site)));
  for (auto &[slice, record] : records)
    result.slices[slice].activations = numbers.lookup(record);
  return std::move(result);
}

FailureOr<CaseProgram>
weir::makeCaseProgram(Compiler &compiler, ArrayRef<ActivationSite> sites,
                      ArrayRef<WantedSlice> slices,
                      const CaseProgramOptions &options) {
  CaseProgramBuilder builder(compiler, sites, options);
  for (auto [number, wanted] : llvm::enumerate(slices))
    if (failed(builder.addSlice(number, wanted)))
      return failure();
  return builder.finish(sites);
}
