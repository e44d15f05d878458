//===- FXOps.td - Operations of the fx dialect ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_FX_IR_FXOPS_TD
#define WEIR_DIALECT_FX_IR_FXOPS_TD

include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "weir/Dialect/FX/IR/FXAttrs.td"
include "weir/Dialect/FX/IR/FXInterfaces.td"
include "weir/Dialect/FX/IR/FXTypes.td"

class FX_Op<string mnemonic, list<Trait> traits = []>
    : Op<FX_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// fx.program
//===----------------------------------------------------------------------===//

def FX_ProgramOp : FX_Op<"program", [IsolatedFromAbove, Symbol,
    SingleBlock, DeclareOpInterfaceMethods<OpAsmOpInterface,
        ["getAsmBlockArgumentNames"]>]> {
  let summary = "An exported program";
  let description = [{
    The graph of a model, its inputs as block arguments in the archive's order:
    weights first, then what the user passes.

    ```mlir
    fx.program @main(
        %p_w: tensor<8x4xf32> = #fx.input<parameter "model"::"w">,
        %input_ids: tensor<?xi64, #fx.dims<s0 = 2>> = #fx.input<user_input>) {
      %embedding = fx.call @aten.embedding.default(weight = %p_w,
          indices = %input_ids) : …
      fx.return %embedding : … as [#fx.output<user_output>]
    }
    ```

    `envelope` is the rest of the archive's program as JSON text: everything
    that this dialect does not model. `device` is the device of every tensor
    that does not name another. `weights` records which weights make up the
    model's layers, as `--fx-find-sites` found them. `edited` are the sites whose
    patches were lowered.

    Inputs and outputs have roles (see `#fx.input` and `#fx.output`), each at most
    once, and records have different names. Who looks for an input or an output
    asks for its role.

    Names of inputs are the names in the text; `input_names` is written out only
    where they differ. `input_meta` holds what a tensor type does not say, see
    `fx.call`.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    ArrayAttr:$inputs,
    ArrayAttr:$input_names,
    OptionalAttr<ArrayAttr>:$input_meta,
    OptionalAttr<StrAttr>:$envelope,
    OptionalAttr<FX_Device>:$device,
    OptionalAttr<FX_Weights>:$weights,
    OptionalAttr<TypedArrayAttrBase<FX_Edited, "edited sites">>:$edited);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name)>];
  let extraClassDeclaration = [{
    ::mlir::Block &getEntry() { return getBody().front(); }
    ReturnOp getReturn();
    InputAttr getInput(unsigned i) {
      return ::llvm::cast<InputAttr>(getInputs()[i]);
    }
    ::llvm::StringRef getInputName(unsigned i) {
      return ::llvm::cast<::mlir::StringAttr>(getInputNames()[i]).getValue();
    }

    /// The input of that name, or null.
    ::mlir::BlockArgument findInput(::llvm::StringRef name);
    /// The input of that role, or null.
    ::mlir::BlockArgument findInput(::weir::InputRole role);
    /// The roles of the inputs that have one, in their order.
    ::llvm::SmallVector<::weir::InputRole> getInputRoles();
    /// What the caller gets, in order.
    ::llvm::SmallVector<OutputAttr> getUserOutputs();
    /// Gives roles to what an archive can only say by names and order: user
    /// inputs that have the name of a role and fit it and, where those of a
    /// language model are among them, its first output as the logits.
    void recogniseRoles();
    /// The user inputs in order.
    ::llvm::SmallVector<::mlir::BlockArgument> getUserInputs();
    /// The input that holds a weight, or null.
    ::mlir::BlockArgument findWeight(WeightAttr weight);

    /// Adds an input at `position` among all inputs. `name` must be new.
    ::mlir::BlockArgument insertInput(unsigned position, ::llvm::StringRef name,
                                      ::mlir::Type type, InputAttr input);
    /// Adds an input that the caller of the program passes, after all others
    /// of that kind. `name` must be new.
    ::mlir::BlockArgument addUserInput(::llvm::StringRef name,
                                       ::mlir::Type type);
    /// The same for an input of a role that is not there yet; it gets the role's
    /// name.
    ::mlir::BlockArgument addUserInput(::weir::InputRole role, ::mlir::Type type);
    /// Removes an input that nothing uses.
    void eraseInput(unsigned position);
    /// Adds `value` to what the program returns, after its other outputs. `role`
    /// is #fx.logits, an #fx.record or null.
    void addUserOutput(::mlir::Value value, ::mlir::Attribute role = {});
    /// Notes that a site was edited, once.
    void addEdited(SiteKind kind, int64_t layer);
  }];
}

