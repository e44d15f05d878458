//===- DictionaryEntry.cpp - Dictionaries of any files ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A dictionary is a folder of settings and tensors, whose readers have to agree
// about every name and size. So that a fuzzer gets past the containers, which
// have targets of their own, tensors are described and not spelt:
//
//   sae_lens sae 3 3 3 -
//   = sae/cfg.json
//   {"d_in": 2, "d_sae": 3, "architecture": "standard"}
//   = sae/sae_weights.safetensors
//   W_enc f32 steps 2 3
//   W_dec f32 steps 3 2
//   …
//
// The first line: the format, the path that is opened, the layer, the first and
// the last layer that share the path, and letters: `r` where the spec says what a
// transcoder reads, `l` and `n` for a model with LayerNorms or without, a digit
// for the layer whose decoder rows are meant. Then one file after another. Lines
// of a tensor file are its tensors: name, type, what it is filled with, sizes. A
// file that begins with a line `raw` holds the bytes behind it.
//
//===----------------------------------------------------------------------===//

#include "Entries.h"

#include "Require.h"
#include "Zip.h"

#include "weir/Dictionary/Dictionary.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include <cmath>
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

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// The element types, as each container calls them. No name: it has none.
struct ElementType {
  StringRef name;
  size_t size;
  StringRef safetensors, npy, torch;
  int ggml; ///< -1: none
};
constexpr ElementType elementTypes[] = {
    {"f32", 4, "F32", "<f4", "FloatStorage", 0},
    {"f64", 8, "F64", "<f8", "DoubleStorage", 28},
    {"f16", 2, "F16", "<f2", "HalfStorage", 1},
    {"bf16", 2, "BF16", "", "BFloat16Storage", 30},
    {"i64", 8, "I64", "<i8", "LongStorage", 27},
    {"i32", 4, "I32", "<i4", "IntStorage", 26},
};

struct Tensor {
  std::string name;
  const ElementType *type;
  SmallVector<uint64_t> sizes;
  uint64_t count = 1;
  std::string bytes;
};

/// Numbers that a file may have at most: an error more than that.
constexpr uint64_t mostElements = 4096;

double element(StringRef fill, uint64_t i) {
  if (fill == "zero")
    return 0;
  if (fill == "one")
    return 1;
  if (fill == "nan")
    return i == 1 ? std::numeric_limits<double>::quiet_NaN() : 1;
  if (fill == "inf")
    return i == 1 ? std::numeric_limits<double>::infinity() : 1;
  if (fill == "huge")
    return 3e38;
  if (fill == "tiny")
    return 1e-42;
  if (fill == "minus")
    return -1 - static_cast<double>(i % 3);
  if (double number; to_float(fill, number))
    return number;
  return 0.25 * static_cast<double>((i * 7 + 3) % 13) - 1;
}

template <typename T> void append(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof(value));
}

void appendElement(std::string &out, const ElementType &type, double value) {
  if (type.name == "f64")
    return append(out, value);
  if (type.name == "f32")
    return append(out, static_cast<float>(value));
  if (type.name == "f16")
    return append(out, static_cast<_Float16>(value));
  if (type.name == "bf16") {
    float wide = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &wide, sizeof(bits));
    return append(out, static_cast<uint16_t>(bits >> 16));
  }
  int64_t whole = std::isfinite(value) && std::abs(value) < 1e9
                      ? static_cast<int64_t>(value)
                      : 0;
  out.append(reinterpret_cast<const char *>(&whole), type.size);
}

