// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-codegen --emit=blocks-mlir | FileCheck %s
// RUN: weir-codegen --emit=blocks --target x86_64-linux-gnu -o %t.x86.o
// RUN: weir-codegen --emit=blocks --target aarch64-linux-gnu -o %t.arm.o
// RUN: grep -q weir_block_kernels %t.x86.o
// RUN: grep -q linear_Q6_K.v4 %t.x86.o
// RUN: grep -q linear_Q6_K.neon %t.arm.o
// RUN: not weir-codegen --emit=blocks --target riscv64-linux-gnu -o %t.none.o 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not weir-codegen 2>&1 | FileCheck %s --check-prefix=NAME
// The kernels of weights in blocks, which Weir itself is made with.

// NONE: there are no kernels for riscv64-linux-gnu
// NAME: name the file of kernels

// A number is rounded twice, as gguf-py's is: d q, then + m.
// CHECK-LABEL: func.func @unpack_Q4_1(
// CHECK:       scf.for
// CHECK:       arith.uitofp {{.*}} : vector<16xi8> to vector<16xf32>
// CHECK:       arith.mulf {{.*}} : vector<16xf32>
// CHECK:       arith.addf {{.*}} : vector<16xf32>
// CHECK-NOT:   math.fma
// CHECK:       return

// The product with a token is fused. Four tokens share what is unpacked, then the
// rest go one by one, with two sums each.
// CHECK-LABEL: func.func @linear_Q4_1(
// CHECK:       scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK-COUNT-8: math.fma {{.*}} : vector<16xf32>
// CHECK:       scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>, vector<16xf32>)
// CHECK-COUNT-2: math.fma {{.*}} : vector<16xf32>
// CHECK:       return

// Integers are multiplied as they are and added in pairs; scales come after.
// CHECK-LABEL: func.func @rounded_Q4_1(
// CHECK:       arith.muli {{.*}} : vector<16xi32>
// CHECK:       arith.addi {{.*}} : vector<16xi32>
// CHECK:       arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
// CHECK:       math.fma {{.*}} : vector<16xf32>

// With many tokens, rows that were unpacked are multiplied, several of both at a time.
// CHECK-LABEL: func.func @product(
// CHECK:       {weir.jam = "rows"}
// CHECK:       {weir.jam = "tokens"}
