//===- FX.h - The fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_IR_FX_H
#define WEIR_DIALECT_FX_IR_FX_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "weir/Operators/Operators.h"
#include "weir/Program/InputRoles.h"

#include "weir/Dialect/FX/IR/FXDialect.h.inc"
#include "weir/Dialect/FX/IR/FXEnums.h.inc"
#include "weir/Dialect/FX/IR/FXInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "weir/Dialect/FX/IR/FXAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "weir/Dialect/FX/IR/FXTypes.h.inc"

#include "weir/Dialect/FX/IR/FXBuilders.h"

#define GET_OP_CLASSES
#include "weir/Dialect/FX/IR/FXOps.h.inc"

namespace weir::fx {

/// `#fx.site<kind> layer` as the papers write it: "12/res".
std::string siteName(SiteKind kind, int64_t layer);

/// The name in an archive ("torch.ops.aten.add.Tensor") of a call's target
/// ("aten.add.Tensor"), and back. The two are inverse for every name.
std::string archiveTarget(llvm::StringRef target);
std::string targetOfArchive(llvm::StringRef name);

} // namespace weir::fx

#endif // WEIR_DIALECT_FX_IR_FX_H
