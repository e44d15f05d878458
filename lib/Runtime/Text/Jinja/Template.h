//===- Template.h - Jinja templates of strangers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_LIB_RUNTIME_TEXT_JINJA_TEMPLATE_H
#define WEIR_LIB_RUNTIME_TEXT_JINJA_TEMPLATE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>

namespace weir::jinja {

/// A template as Jinja2 reads it in the sandbox that transformers sets up for
/// chats: blocks trimmed, blanks before blocks stripped, `break` and `continue`,
/// `generation`, and the functions raise_exception and strftime_now. What isn't
/// supported is an error, never another text.
///
/// A template may come from anyone. Parsing bounds how deep its parts are in
/// each other; each rendering has a Budget of steps, memory and depth, and sees
/// its variables and nothing else.
class Template {
public:
  /// Errors: what doesn't parse, with its line.
  static llvm::Expected<std::unique_ptr<Template>> parse(llvm::StringRef source);
  ~Template();

  /// `variables` is an object. Errors: what the template raises, with its line;
  /// what costs too much. One rendering at a time.
  llvm::Expected<std::string>
  render(const nlohmann::ordered_json &variables) const;

private:
  struct Tree;
  explicit Template(std::unique_ptr<Tree> tree);
  std::unique_ptr<Tree> tree;
};

} // namespace weir::jinja

#endif // WEIR_LIB_RUNTIME_TEXT_JINJA_TEMPLATE_H