std::vector<Tensor> tensorsOf(StringRef lines) {
  std::vector<Tensor> tensors;
  uint64_t numbers = 0;
  for (StringRef line : split(lines, '\n')) {
    SmallVector<StringRef> words;
    SplitString(line, words, " ");
    if (words.size() < 3 || tensors.size() == 16)
      continue;
    const ElementType *type = find_if(elementTypes, [&](const ElementType &t) {
      return t.name == words[1];
    });
    if (type == std::end(elementTypes) || words.size() > 3 + 8)
      continue;
    Tensor tensor{words[0].str(), type, {}, 1, {}};
    // Sizes that no numbers are made for stand in the file all the same.
    bool few = true;
    for (StringRef word : ArrayRef(words).drop_front(3)) {
      uint64_t size = 0;
      word.consumeInteger(10, size);
      tensor.sizes.push_back(size);
      few &= size <= mostElements && tensor.count <= mostElements;
      if (few)
        tensor.count *= size;
    }
    if (!few)
      tensor.count = 2;
    numbers += tensor.count;
    if (numbers > mostElements)
      break;
    for (uint64_t i = 0; i < tensor.count; ++i)
      appendElement(tensor.bytes, *type, element(words[2], i));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::string sizeList(ArrayRef<uint64_t> sizes) {
  return join(map_range(sizes, [](uint64_t n) { return std::to_string(n); }),
              ",");
}

std::string safetensorsOf(ArrayRef<Tensor> tensors) {
  json::Object header;
  std::string data;
  for (const Tensor &tensor : tensors) {
    json::Array sizes;
    for (uint64_t size : tensor.sizes)
      sizes.push_back(size);
    uint64_t begin = data.size();
    data += tensor.bytes;
    header[json::fixUTF8(tensor.name)] =
        json::Object{{"dtype", tensor.type->safetensors},
                     {"shape", std::move(sizes)},
                     {"data_offsets", json::Array{begin, data.size()}}};
  }
  std::string text = formatv("{0}", json::Value(std::move(header))).str();
  std::string file;
  append(file, static_cast<uint64_t>(text.size()));
  return file + text + data;
}

std::string npyOf(const Tensor &tensor) {
  std::string header = formatv("{{'descr': '{0}', 'fortran_order': False, "
                               "'shape': ({1}{2}), }",
                               tensor.type->npy, sizeList(tensor.sizes),
                               tensor.sizes.size() == 1 ? "," : "")
                           .str();
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  append(file, static_cast<uint16_t>(header.size()));
  return file + header + tensor.bytes;
}

ArrayRef<std::byte> bytesOf(StringRef text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

std::string
zipOf(const std::vector<std::pair<std::string, std::string>> &members) {
  std::string file;
  ZipWriter zip(
      [&](ArrayRef<std::byte> piece) {
        file.append(reinterpret_cast<const char *>(piece.data()), piece.size());
        return Error::success();
      },
      /*alignment=*/64);
  for (const auto &[name, content] : members)
    // Two of one name: the file stays without its directory.
    if (Error error = zip.add(name, {bytesOf(content)})) {
      consumeError(std::move(error));
      return file;
    }
  cantFail(zip.finish());
  return file;
}

std::string npzOf(ArrayRef<Tensor> tensors) {
  std::vector<std::pair<std::string, std::string>> members;
  for (const Tensor &tensor : tensors)
    members.push_back({tensor.name + ".npy", npyOf(tensor)});
  return zipOf(members);
}

/// As torch.save writes a state dict, each tensor in a storage of its own.
std::string torchOf(ArrayRef<Tensor> tensors) {
  auto number = [](uint64_t value) {
    std::string text("\x8a\x08", 2); // LONG1
    append(text, value);
    return text;
  };
  auto word = [](StringRef value) {
    std::string text = "X";
    append(text, static_cast<uint32_t>(value.size()));
    return text + value.str();
  };
  std::vector<std::pair<std::string, std::string>> members = {{"ae/data.pkl", ""}};
  std::string pickle("\x80\x02}(", 4);
  for (auto [index, tensor] : enumerate(tensors)) {
    std::string key = std::to_string(index), sizes = "(", strides;
    uint64_t stride = 1;
    for (uint64_t size : reverse(tensor.sizes)) {
      strides = number(stride) + strides;
      stride *= size; // wraps where no file holds as much
    }
    for (uint64_t size : tensor.sizes)
      sizes += number(size);
    pickle += word(json::fixUTF8(tensor.name)) +
              "ctorch._utils\n_rebuild_tensor_v2\n((" + word("storage") +
              "ctorch\n" + tensor.type->torch.str() + "\n" + word(key) +
              word("cpu") + number(tensor.count) + "tQ" + number(0) + sizes +
              "t(" + strides + "t\x89" "ccollections\nOrderedDict\n)RtR";
    members.push_back({"ae/data/" + key, tensor.bytes});
  }
  members.front().second = pickle + "u.";
  return zipOf(members);
}

std::string ggufOf(ArrayRef<Tensor> tensors) {
  auto word = [](std::string &out, StringRef value) {
    append(out, static_cast<uint64_t>(value.size()));
    out += value;
  };
  std::string file = "GGUF", data;
  append(file, uint32_t(3));
  append(file, static_cast<uint64_t>(tensors.size()));
  append(file, uint64_t(1));
  word(file, "general.architecture");
  append(file, uint32_t(8));
  word(file, "controlvector");
  for (const Tensor &tensor : tensors) {
    word(file, tensor.name);
    append(file, static_cast<uint32_t>(tensor.sizes.size()));
    for (uint64_t size : reverse(tensor.sizes))
      append(file, size);
    append(file, static_cast<uint32_t>(tensor.type->ggml));
    append(file, static_cast<uint64_t>(data.size()));
    data += tensor.bytes;
    data.append((32 - data.size() % 32) % 32, '\0');
  }
  file.append((32 - file.size() % 32) % 32, '\0');
  return file + data;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

/// Stays below the folder that it is put into.
bool isSafePath(StringRef path) {
  SmallVector<StringRef> parts;
  path.split(parts, '/');
  return path.size() <= 80 && parts.size() <= 4 && all_of(parts, [](StringRef p) {
           return !p.empty() && p.front() != '.' && all_of(p, [](char c) {
             return isAlnum(c) || c == '_' || c == '.' || c == '-';
           });
         });
}

std::string contentOf(StringRef name, StringRef lines) {
  if (lines.consume_front("raw\n"))
    return lines.str();
  if (name.ends_with(".safetensors"))
    return safetensorsOf(tensorsOf(lines));
  if (name.ends_with(".npz"))
    return npzOf(tensorsOf(lines));
  if (name.ends_with(".pt"))
    return torchOf(tensorsOf(lines));
  if (name.ends_with(".gguf"))
    return ggufOf(tensorsOf(lines));
  if (name.ends_with(".npy")) {
    std::vector<Tensor> tensors = tensorsOf(lines);
    return tensors.empty() ? "" : npyOf(tensors.front());
  }
  return lines.str();
}

/// A folder of this process, emptied for every input.
class Scratch {
public:
  Scratch() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "weir-fuzz-XXXXXX").string();
    require(mkdtemp(pattern.data()) != nullptr, "a temporary folder is made");
    root = pattern;
  }
  ~Scratch() { std::filesystem::remove_all(root); }

  void clear() const {
    for (const auto &entry : std::filesystem::directory_iterator(root))
      std::filesystem::remove_all(entry.path());
  }
  void write(StringRef name, StringRef content) const {
    std::filesystem::path path = root / name.str();
    // A name may be a file's and a folder's.
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    std::ofstream(path, std::ios::binary)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  std::string path(StringRef name) const { return (root / name.str()).string(); }

private:
  std::filesystem::path root;
};

//===----------------------------------------------------------------------===//
// What was opened
//===----------------------------------------------------------------------===//

template <typename Rows> bool isFinite(const Rows &rows) {
  return rows.size() == 0 || rows.array().isFinite().all();
}

/// Reads the rows of these features. Returns whether there were some.
bool touchRows(const Dictionary &dictionary, ArrayRef<int64_t> features) {
  const DictionaryInfo &info = dictionary.info();
  Eigen::Index count = features.empty()
                           ? static_cast<Eigen::Index>(info.features)
                           : static_cast<Eigen::Index>(features.size());
  bool any = false;
  if (Expected<EncoderRows> rows = dictionary.encoder(features)) {
    any = true;
    require(rows->weight.rows() == count &&
                rows->weight.cols() == info.inputWidth &&
                rows->bias.size() == count,
            "encoder rows have the sizes that the dictionary has");
    bool jumps = info.activation == ActivationKind::JumpReLU;
    bool gated = info.activation == ActivationKind::Gated;
    require(rows->threshold.size() == (jumps ? count : 0) &&
                rows->magnitudeScale.size() == (gated ? count : 0) &&
                rows->magnitudeBias.size() == (gated ? count : 0),
            "the activation decides what numbers there are");
    require(isFinite(rows->weight) && isFinite(rows->bias) &&
                isFinite(rows->threshold) && isFinite(rows->magnitudeScale) &&
                isFinite(rows->magnitudeBias),
            "the encoder is finite");
    require(rows->threshold.size() == 0 || (rows->threshold.array() >= 0).all(),
            "a threshold is not negative");
  } else {
    consumeError(rows.takeError());
  }
  if (Expected<RowMatrix> rows = dictionary.decoder(features)) {
    any = true;
    require(rows->rows() == count && rows->cols() == info.width,
            "decoder rows have the sizes that the dictionary has");
    require(isFinite(*rows), "the decoder is finite");
  } else {
    consumeError(rows.takeError());
  }
  return any;
}

bool touch(const Dictionary &dictionary) {
  const DictionaryInfo &info = dictionary.info();
  require(info.features > 0 && info.width > 0 && info.inputWidth > 0,
          "a dictionary has features and a width");
  require(info.activation != ActivationKind::TopK ||
              (info.topK > 0 && info.topK <= info.features),
          "the k of a TopK dictionary is one");
  int64_t last = info.features - 1;
  bool any = touchRows(dictionary, {});
  any |= touchRows(dictionary, {last, 0});
  require(!!dictionary.decoder(info.features).takeError(),
          "a feature that is not there is an error");
  if (Expected<RowVector> bias = dictionary.decoderBias())
    require(bias->size() == info.width && isFinite(*bias),
            "the decoder's bias is finite and fits");
  else
    consumeError(bias.takeError());
  Expected<std::string> hash = dictionary.contentHash();
  if (!hash)
    consumeError(hash.takeError());
  else
    require(hash->size() == 64, "a hash has 64 digits");
  return any;
}

} // namespace

bool openFolder(ArrayRef<std::byte> bytes) {
  static const Scratch scratch;
  StringRef text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  auto [first, rest] = text.split('\n');
  SmallVector<StringRef> words;
  SplitString(first, words, " ");
  if (words.size() < 2 || !isSafePath(words[1]))
    return false;
  std::optional<DictionaryFormat> format = parseDictionaryFormat(words[0]);
  if (!format)
    return false;
  words.resize(6);

  DictionaryPlace place;
  int64_t numbers[3] = {-1, 0, 0};
  for (auto [word, number] : zip(ArrayRef(words).slice(2, 3), numbers))
    if (int64_t value; to_integer(word, value, 10) && value < 1 << 20)
      number = value;
  if (numbers[0] >= 0)
    place.layer = numbers[0];
  place.firstLayer = numbers[1];
  place.lastLayer = numbers[2];
  ModelTraits model;
  for (char letter : words[5]) {
    place.readsKnown |= letter == 'r';
    if (letter == 'l' || letter == 'n')
      model.hasLayerNorm = letter == 'l';
    if (isDigit(letter))
      place.target = letter - '0';
  }

  scratch.clear();
  StringRef left = rest;
  for (int files = 0; files < 6 && left.consume_front("= "); ++files) {
    auto [name, behind] = left.split('\n');
    size_t end = behind.find("\n= ");
    StringRef content = behind.take_front(end);
    left = end == StringRef::npos ? "" : behind.drop_front(end + 1);
    if (isSafePath(name))
      scratch.write(name, contentOf(name, content));
  }
  Expected<std::shared_ptr<Dictionary>> opened =
      openDictionary(*format, scratch.path(words[1]), model, place);
  if (!opened) {
    std::string message = toString(opened.takeError());
    require(!message.empty(), "an error says something");
    return false;
  }
  return touch(**opened);
}

void dictionary(ArrayRef<std::byte> bytes) { (void)openFolder(bytes); }

} // namespace weir::fuzz
