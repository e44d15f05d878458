# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What collecting activations of all 24 example dictionaries costs against a plain forward pass.

    python benchmarks/coactivation.py smollm2.pt2 [--tokens 3000] [--repeats 3]

The same windows of 128 tokens, in batches of the program's size, on one thread, interleaved; the best of the
repeats counts. Processor time is measured, so that other work on the machine matters less. Plain: the exported
model in Python (eager ATen operators, logits included), which the reference engine is as fast as. Collected: 24
dictionaries and 37 pairs in one pass, statistics included; start-up is left out by taking the difference of two
runs, over all windows and over a quarter of them.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy
import torch
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[1]
TOOL = Path(os.environ.get("WEIR_BUILD", ROOT / "build")) / "test" / "Unit" / "weir-collect-activations"
SPEC = """
weir: 1
model: {{program: smollm2.pt2}}
dictionaries:
  sae: {{format: sae_lens, path: "{folder}/{{site}}.{{layer}}", sites: [res, mlp, att], layers: 9..16}}
policies:
  unused: {{on: {{site: 9/res}}, do: record}}
"""
CONTEXT = 128


def plain(module, ids: torch.Tensor, batch: int) -> float:
    """Seconds of the processor a token."""
    start = time.process_time()
    with torch.no_grad():
        for first in range(0, len(ids), batch):
            rows = ids[first:first + batch]
            module(rows, torch.arange(CONTEXT).expand(rows.shape).contiguous())
    return (time.process_time() - start) / ids.numel()


def children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def collected(folder: Path, model: str, ids: numpy.ndarray, batch: int, sites, pairs) -> float:
    """Seconds of the processor a token, the skipped one of each window included."""
    spent, few = [], max(batch, len(ids) // 4 // batch * batch)
    for windows in (ids[:few], ids):
        numpy.save(folder / "ids.npy", windows)
        command = [TOOL, folder / "spec.yaml", "--model", model, "--text", folder / "ids.npy", "-o", folder / "out.npz",
                   "--threads", "1"]
        for layer, kind in sites:
            command += ["--site", f"sae/{layer}/{kind}"]
        for first, second in pairs:
            command += ["--pair", f"{first}:{second}"]
        before = children()
        subprocess.run(list(map(str, command)), capture_output=True, check=True)
        spent.append(children() - before)
    return (spent[1] - spent[0]) / (ids.size - few * CONTEXT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sys.path.insert(0, str(ROOT / "python"))
    import weir

    program = weir.load(args.model)
    module, batch = program.module, program.info["max_batch"]

    sites = [(layer, kind) for layer in range(9, 17) for kind in ("res", "mlp", "att")]
    index = {site: number for number, site in enumerate(sites)}
    pairs = []
    for layer in range(9, 17):
        here = index[layer, "res"]
        pairs += [(here, index[layer, "mlp"]), (here, index[layer, "att"])]
        if layer > 9:
            pairs += [(here, index[layer - 1, "res"]), (index[layer, "mlp"], index[layer - 1, "res"]),
                      (index[layer, "att"], index[layer - 1, "res"])]
    windows = max(1, args.tokens // CONTEXT)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "spec.yaml").write_text(SPEC.format(folder=ROOT / "examples" / "smollm2" / "dictionaries"))
        # Real text matters: random tokens make other features active.
        with zipfile.ZipFile(args.model) as records:
            name = next(name for name in records.namelist() if name.endswith("/extra/tokenizer.json"))
            tokenizer = Tokenizer.from_str(records.read(name).decode())
        text = "\n".join(path.read_text() for path in [ROOT / "LICENSE", *sorted((ROOT / "docs").glob("*.md"))])
        ids = numpy.array(tokenizer.encode(text, add_special_tokens=False).ids[:windows * CONTEXT])
        ids = ids[:len(ids) // CONTEXT * CONTEXT].reshape(-1, CONTEXT)
        times = [(plain(module, torch.from_numpy(ids), batch), collected(folder, args.model, ids, batch, sites, pairs))
                 for _ in range(args.repeats)]
    print(f"{ids.size} tokens, {len(sites)} dictionaries, {len(pairs)} pairs; ms of the processor a token, plain/collected: "
          f"{', '.join(f'{a * 1e3:.2f}/{b * 1e3:.2f}' for a, b in times)}")
    plain_best, collected_best = (min(column) for column in zip(*times))
    print(f"best of each: {plain_best * 1e3:.2f} and {collected_best * 1e3:.2f} ms, {collected_best / plain_best:.2f} times")


if __name__ == "__main__":
    main()
