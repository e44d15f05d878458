//===- SteerTables.td - Plans as tables ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What policies of one form do, as one computation with the numbers of each
// row's own plan. A table has a row for each policy and, first, one for rows of
// the batch that follow none of them. Values are
// [batch, sequence, ..]: where tokens are flattened, a row is no dimension of its
// own. Included by SteerOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_STEERTABLES_TD
#define WEIR_DIALECT_STEER_IR_STEERTABLES_TD

// What a row of the batch found in a table: [batch, 1, K].
class Steer_PerRow<Type element> : ConfinedType<TensorRankOf<[element], [3]>,
    [CPred<"::llvm::cast<::mlir::ShapedType>($_self).getDimSize(1) == 1">],
    "3D tensor of " # element.summary # " values, some a row">;
def Steer_RowIndices : Steer_PerRow<I64>;
def Steer_RowNumbers : Steer_PerRow<F32>;
def Steer_RowFlags : Steer_PerRow<I1>;
def Steer_Slot : TensorRankOf<[I64], [1]>;

def Steer_TableAttr : Attr<
    CPred<"::llvm::isa<::mlir::DenseElementsAttr>($_self)">, "a table"> {
  let storageType = "::mlir::DenseElementsAttr";
  let returnType = "::mlir::DenseElementsAttr";
  let convertFromStorage = "$_self";
}

