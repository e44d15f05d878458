# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir-vllm on SmolLM2 with its real dictionaries, against the built program. Minutes of two cores and a gigabyte of disk,
so it is collected where WEIR_SERVING_SMOLLM2 is set: to `eager`, or `compiled` (see conftest.py)."""

from __future__ import annotations

import os

import hooks
import serving
from engines import Built
from serving import Answers
from test_equivalence_smollm2 import EVERYTHING, smollm2  # noqa: F401
from transformers import LlamaConfig, LlamaForCausalLM

HOW = os.environ.get("WEIR_SERVING_SMOLLM2")


def test_every_action_on_smollm2(smollm2, tmp_path):  # noqa: F811
    settings = {key: value for key, value in smollm2.model.config.to_dict().items() if key not in ("quantization_config", "dtype")}
    model = LlamaForCausalLM(LlamaConfig(**settings))
    model.load_state_dict(smollm2.model.state_dict())
    model.save_pretrained(tmp_path / "hf")
    spec = tmp_path / "spec.yaml"
    spec.write_text(EVERYTHING)
    program = Built(spec, smollm2.archive, tmp_path / "steered")
    requests = []
    for text in smollm2.texts:
        for plan, knobs in ((None, {}), ("first", {}), ("first", {"mood": 1.5}), ("second", {}), ("third", {"mood": -0.5})):
            extra = plan and {"weir_plan": plan, **({"weir_knobs": f"mood={knobs['mood']}"} if knobs else {})}
            requests.append({"ids": text, "tokens": 12, "extra": extra, "of": (plan, knobs)})
    engine = {"max_model_len": 256, "max_num_seqs": 8, "max_num_batched_tokens": 64, "enable_chunked_prefill": True,
              "block_size": 32, "enforce_eager": HOW == "eager"}
    talk = {"ids": smollm2.texts[0], "more": [smollm2.texts[1][:9], smollm2.texts[2][:9]], "tokens": 40,
            "extra": {"weir_plan": "first"}}
    cold, warm, turns, counts = serving.run_job(
        {"model": str(tmp_path / "hf"), "engine": engine, "weir": {"folder": str(program.folder), "ignore_records": True},
         "steps": [{"run": requests}, {"run": requests}, {"turns": talk}, {"counts": True}]}, tmp_path / "job", timeout=1800)
    answers = Answers({"": program}, {"": hooks.Reference(spec, smollm2.model)})
    for request, *results in zip(requests, cold, warm, strict=True):
        for result in results:
            answers.check(request, result, "", *request["of"])
    for request, result in turns:
        answers.check(request, result, "", "first", {})
    print(f"{answers.compared} tokens, the worst {answers.worst:.1e} off; edited: {counts}")
    assert answers.compared >= 300 and all(counts[site] for site in ("11/res", "13/res", "15/res"))
