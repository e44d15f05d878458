//===- PlanForms.h - What edits of a site have in common ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A form is what cannot be a number in a table: the kind of an edit, the
// dictionary, what is read, the shape of its gate. Edits of one form in
// different plans are one computation.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_PLANFORMS_H
#define WEIR_DIALECT_STEER_TRANSFORMS_PLANFORMS_H

#include "weir/Dialect/Steer/IR/Steer.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

#include <map>
#include <memory>
#include <vector>

namespace weir::steer {

/// Parts of a form, compared one by one.
using FormKey = std::vector<uintptr_t>;

/// A range of absolute positions, one of positions less the prompt's length,
/// and perhaps a list: what `steer.tokens` says. Both ends are included.
struct TokenBounds {
  static constexpr int64_t least = std::numeric_limits<int64_t>::min(),
                           most = std::numeric_limits<int64_t>::max();
  int64_t from = least, to = most, first = least, last = most;
  mlir::DenseI64ArrayAttr listed;

  static TokenBounds of(TokensAttr scope);
};

/// Features that an op reads of one dictionary, from one value.
struct ReadForm {
  ReadOp op;
  llvm::ArrayRef<int64_t> features;
  void addKey(FormKey &key) const;
};

/// One comparison of a condition.
struct Comparison {
  mlir::Value value; ///< of the compare op
  ReadForm read;     ///< of one feature
  std::optional<double> above, below;
};

/// A gate: plans, tokens, and a condition that is a tree of comparisons.
struct GateForm {
  /// A node of the condition, in the order of the tree: the number of children
  /// that `all` or `any` joins, a comparison, or a value as it is.
  struct Node {
    enum Kind { All, Any, Compare, Plain } kind;
    unsigned count = 0; ///< of children
    mlir::Value value;  ///< Plain only
  };

  mlir::Value plan; ///< the program's input
  llvm::SmallVector<int64_t> plans;
  llvm::SmallVector<TokensOp, 1> tokens;
  TokenBounds bounds;
  MarkedOp marked; ///< null without markers
  std::vector<Node> condition; ///< conjunction of trees
  unsigned trees = 0;
  std::vector<Comparison> comparisons; ///< in the order of their nodes

  void addKey(FormKey &key) const;
};

/// Takes gates apart, each once.
class GateForms {
public:
  /// Null where no plan is named or the gate is too odd to be tabulated.
  const GateForm *of(mlir::Value gate);

private:
  llvm::DenseMap<mlir::Value, std::unique_ptr<GateForm>> forms;
  /// Positions and prompt length that scopes are about.
  std::pair<mlir::Value, mlir::Value> tokenInputs;
};

/// Which column of which knobs multiplies a number, and which share of it a token
/// gets; no knobs: none.
struct KnobForm {
  mlir::Value value; ///< all of it; null for none
  mlir::Value knob, knobs;
  int64_t column = -1;
  RampOp ramp; ///< null without one

  void addKey(FormKey &key) const;
};
/// Takes a number a token apart into a knob and a share, as far as it is made of
/// these.
KnobForm knobOf(mlir::Value value);

/// One edit or one sum of additions at a site.
struct EditForm {
  enum Kind { Add, Set, Scale, Clamp, Sum };
  EditForm(Kind kind, const GateForm *gate, mlir::Location loc)
      : kind(kind), gate(gate), loc(loc) {}

  Kind kind;
  const GateForm *gate;
  mlir::Location loc;
  llvm::SmallVector<unsigned, 1> coefficients; ///< of the write
  KnobForm knob;
  /// Strength, values, factors or minima, one a feature.
  std::vector<double> numbers, maxima;
  mlir::Attribute direction; ///< Add only: a recipe of one row
  ReadForm read, other;      ///< other: Sum only
  KnobForm scale;
  bool onlyActive = false, hasMin = false, hasMax = false;

  void addKey(FormKey &key) const;
};
std::vector<EditForm> collectEdits(WriteOp write, GateForms &gates);

/// A projection; without a gate where it acts in every plan or is too odd.
struct ProjectionForm {
  const GateForm *gate;
  mlir::Location loc;
  ProjectOp op;

  void addKey(FormKey &key) const;
};
std::vector<ProjectionForm> collectProjections(llvm::ArrayRef<ProjectOp> chain,
                                               GateForms &gates);

/// A gate of a norm.
struct NormForm {
  const GateForm *gate;
  mlir::Location loc;
  mlir::Value value;

  void addKey(FormKey &key) const { gate->addKey(key); }
};

/// Sorts forms into groups of one form in which no plan occurs twice.
template <typename Form> class Grouping {
public:
  void add(const Form &form) {
    FormKey key;
    form.addKey(key);
    std::vector<Group> &candidates = groups[key];
    if (candidates.empty())
      order.push_back(&candidates);
    for (Group &group : candidates)
      if (llvm::none_of(form.gate->plans, [&](int64_t plan) {
            return group.plans.contains(plan);
          }))
        return put(form, group);
    // Plans with more policies of a form than that keep the others as they are.
    if (candidates.size() < maxGroups)
      put(form, candidates.emplace_back());
  }

  bool hasAtLeast(unsigned count) const {
    return llvm::any_of(order, [&](const std::vector<Group> *candidates) {
      return llvm::any_of(*candidates, [&](const Group &group) {
        return group.forms.size() >= count;
      });
    });
  }

  /// The groups of `count` forms and more, in the order of their first ones.
  std::vector<std::vector<const Form *>> takeAtLeast(unsigned count) {
    std::vector<std::vector<const Form *>> taken;
    for (std::vector<Group> *candidates : order)
      for (Group &group : *candidates)
        if (group.forms.size() >= count)
          taken.push_back(std::move(group.forms));
    return taken;
  }

private:
  struct Group {
    std::vector<const Form *> forms;
    llvm::DenseSet<int64_t> plans;
  };
  /// Of one form; looked through for each policy.
  static constexpr size_t maxGroups = 64;

  static void put(const Form &form, Group &group) {
    group.forms.push_back(&form);
    group.plans.insert(form.gate->plans.begin(), form.gate->plans.end());
  }

  std::map<FormKey, std::vector<Group>> groups;
  std::vector<std::vector<Group> *> order;
};

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_TRANSFORMS_PLANFORMS_H
