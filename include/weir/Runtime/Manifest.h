//===- Manifest.h - What a folder with a program holds ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// manifest.json lies beside the files it names. It says which inputs the
// program takes, what the indices of the `plan` input and the columns of the
// `knobs` input mean, and which outputs follow the logits:
//
//   {"weir": 1,
//    "program": {"path": "program.pt2", "sha256": "…"},
//    "aot": {"path": "program.aot.pt2", "sha256": "…"},            optional
//    "kernels": {"path": "kernels.so", "sha256": "…"},             optional
//    "table": {"path": "sites.safetensors", "sha256": "…"},        optional
//    "spec": {"path": "spec.yaml", "sha256": "…"},                 optional
//    "report": {"path": "report.md"},                              optional
//    "model": {"name": "smollm2", "family": "llama", "dtype": "f32",
//              "weights": "…", "graph": "…"},
//    "dictionaries": [{"name": "sae/res.12", "sha256": "…"}],
//    "sites": [{"site": "res", "layer": 12}],
//    "plans": ["default", "plain"],
//    "knobs": [{"name": "faith", "default": 1.0, "min": 0.0, "max": 8.0}],
//    "inputs": ["input_ids", "positions", "prompt_length", "plan", "knobs"],
//    "outputs": ["logits", "faith"],
//    "records": [{"name": "faith", "output": 1, "features": ["12/res/411"]}]}
//
// Paths are relative to the folder and never leave it. Keys that this version
// does not know are ignored: whatever changes the meaning of a known key has to
// raise "weir". The report has no hash: it tells times, which differ from build
// to build.
//
// Everything but "program", "aot", "kernels", "table" and "report" stands in the program's archive
// as well, in the record extra/weir.steering.json. A manifest that says
// something else is refused: it belongs to another program, or was edited.
// Torch-free.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_RUNTIME_MANIFEST_H
#define WEIR_RUNTIME_MANIFEST_H

#include "weir/Program/InputRoles.h"

#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <optional>
#include <string>
#include <vector>

namespace weir {

struct Manifest {
  struct File {
    std::string path;   ///< relative to the manifest's folder
    std::string sha256; ///< 64 lower-case hexadecimal digits
    /// Its size, so that a file of another one is not read to be refused.
    std::optional<int64_t> bytes = std::nullopt;
  };
  struct Dictionary {
    std::string name;
    std::string sha256; ///< Dictionary::contentHash
  };
  struct Site {
    std::string site; ///< res, mlp, att, mid, head
    int64_t layer = 0;
  };
  struct Knob {
    std::string name;
    double defaultValue = 1.0;
    double min = 0.0, max = 1.0;
  };
  /// What was steered. A program that was built by an older version, or that
  /// is not steered, has none.
  struct Model {
    std::string name, family, dtype; ///< as extra/weir.json tells them
    std::string weights;             ///< weightsHash of the model's archive
    std::string graph;               ///< graphHash of the model's archive
    /// Of its products, where they are not exact: "int8".
    std::string arithmetic = {};
  };
  /// An extra output [b, S, features] f32 with activations, or [b, S, 1] with
  /// the gate of a policy, whose one feature is then `gate:NAME`.
  struct Record {
    std::string name;
    int64_t output = 0; ///< index into the program's outputs
    std::vector<std::string> features;
    std::string policy = {}; ///< that records; none in what older versions built
  };
  /// What a spec calls a policy, without those that are in no plan. A program
  /// that was built by an older version has none.
  struct Policy {
    std::string name;
    bool edits = false; ///< false for one that only records
    std::vector<std::string> plans;
  };
  /// An extra output [b, S, policies] f32, 1 at the tokens that a policy edits at
  /// a site, of a program that was built to count them.
  struct Count {
    std::string site;
    int64_t layer = 0;
    int64_t output = 0; ///< index into the program's outputs
    std::vector<std::string> policies;
  };

  /// Of a program that one plan is compiled in for every row, which then is the
  /// only one of `plans`; it takes neither plan nor knobs.
  struct Fixed {
    struct Knob {
      std::string name;
      double value = 0;
    };
    std::vector<Knob> knobs; ///< that the plan uses, and what they were fixed at
    /// weightsHash of the weights that are left, where the program does not need
    /// all of the model's any more; else empty.
    std::string weights = {};
  };

  File program;
  std::optional<File> aot;
  std::optional<File> kernels; ///< native code that the program calls
  std::optional<File> table; ///< what is done at each site, for other runtimes
  std::optional<File> spec;
  std::optional<std::string> report; ///< path of the report
  std::optional<Model> model;
  std::vector<Dictionary> dictionaries;
  std::vector<Site> sites;
  std::vector<std::string> plans;
  std::vector<Knob> knobs;
  std::vector<std::string> inputs = {roleName(InputRole::InputIds).str(),
                                     roleName(InputRole::Positions).str()};
  std::vector<std::string> outputs = {logitsName.str()};
  std::vector<Record> records;
  std::vector<Policy> policies;
  std::vector<Count> counts;
  std::optional<Fixed> fixed;

  /// The name of the file in its folder.
  static constexpr llvm::StringLiteral fileName = "manifest.json";
  /// The name of the record in the program's archive.
  static constexpr llvm::StringLiteral recordName = "extra/weir.steering.json";
  /// What `--plan` takes for an unsteered row, and the index that means it.
  static constexpr llvm::StringLiteral unsteered = "none";
  static constexpr int64_t unsteeredIndex = -1;

  /// Parses and checks a manifest. Errors name the key that is wrong: another
  /// version, a missing or mistyped key, a path that leaves the folder, a name
  /// twice, a knob whose default is outside its range, a record without output,
  /// inputs other than the agreed ones in the agreed order.
  static llvm::Expected<Manifest> parse(llvm::StringRef text);
  /// The same for a file; errors begin with its path.
  static llvm::Expected<Manifest> read(llvm::StringRef path);

  /// The same for the record in an archive, which names no program.
  static llvm::Expected<Manifest> parseRecord(llvm::StringRef text);

  /// The rules `parse` enforces, for manifests made in memory.
  llvm::Error check() const;
  /// The paths of all files that belong to the folder, the manifest included.
  std::vector<std::string> files() const;
  /// An error that names the first key in which the manifest differs from the
  /// record of its program, and what both say.
  llvm::Error compare(const Manifest &record) const;
  llvm::json::Value toJSON() const;
  /// What stands in the archive.
  llvm::json::Object recordJSON() const;
  /// Checks, then writes DIR/manifest.json atomically.
  llvm::Error write(llvm::StringRef folder) const;

  /// Index of a plan (`none` gives -1); an error that lists the plans otherwise.
  llvm::Expected<int64_t> planIndex(llvm::StringRef name) const;
  /// Whether a plan, by its index, has a policy that edits, or one that records;
  /// false for no plan. True for every plan where nothing is known of policies.
  bool planEdits(int64_t plan) const;
  bool planRecords(int64_t plan) const;
  /// Column of a knob; an error that lists the knobs otherwise.
  llvm::Expected<size_t> knobIndex(llvm::StringRef name) const;

private:
  llvm::Error checkSteering() const;
  llvm::Error checkPolicies() const;
  llvm::Error checkFixed() const;
  bool planHas(int64_t plan, bool edits) const;
  static llvm::Expected<Manifest> parse(llvm::StringRef text, bool isRecord);
};

} // namespace weir

#endif // WEIR_RUNTIME_MANIFEST_H
