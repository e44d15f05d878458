//===- DictionaryStore.cpp - Opened dictionaries of a module ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Resources/DictionaryStore.h"

#include "PackedWeights.h"

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
DictionaryStore::modelWeight(fx::WeightAttr weight, StringRef role) {
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
                                   "' has an element type that has no "
                                   "floating-point numbers");
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

llvm::Expected<TensorView> DictionaryStore::weight(fx::WeightAttr name) {
  auto archive = resources.model();
  if (!archive)
    return archive.takeError();
  model = *archive;
  if (!model)
    return RowSource::weight(name);
  return modelWeight(name, "");
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
  fx::ProgramOp program = *programs.begin();
  fx::WeightsAttr weights = program.getWeightsAttr();
  if (!weights)
    return llvm::createStringError("the model's sites are not known yet");

  // Rows of a dictionary are numbers, whatever the model keeps.
  auto numbersOf = [&](fx::WeightAttr weight,
                       StringRef role) -> llvm::Expected<TensorView> {
    auto stored = modelWeight(weight, role);
    StringRef type = weight ? packedType(program, weight) : StringRef();
    if (!stored || type.empty())
      return stored;
    auto numbers = unpackedWeight(*stored, type);
    if (!numbers)
      return llvm::createStringError("weight '" + weight.getKey() + "': " +
                                     llvm::toString(numbers.takeError()));
    return numbers;
  };
  if (collection.getFormat() == Format::Unembedding) {
    auto unembedding = numbersOf(weights.getUnembedding(), "unembedding");
    if (!unembedding)
      return unembedding.takeError();
    return unembeddingDictionary(*unembedding);
  }
  if (site.getLayer() >= static_cast<int64_t>(weights.getLayers().size()))
    return llvm::createStringError("the model has no layer %" PRId64,
                                   site.getLayer());
  fx::LayerAttr layer = weights.getLayers()[site.getLayer()];
  auto up = numbersOf(layer.getUp(), "up");
  if (!up)
    return up.takeError();
  auto down = numbersOf(layer.getDown(), "down");
  if (!down)
    return down.takeError();
  // Linear layers store [out, in]; GPT-2's Conv1D stores [in, out].
  bool transposed = layer.getLayout() == WeightLayout::InOut;
  if (!layer.getGate())
    return neuronsDictionary(*up, std::nullopt, *down, transposed);
  auto gate = numbersOf(layer.getGate(), "gate");
  if (!gate)
    return gate.takeError();
  return neuronsDictionary(*gate, *up, *down, transposed);
}

llvm::Expected<std::shared_ptr<const Dictionary>>
DictionaryStore::open(CollectionOp collection, SiteAttr site) {
  return open(collection, site, site.getLayer());
}

/// The symbol of what a cross-layer transcoder writes at another layer.
static std::string furtherName(CollectionOp collection, SiteAttr site,
                               int64_t target) {
  return collection.dictionaryName(site) + ".to." + std::to_string(target);
}

