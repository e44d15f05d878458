//===- PatchEmitter.h - How actions write themselves into patches ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DIALECT_STEER_IR_PATCHEMITTER_H
#define WEIR_DIALECT_STEER_IR_PATCHEMITTER_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"

namespace mlir {
class OpBuilder;
class Location;
} // namespace mlir

namespace weir::steer {

class ScheduleAttrInterface;

/// What an action sees of the site it is written at: k features of one
/// dictionary, and ways to change them. The gate (plans, tokens, condition), the
/// knob and `only_active` of the policy are the emitter's business.
class PatchEmitter {
public:
  virtual ~PatchEmitter() = default;

  virtual mlir::OpBuilder &builder() = 0;
  virtual mlir::Location loc() = 0;
  /// The knob the policy's number is multiplied by [batch, 1, 1], or null.
  virtual mlir::Value times() = 0;

  /// f: activations [.., k] of the site's tokens before any edit at the site. Null after
  /// an error, which has been reported; so are the sources.
  virtual mlir::Value read() = 0;
  /// The activations of a transfer's sources, in the same order as the features
  /// of this site that take them up.
  virtual mlir::Value readSources() = 0;
  /// True if this site holds features that a transfer takes from.
  virtual bool isSource() = 0;

  /// Edits the features from f to v along their decoder rows.
  virtual void edit(mlir::Value from, mlir::Value to) = 0;
  /// Adds sum_i s d_i, with the schedule's strength at this layer.
  virtual void add(ScheduleAttrInterface schedule, bool unitRows) = 0;
  /// Takes the span of the decoder rows out of the value.
  virtual void projectOut() = 0;
  /// Makes activations an output of the program.
  virtual void record(mlir::Value activations) = 0;
};

/// What a condition sees: activations of single features [.., 1].
class ConditionEmitter {
public:
  virtual ~ConditionEmitter() = default;
  virtual mlir::OpBuilder &builder() = 0;
  virtual mlir::Location loc() = 0;
  virtual mlir::Value read(mlir::Attribute feature) = 0;
};

/// The type [.., 1] of a gate or coefficient when values of these types, one or
/// more, are broadcast together. Where they do not fit each other it is the
/// first one's, and the verifier of what is built with it fails.
mlir::RankedTensorType broadcastGateType(llvm::ArrayRef<mlir::Type> types,
                                         mlir::Type element);

} // namespace weir::steer

#endif // WEIR_DIALECT_STEER_IR_PATCHEMITTER_H
