// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --fx-dce --split-input-file | FileCheck %s --check-prefixes=CHECK,KEPT
// RUN: weir-opt %s '--fx-dce=unread-state' --split-input-file | FileCheck %s --check-prefixes=CHECK,UNREAD
// What canonicalize cannot do: values that look at the same memory belong
// together.

!t = tensor<4xf32>
!m = tensor<2x2xf32>

// A temporary that is written in place and never read. All of it is dead.
// CHECK-LABEL: fx.program @dead_temporary
fx.program @dead_temporary(%x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: fx.return %x
  %a = fx.call @aten.clone.default(self = %x) : (!t) -> !t
  %v = fx.call @aten.view.default(self = %a, size = [2, 2]) : (!t) -> !m
  %w = fx.call @aten.add_.Scalar(self = %v, other = 1) : (!m) -> !m
  %u = fx.call @aten.mul_.Scalar(self = %w, other = 2) : (!m) -> !m
  fx.return %x : !t as [#fx.output<user_output>]
}

// -----

!t = tensor<4xf32>
!m = tensor<2x2xf32>

// Nobody reads the results of the writes. What they wrote is read all the same,
// through the value that was there before, or through another look at it.
// CHECK-LABEL: fx.program @read_through_others
fx.program @read_through_others(%x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: %a = fx.call @aten.clone.default
  // CHECK-NEXT: %v = fx.call @aten.view.default
  // CHECK-NEXT: %[[S:.*]] = fx.site 0/res of %v
  // CHECK-NEXT: %w = fx.call @aten.add_.Scalar(self = %[[S]]
  // CHECK-NEXT: %o = fx.call @aten.to.dtype(self = %a
  // CHECK-NEXT: %y = fx.call @aten.neg.default(self = %o
  // CHECK-NEXT: fx.return %y
  %a = fx.call @aten.clone.default(self = %x) : (!t) -> !t
  %v = fx.call @aten.view.default(self = %a, size = [2, 2]) : (!t) -> !m
  %s = fx.site 0/res of %v : !m
  %w = fx.call @aten.add_.Scalar(self = %s, other = 1) : (!m) -> !m
  %o = fx.call @aten.to.dtype(self = %a, dtype = dtype<f32>) : (!t) -> !t
  %y = fx.call @aten.neg.default(self = %o) : (!t) -> !t
  fx.return %y : !t as [#fx.output<user_output>]
}

// -----

!t = tensor<4xf32>
!p = tensor<2xf32>

// A part of a buffer is the buffer, and a part of the caller's tensor the
// caller's. The clone is neither.
// CHECK-LABEL: fx.program @parts
fx.program @parts(%k: !t = #fx.input<buffer "model"::"k">, %x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // UNREAD-NOT: self = %k
  // CHECK: %{{.*}} = fx.call @aten.slice.Tensor(self = %x
  // CHECK-NEXT: %{{.*}} = fx.call @aten.zero_.default
  // KEPT-NEXT: %s = fx.call @aten.slice.Tensor(self = %k
  // KEPT-NEXT: %w = fx.call @aten.add_.Scalar(self = %s
  // CHECK-NOT: clone
  // CHECK: fx.return %x
  %i = fx.call @aten.slice.Tensor(self = %x, dim = 0, start = 0, end = 2) : (!t) -> !p
  %z = fx.call @aten.zero_.default(self = %i) : (!p) -> !p
  %s = fx.call @aten.slice.Tensor(self = %k, dim = 0, start = 0, end = 2) : (!t) -> !p
  %w = fx.call @aten.add_.Scalar(self = %s, other = 1) : (!p) -> !p
  %c = fx.call @aten.clone.default(self = %k) : (!t) -> !t
  %n = fx.call @aten.neg_.default(self = %c) : (!t) -> !t
  fx.return %x : !t as [#fx.output<user_output>]
}

// -----

!t = tensor<4xf32>

// What the next run reads is written in this one, after it was read.
// CHECK-LABEL: fx.program @next_run
fx.program @next_run(%k: !t = #fx.input<buffer "model"::"k">, %x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: %y = fx.call @aten.add.Tensor
  // CHECK-NEXT: %w = fx.call @aten.add_.Tensor(self = %k
  // CHECK-NEXT: fx.return %y
  %y = fx.call @aten.add.Tensor(self = %k, other = %x) : (!t, !t) -> !t
  %w = fx.call @aten.add_.Tensor(self = %k, other = %x) : (!t, !t) -> !t
  fx.return %y : !t as [#fx.output<user_output>]
}

// -----

!t = tensor<4xf32>

// A chain of state: what is returned needs k, which needs l.
// UNREAD-LABEL: fx.program @chain
// UNREAD-COUNT-2: aten.add_.Tensor
// UNREAD-NOT: self = %m
// UNREAD: fx.return
fx.program @chain(%k: !t = #fx.input<buffer "model"::"k">, %l: !t = #fx.input<buffer "model"::"l">,
                  %m: !t = #fx.input<buffer "model"::"m">, %x: !t = #fx.input<user_input>) {
  %y = fx.call @aten.clone.default(self = %k) : (!t) -> !t
  %a = fx.call @aten.add_.Tensor(self = %k, other = %l) : (!t, !t) -> !t
  %b = fx.call @aten.add_.Tensor(self = %l, other = %x) : (!t, !t) -> !t
  %c = fx.call @aten.add_.Tensor(self = %m, other = %k) : (!t, !t) -> !t
  fx.return %y : !t as [#fx.output<user_output>]
}

// -----

#d = #fx.dims<s0 = 2, s1 = 3>
!h = tensor<?x?x4xf32, #d>
!w = tensor<4x4xf32>
!c = tensor<8x4xf32>
!i = tensor<?x?xi64, #d>

// The second layer is not needed. It goes whole, with its checks and sizes; the
// cache that it writes is a buffer, which stays with what is written into it
// unless nobody ever reads it.
// CHECK-LABEL: fx.program @dead_layer
fx.program @dead_layer(%w: !w = #fx.input<parameter "model"::"w">, %k: !c = #fx.input<buffer "model"::"k">,
                       %ids: !i = #fx.input<user_input>) {
  // CHECK: %h = fx.call @aten.embedding.default
  // CHECK-NEXT: fx.call @aten._assert_tensor_metadata.default(a = %h
  // CHECK-NEXT: %n = fx.call @aten.sym_size.int(self = %h
  // CHECK-NEXT: %g = fx.call @_operator.ge(_ = %n
  // CHECK-NEXT: fx.call @aten._assert_scalar.default(self = %g
  // CHECK-NEXT: %l = fx.call @aten.linear.default(input = %h
  // CHECK-NEXT: fx.return %l
  %h = fx.call @aten.embedding.default(weight = %w, indices = %ids) : (!w, !i) -> !h
  fx.call @aten._assert_tensor_metadata.default(a = %h, dtype = dtype<f32>) : (!h) -> ()
  %n = fx.call @aten.sym_size.int(self = %h, dim = 1) : (!h) -> !fx.symint<s1 = 3>
  %g = fx.call @_operator.ge(_ = %n, _ = 1) : (!fx.symint<s1 = 3>) -> !fx.symbool
  fx.call @aten._assert_scalar.default(self = %g, assert_msg = "no tokens") : (!fx.symbool) -> ()
  %r = fx.call @aten.rms_norm.default(input = %h, normalized_shape = [4]) : (!h) -> !h
  %q = fx.call @aten.linear.default(input = %r, weight = %w) : (!h, !w) -> !h
  fx.call @aten._assert_tensor_metadata.default(a = %q, dtype = dtype<f32>) : (!h) -> ()
  %m = fx.call @aten.sym_size.int(self = %q, dim = 1) : (!h) -> !fx.symint<s1 = 3>
  %f = fx.call @_operator.ge(_ = %m, _ = 1) : (!fx.symint<s1 = 3>) -> !fx.symbool
  fx.call @aten._assert_scalar.default(self = %f, assert_msg = "no tokens") : (!fx.symbool) -> ()
  %o = fx.call @aten.scaled_dot_product_attention.default(query = %q, key = %q, value = %q, attn_mask = none, dropout_p = 0.0) : (!h, !h, !h) -> !h
  %s = fx.call @aten.add.Tensor(self = %h, other = %o) : (!h, !h) -> !h
  %site = fx.site 1/res of %s : !h
  %x = fx.call @aten.relu_.default(self = %site) : (!h) -> !h
  %l = fx.call @aten.linear.default(input = %h, weight = %w) : (!h, !w) -> !h
  fx.return %l : !h as [#fx.output<user_output>]
}

// -----

#d = #fx.dims<s0 = 2, s1 = 3>
!h = tensor<?x?x4xf32, #d>
!c = tensor<8x4xf32>
!i = tensor<?xi64, #fx.dims<s0 = 2>>
!r = tensor<?x4xf32, #fx.dims<s0 = 2>>

// A cache that only a dead layer reads.
// CHECK-LABEL: fx.program @dead_cache
fx.program @dead_cache(%k: !c = #fx.input<buffer "model"::"k">, %i: !i = #fx.input<user_input>,
                       %x: !r = #fx.input<user_input>) {
  // CHECK: %x: {{.*}} = #fx.input<user_input>)
  // KEPT-NEXT: %n = fx.call @aten.neg.default
  // KEPT-NEXT: %p = fx.call @aten.index_put_.default(self = %k
  // CHECK-NEXT: fx.return %x
  %n = fx.call @aten.neg.default(self = %x) : (!r) -> !r
  %p = fx.call @aten.index_put_.default(self = %k, indices = optional_tensors[%i], values = %n) : (!c, !i, !r) -> !c
  %o = fx.call @aten.matmul.default(self = %n, other = %p) : (!r, !c) -> !r
  %a = fx.call @aten.relu.default(self = %o) : (!r) -> !r
  fx.return %x : !r as [#fx.output<user_output>]
}

// -----

!t = tensor<4xf32>

// Of an operator that is not known nothing is: what it takes, and what that may
// be another look at, is written for it.
// CHECK-LABEL: fx.program @unknown
fx.program @unknown(%x: !t = #fx.input<user_input>) {
  // CHECK: #fx.input<user_input>)
  // CHECK-NEXT: %a = fx.call @aten.clone.default
  // CHECK-NEXT: %w = fx.call @aten.neg_.default
  // CHECK-NEXT: %u = fx.call @mine.op.default(x = %a)
  // CHECK-NEXT: %v = fx.call @aten.exp_.default(self = %u)
  // CHECK-NEXT: fx.return %x
  %a = fx.call @aten.clone.default(self = %x) : (!t) -> !t
  %w = fx.call @aten.neg_.default(self = %a) : (!t) -> !t
  %u = fx.call @mine.op.default(x = %a) : (!t) -> !t
  %v = fx.call @aten.exp_.default(self = %u) : (!t) -> !t
  %b = fx.call @aten.exp.default(self = %u) : (!t) -> !t
  fx.return %x : !t as [#fx.output<user_output>]
}

// -----

!t = tensor<4xf32>

// Outputs that are written back are outputs.
// CHECK-LABEL: fx.program @mutation
fx.program @mutation(%k: !t = #fx.input<buffer "model"::"k">, %x: !t = #fx.input<user_input>) {
  // CHECK: %n = fx.call @aten.add.Tensor
  // CHECK-NEXT: fx.return %x, %n
  %n = fx.call @aten.add.Tensor(self = %k, other = %x) : (!t, !t) -> !t
  fx.return %x, %n : !t, !t as [#fx.output<user_output>, #fx.output<buffer_mutation "k">]
}
