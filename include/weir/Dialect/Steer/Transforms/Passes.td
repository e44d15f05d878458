//===- Passes.td - Passes over the steer dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_TRANSFORMS_PASSES_TD
#define WEIR_DIALECT_STEER_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def SteerResolveMarkersPass
    : Pass<"steer-resolve-markers", "::mlir::ModuleOp"> {
  let summary = "Replace texts of markers by the model's token ids";
  let description = [{
    A scope finds markers by their ids (`#steer.markers`). Each text is given to
    the model's tokenizer and has to be one token of it; an id has to be one of the
    model's. Everything else is an error at the marker. A remark says which token a
    text is.

    By itself, the pass knows no model: ids stay as they are, a text is an error.
  }];
  let statistics = [
    Statistic<"resolved", "resolved", "Texts replaced by ids">,
  ];
  let dependentDialects = ["::weir::steer::SteerDialect"];
}

def SteerExpandPoliciesPass
    : Pass<"steer-expand-policies", "::mlir::ModuleOp"> {
  let summary = "Put the policies of all plans into the program as patches";
  let description = [{
    Every policy that a plan names is written at its sites: each `fx.site` that
    is edited becomes a `steer.patch`. The program gets the inputs `prompt_length`
    [batch], `plan` [batch] and, where there are knobs, `knobs` [batch, K].
    Gates of plans and tokens are made once, at the top of the program. Where a
    scope has markers, the program keeps the ids of its rows in a buffer beside its
    key-value cache (`steer.history`); one without a cache, or whose tokens are
    flattened, is an error at the policy's tokens.

    Needs resolved features (`flow-resolve`) and sites (`fx-find-sites`). Sites
    that the model does not have, widths that do not fit, conditions on a later
    site and two absolute edits of one feature in one plan are errors at the
    policy.

    A policy that no plan names disappears with a remark. Records that read after
    the edits of a site stand behind its patch, and gates that are recorded behind
    the last value that they depend on. With `count`, each patch also says which
    tokens its policies edit (`steer.count`).
  }];
  let options = [
    Option<"count", "count", "bool", /*default=*/"false",
           "Make the tokens that are edited outputs of the program">,
  ];
  let statistics = [
    Statistic<"patches", "patches", "Sites patched">,
    Statistic<"edits", "edits", "Policies written, counted per site">,
  ];
  let dependentDialects = ["::weir::steer::SteerDialect"];
}

def SteerKeepPlanPass : Pass<"steer-keep-plan", "::mlir::ModuleOp"> {
  let summary = "Keep one plan and what it needs";
  let description = [{
    The first step of a fixed program. All other plans go, and with them the
    policies that only they name and the features that only these select, so that
    their dictionaries are not opened and their matches not computed. A policy
    whose gate is recorded stays. A plan that the module does not have is an
    error.
  }];
  let options = [
    Option<"plan", "plan", "std::string", "\"\"", "The name of the plan">,
  ];
  let statistics = [
    Statistic<"plans", "plans", "Plans removed">,
    Statistic<"policies", "policies", "Policies removed">,
  ];
  let dependentDialects = ["::weir::steer::SteerDialect"];
}

def SteerFixInputsPass : Pass<"steer-fix-inputs", "::mlir::ModuleOp"> {
  let summary = "Compile the only plan of a module in for every row";
  let description = [{
    The second step of a fixed program, after `steer-expand-policies`: gates of
    plans and values of knobs become `steer.constant`, and the program loses the
    inputs `plan` and `knobs`. The canonicalizer does the rest: gates fold, knobs
    become a part of the numbers that they multiply. The plan is marked `fixed`
    with the values of its knobs: their defaults, but for those that `knobs`
    gives. A knob that there is not, that the plan does not use, or that is out of
    its range is an error.

    With tables there is nothing to choose from, so that this comes instead of
    `steer-tabulate-plans`.
  }];
  let options = [
    ListOption<"knobs", "knobs", "std::string", "Values of knobs, as name=number">,
  ];
  let dependentDialects = ["::weir::steer::SteerDialect"];
}

