//===- SiteMap.h - Where a family's blocks have their parts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_FX_TRANSFORMS_SITEMAP_H
#define WEIR_LIB_DIALECT_FX_TRANSFORMS_SITEMAP_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace weir::fx {

/// Module paths of the parts of a block; {layer} stands for its number. An empty
/// path says nothing about its part. families/families.yaml explains the parts.
struct SiteMap {
  std::string family;
  bool given = false; ///< by the user, and maybe not all of it
  bool loose = false; ///< a known family's, for one that is like it
  std::vector<std::string> like; ///< families with the same paths
  std::string res, att, attNorm, mlp, mlpNorm, mid, head, up, gate, down,
      unembedding;

  /// The path of a part, by the name it has in YAML; null if there is no such.
  std::string *find(llvm::StringRef part);
};

/// A known family's map for families that are like it: of the blocks and their
/// halves the paths have to fit, all else is found in the graph where it is
/// called otherwise.
SiteMap loosened(SiteMap map);

/// The maps that come with the compiler.
const std::vector<SiteMap> &knownFamilies();

/// Reads a map from YAML text like that of families.yaml.
llvm::Expected<std::vector<SiteMap>> parseFamilies(llvm::StringRef yaml);

/// Reads `res=model.layers.{layer},mlp=…`, as a spec's `model.sites` says it.
llvm::Expected<SiteMap> parseSiteMap(llvm::StringRef text);

/// A path with {layer} replaced.
std::string pathOf(llvm::StringRef pathTemplate, int64_t layer);

} // namespace weir::fx

#endif // WEIR_LIB_DIALECT_FX_TRANSFORMS_SITEMAP_H
