// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-opt %s --fx-drop-inputs | FileCheck %s
// Weights that nothing reads leave the program, and of what the caller passes only
// what is there for steering.

// CHECK-LABEL: fx.program @main(
// CHECK-NEXT: %w: tensor<4xf32> = #fx.input<parameter "model"::"w">,
// CHECK-NEXT: %kept: tensor<4xf32> = #fx.input<buffer "model"::"kept">,
// CHECK-NEXT: %input_ids: tensor<?x?xi64> = #fx.input<user_input, role = input_ids>,
// CHECK-NEXT: %positions: tensor<?x?xi64> = #fx.input<user_input, role = positions>,
// CHECK-NEXT: %plain: tensor<4xf32> = #fx.input<user_input>) {
fx.program @main(%w: tensor<4xf32> = #fx.input<parameter "model"::"w">,
    %dead: tensor<4xf32> = #fx.input<parameter "model"::"dead">,
    %kept: tensor<4xf32> = #fx.input<buffer "model"::"kept">,
    %cache: tensor<4xf32> = #fx.input<buffer "model"::"cache">,
    %input_ids: tensor<?x?xi64> = #fx.input<user_input, role = input_ids>,
    %positions: tensor<?x?xi64> = #fx.input<user_input, role = positions>,
    %plain: tensor<4xf32> = #fx.input<user_input>,
    %prompt_length: tensor<?xi64> = #fx.input<user_input, role = prompt_length>) {
  // The new value of a buffer is an output that names it.
  fx.return %w, %w : tensor<4xf32>, tensor<4xf32> as [#fx.output<buffer_mutation "kept">, #fx.output<user_output>]
}
