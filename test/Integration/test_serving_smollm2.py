# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir-vllm on SmolLM2 with its real dictionaries, against the built program. Minutes of two cores and a gigabyte of disk,
so it is collected where WEIR_SERVING_SMOLLM2 is set: to `eager`, or `compiled` (see conftest.py)."""

from __future__ import annotations

import os
from pathlib import Path

import hooks
import hypothesis
import numpy
import pytest
import serving
import specs
from engines import Built
from serving import Answers
from test_equivalence_smollm2 import DICTIONARIES, EVERYTHING, pools, smollm2  # noqa: F401
from test_serving import SERVED_KINDS, check_all, request_of
from transformers import LlamaConfig, LlamaForCausalLM

HOW = os.environ.get("WEIR_SERVING_SMOLLM2")
ENGINE = {"max_model_len": 256, "max_num_seqs": 8, "max_num_batched_tokens": 64, "enable_chunked_prefill": True, "block_size": 32,
          "enforce_eager": HOW == "eager", "async_scheduling": False}


@pytest.fixture(scope="module")
def model(smollm2, tmp_path_factory) -> Path:  # noqa: F811
    """The folder that vLLM loads."""
    settings = {key: value for key, value in smollm2.model.config.to_dict().items() if key not in ("quantization_config", "dtype")}
    model = LlamaForCausalLM(LlamaConfig(**settings))
    model.load_state_dict(smollm2.model.state_dict())
    folder = tmp_path_factory.mktemp("smollm2") / "hf"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def found(smollm2, pools, tmp_path_factory):  # noqa: F811
    """Every action, on kernels, and two random specs; by name (reference, program)."""
    folder = tmp_path_factory.mktemp("specs")
    spec = folder / "spec.yaml"
    spec.write_text(EVERYTHING)
    program = Built(spec, smollm2.archive, folder / "steered")
    program.served = serving.with_kernels(program, smollm2.archive)
    made = {"all": (hooks.Reference(spec, smollm2.model), program)}
    shape = specs.Shape("smollm2", ("att", "mlp", "res"), layers=30, collections=DICTIONARIES, pools=pools, strength=15.0, rows=3,
                        longest=24, texts=tuple(smollm2.texts))

    @hypothesis.settings(max_examples=12, phases=[hypothesis.Phase.generate])
    @hypothesis.given(specs.cases(shape))
    def draw(case):
        if len(made) == 3 or any(policy["do"] == "substitute" for policy in case.data["policies"].values()):
            return
        path = case.write(folder / f"s{len(made)}", {})
        spec = hooks.Spec(path, smollm2.model)
        path.write_text(specs.text({**spec.data, "plans": specs.without_conflicts(spec)}))
        program = Built(path, smollm2.archive, path.parent / "program")
        if program.plans and program.manifest["sites"] and SERVED_KINDS.issuperset(
                site["site"] for site in program.manifest["sites"]):
            program.served = program.folder
            made[f"s{len(made)}"] = hooks.Reference(path, smollm2.model), program

    draw()
    assert len(made) == 3
    return made


def test_what_vllm_answers_on_smollm2(smollm2, model, found, tmp_path):  # noqa: F811
    """Mixed plans in one batch, long prompts in chunks of 64, all once more from the prefix cache, conversations of three
    turns, and two hundred requests at random times, some of which are cancelled."""
    random = numpy.random.default_rng(5)
    texts = [*smollm2.texts, sum(smollm2.texts, [])]
    assert len(texts[-1]) > 64
    requests = [request_of(found, random, ids, 10) for ids in texts for _ in range(5)]
    talks = [{"ids": texts[index], "more": [texts[1][:9], texts[2][:9]], "tokens": 40, "extra": {"weir_plan": f"all/{plan}"}}
             for index, plan in enumerate(("first", "second", "third"))]
    coming = [request_of(found, random, texts[random.integers(4)], int(random.integers(1, 6))) | {
        "at": int(random.integers(0, 300)), "cancel": 3 if index % 20 == 19 else None} for index in range(200)]
    folders = {name: str(program.served) for name, (_, program) in found.items()}
    cold, warm, *turns, come, counts, kernels = serving.run_job(
        {"model": str(model), "engine": ENGINE, "weir": {"folders": folders, "ignore_records": True},
         "steps": [{"run": requests}, {"run": requests}, *({"turns": talk} for talk in talks), {"arrive": coming}, {"counts": True},
                   {"kernels": True}]}, tmp_path / "job", timeout=3000)
    assert any(result["cached"] >= 64 for result in warm)
    worst, compared = [], 0
    for asked, results in ((requests, cold), (requests, warm), (coming, come["answers"])):
        answers = check_all(found, asked, results)
        worst.append(answers.worst)
        compared += answers.compared
    reference, program = found["all"]
    answers = Answers({"all": program}, {"all": reference})
    for plan, talk in zip(("first", "second", "third"), turns):
        for request, result in talk:
            answers.check(request, result, "all", plan, {})
    print(f"{compared + answers.compared} tokens, the worst {max(*worst, answers.worst):.1e} off; kernels at {kernels}; edited: {counts}")
    assert compared >= 700 and answers.compared >= 200
    assert all(counts[site] for site in ("11/res", "13/res", "15/res")) and {"14/res", "15/res"}.issubset(kernels)
