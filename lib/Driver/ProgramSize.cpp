//===- ProgramSize.cpp - How much a spec may add to a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramSize.h"

#include "weir/Dialect/Steer/IR/Steer.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace weir;

/// A call takes some 200 KiB while an archive's document is built, checked and
/// copied.
static constexpr size_t maxAddedCalls = 3000;

size_t weir::countCalls(fx::ProgramOp program) {
  return llvm::range_size(program.getEntry().getOps<fx::CallOp>());
}

LogicalResult weir::checkAddedCalls(fx::ProgramOp program, size_t before) {
  size_t calls = countCalls(program);
  if (calls <= before + maxAddedCalls)
    return success();
  // What a policy makes is located at its name.
  auto module = program->getParentOfType<ModuleOp>();
  llvm::MapVector<StringAttr, size_t> callsOfPolicy;
  for (auto call : program.getEntry().getOps<fx::CallOp>())
    if (auto name = call.getLoc()->findInstanceOf<NameLoc>();
        name && module.lookupSymbol<steer::PolicyOp>(name.getName()))
      ++callsOfPolicy[name.getName()];
  auto most = std::max_element(
      callsOfPolicy.begin(), callsOfPolicy.end(),
      [](const auto &a, const auto &b) { return a.second < b.second; });
  Operation *place = program;
  if (most != callsOfPolicy.end())
    place = module.lookupSymbol(most->first);
  InFlightDiagnostic error = place->emitError()
                             << "the policies add " << calls - before
                             << " operations to the program, and at most "
                             << maxAddedCalls << " are accepted";
  if (most != callsOfPolicy.end())
    error << "; this one adds most, " << most->second
          << ": give policies fewer layers, sites or conditions";
  return error;
}