def FX_ReturnOp : FX_Op<"return", [Terminator, HasParent<"ProgramOp">]> {
  let summary = "The outputs of a program";
  let description = [{
    `outputs` says what each output is, in the archive's order. An output
    without a literal takes the next operand.
  }];
  let arguments = (ins Variadic<FX_Value>:$values, ArrayAttr:$outputs);
  let assemblyFormat = "($values^ `:` type($values) `as`)? $outputs attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// fx.call
//===----------------------------------------------------------------------===//

def FX_CallOp : FX_Op<"call", [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "A call of an operator";
  let description = [{
    `@aten.linear.default` is `torch.ops.aten.linear.default`; functions that
    are not operators (`_operator.add`) keep their full name.

    Arguments have the operator's own names and are operands, numbers, strings
    or other constants, or lists of these:

    ```mlir
    %y = fx.call @aten.linear.default(input = %x, weight = %w) : (…) -> …
    %v = fx.call @aten.view.default(self = %y, size = [%b, %s, -1, 64]) : …
    %a = fx.call @aten.arange.default(end = %b, *, device = device<"cpu">) : …
    %c = fx.call pure @aten.add.Tensor(self: %x, other: %y) : (…) -> …
    ```

    Arguments with `=` are positional, and keywords after `*`; those with `:`
    leave that to the operator's schema, as the calls do that a compiler builds.

    A call's effects are those of its operator in the catalogue
    (lib/Operators): most read their tensors and make new ones, so that a call
    whose results nobody reads is dead; some write an argument in place, draw
    random numbers or check something, and stay. A call of an operator that the
    catalogue does not know may do anything. A `pure` call has no effects at all:
    its results are never written, so that equal calls may become one.

    `names` are the names of the results in the archive; the text takes them
    from the results themselves, and a pure call usually has none until it is
    exported. `node` is the call's own name where it is not that of its first
    result. `outputs` is the structure of the results where it is not one value
    each. `meta` has one dictionary a result, for what the tensor's type does
    not say: `strides` (where not contiguous), `storage_offset`, `device`,
    `layout`, `requires_grad`. `stack` are the modules around the call,
    `metadata` the rest of what was recorded about it. `extra` is a JSON object
    of further keys.
  }];
  let arguments = (ins
    StrAttr:$target,
    Variadic<FX_Value>:$operands,
    ArrayAttr:$arg_names,
    ArrayAttr:$args,
    OptionalAttr<DenseI8ArrayAttr>:$arg_kinds,
    OptionalAttr<ArrayAttr>:$names,
    OptionalAttr<StrAttr>:$node,
    OptionalAttr<ArrayAttr>:$outputs,
    OptionalAttr<ArrayAttr>:$meta,
    OptionalAttr<FX_Stack>:$stack,
    OptionalAttr<DictionaryAttr>:$metadata,
    OptionalAttr<StrAttr>:$extra,
    UnitAttr:$pure);
  let results = (outs Variadic<FX_Value>:$results);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let builders = [
    OpBuilder<(ins "::mlir::TypeRange":$results, "::llvm::StringRef":$target,
                   "::llvm::ArrayRef<Argument>":$arguments,
                   CArg<"bool", "true">:$pure)>];
  let extraClassDeclaration = [{
    /// The argument's index, or none if it is not given.
    std::optional<unsigned> findArgument(::llvm::StringRef name);
    /// The attribute of an argument (a slot if it is an operand), or null.
    ::mlir::Attribute getArgument(::llvm::StringRef name);
    /// The operand given for an argument, or null if it is not one operand.
    ::mlir::Value getArgumentValue(::llvm::StringRef name);
    /// All operands of an argument, also those inside a list.
    ::mlir::OperandRange getArgumentValues(unsigned index);
    /// The integer given for an argument, or `otherwise` if it is missing.
    std::optional<int64_t> getArgumentInt(::llvm::StringRef name);
    /// The name of a result in the archive; empty if it has none yet.
    ::llvm::StringRef getResultName(unsigned i);
    /// Path of the innermost module, empty if there is no stack.
    ::llvm::StringRef getModulePath();
    /// The operator's row of the catalogue, or null if it has none.
    const ::weir::OperatorInfo *getOperatorInfo();
    /// The operand of the argument that the catalogue calls the input (the
    /// weight) of the operator, or null.
    ::mlir::Value getMainInput();
    ::mlir::Value getMainWeight();
    /// False if the operator draws no random numbers, or none with these
    /// arguments.
    bool drawsRandomNumbers();
    /// The tensor that the call hands on as it is, or null.
    ::mlir::Value getForwarded();
    /// Calls `visit` with each operand that the operator writes in place, and
    /// with each whose memory its results may look at. Of an operator that is not
    /// known these are all of them.
    void forEachWritten(::llvm::function_ref<void(::mlir::OpOperand &)> visit);
    void forEachAliased(::llvm::function_ref<void(::mlir::OpOperand &)> visit);
  }];
}

//===----------------------------------------------------------------------===//
// fx.constant, fx.site
//===----------------------------------------------------------------------===//

def FX_ConstantOp : FX_Op<"constant", [ConstantLike, Pure]> {
  let summary = "A tensor that the compiler makes";
  let description = [{
    The value is a recipe (an attribute with `ConstantAttrInterface`) or, for a
    few numbers, the elements themselves. In the exported program it becomes a
    stored constant.

    ```mlir
    %d = fx.constant #flow.rows<decoder of @sae.res.12[53, 411]> -> tensor<2x576xf32>
    %i = fx.constant dense<[53, 411]> : tensor<2xi64>
    ```
  }];
  let arguments = (ins AnyAttr:$value);
  let results = (outs FX_AnyTensor:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasFolder = 1;
}

def FX_SiteOp : FX_Op<"site", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "Marks a value of the model as a site";
  let description = [{
    The identity. What reads the value after this point reads the result, so
    that an edit can take the op's place. Kinds: `res` is a block's output,
    `mlp` and `att` what the two halves add to the residual stream, `mid` the
    stream between them, `head` the input of attention's output projection and
    `neuron` that of the MLP's last projection. `emb`, of layer 0 only, is the
    residual stream that enters the first block.

    ```mlir
    %y = fx.site 12/res of %x : tensor<?x?x576xf32, #fx.dims<s72 = 2, s18 = 3>>
    ```
  }];
  let arguments = (ins FX_SiteKindAttr:$kind, I64Attr:$layer,
                       FX_AnyTensor:$input);
  let results = (outs FX_AnyTensor:$result);
  let hasCustomAssemblyFormat = 1;
  let builders = [
    OpBuilder<(ins "SiteKind":$kind, "int64_t":$layer, "::mlir::Value":$input), [{
      build($_builder, $_state, input.getType(),
            SiteKindAttr::get($_builder.getContext(), kind),
            $_builder.getI64IntegerAttr(layer), input);
    }]>];
}

#endif // WEIR_DIALECT_FX_IR_FXOPS_TD
