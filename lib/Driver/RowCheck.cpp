//===- RowCheck.cpp - Rows that are asked for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowCheck.h"

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Spec/Locations.h"
#include "weir/Spec/Spec.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace weir;

namespace {

class RowChecker {
public:
  RowChecker(ModuleOp module, Resources &resources)
      : symbols(module), store(module, resources) {}

  LogicalResult check(steer::PolicyOp policy);

private:
  using Features = llvm::MapVector<flow::DictionaryOp, SmallVector<int64_t>>;

  void collect(ArrayRef<flow::FeatureAttr> from, Features &into);
  void collect(Value set, Features &into);
  /// Warns of rows of zeros among those of the encoder or of the decoder.
  LogicalResult check(steer::PolicyOp policy, const Features &features,
                      bool encoder);

  SymbolTable symbols;
  /// By collection and site.
  llvm::DenseMap<std::pair<Attribute, Attribute>, flow::DictionaryOp>
      dictionaries;
  flow::DictionaryStore store;
  llvm::DenseSet<Operation *> unreadable; ///< reported already
};

} // namespace

void RowChecker::collect(ArrayRef<flow::FeatureAttr> from, Features &into) {
  for (flow::FeatureAttr feature : from) {
    auto [place, isNew] = dictionaries.try_emplace(
        {feature.getCollection(), feature.getSite()}, flow::DictionaryOp());
    if (isNew)
      place->second = flow::lookupDictionary(symbols, feature);
    if (place->second)
      into[place->second].push_back(feature.getIndex());
  }
}

void RowChecker::collect(Value set, Features &into) {
  auto features = set ? set.getDefiningOp<flow::SelectOp>() : flow::SelectOp();
  if (features && features.isResolved())
    collect(llvm::to_vector(
                features.getSelectors().getAsRange<flow::FeatureAttr>()),
            into);
}

LogicalResult RowChecker::check(steer::PolicyOp policy) {
  steer::ActionAttrInterface action = policy.getAction();
  Features read, written;
  if (steer::ConditionAttrInterface when = policy.getWhenAttr()) {
    SmallVector<flow::FeatureAttr> compared;
    when.collectFeatures(compared);
    collect(compared, read);
  }
  if (!action.getRecordedPolicy())
    for (Value set : {policy.getOn(), policy.getTo()}) {
      if (action.isAbsolute() || action.leavesValue())
        collect(set, read);
      if (!action.leavesValue())
        collect(set, written);
    }
  return failure(failed(check(policy, read, /*encoder=*/true)) ||
                 failed(check(policy, written, /*encoder=*/false)));
}

LogicalResult RowChecker::check(steer::PolicyOp policy,
                                const Features &features, bool encoder) {
  // Some megabytes of rows at a time: a policy can name a whole site.
  constexpr int64_t blockNumbers = int64_t(1) << 22;
  for (const auto &[dictionary, indices] : features) {
    // Neurons are values of the model: nothing encodes them.
    flow::DictionaryOp op = dictionary;
    if (unreadable.contains(op) ||
        (encoder && op.getReads() != op.getSite()))
      continue;
    auto fail = [&](llvm::Error error) {
      unreadable.insert(op);
      InFlightDiagnostic diag = emitError(op.getLoc())
                                << llvm::toString(std::move(error));
      diag.attachNote(policy.getLoc()) << "for this policy";
      return failure();
    };
    auto opened = store.open(op.getSymName());
    if (!opened)
      return fail(opened.takeError());
    const Dictionary &rows = **opened;
    size_t block = std::max<int64_t>(
        1, blockNumbers / std::max<int64_t>(1, rows.info().width));
    SmallVector<int64_t> zero;
    for (ArrayRef<int64_t> left = indices; !left.empty();
         left = left.drop_front(std::min(block, left.size()))) {
      ArrayRef<int64_t> some = left.take_front(block);
      RowMatrix matrix;
      if (encoder) {
        auto found = rows.encoder(some);
        if (!found)
          return fail(found.takeError());
        matrix = std::move(found->weight);
      } else {
        auto found = rows.decoder(some);
        if (!found)
          return fail(found.takeError());
        matrix = std::move(*found);
      }
      for (auto [row, feature] : llvm::enumerate(some))
        if (matrix.row(row).isZero(0))
          zero.push_back(feature);
    }
    if (zero.empty())
      continue;
    constexpr size_t named = 5;
    std::string text;
    llvm::raw_string_ostream os(text);
    llvm::interleaveComma(
        ArrayRef(zero).take_front(named), os, [&](int64_t feature) {
          os << op.getSite().getLayer() << "/"
             << fx::stringifySiteKind(op.getSite().getKind()) << "/" << feature;
        });
    if (zero.size() > named)
      os << " and " << zero.size() - named << " more";
    emitWarning(spec::locationOf(policy, "on"))
        << "the " << (encoder ? "encoder" : "decoder") << " row"
        << (zero.size() > 1 ? "s" : "") << " of " << text
        << (zero.size() > 1 ? " are" : " is") << " zero: "
        << (encoder ? "what is read there is the same for every token"
                    : "nothing is written along it");
  }
  return success();
}

LogicalResult weir::checkRows(ModuleOp module, Resources &resources) {
  llvm::SmallDenseSet<Attribute> inPlans;
  for (auto plan : module.getOps<steer::PlanOp>())
    inPlans.insert(plan.getPolicies().begin(), plan.getPolicies().end());
  RowChecker checker(module, resources);
  bool failedAny = false;
  for (auto policy : module.getOps<steer::PolicyOp>())
    if (inPlans.contains(FlatSymbolRefAttr::get(policy.getSymNameAttr())))
      failedAny |= failed(checker.check(policy));
  return success(!failedAny);
}