llvm::Expected<std::shared_ptr<const Dictionary>>
DictionaryStore::open(CollectionOp collection, SiteAttr site, int64_t target) {
  // Another module, such as that of a program that records, may have the same
  // dictionaries, and in theory others of the same name.
  std::string key = (target == site.getLayer()
                         ? collection.dictionaryName(site)
                         : furtherName(collection, site, target)) +
                    "\n" + stringifyFormat(collection.getFormat()).str() + "\n";
  if (!collection.getPath())
    return resources.dictionary(
        key, [&] { return openFromModel(collection, site); });
  std::string path = resources.pathOf(collection.pathOf(site));
  ModelTraits traits = this->traits();
  if (traits.hasLayerNorm)
    key += *traits.hasLayerNorm ? "LayerNorm" : "RMSNorm";
  DictionaryPlace place;
  place.layer = site.getLayer();
  place.target = target;
  place.readsKnown = collection.getReads().has_value();
  // A path without {layer} holds the dictionaries of all of them.
  if (!collection.getPath()->contains("{layer}")) {
    place.firstLayer = collection.getFirstLayer();
    place.lastLayer = collection.getLastLayer();
  } else {
    place.firstLayer = place.lastLayer = site.getLayer();
  }
  for (int64_t part : {place.firstLayer, place.lastLayer})
    key += "\n" + std::to_string(part);
  key += place.readsKnown ? "\nreads" : "";
  return resources.dictionary(key + "\n" + path, [&] {
    return openDictionary(formatOf(collection), path, traits, place);
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
  SiteAttr site = dictionary.getSite();
  if (!dictionary.isFurther())
    return open(collection, site);
  // A transcoder's features are of the layer that they are read at.
  auto own = SiteAttr::get(module.getContext(), site.getKind(),
                           dictionary.getReads().getLayer());
  return open(collection, own, site.getLayer());
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
            const OperatorInfo *info = call.getOperatorInfo();
            return info && info->role == OperatorRole::LayerNorm
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
  StringRef said = info.readsSite ? info.hookName : info.outputHookName;
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

FailureOr<SiteAttr> DictionaryStore::findReads(
    const DictionaryInfo &info, CollectionOp collection, SiteAttr site,
    function_ref<InFlightDiagnostic()> emitError) {
  MLIRContext *context = module.getContext();
  // A neuron's activation is the input of the down projection.
  if (collection.getFormat() == Format::Neurons)
    return SiteAttr::get(context, fx::SiteKind::Neuron, site.getLayer());
  std::optional<SiteAttr> said;
  std::optional<HookPlace> place = parseHookName(info.hookName);
  if (info.readsSite)
    said = site;
  else if (place && place->canBeRead())
    said = SiteAttr::get(context, *fx::symbolizeSiteKind(place->name()),
                         place->layer);
  std::optional<fx::SiteKind> given = collection.getReads();
  if (!given)
    return said.value_or(site);
  auto reads = SiteAttr::get(context, *given, site.getLayer());
  bool overruled = collection.getIgnoreHook() && !info.readsSite;
  if (!said || *said == reads || overruled)
    return reads;
  InFlightDiagnostic diag =
      emitError() << info.path << ": reads at " << said->getLayer() << "/"
                  << fx::stringifySiteKind(said->getKind())
                  << (info.readsSite ? ", as it is no transcoder"
                                     : ", as its files say")
                  << ", not at " << reads.getLayer() << "/"
                  << fx::stringifySiteKind(reads.getKind());
  diag.attachNote(collection.getLoc())
      << (info.readsSite
              ? "declared here; `reads` belongs to transcoders"
              : "declared here; add `hook: ignore` if its files are wrong");
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
  FailureOr<SiteAttr> reads =
      findReads(info, collection, site, [&] { return emitError(loc); });
  if (failed(reads)) {
    reported.insert(name);
    return failure();
  }
  OpBuilder builder(module.getContext());
  builder.setInsertionPointAfter(collection);
  auto create = [&](StringRef symbol, SiteAttr at, ArrayAttr further) {
    return DictionaryOp::create(
        builder, collection.getLoc(), builder.getStringAttr(symbol),
        collectionName, at, *reads, builder.getI64IntegerAttr(info.features),
        builder.getI64IntegerAttr(info.width),
        ActivationAttr::get(module.getContext(), convert(info.activation),
                            info.topK),
        NormalizationAttr::get(module.getContext(),
                               convert(info.normalization)),
        further);
  };
  SmallVector<Attribute> further;
  for (int64_t target = site.getLayer() + 1;
       target <= info.lastTarget.value_or(-1); ++target) {
    std::string symbol = furtherName(collection, site, target);
    create(symbol,
           SiteAttr::get(module.getContext(), site.getKind(), target),
           ArrayAttr());
    further.push_back(FlatSymbolRefAttr::get(module.getContext(), symbol));
  }
  auto declared = create(
      name, site, further.empty() ? ArrayAttr() : builder.getArrayAttr(further));
  return std::pair(declared, *dictionary);
}

llvm::Expected<matching::Match> DictionaryStore::match(StringRef key) {
  auto opened = resources.cache();
  if (!opened)
    return opened.takeError();
  auto entry = opened->find(key);
  if (!entry)
    return entry.takeError();
  if (!*entry)
    return llvm::createStringError("the match " + key + " is not in the cache '" +
                                   opened->folder() + "' any more");
  return matching::Match::load(**entry);
}
