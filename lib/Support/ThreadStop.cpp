//===- ThreadStop.cpp - Nothing is made while a process is ended ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Support/ThreadStop.h"

#include "FolderNames.h"

#include <atomic>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weir {

static std::atomic<int> numStopped{0};

/// One that glibc and the libraries in use leave alone.
static int stopSignal() { return SIGRTMIN + 7; }

Unstopped::Unstopped() {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
}

Unstopped::~Unstopped() { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); }

extern "C" {
static void onStop(int) {
  ++numStopped;
  while (true)
    ::poll(nullptr, 0, -1);
}
}

void installThreadStop() {
  struct sigaction action = {};
  action.sa_handler = onStop;
  sigfillset(&action.sa_mask);
  ::sigaction(stopSignal(), &action, nullptr);
}

/// Sends the signal to every other thread and gives their number; below 0 where
/// they cannot be listed.
static int signalOthers() {
  int fd = ::open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return -1;
  const pid_t process = ::getpid();
  const long self = ::syscall(SYS_gettid);
  int others = 0;
  forEachName(fd, [&](const char *name) {
    long thread = 0;
    for (; *name >= '0' && *name <= '9'; ++name)
      thread = 10 * thread + (*name - '0');
    // One that is stopped has the signal blocked.
    if (thread != 0 && thread != self &&
        ::syscall(SYS_tgkill, process, thread, stopSignal()) == 0)
      ++others;
  });
  ::close(fd);
  return others;
}

bool stopOtherThreads() {
  // Again while there are new ones: a thread that was not stopped yet may have
  // begun another.
  for (int waited = 0; waited < 1000; ++waited) {
    int others = signalOthers();
    if (others < 0)
      return false;
    if (others <= numStopped)
      return true;
    ::poll(nullptr, 0, 1);
  }
  return false;
}

} // namespace weir
