#!/usr/bin/env python3
# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with weights in blocks against torch's f32 linear: microseconds a call, for each type and number of tokens.

    OMP_NUM_THREADS=1 python benchmarks/quantised/products.py [--rows N] [--width K] [--tokens T ...] [--arithmetic exact|int8]

The fastest of several turns; contestants take turns. Weights are small enough to stay in the cache."""

from __future__ import annotations

import argparse
import time

import gguf
import torch
import weir.kernels
from weir.export import packed

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--rows", type=int, default=1536)
parser.add_argument("--width", type=int, default=768)
parser.add_argument("--tokens", type=int, nargs="+", default=[1, 4, 16, 128])
parser.add_argument("--turns", type=int, default=40)
parser.add_argument("--arithmetic", choices=("exact", "int8"), default="exact")
given = parser.parse_args()
weir.kernels.register()


def fastest(calls) -> list[float]:
    """Microseconds of each of the calls."""
    best = [float("inf")] * len(calls)
    for _ in range(given.turns):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[i] = min(best[i], time.perf_counter() - start)
    return [seconds * 1e6 for seconds in best]


print(f"rows {given.rows}, width {given.width}, {torch.get_num_threads()} threads, {given.arithmetic}")
print("| type | " + " | ".join(f"{tokens}" for tokens in given.tokens) + " |")
print("|---" * (len(given.tokens) + 1) + "|")
dense = torch.randn(given.rows, given.width)
for kind in ("f32", *packed.TYPES):
    if kind == "f32":
        def multiply(x):
            return torch.nn.functional.linear(x, dense)
    else:
        size, count = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
        blocks = torch.randint(0, 60, (given.rows, given.width // size * count), dtype=torch.uint8)
        arithmetic = given.arithmetic if kind.startswith("Q") else "exact"

        def multiply(x, blocks=blocks, kind=kind, arithmetic=arithmetic):
            return torch.ops.weir.quantized_linear(x, blocks, None, kind, arithmetic)
    inputs = [torch.randn(tokens, given.width) for tokens in given.tokens]
    times = fastest([lambda x=x: multiply(x) for x in inputs])
    print(f"| {kind} | " + " | ".join(f"{value:.1f}" for value in times) + " |", flush=True)
