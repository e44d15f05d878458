//===- OutputFolder.h - A folder that appears whole or not at all ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_PIPELINES_OUTPUTFOLDER_H
#define WEIR_PIPELINES_OUTPUTFOLDER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace weir {

/// Files are written into a scratch folder beside the target; `publish` lets it
/// take the target's name in one step, also where an older artefact is there. A
/// folder that is not an older artefact (it has no manifest.json and is not
/// empty) is never replaced. Unpublished, the scratch folder is removed; one that
/// a killed process left is removed by the next that has the same target.
class OutputFolder {
public:
  static llvm::Expected<std::unique_ptr<OutputFolder>>
  create(llvm::StringRef target);
  ~OutputFolder();

  llvm::StringRef path() const { return scratch; }
  llvm::Error publish();

private:
  OutputFolder(std::string target, std::string scratch, int lock)
      : target(std::move(target)), scratch(std::move(scratch)), lock(lock) {}
  std::string target, scratch;
  int lock; ///< held on the scratch folder as long as the process lives
};

} // namespace weir

#endif // WEIR_PIPELINES_OUTPUTFOLDER_H
