//===- ProgramInputs.cpp - Gates and knobs at the top of a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramInputs.h"

#include "weir/Dialect/FX/IR/State.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::steer;

ProgramInputs::ProgramInputs(fx::ProgramOp program)
    : builder(OpBuilder::atBlockBegin(&program.getEntry())) {}

FailureOr<ProgramInputs> ProgramInputs::add(fx::ProgramOp program,
                                            int64_t knobs) {
  ProgramInputs inputs(program);
  program.recogniseRoles();
  BlockArgument ids = program.findInput(InputRole::InputIds);
  BlockArgument positions = program.findInput(InputRole::Positions);
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
  for (InputRole role :
       {InputRole::PromptLength, InputRole::Plan, InputRole::Knobs})
    if (program.findInput(role) || program.findInput(roleName(role)))
      return program.emitError()
             << "the program has an input '" << roleName(role)
             << "' already: it was steered before; start from the exported "
                "model";

  Attribute rows = fx::sizesOf(idsType).front();
  inputs.flattened = idsType.getRank() == 1;
  inputs.ids = ids;
  inputs.positions = positions;
  auto perRow = fx::tensorOf({rows}, inputs.builder.getI64Type());
  inputs.promptLength =
      program.addUserInput(InputRole::PromptLength, perRow);
  inputs.plan = program.addUserInput(InputRole::Plan, perRow);
  if (knobs > 0)
    inputs.knobs = program.addUserInput(
        InputRole::Knobs,
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
  TokensAttr plain = tokens.getPlain();
  SmallVector<Value> parts = {
      rows, once(plain, [&](OpBuilder &b) -> Value {
        return TokensOp::create(b, loc, positions, promptLength, plain);
      })};
  SmallVector<Attribute> key = {builder.getDenseI64ArrayAttr(plans), plain};
  if (MarkersAttr markers = tokens.getMarkers()) {
    parts.push_back(once(markers, [&](OpBuilder &b) -> Value {
      return MarkedOp::create(b, loc, positions, history, markers);
    }));
    key.push_back(markers);
  }
  return once(builder.getArrayAttr(key), [&](OpBuilder &b) -> Value {
    SmallVector<Type> types = llvm::to_vector(ValueRange(parts).getTypes());
    return AllOp::create(b, loc, broadcastGateType(types, b.getI1Type()), parts);
  });
}

LogicalResult
ProgramInputs::keepTokens(fx::ProgramOp program,
                          function_ref<InFlightDiagnostic()> emitError) {
  if (history)
    return success();
  if (flattened)
    return emitError() << "its scope looks for markers in a row, and the "
                          "program's tokens are flattened: which of them are of "
                          "one row it does not know";
  auto room = fx::findCacheRoom(program);
  if (!room)
    return emitError() << "its scope looks for markers, and the program has no "
                          "key-value cache, as `python -m weir export` makes it, "
                          "so that it would not know the earlier tokens of a row";
  // A column more: that of padding.
  auto type = RankedTensorType::get({room->first, room->second + 1},
                                    builder.getI64Type());
  Value kept = fx::addState(program, "weir_tokens", type);
  history = HistoryOp::create(builder, program.getLoc(), type, ids, positions,
                              kept);
  return success();
}

Value ProgramInputs::share(Location loc, TokensAttr tokens, Value knob) {
  if (!tokens || !tokens.isRamped())
    return knob;
  MarkersAttr markers = tokens.getMarkers();
  bool looksBack = markers && (markers.getAfter() || markers.getOpens());
  // Scopes that begin alike share it.
  Attribute key = builder.getArrayAttr({tokens, builder.getUnitAttr()});
  Value share = once(key, [&](OpBuilder &b) -> Value {
    return RampOp::create(b, loc, positions, promptLength,
                          looksBack ? history : Value(), tokens);
  });
  if (!knob)
    return share;
  Value &product = products[{share, knob}];
  if (!product)
    product = ProductOp::create(builder, loc, knob, share);
  return product;
}

Value ProgramInputs::tokens(Location loc) {
  auto all =
      TokensAttr::get(builder.getContext(), TokenSet::All, {}, -1, -1, 0);
  return once(all, [&](OpBuilder &b) -> Value {
    return TokensOp::create(b, loc, positions, promptLength, all);
  });
}

Value ProgramInputs::knob(Location loc, int64_t index) {
  return once(builder.getI64IntegerAttr(index), [&](OpBuilder &b) -> Value {
    return KnobValueOp::create(b, loc, knobs, index, flattened);
  });
}
