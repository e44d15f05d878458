//===- ModuleIndex.h - The calls of a program by module ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_FX_TRANSFORMS_MODULEINDEX_H
#define WEIR_LIB_DIALECT_FX_TRANSFORMS_MODULEINDEX_H

#include "weir/Dialect/FX/IR/FX.h"

#include "llvm/ADT/StringMap.h"

#include <map>

namespace weir::fx {

/// The calls of a program by module.
class ModuleIndex {
public:
  explicit ModuleIndex(ProgramOp program);

  /// Calls made in a module or in one inside it, in the program's order.
  llvm::ArrayRef<CallOp> callsInside(llvm::StringRef path) const;
  bool has(llvm::StringRef path) const { return inside.contains(path); }
  /// Is the call made in that module, or in one inside it?
  static bool isInside(CallOp call, llvm::StringRef path);
  /// The paths that a template stands for: prefix and number of each.
  std::map<std::string, std::vector<int64_t>>
  match(llvm::StringRef pathTemplate) const;
  std::vector<std::string> paths() const;

private:
  llvm::StringMap<llvm::SmallVector<CallOp>> inside;
};

} // namespace weir::fx

#endif // WEIR_LIB_DIALECT_FX_TRANSFORMS_MODULEINDEX_H
