//===- Schema.cpp - weirc schema: the JSON schema of specs ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Command.h"

#include "weir/Spec/Spec.h"

#include "llvm/Support/raw_ostream.h"

using namespace weir;

Command weir::addSchema(CLI::App &app) {
  CLI::App *schema = app.add_subcommand(
      "schema", "Print the JSON schema of specs, for editors");
  return {schema, [] {
            llvm::outs() << spec::schema();
            return 0;
          }};
}
