//===- RowsJob.cpp - Decoder rows of a spec's dictionaries ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Driver/RowsJob.h"

#include "weir/Dialect/Flow/IR/Flow.h"
#include "weir/Program/TensorWriter.h"
#include "weir/Resources/DictionaryStore.h"
#include "weir/Support/Files.h"

#include "llvm/Support/Path.h"

using namespace mlir;
using namespace weir;

static constexpr StringLiteral format = "weir decoder rows 1";

static llvm::Error checkOutput(StringRef path) {
  if (llvm::sys::path::extension(path) != ".safetensors")
    return llvm::createStringError(
        "cannot write '" + path + "': the name has to end in .safetensors");
  if (!holdsSomething(path))
    return llvm::Error::success();
  bool isOurs = false;
  if (auto file = TensorFile::open(path)) {
    auto found = (*file)->metadata().find("format");
    isOurs = found != (*file)->metadata().end() && found->second == format;
  } else {
    llvm::consumeError(file.takeError());
  }
  if (isOurs)
    return llvm::Error::success();
  return llvm::createStringError(
      "cannot write '" + path + "': the file that is there has no decoder rows "
      "of weirc and is not replaced; remove it, or choose another name");
}

namespace {

struct NamedSite {
  std::string dictionary; ///< empty: the only one
  fx::SiteKind kind = fx::SiteKind::Res;
  int64_t layer = 0;
};

} // namespace

static llvm::Expected<NamedSite> parseSite(StringRef text) {
  NamedSite site;
  StringRef rest = text;
  if (rest.contains(':')) {
    auto [dictionary, behind] = rest.split(':');
    site.dictionary = dictionary.str();
    rest = behind;
  }
  auto [layer, kind] = rest.split('/');
  auto known = fx::symbolizeSiteKind(kind);
  if (layer.getAsInteger(10, site.layer) || site.layer < 0 || !known)
    return llvm::createStringError(
        "'" + text + "' is no site: a site is such as 12/res, with the name of "
                     "its dictionary before it where there are several "
                     "(sae:12/res)");
  site.kind = *known;
  return site;
}

/// The collection that a site means.
static FailureOr<flow::CollectionOp> findCollection(ModuleOp module,
                                                    const NamedSite &site,
                                                    StringRef text) {
  SmallVector<flow::CollectionOp> all(module.getOps<flow::CollectionOp>());
  for (flow::CollectionOp collection : all)
    if (site.dictionary.empty() ? all.size() == 1
                                : collection.getSymName() == site.dictionary)
      return collection;
  InFlightDiagnostic error = emitError(UnknownLoc::get(module.getContext()));
  if (site.dictionary.empty())
    return error << "--site " << text << ": the spec has " << all.size()
                 << " dictionaries: name one, such as sae:12/res";
  return error << "--site " << text << ": the spec has no dictionaries '"
               << site.dictionary << "'";
}

FailureOr<llvm::json::Object> RowsJob::run(Compiler &compiler) const {
  // Dictionaries of files can be read without their model.
  if (failed(compiler.load(/*withModel=*/false)))
    return failure();
  ModuleOp module = compiler.module();
  Location unknown = UnknownLoc::get(module.getContext());
  if (llvm::Error error = checkOutput(output))
    return emitError(unknown) << llvm::toString(std::move(error));
  bool needsModel = llvm::any_of(
      module.getOps<flow::CollectionOp>(),
      [](flow::CollectionOp collection) { return !collection.getPath(); });
  if (needsModel &&
      (failed(compiler.loadModel()) || failed(compiler.steer())))
    return failure();
  module = compiler.module();

  flow::DictionaryStore store(module, *compiler.opened());
  std::vector<RowMatrix> matrices;
  matrices.reserve(sites.size());
  std::vector<NamedTensor> tensors;
  llvm::json::Array rows;
  for (const std::string &text : sites) {
    auto site = parseSite(text);
    if (!site)
      return emitError(unknown) << "--site: "
                                << llvm::toString(site.takeError());
    auto collection = findCollection(module, *site, text);
    if (failed(collection))
      return failure();
    auto place = flow::SiteAttr::get(module.getContext(), site->kind,
                                     site->layer);
    if (!collection->covers(place))
      return emitError(collection->getLoc())
             << "there is no dictionary at " << text;
    auto dictionary = store.open(*collection, place);
    if (!dictionary)
      return emitError(collection->getLoc())
             << llvm::toString(dictionary.takeError());
    auto decoder = (*dictionary)->decoder({});
    if (!decoder)
      return emitError(collection->getLoc())
             << llvm::toString(decoder.takeError());
    matrices.push_back(std::move(*decoder));
    const RowMatrix &matrix = matrices.back();
    std::string where = std::to_string(site->layer) + "/" +
                        fx::stringifySiteKind(site->kind).str();
    NamedTensor tensor = NamedTensor::of(
        (*collection).getSymName().str() + "/" + where, DType::Float32,
        {matrix.rows(), matrix.cols()}, matrix.data());
    if (llvm::any_of(tensors, [&](const NamedTensor &other) {
          return other.name == tensor.name;
        }))
      return emitError(unknown) << "--site " << text << " is there twice";
    rows.push_back(llvm::json::Object{
        {"dictionary", (*collection).getSymName()},
        {"site", where},
        {"tensor", tensor.name},
        {"features", static_cast<int64_t>(matrix.rows())},
        {"width", static_cast<int64_t>(matrix.cols())}});
    tensors.push_back(std::move(tensor));
  }
  if (llvm::Error error =
          writeSafetensors(output, tensors, {{"format", format.str()}}))
    return emitError(unknown) << "cannot write '" << output
                              << "': " << llvm::toString(std::move(error));
  return llvm::json::Object{{"rows", std::move(rows)}};
}
