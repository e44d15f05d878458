//===- weir-codegen.cpp - Compiles kernels ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A process of its own: what a code generator cannot do ends it, and not the
// compiler, and no other tool has to load one.
//
//===----------------------------------------------------------------------===//

#include "Codegen/Codegen.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/WithColor.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace llvm;
using namespace weir::codegen;

static cl::OptionCategory category("weir-codegen options");
static cl::opt<std::string> input(cl::Positional, cl::desc("<kernels.mlir>"),
                                  cl::cat(category));
static cl::opt<std::string> output("o", cl::desc("the file to make"),
                                   cl::init("-"), cl::cat(category));
static cl::opt<std::string>
    triple("target", cl::desc("the target; without it, this machine"),
           cl::cat(category));
static cl::opt<std::string>
    only("variant", cl::desc("one variant alone: v3, v4, vnni (of blocks) or neon"),
         cl::cat(category));
static cl::opt<std::string>
    objects("objects",
            cl::desc("a folder of objects, KERNEL.VARIANT.o: those that are there "
                     "are taken, the others made, and all of them stay"),
            cl::cat(category));
enum class Emit { Shared, Assembly, IR, Blocks, BlocksIR };
static cl::opt<Emit>
    what("emit", cl::desc("what to make"), cl::init(Emit::Shared),
         cl::values(clEnumValN(Emit::Shared, "shared", "a shared object"),
                    clEnumValN(Emit::Assembly, "asm", "assembly of each variant"),
                    clEnumValN(Emit::IR, "llvm", "LLVM IR of each variant"),
                    clEnumValN(Emit::Blocks, "blocks",
                               "an object with the kernels of weights in blocks, "
                               "which Weir itself is made with"),
                    clEnumValN(Emit::BlocksIR, "blocks-mlir",
                               "those kernels as they are before compilation")),
         cl::cat(category));

static int fail(const Twine &message) {
  WithColor::error(errs(), "weir-codegen") << message << '\n';
  return 1;
}

/// The kernels that no program brings along.
static int makeBlocks(mlir::MLIRContext &context, StringRef target,
                      StringRef architecture, ArrayRef<Variant> variants) {
  context.loadAllAvailableDialects();
  std::error_code code;
  ToolOutputFile file(output, code, sys::fs::OF_None);
  if (code)
    return fail(output + ": " + code.message());
  if (what == Emit::BlocksIR) {
    auto module = makeBlockKernels(&context, variants.front());
    if (failed(mlir::verify(*module)))
      return 1;
    module->print(file.os());
    file.keep();
    return 0;
  }
  LLVMContext llvmContext;
  auto made = translateAll(
      [&](const Variant &variant) { return makeBlockKernels(&context, variant); },
      variants, architecture, "weir_block_kernels", llvmContext);
  if (!made)
    return 1;
  SmallString<0> bytes;
  raw_svector_ostream stream(bytes);
  if (Error error = emit(*made, target, variants.front(), OutputKind::Object, stream))
    return fail(toString(std::move(error)));
  file.os() << bytes;
  file.keep();
  return 0;
}

static int run() {
  std::string target = triple.empty() ? sys::getProcessTriple() : triple;
  StringRef architecture = Triple::getArchTypeName(Triple(target).getArch());
  bool ofBlocks = what == Emit::Blocks || what == Emit::BlocksIR;
  std::vector<Variant> variants =
      ofBlocks ? blockVariantsOf(architecture) : variantsOf(architecture);
  if (!only.empty())
    erase_if(variants, [](const Variant &v) { return v.name != only; });
  if (variants.empty())
    return fail("there are no kernels for " + target +
                (only.empty() ? "" : " of the variant " + only));

  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  // What weir-opt prints in its generic form may hold the program as well.
  context.allowUnregisteredDialects();
  if (ofBlocks)
    return makeBlocks(context, target, architecture, variants);
  if (input.empty())
    return fail("name the file of kernels");
  auto whole = mlir::parseSourceFile<mlir::ModuleOp>(input, &context);
  if (!whole)
    return 1;
  mlir::ModuleOp module = *whole;
  for (auto nested : module.getOps<mlir::ModuleOp>())
    module = nested;
  auto kernels = readKernels(module);
  if (failed(kernels))
    return 1;
  if (kernels->empty())
    return fail("'" + input + "' has no kernels");

  LLVMContext llvmContext;
  if (what != Emit::Shared) {
    std::error_code code;
    ToolOutputFile file(output, code, sys::fs::OF_Text);
    if (code)
      return fail(output + ": " + code.message());
    for (const Variant &variant : variants) {
      auto made = translate(module, *kernels, variant, llvmContext);
      if (!made)
        return 1;
      if (what == Emit::IR) {
        made->print(file.os(), nullptr);
        continue;
      }
      SmallString<0> text;
      raw_svector_ostream stream(text);
      if (Error error = emit(*made, target, variant, OutputKind::Assembly, stream))
        return fail(toString(std::move(error)));
      file.os() << text;
    }
    file.keep();
    return 0;
  }
  if (output == "-")
    return fail("name the shared object to make with -o");

  SmallVector<std::string> linked, ours;
  llvm::scope_exit remove([&] {
    for (const std::string &object : ours)
      (void)sys::fs::remove(object);
  });
  // Object by object, so that each can be kept and used again.
  auto write = [&](Module &made, const Variant &variant,
                   const std::string &path) -> Error {
    std::error_code code;
    raw_fd_ostream stream(path, code);
    if (code)
      return createStringError(code, path + ": " + code.message());
    return emit(made, target, variant, OutputKind::Object, stream);
  };
  auto functions = module.getOps<mlir::func::FuncOp>();
  for (auto [kernel, function] : zip_equal(*kernels, functions)) {
    for (const Variant &variant : variants) {
      std::string file = kernel.name + "." + variant.name + ".o";
      SmallString<256> path(objects);
      if (objects.empty())
        path = output + "." + file;
      else
        sys::path::append(path, file);
      linked.push_back(path.str().str());
      if (objects.empty())
        ours.push_back(linked.back());
      else if (sys::fs::exists(path))
        continue;
      mlir::OwningOpRef<mlir::ModuleOp> alone =
          mlir::ModuleOp::create(function.getLoc());
      alone->push_back(function.clone());
      auto made = translate(*alone, kernel, variant, llvmContext);
      if (!made)
        return 1;
      if (Error error = write(*made, variant, linked.back()))
        return fail(toString(std::move(error)));
    }
  }
  auto table = makeTable(*kernels, variants, architecture, llvmContext);
  linked.push_back(output + ".table.o");
  ours.push_back(linked.back());
  if (Error error = write(*table, variants.front(), linked.back()))
    return fail(toString(std::move(error)));
  if (Error error = weir::codegen::link(linked, output))
    return fail(toString(std::move(error)));
  return 0;
}

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter([](raw_ostream &os) {
    os << "weir-codegen " WEIR_VERSION " (LLVM " LLVM_VERSION_STRING ")\n";
  });
  cl::ParseCommandLineOptions(argc, argv, "Compiles the kernels of a program\n");
#ifdef WEIR_NATIVE_TARGET_ONLY
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
#else
  InitializeAllTargets();
  InitializeAllTargetMCs();
  InitializeAllAsmPrinters();
#endif
  return run();
}
