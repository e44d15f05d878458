//===- Directions.cpp - Plain directions as a dictionary ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One tensor of directions, or one a layer: a control vector of repeng or
// llama.cpp (GGUF, "direction.12") adds direction.L to what block L gives, which
// is the site `res` of layer L; llama.cpp has none for layer 0.
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace weir::dictionary {

/// The layer that a tensor's name says it is of: "direction.12", "layer_12",
/// "12"; none for other names.
static std::optional<int64_t> layerOfName(StringRef name) {
  for (StringRef word : {"directions", "direction", "layers", "layer"})
    if (name.consume_front(word)) {
      if (!name.consume_front(".") && !name.consume_front("_"))
        return std::nullopt;
      break;
    }
  int64_t layer;
  if (name.empty() || !all_of(name, isDigit) || name.getAsInteger(10, layer))
    return std::nullopt;
  return layer;
}

/// The tensor of this layer in a file with one a layer.
static Expected<std::string> nameOfLayer(const TensorFile &file,
                                         const DictionaryPlace &place) {
  SmallVector<int64_t> layers;
  std::optional<std::string> found;
  for (const std::string &name : file.names()) {
    int64_t layer = *layerOfName(name);
    layers.push_back(layer);
    if (layer != place.layer)
      continue;
    if (found)
      return fail(file.path(), "has two tensors of layer " + Twine(layer) +
                                   ": '" + *found + "' and '" + name + "'");
    found = name;
  }
  if (found)
    return *found;
  sort(layers);
  std::string list = join(
      map_range(ArrayRef(layers).take_front(64),
                [](int64_t layer) { return std::to_string(layer); }),
      ", ");
  return fail(file.path(),
              place.layer ? "has no direction of layer " +
                                std::to_string(*place.layer) +
                                "; it has those of " + list
                          : "has one direction a layer, and which layer is "
                            "meant is not said");
}

static Expected<std::string> chooseTensor(const TensorFile &file,
                                          const DictionaryPlace &place) {
  ArrayRef<std::string> names = file.names();
  bool isControlVector = sys::path::extension(file.path()) == ".gguf";
  if (isControlVector) {
    auto architecture = file.metadata().find("general.architecture");
    if (architecture == file.metadata().end() ||
        architecture->second != "controlvector")
      return fail(file.path(),
                  "is no control vector: its general.architecture is " +
                      (architecture == file.metadata().end()
                           ? std::string("missing")
                           : "'" + architecture->second + "'"));
  }
  if (names.empty())
    return fail(file.path(), "holds no tensor");
  bool byLayer = all_of(names, [](const std::string &name) {
    return layerOfName(name).has_value();
  });
  if (byLayer && (isControlVector || names.size() > 1 || place.isShared()))
    return nameOfLayer(file, place);
  if (place.isShared())
    return fail(file.path(),
                "does not hold one direction a layer (tensors called "
                "'direction.12' or '12'): write {layer} in the path of several "
                "layers");
  if (names.size() == 1)
    return names.front();
  if (file.contains("directions"))
    return std::string("directions");
  return fail(file.path(),
              "holds several tensors (" + join(names, ", ") +
                  "); the one to use must be called 'directions', or each after "
                  "its layer ('direction.12')");
}

Expected<std::shared_ptr<Dictionary>>
openDirections(StringRef path, const DictionaryPlace &place) {
  Expected<std::shared_ptr<TensorFile>> file = TensorFile::open(path);
  if (!file)
    return file.takeError();
  Expected<std::string> name = chooseTensor(**file, place);
  if (!name)
    return name.takeError();
  Expected<TensorView> view = (*file)->describe(*name);
  if (!view)
    return view.takeError();
  LinearForm form;
  form.decoder = {*name, std::move(*view), *file};
  if (!isFloat(form.decoder.view.dtype))
    return fail(path, form.decoder.text() + "; expected f64, f32, f16 or bf16");
  if (form.decoder.view.rank() == 1)
    form.decoder.view.shape.insert(form.decoder.view.shape.begin(), 1);
  else if (form.decoder.view.rank() != 2)
    return fail(path, form.decoder.text() + "; expected [n, d] or [d]");
  form.coefficients = true;
  DictionaryInfo info;
  info.path = path.str();
  info.activation = ActivationKind::Identity;
  return makeLinearDictionary(std::move(info), std::move(form));
}

} // namespace weir::dictionary
