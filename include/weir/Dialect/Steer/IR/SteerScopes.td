//===- SteerScopes.td - Scopes that follow a row's tokens ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a scope says that positions alone do not tell: which tokens stood earlier
// in the row, in this run of the program or in one before, and how far into the
// scope a token is. Included by SteerOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_STEERSCOPES_TD
#define WEIR_DIALECT_STEER_IR_STEERSCOPES_TD

// Token ids by row and position: [rows, positions + 1].
def Steer_History : ConfinedType<TensorRankOf<[I64], [2]>, [HasStaticShapePred],
    "2D tensor of static shape of 64-bit signless integer values">;

def Steer_HistoryOp : Steer_Op<"history", [
    AllTypesMatch<["kept", "result"]>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "the tokens of every row, those of earlier runs included";
  let description = [{
    Writes `ids` [batch, sequence] into `kept` [rows, positions + 1], a buffer of
    the program, each at its row of the batch and its absolute position. The last
    column takes padding (position -1) and is never read. The result is `kept` as
    it is then.

    As with a key-value cache, what lies behind a token's own position may be of
    an earlier request; whoever reads looks no further than that position.

    ```mlir
    %h = steer.history %input_ids at %positions in %kept
        : tensor<?x?xi64>, tensor<?x?xi64>, tensor<3x65xi64>
    ```
  }];
  let arguments = (ins TensorRankOf<[I64], [2]>:$ids,
                       TensorRankOf<[I64], [2]>:$positions, Steer_History:$kept);
  let results = (outs Steer_History:$result);
  let assemblyFormat = [{
    $ids `at` $positions `in` $kept attr-dict
    `:` type($ids) `,` type($positions) `,` type($kept)
  }];
  let hasVerifier = 1;
}

def Steer_MarkedOp : Steer_Op<"marked", [Pure, InferTypeOpAdaptor]> {
  let summary = "tokens by what stands before them in their row";
  let description = [{
    Holds where `markers` say (see `#steer.markers`), [batch, sequence, 1]. What it
    says of padding means nothing: a `steer.tokens` leaves padding out.

    ```mlir
    %g = steer.marked %positions in %h <after = [5]>
        : tensor<?x?xi64>, tensor<3x65xi64>
    ```
  }];
  let arguments = (ins TensorRankOf<[I64], [2]>:$positions,
                       Steer_History:$history, Steer_MarkersAttr:$markers);
  let results = (outs Steer_Gate:$result);
  let assemblyFormat = [{
    $positions `in` $history $markers attr-dict `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Steer_RampOp : Steer_Op<"ramp", [Pure, InferTypeOpAdaptor]> {
  let summary = "which share of an edit a token gets";
  let description = [{
    What `over` and `half` of a scope make of the distance of a token from where
    the scope begins (see `#steer.scope`): [batch, sequence, 1], or [tokens, 1]
    where tokens are flattened. In front of that place it is as at it. A scope that
    begins at a marker needs the history.

    ```mlir
    %r = steer.ramp %positions, %prompt_length in %h <markers = <after = [5]>, over = 32>
        : tensor<?x?xi64>, tensor<?xi64>, tensor<3x65xi64>
    ```
  }];
  let arguments = (ins TensorRankOf<[I64], [1, 2]>:$positions,
                       TensorRankOf<[I64], [1]>:$prompt_length,
                       Optional<Steer_History>:$history,
                       Steer_TokensAttr:$scope);
  let results = (outs Steer_Knob:$result);
  let assemblyFormat = [{
    $positions `,` $prompt_length (`in` $history^)? $scope attr-dict
    `:` type(operands)
  }];
  let hasVerifier = 1;
}

def Steer_ProductOp : Steer_Op<"product", [Pure, InferTypeOpAdaptor]> {
  let summary = "two numbers of a token or row multiplied";
  let description = [{
    A knob of a row and a share of a token, for example.

    ```mlir
    %s = steer.product %knob, %ramp : tensor<?x1x1xf32>, tensor<?x?x1xf32>
    ```
  }];
  let arguments = (ins Steer_Knob:$lhs, Steer_Knob:$rhs);
  let results = (outs Steer_Knob:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type(operands)";
}

//===----------------------------------------------------------------------===//
// As rows of tables
//===----------------------------------------------------------------------===//

def Steer_RowMarkedOp : Steer_Op<"row_marked", [
    Pure, InferTypeOpAdaptor, AttrSizedOperandSegments]> {
  let summary = "tokens by what stands before them, with markers of the row's plan";
  let description = [{
    As `steer.marked`, with lists of ids [batch, 1, K] for each row of the batch.
    Shorter ones are padded with -2, which is no token.

    ```mlir
    %g = steer.row_marked %positions in %h after %ids : tensor<?x1x2xi64>
        : tensor<?x?xi64>, tensor<3x65xi64>
    ```
  }];
  let arguments = (ins TensorRankOf<[I64], [2]>:$positions,
                       Steer_History:$history,
                       Optional<Steer_RowIndices>:$after,
                       Optional<Steer_RowIndices>:$until,
                       Optional<Steer_RowIndices>:$opens,
                       Optional<Steer_RowIndices>:$closes);
  let results = (outs Steer_Gate:$result);
  let assemblyFormat = [{
    $positions `in` $history (`after` $after^ `:` type($after))?
    (`until` $until^ `:` type($until))? (`opens` $opens^ `:` type($opens))?
    (`closes` $closes^ `:` type($closes))? attr-dict
    `:` type($positions) `,` type($history)
  }];
  let hasVerifier = 1;
}

def Steer_RowRampOp : Steer_Op<"row_ramp", [
    Pure, InferTypeOpAdaptor, AttrSizedOperandSegments]> {
  let summary = "which share of an edit a token gets, by numbers of the row's plan";
  let description = [{
    As `steer.ramp`. A scope begins at the latest of: the absolute position `from`;
    the prompt's length plus `first`; behind the first of `after`; behind the last
    of `opens`. An `over` of 1 and an infinite `half` give all of an edit.
  }];
  let arguments = (ins TensorRankOf<[I64], [2]>:$positions,
                       TensorRankOf<[I64], [1]>:$prompt_length,
                       Optional<Steer_History>:$history,
                       Steer_RowIndices:$from, Optional<Steer_RowIndices>:$first,
                       Optional<Steer_RowIndices>:$after,
                       Optional<Steer_RowIndices>:$opens,
                       Optional<Steer_RowNumbers>:$over,
                       Optional<Steer_RowNumbers>:$half);
  let results = (outs Steer_Knob:$result);
  let assemblyFormat = [{
    $positions `,` $prompt_length (`in` $history^ `:` type($history))?
    `from` $from `:` type($from) (`first` $first^ `:` type($first))?
    (`after` $after^ `:` type($after))? (`opens` $opens^ `:` type($opens))?
    (`over` $over^ `:` type($over))? (`half` $half^ `:` type($half))? attr-dict
    `:` type($positions) `,` type($prompt_length)
  }];
  let hasVerifier = 1;
}

#endif // WEIR_DIALECT_STEER_IR_STEERSCOPES_TD
