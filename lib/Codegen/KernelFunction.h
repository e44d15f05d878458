//===- KernelFunction.h - Kernels that no program brings along ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_CODEGEN_KERNELFUNCTION_H
#define WEIR_LIB_CODEGEN_KERNELFUNCTION_H

#include "BlockTypes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"

namespace weir::codegen {

/// A function of a part of the rows and of matrices, of which all but the last, or the
/// last `results`, are read only.
class KernelFunction {
public:
  KernelFunction(BlockBuilder &b, mlir::ModuleOp module,
                 const llvm::Twine &name, llvm::ArrayRef<mlir::Type> elements,
                 size_t results = 1) {
    constexpr int64_t any = mlir::ShapedType::kDynamic;
    auto layout = mlir::StridedLayoutAttr::get(b.getContext(), 0, {any, 1});
    llvm::SmallVector<mlir::Type> arguments(2, b.getIndexType());
    for (mlir::Type element : elements)
      arguments.push_back(mlir::MemRefType::get({any, any}, element, layout));
    b.setInsertionPointToEnd(module.getBody());
    function =
        mlir::func::FuncOp::create(b, b.getStringAttr(name).getValue(),
                                   b.getFunctionType(arguments, {}));
    for (auto [i, element] : llvm::enumerate(elements)) {
      bool isResult = i + results >= elements.size();
      unsigned at = i + 2;
      function.setArgAttr(at, "weir.role",
                          b.getStringAttr(isResult ? "result" : "constant"));
      function.setArgAttr(at, "weir.type", mlir::TypeAttr::get(element));
      function.setArgAttr(at, "weir.sizes",
                          b.getDenseI64ArrayAttr({-3, -3}));
    }
    b.setInsertionPointToStart(function.addEntryBlock());
  }
  mlir::Value begin() { return function.getArgument(0); }
  mlir::Value end() { return function.getArgument(1); }
  mlir::Value matrix(unsigned i) { return function.getArgument(2 + i); }

private:
  mlir::func::FuncOp function;
};

/// What a token needs beside its products (StepKernels.cpp).
void addStepKernels(BlockBuilder &b, mlir::ModuleOp module);

} // namespace weir::codegen

#endif // WEIR_LIB_CODEGEN_KERNELFUNCTION_H
