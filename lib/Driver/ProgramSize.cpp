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
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace weir;

/// A call takes some 200 KiB while an archive's document is built, checked and
/// copied.
static constexpr size_t maxAddedCalls = 3000;

size_t weir::countCalls(fx::ProgramOp program) {
  return llvm::range_size(program.getEntry().getOps<fx::CallOp>());
}

/// The error, at the policy that most of some operations come from.
static LogicalResult refuse(fx::ProgramOp program, const Twine &count,
                            ArrayRef<Operation *> added) {
  // What a policy makes is located at its name.
  SymbolTable symbols(program->getParentOfType<ModuleOp>());
  llvm::MapVector<StringAttr, size_t> countOfPolicy;
  for (Operation *op : added)
    if (auto name = op->getLoc()->findInstanceOf<NameLoc>();
        name && symbols.lookup<steer::PolicyOp>(name.getName()))
      ++countOfPolicy[name.getName()];
  auto most = std::max_element(
      countOfPolicy.begin(), countOfPolicy.end(),
      [](const auto &a, const auto &b) { return a.second < b.second; });
  Operation *place = program;
  if (most != countOfPolicy.end())
    place = symbols.lookup(most->first);
  InFlightDiagnostic error = place->emitError()
                             << "the policies add " << count
                             << " operations to the program, and at most "
                             << maxAddedCalls << " are accepted";
  if (most != countOfPolicy.end())
    error << "; this one adds most, " << most->second
          << ": give policies fewer layers, sites or conditions";
  return error;
}

LogicalResult weir::checkAddedCalls(fx::ProgramOp program, size_t before) {
  size_t calls = countCalls(program);
  if (calls <= before + maxAddedCalls)
    return success();
  SmallVector<Operation *> added;
  for (auto call : program.getEntry().getOps<fx::CallOp>())
    added.push_back(call);
  return refuse(program, Twine(calls - before), added);
}

LogicalResult weir::checkPatches(fx::ProgramOp program) {
  // Each becomes a call or more, of which few can turn out to be the same.
  constexpr size_t most = 2 * maxAddedCalls;
  SmallVector<Operation *> added;
  program.walk([&](Operation *op) {
    if (isa_and_nonnull<steer::SteerDialect>(op->getDialect()) &&
        !isa<steer::PatchOp, steer::YieldOp>(op))
      added.push_back(op);
  });
  if (added.size() <= most)
    return success();
  return refuse(program, "more than " + Twine(most), added);
}
