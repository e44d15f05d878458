//===- FoldedWeights.cpp - The numbers of folded weights ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FoldedWeights.h"

#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Operators/Operators.h"
#include "weir/Resources/Recipes.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace weir;

/// Rows of an old weight by which a writer knows its own copy.
static constexpr int64_t rowsToCompare = 4;

struct FoldedWeights::Map {
  fx::WeightAttr weight, bias; ///< `bias`: the old one, if there is one
  Attribute newWeight, newBias; ///< recipes, null where nothing changes
  bool isTable = false, isShared = false;
  Location loc;
  std::string weightName; ///< at the module of the map

  std::string biasName() const {
    if (bias)
      return bias.getKey().str();
    StringRef name = weightName;
    name.consume_back("weight");
    return (name + "bias").str();
  }
};

/// Weights that are tied are one input of the program, which is called as one of
/// the modules has it. What the module calls it that reads `constant`.
static std::string nameAtModule(const Archive &model, StringRef name,
                                fx::ConstantOp constant) {
  const ArchiveTensor *stored = model.find(name);
  for (Operation *user : constant->getUsers()) {
    auto call = dyn_cast<fx::CallOp>(user);
    if (!stored || !call)
      continue;
    for (const auto &entry : model.weights()) {
      StringRef module = entry.getKey();
      if (entry.getValue().record == stored->record &&
          entry.getValue().storageOffset == stored->storageOffset &&
          module.consume_back(".weight") &&
          call.getModulePath().ends_with(module))
        return entry.getKey().str();
    }
  }
  return name.str();
}

/// Is the constant what a table of embeddings looks rows up in?
static bool isTable(fx::ConstantOp constant) {
  return llvm::any_of(constant->getUsers(), [](Operation *user) {
    auto call = dyn_cast<fx::CallOp>(user);
    const OperatorInfo *info = call ? call.getOperatorInfo() : nullptr;
    return info && info->role == OperatorRole::Gather;
  });
}

FailureOr<std::vector<FoldedWeights::Map>> FoldedWeights::maps() {
  std::vector<Map> result;
  llvm::StringMap<size_t> byName;
  fx::ProgramOp program = compiler.program();
  auto model = compiler.opened()->model();
  if (!model)
    return emitError(program.getLoc()) << llvm::toString(model.takeError());
  for (auto constant : program.getEntry().getOps<fx::ConstantOp>()) {
    auto weight = dyn_cast<flow::FoldedWeightAttr>(constant.getValue());
    auto bias = dyn_cast<flow::FoldedBiasAttr>(constant.getValue());
    if (!weight && !bias)
      continue;
    fx::WeightAttr name = weight ? weight.getWeight() : bias.getWeight();
    auto [found, isNew] = byName.try_emplace(name.getKey(), result.size());
    if (isNew)
      result.push_back({name, {}, {}, {}, false, false, constant.getLoc(),
                        nameAtModule(**model, name.getKey(), constant)});
    Map &map = result[found->second];
    Attribute &slot = weight ? map.newWeight : map.newBias;
    if (slot && slot != constant.getValue())
      return emitError(constant.getLoc())
             << "the weight " << name.getKey()
             << " is used in several places, which would need different ones";
    slot = constant.getValue();
    if (bias)
      map.bias = bias.getBias();
    else
      map.isTable = isTable(constant);
    if (BlockArgument stored = program.findWeight(name);
        weight && stored && !stored.use_empty())
      map.isShared = true;
  }
  return result;
}

llvm::json::Array FoldedWeights::names() {
  llvm::json::Array names;
  if (auto all = maps(); succeeded(all))
    for (const Map &map : *all) {
      if (map.newWeight)
        names.push_back(map.weightName);
      if (map.newBias)
        names.push_back(map.biasName());
    }
  return names;
}

void FoldedWeights::keep(StringRef name, FoldedLinear::Factor values,
                         int64_t rank) {
  const FoldedLinear::Factor &stays = kept.emplace_back(std::move(values));
  SmallVector<int64_t> shape{stays.rows(), stays.cols()};
  numbers.push_back(NamedTensor::of(name, DType::Float64,
                                    ArrayRef(shape).take_back(rank),
                                    stays.data()));
}

LogicalResult FoldedWeights::collect() {
  auto all = maps();
  if (failed(all))
    return failure();
  flow::DictionaryStore store(compiler.module(), *compiler.opened());
  for (const auto &[number, map] : llvm::enumerate(*all)) {
    // Both recipes are of one map, which the bias knows all of.
    auto folded =
        flow::foldedLinear(map.newBias ? map.newBias : map.newWeight, store);
    if (!folded)
      return emitError(map.loc) << llvm::toString(folded.takeError());
    const FoldedLinear &linear = **folded;
    std::string prefix = std::to_string(number) + ".";
    const TensorView &stored = linear.stored();
    if (map.newWeight) {
      keep(prefix + "left", linear.left(), 2);
      keep(prefix + "right", linear.right(), 2);
      locations.try_emplace(map.weightName, map.loc);
    }
    if (map.newBias) {
      FoldedLinear::Factor shift = linear.shift();
      keep(prefix + "bias", shift, 1);
      if (map.bias) {
        auto old = store.weight(map.bias);
        if (!old)
          return emitError(map.loc) << llvm::toString(old.takeError());
        for (int64_t i = 0; i < shift.cols(); ++i)
          shift(0, i) -= old->at(i);
      }
      keep(prefix + "shift", shift, 1);
      locations.try_emplace(map.biasName(), map.loc);
    }
    int64_t rows = std::min(rowsToCompare, stored.shape[0]);
    FoldedLinear::Factor first(rows, stored.shape[1]);
    for (int64_t i = 0; i < first.size(); ++i)
      first.data()[i] = stored.at(i);
    keep(prefix + "rows", std::move(first), 2);
    description.push_back(llvm::json::Object{
        {"weight", map.weightName},
        {"bias", map.biasName()},
        {"inputs", linear.inputs()},
        {"in_out", linear.isInOut()},
        {"table", map.isTable},
        {"shared", map.isShared},
        {"weight_changes", static_cast<bool>(map.newWeight)},
        {"bias_changes", static_cast<bool>(map.newBias)},
        {"had_bias", static_cast<bool>(map.bias)}});
  }
  return success();
}

LogicalResult FoldedWeights::collectControlVector() {
  flow::DictionaryStore store(compiler.module(), *compiler.opened());
  for (auto patch : compiler.program().getEntry().getOps<steer::PatchOp>())
    for (auto write : patch.getBody().front().getOps<steer::WriteOp>())
      for (Attribute recipe : write.getRows()) {
        auto row = weir::evaluate(recipe, store);
        if (!row)
          return emitError(patch.getLoc()) << llvm::toString(row.takeError());
        std::string prefix = std::to_string(description.size()) + ".";
        keep(prefix + "direction", row->cast<double>(), 1);
        std::string name = "direction." + std::to_string(patch.getSite().getLayer());
        locations.try_emplace(name, patch.getLoc());
        description.push_back(llvm::json::Object{
            {"layer", patch.getSite().getLayer()}, {"tensor", name}});
      }
  return success();
}
