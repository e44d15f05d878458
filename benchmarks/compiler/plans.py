# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What many policies cost the compiler, and what many plans cost at run time.

    python benchmarks/compiler/plans.py [scaling plans decode] [--against OTHER_BUILD]

scaling   seconds of `weirc build` for 2,500, 5,000 and 10,000 policies in plans of their
          own, over all 126 layers of a tiny model and at one site
plans     calls and bytes that 1, 16 and 256 plans of 8 features each add to a program
decode    tokens/s of a batch of 32 rows that follow 32 of 256 plans, of the same batch
          under one of them, under the only plan of another program, and unsteered

With `--against`, the folder of another build, both run in turn, and ratios are given.
Times are of the processor and the best of `--runs`. A machine that does other work makes
them longer, so compare only what one run printed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
LAYERS = 126
ENV = dict(os.environ, PYTHONPATH=str(ROOT / "python"), OMP_NUM_THREADS="1")


def seconds(*command, check=True) -> tuple[float, str]:
    """Processor seconds of a command, its children included, and what it said wrong."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, env=ENV)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if check and done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, "" if done.returncode == 0 else done.stderr.strip().splitlines()[0]


def best(builds: dict[str, Path], runs: int, command) -> dict[str, float]:
    """The least of some runs of each build, in turn; `command` makes one for a build."""
    times = {name: [] for name in builds}
    for _ in range(runs):
        for name, build in builds.items():
            took, error = seconds(*command(build), check=False)
            times[name].append(float("nan") if error else took)
            if error:
                print(f"  {name}: {error[:160]}")
    return {name: min(taken) for name, taken in times.items()}


def row(title: str, times: dict[str, float]) -> None:
    text = "  ".join(f"{name} {took:.3f} s" for name, took in times.items())
    if len(times) == 2:
        mine, other = times.values()
        text += f"  ({other / mine:.1f} times faster)"
    print(f"{title:>44}: {text}")


def spec(dictionaries: str, policies: list[str], plans: list[list[int]] | None = None) -> str:
    """A plan for each policy, unless plans are given as lists of policies."""
    plans = plans if plans is not None else [[i] for i in range(len(policies))]
    lines = ["weir: 1", "model: {program: model.pt2}", "dictionaries:", dictionaries, "policies:"]
    lines += [f"  p{i}: {text}" for i, text in enumerate(policies)]
    lines += ["plans:"] + [f"  q{i}: [{', '.join(f'p{j}' for j in members)}]" for i, members in enumerate(plans)]
    return "\n".join(lines) + "\n"


def write(folder: Path, model: Path, text: str, name: str = "spec.yaml") -> Path:
    path = folder / name
    path.write_text(text.replace("model.pt2", str(model)))
    return path


def deep_model(folder: Path) -> Path:
    """A Llama of many layers and few numbers, exported."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(0)
    config = LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=LAYERS, num_attention_heads=4,
                         num_key_value_heads=2, vocab_size=131, max_position_embeddings=64)
    LlamaForCausalLM(config).save_pretrained(folder / "deep")
    path = folder / "deep.pt2"
    seconds(sys.executable, "-m", "weir", "export", folder / "deep", "-o", path, "--max-batch", "2", "--max-length", "16")
    return path


NEURONS = f"  n: {{format: neurons, sites: [mlp], layers: 0..{LAYERS - 1}}}"


def edits(count: int, layer) -> list[str]:
    draw = random.Random(0)
    kinds = ("do: set, value: {}", "do: scale, factor: {}", "do: add, strength: {}")
    return [f"{{on: {layer(i)}/mlp/{draw.randrange(48)}, {kinds[i % 3].format(1 + i % 7)}, tokens: {{from: {i % 11}}}}}"
            for i in range(count)]


def scaling(builds, runs, folder):
    model = deep_model(folder)
    for title, layer in ((f"over {LAYERS} layers", lambda i: i % LAYERS), ("at one site", lambda i: 60)):
        last = {}
        for count in (2500, 5000, 10000):
            path = write(folder, model, spec(NEURONS, edits(count, layer)))
            times = best(builds, runs, lambda build: (build / "bin" / "weirc", "build", path, "-o", folder / "out"))
            row(f"{count:,} policies {title}", times)
            for name, took in times.items():
                if name in last:
                    print(f"{'':>46}{name}: doubling costs {took / last[name]:.2f} times")
            last = times


