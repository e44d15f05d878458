//===- Roles.cpp - What inputs, outputs and weights are for ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Symbols.h"

#include "mlir/IR/Builders.h"

#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace weir;
using namespace weir::fx;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

ParseResult weir::fx::parseInputRole(AsmParser &parser,
                                     std::optional<InputRole> &role) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  role = inputRoleNamed(keyword);
  if (!role)
    return parser.emitError(loc) << "unknown role of an input '" << keyword
                                 << "'";
  return success();
}

InputAttr InputAttr::withRole(InputRole role) const {
  return get(getContext(), getKind(), getWeight(), getPersistent(), getExtra(),
             role);
}

LogicalResult RecordAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 StringAttr name, ArrayAttr columns) {
  if (name.getValue().empty())
    return emitError() << "a record without a name";
  if (columns.empty())
    return emitError() << "the record '" << name.getValue()
                       << "' has no columns";
  return success();
}

LogicalResult CountAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                SiteKind, int64_t, ArrayAttr policies) {
  if (policies.empty() || !llvm::all_of(policies, llvm::IsaPred<StringAttr>))
    return emitError() << "a count names the policies that it counts, not "
                       << policies;
  return success();
}

/// `<"scope"::"key">`
static ParseResult parseWeight(AsmParser &parser, WeightAttr &weight) {
  if (weight)
    return parser.emitError(parser.getCurrentLocation())
           << "a weight is named twice";
  weight = dyn_cast_if_present<WeightAttr>(WeightAttr::parse(parser, {}));
  return success(static_cast<bool>(weight));
}

Attribute LayerAttr::parse(AsmParser &parser, Type) {
  WeightAttr up, gate, down;
  WeightLayout layout = WeightLayout::OutIn;
  auto parseOne = [&]() -> ParseResult {
    StringRef part;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&part))
      return failure();
    if (part == "in_out") {
      layout = WeightLayout::InOut;
      return success();
    }
    if (part != "up" && part != "gate" && part != "down")
      return parser.emitError(loc)
             << "a layer has 'up', 'gate' and 'down', no '" << part << "'";
    return failure(
        parser.parseEqual() ||
        parseWeight(parser, part == "up" ? up : part == "gate" ? gate : down));
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                     parseOne))
    return {};
  return get(parser.getContext(), up, gate, down, layout);
}

void LayerAttr::print(AsmPrinter &printer) const {
  printer << '<';
  llvm::ListSeparator separator;
  auto print = [&](StringRef part, WeightAttr weight) {
    if (!weight)
      return;
    printer << StringRef(separator) << part << " = ";
    weight.print(printer);
  };
  print("up", getUp());
  print("gate", getGate());
  print("down", getDown());
  if (getLayout() == WeightLayout::InOut)
    printer << StringRef(separator) << "in_out";
  printer << '>';
}

Attribute WeightsAttr::parse(AsmParser &parser, Type) {
  WeightAttr unembedding;
  SmallVector<LayerAttr> layers;
  if (parser.parseLess())
    return {};
  if (succeeded(parser.parseOptionalKeyword("unembedding")) &&
      (parser.parseEqual() || parseWeight(parser, unembedding) ||
       parser.parseComma()))
    return {};
  auto parseOne = [&]() -> ParseResult {
    auto layer = dyn_cast_if_present<LayerAttr>(LayerAttr::parse(parser, {}));
    layers.push_back(layer);
    return success(static_cast<bool>(layer));
  };
  if (parser.parseKeyword("layers") || parser.parseEqual() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseOne) ||
      parser.parseGreater())
    return {};
  return get(parser.getContext(), unembedding, layers);
}

