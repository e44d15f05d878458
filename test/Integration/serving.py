# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the tests of serving share: the environment with vLLM, small models that it runs, and comparisons."""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import subprocess
import sys
from pathlib import Path

import families
import hooks
import numpy
import torch
from engines import ROOT, Built
from transformers import (
    AutoModelForCausalLM, Gemma2Config, Gemma3TextConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config)

POSITIONS = 300  # of prompt and answer together
TOLERANCE = 1e-4  # of log-probabilities, in f32

_common = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
               head_dim=32, vocab_size=families.VOCABULARY, max_position_embeddings=512, bos_token_id=1, eos_token_id=2,
               pad_token_id=0)
# vLLM's attention on the CPU wants heads of 32 numbers at least.
CONFIGS = {"llama": LlamaConfig(**_common),
           "mistral": MistralConfig(**_common, sliding_window=None),
           "qwen2": Qwen2Config(**{key: value for key, value in _common.items() if key != "head_dim"}),
           "qwen3": Qwen3Config(**_common),
           "gemma2": Gemma2Config(**_common, query_pre_attn_scalar=32, sliding_window=512),
           # Two kinds of layers: their windows have blocks of their own.
           "gemma3": Gemma3TextConfig(**_common, query_pre_attn_scalar=32, sliding_window=64,
                                      layer_types=["sliding_attention", "full_attention", "sliding_attention"])}


