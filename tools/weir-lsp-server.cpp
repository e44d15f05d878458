//===- weir-lsp-server.cpp - Language server for Weir's dialects ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/InitAllDialects.h"
#include "weir/Support/Files.h"
#include "weir/Support/ToolProcess.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

/// What the server opens a file with when an editor asks for bytecode as text.
/// It takes this definition instead of that of MLIR's library, which
/// waits for named pipes and reads devices without end.
mlir::LogicalResult mlir::parseSourceFile(llvm::StringRef filename,
                                          Block *block,
                                          const ParserConfig &config,
                                          LocationAttr *sourceFileLoc) {
  auto fail = [&](llvm::Error error) {
    return emitError(UnknownLoc::get(config.getContext()))
           << llvm::toString(std::move(error));
  };
  auto file = weir::InputFile::open(filename);
  if (!file)
    return fail(file.takeError());
  auto buffer = (*file)->buffer();
  if (!buffer)
    return fail(buffer.takeError());
  auto sources = std::make_shared<llvm::SourceMgr>();
  sources->AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
  return parseSourceFile(sources, block, config, sourceFileLoc);
}

#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

int main(int argc, char **argv) {
  weir::beginTool("weir-lsp-server");
  llvm::cl::SetVersionPrinter([](llvm::raw_ostream &os) {
    os << "weir-lsp-server " WEIR_VERSION " (LLVM " LLVM_VERSION_STRING ")\n";
  });
  mlir::DialectRegistry registry;
  weir::registerAllDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