void WeightsAttr::print(AsmPrinter &printer) const {
  printer << '<';
  if (getUnembedding()) {
    printer << "unembedding = ";
    getUnembedding().print(printer);
    printer << ", ";
  }
  printer << "layers = [";
  llvm::interleaveComma(getLayers(), printer.getStream(),
                        [&](LayerAttr layer) { layer.print(printer); });
  printer << "]>";
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

/// What an input of that role has to be.
static StringRef wantedType(InputRole role) {
  if (mayBeFlat(role))
    return "[batch, sequence] or [tokens] of i64";
  return holdsNumbers(role) ? "[batch, knobs] of f32" : "[batch] of i64";
}

static bool fits(InputRole role, Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return false;
  int64_t rank = tensor.getRank();
  bool hasRank = rank == rankOf(role) || (mayBeFlat(role) && rank == 1);
  Type element = tensor.getElementType();
  return hasRank && (holdsNumbers(role) ? element.isF32() : element.isInteger(64));
}

/// What is given to the caller as numbers: of each token, in columns.
static bool isNumbers(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() >= 1 &&
         isa<FloatType>(tensor.getElementType());
}

LogicalResult
weir::fx::checkRole(InputRole role, Type type,
                    function_ref<InFlightDiagnostic()> emitError) {
  if (fits(role, type))
    return success();
  return emitError() << "the input with the role '" << roleName(role)
                     << "' is " << wantedType(role) << ", not " << type;
}

LogicalResult
weir::fx::checkRole(Attribute role, Type type,
                    function_ref<InFlightDiagnostic()> emitError) {
  if (!isNumbers(type))
    return emitError() << "the output with the role " << role
                       << " is a tensor of numbers, not " << type;
  auto record = dyn_cast<RecordAttr>(role);
  auto count = dyn_cast<CountAttr>(role);
  int64_t columns = cast<RankedTensorType>(type).getShape().back();
  if (count && columns != static_cast<int64_t>(count.getPolicies().size()))
    return emitError() << "the count of "
                       << siteName(count.getKind(), count.getLayer())
                       << " names " << count.getPolicies().size()
                       << " policies for the columns of " << type;
  if (record && record.getColumns().size() == 1 &&
      isa<WholeValueAttrInterface>(record.getColumns()[0]))
    return success();
  if (record && columns != static_cast<int64_t>(record.getColumns().size()))
    return emitError() << "the record '" << record.getName().getValue()
                       << "' names " << record.getColumns().size()
                       << " columns of " << type;
  return success();
}

//===----------------------------------------------------------------------===//
// fx.program
//===----------------------------------------------------------------------===//

BlockArgument ProgramOp::findInput(InputRole role) {
  for (BlockArgument argument : getEntry().getArguments())
    if (getInput(argument.getArgNumber()).getRole() == role)
      return argument;
  return {};
}

SmallVector<InputRole> ProgramOp::getInputRoles() {
  SmallVector<InputRole> roles;
  for (auto input : getInputs().getAsRange<InputAttr>())
    if (input.getRole())
      roles.push_back(*input.getRole());
  return roles;
}

SmallVector<OutputAttr> ProgramOp::getUserOutputs() {
  return llvm::filter_to_vector(
      getReturn().getOutputs().getAsRange<OutputAttr>(), [](OutputAttr output) {
        return output.getKind() == OutputKind::UserOutput;
      });
}

void ProgramOp::recogniseRoles() {
  SmallVector<Attribute> inputs(getInputs().getValue());
  for (BlockArgument argument : getEntry().getArguments()) {
    unsigned i = argument.getArgNumber();
    std::optional<InputRole> role = inputRoleNamed(getInputName(i));
    if (role && getInput(i).getKind() == InputKind::UserInput &&
        !getInput(i).getRole() && !findInput(*role) &&
        fits(*role, argument.getType()))
      inputs[i] = getInput(i).withRole(*role);
  }
  setInputsAttr(ArrayAttr::get(getContext(), inputs));
  Attribute logits = LogitsAttr::get(getContext());
  auto isLogits = [&](OutputAttr output) { return output.getRole() == logits; };
  if (!findInput(InputRole::InputIds) || !findInput(InputRole::Positions) ||
      llvm::any_of(getUserOutputs(), isLogits))
    return;
  ReturnOp ret = getReturn();
  SmallVector<Attribute> outputs(ret.getOutputs().getValue());
  unsigned value = 0;
  for (Attribute &attribute : outputs) {
    auto output = cast<OutputAttr>(attribute);
    if (output.getKind() != OutputKind::UserOutput) {
      value += !output.getLiteral();
      continue;
    }
    if (!output.getLiteral() && !output.getRole() &&
        isNumbers(ret.getValues()[value].getType()))
      attribute = OutputAttr::get(getContext(), output.getKind(),
                                  output.getTarget(), output.getLiteral(),
                                  output.getExtra(), logits);
    break;
  }
  ret.setOutputsAttr(ArrayAttr::get(getContext(), outputs));
}

void ProgramOp::addEdited(SiteKind kind, int64_t layer) {
  SmallVector<Attribute> sites;
  if (getEdited())
    sites.assign(getEdited()->begin(), getEdited()->end());
  Attribute site = EditedAttr::get(getContext(), kind, layer);
  if (llvm::is_contained(sites, site))
    return;
  sites.push_back(site);
  setEditedAttr(ArrayAttr::get(getContext(), sites));
}
