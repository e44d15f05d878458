//===- Compiler.cpp - From a spec to a steered program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/Compiler.h"

#include "KernelJob.h"
#include "ProgramSize.h"
#include "RowCheck.h"
#include "ScopeCheck.h"
#include "SiteTable.h"

#include "weir/Conversion/SteerToKernels/SteerToKernels.h"
#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Dialect/Steer/Transforms/FixedPlan.h"
#include "weir/Driver/ActivationMatching.h"
#include "weir/Driver/OutputFolder.h"
#include "weir/Driver/TokenLookup.h"
#include "weir/Operators/KernelCalls.h"
#include "weir/Pipelines/Pipelines.h"
#include "weir/Program/Fingerprint.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Resources/Recipes.h"
#include "weir/Runtime/ProgramCheck.h"
#include "weir/Spec/Locations.h"
#include "weir/Spec/Spec.h"
#include "weir/Spec/YAML.h"
#include "weir/Support/Files.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/Json.h"
#include "weir/Target/PT2/PT2.h"
#include "weir/Torch/TorchRuntime.h"

#include "mlir/IR/Remarks.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <chrono>
#include <sys/resource.h>

using namespace mlir;
using namespace weir;

/// The symbol of the model's program. Names in a spec have no dot, so it can
/// meet none of them.
static constexpr StringLiteral programSymbol = "model.program";

/// The files of an artefact, beside its manifest.
static constexpr StringLiteral programFile = "program.pt2";
static constexpr StringLiteral packageFile = "program.aot.pt2";
static constexpr StringLiteral kernelsFile = "kernels.so";
static constexpr StringLiteral specFile = "spec.yaml";
static constexpr StringLiteral reportFile = "report.md";

void weir::registerCompilerDialects(DialectRegistry &registry) {
  registry.insert<fx::FXDialect, flow::FlowDialect, steer::SteerDialect>();
  registerEvaluation(registry);
}

Compiler::~Compiler() = default;

Compiler::Compiler(MLIRContext &context, CompilerOptions options)
    : context(context), options(std::move(options)) {
  SmallString<256> folder(this->options.spec);
  llvm::sys::path::remove_filename(folder);
  base = folder.empty() ? "." : folder.str().str();
}

Compiler::Compiler(MLIRContext &context, CompilerOptions options,
                   std::shared_ptr<Resources> resources)
    : context(context), options(std::move(options)),
      base(resources->options().base), resources(std::move(resources)) {
  if (!this->resources->options().model.empty())
    this->options.model = this->resources->options().model;
}

void Compiler::useResources(std::shared_ptr<const Archive> model) {
  ResourceOptions known{base, model ? options.model : std::string(),
                        options.cache, options.threads, options.unitRows};
  resources = Resources::create(std::move(known), std::move(model));
  resources->setActivations(makeActivationSource(*resources, options.operators,
                                                 options.progress));
  resources->setTokens(makeTokenLookup(*resources, options.operators));
}

StringRef Compiler::specText() const {
  return sourceMgr.getMemoryBuffer(sourceMgr.getMainFileID())->getBuffer();
}

InFlightDiagnostic Compiler::error() {
  return emitError(UnknownLoc::get(&context));
}

