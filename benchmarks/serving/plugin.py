# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What steering costs on vLLM (CPU, SmolLM2, 16 requests at a time): each way against vLLM without the plugin.

usage: .venv/bin/python benchmarks/serving/plugin.py MODEL_FOLDER MODEL.pt2 [--rounds 8] [--tokens 24]

One engine has all of it, so that nothing is compared across processes: the forwards of its layers are put back for `off`,
and ways take turns, round by round, each in another order. Rates are tokens for each second of the processor; what is
printed is the median over rounds of a way's rate against that of `off` in the same round, and its quartiles.

  off       no operator in the model
  idle      operators at 8 layers, no request with a plan
  one       all requests under one plan, which reads and edits 8 features at each of 8 layers
  sixteen   each request under a plan of its own, of the same form
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVING = Path(os.environ.get("WEIR_SERVING", ROOT / ".venv-serving"))
LAYERS = range(9, 17)


def spec_of(model: Path) -> str:
    """Sixteen plans that scale 8 features at each of 8 layers, other ones each."""
    policies, plans = [], []
    for plan in range(16):
        names = []
        for layer in LAYERS:
            features = ", ".join(f"{layer}/res/{8 * plan + index}" for index in range(8))
            names.append(f"p{plan}l{layer}")
            policies.append(f"  {names[-1]}: {{on: [{features}], do: scale, factor: 0.5}}")
        plans.append(f"  p{plan}: [{', '.join(names)}]")
    dictionaries = ROOT / "examples" / "smollm2" / "dictionaries"
    return "\n".join([
        "weir: 1", f"model: {{program: {model}}}", "dictionaries:",
        f"  sae: {{format: sae_lens, path: {dictionaries}/{{site}}.{{layer}}, sites: [res], layers: 9..16}}",
        "policies:", *policies, "plans:", *plans, ""])


def measure(model: str, folder: str, rounds: int, tokens: int) -> dict[str, list[float]]:
    """In the serving environment."""
    import time

    from vllm import LLM, SamplingParams

    llm = LLM(model, dtype="bfloat16", max_model_len=256, max_num_seqs=16, enforce_eager=True, enable_prefix_caching=False,
              skip_tokenizer_init=True, additional_config={"weir": {"folder": folder}})
    runner = llm.llm_engine.engine_core.engine_core.model_executor.driver_worker.worker.model_runner
    layers, runtime = runner.model.model.layers, runner.weir
    wrapped = {layer: layers[layer].forward for layer in LAYERS}
    prompts = [{"prompt_token_ids": [(7 * row + 3 * index) % 40000 + 100 for index in range(32)]} for row in range(16)]

    def run(way: str) -> float:
        runner.weir = None if way == "off" else runtime
        for layer, forward in wrapped.items():
            layers[layer].__dict__.pop("forward", None)
            if way != "off":
                layers[layer].forward = forward
        extra = [{"one": {"weir_plan": "p0"}, "sixteen": {"weir_plan": f"p{row}"}}.get(way) for row in range(16)]
        start = time.process_time()
        llm.generate(prompts, [SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, extra_args=each,
                                              detokenize=False) for each in extra], use_tqdm=False)
        return 16 * tokens / (time.process_time() - start)

    ways = ["off", "idle", "one", "sixteen"]
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for way in ways:
        run(way)
    for turn in range(rounds):
        for way in ways[turn % 4:] + ways[:turn % 4]:
            rates[way].append(run(way))
    return rates


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="the model as vLLM loads it (examples/serve_demo.py writes SmolLM2's)")
    parser.add_argument("program", help="the same, exported in bf16; with --measure the built folder")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        rates = measure(arguments.folder, arguments.program, arguments.rounds, arguments.tokens)
        Path(arguments.measure).write_text(json.dumps(rates))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        spec, built, out = (Path(scratch) / name for name in ("spec.yaml", "steered", "rates.json"))
        spec.write_text(spec_of(Path(arguments.program).resolve()))
        weirc = Path(os.environ.get("WEIR_BUILD", ROOT / "build")) / "bin" / "weirc"
        subprocess.run([weirc, "build", spec, "-o", built], check=True)
        environment = dict(os.environ, PYTHONPATH=str(ROOT / "python"), VLLM_ENABLE_V1_MULTIPROCESSING="0",
                           VLLM_CPU_KVCACHE_SPACE="1", VLLM_CPU_OMP_THREADS_BIND="nobind", VLLM_NO_USAGE_STATS="1",
                           HF_HUB_OFFLINE="1", VLLM_LOGGING_LEVEL="WARNING", OMP_NUM_THREADS="1")
        subprocess.run([SERVING / "bin" / "python", __file__, arguments.folder, built, "--rounds", str(arguments.rounds),
                        "--tokens", str(arguments.tokens), "--measure", out], check=True, env=environment)
        rates = json.loads(out.read_text())
    print(f"off: {statistics.median(rates['off']):.1f} tokens for each second of the processor")
    for way, base in (("idle", "off"), ("one", "off"), ("sixteen", "off"), ("sixteen", "one")):
        low, middle, high = statistics.quantiles([a / b for a, b in zip(rates[way], rates[base])], n=4)
        print(f"{way} against {base}: {middle:.3f} ({low:.3f} to {high:.3f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
