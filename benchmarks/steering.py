# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What steering costs a model: tokens/s steered over unsteered, of SmolLM2 in f32.

    OMP_NUM_THREADS=1 python benchmarks/steering.py [--layers 1 8 30] [--actions add clamp when] [--others]

At the residual sites of 1, 8 or 30 layers (dictionaries of random rows, 2,048 features each, are made for all of them),
`--features` features each are

    add     added with a strength (one direction; nothing is read)
    clamp   read and clamped
    when    scaled where another feature of the site is active

Weir's programs are built with --lower=kernel and --lower=aten and run from Python, in turns with the program
that steers nothing. With --others the same edits run on the Hugging Face model in Python, against that model as it is,
in turns in one process: forward hooks, whole dictionaries of SAE Lens with their error term, and repeng, nnsight
and pyvene where they can be imported (`--venv DIR` makes an environment with them beside this one's packages).

Decode is one row, token by token; prefill 4 rows of 128 tokens. With one thread, times are the processor's, in which
waiting for it does not count. Ratios are of the fastest runs, in brackets the median of the runs' own ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
WIDTH, FEATURES, LAYERS = 576, 2048, 30
ROWS, PROMPT = 4, 128


def clock() -> float:
    """Seconds; of this thread's processor if no other takes part."""
    import torch
    return time.thread_time() if torch.get_num_threads() == 1 else time.perf_counter()


def dictionaries(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file
    for layer in range(LAYERS):
        random = torch.Generator().manual_seed(layer)
        decoder = torch.nn.functional.normalize(torch.randn(FEATURES, WIDTH, generator=random), dim=1)
        where = folder / "dictionaries" / f"res.{layer}"
        where.mkdir(parents=True)
        save_file({"W_enc": decoder.T.contiguous(), "W_dec": decoder, "b_enc": torch.zeros(FEATURES),
                   "b_dec": torch.zeros(WIDTH), "threshold": torch.full((FEATURES,), 0.5)}, where / "sae_weights.safetensors")
        (where / "cfg.json").write_text(json.dumps({
            "architecture": "jumprelu", "d_in": WIDTH, "d_sae": FEATURES, "dtype": "float32", "device": "cpu",
            "apply_b_dec_to_input": False, "normalize_activations": "none", "reshape_activations": "none",
            "metadata": {"hook_name": f"blocks.{layer}.hook_resid_post"}}))


def chosen(count: int) -> list[int]:
    """The layers that are steered, spread over the model."""
    return [round((i + 0.5) * LAYERS / count - 0.5) for i in range(count)]


def edited(layer: int, features: int) -> list[int]:
    return [(37 * layer + 31 * i) % FEATURES for i in range(features)]


def spec(folder: Path, layers: int, features: int, action: str) -> str:
    lines = ["weir: 1", "model: {program: model.pt2}", "dictionaries:",
             f"  sae: {{format: sae_lens, path: '{folder}/dictionaries/{{site}}.{{layer}}', sites: [res], "
             f"layers: 0..{LAYERS - 1}}}", "policies:"]
    if not layers:
        return "\n".join([*lines[:2], "policies: {}"]) + "\n"
    does = {"add": "do: add, strength: 0.5", "clamp": "do: clamp, max: 0.75", "when": "do: scale, factor: 0.5"}[action]
    for layer in chosen(layers):
        listed = edited(layer, 1 if action == "add" else features)
        when = f", when: {{feature: {layer}/res/{FEATURES - 1 - layer}, above: 0.5}}" if action == "when" else ""
        lines.append(f"  p{layer}: {{on: {{features: [{', '.join(f'{layer}/res/{i}' for i in listed)}]}}, {does}{when}}}")
    return "\n".join([*lines, "plans:", f"  all: [{', '.join(f'p{layer}' for layer in chosen(layers))}]"]) + "\n"


class Running:
    """A built program in this process."""

    def __init__(self, folder: Path):
        import torch
        import weir
        program = weir.load(folder, verify=False)
        self.module, self.inputs = program.module, program.manifest["inputs"]
        self.long, self.single = torch.full((ROWS, PROMPT), 1000), torch.full((1, 8), 1000)

    def forward(self, ids, start: int):
        import torch
        rows = ids.shape[0]
        given = {"prompt_length": torch.full((rows,), ids.shape[1] if start == 0 else 8),
                 "plan": torch.zeros(rows, dtype=torch.int64)}
        positions = torch.arange(start, start + ids.shape[1]).expand(rows, -1)
        self.module(ids, positions, *(given[name] for name in self.inputs if name in given))

    def decode(self, tokens: int) -> float:
        """Tokens/s."""
        self.forward(self.single, 0)
        begin = clock()
        for at in range(tokens):
            self.forward(self.single[:, -1:], 8 + at)
        return tokens / (clock() - begin)

    def prefill(self) -> float:
        begin = clock()
        self.forward(self.long, 0)
        return ROWS * PROMPT / (clock() - begin)


def report(title: str, runs: list[tuple[float, float]]) -> None:
    """Of pairs (steered, unsteered) in tokens/s."""
    best = max(a for a, _ in runs) / max(b for _, b in runs)
    print(f"{title:>52}: {best:.4f} of unsteered ({statistics.median(a / b for a, b in runs):.4f})", flush=True)


def weir_programs(arguments, folder: Path) -> None:
    import torch
    sys.path.insert(0, str(ROOT / "python"))
    torch.set_num_threads(arguments.threads)
    env = dict(os.environ, PYTHONPATH=str(ROOT / "python"))
    model = folder / "model.pt2"
    if not model.exists():
        subprocess.run([sys.executable, "-m", "weir", "export", "smollm2", "-o", model, "--max-batch", str(ROWS), "--max-length",
                        str(PROMPT + 64)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)

    def build(layers, action, lower) -> Running:
        path, out = folder / "spec.yaml", folder / "program"
        path.write_text(spec(folder, layers, arguments.features, action))
        subprocess.run([BUILD / "bin" / "weirc", "build", path, "--model", model, "-o", out, "--lower", lower],
                       check=True, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        program = Running(out)
        shutil.rmtree(out)
        return program

    with torch.no_grad():
        plain = build(0, "", "aten")
        for layers in arguments.layers:
            for action in arguments.actions:
                for lower in arguments.lower:
                    steered = build(layers, action, lower)
                    for phase, run in (("decode", lambda program: program.decode(arguments.tokens)), ("prefill", Running.prefill)):
                        for warm in (plain, steered):
                            run(warm)
                        report(f"{phase}: {action}, {layers} layers, Weir on {lower}",
                               [(run(steered), run(plain)) for _ in range(arguments.runs)])
                    del steered


# ---- the Hugging Face model in Python


def others(arguments, folder: Path) -> None:
    import importlib.util

    import torch
    from safetensors.torch import load_file
    sys.path.insert(0, str(ROOT / "python"))
    import warnings
    warnings.filterwarnings("ignore")
    from weir.export.sources import resolve

    torch.set_num_threads(arguments.threads)
    model = resolve("smollm2").model(torch.float32)
    blocks = model.model.layers
    weights = [load_file(folder / "dictionaries" / f"res.{layer}" / "sae_weights.safetensors") for layer in range(LAYERS)]

    def edit(layer, action):
        """x to its new value, k rows read: what a careful user writes into a hook."""
        held, listed = weights[layer], edited(layer, 1 if action == "add" else arguments.features)
        encoder, decoder = held["W_enc"].T[listed].contiguous(), held["W_dec"][listed].contiguous()
        theta, gate = held["threshold"][listed], held["W_enc"][:, FEATURES - 1 - layer].contiguous()
        direction = 0.5 * decoder[0]

        def change(x):
            if action == "add":
                return x + direction
            z = torch.nn.functional.linear(x, encoder)
            f = torch.where(z > theta, z, 0.0)
            if action == "clamp":
                return x + (f.clamp(max=0.75) - f) @ decoder
            delta = torch.where(((x @ gate) > 0.5)[..., None], -0.5 * f, 0.0)
            return x + delta @ decoder

        return change

    def hooked(make):
        def attach(layers, action):
            handles = []
            for layer in chosen(layers):
                change = make(layer, action)
                handles.append(blocks[layer].register_forward_hook(
                    lambda module, given, output, change=change: change(output) if torch.is_tensor(output)
                    else (change(output[0]), *output[1:])))
            return lambda: [handle.remove() for handle in handles]
        return attach

    def whole(layer, action):
        from sae_lens import JumpReLUSAE, JumpReLUSAEConfig
        sae = JumpReLUSAE(JumpReLUSAEConfig(d_in=WIDTH, d_sae=FEATURES, apply_b_dec_to_input=False))
        sae.load_state_dict(weights[layer], strict=False)
        listed = edited(layer, 1 if action == "add" else arguments.features)

        def change(x):
            f = sae.encode(x)
            error = x - sae.decode(f)
            if action == "add":
                f[..., listed] += 0.5
            elif action == "clamp":
                f[..., listed] = f[..., listed].clamp(max=0.75)
            else:
                f[..., listed] *= torch.where(f[..., FEATURES - 1 - layer, None] > 0.5, 0.5, 1.0)
            return sae.decode(f) + error

        return change

    ways = {"hooks": hooked(edit)}
    if importlib.util.find_spec("sae_lens"):
        ways["SAE Lens"] = hooked(whole)

    def repeng(layers, action):
        import numpy
        numpy.float_ = numpy.float64  # it wants NumPy 1, for this name only
        from repeng import ControlModel, ControlVector
        if action != "add":
            return None
        control = ControlModel(model, chosen(layers))
        control.set_control(ControlVector("llama", {layer: weights[layer]["W_dec"][edited(layer, 1)[0]].numpy()
                                                     for layer in chosen(layers)}), 0.5)
        return lambda: (control.reset(), control.unwrap())

    def pyvene(layers, action):
        import pyvene
        changes = {layer: edit(layer, action) for layer in chosen(layers)}
        wrapped = pyvene.IntervenableModel([
            {"component": f"model.layers.{layer}.output", "intervention":
             lambda base, source, subspaces=None, change=change: change(base)} for layer, change in changes.items()], model=model)
        return lambda: None, lambda **given: wrapped(given)[1]

    def nnsight(layers, action):
        from nnsight import NNsight
        wrapped = NNsight(model)
        changes = {layer: edit(layer, action) for layer in chosen(layers)}

        def forward(**given):
            with wrapped.trace(**given):
                for layer, change in changes.items():
                    wrapped.model.layers[layer].output = change(wrapped.model.layers[layer].output)
                output = wrapped.output.save()
            return output

        return lambda: None, forward

    for name, way in (("repeng", repeng), ("pyvene", pyvene), ("nnsight", nnsight)):
        if importlib.util.find_spec(name):
            ways[name] = way
        else:
            print(f"{name} is not installed: left out")

    prompt = torch.full((ROWS, PROMPT), 1000)
    positions = torch.arange(PROMPT).expand(ROWS, -1).contiguous()  # repeng looks for one for each token
    single = torch.full((1, 8), 1000)

    def decode(forward):
        cache = forward(input_ids=single, use_cache=True).past_key_values
        token = single[:, -1:]
        start = clock()
        for _ in range(arguments.tokens):
            cache = forward(input_ids=token, past_key_values=cache, use_cache=True).past_key_values
        return arguments.tokens / (clock() - start)

    def prefill(forward):
        start = clock()
        forward(input_ids=prompt, position_ids=positions, use_cache=False)
        return ROWS * PROMPT / (clock() - start)

    for phase, measure in (("decode", decode), ("prefill", prefill)):
        for layers in arguments.layers:
            for action in arguments.actions:
                for name, attach in ways.items():
                    pairs = []
                    try:
                        with torch.no_grad():
                            for run in range(arguments.runs + 1):
                                plain = measure(model)
                                made = attach(layers, action)
                                if made is None:
                                    break
                                detach, forward = made if isinstance(made, tuple) else (made, model)
                                try:
                                    steered = measure(forward)
                                finally:
                                    detach()
                                if run:
                                    pairs.append((steered, plain))
                    except Exception as error:  # of another project, in a version that this was not written for
                        print(f"{name:>52}: {type(error).__name__}: {str(error).splitlines()[0][:90]}")
                        continue
                    if pairs:
                        report(f"{phase}: {action}, {layers} layers, {name}", pairs)


def environment(path: Path) -> Path:
    """An environment with this one's packages and those of others."""
    import sysconfig
    if not path.exists():
        subprocess.run([sys.executable, "-m", "venv", path], check=True)
        site = next((path / "lib").glob("python*")) / "site-packages"
        (site / "shared.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        for packages in (["--no-deps", "nnsight", "pyvene", "repeng"], ["greenlet", "zstandard", "scikit-learn", "websocket-client"]):
            subprocess.run([path / "bin" / "pip", "install", "-q", *packages], check=False)
    return path / "bin" / "python"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 8, 30])
    parser.add_argument("--actions", nargs="+", default=["add", "clamp", "when"], choices=["add", "clamp", "when"])
    parser.add_argument("--lower", nargs="+", default=["kernel", "aten"], choices=["kernel", "aten", "auto"])
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=24, help="to decode in a run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--others", action="store_true", help="measure the Hugging Face model too")
    parser.add_argument("--only-others", action="store_true")
    parser.add_argument("--venv", type=Path, help="an environment for other projects, made if it is not there")
    parser.add_argument("--folder", type=Path, help="where the dictionaries and the exported model are kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        if not (folder / "dictionaries").exists():
            dictionaries(folder)
        if not arguments.only_others:
            weir_programs(arguments, folder)
        if arguments.venv and not arguments.only_others:
            command = [environment(arguments.venv), __file__, *sys.argv[1:], "--only-others", "--folder", folder]
            subprocess.run(list(map(str, command)), check=True)
        elif arguments.others or arguments.only_others:
            others(arguments, folder)


if __name__ == "__main__":
    main()
