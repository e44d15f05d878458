//===- ToolProcess.h - How a command line tool begins and ends ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_TOOLPROCESS_H
#define WEIR_SUPPORT_TOOLPROCESS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>
#include <sys/types.h>

namespace weir {

/// The first call of a tool's main. From then on:
///
/// * A standard output that cannot be written (a full disk, a closed
///   descriptor) ends the process with a message and exit code 2, whichever
///   way it ends otherwise, `--help` included.
/// * SIGINT, SIGTERM, SIGHUP and SIGPIPE end it as ever, but its scratch files
///   and folders (TemporaryFile, ScratchFolder) go away first, and its child
///   process ends too; so do they on exit(). A signal that the caller ignores
///   stays ignored.
/// * A file that grows beyond the limit of its size (ulimit -f) fails as on a full
///   disk.
/// * Reading a file that was cut short while it was mapped ends it with a
///   message that names the file and exit code 2.
///
/// `name` begins the messages and must outlive the process.
void beginTool(const char *name);

/// Ends a process that began with beginTool as returning `code` from main would,
/// what is said about standard output above included, but for the destructors of
/// what is static: LibTorch takes its operators back one by one, a quarter of the
/// time of a short run. What main holds is gone by then: call it on main's result.
[[noreturn]] void endTool(int code);

/// Has a folder removed when a signal ends the process: its files, nothing
/// below them, and the folder if nothing else is in it. Only for folders that
/// this process has made and nobody else knows. The latest goes first.
class ScratchFolder {
public:
  explicit ScratchFolder(llvm::StringRef path);
  ~ScratchFolder() { release(); }
  ScratchFolder(const ScratchFolder &) = delete;
  ScratchFolder &operator=(const ScratchFolder &) = delete;

  /// From now on the folder stays.
  void release();
  /// Removes it now.
  void remove();

private:
  /// The path, which no signal removes from now on; null where one does, or none
  /// is left.
  char *take();

  struct Node;
  friend void removeScratchFolders();
  Node *node;
  char *path;
};

/// Has a child process ended (SIGTERM, after five seconds SIGKILL) when a
/// signal ends this one, before scratch folders are removed. One at a time.
class ChildProcess {
public:
  /// `withGroup`: the child leads a process group, and all of it is ended.
  explicit ChildProcess(pid_t process, bool withGroup = false);
  ~ChildProcess();
  ChildProcess(const ChildProcess &) = delete;
  ChildProcess &operator=(const ChildProcess &) = delete;
};

/// Runs a program, `command[0]` by its path, with this process's files and
/// environment, and waits for it. Signals that end this process end it too. What
/// went wrong, to stand behind "failed": " with exit code 3", ": no such file";
/// nothing if it ended with 0.
std::optional<std::string> runProgram(llvm::ArrayRef<llvm::StringRef> command);

} // namespace weir

#endif // WEIR_SUPPORT_TOOLPROCESS_H
