//===- Catalogue.cpp - The table of operators ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Operators/Operators.h"

#include "llvm/ADT/StringMap.h"

using namespace llvm;
using namespace weir;

using Guard = OperatorGuard;

static constexpr OperatorInfo table[] = {
#define OP(NAME, EFFECT, ...)                                                  \
  OperatorInfo{.name = NAME,                                                   \
               .effect = OperatorEffect::EFFECT __VA_OPT__(, ) __VA_ARGS__},
#include "Catalogue.def"
#undef OP
};

ArrayRef<OperatorInfo> weir::operatorCatalogue() { return table; }

const OperatorInfo *weir::findOperator(StringRef target) {
  static const StringMap<const OperatorInfo *> byName = [] {
    StringMap<const OperatorInfo *> map;
    for (const OperatorInfo &info : table)
      map[info.name] = &info;
    return map;
  }();
  bool isOperator = target.consume_front("torch.ops.");
  const OperatorInfo *info = byName.lookup(target);
  return info && info->isBuiltin() != isOperator ? info : nullptr;
}
