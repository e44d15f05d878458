//===- ToolProcess.cpp - How a command line tool begins and ends ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What signal handlers call may only use what is safe there: system calls,
// atomics and memory of their own. Lists that they walk are never freed; an entry
// belongs to whoever takes its pointer out.
//
//===----------------------------------------------------------------------===//

#include "weir/Support/ToolProcess.h"

#include "FolderNames.h"

#include "weir/Support/ThreadStop.h"

#include "llvm/Support/Program.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <iterator>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace weir {

static constexpr int failureCode = 2;
static const char *toolName = "weir";
/// Below 0 it stands for a process group, as kill and waitpid have it.
static std::atomic<pid_t> child{0};

//===----------------------------------------------------------------------===//
// Scratch folders and the child
//===----------------------------------------------------------------------===//

struct ScratchFolder::Node {
  std::atomic<char *> path;
  Node *next;
};

static std::atomic<void *> scratchFolders{nullptr};

ScratchFolder::ScratchFolder(llvm::StringRef name)
    : node(new Node{{nullptr}, nullptr}), path(::strdup(name.str().c_str())) {
  node->path = path;
  void *first = scratchFolders;
  do
    node->next = static_cast<Node *>(first);
  while (!scratchFolders.compare_exchange_weak(first, node));
}

char *ScratchFolder::take() {
  char *own = std::exchange(path, nullptr), *expected = own;
  // Else the handler has it.
  return own && node->path.compare_exchange_strong(expected, nullptr) ? own
                                                                      : nullptr;
}

void ScratchFolder::release() { std::free(take()); }

/// Removes the files of a folder, then the folder. Async-signal-safe.
static void removeFlatFolder(const char *path) {
  // Other threads may still be writing: look again.
  for (int attempt = 0; attempt < 10; ++attempt) {
    int fd = ::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
      return;
    forEachName(fd, [fd](const char *name) {
      ::unlinkat(fd, name, 0); // does nothing to a folder
    });
    ::close(fd);
    if (::rmdir(path) == 0 || errno == ENOENT)
      return;
  }
}

void ScratchFolder::remove() {
  // Between the two nobody would remove it.
  Unstopped whole;
  if (char *own = take()) {
    removeFlatFolder(own);
    std::free(own);
  }
}

void removeScratchFolders() {
  auto *node = static_cast<ScratchFolder::Node *>(scratchFolders.load());
  for (; node; node = node->next)
    if (char *path = node->path.exchange(nullptr))
      removeFlatFolder(path);
}

ChildProcess::ChildProcess(pid_t process, bool withGroup) {
  child = withGroup ? -process : process;
}

ChildProcess::~ChildProcess() { child = 0; }

std::optional<std::string>
runProgram(llvm::ArrayRef<llvm::StringRef> command) {
  std::string message;
  bool notStarted = false;
  llvm::sys::ProcessInfo process =
      llvm::sys::ExecuteNoWait(command.front(), command, std::nullopt, {}, 0,
                               &message, &notStarted);
  int code = -1;
  if (!notStarted) {
    ChildProcess child(process.Pid);
    code = llvm::sys::Wait(process, std::nullopt, &message).ReturnCode;
  }
  if (code == 0)
    return std::nullopt;
  return message.empty() ? " with exit code " + std::to_string(code)
                         : ": " + message;
}

static void endChild() {
  pid_t process = child.exchange(0);
  if (process == 0)
    return;
  ::kill(process, SIGTERM);
  for (int wait = 0; wait < 50; ++wait) {
    if (::waitpid(process, nullptr, WNOHANG) != 0)
      return;
    ::poll(nullptr, 0, 100);
  }
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
}

static void removeEverything() {
  endChild();
  llvm::sys::RunInterruptHandlers(); // files
  removeScratchFolders();
}

//===----------------------------------------------------------------------===//
// Signals
//===----------------------------------------------------------------------===//

/// The thread whose handler ends the process; 0 before.
static std::atomic<long> endingThread{0};

/// What a handler does before the process ends. Once: a second signal on the same
/// thread ends the process at once, and on another one it waits for the first.
static void endByHandler() {
  const long self = ::syscall(SYS_gettid);
  long nobody = 0;
  if (!endingThread.compare_exchange_strong(nobody, self)) {
    while (nobody != self)
      ::poll(nullptr, 0, -1);
    return;
  }
  stopOtherThreads();
  removeEverything();
}

extern "C" {
static void onTermination(int signal) {
  endByHandler();
  // SA_RESETHAND: now it does what it does without a handler.
  ::raise(signal);
}
}

/// Collects a message without allocating.
class Message {
public:
  Message &operator<<(const char *part) {
    size_t length = std::min(std::strlen(part), sizeof(text) - size);
    std::memcpy(text + size, part, length);
    size += length;
    return *this;
  }
  void write() const {
    // Nothing can be done if it fails.
    [[maybe_unused]] ssize_t written = ::write(2, text, size);
  }

private:
  char text[5000];
  size_t size = 0;
};

