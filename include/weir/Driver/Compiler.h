//===- Compiler.h - From a spec to a steered program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_COMPILER_H
#define WEIR_DRIVER_COMPILER_H

#include "weir/Dialect/Flow/Transforms/Matches.h"
#include "weir/Dialect/Steer/Transforms/Passes.h"
#include "weir/Driver/GraphReport.h"
#include "weir/Driver/MatchReport.h"
#include "weir/Driver/Report.h"
#include "weir/Operators/Operators.h"
#include "weir/Pipelines/Pipelines.h"
#include "weir/Resources/Resources.h"
#include "weir/Runtime/Manifest.h"
#include "weir/Runtime/ModelInfo.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/SourceMgr.h"

namespace weir {

struct CompilerOptions {
  /// The spec, a YAML file.
  std::string spec;
  /// The exported model; empty to take the one that the spec names.
  std::string model;
  /// What the model may call.
  OperatorPolicy operators;
  /// Folder of cached matches; empty for $WEIR_CACHE or ~/.cache/weir.
  std::string cache;
  /// Threads that matching may use; 0 for as many as there are cores.
  int threads = 0;
  /// Features of a match that are computed and kept together.
  int64_t unitRows = 16384;
  /// Whether the program also says which tokens it edits, for weir-run --stats.
  bool count = false;
  /// The plan that is compiled in for every row, if the program is to have one
  /// plan only and no inputs for plans and knobs.
  std::optional<FixedPlan> fixed;
  /// What patches become.
  steer::LoweringChoice lower = steer::LoweringChoice::Aten;
  /// The program will be compiled as a whole, not run an operator at a time.
  bool compiled = false;
  /// Called with what is being done, for a progress line; may be empty.
  std::function<void(llvm::StringRef)> progress;
};

class SiteTable;

/// A part of the matches of a spec, see Compiler::matchParts.
struct MatchPart {
  std::string name; ///< "flow/sae.res.12/sae.res.11/0..1535"
  std::string key;  ///< of its result in the cache
  bool isDone = false;
};

/// One compilation, stage by stage. Errors go to the context's diagnostic
/// engine; every stage fails after having reported one.
class Compiler {
public:
  Compiler(mlir::MLIRContext &context, CompilerOptions options);
  /// The same with what another compilation has opened.
  Compiler(mlir::MLIRContext &context, CompilerOptions options,
           std::shared_ptr<Resources> resources);
  ~Compiler();

  /// The source manager that holds the spec, for a diagnostic handler.
  llvm::SourceMgr &sources() { return sourceMgr; }

  /// Reads the spec, and with `withModel` the model into the same module.
  mlir::LogicalResult load(bool withModel = true);
  /// Reads the model into the module, if `load` has not.
  mlir::LogicalResult loadModel();
  /// The same for a spec that is a module already; the resources are what its
  /// paths are relative to. What `write` makes then has no copy of the spec.
  mlir::LogicalResult load(mlir::OwningOpRef<mlir::ModuleOp> spec,
                           bool withModel = true);
  /// Chooses the one plan that `steer` compiles in, once the spec is there.
  void fix(FixedPlan plan) { options.fixed = std::move(plan); }
  /// Runs the passes up to merged patches and collects the report.
  mlir::LogicalResult steer();
  /// Computes all matches that the spec declares, instead of steering. A model
  /// is needed only where dictionaries or activations are the model's.
  mlir::LogicalResult match(MatchReport &report);
  /// The matches of neighbouring sites alone, without a report on them.
  mlir::LogicalResult matchPairs(
      llvm::function_ref<void(flow::PairOpInterface,
                              const matching::Matcher::Outcome &)>
          result);
  /// The same in parts that can be computed anywhere, in any order: the list of
  /// them, and one of them by its name. `match` then finds their results.
  mlir::FailureOr<std::vector<MatchPart>> matchParts();
  mlir::LogicalResult matchPart(llvm::StringRef name);
  /// Whether `match` needs the model.
  bool matchingNeedsModel();
  /// Builds all graphs that the spec declares, instead of steering. With
  /// `candidates`, edges stay whatever their effect: they are those to be measured.
  mlir::LogicalResult graphs(GraphReport &report, bool candidates = false);
  /// Whether `graphs` needs the model: for dictionaries or activations that are the
  /// model's, and to know whose effects were measured.
  bool graphsNeedModel();
  /// Has graphs that name no text show the effects that were measured on this one,
  /// whose path is relative to the current folder. `graphs` needs the model then.
  mlir::LogicalResult showEffectsOn(llvm::StringRef text);
  /// Refuses names of features that their dictionaries do not have, as everything
  /// does that opens dictionaries. Of dictionaries that cannot be opened, and with
  /// `quiet` of those that are made of the model, it is not known; that is a warning
  /// unless `quiet`.
  mlir::LogicalResult checkLabels(bool quiet = false);
  /// Whether a name is that of a feature of the model's own weights, and there is a
  /// model to ask.
  bool labelsNeedModel();
  /// Lowers the patches to aten and to kernels, as the options say.
  /// Of a program that nobody keeps, it may be allowed that any number of calls is
  /// added.
  mlir::LogicalResult lower(bool isLimited = true);
  /// Writes program.pt2, manifest.json, report.md, sites.safetensors, a copy of the
  /// spec and, if the program calls kernels, kernels.so into a
  /// new folder that then takes the place of `folder`, whole or not at all.
  /// With `makePackage`, an AOTInductor package is made in it first.
  mlir::LogicalResult
  write(llvm::StringRef folder,
        llvm::function_ref<mlir::LogicalResult(llvm::StringRef folder)>
            makePackage = nullptr);

