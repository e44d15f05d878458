//===- OpenInputFile.cpp - The one opener, for MLIR's drivers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// weir-opt and weir-translate are MLIR's drivers, which open files by
// mlir::openInputFile. MLIR's own waits for named pipes and reads devices
// without end. A program's definitions come before those of the libraries that
// it is linked with, so the drivers call these instead; that they do is tested by test/Pipelines/special-files.test.
//
//===----------------------------------------------------------------------===//

#include "weir/Support/Files.h"
#include "weir/Support/StandardInput.h"

#include "mlir/Support/FileUtilities.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Alignment.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cerrno>
#include <unistd.h>

using namespace llvm;

/// Standard input may be a pipe, but no endless one.
static constexpr size_t largestStandardInput = size_t(1) << 30;

static Expected<std::unique_ptr<MemoryBuffer>> open(StringRef name) {
  if (name == "-") {
    Expected<std::string> text = weir::readStandardInput(largestStandardInput);
    if (!text)
      return text.takeError();
    return MemoryBuffer::getMemBufferCopy(*text, "<stdin>");
  }
  Expected<std::shared_ptr<weir::InputFile>> file = weir::InputFile::open(name);
  if (!file)
    return file.takeError();
  return (*file)->buffer();
}

std::unique_ptr<MemoryBuffer> mlir::openInputFile(StringRef inputFilename,
                                                  std::string *errorMessage) {
  Expected<std::unique_ptr<MemoryBuffer>> buffer = open(inputFilename);
  if (buffer)
    return std::move(*buffer);
  std::string message = toString(buffer.takeError());
  if (errorMessage)
    *errorMessage = "cannot open input file: " + message;
  return nullptr;
}

/// Mapped files begin at a page; what was read is copied to where it has to be.
std::unique_ptr<MemoryBuffer> mlir::openInputFile(StringRef inputFilename,
                                                  Align alignment,
                                                  std::string *errorMessage) {
  std::unique_ptr<MemoryBuffer> buffer =
      openInputFile(inputFilename, errorMessage);
  if (!buffer || isAddrAligned(alignment, buffer->getBufferStart()))
    return buffer;
  std::unique_ptr<WritableMemoryBuffer> copy =
      WritableMemoryBuffer::getNewUninitMemBuffer(
          buffer->getBufferSize(), buffer->getBufferIdentifier(), alignment);
  if (copy)
    llvm::copy(buffer->getBuffer(), copy->getBufferStart());
  return copy;
}
