//===- MatchesTest.cpp - What the text of matches cannot say ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/IR/Flow.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace weir;
using namespace weir::flow;

namespace {

TEST(Matching, ComparesAWeight) {
  MLIRContext context;
  context.loadDialect<fx::FXDialect, FlowDialect>();
  std::string error;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    error = diagnostic.str();
  });
  auto module = parseSourceString<ModuleOp>(R"mlir(
    flow.collection @sae <sae_lens> at "{layer}" sites [#fx.site_kind<res>] layers 0 to 3
    flow.matching @m of @sae sites [#fx.site_kind<res>] layers 0 to 3 by #flow.top_k<1, cosine> over <decoder>
  )mlir",
                                            ParserConfig(&context));
  ASSERT_TRUE(module) << error;
  // The text has no word for a set of none.
  auto matching = *module->getOps<MatchingOp>().begin();
  matching.setWeights(static_cast<WeightPart>(0));
  EXPECT_TRUE(failed(verify(*module)));
  EXPECT_NE(error.find("compares no weights"), std::string::npos) << error;
}

} // namespace
