//===- SiteFinder.cpp - Finds sites in a program ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SiteFinder.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace weir;
using namespace weir::fx;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value weir::fx::lookThrough(Value value) {
  while (auto call = value.getDefiningOp<CallOp>()) {
    Value input = call.getForwarded();
    if (!input)
      break;
    value = input;
  }
  return value;
}

/// Does the value come from an operator of that role?
static bool hasRole(CallOp call, OperatorRole role) {
  const OperatorInfo *info = call ? call.getOperatorInfo() : nullptr;
  return info && info->role == role;
}

/// The two summands of an addition without a factor, or none.
static std::optional<std::pair<Value, Value>> summands(Value value) {
  auto call = value.getDefiningOp<CallOp>();
  if (!hasRole(call, OperatorRole::Sum))
    return std::nullopt;
  if (Attribute alpha = call.getArgument("alpha")) {
    auto number = dyn_cast<IntegerAttr>(alpha);
    if (!number || number.getInt() != 1)
      return std::nullopt;
  }
  Value a = call.getMainInput(), b = call.getArgumentValue("other");
  if (!a || !b || !isa<RankedTensorType>(b.getType()))
    return std::nullopt;
  return std::pair(a, b);
}

/// Is this a module's value, such as a half's or a norm's, or such a value times
/// a number that the block multiplies it with?
static bool isNormOrFactor(CallOp call, StringRef block) {
  while (call && call.getModulePath() == block) {
    bool isFactor = hasRole(call, OperatorRole::Multiply) &&
                    call.getMainInput() && call.getArgument("other") &&
                    !call.getArgumentValue("other");
    if (!isFactor)
      return false;
    call = lookThrough(call.getMainInput()).getDefiningOp<CallOp>();
  }
  return call && !call.drawsRandomNumbers();
}

/// A short description of where a value comes from.
static std::string describe(ProgramOp program, Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return ("the input '" + program.getInputName(argument.getArgNumber()) +
            "'")
        .str();
  if (auto call = value.getDefiningOp<CallOp>()) {
    std::string text = ("'" + call.getTarget() + "'").str();
    if (!call.getModulePath().empty())
      text += (" in module '" + call.getModulePath() + "'").str();
    return text;
  }
  return ("'" + value.getDefiningOp()->getName().getStringRef() + "'").str();
}

//===----------------------------------------------------------------------===//
// SiteFinder
//===----------------------------------------------------------------------===//

bool SiteFinder::fail(const Twine &what, Value where) {
  problem = what.str();
  if (where)
    problemLoc = where.getLoc();
  return false;
}

std::string SiteFinder::modulePath(StringRef pathTemplate,
                                   int64_t layer) const {
  return pathTemplate.empty() ? std::string()
                              : prefix + pathOf(pathTemplate, layer);
}

bool SiteFinder::comesFrom(Value value, StringRef path, StringRef block) {
  llvm::SmallDenseSet<Value> seen;
  SmallVector<Value> queue{value};
  while (!queue.empty()) {
    Value next = queue.pop_back_val();
    auto call = next.getDefiningOp<CallOp>();
    if (!call || !ModuleIndex::isInside(call, block) ||
        !seen.insert(next).second)
      continue;
    if (ModuleIndex::isInside(call, path))
      return true;
    for (Value operand : call.getOperands())
      if (isa<RankedTensorType>(operand.getType()))
        queue.push_back(operand);
  }
  return false;
}

/// Goes back from a summand to what it is made of, no further than the halves,
/// the stream and other sums of the block.
SiteFinder::Origin SiteFinder::originOf(Value value, const BlockPaths &paths,
                                        Value stream) {
  Origin origin;
  llvm::SmallDenseSet<Value> seen;
  SmallVector<Value> queue{value};
  while (!queue.empty()) {
    Value next = lookThrough(queue.pop_back_val());
    if (!seen.insert(next).second)
      continue;
    auto call = next.getDefiningOp<CallOp>();
    if (!call) {
      // A norm's weight says nothing about where its input comes from.
      auto argument = dyn_cast<BlockArgument>(next);
      origin.stream |= !argument ||
                       program.getInput(argument.getArgNumber()).getKind() ==
                           InputKind::UserInput;
    } else if (!paths.att.empty() && ModuleIndex::isInside(call, paths.att)) {
      origin.att = true;
    } else if (!paths.mlp.empty() && ModuleIndex::isInside(call, paths.mlp)) {
      origin.mlp = true;
    } else if (next == stream || !ModuleIndex::isInside(call, paths.block) ||
               (call.getModulePath() == paths.block && summands(next))) {
      origin.stream = true;
    } else {
      for (Value operand : call.getOperands())
        if (isa<RankedTensorType>(operand.getType()))
          queue.push_back(operand);
    }
  }
  return origin;
}

