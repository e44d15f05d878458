# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir-vllm on the second model runner of vLLM, which is what a GPU has: its own classes run here on the CPU, with Triton's
kernels interpreted, and are told the same as the first runner for the same requests."""

from __future__ import annotations

import subprocess

import hooks
import numpy
import pytest
import serving
import specs
from serving import random_ids
from test_serving import ENGINE, PLANS, SPEC, build, check_all, served, turns  # noqa: F401 (fixtures)

# Little memory and few rows: requests are preempted and come back, and rows go to others.
NARROW = ENGINE | {"enforce_eager": True, "max_num_seqs": 4, "num_gpu_blocks_override": 11}
WITHOUT_MARKERS = tuple(plan for plan in PLANS if plan != "behind")


@pytest.fixture(scope="module")
def no_markers(served, tmp_path_factory):  # noqa: F811
    """(reference, program) of SPEC without what looks for tokens, which steps that are scheduled ahead don't take."""
    data = hooks.read(SPEC)
    del data["policies"]["behind"], data["plans"]["behind"]
    reference, program = build(specs.Case("llama", 3, data, ()), served, tmp_path_factory.mktemp("ahead"))
    program.served = serving.with_kernels(program, served.archive)
    return reference, program


def arriving(random, count: int, within: int) -> list[dict]:
    requests = []
    for index in range(count):
        plan = None if random.random() < 0.2 else PLANS[random.integers(len(PLANS))]
        knob = float(random.choice([0.5, 2])) if plan == "late" else 1.0
        extra = plan and {"weir_plan": plan} | ({"weir_knobs": f"faith={knob}"} if plan == "late" else {})
        requests.append({"ids": random_ids(random, int(random.integers(2, 100))), "tokens": int(random.integers(10, 40)),
                         "extra": extra, "of": ["", plan, {"faith": knob}], "at": int(random.integers(0, within)),
                         "cancel": int(random.integers(1, 20)) if index % 8 == 7 else None})
    return requests


def test_both_runners_are_told_the_same_and_answer_it(turns, no_markers, served, tmp_path):  # noqa: F811
    """Mixed plans, prompts in chunks, requests that are preempted and resumed, and rows that others had before: the buffers
    that operators read hold the same in each step, also where they are read by graphs that were captured before. Then on
    kernels, with blocks that are known, a conversation, compiled, and with steps that are scheduled ahead."""
    random = numpy.random.default_rng(23)
    requests = arriving(random, 24, 120)
    base = {"model": str(served.folder), "weir": {"folder": str(turns[1].served)}}
    steps = {"steps": [{"arrive": requests}, {"told": True}, {"counts": True}], "engine": NARROW}
    first, = serving.run_jobs([base | steps | {"like_gpu": "eager"}], tmp_path / "v1")

    again = [{"ids": random_ids(random, 75), "tokens": 5, "extra": {"weir_plan": plan}, "of": ["", plan, {}]} for plan in PLANS]
    conversation = {"ids": random_ids(random, 70), "more": [random_ids(random, 10)], "tokens": 40, "extra": {"weir_plan": "late"}}
    on_kernels = base | {"engine": ENGINE | {"enforce_eager": True}, "steps": [
        {"run": again}, {"run": again}, {"turns": conversation}, {"counts": True}, {"kernels": True},
        {"refuse": {"weir_plan": "lat"}}]}
    ahead = [each for each in arriving(random, 16, 60) if each["of"][1] != "behind"]
    compiled = base | {"weir": {"folder": str(no_markers[1].served)}, "steps": [{"arrive": ahead}],
                       "engine": ENGINE | {"async_scheduling": True, "num_gpu_blocks_override": 18}}
    second, kernels, scheduled_ahead = serving.run_jobs([base | steps | {"like_gpu": "graphs"}, on_kernels, compiled],
                                                        tmp_path / "v2", runner="v2")

    (one, told_one, counts_one), (two, told_two, counts_two) = first, second
    assert two["preempted"] == one["preempted"] > 0 and len(told_one) > 100
    for number, (left, right) in enumerate(zip(told_one, told_two, strict=True)):
        assert left == right, number
    assert counts_one == counts_two and all(counts_two.values())
    assert max(tokens for tokens, _ in told_two) == 64 and any(row[5] for _, rows in told_two for row in rows)
    for left, right in zip(one["answers"], two["answers"], strict=True):
        assert (left and left["ids"]) == (right and right["ids"])
    answers = check_all({"": turns}, requests, two["answers"])
    assert answers.compared >= 300 and sum(result is None for result in two["answers"]) >= 2

    cold, warm, turned, counts, sites, refused = kernels
    check_all({"": turns}, again, cold)
    check_all({"": turns}, again, warm)
    assert [result["cached"] for result in warm] == [64] * len(again)
    assert sites == ["0/mlp", "0/res"] and all(counts.values()) and "there is no plan 'lat'" in refused["said"]
    answers = serving.Answers({"": turns[1]}, {"": turns[0]})
    for request, result in turned:
        answers.check(request, result, "", "late", {})
    # What the plan edited as an answer isn't found as a prompt.
    assert answers.compared == 80 and turned[1][1]["cached"] == 64
    assert check_all({"": no_markers}, ahead, scheduled_ahead[0]["answers"]).compared >= 200


