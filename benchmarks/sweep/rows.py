# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What it saves that the points of a sweep are rows of one batch.

    python benchmarks/sweep/rows.py [--points 16] [--rounds 3]

Takes examples/smollm2/knob_sweep.yaml on SmolLM2 (an export whose cache has room for all points), and goes on with
one prompt under `--points` values of the knob and unsteered:

    sweep     weirc sweep, once
    runs      a weirc build with the value as the knob's default and a weir-run, for each point: what one does
              without knobs
    knobs     one weirc build, and a weir-run for each point, with --knob

Prints seconds of each, in turn and the best of the rounds, and the ratios. All get the same number of threads, and
the texts of all three are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
PROMPT = "I think"


def call(tool: str, *arguments) -> str:
    done = subprocess.run([BUILD / "bin" / tool, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{tool} failed")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    from weir.export import cached

    model = cached("smollm2", max_batch=arguments.points + 1)
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "dictionaries").symlink_to(ROOT / "examples/smollm2/dictionaries")
        text = (ROOT / "examples/smollm2/knob_sweep.yaml").read_text()
        (folder / "spec.yaml").write_text(text)
        last = arguments.points - 1
        values = [-2 + 4 * at / last for at in range(arguments.points)]
        common = ["--threads", arguments.threads]
        writes = ["-n", arguments.tokens, *common, "--json", "--prompt", PROMPT]

        def sweep():
            points = json.loads(call("weirc", "sweep", folder / "spec.yaml", "--model", model, "--knob",
                                     f"religion=-2:2:{arguments.points}", *writes))["points"]
            values[:] = [point["value"] for point in points]
            return [point["texts"][0] for point in points]

        def row(*more) -> str:
            return json.loads(call("weir-run", folder / "steered", *writes, "-q", *more))["rows"][0]["text"]

        def runs():
            texts = []
            for value in values:
                (folder / "one.yaml").write_text(re.sub(r"default: 0\b", f"default: {value!r}", text))
                call("weirc", "build", folder / "one.yaml", "--model", model, "-o", folder / "steered", *common)
                texts.append(row())
            return texts

        def knobs():
            call("weirc", "build", folder / "spec.yaml", "--model", model, "-o", folder / "steered", *common)
            return [row(f"--knob=religion={value!r}") for value in values]

        texts = {}
        for _ in range(arguments.rounds):
            for way in (sweep, runs, knobs):
                start = time.perf_counter()
                texts[way.__name__] = way()
                took = time.perf_counter() - start
                best[way.__name__] = min(took, best.get(way.__name__, took))
    same = sum(one == other == third for one, other, third in zip(*texts.values()))
    print(f"{arguments.points} points, {arguments.tokens} new tokens each, {arguments.threads} threads, best of "
          f"{arguments.rounds} rounds; {same} of {arguments.points} texts are equal in all three")
    for name, seconds in best.items():
        print(f"{name:6} {seconds:8.1f} s   {seconds / best['sweep']:5.1f} x the time of the sweep")


if __name__ == "__main__":
    main()