def program_size(folder: Path) -> tuple[int, int, int]:
    """Calls, bytes of the graph, bytes of the file."""
    path = folder / "program.pt2" if folder.is_dir() else folder
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("models/model.json"))
        graph = archive.read(name)
    nodes = json.loads(graph)["graph_module"]["graph"]["nodes"]
    return len(nodes), len(graph), path.stat().st_size


SAE = f"""  sae: {{format: sae_lens, path: "{ROOT}/examples/smollm2/dictionaries/{{site}}.{{layer}}", sites: [res], layers: 9..16}}"""


def many_features(plans: int, layers=(12,)) -> str:
    draw = random.Random(1)
    policies = []
    for _ in range(plans):
        features = [f"{layer}/res/{index}" for layer in layers for index in sorted(draw.sample(range(1536), 8))]
        policies.append(f"{{on: [{', '.join(features)}], do: scale, factor: {draw.choice([-1, 0.5, 2])}, tokens: {{from: {draw.randrange(1, 4)}}}}}")
    return spec(SAE, policies)


def smollm2(folder: Path) -> Path:
    path = folder / "smollm2.pt2"
    if not path.exists():
        seconds(sys.executable, "-m", "weir", "export", "smollm2", "-o", path, "--max-batch", "32", "--max-length", "64")
    return path


def plans(builds, runs, folder):
    model = smollm2(folder)
    calls, graph, size = program_size(model)
    for count in (1, 16, 256):
        path = write(folder, model, many_features(count), "plans.yaml")
        for name, build in builds.items():
            out = folder / "out-plans"
            _, error = seconds(build / "bin" / "weirc", "build", path, "-o", out, check=False)
            if error:
                print(f"{count:>40} plans: {name}: {error[:120]}")
                continue
            more, longer, larger = program_size(out)
            print(f"{count:>38} plans: {name} adds {more - calls} calls, {longer - graph:,} bytes of graph, "
                  f"{larger - size:,} bytes in all")


def decode(builds, runs, folder):
    model = smollm2(folder)
    build = next(iter(builds.values()))
    layers = range(9, 17)
    programs = {}
    for name, count in (("of 256", 256), ("only one", 1)):
        path = write(folder, model, many_features(count, layers), f"{count}.yaml")
        programs[name] = folder / f"out-{count}"
        seconds(build / "bin" / "weirc", "build", path, "-o", programs[name])
    rows, tokens = 32, 24
    prompts = folder / "prompts.txt"
    prompts.write_text("The history of the town begins with\n" * rows)
    wanted = {"32 of 256 plans": ("of 256", [f"q{8 * i + 3}" for i in range(rows)]),
              "one of 256 plans": ("of 256", ["q3"] * rows),
              "the only plan": ("only one", ["q0"] * rows),
              "unsteered": ("only one", ["none"] * rows)}
    speeds = {name: [] for name in wanted}
    for run in range(runs + 1):
        for name, (program, names) in wanted.items():
            answer = subprocess.run(
                [build / "bin" / "weir-run", programs[program], "--prompts", prompts, "-n", str(tokens), "--ignore-eos",
                 "--threads", "1", "--no-verify", "--json", *(part for plan in names for part in ("--plan", plan))],
                check=True, stdout=subprocess.PIPE, text=True, env=ENV).stdout
            phase = json.loads(answer)["decode"]
            if run:  # the first warms the page cache
                speeds[name].append(phase["tokens"] / phase["seconds"])
    mixed = speeds["32 of 256 plans"]
    for name, taken in speeds.items():
        ratios = [a / b for a, b in zip(mixed, taken)]
        print(f"{name:>44}: best {max(taken):.1f} tokens/s; 32 plans reach {max(mixed) / max(taken):.3f} of it "
              f"(median of pairs {statistics.median(ratios):.3f})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="PART", help="scaling, plans, decode (default: all)")
    parser.add_argument("--against", type=Path, help="the folder of another build")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    parts = {"scaling": scaling, "plans": plans, "decode": decode}
    if unknown := set(args.what) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    builds = {"this": BUILD} | ({"other": args.against} if args.against else {})
    with tempfile.TemporaryDirectory() as folder:
        for name in args.what or parts:
            begin = time.monotonic()
            print(f"{name}:")
            parts[name](builds, args.runs, Path(folder))
            print(f"  ({time.monotonic() - begin:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