MISSING = [
    ("del states.resolve_model_state_cls", "has no vllm.v1.worker.gpu.model_states.resolve_model_state_cls"),
    ("del interface.ModelState.remove_request", "has no vllm.v1.worker.gpu.model_states.interface.ModelState.remove_request"),
    ("interface.ModelState.prepare_inputs = lambda self, batch: {}", "has no argument 'input_batch'"),
    ("del batch.InputBatch.__dataclass_fields__['num_computed_tokens_np']", "InputBatch of this vLLM has no 'num_computed_tokens_np'"),
    ("", "told of all"),
    ("state.weir_requests.clear()", "runs the request a, of which it did not tell"),
    ("state.weir_requests['a'] = Requested(1, None, 1)", "runs the request a, of which it did not tell"),
    ("step.req_ids = ['dummy']; step.states.req_id_to_index.clear()", "a dummy run"),
]


def test_hooks_that_are_missing_or_not_called():
    """A server does not start, or a step fails: nothing runs unsteered in silence."""
    script = """
import importlib
from types import SimpleNamespace
def change(text):
    module = lambda name: importlib.import_module("vllm.v1.worker.gpu." + name)
    from weir_vllm import patches
    from weir_vllm.model_state import Requested, scheduled_of, steered
    states, interface, batch = module("model_states"), module("model_states.interface"), module("input_batch")
    kept = dict(vars(states)), dict(vars(interface.ModelState)), dict(batch.InputBatch.__dataclass_fields__)
    state = steered(type("State", (), {"add_request": lambda *given: None}))()
    state.add_request(0, SimpleNamespace(req_id="a", sampling_params=None, prompt_len=1))
    step = SimpleNamespace(req_ids=["a"], idx_mapping_np=[0], num_scheduled_tokens=[1], num_computed_tokens_np=[0],
                           states=SimpleNamespace(req_id_to_index={"a": 0}))
    try:
        exec(text)
        patches.apply_v2()
        found = scheduled_of(state.weir_requests, step, step.states)
        return "a dummy run" if found is None else "told of all"
    except RuntimeError as error:
        return str(error)
    finally:
        states.__dict__.update(kept[0])
        for name, value in kept[1].items():
            if name in ("remove_request", "prepare_inputs"):
                setattr(interface.ModelState, name, value)
        batch.InputBatch.__dataclass_fields__.update(kept[2])
"""
    script += "".join(f"print(change({text!r}))\n" for text, _ in MISSING)
    done = subprocess.run([serving.python(), "-c", script], env=serving.environment(), capture_output=True, text=True,
                          timeout=300)
    said = done.stdout.strip().split("\n")
    assert len(said) == len(MISSING), done.stdout + done.stderr[-2000:]
    for (_, wanted), text in zip(MISSING, said, strict=True):
        assert wanted in text, (wanted, text)
