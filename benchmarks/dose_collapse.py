# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How large a dose may be before text falls apart.

    python benchmarks/dose_collapse.py --text held-out.jsonl

Adds one feature at a time to SmolLM2 (the dictionaries of examples/smollm2), with doses that a knob
multiplies, and measures for each dose

    loss     nats a token on windows of the text, steered from the second token on, above the
             unsteered loss
    fluency  nats a token that the unsteered model gives to what the steered one writes, greedily,
             after a few openings
    repeats  the share of the 4-grams of tokens in what it writes that were there before

and prints the median over the features, and in brackets what a third of them is below and above. Takes
some minutes on two cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))
BUILD = Path(os.environ.setdefault("WEIR_BUILD", str(ROOT / "build")))

OPENINGS = ["I think", "The history of the town begins with", "She opened the door and", "To make this, first"]
# Known to steer, and one of each layer.
RES = ["11/res/558", "11/res/743", "13/res/525", "14/res/944", "15/res/1268", "15/res/408",
       "9/res/138", "10/res/811", "12/res/1438", "16/res/77"]
OTHERS = {"mlp": ["10/mlp/3", "12/mlp/500", "14/mlp/41", "16/mlp/900"], "att": ["10/att/3", "12/att/500", "14/att/41", "16/att/900"]}


def spec_text(features: list[str], text: Path) -> str:
    lines = ["weir: 1", "model: {}", "dictionaries:", "  sae:", "    format: sae_lens",
             f"    path: {ROOT}/examples/smollm2/dictionaries/{{site}}.{{layer}}", "    sites: [res, mlp, att]",
             "    layers: 9..16", "knobs:", "  dose: {default: 0, range: [0, 100]}", "policies:"]
    for index, feature in enumerate(features):
        lines += [f"  p{index}:", f"    on: {feature}", "    do: add",
                  f"    strength: {{dose: 1, text: {text.resolve()}, times: dose}}", "    tokens: {skip_first: 1}"]
    return "\n".join([*lines, "plans:", *(f"  f{index}: [p{index}]" for index in range(len(features)))]) + "\n"


def repeats(tokens: list[int], n: int = 4) -> float:
    grams = [tuple(tokens[at:at + n]) for at in range(len(tokens) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def spread(values: list[float]) -> str:
    ordered = sorted(values)
    third = len(ordered) // 3
    return f"{statistics.median(ordered):.2f} ({ordered[third]:.2f} to {ordered[-1 - third]:.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--sites", choices=["res", *OTHERS], default="res")
    parser.add_argument("--doses", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5, 2.0])
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=40)
    args = parser.parse_args()
    import torch
    import weir

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    features = RES if args.sites == "res" else OTHERS[args.sites]
    model = subprocess.run([sys.executable, "-m", "weir", "export", "smollm2", "--cached"], check=True, stdout=subprocess.PIPE,
                           text=True, env=dict(os.environ, PYTHONPATH=str(ROOT / "python"))).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="weir-") as folder:
        spec = Path(folder, "spec.yaml")
        spec.write_text(spec_text(features, args.text))
        report = weir.compile(spec, Path(folder, "program"), model=model)["report"]
        program = weir.load(Path(folder, "program"), verify=False)
    for entry in report["doses"]:
        print(f"{entry['site']}: median norm {entry['median_norm']:.1f}", flush=True)
    documents = [json.loads(line)["text"] for line in args.text.read_text().splitlines()]
    step = max(1, len(documents) // args.windows)
    windows = [program.encode(text)[:96] for text in documents[::step]][:args.windows]
    plain = program.loss(windows, plan=None)
    texts = program.generate(OPENINGS, plan=None, max_new_tokens=args.tokens, ignore_eos=True)
    base = statistics.mean(program.loss([row.prompt + row.tokens for row in texts], plan=None,
                                        prompt_length=[len(row.prompt) for row in texts]).tolist())
    print(f"unsteered: loss {plain.mean().item():.2f}, fluency {base:.2f}, repeats "
          f"{statistics.mean(repeats(row.tokens) for row in texts):.2f}", flush=True)
    print("| dose | loss, more | fluency | repeats |\n|---:|---|---|---|", flush=True)
    for dose in args.doses:
        found = {"loss": [], "fluency": [], "repeats": []}
        for plan in program.plans:
            knobs = {"dose": dose}
            found["loss"].append((program.loss(windows, plan=plan, knobs=knobs) - plain).mean().item())
            rows = program.generate(OPENINGS, plan=plan, knobs=knobs, max_new_tokens=args.tokens, ignore_eos=True)
            found["fluency"].append(program.loss([row.prompt + row.tokens for row in rows], plan=None,
                                                 prompt_length=[len(row.prompt) for row in rows]).mean().item())
            found["repeats"].append(statistics.mean(repeats(row.tokens) for row in rows))
        print(f"| {dose:g} | {spread(found['loss'])} | {spread(found['fluency'])} | {spread(found['repeats'])} |", flush=True)


if __name__ == "__main__":
    main()
