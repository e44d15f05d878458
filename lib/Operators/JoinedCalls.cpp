//===- JoinedCalls.cpp - Operators that do the work of several calls ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Operators/JoinedCalls.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;
using namespace weir;

static constexpr StringLiteral commonOfProducts[] = {"x", "arithmetic"};
static constexpr StringLiteral listsOfProducts[] = {"blocks", "bias", "type"};

static constexpr JoinedOperator table[] = {
    {"weir.quantized_linear.default", "weir.quantized_linears.default",
     commonOfProducts, listsOfProducts}};

const JoinedOperator *weir::findJoinedOf(StringRef each) {
  const auto *row = find_if(
      table, [&](const JoinedOperator &row) { return row.each == each; });
  return row == std::end(table) ? nullptr : row;
}
