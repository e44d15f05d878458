//===- Program.h - A program as the runner sees it ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_PROGRAM_H
#define WEIR_RUNTIME_PROGRAM_H

#include "weir/Program/Archive.h"
#include "weir/Runtime/ChatTemplate.h"
#include "weir/Runtime/Engine.h"
#include "weir/Runtime/Manifest.h"
#include "weir/Runtime/ModelInfo.h"
#include "weir/Runtime/Tokenizer.h"

#include <optional>

namespace weir {

enum class EngineKind { Reference, AOT };

struct OpenOptions {
  /// Compare the files with the hashes of the manifest; or an archive without
  /// manifest with its own checksums, and the weights with the hash of the model
  /// that was steered. Reads all of it.
  bool verify = true;
  /// For the engines that are made of it.
  EngineOptions engine;
  /// Somebody asked for the AOTInductor package, which is native code. Without
  /// it only a folder's is taken, and only with its hash; with it also the one
  /// that a manifest beside a .pt2 names, or else NAME.aot.pt2 beside NAME.pt2.
  bool packageAsked = false;
  /// A file of kernels, which are native code too, that somebody asked for. Those
  /// that a manifest names are loaded anyway, with their hash.
  std::string kernels;
};

/// A folder with a manifest.json, or a single .pt2. A .pt2 whose folder holds a
/// manifest that names it is opened with that manifest. A steered .pt2 without
/// one tells its plans, knobs and records itself.
class Program {
public:
  /// Errors: a missing file, a file that is not what the manifest's hash says,
  /// a manifest that differs from the program's own record, and all that
  /// `checkProgram` refuses.
  static llvm::Expected<std::unique_ptr<Program>>
  open(llvm::StringRef path, OpenOptions options = {});

  const Archive &archive() const { return *pt2; }
  const ModelInfo &model() const { return info; }
  /// For a program without manifest: no plans, no knobs, no records.
  const Manifest &manifest() const { return description; }
  bool isSteered() const { return description.inputs.size() > 2 || description.fixed; }

  bool hasPackage() const { return package != nullptr; }
  /// Errors: the AOT engine without a package.
  llvm::Expected<std::unique_ptr<Engine>> createEngine(EngineKind kind) const;
  /// A reference engine that computes only the given outputs; see Engine.h.
  llvm::Expected<std::unique_ptr<Engine>>
  createReferenceEngine(llvm::ArrayRef<size_t> outputs) const;
  /// Frees the parsed graph, which weighs far more than its text. No engine can be
  /// made afterwards.
  void releaseGraph();
  /// Errors: the archive has no tokenizer, or one that is not supported.
  llvm::Expected<std::unique_ptr<Tokenizer>> loadTokenizer() const;
  /// The template of that name; without one, as transformers chooses:
  /// "tool_use" for a chat `withTools`, if there is one, or "default". Errors:
  /// the model has no such template, or it does not parse.
  llvm::Expected<std::unique_ptr<ChatTemplate>>
  loadChatTemplate(llvm::StringRef name = "", bool withTools = false) const;

private:
  Program() = default;
  /// Opens the files of the manifest and, with `verify`, compares them with
  /// their hashes. Keeps the package and gives the program.
  llvm::Expected<std::shared_ptr<InputFile>> openFiles(llvm::StringRef folder,
                                                       bool verify);
  /// Compares the manifest with the archive's record of the steering, or takes
  /// that for one. `manifestPath` is empty without a manifest.
  llvm::Error readRecord(llvm::StringRef manifestPath);
  EngineOptions engine;
  std::shared_ptr<Archive> pt2;
  std::shared_ptr<InputFile> package, kernels;
  bool isNamed = false; ///< by a manifest
  ModelInfo info;
  Manifest description;
};

} // namespace weir

#endif // WEIR_RUNTIME_PROGRAM_H
