//===- RecipeConstants.cpp - Constants of programs that are recipes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Resources/Recipes.h"

using namespace mlir;
using namespace weir;
using namespace weir::flow;

/// Where the spec declares the dictionary that a constant is read from. The
/// constant itself is shared by policies and stands in the model's graph.
static Location declarationOf(fx::ConstantOp constant) {
  Location place = constant.getLoc();
  auto module = constant->getParentOfType<ModuleOp>();
  constant.getValue().walk([&](FlatSymbolRefAttr name) {
    auto dictionary = module.lookupSymbol<flow::DictionaryOp>(name);
    if (!dictionary)
      return WalkResult::advance();
    place = dictionary.getLoc();
    return WalkResult::interrupt();
  });
  return place;
}

namespace {

/// Rows whose errors belong to the line that declares their dictionary.
class Declared : public TensorSource {
public:
  Declared(std::shared_ptr<const TensorSource> rows, Location place)
      : TensorSource(rows->dtype(), rows->shape()), rows(std::move(rows)),
        place(place) {}

  llvm::Error stream(Sink sink) const override {
    // What the sink says is about the file that is written.
    bool isWriting = false;
    llvm::Error error = rows->stream([&](ArrayRef<std::byte> bytes) {
      llvm::Error failed = sink(bytes);
      isWriting = static_cast<bool>(failed);
      return failed;
    });
    if (!error || isWriting)
      return error;
    emitError(place) << llvm::toString(std::move(error));
    return llvm::make_error<ReportedError>();
  }

private:
  std::shared_ptr<const TensorSource> rows;
  Location place;
};

} // namespace

FailureOr<std::shared_ptr<const TensorSource>>
RecipeConstants::operator()(fx::ConstantOp constant) {
  auto recipe = dyn_cast<RecipeAttrInterface>(constant.getValue());
  if (!recipe)
    return constant.emitError("is a constant that nobody can compute");
  Location place = declarationOf(constant);
  auto rows = recipeTensor(recipe, dictionaries);
  if (!rows)
    return emitError(place) << llvm::toString(rows.takeError());
  auto type = cast<RankedTensorType>(constant.getType());
  if ((*rows)->numBytes() != type.getNumElements() * sizeOf((*rows)->dtype()))
    return emitError(place)
           << "the dictionary's rows do not fit: " << (*rows)->numBytes()
           << " bytes for " << type;
  return std::shared_ptr<const TensorSource>(
      std::make_shared<Declared>(std::move(*rows), place));
}
