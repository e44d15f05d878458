//===- SiteTableKernels.cpp - The kernels of a site table ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SiteTable.h"

#include "weir/Conversion/SteerToKernels/SteerToKernels.h"
#include "weir/Dialect/FX/IR/FX.h"
#include "weir/Dialect/Steer/IR/Steer.h"

using namespace mlir;
using namespace weir;
namespace json = llvm::json;

/// Which kernel does all of a site, and what it takes; none where it takes what
/// PyTorch's operators compute, since whoever runs the table has no such value.
static std::optional<json::Object>
kernelJSON(fx::CallOp call, const llvm::DenseMap<Value, StringRef> &roles,
           function_ref<std::optional<std::string>(Attribute)> nameOf) {
  auto name = dyn_cast_if_present<StringAttr>(call.getArgument("kernel"));
  std::optional<unsigned> inputs = call.findArgument("inputs"),
                          constants = call.findArgument("constants");
  if (!name || !inputs || !constants)
    return std::nullopt;
  json::Array taken, stored, columns;
  for (Value input : call.getArgumentValues(*inputs)) {
    auto role = roles.find(input);
    if (role == roles.end())
      return std::nullopt;
    taken.push_back(role->second);
  }
  for (Value constant : call.getArgumentValues(*constants)) {
    auto made = constant.getDefiningOp<fx::ConstantOp>();
    std::optional<std::string> known =
        made ? nameOf(made.getValue()) : std::nullopt;
    if (!known)
      return std::nullopt;
    stored.push_back(json::Object{{"tensor", std::move(*known)}});
  }
  for (Value read : call.getResults().drop_front())
    columns.push_back(cast<RankedTensorType>(read.getType()).getShape().back());
  return json::Object{{"name", name.getValue()},
                      {"inputs", std::move(taken)},
                      {"constants", std::move(stored)},
                      {"reads", std::move(columns)}};
}

void SiteTable::addKernels(ModuleOp module) {
  llvm::DenseMap<Attribute, std::string> names;
  for (const auto &[name, content] : tensors)
    names.try_emplace(content, name);
  auto nameOf = [&](Attribute content) -> std::optional<std::string> {
    if (!isa<DenseElementsAttr, flow::RecipeAttrInterface>(content))
      return std::nullopt;
    auto [known, isNew] = names.try_emplace(
        content, ("kernels/" + Twine(tensors.size())).str());
    if (isNew)
      tensors.push_back({known->second, content});
    return known->second;
  };

  llvm::StringMap<std::optional<json::Object>> found;
  for (auto program : module.getOps<fx::ProgramOp>()) {
    llvm::DenseMap<Value, StringRef> roles;
    for (InputRole role : {InputRole::Positions, InputRole::PromptLength,
                           InputRole::Plan, InputRole::Knobs})
      if (BlockArgument input = program.findInput(role))
        roles[input] = roleName(role);
    program.walk([&](fx::CallOp call) {
      auto site = call->getAttrOfType<flow::SiteAttr>(kernelSiteName);
      if (!site)
        return;
      call->removeAttr(kernelSiteName);
      auto [entry, isNew] =
          found.try_emplace(site.str(), kernelJSON(call, roles, nameOf));
      // One of several calls is not all that is done there.
      if (!isNew)
        entry->second = std::nullopt;
    });
  }
  for (json::Value &value : *document.getArray("sites")) {
    json::Object &site = *value.getAsObject();
    std::string at = std::to_string(*site.getInteger("layer")) + "/" +
                     site.getString("site")->str();
    auto kernel = found.find(at);
    if (kernel != found.end() && kernel->second)
      site["kernel"] = std::move(*kernel->second);
  }
}
