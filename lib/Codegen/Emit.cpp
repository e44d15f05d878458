//===- Emit.cpp - From LLVM IR to a shared object ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Codegen.h"

#include "weir/Kernels/weir_kernels.h"

#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"

using namespace llvm;
using namespace weir;
using namespace weir::codegen;

std::vector<Variant> codegen::variantsOf(StringRef architecture) {
  if (architecture == "x86_64")
    // 16 registers of 8 numbers, 32 of 16.
    return {{"v3", "x86-64-v3", "", WEIR_X86_64_V3, 3, 1, 2},
            {"v4", "x86-64-v4", "", WEIR_X86_64_V4, 3, 4, 4, true}};
  // 32 of 4.
  if (architecture == "aarch64")
    return {{"neon", "generic", "+neon", 0, 3, 1, 2}};
  return {};
}

std::vector<Variant> codegen::blockVariantsOf(StringRef architecture) {
  std::vector<Variant> variants = variantsOf(architecture);
  if (architecture != "x86_64")
    return variants;
  for (Variant &variant : variants)
    variant.products = Variant::Products::Pairs;
  Variant more = variants.back();
  more.name = "vnni";
  more.features = "+avx512vnni";
  more.needs |= WEIR_X86_64_VNNI;
  more.products = Variant::Products::Fours;
  variants.push_back(more);
  return variants;
}

Error codegen::emit(Module &module, StringRef triple, const Variant &variant,
                    OutputKind kind, raw_pwrite_stream &to) {
  std::string message;
  Triple parsed(triple);
  const Target *target = TargetRegistry::lookupTarget(parsed, message);
  if (!target)
    return createStringError(message);
  TargetOptions options;
  // What is rounded twice in the kernel stays so.
  options.AllowFPOpFusion = FPOpFusion::Strict;
  std::unique_ptr<TargetMachine> machine(target->createTargetMachine(
      parsed, variant.cpu, variant.features, options, Reloc::PIC_, std::nullopt,
      CodeGenOptLevel::Aggressive));
  module.setTargetTriple(parsed);
  module.setDataLayout(machine->createDataLayout());

  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager graphs;
  ModuleAnalysisManager modules;
  PipelineTuningOptions tuning;
  // A row as one block of code holds another row in registers and spills them.
  tuning.LoopUnrolling = false;
  PassBuilder builder(machine.get(), tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  builder.buildPerModuleDefaultPipeline(OptimizationLevel::O3)
      .run(module, modules);

  legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, to, nullptr,
                                   kind == OutputKind::Object
                                       ? CodeGenFileType::ObjectFile
                                       : CodeGenFileType::AssemblyFile))
    return createStringError("no code can be made for " + triple);
  passes.run(module);
  return Error::success();
}

/// lld, with which Weir itself was linked, or what is found under its names.
static Expected<std::string> findLinker() {
  if (sys::fs::can_execute(WEIR_LLD))
    return WEIR_LLD;
  for (StringRef name : {"ld.lld-22", "ld.lld"})
    if (auto found = sys::findProgramByName(name))
      return *found;
  return createStringError("kernels are linked with lld, and neither ld.lld-22 nor "
                           "ld.lld is there: install lld-22, or build with "
                           "--lower=aten");
}

Error codegen::link(ArrayRef<std::string> objects, StringRef to) {
  Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();
  SmallVector<StringRef> command = {
      *linker, "-shared", "-o", to, "-soname", "kernels.so", "--no-undefined",
      "--build-id=none", "--hash-style=gnu", "-z", "noexecstack", "-z", "relro",
      "-z", "now"};
  command.append(objects.begin(), objects.end());
  std::string message;
  int code = sys::ExecuteAndWait(*linker, command, std::nullopt, {}, 0, 0, &message);
  if (code == 0)
    return Error::success();
  return createStringError("linking the kernels failed" +
                           (message.empty() ? "" : ": " + message));
}
