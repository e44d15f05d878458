//===- ThreadStop.h - Nothing is made while a process is ended ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A signal that ends a process runs its handler on one thread while the others go
// on: a file that one of them makes after the handler has looked, or opens anew by
// the name that the handler has just removed, would stay. So the handler stops the
// others first, outside of what must not be torn apart.
//
//===----------------------------------------------------------------------===//

#ifndef WEIR_SUPPORT_THREADSTOP_H
#define WEIR_SUPPORT_THREADSTOP_H

#include <csignal>

namespace weir {

/// While one lives, its thread is neither stopped nor does it run a handler of a
/// signal: a file is made and noted as to be removed, or neither. For a few system
/// calls, nothing that waits.
class Unstopped {
public:
  Unstopped();
  ~Unstopped();
  Unstopped(const Unstopped &) = delete;
  Unstopped &operator=(const Unstopped &) = delete;

private:
  sigset_t before;
};

/// Lets `stopOtherThreads` stop the threads of this process.
void installThreadStop();

/// Stops every other thread of the process for good. Async-signal-safe. False
/// where one of them has not stopped after a second, since it hangs in the kernel
/// or blocks all signals; it goes on.
bool stopOtherThreads();

} // namespace weir

#endif // WEIR_SUPPORT_THREADSTOP_H
