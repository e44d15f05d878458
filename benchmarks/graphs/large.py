# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a large graph costs once its matches are in the cache.

    python benchmarks/graphs/large.py [--features 4000] [--layers 6] [--width 64]

Writes random dictionaries, matches them, and then builds a graph from every feature of the
last layer, backward: once (`built`), and again when it is in the cache itself (`found`).
Prints nodes, edges, seconds, and the largest resident memory of `weirc graph -o FILE.json`;
the claim is under 3 s and 300 MB at 10,000 nodes. The model plays no part.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))


def write(folder: Path, random: numpy.random.Generator, features: int, width: int, before: numpy.ndarray | None):
    """A dictionary in sae_lens' layout, whose rows are those of the layer before with some noise."""
    rows = random.normal(size=(features, width))
    if before is not None:
        rows = before[random.permutation(features)] + 0.7 * rows
    folder.mkdir(parents=True)
    config = {"architecture": "standard", "d_in": width, "d_sae": features, "dtype": "float32",
              "apply_b_dec_to_input": False, "normalize_activations": "none", "metadata": {}}
    (folder / "cfg.json").write_text(json.dumps(config))
    numbers = rows.astype(numpy.float32)
    save_file({"W_enc": numpy.ascontiguousarray(numbers.T), "W_dec": numbers,
               "b_enc": numpy.zeros(features, numpy.float32), "b_dec": numpy.zeros(width, numpy.float32)},
              folder / "sae_weights.safetensors")
    return rows


def run(*command) -> tuple[float, float]:
    """Seconds and largest resident megabytes of a command."""
    started = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(error[-2000:])
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=4000)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=64, help="numbers of a row")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        random, before = numpy.random.default_rng(0), None
        for layer in range(arguments.layers):
            before = write(folder / f"res.{layer}", random, arguments.features, arguments.width, before)
        spec, last = folder / "spec.yaml", arguments.layers - 1
        spec.write_text(f"""weir: 1
model: {{}}
dictionaries: {{sae: {{format: sae_lens, path: "res.{{layer}}", sites: [res], layers: 0..{last}}}}}
matches: {{flow: {{method: top_k, k: 4}}}}
graphs: {{large: {{from: {{site: {last}/res}}, match: flow, width: 4}}}}
policies: {{}}
""")
        cache, output = folder / "cache", folder / "graph.json"
        weirc = BUILD / "bin" / "weirc"
        run(weirc, "match", spec, "--cache", cache)
        for what in ("built", "found"):
            seconds, megabytes = run(weirc, "graph", spec, "--cache", cache, "-o", output)
            graph = json.loads(output.read_text())["graphs"]["large"]
            print(f"{what}: {len(graph['nodes']):,} nodes, {len(graph['edges']):,} edges in {seconds:.2f} s, "
                  f"{megabytes:.0f} MB")


if __name__ == "__main__":
    main()
