# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a program gains when a fixed plan replaces layers, and what that costs the model.

    python benchmarks/replaced_layers.py [--layer 13] [--text FILE.jsonl]

Builds SmolLM2 without a layer, and with one coded by features, as fixed programs, over one layer and over four, decodes
with each of them and with the model itself in turn, in one process (one row, greedy, one thread), and prints size and
time against the model's: a layer of 30 is 2.7 % of the weights that are read for a token. Time is that of the processor
for single tokens, which other work on the machine disturbs less than the clock. With `--text`, lines of JSON with the key "text", also the loss on
its first texts, in nats a token. There, the first token of each text, whose norm is a hundred times that of the others
and which the dictionaries were not trained on, goes through the layer (`tokens: {skip_first: 1}`) in the second column
and does not in the first.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from decode_overhead import BUILD, ROOT

FORMS = {"drop": "form: drop", "permutation": "match: through", "quantile": "match: through, form: quantile, quantile: 0.5",
         "encode_decode_current": "form: encode_decode_current", "encode_decode_previous": "form: encode_decode_previous"}


def spec_text(layer: int) -> str:
    lines = ["weir: 1", "model: {program: model.pt2}", "dictionaries:",
             f"  sae: {{format: sae_lens, path: '{ROOT}/examples/smollm2/dictionaries/{{site}}.{{layer}}', sites: [res], "
             "layers: 9..16}", "matches:", "  through: {method: permutation, fold: threshold}", "policies:"]
    for name, form in FORMS.items():
        for count, layers in ((1, f"{layer}"), (4, f"{layer}..{layer + 3}")):
            for kind, scope in (("all", ""), ("rest", ", tokens: {skip_first: 1}")):
                lines.append(f"  {name}_{count}_{kind}: {{do: substitute, layers: {layers}, {form}{scope}}}")
    lines += ["plans:", "  plain: []"]
    lines += [f"  {name}_{count}_{kind}: [{name}_{count}_{kind}]" for name in FORMS for count in (1, 4) for kind in ("all", "rest")]
    return "\n".join(lines) + "\n"


def decode(program, tokens: int) -> list[float]:
    """Seconds of the processor for each of so many generated tokens, those of the prompt and of the first one left out."""
    stamps: list[float] = []
    program.generate(["The history of the town begins with"], max_new_tokens=tokens + 1, ignore_eos=True,
                     on_token=lambda row, token: stamps.append(time.thread_time()))
    return [after - before for before, after in zip(stamps, stamps[1:])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--layer", type=int, default=13)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--texts", type=int, default=32, help="of the file")
    parser.add_argument("--length", type=int, default=128, help="tokens of each text, at most")
    parser.add_argument("--tokens", type=int, default=24, help="to decode in a run")
    parser.add_argument("--runs", type=int, default=15)
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT / "python"))
    env = dict(os.environ, PYTHONPATH=str(ROOT / "python"))
    model = subprocess.run([sys.executable, "-m", "weir", "export", "smollm2", "--cached"], check=True,
                           stdout=subprocess.PIPE, text=True, env=env).stdout.split()[-1]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        spec = folder / "spec.yaml"
        spec.write_text(spec_text(args.layer))

        def build(name: str, *fixed: str) -> Path:
            subprocess.run([BUILD / "bin" / "weirc", "build", spec, "--model", model, "-o", folder / name, "--cache",
                            folder / "cache", *fixed], check=True, env=env)
            return folder / name

        programs = {"model": build("model", "--fixed", "plain")}
        for count in (1, 4):
            for name in ("drop", "permutation"):
                plan = f"{name}_{count}_all"
                programs[f"{name}, {count} layer{'s' * (count > 1)}"] = build(plan, "--fixed", plan)
        size = {name: (program / "program.pt2").stat().st_size for name, program in programs.items()}
        import torch

        import weir

        torch.set_num_threads(1)
        loaded = {name: weir.load(program, verify=False) for name, program in programs.items()}
        seconds = {name: [] for name in programs}
        pairs = {name: [] for name in programs}
        for run in range(args.runs + 1):
            taken = {name: decode(program, args.tokens) for name, program in loaded.items()}
            for name in programs if run else ():  # the first one warms up
                seconds[name] += taken[name]
                pairs[name].append(statistics.median(taken[name]) / statistics.median(taken["model"]))
        for name, taken in seconds.items():
            tenth, model_tenth = (sorted(times)[len(times) // 10] for times in (taken, seconds["model"]))
            print(f"{name:>22}: {size[name] / 1e6:.1f} MB, {size[name] / size['model']:.3f} of the model's; a token "
                  f"{1e3 * tenth:.2f} ms (the fastest tenth), {tenth / model_tenth:.3f} of the model's "
                  f"(median of {args.runs} runs {statistics.median(pairs[name]):.3f})")
        if args.text:
            program = weir.load(build("all"), verify=False)
            lines = args.text.read_text().splitlines()
            texts = [program.encode(json.loads(line)["text"])[:args.length] for line in lines[:args.texts]]
            texts = [ids for ids in texts if len(ids) > 1]
            plain = float(program.loss(texts, plan="plain").mean())
            print(f"\nloss of the model: {plain:.3f} nats a token, {len(texts)} texts of up to {args.length} tokens")
            for count in (1, 4):
                for name in FORMS:
                    every, rest = (float(program.loss(texts, plan=f"{name}_{count}_{kind}").mean()) - plain
                                   for kind in ("all", "rest"))
                    print(f"{name:>22}, {count} layer{'s' * (count > 1)}: {every:+.3f} at all tokens, {rest:+.3f} but the first")
    return 0


if __name__ == "__main__":
    sys.exit(main())
