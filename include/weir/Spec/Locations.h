//===- Locations.h - Places in a spec from operations made of it ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SPEC_LOCATIONS_H
#define WEIR_SPEC_LOCATIONS_H

#include "weir/Support/Locations.h"

namespace weir::spec {
using weir::locationOf;
} // namespace weir::spec

#endif // WEIR_SPEC_LOCATIONS_H
