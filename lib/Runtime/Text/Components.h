//===- Components.h - Walking the components of a tokenizer.json ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_COMPONENTS_H
#define WEIR_LIB_RUNTIME_TEXT_COMPONENTS_H

#include "../Support.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/JSON.h"

#include <initializer_list>

namespace weir {

/// Calls `read` on a component or, for a "Sequence", on each of the components
/// under `listKey`, however nested. Errors say where in the file they are.
inline llvm::Error forEachComponent(
    const llvm::json::Value *value, llvm::StringRef where,
    llvm::StringRef listKey,
    llvm::function_ref<llvm::Error(llvm::StringRef, const llvm::json::Object &)>
        read) {
  if (!value || value->kind() == llvm::json::Value::Null)
    return llvm::Error::success();
  const llvm::json::Object *object = value->getAsObject();
  std::optional<llvm::StringRef> type =
      object ? object->getString("type") : std::nullopt;
  if (!type)
    return fail("{0}: \"type\" is missing", where);
  if (*type != "Sequence") {
    if (llvm::Error error = read(*type, *object))
      return fail("{0} '{1}': {2}", where, *type,
                  llvm::toString(std::move(error)));
    return llvm::Error::success();
  }
  const llvm::json::Array *list = object->getArray(listKey);
  if (!list)
    return fail("{0}: \"{1}\" is missing", where, listKey);
  for (const llvm::json::Value &element : *list)
    if (llvm::Error error = forEachComponent(&element, where, listKey, read))
      return error;
  return llvm::Error::success();
}

/// Refuses a component with options other than these, which a later version
/// of the library may have given a meaning.
inline llvm::Error allowOnly(const llvm::json::Object &object,
                             std::initializer_list<llvm::StringRef> options) {
  for (const auto &[key, value] : object) {
    llvm::StringRef name = key;
    if (name != "type" && !llvm::is_contained(options, name))
      return fail("option '{0}' is not known", name);
  }
  return llvm::Error::success();
}

} // namespace weir

#endif // WEIR_LIB_RUNTIME_TEXT_COMPONENTS_H