def SteerTabulatePlansPass
    : Pass<"steer-tabulate-plans", "::mlir::ModuleOp"> {
  let summary = "Make policies of one form rows of tables";
  let description = [{
    Policies at one site that do the same with other numbers, in different plans,
    become one computation: a row of the batch looks up what its own plan does
    (`steer.slot`, `steer.lookup`), reads and writes along the rows of its own
    plan only (`steer.row_read`, `steer.row_write`), and the number of operations
    does not depend on the number of plans.

    Of one form are edits with the same action, dictionary, activation and
    normalisation, `only_active`, a knob or none, a list of up to 64 positions
    or none, the same kinds of markers, a ramp or none, and conditions of the same
    shape on features of the same dictionaries. Features, numbers, knobs, scopes
    with their markers and ramps, and thresholds are data. Plans with fewer features than the widest are padded; policies whose
    numbers of features are more than four times apart get tables of their own.
    Additions in one plan with one gate and knob are summed first, as
    `steer-merge` sums them. Projections keep the order that each plan has.

    A group of fewer than `min-policies` stays as it is: a few plans are read
    with one product for all of them, which costs less than looking up. Records
    stay too, since each is an output of its own, and so do the edits of a site
    where those of each policy are counted (`steer.count`), which a remark says.
  }];
  let options = [
    Option<"minPolicies", "min-policies", "unsigned", "8",
           "Fewest policies of one form that become a table">,
  ];
  let statistics = [
    Statistic<"tables", "groups", "Groups of policies made tables">,
    Statistic<"policies", "policies", "Edits made rows of tables, per site">,
  ];
  let dependentDialects = ["::weir::steer::SteerDialect"];
}

def SteerSelectLoweringPass
    : Pass<"steer-select-lowering", "::weir::fx::ProgramOp"> {
  let summary = "Choose what each patch becomes";
  let description = [{
    Adds up what a patch's operations cost for one token and sets its `lowering`:
    `#steer.lowering<aten>`, calls of PyTorch's operators, or
    `#steer.lowering<kernel>`, a function compiled for the site. A lowering that
    is set already stays. A remark at each policy of the site says what was
    chosen and what the site costs; a patch that a kernel was asked for and that
    has no kernel form stays on aten, and a remark says what is in its way.

    `auto` takes what is estimated to be faster for one token (see CostModel.h):

    | | seconds |
    |---|---|
    | aten | p P + e E + (B + M) / W |
    | kernel | K + B / W |

    p products and e other operators are what a patch becomes in aten; B are the
    bytes of rows that it reads, and M those that aten alone moves, since it gathers
    the rows of a table of plans; W is the machine's bandwidth. An operator at a time
    takes P = 1.7, E = 1.2 and K = 2.0 us; in a compiled program, which fuses whatever
    is not a product of several rows and calls kernels through a container, P = 2.6,
    E = 0.1 and K = 4.4 us. The remark gives both estimates.
  }];
  let options = [
    Option<"lower", "lower", "::weir::steer::LoweringChoice",
           /*default=*/"::weir::steer::LoweringChoice::Aten",
           "What patches become",
           [{::llvm::cl::values(
             clEnumValN(::weir::steer::LoweringChoice::Aten, "aten",
                        "calls of PyTorch's operators"),
             clEnumValN(::weir::steer::LoweringChoice::Kernel, "kernel",
                        "kernels, wherever there is a form of one"),
             clEnumValN(::weir::steer::LoweringChoice::Auto, "auto",
                        "what is estimated to be faster"))}]>,
    Option<"compiled", "compiled", "bool", /*default=*/"false",
           "auto: The program is compiled, not run an operator at a time">,
    Option<"bandwidth", "bandwidth", "double", /*default=*/"10.0",
           "auto: What a thread reads from memory, in GB/s">,
  ];
  let statistics = [
    Statistic<"aten", "aten", "Patches that become aten operators">,
    Statistic<"kernels", "kernels", "Patches that become kernels">,
  ];
  let dependentDialects = ["::weir::steer::SteerDialect"];
}

