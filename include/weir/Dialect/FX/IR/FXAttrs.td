//===- FXAttrs.td - Attributes of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_IR_FXATTRS_TD
#define WEIR_DIALECT_FX_IR_FXATTRS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/TensorEncoding.td"
include "weir/Dialect/FX/IR/FXDialect.td"

class FX_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<FX_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

//===----------------------------------------------------------------------===//
// Enums
//===----------------------------------------------------------------------===//

class FX_Enum<string name, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, "", cases> {
  let cppNamespace = "::weir::fx";
  let genSpecializedAttr = 0;
}

def FX_SiteKindEnum : FX_Enum<"SiteKind", [
  I32EnumAttrCase<"Res", 0, "res">, I32EnumAttrCase<"Mlp", 1, "mlp">,
  I32EnumAttrCase<"Att", 2, "att">, I32EnumAttrCase<"Mid", 3, "mid">,
  I32EnumAttrCase<"Head", 4, "head">, I32EnumAttrCase<"Neuron", 5, "neuron">,
  I32EnumAttrCase<"MlpIn", 6, "mlp_in">, I32EnumAttrCase<"Emb", 7, "emb">]>;

def FX_InputKind : FX_Enum<"InputKind", [
  I32EnumAttrCase<"UserInput", 0, "user_input">,
  I32EnumAttrCase<"Parameter", 1, "parameter">,
  I32EnumAttrCase<"Buffer", 2, "buffer">,
  I32EnumAttrCase<"TensorConstant", 3, "tensor_constant">,
  I32EnumAttrCase<"CustomObject", 4, "custom_obj">,
  I32EnumAttrCase<"Token", 5, "token">, I32EnumAttrCase<"Raw", 6, "raw">]>;

def FX_OutputKind : FX_Enum<"OutputKind", [
  I32EnumAttrCase<"UserOutput", 0, "user_output">,
  I32EnumAttrCase<"LossOutput", 1, "loss_output">,
  I32EnumAttrCase<"BufferMutation", 2, "buffer_mutation">,
  I32EnumAttrCase<"ParameterMutation", 3, "parameter_mutation">,
  I32EnumAttrCase<"GradientToParameter", 4, "gradient_to_parameter">,
  I32EnumAttrCase<"GradientToUserInput", 5, "gradient_to_user_input">,
  I32EnumAttrCase<"UserInputMutation", 6, "user_input_mutation">,
  I32EnumAttrCase<"Token", 7, "token">, I32EnumAttrCase<"Raw", 8, "raw">]>;

def FX_ListKind : FX_Enum<"ListKind", [
  I32EnumAttrCase<"Ints", 0, "ints">, I32EnumAttrCase<"Floats", 1, "floats">,
  I32EnumAttrCase<"Bools", 2, "bools">,
  I32EnumAttrCase<"Strings", 3, "strings">,
  I32EnumAttrCase<"Tensors", 4, "tensors">,
  I32EnumAttrCase<"OptionalTensors", 5, "optional_tensors">,
  I32EnumAttrCase<"SymInts", 6, "sym_ints">,
  I32EnumAttrCase<"SymFloats", 7, "sym_floats">,
  I32EnumAttrCase<"SymBools", 8, "sym_bools">,
  I32EnumAttrCase<"NestedTensors", 9, "nested_tensors">,
  I32EnumAttrCase<"IntLists", 10, "int_lists">,
  I32EnumAttrCase<"FloatLists", 11, "float_lists">]>;

def FX_SiteKindAttr : EnumAttr<FX_Dialect, FX_SiteKindEnum, "site_kind"> {
  let summary = "What a site's value is";
  let assemblyFormat = "`<` $value `>`";
}

//===----------------------------------------------------------------------===//
// Names and sizes
//===----------------------------------------------------------------------===//

