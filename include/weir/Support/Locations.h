//===- Locations.h - Places in a spec from operations made of it ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An imported operation has a fused location: the place of its name first, then
// named places of its parts. Whoever finds something wrong with a part reports
// it there. The functions work for any operation; without such a location they
// give the operation's own.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_LOCATIONS_H
#define WEIR_SUPPORT_LOCATIONS_H

#include "mlir/IR/Operation.h"

namespace weir {

/// Where a part of an operation is written: the keys of a policy ("on", "do",
/// "to", "strength", "layers", "tokens", "when", "times"; of its tokens
/// "tokens.from", "tokens.skip_first" and, for the largest of its positions,
/// "tokens.positions"), of a collection
/// ("format", "path", "sites", "layers"), of a model ("program", "sites"), of a knob
/// ("default", "range"); the policies of a plan, by name; the features of a
/// policy's condition, as "collection:layer/site/index" with the collection's
/// symbol. The selectors of a flow.select have a method of their own.
inline mlir::Location locationOf(mlir::Operation *op, llvm::StringRef part) {
  if (auto fused = llvm::dyn_cast<mlir::FusedLoc>(op->getLoc()))
    for (mlir::Location location : fused.getLocations())
      if (auto named = llvm::dyn_cast<mlir::NameLoc>(location))
        if (named.getName() == part)
          return named.getChildLoc();
  return op->getLoc();
}

} // namespace weir

#endif // WEIR_SUPPORT_LOCATIONS_H
