//===- JobFolder.h - The files of one job ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_JOBFOLDER_H
#define WEIR_SUPPORT_JOBFOLDER_H

#include "weir/Support/ToolProcess.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace weir {

/// A folder below the system's temporary one for the files of a job, such as what
/// another program is asked and what it answers. It goes away with the object and
/// when a signal ends the process: its files, and the folder if no other folder is
/// in it.
class JobFolder {
public:
  /// A new folder, "NAME-" and six letters. An error if none can be made.
  static llvm::Expected<std::unique_ptr<JobFolder>> make(llvm::StringRef name);
  ~JobFolder() { removal.remove(); }

  const std::string &path() const { return folder; }
  /// The path of a file in it.
  std::string file(llvm::StringRef name) const;

private:
  explicit JobFolder(std::string path)
      : folder(std::move(path)), removal(folder) {}
  std::string folder;
  ScratchFolder removal;
};

} // namespace weir

#endif // WEIR_SUPPORT_JOBFOLDER_H
