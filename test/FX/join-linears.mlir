// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --split-input-file --pass-pipeline='builtin.module(fx.program(fx-join-linears))' --remark-format=emitRemark --remarks-filter='fx-join-linears' 2> %t.said | FileCheck %s
// RUN: FileCheck %s --check-prefix=SAID --input-file=%t.said
// RUN: weir-opt %s --split-input-file --pass-pipeline='builtin.module(fx.program(fx-join-linears,fx-join-linears))' | weir-opt --split-input-file | FileCheck %s
// Linear maps that read one value are made by one call, where that changes nothing.

!x = tensor<?x32xf32, #fx.dims<s0 = 2>>
!b = tensor<4x34xui8>
!c = tensor<4x20xui8>
!y = tensor<?x4xf32, #fx.dims<s0 = 2>>

// SAID: remark: [Passed] JoinedLinears | Category:fx-join-linears | {{.*}}5 linear maps that share what they read with others are made by 2 calls
// SAID: remark: [Passed] JoinedLinears | Category:fx-join-linears | {{.*}}2 linear maps that share what they read with others are made by 1 call
// SAID: remark: [Passed] JoinedLinears | Category:fx-join-linears | {{.*}}2 linear maps that share what they read with others are made by 1 call
// SAID-NOT: remark:

// Names and modules stay; what is done to a result in between still is.
// CHECK: #stack = #fx.stack<"a" "" : "M", "b" "attn" : "A">
// CHECK-LABEL: fx.program @attention
// CHECK-NEXT: %wq
// CHECK:      %q, %k, %v = fx.call @weir.quantized_linears.default(x: %x, blocks: [%wq, %wk, %wv], bias: [%bias, none, %bias], type: ["Q8_0", "Q4_1", "Q8_0"], arithmetic: "int8")
// CHECK-SAME: outputs = [#fx.list<tensors[#fx.slot, #fx.slot, #fx.slot]>]
// CHECK-SAME: stack = #stack
// CHECK-NEXT: %edited = fx.call @aten.relu.default(self = %q)
// CHECK-NEXT: %sum = fx.call @aten.add.Tensor(self = %edited, other = %k)
// CHECK-NEXT: %out = fx.call @aten.add.Tensor(self = %sum, other = %v)
// CHECK-NEXT: %gate, %up = fx.call @weir.quantized_linears.default(x: %out, blocks: [%wq, %wk], bias: [none, none], type: ["Q8_0", "Q4_1"])
// CHECK-NEXT: fx.return %gate, %up
fx.program @attention(%wq: !b = #fx.input<parameter "model"::"q">, %wk: !c = #fx.input<parameter "model"::"k">,
    %wv: !b = #fx.input<parameter "model"::"v">, %bias: tensor<4xf32> = #fx.input<parameter "model"::"bias">,
    %x: !x = #fx.input<user_input>) {
  %q = fx.call @weir.quantized_linear.default(x = %x, blocks = %wq, bias = %bias, type = "Q8_0", arithmetic = "int8") {stack = #fx.stack<"a" "" : "M", "b" "attn" : "A", "c" "attn.q" : "L">} : (!x, !b, tensor<4xf32>) -> !y
  %edited = fx.call @aten.relu.default(self = %q) : (!y) -> !y
  %k = fx.call @weir.quantized_linear.default(x = %x, blocks = %wk, bias = none, type = "Q4_1", arithmetic = "int8") {stack = #fx.stack<"a" "" : "M", "b" "attn" : "A", "c" "attn.k" : "L">} : (!x, !c) -> !y
  %v = fx.call @weir.quantized_linear.default(x = %x, blocks = %wv, bias = %bias, type = "Q8_0", arithmetic = "int8") {stack = #fx.stack<"a" "" : "M", "b" "attn" : "A", "c" "attn.v" : "L">} : (!x, !b, tensor<4xf32>) -> !y
  %sum = fx.call @aten.add.Tensor(self = %edited, other = %k) : (!y, !y) -> !y
  %out = fx.call @aten.add.Tensor(self = %sum, other = %v) : (!y, !y) -> !y
  %gate = fx.call @weir.quantized_linear.default(x = %out, blocks = %wq, bias = none, type = "Q8_0") : (!y, !b) -> !y
  %up = fx.call @weir.quantized_linear.default(x = %out, blocks = %wk, bias = none, type = "Q4_1") : (!y, !c) -> !y
  fx.return %gate, %up : !y, !y as [#fx.output<user_output>, #fx.output<user_output>]
}

// -----

!x = tensor<?x32xf32, #fx.dims<s0 = 2>>
!b = tensor<4x34xui8>
!y = tensor<?x4xf32, #fx.dims<s0 = 2>>

// Another contract is another call.
// CHECK-LABEL: fx.program @contracts
// CHECK-NOT: quantized_linears
fx.program @contracts(%w: !b = #fx.input<parameter "model"::"w">, %x: !x = #fx.input<user_input>) {
  %a = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = none, type = "Q8_0", arithmetic = "int8") : (!x, !b) -> !y
  %c = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = none, type = "Q8_0", arithmetic = "exact") : (!x, !b) -> !y
  fx.return %a, %c : !y, !y as [#fx.output<user_output>, #fx.output<user_output>]
}

// -----

!x = tensor<?x32xf32, #fx.dims<s0 = 2>>
!b = tensor<4x34xui8>
!y = tensor<?x4xf32, #fx.dims<s0 = 2>>

// A write into what is read, through whatever view, lies between: the last two are
// on one side of it.
// CHECK-LABEL: fx.program @writes
// CHECK:      %a = fx.call @weir.quantized_linear.default(
// CHECK-NEXT: %view = fx.call @aten.view.default(
// CHECK-NEXT: %written = fx.call @aten.add_.Tensor(self = %view
// CHECK-NEXT: %c, %d = fx.call @weir.quantized_linears.default(
// CHECK-NEXT: fx.return
fx.program @writes(%w: !b = #fx.input<parameter "model"::"w">, %x: !x = #fx.input<user_input>) {
  %a = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = none, type = "Q8_0") : (!x, !b) -> !y
  %view = fx.call @aten.view.default(self = %x, size = [-1]) : (!x) -> tensor<?xf32>
  %written = fx.call @aten.add_.Tensor(self = %view, other = %view) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %c = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = none, type = "Q8_0") : (!x, !b) -> !y
  %d = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = none, type = "Q8_0") : (!x, !b) -> !y
  fx.return %a, %c, %d : !y, !y, !y as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
}

