#!/usr/bin/env python3
# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of one model, in turns: milliseconds of a decoding step of several rows, and of a prompt.

    OMP_NUM_THREADS=1 python benchmarks/quantised/batches.py PROGRAM [PROGRAM ...] [--llama MODEL.gguf] [--rows B ...] [--prompt N]
                                                             [--turns N]

A PROGRAM is a .pt2 file with room for as many rows (--max-batch) and for the prompt. Rows stand behind 32 tokens; the fastest
of several turns counts, of the processor where there is one thread. All of them give the logits of every token of the
prompt. With `--llama` llama.cpp takes its turns too: the wheel xllamacpp, which test/Python/llama_cpp.py installs for the
tests."""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from pathlib import Path

import torch
import weir

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("programs", nargs="+", metavar="PROGRAM")
parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8, 16])
parser.add_argument("--prompt", type=int, default=512)
parser.add_argument("--turns", type=int, default=12)
parser.add_argument("--llama", metavar="MODEL.gguf")
given = parser.parse_args()
clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
threads = torch.get_num_threads()
room = max(64, given.prompt)


class LlamaCpp:
    """Takes what a program's module takes. A row is a sequence of its cache."""

    def __init__(self, model: str):
        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test" / "Python"))
        import llama_cpp

        self.library = llama_cpp._library()
        self.batch = self.library.llama_batch_init(max(given.rows) * room, 0, 1)
        self.memory, self.forget = self.library.llama_get_memory, self.library.llama_memory_seq_rm
        self.memory.restype, self.memory.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
        self.forget.restype, self.forget.argtypes = ctypes.c_bool, (ctypes.c_void_p, *[ctypes.c_int32] * 3)
        parameters = self.library.llama_context_default_params()
        # n_ctx, n_batch, n_ubatch, n_seq_max
        numbers = ctypes.cast(ctypes.addressof(parameters), ctypes.POINTER(ctypes.c_int32))
        assert list(numbers[:4]) == [512, 2048, 512, 1], "the settings lie elsewhere"
        numbers[0], numbers[1], numbers[3] = max(given.rows) * room, max(given.rows) * room, max(given.rows)
        loaded = self.library.llama_model_load_from_file(model.encode(), self.library.llama_model_default_params())
        assert loaded, f"llama.cpp does not load {model}"
        self.context = self.library.llama_init_from_model(loaded, parameters)
        self.library.llama_set_n_threads(self.context, threads, threads)

    def __call__(self, tokens: torch.Tensor, positions: torch.Tensor):
        first = int(positions[0, 0])
        for row in range(len(tokens)):
            self.forget(self.memory(self.context), row, first, -1)
        batch, count = self.batch, 0
        for row, (ids_of_row, places) in enumerate(zip(tokens.tolist(), positions.tolist())):
            for token, place in zip(ids_of_row, places):
                batch.token[count], batch.pos[count], batch.n_seq_id[count], batch.logits[count] = token, place, 1, 1
                batch.seq_id[count][0] = row
                count += 1
        batch.n_tokens = count
        assert self.library.llama_decode(self.context, batch) == 0
        self.library.llama_get_logits(self.context)  # waits for them


modules = {path: weir.load(path, verify=False).module for path in given.programs}
if given.llama:
    modules = {"llama.cpp": LlamaCpp(given.llama), **modules}
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


print(f"{threads} threads, ms")
print("| | " + " | ".join(f"{rows} rows" for rows in given.rows) + f" | prompt of {given.prompt} |")
print("|---" * (len(given.rows) + 2) + "|")
columns = []
for rows in given.rows:
    fastest(rows, 0, 32, 1)
    columns.append(fastest(rows, 32, 33, given.turns))
columns.append(fastest(1, 0, given.prompt, max(2, given.turns // 4)))
for i, path in enumerate(modules):
    print(f"| {path} | " + " | ".join(f"{column[i] * 1e3:.1f}" for column in columns) + " |")
