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
// engine ask it the same question and give the same answer. It also says what a
// call does: what it writes, which of its arguments is a weight, what it costs.
// No Torch here: the catalogue is data (lib/Operators/Catalogue.def), and a test
// compares it with LibTorch's schemas.
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
  View,   ///< as None, but a result may be another look at `input`'s memory
  Writes, ///< writes the arguments `written`, in place, and gives them back
  Random, ///< draws random numbers, unless `chance` or `training` rule that out
  Checks, ///< gives nothing; ends the run where its arguments are wrong
};

/// What an engine has to look at before it calls the operator, because the
/// operator itself does not.
enum class OperatorGuard : uint8_t {
  None,
  IntegerDivision, ///< the smallest integer by -1 is no integer, and a signal
  PieceCount,      ///< a list of results, which is as long as an argument says
  ChunkCount,      ///< the same where the argument is their number, not their size
  Attention,       ///< ranks, and heads that are divided by each other
  Convolution,     ///< strides, dilations and groups that are divided by
};

/// What an operator means to those who look for a model's parts in its graph.
enum class OperatorRole : uint8_t {
  Other,
  Linear,    ///< `input` times `weight`, plus `bias`
  Sum,       ///< `input` plus alpha times `other`, number by number
  Multiply,  ///< `input` times `other`, number by number
  Transpose, ///< `input` with its dimensions in another order
  Reshape,   ///< the numbers of `input`, in their order, in another shape
  LayerNorm, ///< takes off the mean and divides by the standard deviation
  RmsNorm,   ///< divides by the root of the mean square
  GroupNorm, ///< LayerNorm over groups of channels
  Gather,    ///< rows of the table `weight`
  Attention, ///< softmax(Q K^T) V
};

/// How a linear map stores its weight.
enum class WeightLayout : uint8_t {
  OutIn, ///< a row for each output, as Linear does
  InOut, ///< a row for each input, as the factor of a product
};
enum class WeightPacking : uint8_t {
  Plain, ///< numbers of the tensor's own type
  Int8,  ///< bytes, with a scale for each output
  Int4,  ///< two to a byte in an order of the processor, scales for each group
  Blocks ///< bytes, scales among them, as the type that an argument names has them
};

/// Whether a result is `input` as it was.
enum class OperatorIdentity : uint8_t {
  Never,
  Always,
  SameType, ///< where type and sizes are the same
  NoChance, ///< where no random numbers are drawn
};

/// What a call moves and computes. Bytes are those of its tensors, each read or
/// written once.
enum class OperatorCost : uint8_t {
  Numbers,   ///< reads its arguments, writes its results: `operations` a number
  Nothing,   ///< sizes, and other looks at memory
  Moves,     ///< as Numbers, and computes nothing
  Rows,      ///< reads of `weight` or `input` what it gives, and moves that
  Places,    ///< writes its source into places of `written`, and nothing else
  Reduction, ///< `operations` a number of `input`
  Product,   ///< a multiplication and an addition for each pair of factors
  Attention, ///< two products and a softmax
  CachedAttention, ///< the same of keys [rows, slots, groups, d]
  Sort,      ///< log2(n) comparisons a number of `input`
  Unknown,   ///< the sizes of the tensors do not tell
};

/// A row of the catalogue: one overload of one operator. Texts are names of
/// arguments, empty for none; several are separated by commas.
struct OperatorInfo {
  /// As in an archive, without "torch.ops.": "aten.add.Tensor", "_operator.mul".
  llvm::StringLiteral name;
  OperatorEffect effect;
  llvm::StringLiteral written = ""; ///< in place; nothing else is
  /// A probability (nothing is drawn where it is 0, which it is by default), and
  /// a flag (nothing is drawn where it is false).
  llvm::StringLiteral chance = "", training = "";
  OperatorGuard guard = OperatorGuard::None;
  /// Arguments whose integers have to lie within 32 bits: the operator's own
  /// arithmetic on them would overflow.
  llvm::StringLiteral small = "";
  OperatorRole role = OperatorRole::Other;
  llvm::StringLiteral input = "self", weight = "", bias = "";
  WeightLayout layout = WeightLayout::OutIn;
  WeightPacking packing = WeightPacking::Plain;
  OperatorIdentity identity = OperatorIdentity::Never;
  OperatorCost cost = OperatorCost::Numbers;
  /// Floating-point operations, of which a function (exp, sin) is one.
  uint8_t operations = 1;
  /// False for what is known, but called only where the user names it.
  bool isAllowed = true;

  /// Python's arithmetic on symbolic sizes, which no dispatcher knows.
  bool isBuiltin() const {
    return !name.starts_with("aten.") && !name.starts_with("weir.");
  }
  /// Is the argument written in place?
  bool writes(llvm::StringRef argument) const;
  /// Have the argument's integers to be small?
  bool wantsSmall(llvm::StringRef argument) const;
  /// What a call costs; views, sizes and checks cost nothing.
  OperatorCost costKind() const;
};

/// The catalogue, in the order of its file.
llvm::ArrayRef<OperatorInfo> operatorCatalogue();

/// The row of a node's target as archives write it ("torch.ops.aten.add.Tensor",
/// "_operator.mul"), or null.
const OperatorInfo *findOperator(llvm::StringRef target);
/// The row of that name ("aten.add.Tensor", "_operator.mul"), or null.
const OperatorInfo *findOperatorNamed(llvm::StringRef name);

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
