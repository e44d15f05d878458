//===- SpecFuzzer.cpp - Specs of any bytes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Any input is imported or refused with a message that points into it. What is
// imported verifies, prints, and reads back as the same module. The same holds
// for a right spec that names a file of any bytes: an attribution graph.
//
//===----------------------------------------------------------------------===//

#include "Entries.h"

#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Spec/Spec.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

using namespace mlir;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
// LLVM's arenas poison their memory where their inline parts are compiled with
// the sanitizer, and its shared library, which is not, does not know of it.
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0";
}
#endif
#endif

/// Stops the run in a way that every build configuration notices.
static void require(bool condition, const char *what) {
  if (condition)
    return;
  llvm::errs() << "broken promise: " << what << "\n";
  std::abort();
}

static std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module.print(os);
  return text;
}

static void import(llvm::StringRef text,
                   const weir::spec::SpecOptions &options) {
  // Locations are kept as long as a context lives: a new one now and then.
  static std::unique_ptr<MLIRContext> context;
  static unsigned uses = 0;
  if (uses++ % 1000 == 0) {
    context = std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED);
    context->loadDialect<weir::flow::FlowDialect, weir::steer::SteerDialect>();
  }

  unsigned lines = text.count('\n') + 1;
  unsigned errors = 0;
  auto check = [&](Location location) {
    auto place = location->findInstanceOf<FileLineColLoc>();
    require(bool(place), "a message has a place");
    require(place.getLine() >= 1 && place.getLine() <= lines,
            "a message points into the spec");
  };
  ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) {
    errors += diagnostic.getSeverity() == DiagnosticSeverity::Error;
    check(diagnostic.getLocation());
    require(!diagnostic.str().empty(), "a message says something");
    for (Diagnostic &note : diagnostic.getNotes())
      check(note.getLocation());
    return success();
  });

  llvm::SourceMgr sourceMgr;
  sourceMgr.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(text, "fuzz.yaml"), llvm::SMLoc());
  OwningOpRef<ModuleOp> module = weir::importSpec(sourceMgr, context.get(), options);
  require(bool(module) == (errors == 0), "no module means an error");
  if (!module)
    return;
  require(succeeded(verify(*module)), "an imported module verifies");
  // Values are named after their locations, which the text does not keep.
  module->walk([](Operation *op) { op->setLoc(UnknownLoc::get(op->getContext())); });
  std::string printed = print(*module);
  auto again = parseSourceString<ModuleOp>(printed, context.get());
  require(bool(again), "a printed module can be read");
  require(print(*again) == printed, "reading and printing agree");
}

void weir::fuzz::attribution(llvm::ArrayRef<std::byte> bytes) {
  weir::spec::SpecOptions options;
  options.readFile = [&](llvm::StringRef) -> llvm::Expected<std::string> {
    return std::string(reinterpret_cast<const char *>(bytes.data()),
                       bytes.size());
  };
  import("weir: 1\nmodel: {}\ndictionaries:\n"
         "  clt: {format: circuit_tracer, path: clt, sites: [mlp], layers: 0..5}\n"
         "policies:\n  p: {on: [{attribution: g.json}, 3/mlp/1], do: ablate}\n",
         options);
}

#ifndef WEIR_FUZZ_ENTRY // else Target.cpp calls one of the entries
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  import({reinterpret_cast<const char *>(data), size}, {});
  return 0;
}
#endif