@functools.cache
def python() -> Path:
    """The interpreter of the serving environment: $WEIR_SERVING, or .venv-serving, which is made when it is first asked
    for (./bootstrap serving)."""
    folder = Path(os.environ.get("WEIR_SERVING", ROOT / ".venv-serving"))
    if "WEIR_SERVING" not in os.environ:
        done = subprocess.run([ROOT / "bootstrap", "serving"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder / "bin" / "python"


def environment(**more) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL"))} | {
        "PYTHONPATH": str(ROOT / "python"), "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "WARNING", "OMP_NUM_THREADS": "1"} | more


class _Warm:
    """A process that has imported vLLM (serving_warm.py), and forks for each script: the imports take longer than most
    engines of small models."""

    def __init__(self):
        self.spent = 0.0  # seconds of the processor, until it has ended and they are those of a child
        self._process = subprocess.Popen(
            [python(), Path(__file__).with_name("serving_warm.py")], env=environment(VLLM_ENABLE_V1_MULTIPROCESSING="0"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self.close)
        if clock := sys.modules.get("processor_time"):
            clock.others.append(lambda: self.spent)

    def run(self, script: Path, arguments: list, folder: Path, timeout: int) -> tuple[int, str]:
        said = folder / f"{script.stem}.said"
        print(json.dumps({"script": str(script), "arguments": [*map(str, arguments)], "said": str(said)}),
              file=self._process.stdin, flush=True)
        answered, _, _ = select.select([self._process.stdout], [], [], timeout)
        if not answered:
            self._process.kill()
        line = self._process.stdout.readline()
        text = said.read_text(errors="replace") if said.exists() else ""
        assert line, f"{script} did not come to its end in {timeout} s, or vLLM cannot be imported: {text[-4000:]}"
        code, self.spent = json.loads(line)
        return code, text

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self.spent = 0.0


_warm = functools.cache(_Warm)


def run_script(script: Path, *arguments, folder: Path, timeout: int = 900) -> tuple[int, str]:
    """The exit code of a script in the serving environment, and what it said. `folder` is for files."""
    return _warm().run(script, list(arguments), folder, timeout)


class Served:
    """A small model of a family: in transformers, as a folder that vLLM loads, and exported."""

    def __init__(self, family: str, folder: Path):
        from weir.export import cached

        self.family, self.folder = family, folder / "hf"
        torch.manual_seed(0)
        self.model = AutoModelForCausalLM.from_config(CONFIGS[family]).eval()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * (0.2 if parameter.dim() > 1 else 0.1))
        self.model.set_attn_implementation("eager")
        self.model.save_pretrained(self.folder)
        write_tokenizer(self.folder)
        self.archive = cached(self.model, name=f"served-{family}", max_batch=3, max_length=POSITIONS)
        self.kinds, self.sizes = hooks.sites_of(self.model.config), {}

        def measure(layer, kind, x):
            width, size = self.sizes.get(kind, (x.shape[-1], 0.0))
            self.sizes[kind] = width, max(size, x.square().mean().sqrt().item())
            return x

        wanted = [(layer, kind) for layer in range(3) for kind in (*self.kinds, "mlp_in")]
        ids = torch.randint(3, families.VOCABULARY, (4, 20), generator=torch.Generator().manual_seed(5))
        with torch.no_grad(), hooks.hooked(self.model, self.model.config, wanted, measure):
            self.model(ids, use_cache=False)


def write_tokenizer(folder: Path):
    """A word a token: `w5` is token 5."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({f"w{index}": index for index in range(families.VOCABULARY)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "w0", "eos_token": "w2", "bos_token": "w1",
         "chat_template": "{% for message in messages %}{{ message.content }} {% endfor %}"}))


def run_job(job: dict, folder: Path, timeout: int = 900) -> list:
    """The results of a job (see serving_job.py)."""
    return run_jobs([job], folder, timeout)[0]


def run_jobs(jobs: list[dict], folder: Path, timeout: int = 900, runner: str = "v1") -> list[list]:
    """Of several, one engine after the other in one process, on one of vLLM's two model runners."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(json.dumps(jobs))
    script, arguments = Path(__file__).with_name("serving_job.py"), (folder / "job.json", folder / "out.json")
    if runner == "v1":
        code, said = run_script(script, *arguments, folder=folder, timeout=timeout)
    else:  # chosen before vLLM is imported
        done = subprocess.run([python(), script, *arguments], env=environment(WEIR_SERVING_RUNNER=runner), capture_output=True,
                              text=True, timeout=timeout)
        code, said = done.returncode, done.stderr
    assert code == 0 and (folder / "out.json").exists(), said[-4000:]
    out = json.loads((folder / "out.json").read_text())
    assert "failed" not in out, out["failed"]
    return out["results"]


def with_kernels(program: Built, model: Path) -> Path:
    """The folder of the same spec on kernels, which a server on the CPU calls."""
    return Built(program.spec, model, program.folder.with_name("kernels"), lower="kernel").folder


class Answers:
    """What a program gives for what a server answered: every token again, in one pass over prompt and answer."""

    def __init__(self, programs: dict[str, Built], references: dict[str, hooks.Reference]):
        self.programs, self.references = programs, references
        self.compared = self.worst = 0

    def check(self, request: dict, result: dict, name: str, plan: str | None, knobs: dict[str, float]):
        """Greedy tokens are the best ones, and their log-probabilities equal. Tokens from where rounding decides about a
        branch on are not compared (see hooks.py)."""
        ids, length = [*request["ids"], *result["ids"]], len(request["ids"])
        from specs import Batch

        logits, _ = self.programs[name].run_in_python(Batch([ids[:-1]], [plan], [length], [knobs]))
        doubtful = len(ids)
        if plan is not None:
            doubtful = self.references[name].run(ids[:-1], plan, length, knobs).doubtful
        want = torch.log_softmax(logits[0].float(), -1)
        for index, (token, logprob) in enumerate(zip(result["ids"], result["logprobs"])):
            position = length - 1 + index
            if position >= doubtful:
                return
            distance = abs(want[position, token].item() - logprob)
            self.worst = max(self.worst, distance)
            assert distance <= TOLERANCE, f"token {index} of plan {plan} of {name} is {distance:.2e} off"
            assert want[position].max().item() - want[position, token].item() <= TOLERANCE, f"token {index} is not the best"
            self.compared += 1


def random_ids(random: numpy.random.Generator, length: int) -> list[int]:
    """Half of them are those that markers of random specs look for."""
    return [int(random.integers(3, 7) if random.random() < 0.5 else random.integers(3, families.VOCABULARY))
            for _ in range(length)]
