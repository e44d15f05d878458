//===- FXDialect.cpp - The fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Symbols.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace weir::fx;

#include "weir/Dialect/FX/IR/FXDialect.cpp.inc"

namespace {
/// Short names for what would make every line of a graph unreadable.
struct FXAsmInterface : public OpAsmDialectInterface {
  using OpAsmDialectInterface::OpAsmDialectInterface;

  AliasResult getAlias(Attribute attr, raw_ostream &os) const override {
    if (auto dims = dyn_cast<DimsAttr>(attr)) {
      // #s72_s18 says more than a number, as long as it stays short.
      bool bare = llvm::all_of(dims.getSizes(), [](SymExprAttr size) {
        return isBareName(size.getExpr());
      });
      if (!bare || dims.getSizes().size() > 4) {
        os << "dims";
        return AliasResult::FinalAlias;
      }
      os << "dims";
      for (SymExprAttr size : dims.getSizes())
        os << '_' << size.getExpr();
      return AliasResult::FinalAlias;
    }
    if (isa<StackAttr>(attr)) {
      os << "stack";
      return AliasResult::FinalAlias;
    }
    return AliasResult::NoAlias;
  }
};
} // namespace

void FXDialect::initialize() {
  registerAttributes();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "weir/Dialect/FX/IR/FXOps.cpp.inc"
      >();
  addInterfaces<FXAsmInterface>();
}

Operation *FXDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                          Type type, Location loc) {
  if (!isa<RankedTensorType>(type) ||
      !isa<DenseElementsAttr, ConstantAttrInterface>(value))
    return nullptr;
  return ConstantOp::create(builder, loc, type, value);
}

std::string weir::fx::siteName(SiteKind kind, int64_t layer) {
  return (Twine(layer) + "/" + stringifySiteKind(kind)).str();
}

//===----------------------------------------------------------------------===//
// Targets
//===----------------------------------------------------------------------===//

/// Python modules whose functions appear as targets under their own name.
static bool isPythonModule(StringRef name) {
  return name == "_operator" || name == "operator" || name == "math" ||
         name == "builtins" || name == "torch" || name == "python";
}

std::string weir::fx::archiveTarget(StringRef target) {
  StringRef rest = target;
  if (rest.consume_front("python."))
    return rest.str();
  if (isPythonModule(target.split('.').first))
    return target.str();
  return ("torch.ops." + target).str();
}

std::string weir::fx::targetOfArchive(StringRef name) {
  StringRef shorter = name;
  shorter.consume_front("torch.ops.");
  if (archiveTarget(shorter) == name)
    return shorter.str();
  return ("python." + name).str();
}
