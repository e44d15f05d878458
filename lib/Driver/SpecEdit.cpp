//===- SpecEdit.cpp - A spec with another number in it ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecEdit.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace weir;

Expected<std::string> weir::withNumberAt(StringRef text, mlir::Location where,
                                         StringRef number) {
  auto place = dyn_cast<mlir::FileLineColRange>(where);
  if (!place)
    return createStringError("it is not known where the number stands");
  size_t begin = 0;
  for (unsigned line = 1; line < place.getStartLine(); ++line) {
    begin = text.find('\n', begin);
    if (begin == StringRef::npos)
      return createStringError("the spec has changed meanwhile");
    ++begin;
  }
  begin += place.getStartColumn() - 1;
  size_t end = std::min(text.find_first_not_of("0123456789+-.eE", begin),
                        text.size());
  double value = 0;
  if (begin >= end || text.slice(begin, end).getAsDouble(value))
    return createStringError("there is no number at line " +
                             Twine(place.getStartLine()) + ", column " +
                             Twine(place.getStartColumn()));
  return (text.take_front(begin) + number + text.drop_front(end)).str();
}

static std::string folderOf(StringRef path) {
  StringRef parent = sys::path::parent_path(path);
  SmallString<256> real;
  if (sys::fs::real_path(parent.empty() ? StringRef(".") : parent, real))
    return parent.str();
  return real.str().str();
}

Error weir::checkEditedSpec(StringRef spec, StringRef output) {
  if (sys::fs::exists(output))
    return createStringError("'" + output +
                             "' is there already and is not replaced; remove "
                             "it, or choose another name");
  std::string folder = folderOf(spec);
  if (folderOf(output) != folder)
    return createStringError("the paths in a spec are relative to its folder; "
                             "choose a name in '" +
                             folder + "'");
  return Error::success();
}
