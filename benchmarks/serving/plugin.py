# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What steering costs on vLLM (CPU, SmolLM2, 16 requests at a time): each way against vLLM without the plugin.

usage: .venv/bin/python benchmarks/serving/plugin.py MODEL_FOLDER MODEL.pt2 [--rounds 8] [--tokens 24]

One process has all of it, so that nothing is compared across processes: the forwards of an engine's layers are put back
for `off`, and ways take turns, round by round, each in another order. Rates are tokens for each second of the processor;
what is printed is the median over rounds of a way's rate against that of its base in the same round, its quartiles, and
the best round of the one against the best of the other.

  off       no operator in the model
  idle      operators at 8 layers, no request with a plan
  one       all requests under one plan, which reads and edits 8 features at each of 8 layers
  sixteen   each request under a plan of its own, of the same form
  plain     another engine, without the plugin
  folded    a third one, whose checkpoint has additions at 8 layers in its weights, without the plugin
  hf        transformers, 16 rows in one batch
  hooks     the same with forward hooks that do what `one` does, on the same rows of the dictionaries
  sae       the same with hooks that encode and decode all of a dictionary, with its error
  ie        interp-engine's eager backend, one request at a time (it has no batches), if it is installed
  ie add    the same, which adds a vector at each of 8 layers
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
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
        "weir: 1", f"model: {{program: '{model}'}}", "dictionaries:",
        f"  sae: {{format: sae_lens, path: '{dictionaries}/{{site}}.{{layer}}', sites: [res], layers: 9..16}}",
        "policies:", *policies, "plans:", *plans, ""])


def additions(model: Path) -> str:
    """A plan that adds at 8 layers, which folds into weights."""
    return spec_of(model).split("policies:")[0] + "\n".join([
        "policies:", *(f"  l{layer}: {{on: [{layer}/res/7], do: add, strength: 1}}" for layer in LAYERS), "plans:",
        f"  all: [{', '.join(f'l{layer}' for layer in LAYERS)}]", ""])


PROMPTS = [[(7 * row + 3 * index) % 40000 + 100 for index in range(32)] for row in range(16)]


def engines(model: str, folder: str, folded: str, tokens: int) -> dict:
    """Ways to answer PROMPTS on vLLM: functions without arguments."""
    from vllm import LLM, SamplingParams

    def start(path: str, **more):
        return LLM(path, dtype="bfloat16", max_model_len=256, max_num_seqs=16, enforce_eager=True,
                   enable_prefix_caching=False, skip_tokenizer_init=True, **more)

    llm = start(model, additional_config={"weir": {"folder": folder}})
    runner = llm.llm_engine.engine_core.engine_core.model_executor.driver_worker.worker.model_runner
    print("sites that kernels do:", ", ".join(runner.weir.kernel_sites()) or "none")
    layers, runtime = runner.model.model.layers, runner.weir
    wrapped = {layer: layers[layer].forward for layer in LAYERS}
    plain, other = start(model), start(folded)

    def generate(engine, extra: list):
        engine.generate([{"prompt_token_ids": ids} for ids in PROMPTS],
                        [SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, extra_args=each, detokenize=False)
                         for each in extra], use_tqdm=False)

    def plugin(way: str):
        runner.weir = None if way == "off" else runtime
        for layer, forward in wrapped.items():
            layers[layer].__dict__.pop("forward", None)
            if way != "off":
                layers[layer].forward = forward
        generate(llm, [{"one": {"weir_plan": "p0"}, "sixteen": {"weir_plan": f"p{row}"}}.get(way) for row in range(16)])

    return {way: functools.partial(plugin, way) for way in ("off", "idle", "one", "sixteen")} | {
        "plain": lambda: generate(plain, [None] * 16), "folded": lambda: generate(other, [None] * 16)}


