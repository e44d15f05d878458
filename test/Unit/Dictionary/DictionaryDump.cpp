//===- DictionaryDump.cpp - A dictionary's numbers for other programs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// weir-dictionary-dump FORMAT PATH [--out FOLDER] [--features i,j,…]
//                      [--antagonists FEATURE,COUNT] [--hash]
//                      [--layer L] [--target L] [--reads]
//
// Prints what is known of a dictionary as one JSON object, with the time and
// the page faults of reading the rows; writes the rows to FOLDER as .npy files
// (f32): encoder_weight, encoder_bias, decoder, decoder_bias and, where the
// dictionary has them, threshold, magnitude_scale, magnitude_bias. The encoder
// of a transcoder only with --reads, which takes it as known where it reads.
//
//===----------------------------------------------------------------------===//

#include "weir/Dictionary/Rows.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/WithColor.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <sys/resource.h>

using namespace llvm;
using namespace weir;

static ExitOnError check("weir-dictionary-dump: ");

/// Version 1.0 of the .npy format: a dictionary literal padded to 64 bytes.
static void writeNpy(StringRef folder, StringRef name, ArrayRef<int64_t> shape,
                     const float *data) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  size_t count = 1;
  for (int64_t size : shape) {
    header += std::to_string(size) + ", ";
    count *= size;
  }
  header += "), }";
  header.append(63 - (header.size() + 10) % 64, ' ');
  header += '\n';
  SmallString<256> path(folder);
  sys::path::append(path, name + ".npy");
  std::error_code code;
  raw_fd_ostream os(path, code);
  if (code)
    check(createStringError(code, Twine(path) + ": " + code.message()));
  os << StringRef("\x93NUMPY\1\0", 8) << char(header.size() & 255)
     << char(header.size() >> 8) << header;
  os.write(reinterpret_cast<const char *>(data), count * sizeof(float));
}

static void writeRows(StringRef folder, StringRef name, const RowMatrix &rows) {
  writeNpy(folder, name, {rows.rows(), rows.cols()}, rows.data());
}

static void writeVector(StringRef folder, StringRef name,
                        const RowVector &row) {
  if (row.size() != 0)
    writeNpy(folder, name, {row.size()}, row.data());
}

static SmallVector<int64_t> parseList(StringRef text) {
  SmallVector<int64_t> result;
  SmallVector<StringRef> parts;
  text.split(parts, ',', -1, false);
  for (StringRef part : parts)
    if (part.getAsInteger(10, result.emplace_back()))
      check(createStringError("not a number: '" + part + "'"));
  return result;
}

static StringRef nameOf(ActivationKind kind) {
  constexpr StringLiteral names[] = {"identity", "relu", "jumprelu", "topk",
                                     "gated"};
  return names[static_cast<int>(kind)];
}

static StringRef nameOf(Normalization kind) {
  constexpr StringLiteral names[] = {"none", "constant_norm", "layer_norm"};
  return names[static_cast<int>(kind)];
}

namespace {

/// Wall time and page faults of one call.
struct Measured {
  std::chrono::steady_clock::time_point start =
      std::chrono::steady_clock::now();
  rusage before = usage();

  static rusage usage() {
    rusage result;
    getrusage(RUSAGE_SELF, &result);
    return result;
  }
  json::Object stop() const {
    double microseconds = std::chrono::duration<double, std::micro>(
                              std::chrono::steady_clock::now() - start)
                              .count();
    rusage after = usage();
    return json::Object{{"microseconds", microseconds},
                        {"minor_faults", after.ru_minflt - before.ru_minflt},
                        {"major_faults", after.ru_majflt - before.ru_majflt}};
  }
};

} // namespace

int main(int argc, char **argv) {
  SmallVector<StringRef> positional;
  SmallVector<int64_t> features, antagonistsOf;
  StringRef out;
  bool hash = false;
  DictionaryPlace place;
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    auto value = [&]() -> StringRef {
      if (i + 1 == argc)
        check(createStringError(argument + " needs a value"));
      return argv[++i];
    };
    if (argument == "--out")
      out = value();
    else if (argument == "--features")
      features = parseList(value());
    else if (argument == "--antagonists")
      antagonistsOf = parseList(value());
    else if (argument == "--hash")
      hash = true;
    else if (argument == "--reads")
      place.readsKnown = true;
    else if (argument == "--layer")
      place.firstLayer = place.lastLayer =
          place.layer.emplace(parseList(value()).front());
    else if (argument == "--target")
      place.target = parseList(value()).front();
    else
      positional.push_back(argument);
  }
  if (positional.size() != 2)
    check(createStringError("expected FORMAT and PATH"));
  std::optional<DictionaryFormat> format = parseDictionaryFormat(positional[0]);
  if (!format)
    check(createStringError("unknown format '" + positional[0] + "'"));

  std::shared_ptr<Dictionary> dictionary =
      check(openDictionary(*format, positional[1], {}, place));
  const DictionaryInfo &info = dictionary->info();
  json::Object result{{"features", info.features},
                      {"input_width", info.inputWidth},
                      {"width", info.width},
                      {"activation", nameOf(info.activation)},
                      {"top_k", info.topK},
                      {"normalization", nameOf(info.normalization)},
                      {"hook_name", info.hookName},
                      {"output_hook_name", info.outputHookName},
                      {"reads_site", info.readsSite}};
  if (info.lastTarget)
    result["last_target"] = *info.lastTarget;
  if (hash)
    result["hash"] = check(dictionary->contentHash());
  if (antagonistsOf.size() == 2) {
    json::Array list;
    for (const Antagonist &entry :
         check(antagonists(*dictionary, antagonistsOf[0], antagonistsOf[1])))
      list.push_back(json::Array{entry.feature, entry.cosine});
    result["antagonists"] = std::move(list);
  }
  if (!out.empty()) {
    if (info.readsSite || place.readsKnown) {
      Measured measured;
      EncoderRows rows = check(dictionary->encoder(features));
      result["encoder"] = measured.stop();
      writeRows(out, "encoder_weight", rows.weight);
      writeVector(out, "encoder_bias", rows.bias);
      writeVector(out, "threshold", rows.threshold);
      writeVector(out, "magnitude_scale", rows.magnitudeScale);
      writeVector(out, "magnitude_bias", rows.magnitudeBias);
    }
    Measured measured;
    RowMatrix rows = check(dictionary->decoder(features));
    result["decoder"] = measured.stop();
    writeRows(out, "decoder", rows);
    writeVector(out, "decoder_bias", check(dictionary->decoderBias()));
  }
  outs() << json::Value(std::move(result)) << "\n";
  return 0;
}
