# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Commands that are killed, or whose disk is full, when they have finished some of their work."""

from __future__ import annotations

import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def _wait(process: subprocess.Popen, cache: Path, kind: str, is_time: Callable[[list[int]], bool]) -> list[Path]:
    """Until `is_time` says so of how many states of each of a command's logs were seen, oldest first; logs are `KEY.kind` below the
    folder of activations of `cache`. Returns the logs."""
    folder = cache / "activations"
    deadline = time.monotonic() + 120
    seen: dict[Path, set] = {}
    while not is_time([len(states) for states in seen.values()]):
        for log in folder.glob(f"[!.]*.{kind}") if folder.is_dir() else ():  # temporaries begin with a dot
            try:
                state = log.stat()
            except FileNotFoundError:
                continue
            if state.st_size:
                seen.setdefault(log, set()).add((state.st_size, state.st_mtime_ns))
        assert process.poll() is None, "it came to its end"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return list(seen)


def kill(command, cache: Path, kind: str, is_time: Callable[[list[int]], bool]):
    """Starts a command and kills it when it is time. Returns its logs."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return _wait(process, cache, kind, is_time)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def fill_disk(command, cache: Path, kind: str, is_time: Callable[[list[int]], bool]) -> str:
    """Starts a command, and when it is time no file may grow any more. What it says when it fails for that, with exit code 2."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        _wait(process, cache, kind, is_time)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, 1))
        said = process.communicate(timeout=120)[0]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 2, said
    return said