std::string Compiler::pathBelow(StringRef base, StringRef path) {
  if (llvm::sys::path::is_absolute(path))
    return path.str();
  SmallString<256> whole(base);
  llvm::sys::path::append(whole, path);
  return whole.str().str();
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

/// The plan and the knobs that are to be compiled in are the command line's: what is
/// wrong with them is told before the model is read.
static LogicalResult checkFixed(ModuleOp module, const FixedPlan &fixed) {
  auto error = [&] { return emitError(UnknownLoc::get(module.getContext())); };
  auto plan = steer::findFixedPlan(
      module, fixed.plan, [&](steer::KnobOp) { return error() << "--fixed: "; });
  if (failed(plan))
    return failure();
  return steer::readFixedKnobs(
      module, *plan, fixed.knobs, [&](steer::KnobOp knob) {
        InFlightDiagnostic diag = error() << "--knob: ";
        if (knob)
          diag.attachNote(knob.getLoc()) << "the knob";
        return diag;
      });
}

LogicalResult Compiler::load(bool withModel) {
  progress("reading the spec");
  auto file = InputFile::open(options.spec, spec::maxSpecBytes);
  if (!file)
    return error() << llvm::toString(file.takeError());
  auto buffer = (*file)->buffer();
  if (!buffer)
    return error() << llvm::toString(buffer.takeError());
  sourceMgr.AddNewSourceBuffer(std::move(*buffer), SMLoc());
  spec::SpecOptions reading;
  reading.readFile = [&](StringRef path) {
    return readText(pathBelow(base, path));
  };
  moduleRef = importSpec(sourceMgr, &context, reading);
  if (!moduleRef || (options.fixed && failed(checkFixed(module(), *options.fixed))))
    return failure();
  if (withModel)
    return loadModel();
  useResources();
  return success();
}

LogicalResult Compiler::load(OwningOpRef<ModuleOp> spec, bool withModel) {
  moduleRef = std::move(spec);
  return withModel ? loadModel() : success();
}

fx::ProgramOp Compiler::program() {
  return module().lookupSymbol<fx::ProgramOp>(programSymbol);
}

/// What is wrong with a file, which is named once: readers of archives name it
/// themselves, those of what stands in them do not.
static std::string about(StringRef path, llvm::Error error) {
  std::string message = llvm::toString(std::move(error));
  if (StringRef(message).starts_with((path + ": ").str()))
    return message;
  return (path + ": " + message).str();
}

LogicalResult Compiler::loadModel() {
  std::string path = options.model;
  Location where = UnknownLoc::get(&context);
  if (path.empty())
    for (auto model : moduleRef->getOps<steer::ModelOp>())
      if (auto program = model.getProgram()) {
        path = pathBelow(base, *program);
        where = spec::locationOf(model, "program");
      }
  if (path.empty())
    return error() << "the spec names no model: give `model: {program: …}` in "
                      "it or --model";
  progress("reading the model");
  if (!resources || resources->options().model != path) {
    auto opened = Archive::open(path);
    if (!opened) {
      InFlightDiagnostic diag = emitError(where)
                                << llvm::toString(opened.takeError());
      if (!llvm::sys::fs::exists(path))
        diag << "; `python -m weir export` makes one, --model names another";
      return diag;
    }
    options.model = path;
    useResources(std::move(*opened));
  }
  auto opened = resources->model();
  if (!opened)
    return emitError(where) << llvm::toString(opened.takeError());
  archive = *opened;
  OwningOpRef<ModuleOp> imported =
      importPT2(*archive, &context, options.operators);
  if (!imported)
    return failure();
  // What could not run is refused here, as the runner would.
  auto steering = readSteering(*archive);
  if (!steering)
    return emitError(where) << about(path, steering.takeError());
  if (*steering)
    return emitError(where) << path
                            << ": the program was steered before; start from "
                               "the exported model";
  if (llvm::Error calls = refuseKernelCalls(
          archive->model(), "start from the exported model"))
    return emitError(where) << about(path, std::move(calls));
  auto runtime = TorchRuntime::load();
  if (!runtime)
    return error() << llvm::toString(runtime.takeError());
  auto info = runtime->checkProgram(*archive, Manifest(), options.operators);
  if (!info)
    return emitError(where) << about(path, info.takeError());
  modelInfo = std::move(*info);
  auto program = *imported->getOps<fx::ProgramOp>().begin();
  program->remove();
  program.setSymName(programSymbol);
  // What is wrong with the program as a whole is the business of the line that
  // names it, or that says where its sites are.
  for (auto model : moduleRef->getOps<steer::ModelOp>())
    program->setLoc(FusedLoc::get(
        &context, {spec::locationOf(model, model.getSites() ? "sites" : "program"),
                   program.getLoc()}));
  moduleRef->push_back(program);
  if (!modelInfo.arithmetic.empty())
    remark::analysis(program.getLoc(), remark::RemarkOpts::name("NotExact")
                                           .category("program"))
        << "the model's products round what they read to " +
               modelInfo.arithmetic +
               ": its numbers are not those of the exact model (export it with "
               "--arithmetic exact for these)";
  return success();
}

/// `sites` of the spec's model as the option of fx-find-sites.
std::string Compiler::siteMap() {
  std::string text;
  for (auto model : module().getOps<steer::ModelOp>()) {
    DictionaryAttr paths = model.getSitesAttr();
    if (!paths)
      continue;
    for (NamedAttribute entry : paths) {
      if (!text.empty())
        text += ",";
      text += (entry.getName().getValue() + "=" +
               cast<StringAttr>(entry.getValue()).getValue())
                  .str();
    }
  }
  return text;
}

flow::MatchObserver Compiler::matchObserver() {
  flow::MatchObserver observer;
  observer.progress = [this](int64_t done, int64_t total, StringRef next) {
    if (done < total)
      progress(("matching " + next + " (" + Twine(done + 1) + " of " +
                Twine(total) + ")")
                   .str());
  };
  return observer;
}

LogicalResult Compiler::steer() {
  progress("placing the policies");
  checkScopes(module(), modelInfo.maxLength);
  PassManager passes(&context);
  buildSteeringPipeline(passes, siteMap(), resources, matchObserver(),
                        options.count, options.fixed);
  if (failed(passes.run(module())))
    return failure();
  if (failed(checkRows(module(), *resources)))
    return failure();
  steeringReport = collectReport(module());
  siteTable = std::make_unique<SiteTable>(SiteTable::collect(module()));
  return success();
}

LogicalResult Compiler::lower(bool isLimited) {
  progress("lowering");
  PassManager passes(&context);
  buildLoweringPipeline(passes, options.lower, options.fixed.has_value(),
                        options.compiled);
  size_t before = countCalls(program());
  if ((isLimited && failed(checkPatches(program()))) ||
      failed(passes.run(module())))
    return failure();
  if (siteTable)
    siteTable->addKernels(module());
  return isLimited ? checkAddedCalls(program(), before) : success();
}

//===----------------------------------------------------------------------===//
// Output
//===----------------------------------------------------------------------===//

static AddedRecord recordOf(StringRef text) {
  return {Manifest::recordName.str(),
          {reinterpret_cast<const std::byte *>(text.data()), text.size()}};
}

/// What is copied into a program is compared with its checksum; so is what stays
/// where it is.
static llvm::Error verifyTensors(const Archive &archive,
                                 const llvm::StringSet<> &dropped) {
  for (const auto *tensors : {&archive.weights(), &archive.constants()})
    for (const auto &[name, tensor] : *tensors)
      if (!dropped.contains(name))
        if (llvm::Error damaged = archive.verify(tensor.record))
          return damaged;
  return llvm::Error::success();
}

LogicalResult Compiler::writeWithoutTensors(StringRef path,
                                            ArrayRef<AddedRecord> records) {
  progress("writing the program");
  auto source = withoutTensors(*archive);
  if (!source)
    return error() << llvm::toString(source.takeError());
  if (llvm::Error damaged =
          verifyTensors(*archive, droppedTensors(program(), *archive)))
    return error() << llvm::toString(std::move(damaged));
  flow::RecipeConstants sourceOf(module(), *resources);
  return exportPT2(program(), **source, path, sourceOf, ExportForm::Scratch,
                   records);
}

LogicalResult Compiler::writeScratch(StringRef path) {
  assert(!module().lookupSymbol<ModuleOp>(kernelModuleName) &&
         "kernels are files of their own");
  auto manifest = describeSteering();
  if (failed(manifest))
    return failure();
  const std::string text = printJSON(manifest->recordJSON());
  return writeWithoutTensors(path, recordOf(text));
}

LogicalResult Compiler::writeParts(StringRef path) {
  return writeWithoutTensors(path, {});
}

LogicalResult Compiler::addFiles(Manifest &manifest, StringRef folder) {
  auto hash = [&](Manifest::File &file) -> LogicalResult {
    auto written = InputFile::open(pathBelow(folder, file.path));
    if (!written)
      return error() << llvm::toString(written.takeError());
    auto digest = (*written)->sha256();
    if (!digest)
      return error() << llvm::toString(digest.takeError());
    file.sha256 = *digest;
    file.bytes = static_cast<int64_t>((*written)->size());
    return success();
  };
  manifest.program.path = programFile;
  manifest.report = reportFile;
  if (failed(hash(manifest.program)))
    return failure();
  if (llvm::sys::fs::exists(pathBelow(folder, kernelsFile))) {
    manifest.kernels = Manifest::File{kernelsFile.str(), "", {}};
    if (failed(hash(*manifest.kernels)))
      return failure();
  }
  manifest.table = Manifest::File{SiteTable::fileName.str(), "", {}};
  if (failed(hash(*manifest.table)))
    return failure();
  if (!llvm::sys::fs::exists(pathBelow(folder, packageFile)))
    return success();
  manifest.aot = Manifest::File{packageFile.str(), "", {}};
  return hash(*manifest.aot);
}

/// What the program takes and gives, and where it was edited: all of it stands
/// in the program.
static LogicalResult describeProgram(fx::ProgramOp program, Manifest &manifest) {
  if (program.getEdited())
    for (auto site : program.getEdited()->getAsRange<fx::EditedAttr>())
      manifest.sites.push_back(
          {fx::stringifySiteKind(site.getKind()).str(), site.getLayer()});
  manifest.inputs.clear();
  for (InputRole role : program.getInputRoles())
    manifest.inputs.push_back(roleName(role).str());

  // As a spec writes them: with several collections, each feature names its own.
  auto module = program->getParentOfType<ModuleOp>();
  bool qualified = llvm::range_size(module.getOps<flow::CollectionOp>()) > 1;
  manifest.outputs.clear();
  SmallVector<Type> types; // of what the caller gets
  for (auto [value, output] : llvm::zip_equal(
           program.getReturn().getValues(),
           program.getReturn().getOutputs().getAsRange<fx::OutputAttr>()))
    if (output.getKind() == fx::OutputKind::UserOutput)
      types.push_back(value.getType());
  for (auto [index, output] : llvm::enumerate(program.getUserOutputs())) {
    Attribute role = output.getRole();
    if (isa_and_present<fx::LogitsAttr>(role)) {
      manifest.outputs.push_back("logits");
    } else if (auto record = dyn_cast_if_present<fx::RecordAttr>(role)) {
      Manifest::Record entry;
      entry.name = record.getName().str();
      entry.output = index;
      for (Attribute column : record.getColumns())
        if (auto gate = dyn_cast<FlatSymbolRefAttr>(column))
          entry.features.push_back("gate:" + specName(gate.getValue()).str());
        else if (auto site = dyn_cast<flow::SiteAttr>(column))
          // No feature is called like this: they have no bracket.
          for (int64_t i = 0,
                       e = cast<RankedTensorType>(types[index]).getShape().back();
               i < e; ++i)
            entry.features.push_back(
                std::to_string(site.getLayer()) + "/" +
                fx::stringifySiteKind(site.getKind()).str() + "[" +
                std::to_string(i) + "]");
        else if (auto feature = cast<flow::FeatureAttr>(column))
          entry.features.push_back(
              (qualified ? specName(feature.getCollection().getValue()).str() +
                               ":"
                         : std::string()) +
              feature.str());
      entry.policy = entry.name.substr(0, entry.name.find('.'));
      manifest.outputs.push_back(entry.name);
      manifest.records.push_back(std::move(entry));
    } else if (auto count = dyn_cast_if_present<fx::CountAttr>(role)) {
      Manifest::Count entry{fx::stringifySiteKind(count.getKind()).str(),
                            count.getLayer(), static_cast<int64_t>(index), {}};
      for (StringRef policy : count.getPolicies().getAsValueRange<StringAttr>())
        entry.policies.push_back(policy.str());
      // No record is called like this: names in a spec have no slash.
      manifest.outputs.push_back("edited/" + std::to_string(entry.layer) + "/" +
                                 entry.site);
      manifest.counts.push_back(std::move(entry));
    } else {
      return program.emitError()
             << "output " << index
             << " of the program is neither the logits nor a record";
    }
  }
  return success();
}

/// The plan of a fixed program, its knobs, and the weights that it still needs.
Manifest::Fixed Compiler::describeFixed() {
  Manifest::Fixed fixed;
  for (auto plan : module().getOps<steer::PlanOp>())
    if (DictionaryAttr knobs = plan.getFixedAttr())
      for (NamedAttribute knob : knobs)
        fixed.knobs.push_back(
            {knob.getName().str(),
             cast<FloatAttr>(knob.getValue()).getValueAsDouble()});
  auto program = module().lookupSymbol<fx::ProgramOp>(programSymbol);
  llvm::StringSet<> dropped = droppedTensors(program, *archive);
  auto stays = [&](StringRef name) { return !dropped.contains(name); };
  if (!llvm::all_of(archive->weights().keys(), stays))
    fixed.weights = weightsHash(*archive, stays);
  return fixed;
}

FailureOr<Manifest> Compiler::describe() {
  FailureOr<Manifest> described = describeSteering();
  if (failed(described))
    return failure();
  Manifest &manifest = *described;
  if (options.fixed)
    manifest.fixed = describeFixed();
  if (sourceMgr.getNumBuffers() != 0)
    manifest.spec = Manifest::File{specFile.str(), sha256(specText()), {}};
  auto graph = graphHash(*archive);
  if (!graph)
    return error() << llvm::toString(graph.takeError());
  manifest.model = Manifest::Model{modelInfo.model, modelInfo.family,
                                   modelInfo.dtype, weightsHash(*archive),
                                   std::move(*graph), modelInfo.arithmetic};

  flow::DictionaryStore store(module(), *resources);
  for (auto dictionary : module().getOps<flow::DictionaryOp>()) {
    auto opened = store.open(dictionary.getSymName());
    if (!opened)
      return error() << llvm::toString(opened.takeError());
    auto digest = (*opened)->contentHash();
    if (!digest)
      return error() << llvm::toString(digest.takeError());
    manifest.dictionaries.push_back({dictionary.getSymName().str(), *digest});
  }
  return described;
}

FailureOr<Manifest> Compiler::describeSteering() {
  Manifest manifest;
  if (failed(describeProgram(program(), manifest)))
    return failure();
  for (auto plan : module().getOps<steer::PlanOp>())
    manifest.plans.push_back(specName(plan.getSymName()).str());
  // A knob without a range takes any number of the input's type.
  double widest = std::numeric_limits<float>::max();
  for (auto knob : module().getOps<steer::KnobOp>()) {
    if (options.fixed)
      break;
    Manifest::Knob entry;
    entry.name = specName(knob.getSymName()).str();
    entry.defaultValue = knob.getDefaultValue().convertToDouble();
    entry.min = knob.getMin() ? knob.getMin()->convertToDouble() : -widest;
    entry.max = knob.getMax() ? knob.getMax()->convertToDouble() : widest;
    manifest.knobs.push_back(std::move(entry));
  }
  llvm::DenseMap<Attribute, std::vector<std::string>> plansOf;
  for (auto plan : module().getOps<steer::PlanOp>())
    for (Attribute policy : plan.getPolicies())
      plansOf[policy].push_back(specName(plan.getSymName()).str());
  for (auto policy : module().getOps<steer::PolicyOp>()) {
    auto plans = plansOf.find(FlatSymbolRefAttr::get(policy.getSymNameAttr()));
    if (plans != plansOf.end())
      manifest.policies.push_back({specName(policy.getSymName()).str(),
                                   !policy.getAction().leavesValue(),
                                   std::move(plans->second)});
  }
  return manifest;
}

static std::string megabytes(int64_t bytes) {
  return std::to_string(bytes / 1000000) + " MB";
}

LogicalResult
Compiler::write(StringRef folder,
                function_ref<LogicalResult(StringRef)> makePackage) {
  auto start = std::chrono::steady_clock::now();
  auto output = OutputFolder::create(folder);
  if (!output)
    return error() << llvm::toString(output.takeError());
  StringRef scratch = (*output)->path();
  // The spec is copied; the model would be gone.
  if (llvm::Error e = (*output)->checkInput(options.model))
    return error() << llvm::toString(std::move(e));

  auto manifest = describe();
  if (failed(manifest))
    return failure();
  progress("writing the program");
  std::string recordText = printJSON(manifest->recordJSON());
  flow::RecipeConstants sourceOf(module(), *resources);
  if (failed(exportPT2(program(), *archive, pathBelow(scratch, programFile),
                       sourceOf, ExportForm::Plain, recordOf(recordText))))
    return failure();
  if (manifest->spec)
    if (llvm::Error e =
            writeTextAtomically(pathBelow(scratch, specFile), specText()))
      return error() << llvm::toString(std::move(e));
  if (auto kernels = module().lookupSymbol<ModuleOp>(kernelModuleName)) {
    progress("compiling the kernels");
    if (failed(compileKernels(kernels, pathBelow(scratch, kernelsFile),
                              options.cache)))
      return failure();
  }
  progress("writing the site table");
  if (failed(siteTable->write(pathBelow(scratch, SiteTable::fileName), module(),
                              *resources, *archive, *manifest)))
    return failure();
  if (makePackage && failed(makePackage(scratch)))
    return failure();

  progress("writing the manifest");
  if (failed(addFiles(*manifest, scratch)))
    return failure();
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::string seconds;
  llvm::raw_string_ostream(seconds) << llvm::format("%.1f s", took.count());
  Measure measures[] = {
      {"writing took", seconds},
      {"peak resident memory, mapped weights included",
       megabytes(int64_t(usage.ru_maxrss) * 1024)},
      {"the model's file", megabytes([&] {
         uint64_t size = 0;
         (void)llvm::sys::fs::file_size(options.model, size);
         return static_cast<int64_t>(size);
       }())}};
  std::string text;
  llvm::raw_string_ostream os(text);
  printMarkdown(steeringReport, measures, os);
  if (llvm::Error e = writeTextAtomically(pathBelow(scratch, reportFile), text))
    return error() << llvm::toString(std::move(e));
  if (llvm::Error e = manifest->write(scratch))
    return error() << llvm::toString(std::move(e));
  auto left = (*output)->publish();
  if (!left)
    return error() << llvm::toString(left.takeError());
  if (!left->empty())
    emitWarning(UnknownLoc::get(&context))
        << "files were put into '" << folder
        << "' while it was replaced; they are in '" << *left << "' now";
  return success();
}