  /// Writes the program alone, for this process to run and then to throw away: it is
  /// not synced, no manifest is beside it, and the model's tensors stay in the model's
  /// file, where they are compared with their checksums. Its plans, knobs and records
  /// stand in its archive; what it was made from does not.
  mlir::LogicalResult writeScratch(llvm::StringRef path);
  /// The same with inputs and outputs that no runner knows, and no record of them.
  mlir::LogicalResult writeParts(llvm::StringRef path);

  mlir::ModuleOp module() { return *moduleRef; }
  /// The options, with the model that was loaded.
  const CompilerOptions &settings() const { return options; }
  /// What was opened, for other compilations of the same spec.
  std::shared_ptr<Resources> opened() const { return resources; }
  /// The model's program, once it was loaded.
  fx::ProgramOp program();
  /// What the exporter noted about the model, once it was loaded.
  const ModelInfo &model() const { return modelInfo; }
  const SteeringReport &report() const { return steeringReport; }

private:
  flow::MatchObserver matchObserver();
  /// Says what is opened from here on.
  void useResources(std::shared_ptr<const Archive> model = nullptr);
  /// A path of the spec, which is relative to its folder.
  static std::string pathBelow(llvm::StringRef base, llvm::StringRef path);
  mlir::LogicalResult expandMatchings();
  /// `sites` of the spec's model as the option of fx-find-sites.
  std::string siteMap();
  mlir::LogicalResult writeWithoutTensors(llvm::StringRef path,
                                          llvm::ArrayRef<AddedRecord> records);
  /// What the manifest and the program's own record say.
  mlir::FailureOr<Manifest> describe();
  /// The part of it that a runner needs: nothing is hashed.
  mlir::FailureOr<Manifest> describeSteering();
  Manifest::Fixed describeFixed();
  /// Adds the files of the folder.
  mlir::LogicalResult addFiles(Manifest &manifest, llvm::StringRef folder);
  void progress(llvm::StringRef text) {
    if (options.progress)
      options.progress(text);
  }
  mlir::InFlightDiagnostic error();
  /// The text of the spec, if there is a file of it.
  llvm::StringRef specText() const;

  mlir::MLIRContext &context;
  CompilerOptions options;
  llvm::SourceMgr sourceMgr;
  std::string base;
  mlir::OwningOpRef<mlir::ModuleOp> moduleRef;
  std::shared_ptr<Resources> resources;
  std::shared_ptr<const Archive> archive;
  ModelInfo modelInfo;
  SteeringReport steeringReport;
  /// What the patches are, before they are lowered.
  std::unique_ptr<SiteTable> siteTable;
};

/// Registers everything a compilation needs in a context.
void registerCompilerDialects(mlir::DialectRegistry &registry);

} // namespace weir

#endif // WEIR_DRIVER_COMPILER_H