Value SiteFinder::entering(StringRef path) {
  Value found;
  for (CallOp call : index.callsInside(path))
    for (Value operand : call.getOperands()) {
      auto type = dyn_cast<RankedTensorType>(operand.getType());
      if (!type || isa<BlockArgument>(operand))
        continue;
      auto source = operand.getDefiningOp<CallOp>();
      if (!source || ModuleIndex::isInside(source, path) || operand == found)
        continue;
      if (found) {
        fail("module '" + path + "' takes more than one value: " +
                 describe(program, found) + " and " +
                 describe(program, operand),
             operand);
        return {};
      }
      found = operand;
    }
  if (!found)
    fail("no value enters module '" + path + "'");
  return found;
}

/// The parameter that a value is, and whether it was turned on the way.
static WeightAttr parameterOf(ProgramOp program, Value value, bool &turned) {
  turned = false;
  for (unsigned steps = 0; value && steps < 8; ++steps) {
    value = lookThrough(value);
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      InputAttr input = program.getInput(argument.getArgNumber());
      return input.getKind() == InputKind::Parameter ? input.getWeight()
                                                     : WeightAttr();
    }
    auto call = value.getDefiningOp<CallOp>();
    if (!hasRole(call, OperatorRole::Transpose))
      return {};
    turned = !turned;
    value = call.getMainInput();
  }
  return {};
}

WeightAttr SiteFinder::weightOf(StringRef path, WeightLayout *layout) {
  for (CallOp call : index.callsInside(path)) {
    if (!hasRole(call, OperatorRole::Linear))
      continue;
    bool turned = false;
    WeightAttr weight = parameterOf(program, call.getMainWeight(), turned);
    if (!weight)
      continue;
    bool isOutIn =
        (call.getOperatorInfo()->layout == WeightLayout::OutIn) != turned;
    if (layout)
      *layout = isOutIn ? WeightLayout::OutIn : WeightLayout::InOut;
    return weight;
  }
  return {};
}

