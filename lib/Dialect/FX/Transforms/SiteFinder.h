//===- SiteFinder.h - Finds sites in a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DIALECT_FX_TRANSFORMS_SITEFINDER_H
#define WEIR_LIB_DIALECT_FX_TRANSFORMS_SITEFINDER_H

#include "ModuleIndex.h"
#include "SiteMap.h"

namespace weir::fx {

/// What was found of a layer. A value is null where the layer has no such site.
struct LayerSites {
  mlir::Value res, mlp, att, mid, head, neuron, mlpIn;
  WeightAttr up, gate, down;
  WeightLayout layout = WeightLayout::OutIn; ///< of the weights
};

/// Tries one map of sites on a program.
class SiteFinder {
public:
  SiteFinder(ProgramOp program, const ModuleIndex &index, SiteMap map,
             llvm::StringRef prefix)
      : program(program), index(index), map(std::move(map)), prefix(prefix) {}

  /// False if the map does not fit; `problem` then says what was looked for and
  /// what was found.
  bool run(llvm::ArrayRef<int64_t> layerNumbers);

  std::vector<LayerSites> layers;
  mlir::Value embedded; ///< the stream that enters the first block
  WeightAttr unembedding;
  std::string problem;
  /// Where the problem is, if it is somewhere.
  std::optional<mlir::Location> problemLoc;

private:
  bool fail(const llvm::Twine &what, mlir::Value where = {});
  bool findLayer(int64_t layer, mlir::Value &stream);
  bool findTree(int64_t layer, mlir::Value &stream, LayerSites &sites);
  /// The one value that enters a module, apart from weights and sizes.
  mlir::Value entering(llvm::StringRef path);
  /// The weight of the linear map in a module; `layout` may be null.
  WeightAttr weightOf(llvm::StringRef path, WeightLayout *layout);
  std::pair<CallOp, mlir::Value> projection(mlir::Value value);
  std::string modulePath(llvm::StringRef pathTemplate, int64_t layer) const;
  /// True if `value` is computed from something in module `path` without
  /// leaving the block.
  bool comesFrom(mlir::Value value, llvm::StringRef path,
                 llvm::StringRef block);

  /// The path of a part of a half, whose output is `output`. Where the map's
  /// path is no module and the map is loose: the module of the projection that
  /// ends the half, or nothing.
  std::string lastProjection(llvm::StringRef pathTemplate, llvm::StringRef half,
                             int64_t layer, mlir::Value output);
  /// The module of the one projection that makes a half's neurons out of what
  /// enters the half, or nothing.
  std::string firstProjection(llvm::StringRef half, mlir::Value neurons);

  /// The modules of one block; a half that is not known is empty.
  struct BlockPaths {
    std::string block, att, mlp;
  };
  /// What a summand is made of.
  struct Origin {
    bool att = false, mlp = false, stream = false;
    bool isAtt() const { return att && !mlp && !stream; }
    bool isMlp() const { return mlp && !att && !stream; }
  };
  Origin originOf(mlir::Value value, const BlockPaths &paths,
                  mlir::Value stream);

  ProgramOp program;
  const ModuleIndex &index;
  SiteMap map;
  std::string prefix;
};

/// Follows calls that hand on their input as it is: dropout outside training,
/// conversions to the same type, aliases.
mlir::Value lookThrough(mlir::Value value);

} // namespace weir::fx

#endif // WEIR_LIB_DIALECT_FX_TRANSFORMS_SITEFINDER_H
