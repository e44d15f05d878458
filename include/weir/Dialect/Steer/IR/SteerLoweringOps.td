//===- SteerLoweringOps.td - What patches are lowered by ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Included by SteerOps.td, whose classes and types these operations use.

#ifndef WEIR_DIALECT_STEER_IR_STEERLOWERINGOPS_TD
#define WEIR_DIALECT_STEER_IR_STEERLOWERINGOPS_TD

//===----------------------------------------------------------------------===//
// Precision
//===----------------------------------------------------------------------===//

def Steer_WidenOp : Steer_Op<"widen", [Pure, InferTypeOpAdaptor]> {
  let summary = "a value in f32";
  let description = [{
    Exact. `steer-widen-patches` puts it where a patch begins.

    ```mlir
    %x = steer.widen %h : tensor<?x?x576xbf16>
    ```
  }];
  let arguments = (ins Steer_NarrowValue:$input);
  let results = (outs Steer_WideValue:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
}

def Steer_RoundOp : Steer_Op<"round", [Pure, InferTypeOpAdaptor]> {
  let summary = "a value in the model's type";
  let description = [{
    To the nearest number of the type, ties to even. A patch rounds once, where it
    ends.

    ```mlir
    %y = steer.round %x to bf16 : tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins Steer_WideValue:$input,
                       TypeAttrOf<AnyTypeOf<[F16, BF16]>>:$to);
  let results = (outs Steer_NarrowValue:$result);
  let assemblyFormat = "$input `to` $to attr-dict `:` type($input)";
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// The steps of a read
//===----------------------------------------------------------------------===//

def Steer_NormalizeOp : Steer_Op<"normalize", [
    Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "a value as a normalised dictionary's encoder takes it";
  let description = [{
    x sqrt(d) / |x| for `constant_norm`, and x itself where that is zero;
    (x - mean) / (std + 1e-5) for `layer_norm`, with the sample's standard
    deviation, as sae_lens has it.

    ```mlir
    %n = steer.normalize %x <layer_norm> : tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins Steer_WideValue:$input,
                       Flow_NormalizationAttr:$normalization);
  let results = (outs Steer_WideValue:$result);
  let assemblyFormat = "$input $normalization attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Steer_EncodeOp : Steer_Op<"encode", [
    Pure, InferTypeOpAdaptor, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<Steer_CostOpInterface>]> {
  let summary = "products with rows of an encoder";
  let description = [{
    z = x W_enc + b_enc for the listed features, or for all `size` of them where
    none is listed. `unbiased` leaves out b_enc, for gated dictionaries, whose
    gates and magnitudes are biased each by its own.

    ```mlir
    %z = steer.encode %x of @sae.res.12 [53, 411] size 1536 : tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins Steer_WideValue:$input, FlatSymbolRefAttr:$dictionary,
                       DenseI64ArrayAttr:$features, I64Attr:$dictionary_size,
                       UnitAttr:$unbiased);
  let results = (outs Steer_Activations:$result);
  let assemblyFormat = [{
    $input `of` $dictionary $features `size` $dictionary_size
    (`unbiased` $unbiased^)? attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}

def Steer_ActivateOp : Steer_Op<"activate", [
    Pure, AllTypesMatch<["input", "result"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "activations of encoded features";
  let description = [{
    The dictionary's activation of what `encode` gives, with the thresholds and
    magnitudes of the same features. A `topk` sees all features, so it lists none.

    ```mlir
    %f = steer.activate %z <jumprelu> of @sae.res.12 [53, 411] : tensor<?x?x2xf32>
    ```
  }];
  let arguments = (ins Steer_Activations:$input, Flow_ActivationAttr:$activation,
                       FlatSymbolRefAttr:$dictionary, DenseI64ArrayAttr:$features);
  let results = (outs Steer_Activations:$result);
  let assemblyFormat = [{
    $input $activation `of` $dictionary $features attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

def Steer_DeliverOp : Steer_Op<"deliver", [MemoryEffects<[MemWrite]>]> {
  let summary = "puts what a kernel computed for a token into its result";
  let description = [{
    `to` is the token's row of a tensor that the kernel gives. What computes the
    value may write there at once (`convert-steer-to-kernels`); a value that is
    already there is not copied. A gate is delivered as 1.0 or 0.0, in f32.

    ```mlir
    steer.deliver %y to %row : tensor<?x?x576xf32>, memref<576xf32, strided<[1], offset: ?>>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$value, AnyStridedMemRefOfRank<1>:$to);
  let assemblyFormat = "$value `to` $to attr-dict `:` type($value) `,` type($to)";
  let hasVerifier = 1;
}

#endif // WEIR_DIALECT_STEER_IR_STEERLOWERINGOPS_TD
