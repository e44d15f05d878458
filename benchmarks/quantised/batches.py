#!/usr/bin/env python3
# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of one model, in turns: milliseconds of a decoding step of several rows, and of a prompt.

    OMP_NUM_THREADS=1 python benchmarks/quantised/batches.py PROGRAM [PROGRAM ...] [--rows B ...] [--prompt N] [--turns N]

A PROGRAM is a .pt2 file with room for as many rows (--max-batch) and for the prompt. Rows stand behind 32 tokens; the fastest
of several turns counts, of the processor where there is one thread."""

from __future__ import annotations

import argparse
import time

import torch
import weir

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("programs", nargs="+", metavar="PROGRAM")
parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8, 16])
parser.add_argument("--prompt", type=int, default=512)
parser.add_argument("--turns", type=int, default=12)
given = parser.parse_args()
clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
modules = {path: weir.load(path, verify=False).module for path in given.programs}
ids = torch.randint(100, 1000, (max(given.rows), max(33, given.prompt)), generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def fastest(rows: int, begin: int, end: int, turns: int) -> list[float]:
    best = [float("inf")] * len(modules)
    positions = torch.arange(begin, end).expand(rows, -1).contiguous()
    for _ in range(turns):
        for i, module in enumerate(modules.values()):
            start = clock()
            module(ids[:rows, begin:end], positions)
            best[i] = min(best[i], clock() - start)
    return best


print(f"{torch.get_num_threads()} threads, ms")
print("| | " + " | ".join(f"{rows} rows" for rows in given.rows) + f" | prompt of {given.prompt} |")
print("|---" * (len(given.rows) + 2) + "|")
columns = []
for rows in given.rows:
    fastest(rows, 0, 32, 1)
    columns.append(fastest(rows, 32, 33, given.turns))
columns.append(fastest(1, 0, given.prompt, max(2, given.turns // 4)))
for i, path in enumerate(modules):
    print(f"| {path} | " + " | ".join(f"{column[i] * 1e3:.1f}" for column in columns) + " |")
