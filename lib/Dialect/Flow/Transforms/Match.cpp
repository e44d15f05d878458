//===- Match.cpp - Computes matches, or finds them in the cache ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/Transforms/Passes.h"
#include "weir/Matching/Maps.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

namespace weir::flow {
#define GEN_PASS_DEF_FLOWMATCHPASS
#include "weir/Dialect/Flow/Transforms/Passes.h.inc"
} // namespace weir::flow

using namespace mlir;
using namespace weir;
using namespace weir::flow;

using matching::FeatureRows;
using matching::Matcher;

namespace {

StringRef textOf(PairOpInterface op) {
  return op.getTextRef() ? op.getTextRef().getValue() : StringRef();
}

/// The rows of dictionaries, each kept from its first use to its last.
class RowsInUse {
public:
  explicit RowsInUse(DictionaryStore &store) : store(store) {}

  void announce(PairOpInterface op) {
    for (FlatSymbolRefAttr ref : {op.getSourceRef(), op.getTargetRef()})
      ++slots[keyOf(op, ref)].uses;
  }
  /// Mean activations [F] of a dictionary on a text, for the fold.
  void setMeans(StringRef dictionary, StringRef text, std::vector<float> values) {
    means[{dictionary.str(), text.str()}] = std::move(values);
  }
  llvm::Expected<const FeatureRows *> get(PairOpInterface op,
                                          FlatSymbolRefAttr ref,
                                          const matching::MatchOptions &options) {
    Slot &slot = slots[keyOf(op, ref)];
    if (!slot.rows) {
      auto dictionary = store.open(ref.getValue());
      if (!dictionary)
        return dictionary.takeError();
      auto rows = FeatureRows::read(
          ref.getValue(), **dictionary, options,
          means[{ref.getValue().str(), textOf(op).str()}]);
      if (!rows)
        return rows.takeError();
      slot.rows = std::make_unique<FeatureRows>(std::move(*rows));
    }
    return slot.rows.get();
  }
  void release(PairOpInterface op) {
    for (FlatSymbolRefAttr ref : {op.getSourceRef(), op.getTargetRef()}) {
      Slot &slot = slots[keyOf(op, ref)];
      if (--slot.uses == 0)
        slot.rows.reset();
    }
  }

private:
  struct Slot {
    int64_t uses = 0;
    std::unique_ptr<FeatureRows> rows;
  };
  /// Rows depend on the dictionary, the parts and the fold with its text.
  static std::string keyOf(PairOpInterface op, FlatSymbolRefAttr ref) {
    return (ref.getValue() + ":" +
            Twine(static_cast<uint32_t>(op.getWeightParts())) + ":" +
            stringifyFold(op.getFoldKind()) + ":" + textOf(op))
        .str();
  }
  DictionaryStore &store;
  std::map<std::string, Slot> slots;
  std::map<std::pair<std::string, std::string>, std::vector<float>> means;
};

std::string nameOf(ComputedOpInterface op) {
  if (auto pair = dyn_cast<PairOpInterface>(op.getOperation()))
    return (pair.getSourceRef().getValue() + " -> " +
            pair.getTargetRef().getValue())
        .str();
  return "composing";
}

struct FlowMatch : flow::impl::FlowMatchPassBase<FlowMatch> {
  FlowMatch() = default;
  FlowMatch(std::shared_ptr<Resources> resources, MatchObserver observer)
      : resources(std::move(resources)), observer(std::move(observer)) {}

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

private:
  LogicalResult run() {
    ModuleOp module = getOperation();
    SmallVector<ComputedOpInterface> pending;
    SmallVector<PairOpInterface> byActivation, foldingMeans;
    for (auto op : module.getOps<ComputedOpInterface>()) {
      pending.push_back(op);
      auto pair = dyn_cast<PairOpInterface>(op.getOperation());
      if (pair && comparesActivations(pair))
        byActivation.push_back(pair);
      else if (pair && needsActivations(pair))
        foldingMeans.push_back(pair);
    }
    // Without a match there is no need for a cache either.
    if (pending.empty())
      return success();

    auto opened = resources->cache();
    if (!opened)
      return module.emitError() << llvm::toString(opened.takeError());
    DictionaryStore store(module, *resources);
    if (failed(store.checkModel()))
      return failure();
    RowsInUse rows(store);
    for (auto op : pending)
      if (auto pair = dyn_cast<PairOpInterface>(op.getOperation());
          pair && !comparesActivations(pair))
        rows.announce(pair);

    Location at = module.getLoc();
    Matcher::Settings settings;
    settings.warn = [&](StringRef text) { mlir::emitWarning(at) << text; };
    int64_t done = 0;
    std::string present;
    settings.progress = [&](int64_t unit, int64_t units) {
      if (observer.progress && units > 1 && unit < units)
        observer.progress(done, pending.size(),
                          present + ", part " + std::to_string(unit + 1) +
                              " of " + std::to_string(units));
    };
    auto made = resources->matcher(settings);
    if (!made)
      return module.emitError() << llvm::toString(made.takeError());
    const Matcher &matcher = *made;

    if (!byActivation.empty() && failed(matchActivations(byActivation)))
      return failure();
    if (!foldingMeans.empty() && failed(collectMeans(foldingMeans, rows)))
      return failure();
    for (auto op : pending) {
      at = op->getLoc();
      present = nameOf(op);
      if (observer.progress)
        observer.progress(done, pending.size(), present);
      auto pair = dyn_cast<PairOpInterface>(op.getOperation());
      if (pair && comparesActivations(pair)) {
        ++done;
        continue;
      }
      auto outcome = pair ? matchPair(pair, matcher, rows)
                          : composeMaps(cast<ComposeOp>(op.getOperation()),
                                        matcher, *opened);
      if (!outcome)
        return op->emitError() << llvm::toString(outcome.takeError());
      finish(op, *outcome);
      ++done;
    }
    if (observer.progress)
      observer.progress(done, pending.size(), "");
    return success();
  }

