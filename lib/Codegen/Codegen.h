//===- Codegen.h - From kernels to a shared object ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Linked into weir-codegen alone, so that no other tool carries LLVM's code
// generators or starts with them.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_CODEGEN_CODEGEN_H
#define WEIR_LIB_CODEGEN_CODEGEN_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace weir::codegen {

/// One processor that kernels are compiled for.
struct Variant {
  std::string name;     ///< in symbols: "v3"
  std::string cpu;      ///< as LLVM names it
  std::string features; ///< beyond those of the processor
  int64_t needs = 0;    ///< weir_kernels.h, of the processor that runs it
  /// Products of how many tokens with how many rows are made side by side: two
  /// vectors of 16 sums for each, and as many registers as are left to load to.
  int64_t jammedTokens = 1, jammedRows = 1;
  /// Rows from different places that are multiplied with one token side by side.
  int64_t jammedGathered = 1;
  /// An instruction that looks 16 numbers up in a register.
  bool hasLookup = false;
  /// Instructions that multiply bytes: by the arithmetic of 16 bits, of two neighbours
  /// with a sum of 16 bits, of four with one of 32.
  enum class Products { Wide, Pairs, Fours } products = Products::Wide;
};

/// The variants of a target ("x86_64", "aarch64"), the better later. Empty for
/// others.
std::vector<Variant> variantsOf(llvm::StringRef architecture);
/// Those of weights in blocks, which have some more.
std::vector<Variant> blockVariantsOf(llvm::StringRef architecture);

/// An argument of a kernel, as weir_kernels.h describes it.
struct Argument {
  int64_t role = 0, type = 0, columns = 0;
  llvm::SmallVector<int64_t, 3> sizes;
};
struct Kernel {
  std::string name;
  std::vector<Argument> arguments;
  /// For each argument of the function: the rank of a buffer, or -1 for one of
  /// the two bounds.
  llvm::SmallVector<int64_t> ranks;
};

void registerDialects(mlir::DialectRegistry &registry);

/// Reads the attributes of the kernels of a module. Errors are reported.
mlir::FailureOr<std::vector<Kernel>> readKernels(mlir::ModuleOp module);

/// Takes several iterations of the loops that are marked with `weir.jam` side by
/// side, as many as a variant has registers for.
void jamLoops(mlir::ModuleOp module, const Variant &variant);
/// Expands sums of lanes whose order is free (`vector.reduction` with `reassoc`), by
/// halves, several that end side by side together.
void addUpLanes(mlir::ModuleOp module);
/// Keeps every access whose place an integer in memory says inside of its buffer.
void boundIndices(mlir::ModuleOp module);

/// LLVM IR of the kernels of one variant: functions `NAME.VARIANT` that take
/// words and bounds, see weir_kernels.h. Nothing else is visible outside.
std::unique_ptr<llvm::Module> translate(mlir::ModuleOp module,
                                        llvm::ArrayRef<Kernel> kernels,
                                        const Variant &variant,
                                        llvm::LLVMContext &context);

/// The table of all kernels with all their variants.
std::unique_ptr<llvm::Module> makeTable(llvm::ArrayRef<Kernel> kernels,
                                        llvm::ArrayRef<Variant> variants,
                                        llvm::StringRef architecture,
                                        llvm::LLVMContext &context);

/// The kernels of weights in blocks (lib/Kernels/Blocks.cpp), which are no program's.
/// Their numbers do not depend on the variant, the instructions do.
mlir::OwningOpRef<mlir::ModuleOp> makeBlockKernels(mlir::MLIRContext *context,
                                                   const Variant &variant);

/// The kernels that `make` makes for each variant, and their table, which gets the
/// given name, in one LLVM module. Null after an error, which is reported.
std::unique_ptr<llvm::Module> translateAll(
    llvm::function_ref<mlir::OwningOpRef<mlir::ModuleOp>(const Variant &)> make,
    llvm::ArrayRef<Variant> variants, llvm::StringRef architecture,
    llvm::StringRef tableName, llvm::LLVMContext &context);

enum class OutputKind { Object, Assembly };
/// Optimises a module and writes it for a variant of a target.
llvm::Error emit(llvm::Module &module, llvm::StringRef triple,
                 const Variant &variant, OutputKind kind,
                 llvm::raw_pwrite_stream &to);

/// Links objects into a shared object that needs no other, with lld.
llvm::Error link(llvm::ArrayRef<std::string> objects, llvm::StringRef to);

} // namespace weir::codegen

#endif // WEIR_LIB_CODEGEN_CODEGEN_H
