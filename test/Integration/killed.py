# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Commands that are killed when they have finished some of their work."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def kill(command, cache: Path, kind: str, is_time: Callable[[list[int]], bool]):
    """Starts a command and kills it once `is_time` says so of how many states of each of its logs were seen, oldest first; logs are
    `KEY.kind` below the folder of activations of `cache`. Returns the logs."""
    folder = cache / "activations"
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    seen: dict[Path, set] = {}
    try:
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
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return list(seen)
