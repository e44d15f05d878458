//===- OutputFolder.h - A folder that appears whole or not at all ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What `weirc build -o` makes. Nothing that is not Weir's own is ever removed:
//
// * A folder is replaced only if it is empty, or if its manifest.json is one of
//   Weir's and everything in it is a regular file that the manifest names,
//   report.md, spec.yaml or the manifest. Anything else in it is an error that
//   names it. This is asked before the work and again before the exchange.
// * Through a link the folder that it leads to is built; the link stays. A link
//   that leads nowhere is an error. So are the working folder and the root of a
//   mounted file system, which cannot be exchanged.
// * Files are removed by these names and folders only when they are empty: what
//   somebody put there in the meantime stays.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_DRIVER_OUTPUTFOLDER_H
#define WEIR_DRIVER_OUTPUTFOLDER_H

#include "weir/Support/ToolProcess.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir {

/// Files are written into a scratch folder beside the target; `publish` lets it
/// take the target's name in one step, also where an older artefact is there.
/// Unpublished, the scratch folder is removed, also when a signal ends the
/// process; one that a killed process left is removed by the next that has the
/// same target.
class OutputFolder {
public:
  /// Where the file system cannot exchange two names (renameat2), or `exchange`
  /// is false, the older artefact is renamed out of the way. A process that is
  /// killed between the two renames leaves it as "TARGET.weir-old-XXXXXX"; the
  /// next one gives it its name again.
  static llvm::Expected<std::unique_ptr<OutputFolder>>
  create(llvm::StringRef target, bool exchange = true);
  ~OutputFolder();
  OutputFolder(const OutputFolder &) = delete;
  OutputFolder &operator=(const OutputFolder &) = delete;

  /// An error if `input` is a file that `publish` would remove for good.
  llvm::Error checkInput(llvm::StringRef input) const;

  llvm::StringRef path() const { return scratch; }
  /// On success: the folder where files stayed that were put into the older
  /// artefact while it was replaced, empty if there were none (there are none
  /// but by an accident in time).
  llvm::Expected<std::string> publish();

private:
  OutputFolder(std::string target, std::string scratch, int lock, bool exchange)
      : target(std::move(target)), scratch(std::move(scratch)), lock(lock),
        exchange(exchange), removal(std::in_place, this->scratch) {}
  /// Returns where the older artefact is now, or an empty name.
  llvm::Expected<std::string> replace();

  std::string target, scratch;
  int lock; ///< held on the scratch folder as long as the process lives
  bool exchange;
  std::optional<ScratchFolder> removal;
};

/// Removes the artefact in a folder, and scratch folders of it: only files that
/// `OutputFolder` would replace. An error if there is anything else.
llvm::Error removeArtefact(llvm::StringRef folder);

} // namespace weir

#endif // WEIR_DRIVER_OUTPUTFOLDER_H
