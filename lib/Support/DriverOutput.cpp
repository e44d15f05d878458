//===- DriverOutput.cpp - Whole files from MLIR's drivers ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/DriverOutput.h"

#include "weir/Support/Files.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <vector>

using namespace llvm;

namespace weir {

namespace {
/// Where the value of -o stands: a position, and the text before it ("-o=").
struct Place {
  int index;
  StringRef before, value;
};
} // namespace

/// The forms that LLVM's command lines have: "-o FILE", "-o=FILE", and the same
/// with two dashes. None behind "--", and none of what stands twice, which is an
/// error of the driver.
static std::optional<Place> findOutput(int argc, char **argv) {
  std::optional<Place> found;
  for (int i = 1; i < argc && StringRef(argv[i]) != "--"; ++i) {
    StringRef argument = argv[i], name = argument;
    name.consume_front("-");
    if (!name.consume_front("-o") &&
        !(argument.starts_with("-") && name.consume_front("o")))
      continue;
    std::optional<Place> here;
    if (name.empty() && i + 1 < argc)
      here = Place{i + 1, "", argv[i + 1]};
    else if (name.starts_with("="))
      here = Place{i, argument.drop_back(name.size() - 1), name.drop_front()};
    if (!here)
      continue;
    if (found)
      return std::nullopt;
    found = here;
    i = here->index;
  }
  return found;
}

int runDriver(int argc, char **argv,
              function_ref<int(int argc, char **argv)> driver) {
  std::optional<Place> output = findOutput(argc, argv);
  // Standard output, and devices that stand for it.
  if (!output || output->value.empty() || output->value == "-" ||
      (sys::fs::exists(output->value) &&
       !sys::fs::is_regular_file(output->value)))
    return driver(argc, argv);
  int code = 0;
  Error error = writeAtomically(output->value, [&](StringRef temporary) {
    std::string argument = (output->before + temporary).str();
    std::vector<char *> arguments(argv, argv + argc);
    arguments[output->index] = argument.data();
    arguments.push_back(nullptr);
    code = driver(argc, arguments.data());
    // The driver has taken it off the list of what a signal removes.
    sys::RemoveFileOnSignal(temporary);
    return code == 0 ? Error::success() : createStringError("the driver failed");
  });
  if (code != 0) {
    consumeError(std::move(error)); // the driver has said why
    return code;
  }
  if (!error)
    return 0;
  errs() << sys::path::filename(argv[0]) << ": error: "
         << toString(std::move(error)) << "\n";
  return 1;
}

} // namespace weir