  /// Writes a result's hash into the IR.
  void finish(ComputedOpInterface op, const Matcher::Outcome &outcome) {
    ++(outcome.wasCached ? numFound : numComputed);
    numSurvivors += outcome.wasCached ? 0 : outcome.match.survivors;
    op.setComputed(ResultAttr::forKey(&getContext(), outcome.key));
    // One text: every part that is streamed becomes an argument of its own.
    remark::passed(op->getLoc(), remark::RemarkOpts::name(
                                     outcome.wasCached ? "MatchFound"
                                                       : "MatchComputed")
                                     .category(getArgument()))
        << llvm::formatv("{0}: {1} features, {2}", nameOf(op),
                         outcome.match.rows,
                         outcome.wasCached
                             ? "found in the cache"
                             : std::to_string(outcome.match.survivors) +
                                   " pairs computed in float64")
               .str();
    if (observer.result)
      observer.result(op, outcome);
  }

  llvm::Expected<Matcher::Outcome> matchPair(PairOpInterface op,
                                             const Matcher &matcher,
                                             RowsInUse &rows) {
    auto options = matchOptionsOf(op);
    if (!options)
      return options.takeError();
    auto source = rows.get(op, op.getSourceRef(), *options);
    if (!source)
      return source.takeError();
    auto target = rows.get(op, op.getTargetRef(), *options);
    if (!target)
      return target.takeError();
    for (const FeatureRows *side : {*source, *target})
      if (!side->unfolded().empty())
        remark::missed(op->getLoc(), remark::RemarkOpts::name("NotFolded")
                                         .category(getArgument()))
            << (side->name() + ": " + listOf(side->unfolded()) +
                " has no positive scale and is left as it is")
                   .str();
    auto outcome = matcher.match(**source, **target, *options);
    rows.release(op);
    return outcome;
  }

  static std::string listOf(ArrayRef<int64_t> features) {
    constexpr size_t shown = 10;
    std::string text = features.size() == 1 ? "feature " : "each of features ";
    llvm::raw_string_ostream os(text);
    llvm::interleaveComma(features.take_front(shown), os);
    if (features.size() > shown)
      os << " and " << features.size() - shown << " more";
    return text;
  }

