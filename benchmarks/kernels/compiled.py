# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A site as IR becomes a kernel that can be called, for the benchmarks of this folder; and turns of several contestants."""

from __future__ import annotations

import ast
import itertools
import math
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
import weir
from weir import kernels

NUMBERS = {"f32": (numpy.float32, torch.float32), "i64": (numpy.int64, torch.int64), "i1": (numpy.bool_, torch.bool)}
COUNT = itertools.count()


@dataclass
class Site:
    """A kernel and the constants that the call in the program gives it."""

    kernel: str
    constants: list[torch.Tensor]
    lowered: str

    def __call__(self, x: torch.Tensor, inputs: list[torch.Tensor]) -> torch.Tensor:
        return torch.ops.weir.edit(x, inputs, self.constants, self.kernel)


def compiled(text: str, folder: Path, rows) -> Site:
    """The kernel of the one patch of a program. `rows(part, features)` gives what a recipe stands for, in f32."""
    path = folder / f"site-{next(COUNT)}.mlir"
    path.write_text(text)
    lowered = subprocess.run(
        [weir.tool("weir-opt"), path, "--pass-pipeline=builtin.module(weir-lower{lower=kernel})", "--mlir-print-op-generic"],
        check=True, capture_output=True, text=True).stdout
    path.with_suffix(".lowered.mlir").write_text(lowered)
    subprocess.run([weir.tool("weir-codegen"), path.with_suffix(".lowered.mlir"), "-o", path.with_suffix(".so")], check=True)
    kernels.load(path.with_suffix(".so"))
    # Constants in the order in which the call takes them, which is not the one in which they stand.
    values = dict(re.findall(r'(%\d+) = "fx\.constant"\(\) <{value = (.*?)}> : \(\) -> tensor<', lowered))
    operands = re.search(r'"fx\.call"\(([^)]*)\)', lowered).group(1).split(", ")
    constants = [constant(values[each], rows) for each in operands if each in values]
    return Site(re.search(r"edit_[0-9a-f]{16}", lowered).group(), constants, lowered)


def constant(value: str, rows) -> torch.Tensor:
    if recipe := re.fullmatch(r"#flow\.rows<(\w+) of @\w+\[([^]]*)\]>", value):
        features = [int(each) for each in recipe.group(2).split(",")]
        return rows(recipe.group(1), features).contiguous()
    content, shape, kind = re.fullmatch(r"dense<(.*)> : tensor<((?:\d+x)+)(\w+)>", value, re.DOTALL).groups()
    shape = [int(each) for each in shape.rstrip("x").split("x")]
    stored, wanted = NUMBERS[kind]
    if content.startswith('"0x'):
        array = numpy.frombuffer(bytes.fromhex(content[3:-1]), dtype=stored)
    else:
        array = numpy.array(ast.literal_eval(content.replace("true", "True").replace("false", "False")), dtype=stored)
    if array.size < math.prod(shape):
        array = numpy.full(shape, array.reshape(-1)[0])
    return torch.tensor(array.reshape(shape).copy(), dtype=wanted)


def timed(run, seconds: float) -> float:
    """Seconds of one call, over as many as fit. Of the processor where there is one thread only, so that the time in
    which others had the core does not count."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    count, start = 0, clock()
    while True:
        run()
        count += 1
        if (passed := clock() - start) >= seconds:
            return passed / count


def in_turns(contestants: dict, turns: int, seconds: float) -> dict[str, float]:
    """The fastest turn of each: other work on the machine makes turns slower and never faster."""
    best = dict.fromkeys(contestants, math.inf)
    for run in contestants.values():
        run()
    for _ in range(turns):
        for name, run in contestants.items():
            best[name] = min(best[name], timed(run, seconds))
    return best


def table(columns: list[str]) -> None:
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)


def line(cells) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
