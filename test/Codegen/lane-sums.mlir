// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// RUN: weir-codegen %s --emit=llvm --target x86_64-linux-gnu --variant v4 -o - | FileCheck %s
// A sum of lanes whose order is free is made by halves. Sums that end side by side share the
// additions; the order of each is the same as that of one alone.

#row = strided<[?, 1]>

// Three: two of them in one vector, the third twice in another; then all in one.
// CHECK-LABEL: define internal void @three.body(
// CHECK: %[[A:.*]] = load <16 x float>
// CHECK: %[[B:.*]] = load <16 x float>
// CHECK: %[[C:.*]] = load <16 x float>
// CHECK: shufflevector <16 x float> %[[A]], <16 x float> %[[B]], <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
// CHECK: shufflevector <16 x float> %[[A]], <16 x float> %[[B]], <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
// CHECK: %[[AB:.*]] = fadd <16 x float>
// CHECK: shufflevector <16 x float> %[[C]], <16 x float> %[[C]], <16 x i32>
// CHECK: shufflevector <16 x float> %[[C]], <16 x float> %[[C]], <16 x i32>
// CHECK: %[[CC:.*]] = fadd <16 x float>
// CHECK: shufflevector <16 x float> %[[AB]], <16 x float> %[[CC]], <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 8, i32 9, i32 10, i32 11, i32 16, i32 17, i32 18, i32 19, i32 24, i32 25, i32 26, i32 27>
// CHECK: shufflevector <16 x float> %[[AB]], <16 x float> %[[CC]], <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 12, i32 13, i32 14, i32 15, i32 20, i32 21, i32 22, i32 23, i32 28, i32 29, i32 30, i32 31>
// CHECK: fadd <16 x float>
// CHECK: shufflevector <16 x float> {{.*}}, <8 x i32> <i32 0, i32 1, i32 4, i32 5, i32 8, i32 9, i32 12, i32 13>
// CHECK: shufflevector <16 x float> {{.*}}, <8 x i32> <i32 2, i32 3, i32 6, i32 7, i32 10, i32 11, i32 14, i32 15>
// CHECK: fadd <8 x float>
// CHECK: shufflevector <8 x float> {{.*}}, <4 x i32> <i32 0, i32 2, i32 4, i32 6>
// CHECK: shufflevector <8 x float> {{.*}}, <4 x i32> <i32 1, i32 3, i32 5, i32 7>
// CHECK: %[[ALL:.*]] = fadd <4 x float>
// CHECK: extractelement <4 x float> %[[ALL]], i64 0
// CHECK: extractelement <4 x float> %[[ALL]], i64 1
// CHECK: extractelement <4 x float> %[[ALL]], i64 2
// CHECK: ret void
func.func @three(%x: memref<?x16xf32, #row> {weir.role = "value", weir.sizes = array<i64: -1, 16>, weir.type = f32},
                 %y: memref<?x16xf32, #row> {weir.role = "result", weir.sizes = array<i64: -1, 16>, weir.type = f32},
                 %from: index, %to: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %a = vector.load %x[%c0, %c0] : memref<?x16xf32, #row>, vector<16xf32>
  %b = vector.load %x[%c1, %c0] : memref<?x16xf32, #row>, vector<16xf32>
  %c = vector.load %x[%c2, %c0] : memref<?x16xf32, #row>, vector<16xf32>
  %sum0 = vector.reduction <add>, %a fastmath<reassoc> : vector<16xf32> into f32
  %sum1 = vector.reduction <add>, %b fastmath<reassoc> : vector<16xf32> into f32
  %sum2 = vector.reduction <add>, %c fastmath<reassoc> : vector<16xf32> into f32
  memref.store %sum0, %y[%c0, %c0] : memref<?x16xf32, #row>
  memref.store %sum1, %y[%c0, %c1] : memref<?x16xf32, #row>
  memref.store %sum2, %y[%c0, %c2] : memref<?x16xf32, #row>
  return
}

// One that another needs is made before it, alone; one whose order is fixed stays what it is.
// CHECK-LABEL: define internal void @apart.body(
// CHECK: fadd <8 x float>
// CHECK: fadd <4 x float>
// CHECK: fadd <2 x float>
// CHECK: fadd <1 x float>
// CHECK: call float @llvm.vector.reduce.fadd.v16f32(
// CHECK: fadd <8 x float>
// CHECK: fadd <1 x float>
// CHECK: ret void
func.func @apart(%x: memref<?x16xf32, #row> {weir.role = "value", weir.sizes = array<i64: -1, 16>, weir.type = f32},
                 %y: memref<?x16xf32, #row> {weir.role = "result", weir.sizes = array<i64: -1, 16>, weir.type = f32},
                 %from: index, %to: index) {
  %c0 = arith.constant 0 : index
  %a = vector.load %x[%c0, %c0] : memref<?x16xf32, #row>, vector<16xf32>
  %sum0 = vector.reduction <add>, %a fastmath<reassoc> : vector<16xf32> into f32
  %all = vector.broadcast %sum0 : f32 to vector<16xf32>
  %b = arith.mulf %a, %all : vector<16xf32>
  %sum1 = vector.reduction <add>, %b fastmath<reassoc> : vector<16xf32> into f32
  %sum2 = vector.reduction <add>, %b : vector<16xf32> into f32
  %both = arith.mulf %sum1, %sum2 : f32
  memref.store %both, %y[%c0, %c0] : memref<?x16xf32, #row>
  return
}
