//===- DictionaryStore.cpp - Opened dictionaries of a module ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Resources/DictionaryStore.h"

#include "weir/Dictionary/Hooks.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

LogicalResult DictionaryStore::checkModel() {
  auto archive = resources.model();
  if (!archive)
    return module.emitError(llvm::toString(archive.takeError()));
  return success();
}

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
  // Rows of a damaged weight would be taken for rows of the dictionary.
  if (llvm::Error error = model->verify(stored->record))
    return std::move(error);
  TensorView view;
  view.dtype = *dtype;
  view.shape.assign(stored->sizes.begin(), stored->sizes.end());
  view.data = stored->bytes.data() + stored->storageOffset * sizeOf(*dtype);
  view.owner = model;
  return view;
}

llvm::Expected<std::shared_ptr<const Dictionary>>
DictionaryStore::openFromModel(CollectionOp collection, SiteAttr site) {
  auto archive = resources.model();
  if (!archive)
    return archive.takeError();
  model = *archive;
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
  // Another module, such as that of a program that records, may have the same
  // dictionaries, and in theory others of the same name.
  std::string key = collection.dictionaryName(site) + "\n" +
                    stringifyFormat(collection.getFormat()).str() + "\n";
  if (!collection.getPath())
    return resources.dictionary(
        key, [&] { return openFromModel(collection, site); });
  std::string path = resources.pathOf(collection.pathOf(site));
  ModelTraits traits = this->traits();
  if (traits.hasLayerNorm)
    key += *traits.hasLayerNorm ? "LayerNorm" : "RMSNorm";
  return resources.dictionary(key + "\n" + path, [&] {
    return openDictionary(formatOf(collection), path, traits);
  });
}

llvm::Expected<std::shared_ptr<const Dictionary>>
DictionaryStore::open(StringRef symbol) {
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

//===----------------------------------------------------------------------===//
// Dictionaries in the IR
//===----------------------------------------------------------------------===//

static flow::ActivationKind convert(weir::ActivationKind kind) {
  switch (kind) {
  case weir::ActivationKind::Identity:
    return flow::ActivationKind::Identity;
  case weir::ActivationKind::ReLU:
    return flow::ActivationKind::ReLU;
  case weir::ActivationKind::JumpReLU:
    return flow::ActivationKind::JumpReLU;
  case weir::ActivationKind::TopK:
    return flow::ActivationKind::TopK;
  case weir::ActivationKind::Gated:
    return flow::ActivationKind::Gated;
  }
  llvm_unreachable("unknown activation");
}

static flow::Normalization convert(weir::Normalization normalization) {
  switch (normalization) {
  case weir::Normalization::None:
    return flow::Normalization::None;
  case weir::Normalization::ConstantNorm:
    return flow::Normalization::ConstantNorm;
  case weir::Normalization::LayerNorm:
    return flow::Normalization::LayerNorm;
  }
  llvm_unreachable("unknown normalization");
}

ModelTraits DictionaryStore::traits() {
  auto programs = module.getOps<fx::ProgramOp>();
  // Asked for each dictionary, and the graph does not change meanwhile.
  if (known.hasLayerNorm || programs.empty())
    return known;
  known.hasLayerNorm =
      (*programs.begin())
          .walk([](fx::CallOp call) {
            return call.getTarget().starts_with("aten.layer_norm.") ||
                           call.getTarget().starts_with("aten.native_layer_norm.")
                       ? WalkResult::interrupt()
                       : WalkResult::advance();
          })
          .wasInterrupted();
  return known;
}

LogicalResult DictionaryStore::checkPlace(
    const DictionaryInfo &info, CollectionOp collection, SiteAttr site,
    function_ref<InFlightDiagnostic()> emitError) {
  // A transcoder belongs where it writes.
  StringRef said =
      info.outputHookName.empty() ? info.hookName : info.outputHookName;
  if (said.empty() || collection.getIgnoreHook())
    return success();
  std::optional<HookPlace> place = parseHookName(said);
  if (!place) {
    emitWarning(collection.getLoc())
        << info.path << ": says that it belongs to '" << said
        << "', a name that is not understood: nothing tells whether "
        << site.getLayer() << "/" << fx::stringifySiteKind(site.getKind())
        << " is that place (add `hook: ignore` if it is)";
    return success();
  }
  if (place->isSite() && place->layer == site.getLayer() &&
      place->site == fx::stringifySiteKind(site.getKind()))
    return success();
  InFlightDiagnostic diag = emitError()
                            << info.path << ": says that it belongs to '"
                            << said << "', which is ";
  if (place->isSite())
    diag << place->layer << "/" << place->site;
  else
    diag << "no site";
  diag << ", not " << site.getLayer() << "/"
       << fx::stringifySiteKind(site.getKind());
  diag.attachNote(collection.getLoc())
      << "declared here; add `hook: ignore` if its files are wrong";
  return diag;
}

FailureOr<std::pair<DictionaryOp, std::shared_ptr<const Dictionary>>>
DictionaryStore::declare(Location loc, FlatSymbolRefAttr collectionName,
                         SiteAttr site, bool *isNew) {
  auto collection = module.lookupSymbol<CollectionOp>(collectionName);
  if (!collection)
    return emitError(loc) << "there are no dictionaries " << collectionName;
  if (!collection.covers(site)) {
    InFlightDiagnostic diag =
        emitError(loc) << "'" << collection.getSymName()
                       << "' has no dictionary at " << site.getLayer() << "/"
                       << fx::stringifySiteKind(site.getKind())
                       << ": it covers layers " << collection.getFirstLayer()
                       << " to " << collection.getLastLayer();
    diag.attachNote(collection.getLoc()) << "declared here";
    return diag;
  }
  std::string name = collection.dictionaryName(site);
  if (reported.contains(name))
    return failure();
  auto dictionary = open(collection, site);
  if (!dictionary) {
    reported.insert(name);
    InFlightDiagnostic diag =
        emitError(loc) << llvm::toString(dictionary.takeError());
    diag.attachNote(collection.getLoc()) << "of these dictionaries";
    return diag;
  }
  if (auto declared = module.lookupSymbol<DictionaryOp>(name))
    return std::pair(declared, *dictionary);

  if (isNew)
    *isNew = true;
  const DictionaryInfo &info = (*dictionary)->info();
  if (failed(checkPlace(info, collection, site,
                        [&] { return emitError(loc); }))) {
    reported.insert(name);
    return failure();
  }
  SiteAttr reads = site;
  // A neuron's activation is the input of the down projection.
  if (collection.getFormat() == Format::Neurons)
    reads = SiteAttr::get(module.getContext(), fx::SiteKind::Neuron,
                          site.getLayer());
  OpBuilder builder(module.getContext());
  builder.setInsertionPointAfter(collection);
  auto declared = DictionaryOp::create(
      builder, collection.getLoc(), builder.getStringAttr(name), collectionName,
      site, reads, builder.getI64IntegerAttr(info.features),
      builder.getI64IntegerAttr(info.width),
      ActivationAttr::get(module.getContext(), convert(info.activation),
                          info.topK),
      NormalizationAttr::get(module.getContext(), convert(info.normalization)),
      StringAttr());
  return std::pair(declared, *dictionary);
}
