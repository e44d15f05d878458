//===- Support.h - Helpers of the spec tests ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_TEST_UNIT_SPEC_SUPPORT_H
#define WEIR_TEST_UNIT_SPEC_SUPPORT_H

#include "weir/Spec/Spec.h"
#include "weir/Spec/YAML.h"

#include <string>
#include <vector>

namespace weir::spec::testing {

/// One message, with its notes behind it.
struct Said {
  unsigned line = 0, column = 0;
  std::string severity, text;
  /// "line:column: severity: text"
  std::string str() const;
};

struct Imported {
  bool succeeded = false;
  std::vector<Said> messages;
  std::string ir; ///< printed module
  std::string all() const;
};

/// Imports a text as "test.yaml" in a context of its own.
Imported import(llvm::StringRef text, const SpecOptions &options = {});

/// Parses a text as YAML only; messages as "line:column: severity: text".
struct ParsedYaml {
  std::optional<YamlNode> root;
  std::vector<std::string> messages;
};
ParsedYaml parse(llvm::StringRef text);

/// The bytes of a file; fails the test if it cannot be read.
std::string contents(llvm::StringRef path);

/// A spec with one dictionary `sae` (res, mlp, att; layers 9..16) and `rest`.
std::string withDictionary(llvm::StringRef rest);

} // namespace weir::spec::testing

#endif // WEIR_TEST_UNIT_SPEC_SUPPORT_H
