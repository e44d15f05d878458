//===- Lower.cpp - From kernels to LLVM IR ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"

#include "weir/Kernels/weir_kernels.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/Linker/Linker.h"

using namespace mlir;
using namespace weir;
using namespace weir::codegen;

void codegen::registerDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect,
                  math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                  vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

static int64_t typeOf(Type element) {
  if (element.isF32())
    return WEIR_F32;
  if (element.isBF16())
    return WEIR_BF16;
  if (element.isF16())
    return WEIR_F16;
  if (element.isInteger(8))
    return WEIR_U8;
  if (element.isInteger(16))
    return WEIR_I16;
  if (element.isInteger(32))
    return WEIR_I32;
  return element.isInteger(64) ? WEIR_I64 : WEIR_BOOL;
}

FailureOr<std::vector<Kernel>> codegen::readKernels(ModuleOp module) {
  std::vector<Kernel> kernels;
  for (auto function : module.getOps<func::FuncOp>()) {
    Kernel kernel;
    kernel.name = function.getSymName().str();
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      auto type = dyn_cast<MemRefType>(function.getArgumentTypes()[i]);
      if (!type) {
        kernel.ranks.push_back(-1);
        continue;
      }
      auto role = function.getArgAttrOfType<StringAttr>(i, "weir.role");
      auto sizes = function.getArgAttrOfType<DenseI64ArrayAttr>(i, "weir.sizes");
      auto number = function.getArgAttrOfType<TypeAttr>(i, "weir.type");
      if (!role || !sizes || !number || sizes.size() != type.getRank() ||
          type.getRank() > WEIR_MAX_RANK)
        return function.emitError("argument ")
               << i << " does not say what it is: kernels come from "
                       "convert-steer-to-kernels";
      Argument argument;
      argument.role = llvm::StringSwitch<int64_t>(role.getValue())
                          .Case("value", WEIR_VALUE)
                          .Case("input", WEIR_INPUT)
                          .Case("result", WEIR_RESULT)
                          .Case("read", WEIR_READ)
                          .Default(WEIR_CONSTANT);
      argument.type = typeOf(number.getValue());
      auto [strides, offset] = type.getStridesAndOffset();
      argument.columns = !strides.empty() && strides.back() == 1;
      argument.sizes.assign(sizes.asArrayRef().begin(),
                            sizes.asArrayRef().end());
      kernel.ranks.push_back(type.getRank());
      kernel.arguments.push_back(std::move(argument));
      // What follows knows nothing of them.
      function.removeArgAttr(i, "weir.role");
      function.removeArgAttr(i, "weir.sizes");
      function.removeArgAttr(i, "weir.type");
    }
    kernels.push_back(std::move(kernel));
  }
  return kernels;
}

static LogicalResult lowerToLLVM(ModuleOp module) {
  boundIndices(module);
  PassManager passes(module.getContext());
  OpPassManager &functions = passes.nest<func::FuncOp>();
  functions.addPass(createCanonicalizerPass());
  functions.addPass(createCSEPass());
  arith::ArithExpandOpsPassOptions expand;
  // By integers on all processors: vcvtneps2bf16 takes small numbers for zero.
  expand.includeBf16 = true;
  functions.addPass(arith::createArithExpandOpsPass(expand));
  passes.addPass(memref::createExpandStridedMetadataPass());
  passes.addPass(createLowerAffinePass());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertIndexToLLVMPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  return passes.run(module);
}

/// The function that is called: it takes its words apart.
static void addEntry(llvm::Module &module, const Kernel &kernel,
                     const Variant &variant) {
  llvm::LLVMContext &context = module.getContext();
  llvm::Function *inner = module.getFunction(kernel.name);
  inner->setName(kernel.name + ".body");
  inner->setLinkage(llvm::GlobalValue::InternalLinkage);
  inner->addFnAttr(llvm::Attribute::NoInline);
  auto *pointer = llvm::PointerType::getUnqual(context);
  auto *word = llvm::Type::getInt64Ty(context);
  auto *type = llvm::FunctionType::get(llvm::Type::getVoidTy(context),
                                       {pointer, word, word}, false);
  auto *entry =
      llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage,
                             kernel.name + "." + variant.name, module);
  entry->setVisibility(llvm::GlobalValue::HiddenVisibility);
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", entry));
  llvm::SmallVector<llvm::Value *> operands;
  int64_t at = 0;
  size_t bound = 0, described = 0;
  for (int64_t rank : kernel.ranks) {
    if (rank < 0) {
      operands.push_back(entry->getArg(1 + bound++));
      continue;
    }
    bool isConstant = kernel.arguments[described++].role == WEIR_CONSTANT;
    for (int64_t i = 0; i < 3 + 2 * rank; ++i, ++at) {
      unsigned index = operands.size();
      llvm::Value *place = builder.CreateConstInBoundsGEP1_64(
          word, entry->getArg(0), at);
      operands.push_back(
          builder.CreateLoad(inner->getArg(index)->getType(), place));
      // Constants are never written, and what is written is none of them.
      if (isConstant && i < 2)
        inner->addParamAttr(index, llvm::Attribute::NoAlias);
    }
  }
  builder.CreateCall(inner, operands);
  builder.CreateRetVoid();
}

