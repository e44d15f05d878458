//===- RunEntry.cpp - Programs of any bytes ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RunEntry.h"

#include "Reference/Graph.h"
#include "Require.h"
#include "Zip.h"

#include "weir/Program/TensorWriter.h"
#include "weir/Runtime/RunJob.h"
#include "weir/Support/Files.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <unistd.h>

using namespace llvm;

namespace weir::fuzz {
namespace {

ArrayRef<std::byte> bytesOf(StringRef text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

//===----------------------------------------------------------------------===//
// Records that a graph may refer to
//===----------------------------------------------------------------------===//

/// Hostile as indices, sizes and divisors.
constexpr int64_t integers[] = {0, 1, -1, 2, 3, -2, 5, 7, 1 << 20, int64_t{1} << 31,
                                std::numeric_limits<int64_t>::max(),
                                std::numeric_limits<int64_t>::min()};

json::Object metaOf(int dtype, ArrayRef<int64_t> sizes) {
  json::Array extents, strides;
  int64_t stride = 1;
  SmallVector<int64_t> all;
  for (int64_t size : reverse(sizes)) {
    all.push_back(stride);
    stride *= size;
  }
  for (int64_t size : sizes)
    extents.push_back(json::Object{{"as_int", size}});
  for (int64_t one : reverse(all))
    strides.push_back(json::Object{{"as_int", one}});
  return json::Object{
      {"dtype", dtype},        {"sizes", std::move(extents)},
      {"strides", std::move(strides)},
      {"storage_offset", json::Object{{"as_int", 0}}},
      {"requires_grad", false}, {"layout", 7},
      {"device", json::Object{{"type", "cpu"}, {"index", nullptr}}}};
}

/// The weights of every program: numbers, a matrix, indices that fit and do not.
struct Weight {
  const char *fqn;
  int dtype;
  std::vector<int64_t> sizes;
};
const std::vector<Weight> &weights() {
  static const std::vector<Weight> list = {
      {"matrix", 7, {4, 6}}, {"vector", 7, {6}},  {"heads", 7, {2, 2, 3, 4}},
      {"good", 5, {4}},      {"bad", 5, {12}},    {"flags", 12, {6}}};
  return list;
}

std::string payloadOf(const Weight &weight) {
  std::string out;
  auto append = [&](const auto &value) {
    out.append(reinterpret_cast<const char *>(&value), sizeof(value));
  };
  int64_t count = 1;
  for (int64_t size : weight.sizes)
    count *= size;
  for (int64_t i = 0; i < count; ++i)
    if (weight.dtype == 7)
      append(0.25f * static_cast<float>(i % 9) - 1);
    else if (weight.dtype == 12)
      append(static_cast<uint8_t>(i % 2));
    else
      append(StringRef(weight.fqn) == "bad" ? integers[i] : i);
  return out;
}

std::string weightsConfig() {
  json::Object config;
  for (auto [index, weight] : enumerate(weights()))
    config[weight.fqn] = json::Object{
        {"path_name", formatv("weight_{0}", index).str()},
        {"is_param", true},
        {"use_pickle", false},
        {"tensor_meta", metaOf(weight.dtype, weight.sizes)}};
  return formatv("{0}", json::Value(json::Object{{"config", std::move(config)}}));
}

constexpr StringLiteral defaultInfo =
    R"({"weir": 1, "model": "fuzz", "family": "llama", "dtype": "float32",)"
    R"( "vocab_size": 8, "max_batch": 2, "max_length": 8, "eos": []})";

std::string archiveOf(StringRef model, StringRef weightsText,
                      StringRef constantsText, StringRef info) {
  std::string file;
  ZipWriter zip(
      [&](ArrayRef<std::byte> piece) {
        file.append(reinterpret_cast<const char *>(piece.data()), piece.size());
        return Error::success();
      },
      /*alignment=*/64);
  std::vector<std::pair<std::string, std::string>> records = {
      {"archive_format", "pt2"},
      {"archive_version", "0"},
      {"models/model.json", model.str()},
      {"data/weights/model_weights_config.json", weightsText.str()},
      {"data/constants/model_constants_config.json", constantsText.str()},
      {"data/constants/tensor_0", "01234567"},
      {"extra/weir.json", info.str()}};
  for (auto [index, weight] : enumerate(weights()))
    records.push_back(
        {formatv("data/weights/weight_{0}", index).str(), payloadOf(weight)});
  for (const auto &[name, content] : records)
    cantFail(zip.add("x/" + name, {bytesOf(content)}));
  cantFail(zip.finish());
  return file;
}

//===----------------------------------------------------------------------===//
// Graphs out of decisions
//===----------------------------------------------------------------------===//

class Composer {
public:
  explicit Composer(ArrayRef<std::byte> bytes) : bytes(bytes) {}

  std::string compose() {
    input("input_ids");
    input("positions");
    for (const Weight &weight : weights()) {
      std::string name = std::string("p_") + weight.fqn;
      graphInputs.push_back(tensor(name));
      inputSpecs.push_back(json::Object{
          {"parameter", json::Object{{"arg", json::Object{{"name", name}}},
                                     {"parameter_name", weight.fqn}}}});
      tensorValues[name] = metaOf(weight.dtype, weight.sizes);
      tensors.push_back(name);
    }
    for (int count = 0; count < 16 && !bytes.empty(); ++count)
      node();
    json::Object output = tensor(tensors.back());
    json::Object graph{{"inputs", std::move(graphInputs)},
                       {"outputs", json::Array{json::Object(output)}},
                       {"nodes", std::move(nodes)},
                       {"tensor_values", std::move(tensorValues)},
                       {"sym_int_values", std::move(symbolValues)}};
    json::Object signature{
        {"input_specs", std::move(inputSpecs)},
        {"output_specs",
         json::Array{json::Object{
             {"user_output", json::Object{{"arg", std::move(output)}}}}}}};
    return formatv(
        "{0}",
        json::Value(json::Object{
            {"graph_module", json::Object{{"graph", std::move(graph)},
                                          {"signature", std::move(signature)}}},
            {"schema_version", json::Object{{"major", 8}, {"minor", 20}}}}));
  }

private:
  size_t next(size_t below) {
    if (bytes.empty() || below <= 1)
      return 0;
    size_t value = static_cast<uint8_t>(bytes.front());
    bytes = bytes.drop_front();
    if (below > 256 && !bytes.empty()) {
      value = value << 8 | static_cast<uint8_t>(bytes.front());
      bytes = bytes.drop_front();
    }
    return value % below;
  }

  static json::Object tensor(StringRef name) {
    // A json::Value of a StringRef does not own its text.
    return json::Object{{"as_tensor", json::Object{{"name", name.str()}}}};
  }

  void input(StringRef name) {
    graphInputs.push_back(tensor(name));
    inputSpecs.push_back(json::Object{
        {"user_input", json::Object{{"arg", tensor(name)}}}});
    json::Object meta = metaOf(5, {1, 1});
    json::Array sizes;
    for (const char *symbol : {"s0", "s1"})
      sizes.push_back(json::Object{
          {"as_expr", json::Object{{"expr_str", symbol},
                                   {"hint", json::Object{{"as_int", 2}}}}}});
    meta["sizes"] = std::move(sizes);
    tensorValues[name] = std::move(meta);
    tensors.push_back(name.str());
  }

  void symbol(const std::string &name) {
    symbolValues[name] = json::Object{{"as_int", 1}};
    symbols.push_back(name);
  }

  std::string anyTensor() {
    // The newest first: programs are chains.
    size_t back = next(tensors.size());
    return tensors[tensors.size() - 1 - back];
  }

  json::Object anyInteger() {
    if (!symbols.empty() && next(4) == 0)
      return json::Object{
          {"as_sym_int",
           json::Object{{"as_name", symbols[next(symbols.size())]}}}};
    size_t choice = next(std::size(integers) + 6);
    return json::Object{{"as_int", choice < std::size(integers)
                                       ? integers[choice]
                                       : static_cast<int64_t>(choice % 6)}};
  }

  json::Object anyNumber() {
    static constexpr double numbers[] = {0.5, -1, 2, 1e300};
    if (next(2))
      return anyInteger();
    size_t choice = next(std::size(numbers) + 1);
    if (choice == std::size(numbers))
      return json::Object{{"as_float", "NaN"}};
    return json::Object{{"as_float", numbers[choice]}};
  }

  template <typename Element> json::Array list(Element element) {
    json::Array out;
    for (size_t count = next(5); count > 0; --count)
      out.push_back(element());
    return out;
  }

  std::optional<json::Object> argument(reference::ParamKind kind) {
    using reference::ParamKind;
    static constexpr int dtypes[] = {7, 5, 12, 13, 8, 4, 2, 10};
    static constexpr StringLiteral words[] = {
        "floor", "trunc", "tanh", "sum", "prod", "mean", "amax", "constant",
        "reflect", "ij,jk->ik", "...", "ij"};
    switch (kind) {
    case ParamKind::Tensor:
      return tensor(anyTensor());
    case ParamKind::Int:
      return anyInteger();
    case ParamKind::Float:
    case ParamKind::Number:
      return anyNumber();
    case ParamKind::Bool:
      return json::Object{{"as_bool", next(2) == 1}};
    case ParamKind::String:
      return json::Object{{"as_string", words[next(std::size(words))]}};
    case ParamKind::DType:
      return json::Object{{"as_scalar_type", dtypes[next(std::size(dtypes))]}};
    case ParamKind::TensorList:
      return json::Object{{"as_tensors", list([&] {
                             return json::Object{{"name", anyTensor()}};
                           })}};
    case ParamKind::OptionalTensorList:
      return json::Object{{"as_optional_tensors", list([&] {
                             return next(3) ? tensor(anyTensor())
                                            : json::Object{{"as_none", true}};
                           })}};
    case ParamKind::IntList: {
      json::Array numbers = list([&] {
        json::Object number = anyInteger();
        if (json::Object *symbol = number.getObject("as_sym_int"))
          return std::move(*symbol);
        return number;
      });
      return json::Object{{"as_sym_ints", std::move(numbers)}};
    }
    case ParamKind::BoolList:
      return json::Object{{"as_bools", list([&] { return next(2) == 1; })}};
    default:
      return std::nullopt; // its default, or an error
    }
  }

  void node() {
    // Weir's own are in a library that this process does not load.
    static const std::vector<const OperatorInfo *> known = [] {
      std::vector<const OperatorInfo *> rows;
      for (const OperatorInfo &info : operatorCatalogue())
        if (info.isBuiltin() || StringRef(info.name).starts_with("aten."))
          rows.push_back(&info);
      return rows;
    }();
    const OperatorInfo &info = *known[next(known.size())];
    json::Array arguments, results;
    std::string result = formatv("v{0}", nodes.size());
    if (info.isBuiltin()) {
      for (unsigned i = 0, e = reference::arityOf(
                               *reference::parseSymbolicOp(info.name));
           i < e; ++i)
        arguments.push_back(
            json::Object{{"name", std::string(1, static_cast<char>('a' + i))},
                         {"arg", anyInteger()}});
      results.push_back(json::Object{
          {"as_sym_int", json::Object{{"as_name", result}}}});
      symbol(result);
    } else {
      auto [name, overload] =
          StringRef(info.name).drop_front(strlen("aten.")).split('.');
      auto op = c10::Dispatcher::singleton().findSchema(
          {("aten::" + name).str(),
           overload == "default" ? "" : overload.str()});
      require(op.has_value(), "a row of the catalogue is an operator");
      for (const c10::Argument &parameter : op->schema().arguments()) {
        if (parameter.default_value() && next(2) == 0)
          continue;
        c10::TypePtr type = parameter.real_type();
        if (type->kind() == c10::TypeKind::OptionalType)
          type = type->expectRef<c10::OptionalType>().getElementType();
        if (auto form = argument(reference::paramKindOf(type)))
          arguments.push_back(json::Object{{"name", parameter.name()},
                                           {"arg", std::move(*form)}});
      }
      std::vector<std::string> defined;
      for (auto [index, returned] : enumerate(op->schema().returns())) {
        std::string one = formatv("{0}_{1}", result, index);
        switch (reference::paramKindOf(returned.real_type())) {
        case reference::ParamKind::Tensor:
          results.push_back(tensor(one));
          defined.push_back(one);
          break;
        case reference::ParamKind::TensorList: {
          json::Array pieces;
          for (size_t count = 1 + next(4); count > 0; --count) {
            defined.push_back(formatv("{0}_{1}", one, count));
            pieces.push_back(json::Object{{"name", defined.back()}});
          }
          results.push_back(json::Object{{"as_tensors", std::move(pieces)}});
          break;
        }
        default:
          results.push_back(
              json::Object{{"as_sym_int", json::Object{{"as_name", one}}}});
          symbol(one);
        }
      }
      // Nobody compares what a graph says of values inside of it.
      for (const std::string &one : defined)
        tensorValues[one] = metaOf(7, {2, 3, 8});
      tensors.insert(tensors.end(), defined.begin(), defined.end());
    }
    nodes.push_back(json::Object{
        {"target",
         info.isBuiltin() ? info.name.str() : ("torch.ops." + info.name).str()},
        {"name", result},
        {"inputs", std::move(arguments)},
        {"outputs", std::move(results)},
        {"metadata", json::Object{}}});
  }

  ArrayRef<std::byte> bytes;
  json::Array graphInputs, inputSpecs, nodes;
  json::Object tensorValues, symbolValues;
  std::vector<std::string> tensors, symbols;
};

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// A folder of this process, in memory where there is one.
class Folder {
public:
  Folder() {
    std::error_code code;
    auto base = std::filesystem::is_directory("/dev/shm", code)
                    ? std::filesystem::path("/dev/shm")
                    : std::filesystem::temp_directory_path();
    path = (base / ("weir-fuzz-" + std::to_string(::getpid()))).string();
    std::filesystem::create_directories(path);
    static constexpr int64_t ids[] = {1, 2, 3, 4, 5, -1};
    TensorView view;
    view.dtype = DType::Int64;
    view.shape = {2, 3};
    view.data = reinterpret_cast<const std::byte *>(ids);
    cantFail(writeNpy(path + "/ids.npy", view));
  }
  ~Folder() {
    std::error_code code;
    std::filesystem::remove_all(path, code);
  }
  std::string path;
};

} // namespace

RunResult run(ArrayRef<std::byte> bytes) {
  static Folder folder;
  StringRef text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  std::string file = text.str();
  if (text.starts_with("{")) {
    SmallVector<StringRef, 4> parts;
    text.split(parts, '\0', 3);
    parts.resize(4);
    auto orElse = [](StringRef part, std::string other) {
      return part.empty() ? other : part.str();
    };
    file = archiveOf(parts[0], orElse(parts[1], weightsConfig()),
                     orElse(parts[2], R"({"config": {}})"),
                     orElse(parts[3], defaultInfo.str()));
  } else if (!text.starts_with("PK")) {
    file = archiveOf(Composer(bytes).compose(), weightsConfig(),
                     R"({"config": {}})", defaultInfo);
  }

  RunOptions options;
  options.program = folder.path + "/x.pt2";
  options.engine = "reference";
  options.idsFile = folder.path + "/ids.npy";
  options.logitsFile = folder.path + "/logits.npy";
  options.threads = 1;
  options.quiet = true;
  options.maxMemory = 4 << 20; // small, so that no operator takes long
  std::filesystem::remove(options.logitsFile);
  // Not through a rename: a mapping of the last program is gone by now.
  std::ofstream(options.program, std::ios::binary | std::ios::trunc) << file;

  RunResult result;
  std::string log = folder.path + "/log";
  std::error_code code;
  {
    raw_fd_ostream out("/dev/null", code), err(log, code);
    result.code = runJob(options, out, err);
  }
  std::ifstream in(log, std::ios::binary);
  result.messages.assign(std::istreambuf_iterator<char>(in), {});
  require(result.code >= 0 && result.code <= 2, "an exit code of weir-run");
  require((result.code == 0) == std::filesystem::exists(options.logitsFile),
          "logits if and only if there was no error");
  require(result.code == 0 || StringRef(result.messages).contains("error: "),
          "an error says something");
  return result;
}

} // namespace weir::fuzz