def FX_Weight : FX_Attr<"Weight", "weight"> {
  let summary = "The name of a stored tensor";
  let description = [{
    `#fx.weight<"model"::"layers.0.weight">`: `scope` says which store (the
    model's archive is "model"), `key` names a tensor in it.
  }];
  let parameters = (ins StringRefParameter<>:$scope, StringRefParameter<>:$key);
  let hasCustomAssemblyFormat = 1;
}

def FX_SymExpr : FX_Attr<"SymExpr", "expr"> {
  let summary = "A symbolic expression, with its value when traced";
  let description = [{
    `#fx.expr<"32*s18" = 96>`. A bare name is a positive integer symbol;
    products and sums are written infix and other functions as calls. What does
    not fit that form stays in the notation of the archive.
  }];
  let parameters = (ins StringRefParameter<>:$expr,
                        OptionalParameter<"::mlir::Attribute">:$hint);
  let hasCustomAssemblyFormat = 1;
}

def FX_Dims : FX_Attr<"Dims", "dims",
    [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "The symbolic expressions of a tensor's dynamic sizes";
  let description = [{
    The encoding of a ranked tensor type: one expression for each `?` of its
    shape, in order: `tensor<?x?x576xf32, #fx.dims<s72 = 2, s18 = 3>>`.
  }];
  let parameters = (ins ArrayRefParameter<"SymExprAttr">:$sizes);
  let hasCustomAssemblyFormat = 1;
}

def FX_Layer : FX_Attr<"Layer", "layer"> {
  let summary = "The weights of a layer's MLP";
  let description = [{
    `#fx.layer<up = "model"::"mlp.up", gate = "model"::"mlp.gate", down =
    "model"::"mlp.down">`: what was not found is left out. With `in_out` the
    weights are stored with a row for each input, as GPT-2's are, and otherwise
    with a row for each output, as linear layers are.
  }];
  let parameters = (ins OptionalParameter<"WeightAttr">:$up,
                        OptionalParameter<"WeightAttr">:$gate,
                        OptionalParameter<"WeightAttr">:$down,
                        DefaultValuedParameter<"::weir::WeightLayout",
                            "::weir::WeightLayout::OutIn">:$layout);
  let hasCustomAssemblyFormat = 1;
}

def FX_Weights : FX_Attr<"Weights", "weights"> {
  let summary = "Which weights make up a model";
  let description = [{
    `#fx.weights<unembedding = "model"::"lm_head", layers = [<up = …>, <…>]>`,
    the layers in their order.
  }];
  let parameters = (ins OptionalParameter<"WeightAttr">:$unembedding,
                        OptionalArrayRefParameter<"LayerAttr">:$layers);
  let hasCustomAssemblyFormat = 1;
}

//===----------------------------------------------------------------------===//
// Signature
//===----------------------------------------------------------------------===//

def FX_Input : FX_Attr<"Input", "input"> {
  let summary = "What an input of the program is";
  let description = [{
    `#fx.input<parameter "model"::"w">`, `#fx.input<buffer "model"::"k0",
    transient>` (a buffer that is not persistent), `#fx.input<user_input>`.
    `extra` is a JSON object: keys of the specification that the kind does not
    cover, or for `raw` the whole of it.

    `#fx.input<user_input, role = plan>` says what the caller passes: `input_ids`
    and `positions` ([batch, sequence], or [tokens] in one flat row),
    `prompt_length` and `plan` ([batch]), or `knobs` ([batch, knobs]). Roles and
    names are the runner's too (weir/Program/InputRoles.h).
  }];
  let parameters = (ins "InputKind":$kind, OptionalParameter<"WeightAttr">:$weight,
                        DefaultValuedParameter<"bool", "true">:$persistent,
                        OptionalParameter<"::mlir::StringAttr">:$extra,
                        OptionalParameter<"std::optional<::weir::InputRole>">:$role);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    AttrBuilder<(ins "InputKind":$kind, CArg<"WeightAttr", "{}">:$weight), [{
      return $_get($_ctxt, kind, weight, true, ::mlir::StringAttr(),
                   std::nullopt);
    }]>];
  let extraClassDeclaration = [{
    /// The same input with a role.
    InputAttr withRole(::weir::InputRole role) const;
  }];
}

def FX_Logits : FX_Attr<"Logits", "logits"> {
  let summary = "The role of an output that holds the logits";
}

def FX_Record : FX_Attr<"Record", "record"> {
  let summary = "The role of an output that holds activations";
  let description = [{
    `#fx.record<"faith", [#flow.feature<@sae:12/res/411>]>`: the name that
    callers ask for, and what each column of the output is: a feature, or
    (`@calm`) whether that policy acts. A site alone stands for all columns of
    its value.
  }];
  let parameters = (ins "::mlir::StringAttr":$name,
                        "::mlir::ArrayAttr":$columns);
  let assemblyFormat = "`<` $name `,` $columns `>`";
  let genVerifyDecl = 1;
}

def FX_Count : FX_Attr<"Count", "count"> {
  let summary = "The role of an output that says which tokens were edited";
  let description = [{
    `#fx.count<res, 12, ["calm", "clear"]>`: a column for each policy that edits
    the site, with 1 at the tokens that it edits and 0 elsewhere.
  }];
  let parameters = (ins EnumParameter<FX_SiteKindEnum>:$kind, "int64_t":$layer,
                        "::mlir::ArrayAttr":$policies);
  let assemblyFormat = "`<` $kind `,` $layer `,` $policies `>`";
  let genVerifyDecl = 1;
}

def FX_Edited : FX_Attr<"Edited", "edited"> {
  let summary = "A site that was edited";
  let description = [{
    `#fx.edited<res, 12>`: what is left of a patch once it is lowered.
  }];
  let parameters = (ins EnumParameter<FX_SiteKindEnum>:$kind, "int64_t":$layer);
  let assemblyFormat = "`<` $kind `,` $layer `>`";
}