def SteerOutlinePatchesPass
    : Pass<"steer-outline-patches", "::mlir::ModuleOp"> {
  let summary = "Patches that become kernels become functions";
  let description = [{
    A patch with `#steer.lowering<kernel>` becomes a private function beside the
    program and a call of it. The function takes the site's value and whatever
    else comes from outside; gates, knobs and lookups are computed within, so that
    the program's inputs are what is left to pass.

    Records and counts stay in the program: what they look at is one more result
    of the call. Values are in f32 and reads decomposed by then
    (`steer-widen-patches`, `steer-decompose-reads`).

    ```mlir
    %y = func.call @site.12.res(%x, %plan, %positions, %prompt_length)
        : (tensor<?x?x576xf32>, tensor<?xi64>, …) -> tensor<?x?x576xf32>
    ```
  }];
  let statistics = [
    Statistic<"patches", "patches", "Patches outlined">,
  ];
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

def SteerWidenPatchesPass
    : Pass<"steer-widen-patches", "::weir::fx::ProgramOp"> {
  let summary = "Edit sites of bf16 and f16 in f32";
  let description = [{
    The region of a patch of a narrow type works in f32: what it reads of the
    model is widened once, and its last value is rounded once, where it yields.
    Reads outside of patches see a widened value too.

    ```mlir
    ^bb0(%h: tensor<?x?x576xbf16>):
      %x = steer.widen %h : tensor<?x?x576xbf16>
      %w = steer.write %x, %c along […] : tensor<?x?x576xf32>, …
      %y = steer.round %w to bf16 : tensor<?x?x576xf32>
      steer.yield %y : tensor<?x?x576xbf16>
    ```
  }];
  let statistics = [
    Statistic<"patches", "patches", "Patches that edit in f32 and round">,
    Statistic<"values", "values", "Values widened">,
  ];
  let dependentDialects = ["::weir::steer::SteerDialect"];
}

def SteerDecomposeReadsPass
    : Pass<"steer-decompose-reads", "::weir::fx::ProgramOp"> {
  let summary = "Reads become normalize, encode and activate";
  let description = [{
    A read of a TopK dictionary encodes all features and picks its own from what
    is left of them, but stays whole in a patch that becomes a kernel; a read of neurons picks columns of the value. The value is in
    f32, so this comes after `steer-widen-patches`.

    ```mlir
    %n = steer.normalize %x <layer_norm> : tensor<?x?x576xf32>
    %z = steer.encode %n of @d [53, 411] size 1536 : tensor<?x?x576xf32>
    %f = steer.activate %z <jumprelu> of @d [53, 411] : tensor<?x?x2xf32>
    ```
  }];
  let statistics = [
    Statistic<"reads", "reads", "Reads decomposed">,
  ];
  let dependentDialects = ["::weir::steer::SteerDialect"];
}

def SteerMergePass : Pass<"steer-merge", "::weir::fx::ProgramOp"> {
  let summary = "Merge the edits of each site";
  let description = [{
    Within a patch:

      * reads of one dictionary become one read, from which each takes its
        columns, so that a site's encoder rows are one matrix;
      * additions that share gate and knob become one direction, summed when
        the program is written:
        `#flow.sum<[8.0, 4.0] * #flow.concat<[…]>>`.

    Reads of one dictionary from one value become one also where they stand in
    different places, such as a patch and a condition of a later one.

    With the canonicalizer, which drops zero strengths, edits from a feature to
    itself and empty patches, this leaves one read, one write and what else is
    needed.
  }];
  let statistics = [
    Statistic<"reads", "reads-merged", "Reads merged into another">,
    Statistic<"additions", "additions-merged", "Additions merged into another">,
  ];
  let dependentDialects = ["::weir::steer::SteerDialect"];
}

#endif // WEIR_DIALECT_STEER_TRANSFORMS_PASSES_TD
