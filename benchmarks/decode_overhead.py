# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What steering costs while decoding: steered against unpatched, same engine.

    python benchmarks/decode_overhead.py [--engine reference|aot] [--dtype f32]

Compiles a plan that edits `--features` features at each of `--layers` residual
sites of SmolLM2 (the dictionaries of examples/smollm2), then decodes with it and
with the exported model itself in turn, one row, greedy, several times. Prints
seconds a token (the best run of each) and the ratio of the two; the ratio of
medians tells how far noise goes.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
LAYERS = range(9, 17)


def spec_text(layers: list[int], features: int, action: str) -> str:
    draw = random.Random(0)
    lines = [
        "weir: 1",
        "model: {program: model.pt2}",
        "dictionaries:",
        "  sae:",
        "    format: sae_lens",
        f"    path: {ROOT}/examples/smollm2/dictionaries/{{site}}.{{layer}}",
        "    sites: [res]",
        f"    layers: {LAYERS[0]}..{LAYERS[-1]}",
        "policies:",
        "  edit:",
        "    on:",
        "      features:",
    ]
    for layer in layers:
        for index in sorted(draw.sample(range(1536), features)):
            lines.append(f"        - {layer}/res/{index}")
    lines += [f"    {line}" for line in action.split("; ")]
    lines += ["plans:", "  edited: [edit]"]
    return "\n".join(lines) + "\n"


def decode(program: Path, engine: str, tokens: int, threads: int) -> float:
    """Seconds for one generated token."""
    answer = subprocess.run(
        [BUILD / "bin" / "weir-run", program, "--engine", engine, "--prompt",
         "The history of the town begins with", "--max-new-tokens", str(tokens),
         "--threads", str(threads), "--no-verify", "--json"],
        check=True, stdout=subprocess.PIPE, text=True,
        env=dict(os.environ, OMP_NUM_THREADS=str(threads))).stdout
    phase = json.loads(answer)["decode"]
    return phase["seconds"] / phase["tokens"]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--engine", default="reference",
                        choices=["reference", "aot"])
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--action", default="do: scale; factor: -1",
                        help="keys of the policy, separated by '; '")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    env = dict(os.environ, PYTHONPATH=str(ROOT / "python"))
    model = subprocess.run(
        [sys.executable, "-m", "weir", "export", "smollm2", "--dtype",
         args.dtype, "--cached"], check=True, stdout=subprocess.PIPE, text=True,
        env=env).stdout.split()[-1]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        programs = {}
        for name, text in {
                "steered": spec_text(list(LAYERS)[:args.layers], args.features,
                                     args.action),
                "unpatched": "weir: 1\nmodel: {program: model.pt2}\n"
                             "policies: {}\n"}.items():
            spec = folder / f"{name}.yaml"
            spec.write_text(text)
            programs[name] = folder / name
            subprocess.run(
                [BUILD / "bin" / "weirc", "build", spec, "--model", model, "-o",
                 programs[name], "--engine", args.engine], check=True, env=env)
        seconds = {name: [] for name in programs}
        for run in range(args.runs + 1):
            for name, program in programs.items():
                took = decode(program, args.engine, args.tokens, args.threads)
                if run:  # the first of each warms the page cache
                    seconds[name].append(took)
    for name, taken in seconds.items():
        print(f"{name:>10}: best {1e3 * min(taken):.2f} ms a token, median "
              f"{1e3 * statistics.median(taken):.2f} ms "
              f"({args.engine}, {args.dtype}, {args.threads} thread)")
    best = min(seconds["steered"]) / min(seconds["unpatched"])
    pairs = [a / b for a, b in zip(seconds["steered"], seconds["unpatched"])]
    print(f"     ratio: {best:.4f} of the best runs, "
          f"{statistics.median(pairs):.4f} median of pairs "
          f"({min(pairs):.3f} to {max(pairs):.3f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
