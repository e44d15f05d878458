//===- StandardInput.h - All that is piped in, up to a limit ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_STANDARDINPUT_H
#define WEIR_SUPPORT_STANDARDINPUT_H

#include "llvm/Support/Error.h"

#include <string>

namespace weir {

/// Reads standard input to its end; more than `limit` bytes are an error, said
/// as soon as they are there.
llvm::Expected<std::string> readStandardInput(size_t limit);

} // namespace weir

#endif // WEIR_SUPPORT_STANDARDINPUT_H