def hooked(model: str, tokens: int) -> dict:
    """With forward hooks on transformers."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    hf = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).eval()
    ids = torch.tensor(PROMPTS)

    def hook(layer: int, count: int | None):
        sae = {name: values.float() for name, values in load_file(
            ROOT / "examples" / "smollm2" / "dictionaries" / f"res.{layer}" / "sae_weights.safetensors").items()}
        encoder, bias, decoder = sae["W_enc"][:, :count].contiguous(), sae["b_enc"][:count], sae["W_dec"][:count].contiguous()
        threshold, center = sae["threshold"][:count], sae["b_dec"]

        def run(module, inputs, output):
            hidden = output[0] if isinstance(output, tuple) else output
            x = hidden.float()
            z = (x - center) @ encoder + bias
            f = torch.where(z > threshold, z, 0.0).relu()
            if count is None:
                edited = f.clone()
                edited[..., :8] *= 0.5
                after = edited @ decoder + center + (x - (f @ decoder + center))
            else:
                after = x - 0.5 * f @ decoder
            after = after.to(hidden.dtype)
            return (after, *output[1:]) if isinstance(output, tuple) else after
        return run

    def run(count: int | None, steered: bool):
        handles = [hf.model.layers[layer].register_forward_hook(hooks[layer, count]) for layer in LAYERS] if steered else []
        with torch.no_grad():
            hf.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, min_new_tokens=tokens,
                        do_sample=False)
        for handle in handles:
            handle.remove()

    hooks = {(layer, count): hook(layer, count) for layer in LAYERS for count in (8, None)}
    return {"hf": functools.partial(run, 8, False), "hooks": functools.partial(run, 8, True),
            "sae": functools.partial(run, None, True)}


def interp_engine(model: str, tokens: int) -> dict:
    """Nothing where interp-engine is not installed."""
    try:
        import interp_engine
    except ImportError:
        return {}
    import torch

    engine = interp_engine.load_model(model, backend="eager", dtype="bfloat16")
    vectors = [interp_engine.SteeringSpec.at(f"resid_post.{layer}", interp_engine.AddSpec(torch.ones(576), 0.01))
               for layer in LAYERS]

    def run(steering: list):
        for ids in PROMPTS:
            with interp_engine.steer(engine, steering) if steering else contextlib.nullcontext():
                for _ in interp_engine.generate_stream(engine, torch.tensor([ids]), max_tokens=tokens, temperature=0,
                                                       stop_at_eos=False):
                    pass

    return {"ie": functools.partial(run, []), "ie add": functools.partial(run, vectors)}


def measure(model: str, folder: str, folded: str, rounds: int, tokens: int, only: list[str] | None) -> dict[str, list[float]]:
    """In the serving environment."""
    ways = engines(model, folder, folded, tokens) | hooked(model, tokens) | interp_engine(model, tokens)
    ways = {name: way for name, way in ways.items() if only is None or name in only}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    names = list(ways)
    for turn in range(-1, rounds):
        for index in range(len(names)):
            way = names[(turn + index) % len(names)]
            start = time.process_time()
            ways[way]()
            if turn >= 0:  # the first one warms up
                rates[way].append(16 * tokens / (time.process_time() - start))
    return rates


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="the model as vLLM loads it (examples/serve_demo.py writes SmolLM2's)")
    parser.add_argument("program", help="the same, exported in bf16; with --measure the built folder")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--ways", nargs="+", help="these alone")
    parser.add_argument("--path", action="append", default=[],
                        help="where more packages are: interp-engine, of pip install --no-deps --target PATH interp-engine einops")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        folded, out = arguments.measure
        rates = measure(arguments.folder, arguments.program, folded, arguments.rounds, arguments.tokens, arguments.ways)
        Path(out).write_text(json.dumps(rates))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        spec, adds, built, folded, out = (Path(scratch) / name for name in (
            "spec.yaml", "adds.yaml", "steered", "folded", "rates.json"))
        program, build = Path(arguments.program).resolve(), Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
        spec.write_text(spec_of(program))
        adds.write_text(additions(program))
        weirc = build / "bin" / "weirc"
        subprocess.run([weirc, "build", spec, "--lower", "kernel", "-o", built], check=True)
        subprocess.run([weirc, "fold", adds, "--to", "checkpoint", "--source", arguments.folder, "-o", folded], check=True)
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT / "python"), *arguments.path]),
                           VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_CPU_KVCACHE_SPACE="1",
                           VLLM_CPU_OMP_THREADS_BIND="nobind", VLLM_NO_USAGE_STATS="1", HF_HUB_OFFLINE="1", VLLM_LOGGING_LEVEL="WARNING", OMP_NUM_THREADS="1", WEIR_BUILD=str(build))
        subprocess.run([SERVING / "bin" / "python", __file__, arguments.folder, built, "--rounds", str(arguments.rounds),
                        "--tokens", str(arguments.tokens), *(["--ways", *arguments.ways] if arguments.ways else []),
                        "--measure", folded, out], check=True, env=environment)
        rates = json.loads(out.read_text())
    for way in ("off", "hf", "ie"):
        if way in rates:
            print(f"{way}: {statistics.median(rates[way]):.1f} tokens for each second of the processor")
    for way, base in (("idle", "off"), ("idle", "plain"), ("one", "off"), ("sixteen", "off"), ("sixteen", "one"),
                      ("folded", "plain"), ("hooks", "hf"), ("sae", "hf"), ("one", "hooks"), ("one", "sae"),
                      ("ie add", "ie")):
        if way not in rates or base not in rates:
            continue
        low, middle, high = statistics.quantiles([a / b for a, b in zip(rates[way], rates[base])], n=4)
        print(f"{way} against {base}: {middle:.3f} ({low:.3f} to {high:.3f}), best against best "
              f"{max(rates[way]) / max(rates[base]):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
