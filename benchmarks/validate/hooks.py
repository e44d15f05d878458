# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`weirc validate` side by side with a loop of PyTorch hooks over the same cases.

    python benchmarks/validate/hooks.py [--measured 12] [--rounds 3] [--loss] [--threads 1]

Runs `weirc validate` on the dictionaries and the text of examples/smollm2, with the 20 features of each layer that
make 2,000 cases in 1,024 tokens, and computes `--measured` of these cases, evenly spread, once more with hooks on the
Hugging Face model, one by one: all of them would take long, so their time is scaled. Both are done in turn, `--rounds`
times, and the best of each counts. Prints seconds of the clock and of the processor, start and compilation included for
weirc and not for the hooks, the ratios, and how far the numbers are apart. On a machine with other work the
processor's seconds of one thread mean more: two threads that wait for each other burn both. The model is run

whole      to the logits, as a loop of hooks does
stopped    up to the target's layer, where its hook raises an exception (not with --loss)
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
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


def seconds(work):
    """Of the clock and of the processor, children included, and what `work` returns."""
    def processor():
        return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])

    start = time.perf_counter(), processor()
    result = work()
    return numpy.array([time.perf_counter() - start[0], processor() - start[1]]), result


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--measured", type=int, default=12, help="cases that hooks compute in a round")
    arguments.add_argument("--sample", type=int, default=20, help="features of each layer")
    arguments.add_argument("--max-tokens", type=int, default=1024, help="of the text")
    arguments.add_argument("--loss", action="store_true")
    arguments.add_argument("--loss-tokens", type=int, default=8)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    sys.path.insert(0, str(ROOT / "python"))
    from weir.export import cached, sources

    model_path = cached("smollm2")
    model = sources.resolve("smollm2").model(torch.float32).eval()
    dictionaries = {(layer, site): Dictionary(layer, site) for layer in range(9, 17) for site in MODULES}
    loss_tokens = given.loss_tokens * given.loss
    ways = ["whole"] if given.loss else ["whole", "stopped"]
    took = {"weirc": []} | {way: [] for way in ways}
    apart, apart_loss = dict.fromkeys(ways, 0.0), 0.0
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

        def validate():
            for path in (folder / "cache" / "activations").glob("*.validation"):
                path.unlink()
            done = subprocess.run(list(map(str, command)), env=environment, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                sys.exit(done.stdout)
            return json.loads(done.stdout)

        for number in range(given.rounds):
            time_of_it, report = seconds(validate)
            took["weirc"].append(time_of_it)
            with open(folder / "cases.csv", newline="") as file:
                cases = list(csv.DictReader(file))
            tokens = numpy.load(folder / "tokens.npy")
            if not number:
                hooked(model, dictionaries, cases[0], tokens, loss_tokens, False)
            chosen = cases[number::max(1, len(cases) // given.measured)][:given.measured]
            for way in ways:
                time_of_it, found = seconds(lambda: [
                    hooked(model, dictionaries, case, tokens, loss_tokens, way == "stopped") for case in chosen])
                took[way].append(time_of_it / len(chosen))
                for case, (after, loss) in zip(chosen, found):
                    apart[way] = max(apart[way], abs(after - float(case["after"])) / max(1.0, abs(after)))
                    if given.loss:
                        apart_loss = max(apart_loss, abs(loss - float(case["loss_after"])))
    best = {name: numpy.min(times, axis=0) for name, times in took.items()}
    print(f"weirc validate: {len(cases)} cases in {report['windows_read']} windows, {best['weirc'][0]:.2f} s, of the processor "
          f"{best['weirc'][1]:.2f} s; {given.threads} thread(s), best of {given.rounds} rounds")
    for way in ways:
        whole = best[way] * len(cases)
        print(f"hooks, {way}: {1e3 * best[way][0]:.0f} ms a case, of the processor {1e3 * best[way][1]:.0f} ms; scaled from "
              f"{given.measured} cases a round {whole[0]:.0f} s and {whole[1]:.0f} s. weirc is {whole[0] / best['weirc'][0]:.0f} "
              f"times as fast, by the processor {whole[1] / best['weirc'][1]:.0f} times; activations at most {apart[way]:.1e} apart"
              + (f", losses {apart_loss:.1e}" if given.loss else ""))


if __name__ == "__main__":
    main()
