//===- FlowEnums.td - Enumerations of the flow dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FLOW_IR_FLOWENUMS_TD
#define WEIR_DIALECT_FLOW_IR_FLOWENUMS_TD

include "mlir/IR/EnumAttr.td"

def Flow_Format : I32Enum<"Format", "how a dictionary is stored", [
    I32EnumCase<"SAELens", 0, "sae_lens">,
    I32EnumCase<"GemmaScope", 1, "gemma_scope">,
    I32EnumCase<"GemmaScope2", 2, "gemma_scope_2">,
    I32EnumCase<"LlamaScope", 3, "llama_scope">,
    I32EnumCase<"Neurons", 4, "neurons">,
    I32EnumCase<"Unembedding", 5, "unembedding">,
    I32EnumCase<"Directions", 6, "directions">,
    I32EnumCase<"Sparsify", 7, "sparsify">,
    I32EnumCase<"DictionaryLearning", 8, "dictionary_learning">,
    I32EnumCase<"CircuitTracer", 9, "circuit_tracer">,
    I32EnumCase<"Crosscoder", 10, "crosscoder">]> {
  let cppNamespace = "::weir::flow";
}

def Flow_ActivationKind : I32Enum<"ActivationKind", "a dictionary's activation", [
    I32EnumCase<"Identity", 0, "identity">,
    I32EnumCase<"ReLU", 1, "relu">,
    I32EnumCase<"JumpReLU", 2, "jumprelu">,
    I32EnumCase<"TopK", 3, "topk">,
    I32EnumCase<"Gated", 4, "gated">]> {
  let cppNamespace = "::weir::flow";
}

def Flow_Normalization : I32Enum<"Normalization", "what a dictionary does to its input", [
    I32EnumCase<"None", 0, "none">,
    I32EnumCase<"ConstantNorm", 1, "constant_norm">,
    I32EnumCase<"LayerNorm", 2, "layer_norm">]> {
  let cppNamespace = "::weir::flow";
}

def Flow_RowsPart : I32Enum<"RowsPart", "which rows of a dictionary", [
    I32EnumCase<"Encoder", 0, "encoder">,
    I32EnumCase<"EncoderBias", 1, "encoder_bias">,
    I32EnumCase<"Threshold", 2, "threshold">,
    I32EnumCase<"MagnitudeScale", 3, "magnitude_scale">,
    I32EnumCase<"MagnitudeBias", 4, "magnitude_bias">,
    I32EnumCase<"Decoder", 5, "decoder">,
    I32EnumCase<"UnitDecoder", 6, "unit_decoder">,
    I32EnumCase<"DecoderBias", 7, "decoder_bias">]> {
  let cppNamespace = "::weir::flow";
}

def Flow_Similarity : I32Enum<"Similarity", "how two features are compared", [
    I32EnumCase<"Cosine", 0, "cosine">,
    I32EnumCase<"Dot", 1, "dot">,
    I32EnumCase<"MeanSquaredError", 2, "mse">,
    I32EnumCase<"Pearson", 3, "pearson">]> {
  let cppNamespace = "::weir::flow";
}

def Flow_Fold : I32Enum<"Fold", "what brings dictionaries to one scale", [
    I32EnumCase<"None", 0, "none">,
    I32EnumCase<"Threshold", 1, "threshold">,
    I32EnumCase<"MeanActivation", 2, "mean_activation">,
    I32EnumCase<"DecoderNorm", 3, "decoder_norm">]> {
  let cppNamespace = "::weir::flow";
}

def Flow_WeightPart : I32BitEnum<"WeightPart", "the rows that stand for a feature", [
    I32BitEnumCaseBit<"Decoder", 0, "decoder">,
    I32BitEnumCaseBit<"Encoder", 1, "encoder">,
    I32BitEnumCaseBit<"EncoderBias", 2, "encoder_bias">]> {
  let cppNamespace = "::weir::flow";
  let separator = "|";
  let printBitEnumPrimaryGroups = 0;
}

def Flow_Side : I32Enum<"Side", "in which direction a match is followed", [
    I32EnumCase<"Predecessors", 0, "predecessors">,
    I32EnumCase<"Successors", 1, "successors">]> {
  let cppNamespace = "::weir::flow";
}

def Flow_Direction : I32Enum<"Direction", "where a graph leads from its targets", [
    I32EnumCase<"Backward", 0, "backward">,
    I32EnumCase<"Forward", 1, "forward">,
    I32EnumCase<"Both", 2, "both">]> {
  let cppNamespace = "::weir::flow";
}

def Flow_Ends : I32Enum<"Ends", "where a graph begins or ends", [
    I32EnumCase<"Roots", 0, "roots">,
    I32EnumCase<"Leaves", 1, "leaves">]> {
  let cppNamespace = "::weir::flow";
}

def Flow_Weight : I32Enum<"Weight", "what the nodes of a graph are weighted by", [
    I32EnumCase<"Similarity", 0, "similarity">,
    I32EnumCase<"Effect", 1, "effect">]> {
  let cppNamespace = "::weir::flow";
}

#endif // WEIR_DIALECT_FLOW_IR_FLOWENUMS_TD
