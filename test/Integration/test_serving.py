# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir-vllm: what vLLM answers under random plans against the programs that were built from the same specs."""

from __future__ import annotations

from pathlib import Path

import hooks
import hypothesis
import numpy
import pytest
import serving
import specs
from conftest import EFFORT
from engines import Built
from serving import Answers, Served, random_ids
from test_equivalence_tiny import prepared
from weir.sites import SiteTable

# Chunks of 64 tokens, blocks of 32 of them, and prompts of several of both.
ENGINE = {"max_model_len": serving.POSITIONS, "max_num_seqs": 8, "block_size": 32, "async_scheduling": False,
          "max_num_batched_tokens": 64, "enable_chunked_prefill": True, "enable_prefix_caching": True}

SPEC = """\
weir: 1
model: {program: served.pt2}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [res, mlp, att], layers: 0..2}
knobs:
  faith: {default: 1, range: [0, 4]}
policies:
  late: {on: [1/res/4], do: add, strength: 8, tokens: generated, times: faith}
  early: {on: [0/mlp/4], do: add, strength: 8, tokens: prompt}
  always: {on: [0/res/5], do: add, strength: 6}
  ramped: {on: [1/res/6], do: add, strength: 6, tokens: {part: generated, ramp: {over: 64}}}
  behind: {on: [0/att/2], do: add, strength: 6, tokens: {after: 5}}
plans:
  late: [late]
  early: [early]
  always: [always]
  ramped: [ramped]
  behind: [behind]
  same: [always]
"""
SERVED_KINDS = {"res", "mlp", "att", "mid", "head", "mlp_in"}
PLANS = ("late", "early", "always", "ramped", "behind")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return Served("llama", tmp_path_factory.mktemp("served"))


def build(case: specs.Case, served: Served, folder: Path) -> tuple[hooks.Reference, Built]:
    path = case.write(folder, served.sizes)
    return hooks.Reference(path, served.model), Built(path, served.archive, folder / "steered")


@pytest.fixture(scope="module")
def turns(served, tmp_path_factory):
    """(reference, program) of SPEC; what is served are its kernels."""
    reference, program = build(specs.Case("llama", 3, hooks.read(SPEC), ()), served, tmp_path_factory.mktemp("turns"))
    program.served = serving.with_kernels(program, served.archive)
    return reference, program


