//===- Emitter.h - Operations of a spec ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_SPEC_EMITTER_H
#define WEIR_LIB_SPEC_EMITTER_H

#include "EmitGraphs.h"
#include "Lookup.h"

#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

namespace weir::spec {

/// The site of the same name.
fx::SiteKind siteKindOf(SiteKind kind);

/// Makes operations of a spec that passed its checks.
class Emitter {
public:
  Emitter(const Spec &spec, const Reporter &reporter)
      : spec(spec), reporter(reporter), lookup(spec),
        builder(reporter.getContext()), context(reporter.getContext()),
        graphs({lookup, reporter, builder,
                [this](const void *entry) { return symbol(entry); },
                [this](const FeatureRef &ref) { return feature(ref); },
                [this](const Graph &graph) {
                  return features(graph.name.value + ".from", graph.from,
                                  graph.from.range);
                }}) {}

  mlir::OwningOpRef<mlir::ModuleOp> emit();

private:
  using Part = std::pair<std::string, SourceRange>;

  mlir::Location at(SourceRange range) const { return reporter.location(range); }
  /// The place of a name and those of named parts.
  mlir::Location at(SourceRange range, llvm::ArrayRef<Part> parts) const;

  /// Gives every entry of a section a symbol of its own.
  template <typename Entries>
  void nameSection(const Entries &entries, llvm::StringRef section);
  mlir::FlatSymbolRefAttr symbol(const void *entry) const {
    return mlir::FlatSymbolRefAttr::get(context, symbols.at(entry));
  }
  mlir::FlatSymbolRefAttr dictionary(const SiteRef &site) const {
    return symbol(lookup.dictionaryOf(site));
  }
  mlir::FloatAttr number(const Number &value) {
    return builder.getF64FloatAttr(value.value);
  }
  mlir::FloatAttr number(const std::optional<Number> &value) {
    return value ? number(*value) : mlir::FloatAttr();
  }

  flow::FeatureAttr feature(const FeatureRef &feature) const;
  mlir::Attribute selector(const Selector &selector) const;
  mlir::Value linked(const Selector &selector, mlir::Location location);
  /// With a weight, graphs in named lists have it as well.
  mlir::Value features(llvm::StringRef name, const Selection &selection,
                       SourceRange range,
                       StrengthWeight weight = StrengthWeight::None);
  mlir::Value list(const FeatureList &list);
  mlir::Value selection(const Selection &selection, const Policy &policy,
                        llvm::StringRef key,
                        StrengthWeight weight = StrengthWeight::None);
  /// What a policy acts on: one value, whoever asks for it first.
  mlir::Value acted(const Policy &policy);
  steer::ScheduleAttrInterface schedule(const Strength &strength);
  steer::ActionAttrInterface action(const Policy &policy);
  steer::LayersAttr layers(const Layers &layers) const;
  steer::TokensAttr tokens(const Tokens &tokens);
  mlir::ArrayAttr markers(const std::vector<Marker> &markers);
  steer::ConditionAttrInterface condition(const Condition &condition);
  void conditionParts(const Condition &condition,
                      llvm::SmallVectorImpl<Part> &parts) const;

  void emitModel();
  void emitDictionary(const DictionarySet &set);
  void emitMatch(const Match &match);
  void emitKnob(const Knob &knob);
  void emitPolicy(const Policy &policy);
  /// The dictionaries of a substitution, and what leads from one to the other;
  /// null for a form that has none.
  mlir::FlatSymbolRefAttr emitBridge(const Policy &policy);
  void emitPlan(const Plan &plan);

  const Spec &spec;
  const Reporter &reporter;
  Lookup lookup;
  mlir::OpBuilder builder;
  mlir::MLIRContext *context;
  llvm::DenseMap<const void *, std::string> symbols;
  llvm::DenseMap<const FeatureList *, mlir::Value> lists;
  /// Of policies, see `acted`.
  llvm::DenseMap<const Policy *, mlir::Value> selections;
  llvm::StringSet<> taken;
  GraphEmitter graphs;
  /// By the condition that is being made.
  llvm::SmallVector<mlir::Value> watched;
};

} // namespace weir::spec

#endif // WEIR_LIB_SPEC_EMITTER_H