// -----

!x = tensor<?x32xf32, #fx.dims<s0 = 2>>
!b = tensor<4x34xui8>
!y = tensor<?x4xf32, #fx.dims<s0 = 2>>

// A bias that is made in between, and an operator that nobody knows.
// CHECK-LABEL: fx.program @made
// CHECK-NOT: quantized_linears
fx.program @made(%w: !b = #fx.input<parameter "model"::"w">, %bias: tensor<4xf32> = #fx.input<parameter "model"::"bias">,
    %x: !x = #fx.input<user_input>) {
  %a = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = none, type = "Q8_0") : (!x, !b) -> !y
  %twice = fx.call @aten.add.Tensor(self = %bias, other = %bias) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = %twice, type = "Q8_0") : (!x, !b, tensor<4xf32>) -> !y
  %mine = fx.call @mine.op.default(x = %c) : (!y) -> !y
  %d = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = none, type = "Q8_0") : (!x, !b) -> !y
  fx.return %a, %c, %d : !y, !y, !y as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
}

// -----

!x = tensor<?x32xf32, #fx.dims<s0 = 2>>
!b = tensor<4x34xui8>
!y = tensor<?x4xf32, #fx.dims<s0 = 2>>

// Calls that the operator refuses stay calls that it refuses.
// CHECK-LABEL: fx.program @refused
// CHECK: bias = "text"
// CHECK: quantized_linears.default(x: %x, blocks: [%w, %w], bias: [none, none], type: ["Q8_0", "Q8_0"])
// CHECK: type = none
fx.program @refused(%w: !b = #fx.input<parameter "model"::"w">, %x: !x = #fx.input<user_input>) {
  %a = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = "text", type = "Q8_0") : (!x, !b) -> !y
  %c = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = none, type = "Q8_0") : (!x, !b) -> !y
  %d = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, type = "Q8_0") : (!x, !b) -> !y
  %e = fx.call @weir.quantized_linear.default(x = %x, blocks = %w, bias = none, type = none) : (!x, !b) -> !y
  fx.return %a, %c, %d, %e : !y, !y, !y, !y as [#fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>, #fx.output<user_output>]
}
