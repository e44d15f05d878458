//===- SiteTableFile.cpp - The file of what is done at each site ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SiteTable.h"

#include "weir/Dialect/Steer/IR/Steer.h"
#include "weir/Program/TensorWriter.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Resources/Recipes.h"
#include "weir/Spec/Spec.h"
#include "weir/Support/Hashing.h"
#include "weir/Support/Json.h"

#include <cstring>
#include <deque>

using namespace mlir;
using namespace weir;
namespace json = llvm::json;

namespace {

/// The tensors of the file, with their bytes.
class Tensors {
public:
  void add(StringRef name, DType dtype, ArrayRef<int64_t> shape,
           std::vector<std::byte> bytes) {
    kept.push_back(std::move(bytes));
    all.push_back(NamedTensor::of(name, dtype, shape, kept.back().data()));
  }

  template <typename T>
  void add(StringRef name, DType dtype, ArrayRef<int64_t> shape,
           ArrayRef<T> values) {
    std::vector<std::byte> bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    add(name, dtype, shape, std::move(bytes));
  }

  /// Elements that stand in the IR: indices, numbers or flags.
  void add(StringRef name, DenseElementsAttr elements) {
    ArrayRef<int64_t> shape = elements.getType().getShape();
    Type type = elements.getElementType();
    if (type.isInteger(64))
      return add<int64_t>(name, DType::Int64, shape,
                          llvm::to_vector(elements.getValues<int64_t>()));
    if (type.isF32())
      return add<float>(name, DType::Float32, shape,
                        llvm::to_vector(elements.getValues<float>()));
    SmallVector<uint8_t> flags;
    for (bool flag : elements.getValues<bool>())
      flags.push_back(flag);
    add<uint8_t>(name, DType::Bool, shape, flags);
  }

  llvm::Error add(StringRef name, const TensorSource &source) {
    std::vector<std::byte> bytes;
    bytes.reserve(source.numBytes());
    llvm::Error error = source.stream([&](ArrayRef<std::byte> piece) {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
      return llvm::Error::success();
    });
    if (error)
      return error;
    add(name, source.dtype(), source.shape(), std::move(bytes));
    return llvm::Error::success();
  }

  ArrayRef<NamedTensor> get() const { return all; }

private:
  std::deque<std::vector<std::byte>> kept;
  std::vector<NamedTensor> all;
};

} // namespace

/// Numbers of each parameter, equally far apart: whoever runs another model, or
/// another version of it, has others. Gives the name of a parameter that holds no
/// numbers to compare, of which any model's would pass; empty if there is none.
static StringRef addProbes(const Archive &model, Tensors &tensors) {
  constexpr int64_t count = 16;
  std::vector<StringRef> names;
  for (const auto &entry : model.weights())
    if (entry.second.isParameter)
      names.push_back(entry.first());
  llvm::sort(names);
  StringRef incomparable;
  for (StringRef name : names) {
    const ArchiveTensor &tensor = model.weights().find(name)->second;
    std::optional<DType> dtype = dtypeOfArchive(tensor.dtype);
    int64_t elements = 1;
    for (int64_t size : tensor.sizes)
      elements *= size;
    if (elements == 0)
      continue;
    if (!dtype || !isFloat(*dtype)) {
      if (incomparable.empty())
        incomparable = name;
      continue;
    }
    TensorView view;
    view.dtype = *dtype;
    view.shape = {static_cast<int64_t>(tensor.bytes.size() / sizeOf(*dtype))};
    view.data = tensor.bytes.data();
    int64_t taken = std::min(count, elements);
    SmallVector<float> probes;
    for (int64_t i = 0; i < taken; ++i) {
      int64_t rest = i * (elements / taken), at = tensor.storageOffset;
      for (auto [size, stride] :
           llvm::reverse(llvm::zip_equal(tensor.sizes, tensor.strides))) {
        at += rest % size * stride;
        rest /= size;
      }
      probes.push_back(static_cast<float>(view.at(at)));
    }
    tensors.add<float>(("model/" + name).str(), DType::Float32, {taken}, probes);
  }
  return incomparable;
}

LogicalResult SiteTable::write(StringRef path, ModuleOp module,
                               Resources &resources, const Archive &model,
                               const Manifest &manifest) const {
  auto error = [&] { return emitError(UnknownLoc::get(module.getContext())); };
  flow::DictionaryStore dictionaries(module, resources);
  Tensors all;
  for (const auto &[name, content] : tensors) {
    if (auto elements = dyn_cast<DenseElementsAttr>(content)) {
      all.add(name, elements);
      continue;
    }
    auto source =
        flow::recipeTensor(cast<flow::RecipeAttrInterface>(content), dictionaries);
    if (!source)
      return error() << llvm::toString(source.takeError());
    if (llvm::Error failed = all.add(name, **source))
      return error() << llvm::toString(std::move(failed));
  }
  StringRef incomparable = addProbes(model, all);

  json::Object out = document;
  if (!incomparable.empty())
    out.getArray("refused")->push_back(json::Object{
        {"weight", incomparable},
        {"why", "the program keeps quantised blocks, of which it cannot be told "
                "whether they are a server's weights; export it with --weights "
                "plain to serve it"}});
  json::Object said = manifest.recordJSON();
  out["weir_sites"] = version;
  for (StringRef key : {"model", "knobs", "fixed", "dictionaries"})
    if (const json::Value *value = said.get(key))
      out[key] = *value;

  // What a plan does, whatever it is called: what was computed under it, such as
  // keys and values of a prompt, is good for every plan of the same content.
  llvm::StringMap<std::string> hashOf;
  for (const Manifest::Dictionary &dictionary : manifest.dictionaries)
    hashOf[dictionary.name] = dictionary.sha256;
  llvm::StringMap<std::string> content;
  for (auto [policy, used] : llvm::zip_equal(policyTexts, policyDictionaries)) {
    content[policy.first] = policy.second;
    for (const std::string &name : used)
      content[policy.first] += "\n" + name + " " + hashOf.lookup(name);
  }
  json::Array plans;
  for (auto plan : module.getOps<steer::PlanOp>()) {
    Sha256 digest;
    digest.update("weir sites " + std::to_string(version) + "\n");
    if (manifest.model)
      digest.update(manifest.model->weights + manifest.model->dtype + "\n");
    std::string fixed;
    llvm::raw_string_ostream(fixed) << plan.getFixedAttr();
    digest.update(fixed + "\n");
    json::Array policies;
    for (auto policy : plan.getPolicies().getAsRange<FlatSymbolRefAttr>()) {
      StringRef name = specName(policy.getValue());
      policies.push_back(name);
      digest.update(content[name] + "\n\n");
    }
    plans.push_back(json::Object{{"name", specName(plan.getSymName())},
                                 {"digest", digest.finish()},
                                 {"policies", std::move(policies)}});
  }
  out["plans"] = std::move(plans);

  if (llvm::Error failed =
          writeSafetensors(path, all.get(), {{"weir", printJSON(out)}}))
    return error() << llvm::toString(std::move(failed));
  return success();
}
