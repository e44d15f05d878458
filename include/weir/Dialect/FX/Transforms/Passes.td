//===- Passes.td - Passes of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_TRANSFORMS_PASSES_TD
#define WEIR_DIALECT_FX_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def FXFindSites : Pass<"fx-find-sites", "::weir::fx::ProgramOp"> {
  let summary = "Mark the sites of a model";
  let description = [{
    Finds the places of a transformer's blocks that features live at and marks
    each with an `fx.site`, which every later use of the value then reads.

    The module stack of the calls proposes: a map of a family (a YAML file that
    is built in) says in which modules the parts of a block are, below any
    prefix that a wrapper adds. The graph decides: a block's output has to be a
    sum of the stream that left the block before and of what its two halves
    make, whatever the order and number of additions; a norm after a half is a
    part of what it adds. A block whose halves both read the stream that enters
    has no site `mid`.

    The names of the MLP's weights and of the unembedding are recorded on the
    program as `weights`.

    With `sites` the modules are given, and only the named sites are looked for:
    `res=model.layers.{layer},mlp=model.layers.{layer}.mlp`. `head` names the
    output projection and `mid` the module that reads that site.
  }];
  let options = [
    Option<"sites", "sites", "std::string", "\"\"",
           "Module paths of the sites, instead of a family's">,
    Option<"family", "family", "std::string", "\"\"",
           "The only family to try">];
  let statistics = [
    Statistic<"numFound", "found", "Number of sites marked">];
}

def FXStripSites : Pass<"fx-strip-sites", "::weir::fx::ProgramOp"> {
  let summary = "Remove the marks of sites that nothing was done to";
  let description = [{
    Every `fx.site` that is left gives way to its input.
  }];
  let statistics = [
    Statistic<"numStripped", "stripped", "Number of marks removed">];
}

#endif // WEIR_DIALECT_FX_TRANSFORMS_PASSES_TD
