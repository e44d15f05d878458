//===- Operators.h - The operators that programs may call ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program is a graph of calls, and a dispatcher calls whatever it has under a
// name: some of that reads files, prints, or takes addresses and sizes on trust.
// So there is a catalogue of what a program may call. The importer and the
// engine ask it the same question and give the same answer. No Torch here: the
// catalogue is data (lib/Operators/Catalogue.def), and a test compares it with
// LibTorch's schemas.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_OPERATORS_OPERATORS_H
#define WEIR_OPERATORS_OPERATORS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <cstdint>
#include <string>
#include <vector>

namespace weir {

enum class OperatorEffect : uint8_t {
  None,   ///< its results depend on its arguments alone and share no memory
  View,   ///< as None, but a result may be another look at an argument's memory
  Writes, ///< writes argument `written`, in place
  Random, ///< draws random numbers, at least with some arguments
};

/// What an engine has to look at before it calls the operator, because the
/// operator itself does not.
enum class OperatorGuard : uint8_t {
  None,
  IntegerDivision, ///< the smallest integer by -1 is no integer, and a signal
  PieceCount,      ///< a list of results, which is as long as an argument says
  Attention,       ///< ranks, and heads that are divided by each other
  Convolution,     ///< strides, dilations and groups that are divided by
};

/// A row of the catalogue: one overload of one operator.
struct OperatorInfo {
  /// As in an archive, without "torch.ops.": "aten.add.Tensor", "_operator.mul".
  llvm::StringLiteral name;
  OperatorEffect effect;
  int8_t written = -1; ///< index of the argument; -1 unless `effect` is Writes
  OperatorGuard guard = OperatorGuard::None;
  /// Arguments, separated by commas, whose integers have to lie within 32 bits:
  /// the operator's own arithmetic on them would overflow.
  llvm::StringLiteral small = "";

  /// Python's arithmetic on symbolic sizes, which no dispatcher knows.
  bool isBuiltin() const { return !name.starts_with("aten."); }
};

/// The catalogue, in the order of its file.
llvm::ArrayRef<OperatorInfo> operatorCatalogue();

/// The row of a node's target as archives write it ("torch.ops.aten.add.Tensor",
/// "_operator.mul"), or null.
const OperatorInfo *findOperator(llvm::StringRef target);

/// What programs may call: the catalogue, and what the user named.
class OperatorPolicy {
public:
  /// Allows one overload, "aten.fft_rfft.default" ("torch.ops." may stand before
  /// it). Errors: a text that is not the name of an overload.
  llvm::Error allow(llvm::StringRef name);
  llvm::Error allowAll(llvm::ArrayRef<std::string> names);

  bool allows(llvm::StringRef target) const;
  /// Checks every node of a program (an archive's model.json) and names the first
  /// whose operator is not allowed. What is not shaped like a node is left to
  /// those who read it.
  llvm::Error check(const llvm::json::Object &model) const;
  /// What `allow` was given and the program calls: one warning each.
  std::vector<std::string> warnings(const llvm::json::Object &model) const;

private:
  llvm::StringSet<> added;
};

} // namespace weir

#endif // WEIR_OPERATORS_OPERATORS_H
