//===- DictionaryStore.cpp - Opened dictionaries of a module ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Dialect/Flow/Transforms/DictionaryStore.h"

#include "llvm/Support/Path.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

DictionaryStore::DictionaryStore(ModuleOp module, std::string base,
                                 std::shared_ptr<const Archive> model)
    : module(module), base(std::move(base)), model(std::move(model)) {}

/// The format of a collection as the dictionary readers know it.
static DictionaryFormat formatOf(CollectionOp collection) {
  return *parseDictionaryFormat(stringifyFormat(collection.getFormat()));
}

llvm::Expected<TensorView>
DictionaryStore::modelWeight(DictionaryAttr names, StringRef role) {
  auto weight = names ? names.getAs<fx::WeightAttr>(role) : fx::WeightAttr();
  if (!weight)
    return llvm::createStringError("the model has no weight known as '" + role +
                                   "'");
  const ArchiveTensor *stored = model->find(weight.getKey());
  if (!stored)
    return llvm::createStringError("the model has no weight '" +
                                   weight.getKey() + "'");
  auto dtype = dtypeOfArchive(stored->dtype);
  if (!dtype)
    return llvm::createStringError("weight '" + weight.getKey() +
                                   "' has an element type that dictionaries "
                                   "cannot be made from");
  int64_t stride = 1;
  for (auto [size, found] :
       llvm::zip(llvm::reverse(stored->sizes), llvm::reverse(stored->strides))) {
    if (size != 1 && found != stride)
      return llvm::createStringError("weight '" + weight.getKey() +
                                     "' is not stored contiguously");
    stride *= size;
  }
  TensorView view;
  view.dtype = *dtype;
  view.shape.assign(stored->sizes.begin(), stored->sizes.end());
  view.data = stored->bytes.data() + stored->storageOffset * sizeOf(*dtype);
  view.owner = model;
  return view;
}

llvm::Expected<std::shared_ptr<const Dictionary>>
DictionaryStore::openFromModel(CollectionOp collection, SiteAttr site) {
  auto programs = module.getOps<fx::ProgramOp>();
  if (!model || programs.empty())
    return llvm::createStringError(
        "dictionaries of format " + stringifyFormat(collection.getFormat()) +
        " are made from the model's weights, and there is no model");
  DictionaryAttr weights = (*programs.begin()).getWeightsAttr();
  if (!weights)
    return llvm::createStringError("the model's sites are not known yet");

  if (collection.getFormat() == Format::Unembedding) {
    auto unembedding = modelWeight(weights, "unembedding");
    if (!unembedding)
      return unembedding.takeError();
    return unembeddingDictionary(*unembedding);
  }
  auto layers = weights.getAs<ArrayAttr>("layers");
  if (!layers || site.getLayer() >= static_cast<int64_t>(layers.size()))
    return llvm::createStringError("the model has no layer %" PRId64,
                                   site.getLayer());
  auto layer = dyn_cast<DictionaryAttr>(layers[site.getLayer()]);
  auto up = modelWeight(layer, "up");
  if (!up)
    return up.takeError();
  auto down = modelWeight(layer, "down");
  if (!down)
    return down.takeError();
  // Linear layers store [out, in]; GPT-2's Conv1D stores [in, out].
  bool transposed = layer.getAs<UnitAttr>("transposed") != nullptr;
  if (!layer.get("gate"))
    return neuronsDictionary(*up, std::nullopt, *down, transposed);
  auto gate = modelWeight(layer, "gate");
  if (!gate)
    return gate.takeError();
  return neuronsDictionary(*gate, *up, *down, transposed);
}

llvm::Expected<std::shared_ptr<const Dictionary>>
DictionaryStore::open(CollectionOp collection, SiteAttr site) {
  auto &slot = opened[collection.dictionaryName(site)];
  if (slot)
    return slot;
  if (!collection.getPath()) {
    auto dictionary = openFromModel(collection, site);
    if (!dictionary)
      return dictionary.takeError();
    return slot = *dictionary;
  }
  SmallString<256> path(collection.pathOf(site));
  if (!llvm::sys::path::is_absolute(path)) {
    SmallString<256> whole(base);
    llvm::sys::path::append(whole, path);
    path = whole;
  }
  auto dictionary = openDictionary(formatOf(collection), path);
  if (!dictionary)
    return dictionary.takeError();
  return slot = *dictionary;
}

llvm::Expected<std::shared_ptr<const Dictionary>>
DictionaryStore::open(StringRef symbol) {
  auto found = opened.find(symbol);
  if (found != opened.end() && found->second)
    return found->second;
  auto dictionary = module.lookupSymbol<DictionaryOp>(symbol);
  if (!dictionary)
    return llvm::createStringError("there is no dictionary @" + symbol);
  auto collection =
      module.lookupSymbol<CollectionOp>(dictionary.getCollection());
  if (!collection)
    return llvm::createStringError("there is no collection @" +
                                   dictionary.getCollection());
  return open(collection, dictionary.getSite());
}
