//===- ModelTokenizer.h - The tokenizer in a model's archive ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_MODELTOKENIZER_H
#define WEIR_LIB_DRIVER_MODELTOKENIZER_H

#include "weir/Program/Archive.h"
#include "weir/Runtime/Tokenizer.h"

#include "llvm/ADT/STLExtras.h"

namespace weir {

/// Errors: the archive has no tokenizer, or one that is not supported.
inline llvm::Expected<std::unique_ptr<Tokenizer>>
tokenizerOf(const Archive &model) {
  constexpr llvm::StringLiteral record = "extra/tokenizer.json";
  if (!llvm::is_contained(model.records(), record))
    return llvm::createStringError(
        model.path() + ": the model has no tokenizer, so that nothing can be "
                       "shown as text");
  auto bytes = model.verifiedRecord(record);
  if (!bytes)
    return bytes.takeError();
  auto made = Tokenizer::parse(
      {reinterpret_cast<const char *>(bytes->data()), bytes->size()});
  if (!made)
    return llvm::createStringError(model.path() + ": " +
                                   llvm::toString(made.takeError()));
  return made;
}

} // namespace weir

#endif // WEIR_LIB_DRIVER_MODELTOKENIZER_H