def FX_Output : FX_Attr<"Output", "output"> {
  let summary = "What an output of the program is";
  let description = [{
    `#fx.output<user_output>`, `#fx.output<buffer_mutation "k0">`. An output
    with a `literal` is not a value of the graph: it takes no operand of
    `fx.return`.

    `#fx.output<user_output, role = #fx.logits>` says what the caller gets: the
    logits, or a record, `role = #fx.record<"faith", […]>`.
  }];
  let parameters = (ins "OutputKind":$kind,
                        OptionalParameter<"::mlir::StringAttr">:$target,
                        OptionalParameter<"::mlir::Attribute">:$literal,
                        OptionalParameter<"::mlir::StringAttr">:$extra,
                        OptionalParameter<"::mlir::Attribute">:$role);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    AttrBuilder<(ins "OutputKind":$kind,
                     CArg<"::mlir::Attribute", "{}">:$role), [{
      return $_get($_ctxt, kind, ::mlir::StringAttr(), ::mlir::Attribute(),
                   ::mlir::StringAttr(), role);
    }]>];
}

//===----------------------------------------------------------------------===//
// Arguments of calls
//===----------------------------------------------------------------------===//

def FX_Slot : FX_Attr<"Slot", "slot"> {
  let summary = "The place of the next operand";
}
def FX_Maybe : FX_Attr<"Maybe", "optional"> {
  let summary = "An optional tensor: an operand's place, or none";
  let parameters = (ins "bool":$present);
  let assemblyFormat = "`<` $present `>`";
}
def FX_List : FX_Attr<"List", "list"> {
  let summary = "A list of arguments, some of which may be operands";
  let parameters = (ins "ListKind":$kind,
                        OptionalArrayRefParameter<"::mlir::Attribute">:$elements);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// True if a list of that kind can have that element.
    static bool canHold(ListKind kind, ::mlir::Attribute element);
  }];
}
def FX_Complex : FX_Attr<"Complex", "complex"> {
  let summary = "A complex number";
  let parameters = (ins "::mlir::FloatAttr":$real, "::mlir::FloatAttr":$imag);
  let assemblyFormat = "`<` $real `,` $imag `>`";
}
def FX_Operator : FX_Attr<"Operator", "operator"> {
  let summary = "An operator passed as an argument";
  let parameters = (ins StringRefParameter<>:$name);
  let assemblyFormat = "`<` $name `>`";
}
def FX_Raw : FX_Attr<"Raw", "raw"> {
  let summary = "An argument of a kind that is not modelled, as JSON text";
  let parameters = (ins StringRefParameter<>:$json);
  let assemblyFormat = "`<` $json `>`";
}
def FX_Device : FX_Attr<"Device", "device"> {
  let summary = "A device";
  let parameters = (ins StringRefParameter<>:$type,
                        OptionalParameter<"std::optional<int64_t>">:$index);
  let assemblyFormat = "`<` $type (`,` $index^)? `>`";
}

class FX_Number<string name, string attrMnemonic> : FX_Attr<name, attrMnemonic> {
  let parameters = (ins "int64_t":$number);
  let hasCustomAssemblyFormat = 1;
}
def FX_DType : FX_Number<"DType", "dtype"> {
  let summary = "An element type as an argument: `#fx.dtype<bf16>`";
  let description = [{
    Holds the archive's number of the type; a number without a name prints as
    it is. `fx::dtypeOf` and `getElementType` convert from and to types.
  }];
  let extraClassDeclaration = [{
    /// The element type, or null if the number has none.
    ::mlir::Type getElementType() const;
    /// The attribute for an element type, or null if archives have none.
    static DTypeAttr forElementType(::mlir::Type type);
  }];
}
def FX_Layout : FX_Number<"Layout", "layout"> {
  let summary = "A memory layout: `#fx.layout<strided>`";
}
def FX_MemoryFormat : FX_Number<"MemoryFormat", "memory_format"> {
  let summary = "A memory format: `#fx.memory_format<contiguous>`";
}

//===----------------------------------------------------------------------===//
// Where a call comes from
//===----------------------------------------------------------------------===//

def FX_Module : FX_Attr<"Module", "module"> {
  let summary = "One module of a module stack: key, path and class";
  let parameters = (ins StringRefParameter<>:$key, StringRefParameter<>:$path,
                        StringRefParameter<>:$className);
  let assemblyFormat = "`<` $key `,` $path `,` $className `>`";
}
def FX_Stack : FX_Attr<"Stack", "stack"> {
  let summary = "The modules a call was made in, outermost first";
  let description = [{
    `#fx.stack<"L__self__" "" : "main.Wrapper", "L__self__m" "m" : "LlamaModel">`
  }];
  let parameters = (ins OptionalArrayRefParameter<"ModuleAttr">:$modules);
  let hasCustomAssemblyFormat = 1;
}

#endif // WEIR_DIALECT_FX_IR_FXATTRS_TD
