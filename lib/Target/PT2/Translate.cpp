//===- Translate.cpp - Archives in the translation driver ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Target/PT2/PT2.h"

#include "weir/Support/Files.h"
#include "weir/Support/JobFolder.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Tools/mlir-translate/Translation.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace weir;

static LogicalResult exportToStream(Operation *op, StringRef archivePath,
                                    StringRef base, const ConstantMakers &makers,
                                    raw_ostream &output) {
  // The operation is a whole program: a message that shows it is megabytes long.
  auto error = [&] { return emitError(UnknownLoc::get(op->getContext())); };
  if (archivePath.empty())
    return error() << "--export-pt2 needs --archive, the archive with the "
                      "program's weights";
  if (output.is_displayed())
    return error() << "--export-pt2 writes an archive, which is nothing for a "
                      "terminal: give a file with -o";
  fx::ProgramOp program;
  op->walk([&](fx::ProgramOp found) { program = found; });
  if (!program)
    return error() << "there is no fx.program to export";
  llvm::Expected<std::shared_ptr<Archive>> archive = Archive::open(archivePath);
  if (!archive)
    return error() << llvm::toString(archive.takeError());
  // The driver hands out a stream, the writer of archives needs a file.
  llvm::Expected<std::unique_ptr<JobFolder>> folder =
      JobFolder::make("weir-translate");
  if (!folder)
    return error() << llvm::toString(folder.takeError());
  const std::string temporary = (*folder)->file("program.pt2");
  auto module = dyn_cast<ModuleOp>(op);
  ConstantMaker maker;
  if (module && makers)
    maker = makers(module, *archive, base);
  ConstantCallback constants = nullptr;
  if (maker)
    constants = maker;
  if (failed(exportPT2(program, **archive, temporary, constants)))
    return failure();
  llvm::Expected<std::shared_ptr<FileMapping>> file =
      FileMapping::open(temporary);
  if (!file)
    return error() << llvm::toString(file.takeError());
  output << (*file)->text();
  return success();
}

void weir::registerPT2Translations(
    ConstantMakers makers, std::function<void(DialectRegistry &)> dialects) {
  static llvm::cl::opt<std::string> archivePath(
      "archive",
      llvm::cl::desc("The archive that a program's weights come from"),
      llvm::cl::value_desc("file.pt2"));
  static llvm::cl::opt<std::string> base(
      "base",
      llvm::cl::desc("The folder that paths of dictionaries are relative to, for "
                     "programs whose constants are recipes"),
      llvm::cl::value_desc("folder"), llvm::cl::init("."));
  static llvm::cl::list<std::string> allowed(
      "allow-operator",
      llvm::cl::desc("Import a program that calls this operator, such as "
                     "aten.fft_rfft.default, although the catalogue lacks it"),
      llvm::cl::value_desc("name"));
  static TranslateToMLIRRegistration toMLIR(
      "import-pt2", "a torch.export archive as an fx.program",
      [](llvm::SourceMgr &sources, MLIRContext *context)
          -> OwningOpRef<Operation *> {
        const llvm::MemoryBuffer *buffer =
            sources.getMemoryBuffer(sources.getMainFileID());
        StringRef text = buffer->getBuffer();
        llvm::Expected<std::shared_ptr<Archive>> archive = Archive::fromMemory(
            buffer->getBufferIdentifier(),
            llvm::ArrayRef(reinterpret_cast<const std::byte *>(text.data()),
                           text.size()),
            nullptr);
        if (!archive) {
          emitError(UnknownLoc::get(context))
              << llvm::toString(archive.takeError());
          return {};
        }
        OperatorPolicy operators;
        for (const std::string &name : allowed)
          if (llvm::Error error = operators.allow(name)) {
            emitError(UnknownLoc::get(context))
                << "--allow-operator: " << llvm::toString(std::move(error));
            return {};
          }
        return importPT2(**archive, context, operators);
      });
  static TranslateFromMLIRRegistration fromMLIR(
      "export-pt2", "an fx.program as a torch.export archive",
      [makers](Operation *op, raw_ostream &output) {
        return exportToStream(op, archivePath, base, makers, output);
      },
      [dialects](DialectRegistry &registry) {
        registry.insert<fx::FXDialect>();
        if (dialects)
          dialects(registry);
      });
}