def random_specs(served: Served, folder: Path, count: int) -> dict[str, tuple[hooks.Reference, Built]]:
    """Built from random specs; those that no server takes (layers that are replaced, neurons) are drawn again. `served` of
    a program is the folder that a server gets: on kernels, but for the first."""
    found = {}

    @hypothesis.settings(max_examples=3 * count, phases=[hypothesis.Phase.generate])
    @hypothesis.given(specs.cases(specs.Shape(served.family, tuple(served.kinds))))
    def draw(case):
        if len(found) == count or any(policy["do"] == "substitute" for policy in case.data["policies"].values()):
            return
        reference, program = prepared(case, served, folder / f"s{len(found)}")
        if any(site["site"] not in SERVED_KINDS for site in program.manifest["sites"]):
            return
        if program.plans and program.manifest["sites"]:
            program.served = serving.with_kernels(program, served.archive) if found else program.folder
            found[f"s{len(found)}"] = reference, program

    draw()
    assert len(found) >= max(1, count * 3 // 4), f"{served.family}: only {len(found)} of {count} specs"
    return found


def request_of(found, random, ids: list[int], tokens: int) -> dict:
    """Under a random plan, one in five under none, with knobs of its own."""
    name = sorted(found)[random.integers(len(found))]
    _, program = found[name]
    plan, knobs, extra = None, {}, None
    if random.random() >= 0.2:
        plan = program.plans[random.integers(len(program.plans))]
        table = SiteTable.open(program.folder)
        used = [knob for knob in table.knobs if knob.name in table.plan(plan).knobs]
        knobs = {knob.name: float(numpy.clip(random.choice([-2, -1, 0, 0.5, 2]), knob.min, knob.max))
                 for knob in used if random.random() < 0.5}
        extra = {"weir_plan": f"{name}/{plan}"}
        if knobs:
            extra["weir_knobs"] = ",".join(f"{knob}={value}" for knob, value in knobs.items())
    return {"ids": ids, "tokens": tokens, "extra": extra, "of": [name, plan, knobs]}


def requests_of(found, random, count: int) -> list[dict]:
    return [request_of(found, random, random_ids(random, int(random.integers(2, 100))), int(random.integers(2, 12)))
            for _ in range(count)]


def check_all(found, requests, results) -> Answers:
    answers = Answers({name: program for name, (_, program) in found.items()},
                      {name: reference for name, (reference, _) in found.items()})
    for request, result in zip(requests, results, strict=True):
        if result is not None:
            answers.check(request, result, *request["of"])
    return answers


FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"]
# A plan at each place that families have elsewhere.
PLACES = SPEC.replace("sites: [res, mlp, att]", "sites: [res, mlp, att, mid]").replace("plans:\n", """\
  middle: {on: [1/mid/3], do: set, value: 2}
  added: {on: [2/att/1], do: project_out}
plans:
  middle: [middle]
  added: [added]
""")


def test_specs_of_every_family_in_one_batch(tmp_path, served):
    """Mixed plans of several folders, fixed and random, prompts in chunks, and once more when their blocks are known."""
    random = numpy.random.default_rng(7)
    found, requests, jobs = {}, {}, []
    for family in FAMILIES:
        model = served if family == "llama" else Served(family, tmp_path / family)
        specs_of = found[family] = random_specs(model, tmp_path / family / "specs", (4 if family == "llama" else 1) * EFFORT)
        reference, program = build(specs.Case(family, 3, hooks.read(PLACES), ()), model, tmp_path / family / "places")
        program.served = serving.with_kernels(program, model.archive)
        specs_of["places"] = reference, program
        asked = requests[family] = requests_of(specs_of, random, 20 if family == "llama" else 6) + [
            {"ids": random_ids(random, 40), "tokens": 6, "extra": {"weir_plan": f"places/{plan}"}, "of": ["places", plan, {}]}
            for plan in program.plans]
        jobs.append({"model": str(model.folder), "engine": ENGINE | {"enforce_eager": True},
                     "weir": {"folders": {name: str(program.served) for name, (_, program) in specs_of.items()},
                              "ignore_records": True},
                     "steps": [{"run": asked}, {"run": asked}, {"counts": True}, {"kernels": True}]})
    for family, (cold, warm, counts, kernels) in zip(FAMILIES, serving.run_jobs(jobs, tmp_path / "job")):
        answers = check_all(found[family], requests[family], cold)
        check_all(found[family], requests[family], warm)
        assert answers.compared >= sum(request["tokens"] for request in requests[family]) / 2
        assert any(result["cached"] for result in warm)
        assert all(counts[site] for site in ("0/res", "1/res", "0/mlp", "0/att", "2/att", "1/mid")), (family, counts)
        assert {"0/res", "0/mlp", "1/mid", "2/att"}.issubset(kernels), (family, kernels)


def test_turns_share_only_what_was_edited_alike(turns, served, tmp_path):
    """Conversations of three turns under plans that edit the prompt, the answer, or a share of it. Without the keys a
    later turn finds blocks that were edited otherwise: the test would not see that if tokens alone were compared."""
    reference, program = turns
    random = numpy.random.default_rng(3)
    prompt = random_ids(random, 70)
    more = [random_ids(random, 10), random_ids(random, 10)]
    conversations = [{"ids": prompt, "more": more, "tokens": 50, "extra": {"weir_plan": plan}} for plan in PLANS]
    plain = {"ids": prompt, "more": more, "tokens": 50, "extra": None}
    same = {"ids": prompt, "tokens": 2, "extra": {"weir_plan": "same"}}
    other_knob = {"ids": prompt, "tokens": 2, "extra": {"weir_plan": "late", "weir_knobs": "faith=3"}}
    job = {"model": str(served.folder), "engine": ENGINE | {"enforce_eager": True}, "weir": {"folder": str(program.served)},
           "steps": [{"turns": plain}, *({"turns": each} for each in conversations), {"run": [same, other_knob]}, {"kernels": True},
                     {"without_keys": True}, {"reset": True}, *({"turns": each} for each in conversations)]}
    results = serving.run_job(job, tmp_path / "job")
    answers = Answers({"": program}, {"": reference})
    for each, answered in zip([plain, *conversations], results):
        plan = each["extra"] and each["extra"]["weir_plan"]
        for request, result in answered:
            answers.check(request, result, "", plan, {})
        if plan in (None, "always"):
            # What was answered is found again, as far as it fills blocks of 32.
            assert [result["cached"] for _, result in answered][1:] == [96, 160]
    assert answers.compared >= 600
    # A plan for what is generated shares the prompt with the unsteered, and with itself under another knob; plans of one
    # content share all.
    cached = {plan: answered[0][1]["cached"] for plan, answered in zip(PLANS, results[1:])}
    assert cached["late"] == cached["ramped"] == 64 and cached["early"] == cached["always"] == 0
    alike, knob = results[1 + len(PLANS)]
    # Scopes that look for tokens, or have a ramp, are PyTorch's, and so are their sites.
    assert results[2 + len(PLANS)] == ["0/mlp", "0/res"]
    assert alike["cached"] == 64 and knob["cached"] == 64
    # An answer that a plan for generated tokens edited is a prompt in the next turn, and unedited there.
    late = results[1][1][1]
    assert late["cached"] == 64

    wrong = 0.0
    for each, answered in zip(conversations, results[-len(PLANS):]):
        for request, result in answered:
            try:
                answers.check(request, result, "", each["extra"]["weir_plan"], {})
            except AssertionError:
                wrong += 1
    assert wrong >= 3, "vLLM's own keys would do: the test sees nothing"


def test_requests_that_come_and_go(turns, served, tmp_path):
    """Two hundred requests at random times with random plans, in compiled mode and with too little memory for all, so that some
    are preempted; one in six is cancelled."""
    found = {"": turns}
    random = numpy.random.default_rng(11)
    requests = []
    for index in range(200):
        plan = None if random.random() < 0.2 else PLANS[random.integers(len(PLANS))]
        requests.append({"ids": random_ids(random, int(random.integers(2, 90))), "tokens": int(random.integers(10, 40)),
                         "extra": plan and {"weir_plan": plan}, "of": ["", plan, {}], "at": int(random.integers(0, 600)),
                         "cancel": int(random.integers(1, 30)) if index % 6 == 5 else None})
    job = {"model": str(served.folder), "engine": ENGINE | {"num_gpu_blocks_override": 18},
           "weir": {"folder": str(turns[1].served)}, "steps": [{"arrive": requests}]}
    results, = serving.run_job(job, tmp_path / "job")
    answers = check_all(found, requests, results["answers"])
    assert answers.compared >= 2500 and results["preempted"] > 0
    assert sum(result is None for result in results["answers"]) >= 15


WRONG = [
    ({"weir_plan": "lat"}, "there is no plan 'lat'; there are late, early"),
    ({"weir_plan": 3}, "weir_plan is the name of a plan"),
    ({"weir_plan": ""}, "there is no plan ''"),
    ({"weir_plans": "late"}, "there is no argument 'weir_plans'"),
    ({"weir_plan": "late", "weir_knobs": "faith=5"}, "knob 'faith' is from 0 to 4, not 5"),
    ({"weir_plan": "late", "weir_knobs": "hope=1"}, "plan 'late' has no knob 'hope'; it has faith"),
    ({"weir_plan": "early", "weir_knobs": "faith=1"}, "plan 'early' has no knob 'faith'; it has none"),
    ({"weir_plan": "late", "weir_knobs": "faith"}, "weir_knobs is written NAME=NUMBER"),
    ({"weir_plan": "late", "weir_knobs": "faith=x"}, "is no number: 'x'"),
    ({"weir_plan": "late", "weir_knobs": "faith=nan"}, "is no number"),
    ({"weir_plan": "late", "weir_knobs": "faith=inf"}, "is no number"),
    ({"weir_plan": "late", "weir_knobs": "faith=1,faith=2"}, "knob 'faith' is given twice"),
    ({"weir_plan": "late", "weir_knobs": 3}, "weir_knobs is written NAME=NUMBER"),
    ({"weir_plan": "late", "weir_knobs": ["faith=1", 2]}, "weir_knobs is written NAME=NUMBER"),
    ({"weir_knobs": "faith=1"}, "weir_knobs needs weir_plan"),
    ({"weir_plan": "none", "weir_knobs": "faith=1"}, "weir_knobs needs weir_plan"),
]


def test_wrong_requests_and_forged_keys(turns, served, tmp_path):
    """Refused with what there is; what a request brings under the plugin's own name is overwritten; several answers of one
    request are all steered. And two processes, each with a part of every layer, answer the same."""
    _, program = turns
    ids = list(range(3, 40))
    forged = {"weir": {"table": "x", "plan": 0, "knobs": [], "key": "y", "scopes": [{}]}}
    plain, late = {"ids": ids, "tokens": 6, "extra": None}, {"ids": ids, "tokens": 6, "extra": {"weir_plan": "late"}}
    job = {"model": str(served.folder), "engine": ENGINE | {"enforce_eager": True},
           "weir": {"folder": str(program.served), "default_plan": "early"},
           "steps": [*({"refuse": extra} for extra, _ in WRONG),
                     {"run": [plain | {"extra": forged}, plain | {"extra": {"weir_plan": "none"}}, late,
                              late | {"extra": {**forged, "weir_plan": "late"}}]},
                     {"run": [late | {"n": 3}]}]}
    asked = [{"ids": list(range(3, 3 + length)), "tokens": 8, "extra": plan and {"weir_plan": plan}}
             for plan, length in ((None, 33), ("late", 70), ("early", 20), ("always", 12), ("ramped", 40), ("behind", 25))]
    split = {"model": str(served.folder), "weir": {"folder": str(program.served)}, "steps": [{"run": asked}, {"counts": True}],
             "engine": ENGINE | {"enforce_eager": True, "tensor_parallel_size": 2, "distributed_executor_backend": "mp"}}
    results, (in_parts, counts) = serving.run_jobs([job, split], tmp_path / "job")
    for (extra, message), result in zip(WRONG, results):
        if list(extra) == ["weir_knobs"]:  # there is a plan: the default
            message = "plan 'early' has no knob 'faith'"
        assert result.get("kind") == "VLLMValidationError" and message in result["said"], (extra, result)
    answers = Answers({"": program}, {"": turns[0]})
    default, none, one, two = results[len(WRONG)]
    answers.check(plain, default, "", "early", {})  # what the server does for who says nothing
    answers.check(plain, none, "", None, {})
    for result in (one, two, *results[-1]):
        answers.check(late, result, "", "late", {})
    assert len(results[-1]) == 3 and one["ids"] != none["ids"]
    for request, result in zip(asked, in_parts, strict=True):
        answers.check(request, result, "", request["extra"] and request["extra"]["weir_plan"], {})
    assert all(counts.values())