/// Takes the additions of a block apart: its output is a sum of the stream that
/// enters the block and of what its halves add. `stream` is the stream that
/// enters; it becomes the one that leaves.
bool SiteFinder::findTree(int64_t layer, Value &stream, LayerSites &sites) {
  std::string block = modulePath(map.res, layer);
  auto isBlockSum = [&](Value value) {
    auto call = value.getDefiningOp<CallOp>();
    return call && call.getModulePath() == block && summands(value);
  };

  // The block's last addition is its output.
  Value root;
  for (CallOp call : llvm::reverse(index.callsInside(block)))
    if (call->getNumResults() == 1 && isBlockSum(call.getResult(0))) {
      root = call.getResult(0);
      break;
    }
  if (!root)
    return fail("looked for residual additions (aten.add.Tensor) made by "
                "module '" +
                block + "' itself, found none");
  for (CallOp call : index.callsInside(block)) {
    if (call->getNumResults() != 1 || call.getResult(0) == root ||
        lookThrough(call.getResult(0)) == root)
      continue;
    for (OpOperand &use : call.getResult(0).getUses())
      if (auto user = dyn_cast<CallOp>(use.getOwner());
          root.getDefiningOp()->isBeforeInBlock(call) &&
          !ModuleIndex::isInside(user, block))
        return fail("looked for a block whose output is its last addition; "
                    "module '" +
                        block + "' goes on with " +
                        describe(program, call.getResult(0)),
                    call.getResult(0));
  }

  // The leaves of the sum, and the sums on the way.
  struct Node {
    Value value; ///< the operand as it stands
    SmallVector<Value> leaves;
  };
  SmallVector<Node> inner;
  SmallVector<Value> leaves;
  auto flatten = [&](auto &self, Value value,
                     SmallVectorImpl<Value> &into) -> void {
    Value plain = lookThrough(value);
    // The stream itself may be a sum, of the block before or of embeddings.
    if (plain == stream || !isBlockSum(plain) || into.size() > 16) {
      into.push_back(value);
      return;
    }
    auto [a, b] = *summands(plain);
    SmallVector<Value> own;
    self(self, a, own);
    self(self, b, own);
    into.append(own);
    inner.push_back({plain, own});
  };
  auto [a, b] = *summands(root);
  flatten(flatten, a, leaves);
  flatten(flatten, b, leaves);

  BlockPaths paths{block, modulePath(map.att, layer),
                   modulePath(map.mlp, layer)};
  std::string attNorm = modulePath(map.attNorm, layer);
  std::string mlpNorm = modulePath(map.mlpNorm, layer);
  const std::string &att = paths.att, &mlp = paths.mlp;

  // A family says what follows a half; what a given map does not say is found.
  auto isMadeBy = [&](CallOp call, StringRef half, StringRef norm) {
    if (!call)
      return false;
    if (!norm.empty())
      return ModuleIndex::isInside(call, norm);
    if (map.loose)
      return isNormOrFactor(call, block);
    return map.given || ModuleIndex::isInside(call, half);
  };
  Value streamLeaf, unknown;
  for (Value leaf : leaves) {
    if (leaf.getType() != root.getType())
      return fail("the sum of module '" + block +
                      "' adds values of different types: " +
                      describe(program, leaf),
                  leaf);
    Value plain = lookThrough(leaf);
    auto call = plain.getDefiningOp<CallOp>();
    Origin origin = originOf(plain, paths, stream);
    Value *slot = nullptr;
    if (origin.isAtt() && isMadeBy(call, att, attNorm))
      slot = &sites.att;
    else if (origin.isMlp() && isMadeBy(call, mlp, mlpNorm))
      slot = &sites.mlp;
    else if (stream ? plain == stream
                    : !call || !ModuleIndex::isInside(call, block))
      slot = &streamLeaf;
    if (!slot) {
      unknown = leaf;
      continue;
    }
    if (*slot)
      return fail("the sum of module '" + block +
                      "' adds two values of one origin: " +
                      describe(program, lookThrough(*slot)) + " and " +
                      describe(program, plain),
                  leaf);
    *slot = leaf;
  }
  auto missing = [&](StringRef what, StringRef path, StringRef norm) {
    std::string text = ("the sum of module '" + block + "' should add " + what)
                           .str();
    if (!path.empty())
      text += (" of module '" + path + "'").str();
    if (!norm.empty())
      text += (" after '" + norm + "'").str();
    text += "; it adds ";
    llvm::raw_string_ostream os(text);
    llvm::interleave(
        leaves, os,
        [&](Value leaf) { os << describe(program, lookThrough(leaf)); },
        " and ");
    return fail(text, root);
  };
  if (!streamLeaf)
    return missing(stream ? "the output of the block before"
                          : "the stream that enters it",
                   "", "");
  if (!att.empty() && !sites.att)
    return missing("the output", att, attNorm);
  if (!mlp.empty() && !sites.mlp)
    return missing("the output", mlp, mlpNorm);
  // With both halves named, nothing else may be added.
  if (unknown && !att.empty() && !mlp.empty())
    return missing("only what its halves make", "", "");

  // Between the halves lies a sum of the stream and one of them that something
  // else reads too: the MLP. In parallel blocks nothing does.
  for (const Node &node : inner) {
    bool isMid = node.leaves.size() == 2 &&
                 llvm::is_contained(node.leaves, streamLeaf) &&
                 (!sites.att || llvm::is_contained(node.leaves, sites.att));
    if (!isMid)
      continue;
    bool readElsewhere = false;
    SmallVector<Value> aliases{node.value};
    for (size_t i = 0; i < aliases.size(); ++i)
      for (Operation *user : aliases[i].getUsers()) {
        auto call = dyn_cast<CallOp>(user);
        if (call && call->getNumResults() == 1 &&
            lookThrough(call.getResult(0)) == node.value &&
            !llvm::is_contained(aliases, call.getResult(0)))
          aliases.push_back(call.getResult(0));
        else if (!call || call.getModulePath() != block)
          readElsewhere = true;
      }
    if (readElsewhere)
      sites.mid = node.value;
  }
  if (!map.mid.empty()) {
    Value into = entering(modulePath(map.mid, layer));
    if (!into)
      return false;
    if (lookThrough(into) != sites.mid)
      return fail("module '" + modulePath(map.mid, layer) +
                      "' should read the stream between the halves of '" +
                      block + "'; it reads " + describe(program, into),
                  into);
  }
  if (!stream)
    embedded = lookThrough(streamLeaf);
  sites.res = root;
  stream = root;
  return true;
}

/// A product of a matrix and a value, and the value; null if `value` is none.
std::pair<CallOp, Value> SiteFinder::projection(Value value) {
  // A Conv1D gives its product the shape of its input again.
  for (unsigned steps = 0; steps < 3; ++steps) {
    value = lookThrough(value);
    auto call = value.getDefiningOp<CallOp>();
    if (!call || !call.getMainInput())
      return {};
    if (hasRole(call, OperatorRole::Linear)) {
      // Some of these multiply values with each other too, as attention does.
      bool turned = false;
      bool isProjection = !call.getOperatorInfo()->bias.empty() ||
                          parameterOf(program, call.getMainWeight(), turned);
      return isProjection ? std::pair(call, call.getMainInput())
                          : std::pair(CallOp(), Value());
    }
    if (!hasRole(call, OperatorRole::Reshape))
      return {};
    value = call.getMainInput();
  }
  return {};
}

