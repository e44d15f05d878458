//===- Graph.h - The checked form of an exported graph ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The JSON graph of torch.export with names resolved to slots and constants
// converted to what the operators' schemas ask for. A graph that was built
// refers to defined values only.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_REFERENCE_GRAPH_H
#define WEIR_LIB_RUNTIME_REFERENCE_GRAPH_H

#include "SymbolicMath.h"

#include "weir/Operators/Operators.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <optional>
#include <string>
#include <vector>

namespace weir::reference {

using Slot = int32_t;
constexpr Slot noSlot = -1;

enum class ValueKind : uint8_t { Tensor, Int, Float, Bool };

/// What a parameter of a schema accepts, with `T?` peeled off.
enum class ParamKind : uint8_t {
  Tensor, Int, Float, Bool, Number, String, Device, DType, Layout,
  MemoryFormat, Generator, TensorList, OptionalTensorList, IntList, FloatList,
  BoolList, NumberList, StringList, Any, Unsupported,
};

/// One argument of a node. A list whose elements are not all constant is put
/// together at every call.
struct Operand {
  enum Form : uint8_t { Literal, Value, List } form = Literal;
  ParamKind kind = ParamKind::Any;
  Slot slot = noSlot;
  c10::IValue literal;
  /// List: the slot of each element, or noSlot and its constant (None for an
  /// absent optional tensor).
  llvm::SmallVector<Slot, 4> slots;
  llvm::SmallVector<c10::IValue, 4> literals;
};

struct Node {
  std::string target;
  /// The operator, or a Python builtin on symbolic numbers if there is none.
  std::optional<c10::OperatorHandle> op;
  SymbolicOp symbolic{};
  /// Its row of the catalogue; null if the user allowed it by name.
  const OperatorInfo *info = nullptr;
  /// Operands whose integers have to be small, see OperatorInfo::small.
  llvm::SmallVector<uint8_t, 2> smallOperands;
  /// Operands that are written in place, and those whose memory the results may
  /// look at, as the catalogue says.
  llvm::SmallVector<uint8_t, 2> written, aliased;
  llvm::SmallVector<Operand, 6> operands;
  /// Where results go; noSlot for one that is dropped.
  llvm::SmallVector<Slot, 2> results;
  bool listResult = false; ///< one result of type Tensor[]
  /// Values nothing reads after this node.
  llvm::SmallVector<Slot, 4> lastUses;
};

struct Graph {
  struct Binding {
    Slot slot;
    std::string fqn; ///< of a weight or constant of the archive
  };
  struct Output {
    Operand operand;
    /// The buffer or user input this value is written back to, else noSlot and
    /// the value is a user output.
    Slot mutationTarget = noSlot;
    /// False after `keepOutputs` left it out.
    bool isComputed = true;
  };
  std::vector<ValueKind> kinds;   ///< one a slot
  std::vector<std::string> names; ///< one a slot
  std::vector<Binding> bindings;
  std::vector<Slot> inputs; ///< user inputs in order
  std::vector<Node> nodes;
  std::vector<Output> outputs;
};

/// Builds the graph of an exported program. Errors name the node and what is
/// wrong with it; the first is an operator that `policy` does not allow.
llvm::Expected<Graph> buildGraph(const llvm::json::Object &model,
                                 const OperatorPolicy &policy = {});

/// Notes after which node each value can be dropped.
void findLastUses(Graph &graph);

/// Takes out all nodes that do not contribute to the user outputs of the given
/// indices. Memory is written only where a node that is left reads it, directly
/// or in a later run, or where it is the caller's. Checks stay while the tensors
/// that they look at do; operators that the catalogue does not know stay.
/// `storageOf` names one slot for all bound slots that share memory.
void keepOutputs(Graph &graph, llvm::ArrayRef<size_t> wanted,
                 llvm::function_ref<Slot(Slot)> storageOf);

/// The kind of a schema's type.
ParamKind paramKindOf(const c10::TypePtr &type);

/// Resolves the name of a value to its slot and kind.
using Resolver =
    llvm::function_ref<llvm::Expected<std::pair<Slot, ValueKind>>(llvm::StringRef)>;

/// Converts the JSON form of an argument ({"as_tensor": …}, …) to what a
/// parameter of `kind` takes. `fixedLength` is N of `int[N]`, else 0.
llvm::Expected<Operand> convertArgument(const llvm::json::Object &argument,
                                        ParamKind kind, bool isOptional,
                                        int32_t fixedLength, Resolver resolve);

/// The value of an operand, given the values of all slots.
c10::IValue evaluate(const Operand &operand,
                     const std::vector<c10::IValue> &values);

} // namespace weir::reference

#endif // WEIR_LIB_RUNTIME_REFERENCE_GRAPH_H
