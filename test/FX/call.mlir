// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s | FileCheck %s
// RUN: weir-opt %s | weir-opt | FileCheck %s
// RUN: weir-opt %s --mlir-print-op-generic | weir-opt | FileCheck %s
// RUN: weir-opt %s --emit-bytecode | weir-opt | FileCheck %s
// Every kind of argument keeps its form.

// CHECK-DAG: #dims_s0_s1 = #fx.dims<s0 = 2, s1 = 3>
#d = #fx.dims<s0 = 2, s1 = 3>
!t = tensor<?x?x4xf32, #d>

// CHECK-LABEL: fx.program @main
fx.program @main(
    %p_w: tensor<8x4xf32> = #fx.input<parameter "model"::"w"> {requires_grad = true},
    %ids: tensor<?x?xi64, #d> = #fx.input<user_input>) {
  // CHECK: %b = fx.call @aten.sym_size.int(self = %ids, dim = 0) : (tensor<?x?xi64, #dims_s0_s1>) -> !fx.symint<s0 = 2>
  %b = fx.call @aten.sym_size.int(self = %ids, dim = 0) : (tensor<?x?xi64, #d>) -> !fx.symint<s0 = 2>
  // A function of Python has no names of arguments.
  // CHECK: %n = fx.call @_operator.mul(_ = %b, _ = 4) : (!fx.symint<s0 = 2>) -> !fx.symint<"4*s0" = 8>
  %n = fx.call @_operator.mul(_ = %b, _ = 4) : (!fx.symint<s0 = 2>) -> !fx.symint<"4*s0" = 8>
  // CHECK: %e = fx.call @aten.embedding.default(weight = %p_w, indices = %ids) :
  %e = fx.call @aten.embedding.default(weight = %p_w, indices = %ids) : (tensor<8x4xf32>, tensor<?x?xi64, #d>) -> !t

  // Lists name their kind only where their elements do not tell.
  // CHECK: fx.call @x.lists(a = [], b = tensors[], c = [1, 2], d = [1.000000e+00], e = [true, false], f = ["x", "y z"], g = [%e, %e], h = [%e, none], i = [%b, -1, 4], j = sym_ints[%b], k = sym_ints[1, 2], l = {{\[}}[1], [2, 3]], m = int_lists[], n = {{\[}}[%e], [%e]])
  fx.call @x.lists(a = [], b = tensors[], c = [1, 2], d = [1.0], e = [true, false], f = ["x", "y z"], g = [%e, %e], h = [%e, none], i = [%b, -1, 4], j = sym_ints[%b], k = sym_ints[1, 2], l = [[1], [2, 3]], m = int_lists[], n = [[%e], [%e]]) : (!t, !t, !t, !fx.symint<s0 = 2>, !fx.symint<s0 = 2>, !t, !t) -> ()

  // CHECK: fx.call @x.scalars(a = none, b = 9.9999999999999995E-7, c = -1, d = "q\22uote", e = true, f = 0x7FF0000000000000 : f64, g = 0xFFF0000000000000 : f64, h = complex<1.000000e+00 : f64, -2.000000e+00 : f64>, i = operator<"aten.x">, j = raw<"{\22as_new\22:1}">, k = optional(%e), l = optional(none), *, dtype = dtype<bf16>, other = dtype<99>, layout = layout<strided>, format = memory_format<channels_last>, device = device<"cuda", 1>, "odd name" = device<"cpu">)
  fx.call @x.scalars(a = none, b = 1.0e-6, c = -1, d = "q\22uote", e = true, f = 0x7FF0000000000000 : f64, g = 0xFFF0000000000000 : f64, h = complex<1.0, -2.0>, i = operator<"aten.x">, j = raw<"{\22as_new\22:1}">, k = optional(%e), l = optional(none), *, dtype = dtype<bf16>, other = dtype<99>, layout = layout<strided>, format = memory_format<channels_last>, device = device<"cuda", 1>, "odd name" = device<"cpu">) : (!t) -> ()

  // CHECK: fx.call @x.dictionary(a = dict{k = [%e, %e], m = 2, z = dict{}})
  fx.call @x.dictionary(a = dict{k = [%e, %e], m = 2, z = dict{}}) : (!t, !t) -> ()

  // Keywords after the star; a colon leaves the kind to the schema.
  // CHECK: fx.call @x.kinds(a = 1, *, b = 2)
  fx.call @x.kinds(a = 1, *, b = 2) : () -> ()
  // CHECK: fx.call @x.kinds(a: 1, b: 2)
  fx.call @x.kinds(a: 1, b: 2) : () -> ()
  // CHECK: fx.call @x.kinds(a = 1, b: 2, *, c = 3)
  fx.call @x.kinds(a = 1, b: 2, *, c = 3) : () -> ()

  // Several results, in a structure of their own.
  // CHECK: %s0, %s1 = fx.call @aten.split.Tensor(self = %e, split_size = 2, dim = -1) {node = "split", outputs = [#fx.list<tensors[#fx.slot, #fx.slot]>]}
  %s0, %s1 = fx.call @aten.split.Tensor(self = %e, split_size = 2, dim = -1) {node = "split", outputs = [#fx.list<tensors[#fx.slot, #fx.slot]>]} : (!t) -> (tensor<?x?x2xf32, #d>, tensor<?x?x2xf32, #d>)

  // CHECK: %v = fx.call @aten.transpose.int(self = %e, dim0 = 0, dim1 = 1) {meta = [{strides = [4, #fx.expr<"4*s1" = 12>, 1]}], metadata = {torch_fn = "t"}, stack = #stack}
  %v = fx.call @aten.transpose.int(self = %e, dim0 = 0, dim1 = 1) {meta = [{strides = [4, #fx.expr<"4*s1" = 12>, 1]}], metadata = {torch_fn = "t"}, stack = #fx.stack<"L__self__" "" : "main.W", "k" "m" : "torch.nn.Linear">} : (!t) -> tensor<?x?x4xf32, #fx.dims<s1 = 3, s0 = 2>>

  // Element types that need names of their own.
  // CHECK: %f8 = fx.call @x.f8() : () -> tensor<2xf8E4M3FN>
  %f8 = fx.call @x.f8() : () -> tensor<2xf8E4M3FN>
  // CHECK: %c = fx.call @x.c() : () -> tensor<complex<f32>>
  %c = fx.call @x.c() : () -> tensor<complex<f32>>
  // CHECK: %o = fx.call @x.object() : () -> !fx.object<"a.B">
  %o = fx.call @x.object() : () -> !fx.object<"a.B">
  // CHECK: %sa, %sb, %sc, %sd, %se = fx.call @x.scalars() : () -> (!fx.symint, !fx.symint<4>, !fx.symfloat<2.500000e+00 : f64>, !fx.symbool<true>, !fx.symbool<"s0 < 4" = true>)
  %st:5 = fx.call @x.scalars() {names = ["sa", "sb", "sc", "sd", "se"]} : () -> (!fx.symint, !fx.symint<4>, !fx.symfloat<2.5>, !fx.symbool<true>, !fx.symbool<"s0 < 4" = true>)
  // CHECK: fx.return %v, %e : {{.*}} as [#fx.output<user_output>, #fx.output<user_output, literal = unit>, #fx.output<buffer_mutation "k">]
  fx.return %v, %e : tensor<?x?x4xf32, #fx.dims<s1 = 3, s0 = 2>>, !t as [#fx.output<user_output>, #fx.output<user_output, literal = unit>, #fx.output<buffer_mutation "k">]
}
