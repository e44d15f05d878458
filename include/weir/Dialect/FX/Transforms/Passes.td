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

def FXDCE : Pass<"fx-dce", "::weir::fx::ProgramOp"> {
  let summary = "Remove what nothing reads";
  let description = [{
    `canonicalize` removes calls of operators without effects whose results
    nobody reads. This knows memory too. Values that look at the same memory
    belong together, and a call that writes in place is alive if something alive
    reads what it writes, through whatever value, or if the memory is not the
    program's own: an input of the caller, or a buffer. A check stays while the
    tensors that it looks at do, so that a dead layer vanishes with its checks. A
    call of an operator that the catalogue does not know stays, with a remark, and
    so do calls that draw random numbers.

    With `unread-state` a buffer is like other memory: it is written where
    something alive reads it, in this run or in a later one, and a dead layer
    vanishes with its key-value cache.
  }];
  let options = [
    Option<"unreadState", "unread-state", "bool", "false",
           "Drop also writes into buffers that nothing reads">];
  let statistics = [
    Statistic<"numRemoved", "removed", "Number of operations removed">];
}

def FXDropInputs : Pass<"fx-drop-inputs", "::weir::fx::ProgramOp"> {
  let summary = "Remove inputs that nothing reads";
  let description = [{
    Parameters, buffers and constants that no operation uses and no output of the
    program stands for, so that an archive is written without them, and of what
    the caller passes the prompt's length, the plan and the knobs. After
    `fx-dce`, which makes inputs unused.
  }];
  let statistics = [
    Statistic<"numDropped", "dropped", "Number of inputs removed">];
}

def FXJoinLinears : Pass<"fx-join-linears", "::weir::fx::ProgramOp"> {
  let summary = "Join linear maps that read the same value";
  let description = [{
    Several linear maps with packed weights that read the same value (attention's
    queries, keys and values, the two halves of a gated MLP) become one call that
    gives a list. It prepares the value once and starts threads once, and each
    result is the same to the bit. Which operator joins which is data
    (lib/Operators/JoinedCalls.cpp). Weights stay where they are.

    The call stands where the first one stood. So a call is left alone if one of its
    operands is made after that, or if something between the two may write into
    what it reads. What is done to one of the results in between, such as a patch,
    is done as before.

    The last pass of a build: who looks for linear maps and their weights no longer
    finds those that were joined.

    ```mlir
    %q = fx.call @weir.quantized_linear.default(x = %x, blocks = %wq, …) : …
    %k = fx.call @weir.quantized_linear.default(x = %x, blocks = %wk, …) : …
    // becomes
    %q, %k = fx.call @weir.quantized_linears.default(x: %x, blocks: [%wq, %wk], …) : …
    ```
  }];
  let statistics = [
    Statistic<"numJoined", "joined", "Number of calls that became part of another">,
    Statistic<"numMade", "made", "Number of calls that stand for several">];
}

def FXSlice : Pass<"fx-slice", "::weir::fx::ProgramOp"> {
  let summary = "Keep what lies between two sites";
  let description = [{
    The program computes the value of the site `to` for given values of the site
    `from`, a site before it, at a few tokens of each row. Its inputs are where
    these tokens stand (`slice_positions`), the value (`slice_value`), values that
    do not depend on the site and are read behind it (`slice_carried0`, …), the
    keys and values of the texts that the tokens are of (`slice_cache0`, …), and
    which of these texts each row belongs to (`slice_rows`). Of a cache the first
    `slots` positions are read. What depends on positions and weights alone, such
    as masks and rotations, is computed. `--fx-dce` then drops the rest.
  }];
  let options = [
    Option<"from", "from", "std::string", "\"\"", "The first site, such as 9/res">,
    Option<"to", "to", "std::string", "\"\"", "The last site">,
    Option<"slots", "slots", "int64_t", "0",
           "Positions of a row of the caches; 0: as many as the program has">];
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
