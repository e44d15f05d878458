//===- TokenLookup.h - Asks a model for the ids of texts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_TOKENLOOKUP_H
#define WEIR_DRIVER_TOKENLOOKUP_H

#include "weir/Operators/Operators.h"
#include "weir/Resources/Resources.h"

namespace weir {

/// Ids as the tokenizer of the resources' model has them. The model's file is not
/// compared with its checksums.
TokenLookup makeTokenLookup(const Resources &resources,
                            OperatorPolicy operators = {});

} // namespace weir

#endif // WEIR_DRIVER_TOKENLOOKUP_H