/// Finds the file that is mapped at an address. Async-signal-safe. Lines of
/// /proc/self/maps: "FIRST-LAST rwxp OFFSET DEVICE INODE   PATH" (proc(5)).
static bool findMappedFile(uintptr_t address, char (&path)[4096]) {
  int fd = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  char buffer[4096];
  ssize_t size = 0;
  uintptr_t bounds[2] = {0, 0};
  size_t length = 0;
  int field = 0; // of bounds; from 2 on, fields that are separated by blanks
  bool inBlanks = false, found = false;
  while (!found && (size = ::read(fd, buffer, sizeof(buffer))) > 0)
    for (ssize_t at = 0; at < size && !found; ++at) {
      char c = buffer[at];
      if (c == '\n') {
        found = address >= bounds[0] && address < bounds[1] && length > 0;
        if (!found) {
          bounds[0] = bounds[1] = 0;
          length = 0;
          field = 0;
          inBlanks = false;
        }
      } else if (field < 2) {
        if (c == '-' || c == ' ') {
          ++field;
          continue;
        }
        int digit = c <= '9' ? c - '0' : c - 'a' + 10;
        bounds[field] = bounds[field] * 16 + static_cast<uintptr_t>(digit);
      } else if (field < 6) {
        if (c == ' ') {
          inBlanks = true;
        } else {
          field += inBlanks;
          inBlanks = false;
          if (field == 6 && length + 1 < sizeof(path))
            path[length++] = c;
        }
      } else if (length + 1 < sizeof(path)) {
        path[length++] = c;
      }
    }
  ::close(fd);
  if (!found || path[0] != '/')
    return false;
  path[length] = '\0';
  return true;
}

extern "C" {
static void onBusError(int signal, siginfo_t *info, void *) {
  char path[4096];
  if (info->si_code != BUS_ADRERR ||
      !findMappedFile(reinterpret_cast<uintptr_t>(info->si_addr), path)) {
    // Something else: a signal as ever. It is blocked until this returns.
    endByHandler();
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    return;
  }
  (Message() << toolName << ": error: " << path
             << ": was cut short or can no longer be read while it is in use; "
                "let the file alone until the run has ended\n")
      .write();
  endByHandler();
  ::_exit(failureCode);
}
}

static void installHandlers() {
  constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
  struct sigaction before[std::size(signals)] = {};
  for (size_t i = 0; i < std::size(signals); ++i)
    ::sigaction(signals[i], nullptr, &before[i]);
  installThreadStop();
  // LLVM installs its handlers once; let it be before these.
  llvm::sys::SetInterruptFunction(nullptr);
  for (size_t i = 0; i < std::size(signals); ++i) {
    struct sigaction action = {};
    action.sa_handler = onTermination;
    action.sa_flags = SA_RESETHAND | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    // What nohup or a shell ignores goes on being ignored.
    bool isIgnored = !(before[i].sa_flags & SA_SIGINFO) &&
                     before[i].sa_handler == SIG_IGN;
    ::sigaction(signals[i], isIgnored ? &before[i] : &action, nullptr);
  }
  // A file that may not grow further fails as a full disk does, with an error that
  // names it.
  ::signal(SIGXFSZ, SIG_IGN);
  struct sigaction action = {};
  action.sa_sigaction = onBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

//===----------------------------------------------------------------------===//
// Standard output
//===----------------------------------------------------------------------===//

/// Where a standard descriptor is closed, the next file that is opened would get
/// its number and be written to. What takes its place cannot be used.
static void fillStandardDescriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      if (::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
        std::_Exit(failureCode);
}

extern "C" {
static void endProcess() {
  // Of an exit() in the middle of something.
  removeEverything();
  int code = 0;
  bool failed = false;
  auto note = [&](bool wrong, int why) {
    failed |= wrong;
    if (wrong && !code)
      code = why;
  };
  llvm::raw_fd_ostream &out = llvm::outs();
  out.flush();
  note(out.has_error(), out.error().value());
  out.clear_error(); // or its destructor would abort
  errno = 0;
  std::cout.flush();
  note(!std::cout, errno);
  errno = 0;
  note(std::fflush(stdout) != 0 || std::ferror(stdout), errno);
  // Some file systems report what they could not write when a file is closed.
  int copy = ::dup(1);
  note(copy >= 0 && ::close(copy) != 0, errno);
  if (!failed)
    return;
  Message message;
  message << toolName << ": error: cannot write to standard output";
  if (code)
    message << ": " << std::strerror(code);
  (message << "\n").write();
  ::_exit(failureCode);
}
}

void beginTool(const char *name) {
  toolName = name;
  fillStandardDescriptors();
  // Constructed before the check is registered, they outlive it.
  (void)llvm::outs();
  (void)llvm::errs();
  std::atexit(endProcess);
  installHandlers();
}

void endTool(int code) {
#if LLVM_ADDRESS_SANITIZER_BUILD
  // Which looks for leaks when the process exits.
  std::exit(code);
#else
  endProcess();
  std::fflush(nullptr);
  ::_exit(code);
#endif
}

} // namespace weir
