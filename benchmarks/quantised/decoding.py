#!/usr/bin/env python3
# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decoding one row with weir-run and with llama.cpp, in turns: milliseconds a token, by the clock and of the processor.

    python benchmarks/quantised/decoding.py MODEL.gguf PROGRAM [PROGRAM ...] [--threads N] [--turns N]

A PROGRAM is a .pt2 file or a folder of weirc build, steered by its first plan. llama.cpp is the wheel xllamacpp, installed
into an environment of its own (--llama FOLDER keeps it). What a token costs is the difference between 4 and 132 new
tokens, divided by 128, so that loading and the prompt do not count; of each of the two the fastest turn counts.
On a machine that others use, threads that wait have to sleep: the children get OMP_WAIT_POLICY=passive."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

WHEEL = "xllamacpp==2026.10.11549"
PROMPT = "The most important thing that I have learned in all of these years is that"
FEW, MANY = 4, 132
ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}

LLAMA = """
import json, resource, sys, time, xllamacpp
model, threads, prompt, few, many = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
parameters = xllamacpp.CommonParams()
parameters.model.path = model
parameters.n_ctx, parameters.n_parallel, parameters.warmup = 512, 1, False
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
server = xllamacpp.Server(parameters)

def cost(count):
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    answer = server.handle_completions({"prompt": prompt, "n_predict": count, "ignore_eos": True, "temperature": 0,
                                        "cache_prompt": False})
    after = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

cost(few)
print(json.dumps([*cost(few), *cost(many)]))
print(xllamacpp.get_system_info(), file=sys.stderr)
"""


def weir_cost(program: str, threads: int) -> list[float]:
    """Seconds of few tokens and of many: by weir-run's own clock of the decoding, and of the processor."""

    def run(count: int) -> tuple[float, float]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(["weir-run", program, "--threads", str(threads), "--no-verify", "--prompt", PROMPT, "-n", str(count),
                               "--ignore-eos"], check=True, capture_output=True, text=True, env=ENVIRONMENT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # "decode: 67 tokens, 1.234 s, 54.3 tokens/s"
        (line,) = (line for line in done.stderr.splitlines() if line.startswith("decode:"))
        return float(line.split(",")[1].split()[0]), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return [*run(FEW), *run(MANY)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("programs", nargs="+", metavar="PROGRAM")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--llama", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.llama or Path(temporary) / "llama"
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", WHEEL], check=True)

        def llama_cost() -> list[float]:
            done = subprocess.run([python, "-c", LLAMA, given.model, str(given.threads), PROMPT, str(FEW), str(MANY)], check=True,
                                  capture_output=True, text=True, env=ENVIRONMENT)
            return json.loads(done.stdout.splitlines()[-1])

        contestants = {"llama.cpp": llama_cost, **{program: lambda program=program: weir_cost(program, given.threads)
                                                   for program in given.programs}}
        best = {name: [float("inf")] * 4 for name in contestants}
        for turn in range(given.turns):
            for name, measure in contestants.items():
                best[name] = [min(pair) for pair in zip(best[name], measure())]
                print(f"turn {turn + 1}: {name}", file=sys.stderr)
    print(f"{WHEEL}, {given.threads} threads, one row")
    print("| | ms a token | tokens/s | ms of the processor | of llama.cpp's |\n|---|---|---|---|---|")
    each = {name: [(many - few) / (MANY - FEW) for few, many in zip(times[:2], times[2:])] for name, times in best.items()}
    for name, (clock, processor) in each.items():
        print(f"| {name} | {clock * 1e3:.2f} | {1 / clock:.1f} | {processor * 1e3:.2f} | {processor / each['llama.cpp'][1]:.2f} |")


if __name__ == "__main__":
    main()
