//===- ProgramCheck.cpp - What the builder and the runner take ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/ProgramCheck.h"

#include "Reference/Graph.h"
#include "Support.h"
#include "TorchSupport.h"

#include "weir/Program/GraphCheck.h"
#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace weir {

namespace {

Error checkInputs(const Archive &archive, const Manifest &description) {
  Expected<std::vector<ProgramInput>> inputs =
      readProgramInputs(archive.model());
  if (!inputs)
    return inputs.takeError();
  std::vector<std::string> names;
  for (const ProgramInput &input : *inputs)
    names.push_back(input.name);
  if (names != description.inputs)
    return fail(description.inputs.size() > 2
                    ? "the program takes {0}, the manifest says {1}"
                    : "the program takes {0}; without a record of what was "
                      "steered it has to take {1}",
                join(names, ", "), join(description.inputs, ", "));
  for (const ProgramInput &input : *inputs) {
    std::optional<InputRole> role = inputRoleNamed(input.name);
    if (!role)
      return fail("nobody knows what input '{0}' is for", input.name);
    if (input.dtype != (holdsNumbers(*role) ? at::kFloat : at::kLong) ||
        input.sizes.size() != rankOf(*role))
      return fail("input '{0}' is {1} of rank {2}", input.name,
                  c10::toString(input.dtype), input.sizes.size());
    if (role == InputRole::Knobs && input.sizes[1] != -1 &&
        input.sizes[1] != static_cast<int64_t>(description.knobs.size()))
      return fail("the program takes {0} knobs, the manifest names {1}",
                  input.sizes[1], description.knobs.size());
  }
  return Error::success();
}

/// `outputs` are those of the graph that are given to the caller.
Error checkOutputs(ArrayRef<ProgramInput> outputs, const Manifest &description,
                   const ModelInfo &info) {
  if (outputs.size() != description.outputs.size())
    return fail("the program gives {0} outputs, the manifest names {1}: {2}",
                outputs.size(), description.outputs.size(),
                join(description.outputs, ", "));
  for (auto [output, name] : zip(outputs, description.outputs))
    if (output.dtype != at::kFloat || output.sizes.size() != 3)
      return fail("output '{0}' is {1} of rank {2}, not Float of rank 3", name,
                  c10::toString(output.dtype), output.sizes.size());
  auto columns = [&](size_t output) { return outputs[output].sizes[2]; };
  if (columns(0) != -1 && columns(0) != info.vocabularySize)
    return fail("the program gives logits of {0} tokens, extra/weir.json says "
                "that there are {1}",
                columns(0), info.vocabularySize);
  for (const Manifest::Record &record : description.records)
    if (columns(record.output) != -1 &&
        columns(record.output) != static_cast<int64_t>(record.features.size()))
      return fail("record '{0}' has {1} columns, the manifest names {2} "
                  "features",
                  record.name, columns(record.output), record.features.size());
  for (const Manifest::Count &count : description.counts)
    if (columns(count.output) != -1 &&
        columns(count.output) != static_cast<int64_t>(count.policies.size()))
      return fail("the count of {0}/{1} has {2} columns, the manifest names {3} "
                  "policies",
                  count.layer, count.site, columns(count.output),
                  count.policies.size());
  return Error::success();
}

Error checkModel(const ModelInfo &info, const Manifest &description) {
  if (!description.model)
    return Error::success();
  struct Field {
    StringRef key;
    const std::string &built, &has;
  };
  const Manifest::Model &model = *description.model;
  for (const Field &field :
       {Field{"model", model.name, info.model},
        Field{"family", model.family, info.family},
        Field{"dtype", model.dtype, info.dtype},
        Field{"arithmetic", model.arithmetic, info.arithmetic}})
    if (field.built != field.has)
      return fail("the steering was built for a model whose {0} is '{1}', this "
                  "one's is '{2}'",
                  field.key, field.built, field.has);
  return Error::success();
}

} // namespace

Error checkCalls(const Archive &archive, const OperatorPolicy &operators,
                 const Archive *tensors) {
  if (Error error = checkGraph(archive, tensors))
    return error;
  return reference::buildGraph(archive.model(), operators).takeError();
}

Expected<ModelInfo> checkProgram(const Archive &archive,
                                 const Manifest &description,
                                 const OperatorPolicy &operators,
                                 const Archive *tensors) {
  if (Error error = checkCalls(archive, operators, tensors))
    return std::move(error);
  Expected<StringRef> text = textRecord(archive, "extra/weir.json");
  if (!text)
    return text.takeError();
  Expected<ModelInfo> info = ModelInfo::parse(*text);
  if (!info)
    return fail("extra/weir.json: {0}", toString(info.takeError()));
  if (Error error = checkModel(*info, description))
    return std::move(error);
  if (Error error = checkInputs(archive, description))
    return std::move(error);
  Expected<std::vector<ProgramInput>> outputs =
      readProgramOutputs(archive.model());
  if (!outputs)
    return outputs.takeError();
  if (Error error = checkOutputs(*outputs, description, *info))
    return std::move(error);
  return info;
}

} // namespace weir
