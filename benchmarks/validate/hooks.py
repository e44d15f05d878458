# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`weirc validate` side by side with a loop of PyTorch hooks over the same cases.

    python benchmarks/validate/hooks.py [--cases 2000] [--measured 40] [--loss] [--threads 2]

Runs `weirc validate` on the dictionaries and the text of examples/smollm2, with as many
features as it takes to have `--cases` cases, then computes the first of these once more with
hooks on the Hugging Face model, one by one: `--measured` of them, evenly spread, since all of
them take long. Prints seconds of both, start included for weirc and not for the hooks, the
ratio, and how far the numbers are apart. The model is run

whole      to the logits, as a loop of hooks does
stopped    up to the target's layer, where its hook raises an exception (not with --loss)
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
EXAMPLES = ROOT / "examples" / "smollm2"
MODULES = {"res": "", "mlp": ".mlp", "att": ".self_attn"}


class Stop(Exception):
    pass


class Dictionary:
    def __init__(self, layer: int, site: str):
        weights = load_file(EXAMPLES / "dictionaries" / f"{site}.{layer}" / "sae_weights.safetensors")
        weights = {name: tensor.float() for name, tensor in weights.items()}
        self.encoder, self.decoder = weights["W_enc"].T.contiguous(), weights["W_dec"]
        self.bias = weights["b_enc"] - self.encoder @ weights["b_dec"]
        self.threshold = weights["threshold"]

    def read(self, x, feature: int) -> float:
        z = x @ self.encoder[feature] + self.bias[feature]
        return torch.where(z > self.threshold[feature], z.relu(), 0.0).item()


def parse(text: str):
    layer, site, index = text.split("/")
    return int(layer), site, int(index)


def hooked(model, dictionaries, case, tokens, loss_tokens: int, stop: bool):
    """The target's activation without the predecessors, and the loss behind."""
    window = tokens[int(case["window"])]
    window = torch.from_numpy(window[window >= 0])[None]
    position, target = int(case["position"]), parse(case["target"])
    removed, found, handles = {}, [], []
    for feature in case["predecessors"].split("+"):
        layer, site, index = parse(feature)
        removed.setdefault((layer, site), []).append(index)

    def hook(at):
        def run(module, args, output):
            value = output[0] if isinstance(output, tuple) else output
            if at in removed:
                x = value[0, position].clone()
                for index in removed[at]:
                    value[0, position] -= dictionaries[at].read(x, index) * dictionaries[at].decoder[index]
            if at == target[:2]:
                found.append(dictionaries[at].read(value[0, position], target[2]))
                if stop:
                    raise Stop
        return run

    for at in {*removed, target[:2]}:
        module = model.get_submodule(f"model.layers.{at[0]}{MODULES[at[1]]}")
        handles.append(module.register_forward_hook(hook(at)))
    loss = float("nan")
    try:
        with torch.inference_mode():
            logits = model(window, use_cache=False).logits[0]
        if loss_tokens:
            behind = slice(position, min(position + loss_tokens, window.shape[1] - 1))
            loss = torch.nn.functional.cross_entropy(logits[:-1], window[0, 1:], reduction="none")[behind].mean().item()
    except Stop:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found[0], loss


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--cases", type=int, default=2000)
    arguments.add_argument("--measured", type=int, default=40)
    arguments.add_argument("--sample", type=int, default=64, help="features of each layer")
    arguments.add_argument("--max-tokens", type=int, default=1024, help="of the text")
    arguments.add_argument("--loss", action="store_true")
    arguments.add_argument("--loss-tokens", type=int, default=8)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--runs", type=int, default=3)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    sys.path.insert(0, str(ROOT / "python"))
    from weir.export import cached, sources

    model_path = cached("smollm2")
    model = sources.resolve("smollm2").model(torch.float32).eval()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        command = [BUILD / "bin" / "weirc", "validate", EXAMPLES / "matches.yaml", "--model", model_path, "--text",
                   EXAMPLES / "text" / "heldout.jsonl", "--sample", given.sample, "--max-tokens", given.max_tokens,
                   "--cases", folder / "cases.csv", "--tokens", folder / "tokens.npy", "--threads", given.threads, "--json"]
        if given.loss:
            command += ["--loss", "--loss-tokens", given.loss_tokens]
        environment = os.environ | {"WEIR_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": str(given.threads)}
        # The matches are there before, as they are for who validates them.
        subprocess.run([BUILD / "bin" / "weirc", "match", EXAMPLES / "matches.yaml", "--cache", folder / "cache", "--json"],
                       check=True, stdout=subprocess.DEVNULL)
        took = []
        for _ in range(given.runs):
            for path in (folder / "cache" / "activations").glob("*.validation"):
                path.unlink()
            start = time.perf_counter()
            said = subprocess.run(list(map(str, command)), env=environment, stdout=subprocess.PIPE, text=True)
            took.append(time.perf_counter() - start)
            if said.returncode:
                sys.exit(said.stdout)
        with open(folder / "cases.csv", newline="") as file:
            cases = list(csv.DictReader(file))
        tokens = numpy.load(folder / "tokens.npy")
    weir = min(took)
    report = json.loads(said.stdout)
    print(f"weirc validate: {len(cases)} cases in {report['windows_read']} windows, {weir:.2f} s "
          f"(of {', '.join(f'{each:.2f}' for each in took)}), {1e3 * weir / len(cases):.2f} ms a case")
    if len(cases) < given.cases:
        print(f"fewer than {given.cases} cases: raise --sample or --max-tokens")

    dictionaries = {(layer, site): Dictionary(layer, site) for layer in range(9, 17) for site in MODULES}
    chosen = cases[::max(1, len(cases) // given.measured)][:given.measured]
    hooked(model, dictionaries, chosen[0], tokens, given.loss_tokens * given.loss, False)
    for name, stop in (("whole", False), ("stopped", True)):
        if stop and given.loss:
            continue
        apart = apart_loss = 0.0
        start = time.perf_counter()
        for case in chosen:
            after, loss = hooked(model, dictionaries, case, tokens, given.loss_tokens * given.loss, stop)
            apart = max(apart, abs(after - float(case["after"])) / max(1.0, abs(after)))
            if given.loss:
                apart_loss = max(apart_loss, abs(loss - float(case["loss_after"])))
        each = (time.perf_counter() - start) / len(chosen)
        print(f"hooks, {name}: {1e3 * each:.1f} ms a case, {each * len(cases):.0f} s for all; weirc is "
              f"{each * len(cases) / weir:.0f} times as fast; activations at most {apart:.1e} apart"
              + (f", losses {apart_loss:.1e}" if given.loss else ""))


if __name__ == "__main__":
    main()