  LogicalResult matchActivations(ArrayRef<PairOpInterface> pairs) {
    ActivationSource *source = resources->activations();
    if (!source)
      return pairs.front()->emitError(
          "compares activations, which needs the model to run: weirc does it");
    auto outcomes = source->match(pairs, getOperation());
    if (!outcomes)
      return pairs.front()->emitError()
             << llvm::toString(outcomes.takeError());
    for (auto [i, outcome] : llvm::enumerate(*outcomes)) {
      PairOpInterface pair = pairs[i];
      finish(cast<ComputedOpInterface>(pair.getOperation()), outcome);
    }
    return success();
  }

  /// The means that folds need, each text read once for all dictionaries.
  LogicalResult collectMeans(ArrayRef<PairOpInterface> pairs, RowsInUse &rows) {
    ActivationSource *source = resources->activations();
    if (!source)
      return pairs.front()->emitError("folds mean activations, which needs the "
                                      "model to run: weirc does it");
    llvm::MapVector<StringRef, llvm::SetVector<DictionaryOp>> wanted;
    llvm::DenseMap<StringRef, PairOpInterface> firstOf;
    for (PairOpInterface pair : pairs) {
      firstOf.try_emplace(textOf(pair), pair);
      for (FlatSymbolRefAttr ref : {pair.getSourceRef(), pair.getTargetRef()})
        wanted[textOf(pair)].insert(
            getOperation().lookupSymbol<DictionaryOp>(ref.getAttr()));
    }
    for (auto &[text, dictionaries] : wanted) {
      auto means =
          source->means(dictionaries.getArrayRef(), text, getOperation());
      if (!means)
        return firstOf[text]->emitError() << llvm::toString(means.takeError());
      for (auto [i, dictionary] : llvm::enumerate(dictionaries))
        rows.setMeans(flow::DictionaryOp(dictionary).getSymName(), text,
                      std::move((*means)[i]));
    }
    return success();
  }

  /// A composition is named by what it composes.
  llvm::Expected<Matcher::Outcome> composeMaps(ComposeOp op,
                                               const Matcher &matcher,
                                               const ResultCache &results) {
    std::string text = "weir compose 1\nkeep " +
                       (op.getKeep() ? std::to_string(*op.getKeep()) : "all");
    SmallVector<ResultAttr> parts;
    for (Value map : op.getMaps()) {
      auto made = map.getDefiningOp<ComputedOpInterface>();
      if (!made || !made.getComputed())
        return llvm::createStringError(
            "composes a map that was not computed before");
      parts.push_back(made.getComputed());
      text += "\n" + made.getComputed().getKey().str();
    }
    return matcher.cached(
        sha256(StringRef(text)), "composition of " +
                                     std::to_string(parts.size()) + " matches",
        [&]() -> llvm::Expected<matching::Match> {
          std::optional<matching::Match> result;
          for (ResultAttr part : parts) {
            auto entry = results.find(part.getKey());
            if (!entry)
              return entry.takeError();
            if (!*entry)
              return llvm::createStringError("the result " + part.getHash() +
                                             " is not in the cache '" +
                                             results.folder() + "'");
            auto match = matching::Match::load(**entry);
            if (!match)
              return match.takeError();
            if (!result) {
              result = std::move(*match);
              continue;
            }
            auto composed =
                matching::composeMatches(*result, *match, op.getKeep());
            if (!composed)
              return composed.takeError();
            result = std::move(*composed);
          }
          result->certificate.reset();
          return std::move(*result);
        });
  }

  std::shared_ptr<Resources> resources = Resources::create({});
  MatchObserver observer;
};

} // namespace

std::unique_ptr<Pass>
flow::createFlowMatchPass(std::shared_ptr<Resources> resources,
                          MatchObserver observer) {
  return std::make_unique<FlowMatch>(std::move(resources), std::move(observer));
}
