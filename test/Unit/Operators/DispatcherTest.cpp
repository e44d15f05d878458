//===- DispatcherTest.cpp - The catalogue against LibTorch ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Walks everything that LibTorch's dispatcher has and sorts it by the catalogue.
// What a row says has to be what the operator's schema says.
//
//===----------------------------------------------------------------------===//

#include "weir/Kernels/weir_kernels.h"
#include "weir/Operators/JoinedCalls.h"
#include "weir/Operators/KernelCalls.h"
#include "weir/Operators/Operators.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>

#include <map>

using namespace llvm;
using namespace weir;

namespace {

c10::Dispatcher &dispatcher() { return c10::Dispatcher::singleton(); }

/// "aten.add.Tensor" as the dispatcher writes it.
c10::OperatorName nameOf(StringRef text) {
  auto [space, rest] = text.split('.');
  auto [name, overload] = rest.split('.');
  return {(space + "::" + name).str(),
          overload == "default" ? std::string() : overload.str()};
}

/// "aten::add.Tensor" as archives write it.
std::string targetOf(const c10::OperatorName &name) {
  std::string text = "torch.ops." + name.name;
  text.replace(text.find("::"), 2, ".");
  return text + "." + (name.overload_name.empty() ? "default" : name.overload_name);
}

/// Calls `visit` with every row that the dispatcher should have.
template <typename Visit> void forEachRow(Visit visit) {
  for (const OperatorInfo &info : operatorCatalogue()) {
    if (info.isBuiltin())
      continue;
    SCOPED_TRACE(info.name.str());
    std::optional<c10::OperatorHandle> op =
        dispatcher().findSchema(nameOf(info.name));
    if (op)
      visit(info, *op);
    else
      ADD_FAILURE() << "LibTorch has no such operator";
  }
}

// The operators of kernels are Weir's own; the library that has them is linked
// only if something of it is called.
const bool kernelsAreThere = weir_kernels_load("no such file") != nullptr;

TEST(Dispatcher, IsSortedByTheCatalogue) {
  ASSERT_TRUE(kernelsAreThere);
  std::map<OperatorEffect, size_t> allowed;
  size_t refused = 0;
  OperatorPolicy policy;
  for (const c10::OperatorName &name : dispatcher().getAllOpNames()) {
    std::optional<c10::OperatorHandle> op = dispatcher().findSchema(name);
    if (!op)
      continue; // a kernel without a schema cannot be called
    std::string target = targetOf(name);
    const OperatorInfo *info = findOperator(target);
    EXPECT_EQ(policy.allows(target), info && info->isAllowed) << target;
    if (info)
      ++allowed[info->effect];
    else
      ++refused;
  }
  size_t rows = count_if(operatorCatalogue(), [](const OperatorInfo &info) {
    return !info.isBuiltin();
  });
  size_t sum = 0;
  for (auto [effect, count] : allowed)
    sum += count;
  EXPECT_EQ(sum, rows) << "a row that the dispatcher does not list";
  EXPECT_GT(refused, sum) << "the dispatcher was not walked whole";
  std::printf("[ counts   ] %zu operators: %zu not known, %zu known (%zu without "
              "effects, %zu views, %zu that write, %zu random, %zu checks)\n",
              sum + refused, refused, sum, allowed[OperatorEffect::None],
              allowed[OperatorEffect::View], allowed[OperatorEffect::Writes],
              allowed[OperatorEffect::Random], allowed[OperatorEffect::Checks]);
}

TEST(Dispatcher, EffectsAreThoseOfTheSchemas) {
  forEachRow([](const OperatorInfo &info, const c10::OperatorHandle &op) {
    const c10::FunctionSchema &schema = op.schema();
    SmallVector<StringRef> written, aliased;
    for (const c10::Argument &argument : schema.arguments())
      if (argument.alias_info())
        (argument.alias_info()->isWrite() ? written : aliased)
            .push_back(argument.name());
    bool returnsAlias = any_of(schema.returns(), [](const c10::Argument &result) {
      return result.alias_info() != nullptr;
    });
    bool isRandom = op.hasTag(at::Tag::nondeterministic_seeded);
    switch (info.effect) {
    case OperatorEffect::None:
      EXPECT_TRUE(written.empty() && aliased.empty() && !returnsAlias) << schema;
      EXPECT_FALSE(isRandom) << schema;
      break;
    case OperatorEffect::View:
      EXPECT_TRUE(written.empty()) << schema;
      EXPECT_TRUE(returnsAlias) << schema;
      // All that knows about memory goes by this argument.
      EXPECT_EQ(aliased, SmallVector<StringRef>{info.input}) << schema;
      EXPECT_FALSE(isRandom) << schema;
      break;
    case OperatorEffect::Writes:
      EXPECT_TRUE(aliased.empty()) << schema;
      for (StringRef name : written)
        EXPECT_TRUE(info.writes(name)) << schema;
      EXPECT_EQ(written, SmallVector<StringRef>(split(info.written, ',')))
          << schema;
      EXPECT_FALSE(isRandom) << schema;
      break;
    case OperatorEffect::Random:
      EXPECT_TRUE(written.empty() && !returnsAlias) << schema;
      EXPECT_TRUE(isRandom) << schema;
      break;
    case OperatorEffect::Checks:
      EXPECT_TRUE(written.empty() && aliased.empty()) << schema;
      EXPECT_TRUE(schema.returns().empty()) << schema;
      break;
    }
    // What gives nothing is there for something else.
    EXPECT_EQ(schema.returns().empty(), info.effect == OperatorEffect::Checks)
        << schema;
    EXPECT_EQ(!info.written.empty(), info.effect == OperatorEffect::Writes);
    if (!info.chance.empty() || !info.training.empty())
      EXPECT_EQ(info.effect, OperatorEffect::Random);
  });
}

/// The argument of that name, or null.
const c10::Argument *argumentOf(const c10::FunctionSchema &schema,
                                StringRef name) {
  auto index = schema.argumentIndexWithName(name.str());
  return index ? &schema.arguments()[*index] : nullptr;
}

TEST(Dispatcher, NamedArgumentsAreThere) {
  forEachRow([](const OperatorInfo &info, const c10::OperatorHandle &op) {
    const c10::FunctionSchema &schema = op.schema();
    auto isTensor = [](const c10::Argument &argument) {
      std::string type = argument.type()->str();
      return type == "Tensor" || type == "Tensor?" || type == "Optional[Tensor]";
    };
    for (StringRef name : {info.weight, info.bias}) {
      if (name.empty())
        continue;
      const c10::Argument *argument = argumentOf(schema, name);
      ASSERT_TRUE(argument) << schema << " has no " << name.str();
      EXPECT_TRUE(isTensor(*argument)) << schema << ' ' << name.str();
    }
    bool asksForInput =
        info.role != OperatorRole::Other ||
        info.identity != OperatorIdentity::Never || info.input != "self" ||
        info.costKind() == OperatorCost::Reduction ||
        info.costKind() == OperatorCost::Sort ||
        info.costKind() == OperatorCost::Product;
    if (asksForInput)
      EXPECT_TRUE(argumentOf(schema, info.input)) << schema;
    if (info.role == OperatorRole::Sum || info.role == OperatorRole::Multiply)
      EXPECT_TRUE(argumentOf(schema, "other")) << schema;
    if (info.role == OperatorRole::Linear || info.role == OperatorRole::Gather)
      EXPECT_FALSE(info.weight.empty()) << schema;
    // One result is what is handed on.
    if (info.identity != OperatorIdentity::Never)
      EXPECT_EQ(schema.returns().size(), 1u) << schema;
    if (!info.chance.empty()) {
      const c10::Argument *chance = argumentOf(schema, info.chance);
      ASSERT_TRUE(chance) << schema;
      EXPECT_EQ(chance->type()->str(), "float") << schema;
      if (chance->default_value())
        EXPECT_EQ(chance->default_value()->toDouble(), 0.0) << schema;
    }
    if (!info.training.empty())
      EXPECT_TRUE(argumentOf(schema, info.training)) << schema;
    if (info.costKind() == OperatorCost::Attention)
      EXPECT_TRUE(argumentOf(schema, "key") && argumentOf(schema, "value"));
  });
}

TEST(Dispatcher, JoinedOperatorsTakeListsOfWhatEachTakes) {
  size_t found = 0;
  forEachRow([&](const OperatorInfo &info, const c10::OperatorHandle &op) {
    const JoinedOperator *row = findJoinedOf(info.name);
    if (!row)
      return;
    ++found;
    EXPECT_EQ(findJoinedOf(row->joined), nullptr);
    const OperatorInfo *joinedInfo = findOperatorNamed(row->joined);
    ASSERT_TRUE(joinedInfo);
    // Who may do one may do several, and it costs as much.
    EXPECT_EQ(joinedInfo->effect, OperatorEffect::None);
    EXPECT_EQ(joinedInfo->isAllowed, info.isAllowed);
    EXPECT_EQ(joinedInfo->costKind(), info.costKind());
    EXPECT_EQ(joinedInfo->packing, info.packing);
    EXPECT_EQ(row->common.front(), info.input);
    EXPECT_EQ(row->lists.front(), info.weight);
    std::optional<c10::OperatorHandle> joined =
        dispatcher().findSchema(nameOf(row->joined));
    ASSERT_TRUE(joined);
    const c10::FunctionSchema &each = op.schema(), &all = joined->schema();
    ASSERT_EQ(each.arguments().size(), row->common.size() + row->lists.size());
    ASSERT_EQ(all.arguments().size(), each.arguments().size());
    for (StringRef name : row->common) {
      ASSERT_TRUE(argumentOf(each, name) && argumentOf(all, name)) << name.str();
      EXPECT_EQ(*argumentOf(each, name), *argumentOf(all, name));
    }
    for (StringRef name : row->lists) {
      ASSERT_TRUE(argumentOf(each, name) && argumentOf(all, name)) << name.str();
      EXPECT_TRUE(argumentOf(all, name)->type()->isSubtypeOf(
          *c10::ListType::create(argumentOf(each, name)->type())))
          << all << ' ' << name.str();
    }
    EXPECT_EQ(all.returns().size(), 1u);
    EXPECT_EQ(all.returns().front().type()->str(), "Tensor[]");
  });
  EXPECT_EQ(found, 1u);
}

TEST(Dispatcher, LinearMapsHaveTheLayoutTheySay) {
  // Weights of three outputs and two inputs: only one layout takes two numbers.
  at::Tensor x = at::ones({1, 2});
  size_t plain = 0;
  forEachRow([&](const OperatorInfo &info, const c10::OperatorHandle &op) {
    if (info.role != OperatorRole::Linear ||
        info.packing != WeightPacking::Plain)
      return;
    ++plain;
    bool isOutIn = info.layout == WeightLayout::OutIn;
    at::Tensor weight = isOutIn ? at::ones({3, 2}) : at::ones({2, 3});
    torch::jit::Stack stack;
    for (const c10::Argument &argument : op.schema().arguments()) {
      if (argument.name() == info.input)
        stack.emplace_back(x);
      else if (argument.name() == info.weight)
        stack.emplace_back(weight);
      else if (argument.name() == info.bias)
        stack.emplace_back(at::ones({3}));
      else
        stack.emplace_back(*argument.default_value());
    }
    op.callBoxed(stack);
    at::Tensor y = stack.front().toTensor();
    float expected = info.bias.empty() ? 2 : 3;
    EXPECT_TRUE(at::equal(y, at::full({1, 3}, expected)));
  });
  EXPECT_EQ(plain, 4u);
}

TEST(Dispatcher, IdentitiesHandOnTheirInput) {
  size_t called = 0;
  forEachRow([&](const OperatorInfo &info, const c10::OperatorHandle &op) {
    if (info.identity == OperatorIdentity::Never)
      return;
    // A type and sizes that each of them can leave alone.
    at::Tensor x = at::arange(6, at::kFloat).view({2, 3}).clone();
    torch::jit::Stack stack;
    for (const c10::Argument &argument : op.schema().arguments()) {
      std::string name = argument.name();
      if (name == info.input)
        stack.emplace_back(x);
      else if (name == "other")
        stack.emplace_back(x.clone());
      else if (name == "size" || name == "shape" || name == "sizes")
        stack.emplace_back(std::vector<int64_t>(
            info.name == "aten.unflatten.int" ? std::vector<int64_t>{3}
                                              : std::vector<int64_t>{2, 3}));
      else if (name == "dim" && argument.type()->str() == "int[]")
        stack.emplace_back(std::vector<int64_t>{1});
      else if (name == "dim" || name == "start_dim" || name == "end_dim")
        stack.emplace_back(int64_t(1));
      else if (name == "dtype")
        stack.emplace_back(at::kFloat);
      else if (name == "device")
        stack.emplace_back(at::Device(at::kCPU));
      else if (name == "p")
        stack.emplace_back(0.5);
      else if (name == "train")
        stack.emplace_back(false);
      else
        stack.emplace_back(*argument.default_value());
    }
    op.callBoxed(stack);
    at::Tensor y = stack.front().toTensor();
    ++called;
    if (info.identity == OperatorIdentity::SameType && y.sizes() != x.sizes())
      y = y.reshape(x.sizes());
    EXPECT_TRUE(at::equal(x, y));
  });
  EXPECT_GT(called, 20u);
}

TEST(Dispatcher, RowsTakeNumbersAndTensorsOnly) {
  // Internals of which each was read: what they do is what their public
  // counterpart does, after the same checks.
  constexpr StringLiteral reviewed[] = {
      "aten.__and__.Tensor",   "aten.__and__.Scalar",
      "aten.__or__.Tensor",    "aten.__or__.Scalar",
      "aten.__xor__.Tensor",   "aten.__xor__.Scalar",
      "aten.__lshift__.Tensor", "aten.__lshift__.Scalar",
      "aten.__rshift__.Tensor", "aten.__rshift__.Scalar",
      "aten._softmax.default", "aten._log_softmax.default",
      "aten._to_copy.default", "aten._local_scalar_dense.default",
      "aten._assert_async.default", "aten._assert_async.msg",
      "aten._assert_scalar.default", "aten._assert_tensor_metadata.default",
      "aten._scaled_dot_product_flash_attention_for_cpu.default"};
  forEachRow([&](const OperatorInfo &info, const c10::OperatorHandle &op) {
    StringRef name = StringRef(info.name).split('.').second;
    EXPECT_TRUE(!name.starts_with("_") || !info.isAllowed ||
                is_contained(reviewed, info.name));
    for (StringRef part : {"unsafe", "sparse", "quantize", "set_"})
      // PyTorch's quantised tensors; Weir's own products take plain bytes.
      if (part != "quantize" || StringRef(info.name).starts_with("aten."))
        EXPECT_FALSE(name.starts_with(part) ||
                     name.contains(("_" + part).str()));
    StringRef overload = name.split('.').second;
    EXPECT_FALSE(overload == "out" || overload.ends_with("_out"));
    // The shape of a weight would stay changed. (detach_ changes none.)
    EXPECT_TRUE(!op.hasTag(at::Tag::inplace_view) ||
                info.name == "aten.detach_.default");
    for (const c10::Argument &argument : op.schema().arguments()) {
      std::string type = argument.type()->str();
      for (const char *word : {"Storage", "Stream", "QScheme", "Dict", "Any",
                               "Future", "Dimname", "__torch__"})
        EXPECT_EQ(type.find(word), std::string::npos) << type;
    }
  });
}

TEST(Dispatcher, SmallNumbersAreArguments) {
  forEachRow([](const OperatorInfo &info, const c10::OperatorHandle &op) {
    SmallVector<StringRef> names;
    StringRef(info.small).split(names, ',', -1, /*KeepEmpty=*/false);
    for (StringRef name : names)
      EXPECT_TRUE(op.schema().argumentIndexWithName(name.str()).has_value())
          << name.str();
  });
}

TEST(Dispatcher, DangerousOnesAreThereAndRefused) {
  // Memory and sizes on trust, files, output, memory of others, shapes of
  // weights, threads, sparse and quantised insides. Nothing of it is called.
  for (StringRef name :
       {"aten.set_.source_Storage", "aten.set_.source_Storage_storage_offset",
        "aten.set_.source_Tensor_storage_offset", "aten.set_.source_Tensor",
        "aten.set_.default", "aten.set.source_Storage", "aten.resize_.default",
        "aten.resize_as_.default", "aten.as_strided.default",
        "aten.as_strided_.default", "aten._reshape_alias.default",
        "aten._unsafe_index.Tensor", "aten._unsafe_index_put.default",
        "aten._unsafe_view.default", "aten._unsafe_masked_index.default",
        "aten.from_file.default", "aten._print.default",
        "aten.record_stream.default", "aten.empty.memory_format",
        "aten.empty_like.default", "aten.empty_strided.default",
        "aten.new_empty.default", "aten.t_.default", "aten.squeeze_.default",
        "aten.transpose_.default", "aten.unsqueeze_.default", "aten.add.out",
        "aten.embedding_bag.default", "aten._embedding_bag.default",
        "aten.embedding_renorm_.default", "aten.native_group_norm.default",
        "aten.tril_indices.default", "aten.tensor_split.sections",
        "aten._sparse_coo_tensor_unsafe.default",
        "aten._sparse_csr_tensor_unsafe.default",
        "aten._nested_view_from_buffer.default",
        "aten._weight_int4pack_mm_for_cpu.default",
        "aten.quantize_per_tensor.default", "aten.set_data.default"}) {
    EXPECT_TRUE(dispatcher().findSchema(nameOf(name)).has_value() ||
                name == "aten._print.default")
        << name.str();
    EXPECT_FALSE(OperatorPolicy().allows(("torch.ops." + name).str()))
        << name.str();
  }
  // Nothing of another namespace, but for calls of kernels (PolicyTest has which
  // those are), which whoever opens a program refuses without its kernels, and for
  // what quantised programs call.
  for (const c10::OperatorName &name : dispatcher().getAllOpNames())
    if (!StringRef(name.name).starts_with("aten::"))
      EXPECT_EQ(OperatorPolicy().allows(targetOf(name)),
                isKernelCall(targetOf(name)) ||
                    StringRef(name.name).starts_with("weir::quantized_") ||
                    name.name == "weir::cached_attention" ||
                    name.name == "weir::rms_norm" || name.name == "weir::rotate")
          << name.name;
}

} // namespace