std::string SiteFinder::lastProjection(StringRef pathTemplate, StringRef half,
                                       int64_t layer, Value output) {
  std::string path = modulePath(pathTemplate, layer);
  if (!map.loose || path.empty() || index.has(path))
    return path;
  // What is made in the half and read outside of it, going back from what the
  // half adds: a norm, a factor or dropout may lie between.
  std::string inside = modulePath(half, layer);
  std::string block = modulePath(map.res, layer);
  llvm::SmallDenseSet<Value> seen;
  SmallVector<Value> queue;
  if (output)
    queue.push_back(output);
  while (!queue.empty()) {
    Value next = queue.pop_back_val();
    auto call = next.getDefiningOp<CallOp>();
    if (!call || !ModuleIndex::isInside(call, block) ||
        !seen.insert(next).second)
      continue;
    if (ModuleIndex::isInside(call, inside)) {
      CallOp last = projection(next).first;
      return last && ModuleIndex::isInside(last, inside)
                 ? last.getModulePath().str()
                 : std::string();
    }
    for (Value operand : call.getOperands())
      if (isa<RankedTensorType>(operand.getType()))
        queue.push_back(operand);
  }
  return {};
}

std::string SiteFinder::firstProjection(StringRef half, Value neurons) {
  Value into = entering(half);
  if (!into || !neurons)
    return {};
  auto width = cast<RankedTensorType>(neurons.getType()).getShape().back();
  std::string found;
  for (CallOp call : index.callsInside(half)) {
    if (call->getNumResults() != 1)
      continue;
    auto [product, factor] = projection(call.getResult(0));
    if (product != call || !factor || lookThrough(factor) != lookThrough(into))
      continue;
    // A gate and what it gates in one product, or in two: which rows are which
    // the graph does not say.
    auto type = cast<RankedTensorType>(call.getResult(0).getType());
    if (!found.empty() || type.getShape().back() != width)
      return {};
    found = call.getModulePath().str();
  }
  return found;
}

bool SiteFinder::findLayer(int64_t layer, Value &stream) {
  LayerSites sites;
  if (!findTree(layer, stream, sites))
    return false;
  auto input = [&](StringRef part, const std::string &path, StringRef half,
                   Value output, Value &into) {
    if (path.empty())
      return true;
    if (!(into = entering(path)))
      return false;
    auto call = into.getDefiningOp<CallOp>();
    std::string inside = modulePath(half, layer);
    // A half may be nothing but its last projection.
    if (!inside.empty() && inside != path &&
        !ModuleIndex::isInside(call, inside))
      return fail("'" + part + "' should be made in module '" + inside +
                      "', found " + describe(program, into),
                  into);
    if (output && !comesFrom(output, path, modulePath(map.res, layer)))
      return fail("what layer " + Twine(layer) +
                      " adds does not come from module '" + path + "'",
                  output);
    return true;
  };
  std::string head = lastProjection(map.head, map.att, layer, sites.att);
  std::string down = lastProjection(map.down, map.mlp, layer, sites.mlp);
  if (!input("head", head, map.att, sites.att, sites.head) ||
      !input("neuron", down, map.mlp, sites.mlp, sites.neuron))
    return false;
  std::string up = modulePath(map.up, layer);
  if (map.loose && !up.empty() && !index.has(up))
    up = firstProjection(modulePath(map.mlp, layer), sites.neuron);
  if (!map.mlp.empty()) {
    sites.mlpIn = entering(modulePath(map.mlp, layer));
    // Where several values enter, nothing reads there.
    problem.clear();
    problemLoc.reset();
  }
  if (!up.empty())
    sites.up = weightOf(up, nullptr);
  if (!map.gate.empty())
    sites.gate = weightOf(modulePath(map.gate, layer), nullptr);
  if (!down.empty())
    sites.down = weightOf(down, &sites.layout);
  layers.push_back(sites);
  return true;
}

bool SiteFinder::run(ArrayRef<int64_t> numbers) {
  for (size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] != static_cast<int64_t>(i))
      return fail("looked for module '" + modulePath(map.res, i) +
                  "', found '" + modulePath(map.res, numbers[i]) +
                  "' as the next of " + Twine(numbers.size()) + " blocks");
  // All modules have to be there before the graph is looked at; with a loose
  // map the halves of the blocks.
  SmallVector<const std::string *> parts{&map.att, &map.attNorm, &map.mlp,
                                         &map.mlpNorm, &map.mid};
  if (!map.loose)
    parts.append({&map.head, &map.up, &map.gate, &map.down});
  for (int64_t layer : numbers)
    for (const std::string *part : parts)
      if (!part->empty() && !index.has(modulePath(*part, layer)))
        return fail("looked for module '" + modulePath(*part, layer) +
                    "', which no call is made in");
  Value stream;
  for (int64_t layer : numbers)
    if (!findLayer(layer, stream))
      return false;
  if (!map.unembedding.empty())
    unembedding = weightOf(prefix + map.unembedding, nullptr);
  return true;
}
