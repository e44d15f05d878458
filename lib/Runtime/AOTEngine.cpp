//===- AOTEngine.cpp - Running an AOTInductor package ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"
#include "TorchSupport.h"

#include "weir/Support/Files.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

#include <c10/core/InferenceMode.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <cstdlib>

using namespace llvm;

namespace weir {
namespace {

/// A folder of this process alone, in which LibTorch unpacks a package. It makes
/// one of its own there, which it leaves where the package cannot be loaded.
class UnpackingFolder {
public:
  static Expected<std::unique_ptr<UnpackingFolder>> make() {
    std::unique_ptr<UnpackingFolder> out(new UnpackingFolder);
    if (std::error_code code =
            sys::fs::createUniqueDirectory("weir-package", out->path))
      return fail("cannot make a temporary folder: {0}", code.message());
    return out;
  }
  ~UnpackingFolder() {
    if (!path.empty())
      sys::fs::remove_directories(path);
  }

  /// While it lasts, temporary files go into the folder.
  class Scope {
  public:
    explicit Scope(const UnpackingFolder &folder) {
      if (const char *value = std::getenv("TMPDIR"))
        before = value;
      ::setenv("TMPDIR", folder.path.c_str(), /*overwrite=*/1);
    }
    ~Scope() {
      if (before)
        ::setenv("TMPDIR", before->c_str(), /*overwrite=*/1);
      else
        ::unsetenv("TMPDIR");
    }

  private:
    std::optional<std::string> before;
  };

private:
  UnpackingFolder() = default;
  mutable SmallString<128> path;
  friend class Scope;
};

class AOTEngine final : public Engine {
public:
  static Expected<std::unique_ptr<Engine>>
  create(const InputFile &package, std::shared_ptr<Archive> archive);

  StringRef name() const override { return "aot"; }
  ArrayRef<ProgramInput> inputs() const override { return declared; }
  size_t numOutputs() const override { return outputs; }
  Expected<std::vector<at::Tensor>> run(ArrayRef<at::Tensor> inputs) override;

private:
  Error bindConstants();

  std::shared_ptr<Archive> archive;
  std::shared_ptr<MappedTensors> tensors;
  std::vector<ProgramInput> declared;
  size_t outputs = 0;
  std::unique_ptr<UnpackingFolder> folder; ///< outlives the loader
  std::unique_ptr<torch::inductor::AOTIModelPackageLoader> loader;
};

size_t countUserOutputs(const json::Object &model) {
  const json::Object *module = model.getObject("graph_module");
  const json::Object *signature =
      module ? module->getObject("signature") : nullptr;
  const json::Array *specs =
      signature ? signature->getArray("output_specs") : nullptr;
  size_t count = 0;
  if (specs)
    for (const json::Value &spec : *specs)
      if (const json::Object *object = spec.getAsObject())
        count += object->get("user_output") != nullptr;
  return count;
}

/// A package that was compiled without its weights gets them, and the buffers
/// it mutates, from the archive's mapping.
Error AOTEngine::bindConstants() {
  std::vector<std::string> names = loader->get_constant_fqns();
  std::unordered_map<std::string, at::Tensor> constants;
  for (const std::string &name : names) {
    Expected<at::Tensor> tensor = tensors->get(name);
    if (!tensor)
      return tensor.takeError();
    constants.emplace(name, std::move(*tensor));
  }
  loader->load_constants(constants, /*use_inactive=*/false,
                         /*check_full_update=*/true, /*user_managed=*/true);
  return Error::success();
}

Expected<std::unique_ptr<Engine>>
AOTEngine::create(const InputFile &package, std::shared_ptr<Archive> archive) {
  auto out = std::make_unique<AOTEngine>();
  Expected<std::vector<ProgramInput>> declared =
      readProgramInputs(archive->model());
  if (!declared)
    return fail("{0}: {1}", archive->path(), toString(declared.takeError()));
  out->declared = std::move(*declared);
  out->outputs = countUserOutputs(archive->model());
  Expected<std::shared_ptr<MappedTensors>> tensors =
      MappedTensors::open(*archive);
  if (!tensors)
    return tensors.takeError();
  out->tensors = std::move(*tensors);
  out->archive = std::move(archive);
  Expected<std::unique_ptr<UnpackingFolder>> folder = UnpackingFolder::make();
  if (!folder)
    return folder.takeError();
  out->folder = std::move(*folder);
  UnpackingFolder::Scope scope(*out->folder);
  // The loader takes a name only. This one stands for the open file, whose hash
  // was compared.
  out->loader = std::make_unique<torch::inductor::AOTIModelPackageLoader>(
      formatv("/proc/self/fd/{0}", package.descriptor()).str(), "model",
      /*run_single_threaded=*/true);
  if (Error error = out->bindConstants())
    return fail("{0}: {1}", package.path(), toString(std::move(error)));
  return out;
}

Expected<std::vector<at::Tensor>> AOTEngine::run(ArrayRef<at::Tensor> inputs) {
  if (Error error = checkInputs(declared, inputs))
    return std::move(error);
  c10::InferenceMode guard;
  try {
    std::vector<at::Tensor> out = loader->run(inputs.vec());
    if (out.size() != outputs)
      return fail("the package gives {0} outputs, the program has {1}",
                  out.size(), outputs);
    return out;
  } catch (const std::exception &exception) {
    return fail("AOTInductor: {0}", messageOf(exception));
  }
}

} // namespace

Expected<std::unique_ptr<Engine>>
createAOTEngine(std::shared_ptr<InputFile> package,
                std::shared_ptr<Archive> archive) {
  try {
    return AOTEngine::create(*package, std::move(archive));
  } catch (const std::exception &exception) {
    return fail("{0}: {1}", package->path(), messageOf(exception));
  }
}

} // namespace weir
