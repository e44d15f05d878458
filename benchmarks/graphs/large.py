# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a large graph costs once its matches are in the cache.

    python benchmarks/graphs/large.py [--features 1700] [--layers 6] [--width 64]

Writes random dictionaries, matches them, and then builds a graph from every feature of the
last layer, backward, as JSON and as a page: once with nothing but the matches in the cache
(`built`), and again when the graph is there itself (`found`). Prints nodes, edges, seconds,
and the largest resident memory of `weirc graph -o FILE` and of the Python that draws the page,
both together at one time. The model plays no part.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
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


def resident(process: int) -> int:
    """Bytes that a process and those that it has started hold at this moment."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:  # it has ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident(int(child)) for child in children)


def run(*command) -> tuple[float, float]:
    """Seconds and largest resident megabytes of a command, looked at every 2 ms."""
    started, most = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as error:
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=error)
        while process.poll() is None:
            most = max(most, resident(process.pid))
            time.sleep(0.002)
        seconds = time.perf_counter() - started
        if process.returncode:
            error.seek(0)
            sys.exit(error.read()[-2000:])
    return seconds, most / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=1700)
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
        weirc = BUILD / "bin" / "weirc"
        run(weirc, "match", spec, "--cache", folder / "matches")
        for ending in ("json", "html"):
            cache, output = folder / f"cache-{ending}", folder / f"graph.{ending}"
            shutil.copytree(folder / "matches", cache)
            for what in ("built", "found"):
                seconds, megabytes = run(weirc, "graph", spec, "--cache", cache, "-o", output)
                if ending == "json":
                    graph = json.loads(output.read_text())["graphs"]["large"]
                    size = f"{len(graph['nodes']):,} nodes, {len(graph['edges']):,} edges"
                print(f"{ending}, {what}: {size}, {seconds:.2f} s, {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
