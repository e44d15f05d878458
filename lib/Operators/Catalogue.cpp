//===- Catalogue.cpp - The table of operators ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Operators/Operators.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace llvm;
using namespace weir;

using Guard = OperatorGuard;
using Role = OperatorRole;
using Layout = WeightLayout;
using Packing = WeightPacking;
using Identity = OperatorIdentity;
using Cost = OperatorCost;

static constexpr OperatorInfo table[] = {
#define OP(NAME, EFFECT, ...)                                                  \
  OperatorInfo{.name = NAME,                                                   \
               .effect = OperatorEffect::EFFECT __VA_OPT__(, ) __VA_ARGS__},
#include "Catalogue.def"
#undef OP
};

ArrayRef<OperatorInfo> weir::operatorCatalogue() { return table; }

static bool contains(StringRef names, StringRef name) {
  return !name.empty() && is_contained(split(names, ','), name);
}

bool OperatorInfo::writes(StringRef argument) const {
  return contains(written, argument);
}

bool OperatorInfo::wantsSmall(StringRef argument) const {
  return contains(small, argument);
}

OperatorCost OperatorInfo::costKind() const {
  bool isFree = effect == OperatorEffect::View ||
                effect == OperatorEffect::Checks || isBuiltin();
  return isFree ? OperatorCost::Nothing : cost;
}

const OperatorInfo *weir::findOperatorNamed(StringRef name) {
  static const StringMap<const OperatorInfo *> byName = [] {
    StringMap<const OperatorInfo *> map;
    for (const OperatorInfo &info : table)
      map[info.name] = &info;
    return map;
  }();
  return byName.lookup(name);
}

const OperatorInfo *weir::findOperator(StringRef target) {
  bool isOperator = target.consume_front("torch.ops.");
  const OperatorInfo *info = findOperatorNamed(target);
  return info && info->isBuiltin() != isOperator ? info : nullptr;
}