def Steer_SlotOp : Steer_Op<"slot", [
    Pure, AllTypesMatch<["plan", "result"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "where in tables a row's plan stands";
  let description = [{
    `slots` has an entry for every plan of the module: 0 for those that have no policy in the
    tables. So have rows without a plan (-1).

    ```mlir
    %s = steer.slot %plan in [1, 0, 2] : tensor<?xi64>
    ```
  }];
  let arguments = (ins Steer_Slot:$plan, DenseI64ArrayAttr:$slots);
  let results = (outs Steer_Slot:$result);
  let assemblyFormat = "$plan `in` $slots attr-dict `:` type($plan)";
  let hasVerifier = 1;
}

def Steer_LookupOp : Steer_Op<"lookup", [Pure, InferTypeOpAdaptor]> {
  let summary = "a row's entries of a table";
  let description = [{
    Row `slot` of `table` [n + 1, K], as [batch, 1, K]. Row 0 is what rows of the
    batch get that have no policy here; gates make sure that it does nothing.

    ```mlir
    %n = steer.lookup %s : tensor<?xi64> in dense<[[0.0], [4.0], [6.0]]> : tensor<3x1xf32>
    ```
  }];
  let arguments = (ins Steer_Slot:$slot, Steer_TableAttr:$table);
  let results = (outs TensorRankOf<[I64, F32, I1], [3]>:$result);
  let assemblyFormat = "$slot `:` type($slot) `in` $table attr-dict";
  let hasVerifier = 1;
}

def Steer_RowReadOp : Steer_Op<"row_read", [
    Pure, InferTypeOpAdaptor, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<Steer_CostOpInterface>]> {
  let summary = "activations of the features that a row's plan reads";
  let description = [{
    As `steer.read`, of other features for each row of the batch: `rows` are
    indices into `features`. Only the encoder rows of a row's own plan are
    gathered; a TopK dictionary needs its whole encoder anyway.

    ```mlir
    %f = steer.row_read %h at %i of @sae.res.12 [53, 411, 7] activation <jumprelu> size 2048
        : tensor<?x?x576xf32>, tensor<?x1x2xi64>
    ```
  }];
  let arguments = (ins Steer_Value:$input, Steer_RowIndices:$rows,
                       FlatSymbolRefAttr:$dictionary,
                       DenseI64ArrayAttr:$features,
                       Flow_ActivationAttr:$activation,
                       DefaultValuedAttr<Flow_NormalizationAttr,
                           "::weir::flow::Normalization::None">:$normalization,
                       I64Attr:$dictionary_size,
                       UnitAttr:$gather);
  let results = (outs Steer_Activations:$result);
  let assemblyFormat = [{
    $input `at` $rows `of` $dictionary $features `activation` $activation
    (`normalization` $normalization^)? `size` $dictionary_size
    (`gather` $gather^)? attr-dict `:` type($input) `,` type($rows)
  }];
  let hasVerifier = 1;
}

class Steer_RowActivationOp<string mnemonic, list<Trait> traits = []>
    : Steer_Op<mnemonic, !listconcat(
          [Pure, AllTypesMatch<["input", "result"]>], traits)> {
  let results = (outs Steer_Activations:$result);
  let hasVerifier = 1;
}

def Steer_RowSetOp : Steer_RowActivationOp<"row_set"> {
  let summary = "v := c, a number of the row's plan for each feature";
  let arguments = (ins Steer_Activations:$input, Steer_RowNumbers:$values,
                       Optional<Steer_Knob>:$times);
  let assemblyFormat = [{
    $input `to` $values (`times` $times^ `:` type($times))? attr-dict
    `:` type($input) `,` type($values)
  }];
}

def Steer_RowScaleOp : Steer_RowActivationOp<"row_scale"> {
  let summary = "v := r f, a number of the row's plan for each feature";
  let arguments = (ins Steer_Activations:$input, Steer_RowNumbers:$factors,
                       Optional<Steer_Knob>:$times);
  let assemblyFormat = [{
    $input `by` $factors (`times` $times^ `:` type($times))? attr-dict
    `:` type($input) `,` type($factors)
  }];
  let hasFolder = 1;
}

def Steer_RowClampOp : Steer_RowActivationOp<"row_clamp", [AttrSizedOperandSegments]> {
  let summary = "v := min(max(f, lo), hi), bounds of the row's plan for each feature";
  let description = "A feature without a bound has an infinite one.";
  let arguments = (ins Steer_Activations:$input, Optional<Steer_RowNumbers>:$min,
                       Optional<Steer_RowNumbers>:$max);
  let assemblyFormat = [{
    $input (`min` $min^ `:` type($min))? (`max` $max^ `:` type($max))? attr-dict
    `:` type($input)
  }];
  let hasFolder = 1;
}

def Steer_RowKeepOp : Steer_RowActivationOp<"row_keep"> {
  let summary = "the columns that a row's plan has, 0 elsewhere";
  let description = [{
    Plans with fewer features than the widest are padded; this takes the padding
    out.
  }];
  let arguments = (ins Steer_Activations:$input, Steer_RowFlags:$columns);
  let assemblyFormat = [{
    $input `where` $columns attr-dict `:` type($input) `,` type($columns)
  }];
  let hasFolder = 1;
}

def Steer_RowStrengthOp : Steer_Op<"row_strength", [
    Pure, InferTypeOpAdaptor, AttrSizedOperandSegments]> {
  let summary = "the coefficient of an addition of the row's plan";
  let description = [{
    As `steer.strength`, with a number for each row of the batch.
  }];
  let arguments = (ins Steer_RowNumbers:$value, Optional<Steer_Knob>:$times,
                       Optional<Steer_Gate>:$gate);
  let results = (outs Steer_Knob:$result);
  let assemblyFormat = [{
    $value (`times` $times^ `:` type($times))? (`where` $gate^ `:` type($gate))?
    attr-dict `:` type($value)
  }];
  let hasVerifier = 1;
}

def Steer_RowWriteOp : Steer_Op<"row_write", [
    Pure, AllTypesMatch<["input", "result"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<Steer_EditOpInterface, ["mayRepeat"]>,
    DeclareOpInterfaceMethods<Steer_CostOpInterface>]> {
  let summary = "x + sum_j c_j D_j, along directions of the row's plan";
  let description = [{
    `rows` are indices into the directions of a recipe, which are stored once
    however many plans use them; each row of the batch gathers its own.

    ```mlir
    %y = steer.row_write %h, %c at %i along #flow.rows<decoder of @sae.res.12 [53, 411, 7]>
        : tensor<?x?x576xf32>, tensor<?x?x2xf32>, tensor<?x1x2xi64>
    ```
  }];
  let arguments = (ins Steer_Value:$input, Steer_Activations:$coefficients,
                       Steer_RowIndices:$rows,
                       Flow_RecipeAttrInterface:$directions);
  let results = (outs Steer_Value:$result);
  let assemblyFormat = [{
    $input `,` $coefficients `at` $rows `along` ` ` `[` $directions `]` attr-dict
    `:` type($input) `,` type($coefficients) `,` type($rows)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Steer_RowProjectOp : Steer_Op<"row_project", [
    Pure, AttrSizedOperandSegments, AllTypesMatch<["input", "result"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<Steer_EditOpInterface, ["mayRepeat"]>,
    DeclareOpInterfaceMethods<Steer_CostOpInterface>]> {
  let summary = "x - Q^T Q x, Q of the row's plan";
  let description = [{
    `rows` are indices into the directions of a recipe; those that a row of the
    batch gathers are orthonormal, but for the padding that `columns` takes out.
  }];
  let arguments = (ins Steer_Value:$input, Steer_RowIndices:$rows,
                       Flow_RecipeAttrInterface:$directions,
                       Optional<Steer_RowFlags>:$columns,
                       Optional<Steer_Gate>:$gate);
  let results = (outs Steer_Value:$result);
  let assemblyFormat = [{
    $input `out` `of` ` ` `[` $directions `]` `at` $rows
    (`columns` $columns^ `:` type($columns))? (`where` $gate^ `:` type($gate))?
    attr-dict `:` type($input) `,` type($rows)
  }];
  let hasVerifier = 1;
}

def Steer_RowTokensOp : Steer_Op<"row_tokens", [
    Pure, InferTypeOpAdaptor, AttrSizedOperandSegments]> {
  let summary = "tokens of the part that a row's plan means";
  let description = [{
    Every `steer.tokens` is a range of absolute positions (`from`, `to`), a range
    of positions less the prompt's length (`first`, `last`: the prompt ends at
    -1), and perhaps a list of positions (`listed` [batch, 1, M], padded with
    -2). All bounds are included, and a missing one bounds nothing.
  }];
  let arguments = (ins TensorRankOf<[I64], [2]>:$positions,
                       TensorRankOf<[I64], [1]>:$prompt_length,
                       Optional<Steer_RowIndices>:$from,
                       Optional<Steer_RowIndices>:$to,
                       Optional<Steer_RowIndices>:$first,
                       Optional<Steer_RowIndices>:$last,
                       Optional<Steer_RowIndices>:$listed);
  let results = (outs Steer_Gate:$result);
  let assemblyFormat = [{
    $positions `,` $prompt_length (`from` $from^ `:` type($from))?
    (`to` $to^ `:` type($to))? (`first` $first^ `:` type($first))?
    (`last` $last^ `:` type($last))? (`listed` $listed^ `:` type($listed))?
    attr-dict `:` type($positions) `,` type($prompt_length)
  }];
  let hasVerifier = 1;
}

def Steer_RowCompareOp : Steer_Op<"row_compare", [
    Pure, InferTypeOpAdaptor, AttrSizedOperandSegments]> {
  let summary = "an activation is strictly above and/or below numbers of the row's plan";
  let arguments = (ins Steer_Knob:$input, Optional<Steer_RowNumbers>:$above,
                       Optional<Steer_RowNumbers>:$below);
  let results = (outs Steer_Gate:$result);
  let assemblyFormat = [{
    $input (`above` $above^ `:` type($above))? (`below` $below^ `:` type($below))?
    attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}

def Steer_RowKnobOp : Steer_Op<"row_knob", [Pure, InferTypeOpAdaptor]> {
  let summary = "a row's value of the knob that its plan names";
  let description = [{
    A column of `knobs` [batch, K] for each row, as [batch, 1, 1].
  }];
  let arguments = (ins TensorRankOf<[F32], [2]>:$knobs, Steer_RowIndices:$column);
  let results = (outs Steer_Knob:$result);
  let assemblyFormat = [{
    $knobs `at` $column attr-dict `:` type($knobs) `,` type($column)
  }];
  let hasVerifier = 1;
}

#endif // WEIR_DIALECT_STEER_IR_STEERTABLES_TD
