//===- Directions.cpp - Plain directions as a dictionary ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Formats.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace weir::dictionary {

Expected<std::shared_ptr<Dictionary>> openDirections(StringRef path) {
  Expected<std::shared_ptr<TensorFile>> file = TensorFile::open(path);
  if (!file)
    return file.takeError();
  ArrayRef<std::string> names = (*file)->names();
  StringRef name = "directions";
  if (names.size() == 1)
    name = names.front();
  else if (!(*file)->contains(name))
    return fail(path,
                names.empty()
                    ? std::string("holds no tensor")
                    : "holds several tensors (" + join(names, ", ") +
                          "); the one to use must be called 'directions'");
  Expected<TensorView> view = (*file)->describe(name);
  if (!view)
    return view.takeError();
  LinearForm form;
  form.decoder = {name.str(), std::move(*view), *file};
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
