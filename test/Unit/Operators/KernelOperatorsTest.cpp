//===- KernelOperatorsTest.cpp - Kernels as operators of PyTorch ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The wrappers alone, around kernels that a C compiler made, so that sanitizers
// see every access (asan-ubsan in CMakePresets.json).
//
//===----------------------------------------------------------------------===//

#include "weir/Kernels/weir_kernels.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>

namespace {

using at::Tensor;

Tensor added() { return at::tensor({1.0f, -2.0f, 0.5f}); }

/// Calls an operator with what its schema takes.
torch::jit::Stack call(const char *name, std::vector<c10::IValue> arguments) {
  auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
  torch::jit::Stack stack(std::move(arguments));
  op.callBoxed(&stack);
  return stack;
}

Tensor edit(const Tensor &x, const Tensor &plan, const Tensor &c = added(),
            const char *kernel = "by_hand") {
  auto stack = call("weir::edit", {x, c10::List<Tensor>({plan}),
                                   c10::List<Tensor>({c}), std::string(kernel)});
  return stack.front().toTensor();
}

Tensor formula(const Tensor &x, const Tensor &plan) {
  return at::where(plan.ge(0).view({-1, 1, 1}), x + added(), x);
}

class KernelOperators : public ::testing::Test {
protected:
  static void SetUpTestSuite() {
    auto stack = call("weir::load_kernels", {std::string(WEIR_KERNELS_BY_HAND)});
    ASSERT_EQ(stack.front().toInt(), 0);
  }
  Tensor plan = at::tensor({0, -1, 3, -1, 2}, at::kLong);
};

TEST_F(KernelOperators, Edits) {
  Tensor x = at::randn({5, 7, 3});
  EXPECT_TRUE(at::equal(edit(x, plan), formula(x, plan)));
  EXPECT_TRUE(at::equal(edit(x.slice(0, 0, 1), plan.slice(0, 0, 1)),
                        formula(x, plan).slice(0, 0, 1)));
}

TEST_F(KernelOperators, NoTokens) {
  EXPECT_EQ(edit(at::empty({0, 7, 3}), plan.slice(0, 0, 0)).numel(), 0);
  Tensor none = edit(at::empty({5, 0, 3}), plan);
  EXPECT_EQ(none.sizes(), at::IntArrayRef({5, 0, 3}));
}

TEST_F(KernelOperators, Strides) {
  Tensor x = at::randn({5, 7, 3}), want = formula(x, plan);
  Tensor wide = at::zeros({5, 7, 8});
  wide.slice(2, 5, 8).copy_(x);
  EXPECT_TRUE(at::equal(edit(wide.slice(2, 5, 8), plan), want));
  Tensor turned = x.transpose(0, 1).contiguous().transpose(0, 1);
  EXPECT_TRUE(at::equal(edit(turned, plan), want));
  // Columns that are apart are copied, and so is a constant.
  Tensor apart = x.transpose(1, 2).contiguous().transpose(1, 2);
  EXPECT_TRUE(at::equal(edit(apart, plan), want));
  Tensor every = at::stack({added(), added()}, 1).select(1, 0);
  EXPECT_TRUE(at::equal(edit(x, plan, every), want));
  EXPECT_TRUE(at::equal(edit(x, plan.flip(0).contiguous().flip(0)), want));
  // One token that stands for all, and a plan that does.
  Tensor one = x.slice(1, 0, 1).expand({5, 7, 3});
  EXPECT_TRUE(at::equal(edit(one, plan), formula(one, plan)));
  EXPECT_TRUE(at::equal(edit(x, plan.slice(0, 2, 3)), x + added()));
}

TEST_F(KernelOperators, Threads) {
  Tensor x = at::randn({5, 20000, 3}), want = formula(x, plan);
  int before = at::get_num_threads();
  for (int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(edit(x, plan), want));
  }
  at::set_num_threads(before);
}

TEST_F(KernelOperators, InPlace) {
  Tensor wide = at::randn({5, 7, 8}), kept = wide.clone();
  Tensor x = wide.slice(2, 5, 8), want = formula(x.clone(), plan);
  call("weir::edit_", {x, c10::List<Tensor>({plan}), c10::List<Tensor>({added()}),
                       std::string("by_hand")});
  EXPECT_TRUE(at::equal(x, want));
  EXPECT_TRUE(at::equal(wide.slice(2, 0, 5), kept.slice(2, 0, 5)));
  Tensor apart = at::randn({5, 3, 7}).transpose(1, 2);
  EXPECT_ANY_THROW(call("weir::edit_", {apart, c10::List<Tensor>({plan}),
                                        c10::List<Tensor>({added()}),
                                        std::string("by_hand")}));
}

TEST_F(KernelOperators, Reads) {
  Tensor x = at::randn({5, 7, 3});
  auto read = [&](std::vector<int64_t> columns) {
    return call("weir::edit_and_read",
                {x, c10::List<Tensor>({plan}), c10::List<Tensor>({added()}),
                 c10::List<int64_t>(columns), std::string("by_hand_reading")})
        .front()
        .toTensorVector();
  };
  auto results = read({1});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_TRUE(at::equal(results[0], formula(x, plan)));
  EXPECT_TRUE(at::allclose(results[1], x.sum(-1, /*keepdim=*/true)));
  EXPECT_ANY_THROW(read({}));
  EXPECT_ANY_THROW(read({2}));
  EXPECT_ANY_THROW(read({1, 1}));
}

TEST_F(KernelOperators, Refused) {
  Tensor x = at::randn({5, 7, 3});
  EXPECT_ANY_THROW(edit(x, plan, added(), "another"));
  EXPECT_ANY_THROW(edit(x, plan, added(), ""));
  EXPECT_ANY_THROW(edit(x, plan, added(), "by_hand_reading"));
  EXPECT_ANY_THROW(edit(x.to(at::kDouble), plan));
  EXPECT_ANY_THROW(edit(x.to(at::kBFloat16), plan));
  EXPECT_ANY_THROW(edit(x.select(0, 0), plan));
  EXPECT_ANY_THROW(edit(x.unsqueeze(0), plan));
  EXPECT_ANY_THROW(edit(x.slice(2, 0, 2), plan));
  EXPECT_ANY_THROW(edit(x, plan.slice(0, 0, 4)));
  EXPECT_ANY_THROW(edit(x, plan.to(at::kInt)));
  EXPECT_ANY_THROW(edit(x, plan, added().slice(0, 0, 2)));
  EXPECT_ANY_THROW(edit(x, plan, added().view({1, 3})));
  for (int inputs : {0, 2})
    EXPECT_ANY_THROW(call("weir::edit", {x, c10::List<Tensor>(
                                                std::vector<Tensor>(inputs, plan)),
                                         c10::List<Tensor>({added()}),
                                         std::string("by_hand")}));
}

} // namespace