std::unique_ptr<llvm::Module> codegen::translate(ModuleOp module,
                                                 ArrayRef<Kernel> kernels,
                                                 const Variant &variant,
                                                 llvm::LLVMContext &context) {
  OwningOpRef<ModuleOp> copy = module.clone();
  jamLoops(*copy, variant);
  addUpLanes(*copy);
  if (failed(lowerToLLVM(*copy)))
    return nullptr;
  std::unique_ptr<llvm::Module> translated =
      translateModuleToLLVMIR(*copy, context, "weir");
  if (!translated)
    return nullptr;
  for (const Kernel &kernel : kernels)
    addEntry(*translated, kernel, variant);
  for (llvm::Function &function : *translated) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", variant.cpu);
    if (!variant.features.empty())
      function.addFnAttr("target-features", variant.features);
    // Loops over rows stay loops: there is no library to call.
    function.addFnAttr("no-builtins");
    function.addFnAttr("prefer-vector-width", "512");
    function.addFnAttr("min-legal-vector-width", "512");
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
  return translated;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

std::unique_ptr<llvm::Module> codegen::makeTable(ArrayRef<Kernel> kernels,
                                                 ArrayRef<Variant> variants,
                                                 StringRef architecture,
                                                 llvm::LLVMContext &context) {
  auto module = std::make_unique<llvm::Module>("weir.table", context);
  auto *pointer = llvm::PointerType::getUnqual(context);
  auto *word = llvm::Type::getInt64Ty(context);
  auto number = [&](int64_t value) -> llvm::Constant * {
    return llvm::ConstantInt::get(word, value, /*IsSigned=*/true);
  };
  auto global = [&](llvm::Constant *value) -> llvm::Constant * {
    auto *variable = new llvm::GlobalVariable(
        *module, value->getType(), /*isConstant=*/true,
        llvm::GlobalValue::PrivateLinkage, value);
    variable->setAlignment(llvm::Align(8));
    return variable;
  };
  auto array = [&](ArrayRef<llvm::Constant *> values, llvm::Type *type) {
    return global(llvm::ConstantArray::get(
        llvm::ArrayType::get(type, values.size()), values));
  };
  auto record = [&](ArrayRef<llvm::Constant *> fields) -> llvm::Constant * {
    return llvm::ConstantStruct::getAnon(context, fields);
  };
  auto *runs = llvm::FunctionType::get(llvm::Type::getVoidTy(context),
                                       {pointer, word, word}, false);

  SmallVector<llvm::Constant *> records;
  for (const Kernel &kernel : kernels) {
    SmallVector<llvm::Constant *> arguments, functions;
    for (const Argument &argument : kernel.arguments) {
      SmallVector<llvm::Constant *> sizes(WEIR_MAX_RANK, number(0));
      for (auto [i, size] : llvm::enumerate(argument.sizes))
        sizes[i] = number(size);
      arguments.push_back(record(
          {number(argument.role), number(argument.type),
           number(argument.sizes.size()),
           llvm::ConstantArray::get(llvm::ArrayType::get(word, WEIR_MAX_RANK),
                                    sizes),
           number(argument.columns)}));
    }
    for (const Variant &variant : variants) {
      auto *function = llvm::Function::Create(
          runs, llvm::GlobalValue::ExternalLinkage,
          kernel.name + "." + variant.name, *module);
      function->setVisibility(llvm::GlobalValue::HiddenVisibility);
      functions.push_back(record({number(variant.needs), function}));
    }
    records.push_back(record(
        {global(llvm::ConstantDataArray::getString(context, kernel.name)),
         number(arguments.size()),
         array(arguments, arguments.front()->getType()),
         number(functions.size()),
         array(functions, functions.front()->getType())}));
  }
  llvm::Constant *table = record(
      {number(WEIR_KERNELS_VERSION),
       number(architecture == "aarch64" ? WEIR_AARCH64 : WEIR_X86_64),
       number(records.size()), array(records, records.front()->getType())});
  auto *variable = new llvm::GlobalVariable(
      *module, table->getType(), /*isConstant=*/true,
      llvm::GlobalValue::ExternalLinkage, table, "weir_kernel_table");
  variable->setAlignment(llvm::Align(8));
  return module;
}

std::unique_ptr<llvm::Module> codegen::translateAll(
    llvm::function_ref<OwningOpRef<ModuleOp>(const Variant &)> make,
    ArrayRef<Variant> variants, StringRef architecture, StringRef tableName,
    llvm::LLVMContext &context) {
  std::unique_ptr<llvm::Module> whole;
  for (const Variant &variant : variants) {
    OwningOpRef<ModuleOp> module = make(variant);
    if (!module || failed(verify(*module)))
      return nullptr;
    auto kernels = readKernels(*module);
    if (failed(kernels))
      return nullptr;
    if (!whole) {
      whole = makeTable(*kernels, variants, architecture, context);
      llvm::GlobalVariable *table = whole->getGlobalVariable("weir_kernel_table");
      table->setName(tableName);
      table->setVisibility(llvm::GlobalValue::HiddenVisibility);
    }
    auto made = translate(*module, *kernels, variant, context);
    // Every function says which processor it is for.
    if (!made || llvm::Linker::linkModules(*whole, std::move(made)))
      return nullptr;
  }
  return whole;
}
