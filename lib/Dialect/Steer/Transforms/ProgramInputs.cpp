//===- ProgramInputs.cpp - Gates and knobs at the top of a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramInputs.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

ProgramInputs::ProgramInputs(fx::ProgramOp program)
    : builder(OpBuilder::atBlockBegin(&program.getEntry())) {}

FailureOr<ProgramInputs> ProgramInputs::add(fx::ProgramOp program,
                                            int64_t knobs) {
  ProgramInputs inputs(program);
  BlockArgument ids = program.findInput("input_ids");
  BlockArgument positions = program.findInput("positions");
  auto typeOf = [](BlockArgument arg) {
    auto type = arg ? dyn_cast<RankedTensorType>(arg.getType()) : nullptr;
    return type && type.getElementType().isInteger(64) &&
                   (type.getRank() == 1 || type.getRank() == 2)
               ? type
               : RankedTensorType();
  };
  RankedTensorType idsType = typeOf(ids);
  if (!idsType || !typeOf(positions) ||
      typeOf(positions).getRank() != idsType.getRank())
    return program.emitError()
           << "the program cannot be steered: it needs the inputs `input_ids` "
              "and `positions`, both [batch, sequence] of int64, as `python -m "
              "weir export` makes them, or both [tokens]";
  for (StringRef name : {"prompt_length", "plan", "knobs"})
    if (program.findInput(name))
      return program.emitError()
             << "the program has an input '" << name
             << "' already: it was steered before; start from the exported "
                "model";

  Attribute rows = fx::sizesOf(idsType).front();
  inputs.flattened = idsType.getRank() == 1;
  inputs.positions = positions;
  auto perRow = fx::tensorOf({rows}, inputs.builder.getI64Type());
  inputs.promptLength = program.addUserInput("prompt_length", perRow);
  inputs.plan = program.addUserInput("plan", perRow);
  if (knobs > 0)
    inputs.knobs = program.addUserInput(
        "knobs",
        fx::tensorOf({rows, inputs.builder.getI64IntegerAttr(knobs)},
                     inputs.builder.getF32Type()));
  return inputs;
}

Value ProgramInputs::once(Attribute key,
                          function_ref<Value(OpBuilder &)> make) {
  Value &value = made[key];
  if (!value)
    value = make(builder);
  return value;
}

Value ProgramInputs::inPlans(Location loc, ArrayRef<int64_t> plans) {
  return once(builder.getDenseI64ArrayAttr(plans), [&](OpBuilder &b) -> Value {
    return InPlansOp::create(b, loc, plan, plans, flattened);
  });
}

Value ProgramInputs::gate(Location loc, ArrayRef<int64_t> plans,
                          TokensAttr tokens, bool noPadding) {
  Value rows = inPlans(loc, plans);
  if (!tokens || tokens.isEveryToken()) {
    if (!noPadding)
      return rows;
    tokens = TokensAttr::get(builder.getContext(), TokenSet::All, {}, -1, -1, 0);
  }
  Value scope = once(tokens, [&](OpBuilder &b) -> Value {
    return TokensOp::create(b, loc, positions, promptLength, tokens);
  });
  Attribute key =
      builder.getArrayAttr({builder.getDenseI64ArrayAttr(plans), tokens});
  return once(key, [&](OpBuilder &b) -> Value {
    return AllOp::create(
        b, loc,
        broadcastGateType({rows.getType(), scope.getType()}, b.getI1Type()),
        ValueRange{rows, scope});
  });
}

Value ProgramInputs::knob(Location loc, int64_t index) {
  return once(builder.getI64IntegerAttr(index), [&](OpBuilder &b) -> Value {
    return KnobValueOp::create(b, loc, knobs, index, flattened);
  });
}
