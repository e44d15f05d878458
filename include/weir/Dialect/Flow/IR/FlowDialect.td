//===- FlowDialect.td - The flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_IR_FLOWDIALECT_TD
#define WEIR_DIALECT_FLOW_IR_FLOWDIALECT_TD

include "mlir/IR/DialectBase.td"

def Flow_Dialect : Dialect {
  let name = "flow";
  let cppNamespace = "::weir::flow";
  let summary = "Dictionaries, features and how they flow across layers";
  let description = [{
    The `flow` dialect holds what an intervention plan is *about*: collections
    of dictionaries as a spec names them, the dictionaries that were opened, the
    features that were selected, the matches between them, and symbolic recipes
    for the rows that the lowering needs.

    Numbers never enter the IR. A recipe such as
    `#flow.rows<decoder of @sae.res.12 [53, 411]>` names rows of a stored
    matrix; the bytes are gathered from the mapped file when a program is
    written. What was computed across layers stands in a cache on disk, and the
    IR holds the hash it is found under.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
  }];
  let dependentDialects = ["::weir::fx::FXDialect"];
}

#endif // WEIR_DIALECT_FLOW_IR_FLOWDIALECT_TD
