// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-codegen --emit=blocks-mlir --target x86_64-linux-gnu | FileCheck %s
// RUN: weir-codegen --emit=blocks-mlir --target x86_64-linux-gnu --variant vnni | FileCheck %s --check-prefix=LOOKUP
// RUN: weir-codegen --emit=blocks-mlir --target aarch64-linux-gnu | FileCheck %s --check-prefix=ARM
// RUN: weir-codegen --emit=blocks --target x86_64-linux-gnu -o %t.x86.o
// RUN: weir-codegen --emit=blocks --target aarch64-linux-gnu -o %t.arm.o
// RUN: grep -q weir_block_kernels %t.x86.o
// RUN: grep -q linear_Q6_K.v4 %t.x86.o
// RUN: grep -q rounded_Q6_K.vnni %t.x86.o
// RUN: grep -q linear_Q6_K.neon %t.arm.o
// RUN: not weir-codegen --emit=blocks --target riscv64-linux-gnu -o %t.none.o 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not weir-codegen 2>&1 | FileCheck %s --check-prefix=NAME
// The kernels of weights in blocks, which Weir itself is made with.

// No instructions of another processor.
// ARM-NOT: llvm.x86

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

// Four bits of two blocks: 16 bytes of each twice, of which the second time the upper
// halves count. Products of neighbours are added as integers; scales come after, and
// minima times the sum of a token's numbers.
// CHECK-LABEL: func.func @rounded_Q4_1(
// CHECK:       arith.shrui {{.*}} : vector<16xi32>
// CHECK:       arith.andi {{.*}} : vector<64xi8>
// CHECK:       llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
// CHECK:       llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// CHECK:       arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
// CHECK:       math.fma {{.*}} : vector<16xf32>
// CHECK:       arith.addf {{.*}} : vector<4xf32>

// Bytes of eight bits would be too large for sums of 16.
// CHECK-LABEL: func.func @rounded_Q8_0(
// CHECK-NOT:   pmadd
// CHECK:       arith.muli {{.*}} : vector<64xi16>

// Where there is an instruction for it, a block's sixteen numbers are made once and then
// looked up, and products of four neighbours are one instruction.
// LOOKUP-LABEL: func.func @linear_Q4_1(
// LOOKUP:       arith.mulf {{.*}} : vector<16xf32>
// LOOKUP-NEXT:  arith.addf {{.*}} : vector<16xf32>
// LOOKUP-COUNT-2: llvm.call_intrinsic "llvm.x86.avx512.permvar.sf.512"
// LOOKUP-LABEL: func.func @rounded_Q8_0(
// LOOKUP:       arith.xori {{.*}} : vector<64xi8>
// LOOKUP:       llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"

// With many tokens, rows that were unpacked are multiplied, several of both at a time.
// CHECK-LABEL: func.func @product(
// CHECK:       {weir.jam = "rows"}
// CHECK:       {weir.jam = "tokens"}

// Attention over a cache is that product, a softmax in three walks over a row's scores,
// and a sum of values, each in an order of its own row.
// CHECK-LABEL: func.func @softmax(
// CHECK:       arith.cmpf ogt
// CHECK:       arith.divf {{.*}} : f32
// CHECK-LABEL: func.func @combine(
// CHECK-COUNT-4: math.fma
// CHECK-LABEL: func.func @rms_norm(
// CHECK:       math.sqrt
