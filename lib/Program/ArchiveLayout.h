//===- ArchiveLayout.h - Names inside a .pt2 archive ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_PROGRAM_ARCHIVELAYOUT_H
#define WEIR_LIB_PROGRAM_ARCHIVELAYOUT_H

#include "llvm/ADT/StringRef.h"

#include <string>

namespace weir::archive {

inline constexpr llvm::StringLiteral formatRecord = "archive_format";
inline constexpr llvm::StringLiteral versionRecord = "archive_version";
inline constexpr llvm::StringLiteral byteOrderRecord = "byteorder";
inline constexpr llvm::StringLiteral weightsFolder = "data/weights/";
inline constexpr llvm::StringLiteral constantsFolder = "data/constants/";
inline constexpr llvm::StringLiteral modelsFolder = "models/";

inline std::string modelRecord(llvm::StringRef model) {
  return (modelsFolder + model + ".json").str();
}
inline std::string weightsConfig(llvm::StringRef model) {
  return (weightsFolder + model + "_weights_config.json").str();
}
inline std::string constantsConfig(llvm::StringRef model) {
  return (constantsFolder + model + "_constants_config.json").str();
}

/// What the zip writer of torch adds to every archive: its own format's
/// version, and an identifier made of the content.
inline constexpr llvm::StringLiteral zipVersionRecord = ".data/version";
inline constexpr llvm::StringLiteral zipVersion = "6\n";
inline bool isZipWritersOwn(llvm::StringRef name) {
  return name == "version" || name.starts_with(".data/");
}

/// What the serializer calls a strided layout (torch._export.serde.schema).
inline constexpr int stridedLayout = 7;

} // namespace weir::archive

#endif // WEIR_LIB_PROGRAM_ARCHIVELAYOUT_H
