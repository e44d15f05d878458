//===- JsonLines.h - JSON a line ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_JSONLINES_H
#define WEIR_SUPPORT_JSONLINES_H

#include "weir/Support/Json.h"

namespace weir {

/// As `parseJSON`, of one line of a file of lines: errors name the column only, since
/// who reads the file knows the line.
llvm::Expected<llvm::json::Value> parseJSONLine(llvm::StringRef line);

} // namespace weir

#endif // WEIR_SUPPORT_JSONLINES_H
