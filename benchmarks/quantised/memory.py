#!/usr/bin/env python3
# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What weir-run holds in memory while it decodes one row, beside the mapped file.

    python benchmarks/quantised/memory.py PROGRAM [PROGRAM ...] [--tokens N] [--threads N]

Own: memory of no file, of which `LibTorch` is what a process has that only loads LibTorch. State: the pages of the
program's cache that were written, which are the program's own and grow with the tokens. Mapped: pages of files, weights
and libraries, which the system may drop. Highest: the most that a run had of its own and of the cache at once, which is
while it loads (seen every 2 ms)."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

PROMPT = "The most important thing that I have learned in all of these years is that"
MB = 1e6


def anonymous(process: str) -> float:
    """Bytes of memory of no file that a process ("self", or its number) has."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")) * 1024


def libtorch() -> float:
    """What loading LibTorch takes, in a process that has only the interpreter."""
    import importlib.util

    library = Path(importlib.util.find_spec("torch").origin).parent / "lib" / "libtorch_cpu.so"
    code = ("import ctypes, sys; sys.path.insert(0, sys.argv[2]); from memory import anonymous; before = anonymous('self'); "
            "ctypes.CDLL(sys.argv[1]); print(anonymous('self') - before)")
    done = subprocess.run([sys.executable, "-c", code, str(library), str(Path(__file__).parent)], check=True, capture_output=True,
                          text=True)
    return float(done.stdout)


def measure(program: str, tokens: int, threads: int) -> tuple[dict, float]:
    """What weir-run says that it holds after so many tokens, and the most that it was seen to hold."""
    run = subprocess.Popen(["weir-run", program, "--threads", str(threads), "--prompt", PROMPT, "-n", str(tokens), "--ignore-eos",
                            "--json", "-q"], stdout=subprocess.PIPE, text=True)
    highest = 0.0
    while run.poll() is None:
        try:
            highest = max(highest, anonymous(str(run.pid)))
        except (OSError, StopIteration):  # it is ending
            pass
        time.sleep(0.002)
    if run.returncode != 0:
        raise SystemExit(f"weir-run {program} failed")
    return json.loads(run.stdout.read())["memory"], highest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", metavar="PROGRAM")
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    print(f"MB (10^6 bytes); LibTorch alone: {libtorch() / MB:.1f}")
    print("| program | tokens | own | state | mapped | highest |\n|---|---|---|---|---|---|")
    for program in given.programs:
        for tokens in (1, given.tokens):
            memory, highest = measure(program, tokens, given.threads)
            own, state, mapped = (memory[f"{what}_bytes"] / MB for what in ("own", "state", "mapped"))
            print(f"| {program} | {tokens} | {own:.1f} | {state:.1f} | {mapped:.1f} | {highest / MB:.1f} |", flush=True)


if __name__ == "__main__":
    main()
