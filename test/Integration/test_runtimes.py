# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs for ONNX Runtime and OpenVINO (`python -m weir onnx`, `openvino`): their logits and records are the program's,
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
from weir import runtimes
from weir.__main__ import main
from weir.errors import WeirError
from weir.runtimes import convert, explicit_state

# With tokens that EVERYTHING looks for.
ROWS = [[5, 9, 61, 7, 100, 23, 4, 80, 17, 52, 84, 11], [3, 64, 80, 90, 41], [12]]
KNOBS = {"mood": -1.5, "force": 1.0}
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
    return convert.OnnxRunner(folder / "model.onnx", states)


def check(folder: Path, program: weir.Program, plan: str | None, knobs: dict[str, float] | None = None):
    """A batch at once, and its first row token by token, as weir.load has them."""
    about = json.loads((folder / "weir.json").read_text())
    want = program(ROWS, **({} if program.fixed is not None else {"plan": plan, "knobs": knobs}))
    longest = max(map(len, ROWS))
    ids, positions = torch.zeros(3, longest, dtype=torch.int64), torch.full((3, longest), -1)
    for row, tokens in enumerate(ROWS):
        ids[row, :len(tokens)], positions[row, :len(tokens)] = torch.tensor(tokens), torch.arange(len(tokens))
    values = {"prompt_length": torch.tensor([len(tokens) for tokens in ROWS]),
              "plan": torch.full((3,), -1 if plan is None else program.plans.index(plan)),
              "knobs": torch.tensor([[(knobs or {}).get(name, knob["default"]) for name, knob in program.knobs.items()]] * 3,
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
    files = {"onnx": {"model.onnx"}, "openvino": {"model.xml", "model.bin"}}[target]
    assert {entry.name for entry in (work / target).iterdir()} == files | {"weir.json"}
    program = weir.load(work / "steered")
    plain = check(work / target, program, None)
    for plan, knobs in (("first", KNOBS), ("second", None), ("third", {"force": -2.0})):
        assert apart(check(work / target, program, plan, knobs), plain) > 0.02
    # A position behind the cache is an error, and not another token's.
    engine = runner(work / target)
    behind = [torch.tensor([[5]]), torch.tensor([[families.MAX_LENGTH]]), torch.tensor([1]), torch.tensor([-1]), torch.ones(1, 2)]
    with pytest.raises(RuntimeError):
        engine(*behind)


def test_a_fixed_program_of_another_family(tiny, tmp_path):
    """Soft caps, windows, and one plan compiled in: no input is left of it. A folder that was made here is replaced."""
    model = tiny("gemma2")
    weir.compile(written(EVERYTHING, model, tmp_path), tmp_path / "fixed", model=model.archive, fixed="first",
                 knob=[f"{name}={value}" for name, value in KNOBS.items()])
    (tmp_path / "made").mkdir()
    runtimes.to_onnx(tmp_path / "fixed", tmp_path / "made")
    about = json.loads((tmp_path / "made" / "weir.json").read_text())
    assert not {"plan", "knobs"} & set(about["inputs"]) and {"name": "mood", "value": -1.5} in about["fixed"]["knobs"]
    check(tmp_path / "made", weir.load(tmp_path / "fixed"), "first", KNOBS)


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
    # Somebody else's folder stays.
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "notes").write_text("mine")
    with pytest.raises(WeirError, match="holds other things than what python -m weir onnx makes"):
        runtimes.to_onnx(work / "steered", tmp_path / "theirs")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "this needs onnxscript: pip install onnxscript" in said("onnx", work / "steered")
