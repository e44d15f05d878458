# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs for ONNX Runtime, OpenVINO and ExecuTorch (`python -m weir onnx`, `openvino`, `executorch`): their logits and records are the program's,
for every action, condition and scope, in a ragged batch at once and token by token."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import families
import format_libraries
import llama_cpp
import pytest
import torch
import weir
from models import apart
from test_equivalence_fixed import EVERYTHING, written
from weir import archives, comparison, runtimes
from weir.__main__ import main
from weir.errors import WeirError
from weir.runtimes import convert, executorch_model, explicit_state

# With tokens that EVERYTHING looks for.
ROWS = [[5, 9, 61, 7, 100, 23, 4, 80, 17, 52, 84, 11], [3, 64, 80, 90, 41], [12]]
PROMPTS = [6, 2, 1]  # what `tokens: generated` and the part `sampled` act behind
PLANS = ["first", "second", "third"]
KNOBS = {"first": {"mood": -1.5, "force": 1.0}, "third": {"force": -2.0}}
TOLERANCE = 2e-5  # of the largest logit of the batch


@pytest.fixture(scope="module", autouse=True)
def installed():
    format_libraries.folder(llama_cpp.LOCK)


@pytest.fixture(scope="module")
def work(tiny, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runtimes")
    model = tiny("llama")
    weir.compile(written(EVERYTHING, model, folder), folder / "steered", model=model.archive)
    return folder


def runner(folder: Path):
    about = json.loads((folder / "weir.json").read_text())
    if about["weir"] == "openvino":
        return convert.OpenVINORunner(folder / "model.xml")
    states = [convert.State(each["name"], tuple(each["shape"]), getattr(torch, each["dtype"])) for each in about["state"]]
    if about["weir"] == "executorch":
        return executorch_model.ExecuTorchRunner(folder / "model.pte", states)
    return convert.OnnxRunner(folder / "model.onnx", states)


def check(folder: Path, program: weir.Program, plans: list[str | None], knobs: list[dict[str, float]]) -> torch.Tensor:
    """A batch at once, and its first row token by token, as weir.load has them: a plan and knobs for each row."""
    about = json.loads((folder / "weir.json").read_text())
    want = program(ROWS, prompt_length=PROMPTS, **({} if program.fixed is not None else {"plan": plans, "knobs": knobs}))
    longest = max(map(len, ROWS))
    ids, positions = torch.zeros(3, longest, dtype=torch.int64), torch.full((3, longest), -1)
    for row, tokens in enumerate(ROWS):
        ids[row, :len(tokens)], positions[row, :len(tokens)] = torch.tensor(tokens), torch.arange(len(tokens))
    values = {"prompt_length": torch.tensor(PROMPTS),
              "plan": torch.tensor([-1 if plan is None else program.plans.index(plan) for plan in plans]),
              "knobs": torch.tensor([[given.get(name, knob["default"]) for name, knob in program.knobs.items()] for given in knobs],
                                    dtype=torch.float32)}

    def run(engine, columns, rows=slice(None)):
        all_values = {"input_ids": ids[:, columns], "positions": positions[:, columns], **values}
        return dict(zip(about["outputs"], engine(*(all_values[name][rows] for name in about["inputs"]))))

    outputs = run(runner(folder), slice(None))
    for row, tokens in enumerate(ROWS):
        assert apart(outputs["logits"][row, :len(tokens)], want.logits[row, :len(tokens)]) <= TOLERANCE
        for record in about.get("records", []):
            got, kept = outputs[record["name"]][row, :len(tokens)], want.records[record["name"]][row, :len(tokens)]
            assert (got - kept).abs().max() <= 1e-4 * max(kept.abs().max().item(), 1)
    engine, row = runner(folder), slice(0, 1)
    steps = torch.cat([run(engine, slice(at, at + 1), row)["logits"] for at in range(len(ROWS[0]))], 1)
    assert apart(steps[0], want.logits[0, :len(ROWS[0])]) <= TOLERANCE
    return want.logits


@pytest.mark.parametrize("target", runtimes.TARGETS)
def test_every_plan_in_its_own_runtime(work, target):
    assert main([target, str(work / "steered"), "-o", str(work / target)]) == 0
    files = {"onnx": {"model.onnx"}, "openvino": {"model.xml", "model.bin"}, "executorch": {"model.pte"}}[target]
    assert {entry.name for entry in (work / target).iterdir()} == files | {"weir.json"}
    program = weir.load(work / "steered")
    plain = check(work / target, program, [None, "first", None], [{}, KNOBS["first"], {}])
    for plans in (PLANS, PLANS[1:] + PLANS[:1], PLANS[2:] + PLANS[:2]):
        mixed = check(work / target, program, plans, [KNOBS.get(plan, {}) for plan in plans])
        assert apart(mixed[0], plain[0]) > 0.02
    for plan in ("second", "third"):  # whose policies tell answers from prompts
        given = dict(plan=plan, knobs=KNOBS.get(plan, {}))
        assert apart(program(ROWS[:1], **given).logits, program(ROWS[:1], prompt_length=PROMPTS[0], **given).logits) > 1e-3
    # A position behind the cache is an error, or no number, and not another token's.
    engine = runner(work / target)
    behind = [torch.tensor([[5]]), torch.tensor([[families.MAX_LENGTH]]), torch.tensor([1]), torch.tensor([-1]), torch.ones(1, 2)]
    if target == "openvino":
        assert all(output.isnan().all() for output in engine(*behind))
        # It is a row's own matter, records included.
        ragged = [torch.tensor([[5], [6]]), torch.tensor([[families.MAX_LENGTH], [0]]), torch.ones(2, dtype=torch.int64),
                  torch.tensor([1, 1]), torch.ones(2, 2)]
        for output in runner(work / target)(*ragged):
            assert output[0].isnan().all() and output[1].isfinite().all()
    else:
        with pytest.raises(RuntimeError):
            engine(*behind)


def test_a_fixed_program_of_another_family(tiny, tmp_path):
    """Soft caps, windows, and one plan compiled in: no input is left of it. A folder that was made here is replaced."""
    model = tiny("gemma2")
    weir.compile(written(EVERYTHING, model, tmp_path), tmp_path / "fixed", model=model.archive, fixed="first",
                 knob=[f"{name}={value}" for name, value in KNOBS["first"].items()])
    (tmp_path / "made").mkdir()
    runtimes.to_onnx(tmp_path / "fixed", tmp_path / "made")
    about = json.loads((tmp_path / "made" / "weir.json").read_text())
    assert not {"plan", "knobs"} & set(about["inputs"]) and {"name": "mood", "value": -1.5} in about["fixed"]["knobs"]
    check(tmp_path / "made", weir.load(tmp_path / "fixed"), ["first"] * 3, [KNOBS["first"]] * 3)


@pytest.mark.parametrize("wrong", ["third", "prompts", "records", "no records"])
def test_every_plan_is_compared(work, wrong):
    """What stands in for a model does not know the last plan, takes every token for a prompt's, or has the right logits and
    records of the second plan that are a hundredth too large, or none."""
    path = work / "steered" / "program.pt2"
    with archives.opening(path) as opened:
        names, module = list(comparison.inputs_of(opened.program)), opened.program.module()

        def other(*inputs):
            values = dict(zip(names, inputs))
            if wrong == "prompts":
                values["prompt_length"] = torch.full_like(values["prompt_length"], families.MAX_LENGTH)
            elif wrong == "third":
                values["plan"] = values["plan"].masked_fill(values["plan"] == PLANS.index(wrong), -1)
            logits, *records = module(*values.values())
            if wrong == "records":
                of_second = (values["plan"] == PLANS.index("second")).view(-1, 1, 1)
                records = [torch.where(of_second, record * 1.01, record) for record in records]
            elif wrong == "no records" and (values["plan"] == PLANS.index("second")).any() and logits.shape[1] > 1:
                records = []
            return logits, *records

        said = []
        with pytest.raises(WeirError, match=f"a thing of .* is not the program: on 3 rows of {families.MAX_LENGTH} tokens"):
            comparison.compare(opened, other, path, said.append, what="a thing")
        assert len(said) >= 4  # smaller sizes have the first plan


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("plans", [0, 1, 3, 50])
def test_which_plans_are_compared(rows, plans):
    batches = comparison._row_plans(rows, plans)
    assert {plan for batch in batches for plan in batch} == set(range(-1, plans)) and {len(batch) for batch in batches} == {rows}
    assert len(batches) <= plans + 1 and (rows == 1 or all(batch[0] == -1 for batch in batches))
    lengths = comparison._lengths(512, len(batches))
    assert len(lengths) == len(batches) and lengths[0] == 512 and min(lengths) >= 32
    assert sum(lengths) <= 512 * 6 + 32 * len(batches)


def test_what_is_refused(work, tmp_path, monkeypatch, capsys):
    def said(*arguments) -> str:
        assert main([*map(str, arguments), "-o", str(tmp_path / "out")]) == 1
        assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))
        return capsys.readouterr().err

    assert "bfloat16, in which these runtimes multiply no matrices" in said("onnx", families.exported("llama", "bf16"))
    assert "no manifest.json: not the output of weirc build" in said("openvino", tmp_path)
    spec, = work.glob("*.yaml")
    weir.compile(spec, tmp_path / "kernels", model=families.exported("llama"), lower="kernel")
    assert "build with --lower aten" in said("onnx", tmp_path / "kernels")
    # What it gets wrong is not kept.
    right = convert.OnnxRunner.__call__
    monkeypatch.setattr(convert.OnnxRunner, "__call__", lambda self, *inputs: [value + 1 for value in right(self, *inputs)])
    assert "the onnx model of" in (error := said("onnx", families.exported("llama"))) and "It is not kept" in error
    # An operator that ONNX lacks.
    monkeypatch.delitem(explicit_state._DECOMPOSITIONS, torch.ops.aten.cummin.default)
    assert "calls aten.cummin, which ONNX has no counterpart of" in said("onnx", work / "steered")
    class Halves(torch.nn.Module):
        def forward(self, x):
            return torch.exp2(x)

    with pytest.raises(WeirError, match="m.pt2 calls aten.exp2.out, which ExecuTorch has no kernel of"):
        executorch_model.write(torch.export.export(Halves(), (torch.ones(2),)), tmp_path / "m.pte", tmp_path / "m.pt2")
    assert not (tmp_path / "m.pte").exists()
    # Somebody else's folder stays.
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "notes").write_text("mine")
    with pytest.raises(WeirError, match="holds other things than what python -m weir onnx makes"):
        runtimes.to_onnx(work / "steered", tmp_path / "theirs")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "this needs onnxscript: pip install onnxscript" in said("onnx", work / "steered")
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    assert "this needs flatbuffers: pip install --no-deps flatbuffers" in said("executorch", work / "steered")
