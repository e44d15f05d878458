//===- SiteNorms.h - How long the values of sites are on a text ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_DRIVER_SITENORMS_H
#define WEIR_LIB_DRIVER_SITENORMS_H

#include "weir/Operators/Operators.h"
#include "weir/Resources/Resources.h"

#include <functional>

namespace weir {

struct SiteNormOptions {
  mlir::ModuleOp spec; ///< says where the model's sites are (steer.model)
  std::shared_ptr<Resources> resources;
  OperatorPolicy operators;
  std::string text; ///< as the spec names it
  /// Told what is being done; may be empty.
  std::function<void(llvm::StringRef)> stage;
};

/// The median norm of each site's values, as ActivationSource::medianNorms has
/// it, over windows of the text as matches read them (their first token does not
/// count) and at most `mostTokens` of its tokens. Each is kept in the cache,
/// under the hash of the model, the place and the text; the text runs once for
/// those that are not there. What is wrong with the sites is reported where the
/// spec names the model, and the error says so.
llvm::Expected<std::vector<double>>
measureSiteNorms(const SiteNormOptions &options,
                 llvm::ArrayRef<flow::SiteAttr> sites);

} // namespace weir

#endif // WEIR_LIB_DRIVER_SITENORMS_H
