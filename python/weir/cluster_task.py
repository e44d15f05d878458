# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What runs on the machines of a cluster: one part of a match, in a process of its own.

Sent by value: the machines need weirc and Python, not this package. So nothing else of it is used here.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys

# The child asks the kernel to be killed when its parent dies (PR_SET_PDEATHSIG, kept by exec), so that a
# lost worker leaves nobody behind who holds the part's lock. In a program of its own and not in preexec_fn:
# a worker has threads, and Python code between fork and exec can then wait for a lock forever. A parent
# that died before the call is noticed by the process having another one.
_BOUND = """
import ctypes, os, signal, sys
if ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL) != 0:
    sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the worker is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def hash_of(path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compute_part(command: list[str], folder: str, identity: str, weirc: str) -> bytes:
    """Runs `command`, which computes a part into the cache `folder`, and waits for its end.

    identity  what the folder's file `id` holds where the driver sees it
    weirc     the hash of the driver's weirc, which is the command's first word

    Returns JSON: {"machine", "status", "stdout", "stderr"} of the process, or {"machine", "problem"} if this
    machine is not one that can compute the part. Bytes, because the driver unpickles nothing. To be called on
    the worker's main thread: the kernel takes the end of the calling thread for the parent's.
    """
    return json.dumps(_compute(command, folder, identity, weirc)).encode()


def _compute(command: list[str], folder: str, identity: str, weirc: str) -> dict:
    machine = socket.gethostname()
    try:
        with open(os.path.join(folder, "id"), encoding="ascii") as file:
            found = file.read()
    except (OSError, UnicodeDecodeError) as error:
        found = None
        reason = f"cannot be read there ({error})"
    else:
        reason = "is another folder there"
    if found != identity:
        return {"machine": machine, "problem": f"the cache {folder} is not shared with {machine}: it {reason}"}
    if not os.access(command[0], os.X_OK):
        return {"machine": machine, "problem": f"{machine} has no {command[0]}: it must be at the same path everywhere"}
    try:
        found = hash_of(command[0])
    except OSError as error:
        return {"machine": machine, "problem": f"{machine} cannot read {command[0]} ({error})"}
    if found != weirc:
        return {"machine": machine, "problem": f"{machine} has another version of {command[0]}: its SHA-256 is {found}, "
                                               f"where the run was started {weirc}"}
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", _BOUND, str(os.getpid()), *command],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             errors="replace")
    try:
        stdout, stderr = child.communicate()
    except BaseException:  # the task is cancelled: KeyboardInterrupt
        child.kill()
        child.wait()
        raise
    return {"machine": machine, "status": child.returncode, "stdout": stdout, "stderr": stderr}
