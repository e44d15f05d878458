//===- ExportConstants.cpp - Tensors that a program brings along ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"

#include "weir/Dialect/FX/IR/State.h"

using namespace mlir;
using namespace weir;
using namespace weir::pt2;
namespace json = llvm::json;

namespace {

/// The elements of an attribute, one byte a boolean.
class DenseTensor : public TensorSource {
public:
  DenseTensor(DType dtype, DenseElementsAttr elements)
      : TensorSource(dtype, elements.getType().getShape()), elements(elements) {
  }
  llvm::Error stream(Sink sink) const override;

private:
  DenseElementsAttr elements;
};

/// What a buffer holds that nothing was written to yet.
class Zeros : public TensorSource {
public:
  using TensorSource::TensorSource;
  llvm::Error stream(Sink sink) const override {
    static constexpr std::byte piece[4096] = {};
    for (uint64_t left = numBytes(); left > 0;) {
      uint64_t size = std::min<uint64_t>(left, sizeof(piece));
      if (llvm::Error error = sink(llvm::ArrayRef(piece, size)))
        return error;
      left -= size;
    }
    return llvm::Error::success();
  }
};

/// The same elements in another shape.
class Reshaped : public TensorSource {
public:
  Reshaped(std::shared_ptr<const TensorSource> values, ArrayRef<int64_t> shape)
      : TensorSource(values->dtype(), shape), values(std::move(values)) {}
  llvm::Error stream(Sink sink) const override { return values->stream(sink); }

private:
  std::shared_ptr<const TensorSource> values;
};

} // namespace

llvm::Error DenseTensor::stream(Sink sink) const {
  Type type = elements.getElementType();
  std::vector<std::byte> bytes;
  auto put = [&](const llvm::APInt &value) {
    unsigned count = (value.getBitWidth() + 7) / 8;
    for (unsigned i = 0; i < count; ++i)
      bytes.push_back(static_cast<std::byte>(
          value.extractBitsAsZExtValue(
              std::min(8u, value.getBitWidth() - 8 * i), 8 * i)));
  };
  if (isa<FloatType>(type)) {
    for (const llvm::APFloat &value : elements.getValues<llvm::APFloat>())
      put(value.bitcastToAPInt());
  } else {
    for (const llvm::APInt &value : elements.getValues<llvm::APInt>())
      put(value);
  }
  return sink(bytes);
}

LogicalResult Exporter::addConstant(fx::ConstantOp constant) {
  auto type = cast<RankedTensorType>(constant.getResult().getType());
  auto [it, isNew] = stored.try_emplace({constant.getValue(), type});
  if (!isNew) {
    names[constant.getResult()] = it->second;
    return success();
  }
  auto dtype = fx::DTypeAttr::forElementType(type.getElementType());
  std::optional<DType> elementType =
      dtype ? dtypeOfArchive(dtype.getNumber()) : std::nullopt;
  if (!elementType)
    return constant.emitOpError() << "has elements of type "
                                  << type.getElementType()
                                  << ", which cannot be stored";
  std::string what = "constant";
  std::shared_ptr<const TensorSource> values;
  if (auto elements = dyn_cast<DenseElementsAttr>(constant.getValue())) {
    values = std::make_shared<DenseTensor>(*elementType, elements);
  } else {
    if (auto recipe = dyn_cast<fx::ConstantAttrInterface>(constant.getValue()))
      what = recipe.getConstantName().str();
    if (!constants)
      return constant.emitOpError()
             << "is a recipe, but nothing here can compute it";
    auto computed = constants(constant);
    if (failed(computed))
      return failure();
    values = std::move(*computed);
  }
  uint64_t expected = type.getNumElements() * sizeOf(*elementType);
  if (values->dtype() != *elementType || values->numBytes() != expected)
    return constant.emitOpError()
           << "is made from " << values->numBytes() << " bytes of "
           << nameOf(values->dtype()) << ", but " << type << " has " << expected;

  // Placeholder and payload have names of their own; both must be new.
  std::string fqn, name;
  unsigned number = 0;
  do {
    fqn = "weir_" + what + "_" + std::to_string(number++);
    name = "c_" + fqn;
  } while (source.find(fqn) || taken.contains(name));
  taken.insert(name);
  it->second = name;
  names[constant.getResult()] = name;

  AddedTensor tensor;
  tensor.kind = AddedTensor::Constant;
  tensor.fqn = fqn;
  // A recipe knows its numbers, the type their shape.
  tensor.values = std::make_shared<Reshaped>(std::move(values), type.getShape());
  added.push_back(std::move(tensor));
  constantArguments.push_back(
      json::Object{{"as_tensor", json::Object{{"name", name}}}});
  constantSpecs.push_back(json::Object{
      {"tensor_constant", json::Object{{"arg", json::Object{{"name", name}}},
                                       {"tensor_constant_name", fqn}}}});
  return describe(constant, name, type, DictionaryAttr::get(context));
}

LogicalResult Exporter::addState(BlockArgument argument) {
  fx::InputAttr input = program.getInput(argument.getArgNumber());
  StringRef key = input.getWeight().getKey();
  auto fail = [&] {
    return program.emitOpError()
           << "input '" << program.getInputName(argument.getArgNumber()) << "' ";
  };
  auto type = cast<RankedTensorType>(argument.getType());
  auto number = fx::DTypeAttr::forElementType(type.getElementType());
  std::optional<DType> dtype =
      number ? dtypeOfArchive(number.getNumber()) : std::nullopt;
  if (!dtype || input.getKind() != fx::InputKind::Buffer ||
      input.getPersistent())
    return fail() << "begins with zeros, which only a transient buffer of numbers "
                     "does";
  if (source.find(key))
    return fail() << "begins with zeros, and " << source.path()
                  << " holds a tensor '" << key << "'";
  AddedTensor tensor;
  // Buffers that are not persistent stand among the constants.
  tensor.kind = AddedTensor::Constant;
  tensor.fqn = key.str();
  tensor.values = std::make_shared<Zeros>(*dtype, type.getShape());
  added.push_back(std::move(tensor));
  return success();
}
