//===- ModuleIndex.cpp - The calls of a program by module ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModuleIndex.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace weir::fx;

ModuleIndex::ModuleIndex(ProgramOp program) {
  for (CallOp call : program.getEntry().getOps<CallOp>()) {
    if (!call.getStack())
      continue;
    // Module stacks name every module around a call, but wrappers and function
    // calls may leave some out: go by the paths.
    StringRef path = call.getModulePath();
    while (!path.empty()) {
      inside[path].push_back(call);
      path = path.rsplit('.').first.size() == path.size()
                 ? StringRef()
                 : path.rsplit('.').first;
    }
  }
}

ArrayRef<CallOp> ModuleIndex::callsInside(StringRef path) const {
  auto it = inside.find(path);
  return it == inside.end() ? ArrayRef<CallOp>() : ArrayRef(it->second);
}

bool ModuleIndex::isInside(CallOp call, StringRef path) {
  StringRef own = call.getModulePath();
  return own.consume_front(path) && (own.empty() || own.front() == '.');
}

std::map<std::string, std::vector<int64_t>>
ModuleIndex::match(StringRef pathTemplate) const {
  auto [before, after] = pathTemplate.split("{layer}");
  std::map<std::string, std::vector<int64_t>> found;
  for (StringRef path : inside.keys()) {
    StringRef rest = path;
    if (!rest.consume_back(after))
      continue;
    size_t digits = rest.size();
    while (digits > 0 && llvm::isDigit(rest[digits - 1]))
      --digits;
    int64_t number;
    StringRef prefix = rest.take_front(digits);
    if (rest.drop_front(digits).getAsInteger(10, number) ||
        !prefix.consume_back(before) ||
        !(prefix.empty() || prefix.ends_with(".")))
      continue;
    found[prefix.str()].push_back(number);
  }
  for (auto &[prefix, numbers] : found)
    llvm::sort(numbers);
  return found;
}

std::vector<std::string> ModuleIndex::paths() const {
  std::vector<std::string> result;
  for (StringRef path : inside.keys())
    result.push_back(path.str());
  llvm::sort(result);
  return result;
}
