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

#include "weir/Operators/Operators.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

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

TEST(Dispatcher, IsSortedByTheCatalogue) {
  std::map<OperatorEffect, size_t> allowed;
  size_t refused = 0;
  OperatorPolicy policy;
  for (const c10::OperatorName &name : dispatcher().getAllOpNames()) {
    std::optional<c10::OperatorHandle> op = dispatcher().findSchema(name);
    if (!op)
      continue; // a kernel without a schema cannot be called
    std::string target = targetOf(name);
    const OperatorInfo *info = findOperator(target);
    EXPECT_EQ(policy.allows(target), info != nullptr) << target;
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
  std::printf("[ counts   ] %zu operators: %zu refused, %zu allowed (%zu without "
              "effects, %zu views, %zu that write, %zu random)\n",
              sum + refused, refused, sum, allowed[OperatorEffect::None],
              allowed[OperatorEffect::View], allowed[OperatorEffect::Writes],
              allowed[OperatorEffect::Random]);
}

TEST(Dispatcher, EffectsAreThoseOfTheSchemas) {
  forEachRow([](const OperatorInfo &info, const c10::OperatorHandle &op) {
    const c10::FunctionSchema &schema = op.schema();
    SmallVector<int> written, aliased;
    for (auto [index, argument] : enumerate(schema.arguments())) {
      if (!argument.alias_info())
        continue;
      (argument.alias_info()->isWrite() ? written : aliased).push_back(index);
    }
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
      EXPECT_FALSE(isRandom) << schema;
      break;
    case OperatorEffect::Writes:
      EXPECT_EQ(written, SmallVector<int>{info.written}) << schema;
      EXPECT_FALSE(isRandom) << schema;
      break;
    case OperatorEffect::Random:
      EXPECT_TRUE(written.empty() && !returnsAlias) << schema;
      EXPECT_TRUE(isRandom) << schema;
      break;
    }
    EXPECT_EQ(info.written >= 0, info.effect == OperatorEffect::Writes);
  });
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
    EXPECT_TRUE(!name.starts_with("_") || is_contained(reviewed, info.name));
    for (StringRef part : {"unsafe", "sparse", "quantize", "set_"})
      EXPECT_FALSE(name.starts_with(part) || name.contains(("_" + part).str()));
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
  // Nothing of another namespace.
  for (const c10::OperatorName &name : dispatcher().getAllOpNames())
    if (!StringRef(name.name).starts_with("aten::"))
      EXPECT_FALSE(OperatorPolicy().allows(targetOf(name))) << name.name;
}

} // namespace
