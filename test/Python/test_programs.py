# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir.load and weir.compile: names become indices, mistakes become errors."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import families
import pytest
import torch
import weir
from torch.export import Dim
from weir.export import archive


class Echo(torch.nn.Module):
    """Takes the inputs of a steered program and gives them back in its outputs."""

    def forward(self, input_ids, positions, prompt_length, plan, knobs):
        length = input_ids.shape[1]
        rest = torch.cat([prompt_length.unsqueeze(1), plan.unsqueeze(1), knobs], 1).float()
        rest = rest.unsqueeze(1).expand(-1, length, -1)
        tokens = torch.stack([input_ids, positions], -1).float()
        return torch.cat([tokens, rest], -1), rest[..., 1:2] + 0


PLANS = ["default", "plain"]


def make(folder: Path) -> Path:
    """A folder as weirc build writes it, around Echo with two plans, two knobs and a record."""
    batch, length = Dim("batch", min=1, max=3), Dim("length", min=1, max=8)
    examples = (torch.zeros(2, 2, dtype=torch.long), torch.zeros(2, 2, dtype=torch.long),
                torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.long), torch.zeros(2, 2))
    exported = torch.export.export(Echo(), examples, dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length},
                                                                     {0: batch}, {0: batch}, {0: batch}))
    folder.mkdir()
    program = folder / "program.pt2"
    steering = {
        "weir": 1, "plans": PLANS,
        "knobs": [{"name": "faith", "default": 1.0, "min": 0.0, "max": 8.0}, {"name": "doubt", "default": 0.5, "min": -1.0, "max": 1.0}],
        "inputs": ["input_ids", "positions", "prompt_length", "plan", "knobs"], "outputs": ["logits", "seen"],
        "records": [{"name": "seen", "output": 1, "features": ["12/res/411"]}]}
    archive.write(exported, {"weir.json": json.dumps({"weir": 1, "max_batch": 3, "max_length": 8}),
                             "weir.steering.json": json.dumps(steering)}, program)
    (folder / "manifest.json").write_text(json.dumps({
        "program": {"path": "program.pt2", "sha256": hashlib.sha256(program.read_bytes()).hexdigest()}, **steering}))
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("programs") / "steered")


@pytest.fixture(scope="session")
def echo(folder):
    return weir.load(folder)


def test_a_program_tells_its_plans_knobs_and_records(echo):
    assert echo.plans == PLANS
    assert echo.knobs == {"faith": {"default": 1.0, "min": 0.0, "max": 8.0}, "doubt": {"default": 0.5, "min": -1.0, "max": 1.0}}
    assert echo.records == {"seen": ["12/res/411"]}
    assert echo.info["max_length"] == 8


def test_a_ragged_batch_with_a_plan_and_knobs_for_each_row(echo):
    got = echo([[5, 6, 7], [8], [9, 9]], plan=["plain", None, "default"], knobs=[{"faith": 2}, {}, {"doubt": -1}])
    assert got.logits[..., 0].tolist() == [[5, 6, 7], [8, 0, 0], [9, 9, 0]]
    assert got.logits[..., 1].tolist() == [[0, 1, 2], [0, -1, -1], [0, 1, -1]]
    assert got.logits[:, 0, 2].tolist() == [3, 1, 2], "prompt lengths are the rows' tokens"
    assert got.logits[:, 0, 3].tolist() == [1, -1, 0]
    assert got.logits[:, 0, 4:].tolist() == [[2, 0.5], [1, 0.5], [1, -1]]
    assert got.records["seen"][:, :, 0].tolist() == [[1] * 3, [-1] * 3, [0] * 3]


def test_one_plan_for_all_rows_and_tensors_as_they_are(echo):
    got = echo(torch.tensor([[4], [5]]), torch.tensor([[6], [-1]]), plan="plain", prompt_length=[3, 2], knobs={"faith": 8})
    assert got.logits[:, 0].tolist() == [[4, 6, 3, 1, 8, 0.5], [5, -1, 2, 1, 8, 0.5]]
    assert echo(torch.tensor([[4]]), plan=0).logits[0, 0, 3] == 0
    assert echo(torch.tensor([[4]]), plan="none").logits[0, 0, 3] == -1


@pytest.mark.parametrize("arguments, reason", [
    (dict(input_ids=[[1]], plan="defualt"), "no plan 'defualt'; the program has default, plain, none"),
    (dict(input_ids=[[1]], plan=2), "no plan 2"),
    (dict(input_ids=[[1]], plan=["plain", "plain"]), "2 plans for 1 rows"),
    (dict(input_ids=[[1]], knobs={"fate": 1}), "no knob 'fate'; the program has faith, doubt"),
    (dict(input_ids=[[1]], knobs={"faith": 8.5}), r"faith is 8.5, outside of 0\.\.8"),
    (dict(input_ids=[[1]], knobs={"faith": float("nan")}), "faith is nan"),
    (dict(input_ids=[[1]], positions=torch.tensor([[4]])), "prompt_length is needed"),
    (dict(input_ids=torch.ones(4, 1, dtype=torch.long), positions=torch.ones(4, 1, dtype=torch.long), prompt_length=1),
     "4 rows that go on with texts; the program keeps 3"),
    (dict(input_ids=[list(range(9))]), "room for 8 tokens"),
    (dict(input_ids=[[1]], positions=torch.tensor([[8]]), prompt_length=1), "room for 8 tokens"),
    (dict(input_ids=[[1]], positions=torch.tensor([[-2]]), prompt_length=1), "a position is -2"),
    (dict(input_ids=[[1]], prompt_length=-1), "prompt_length is -1"),
    (dict(input_ids=[[1]], prompt_length=9), "prompt_length is 9; it is a number of tokens up to 8"),
    (dict(input_ids=[[1]], prompt_length=[float("nan")]), "prompt_length is nan"),
    (dict(input_ids=[]), "there is no row"),
    (dict(input_ids=torch.tensor([1, 2]), positions=torch.tensor([0, 1])), "must be"),
    (dict(input_ids=torch.tensor([[1, 2]]), positions=torch.tensor([[0]])), "must be"),
])
def test_mistakes_in_a_call(echo, arguments, reason):
    with pytest.raises(weir.WeirError, match=reason):
        echo(**arguments)


def test_an_exported_program_runs_without_a_manifest():
    program = weir.load(families.exported("llama"))
    assert program.plans == [] and program.knobs == {} and program.info["family"] == "llama"
    tokens = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        want = families.model("llama")(tokens).logits
    torch.testing.assert_close(program(tokens).logits, want, rtol=0, atol=5e-5)
    torch.testing.assert_close(program(torch.tensor([[7]]), torch.tensor([[2]])).logits, want[:, 2:], rtol=0, atol=5e-5)
    with pytest.raises(weir.WeirError, match="no plan"):
        program(tokens, plan="default")


def test_a_steered_program_without_its_folder_tells_its_plans(folder, tmp_path):
    (tmp_path / "alone.pt2").write_bytes((folder / "program.pt2").read_bytes())
    alone = weir.load(tmp_path / "alone.pt2")
    assert alone.plans == PLANS and list(alone.knobs) == ["faith", "doubt"] and alone.records == {"seen": ["12/res/411"]}
    assert alone([[1]], plan="plain").logits[0, 0, 3] == 1


def change(folder: Path, **keys):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def test_damaged_folders(folder, tmp_path):
    with pytest.raises(weir.WeirError, match="no such file or folder"):
        weir.load(tmp_path / "absent")
    with pytest.raises(weir.WeirError, match="no manifest.json"):
        weir.load(tmp_path)
    (tmp_path / "program.pt2").write_bytes((folder / "program.pt2").read_bytes()[:-100])
    (tmp_path / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())
    with pytest.raises(weir.WeirError, match="SHA-256"):
        weir.load(tmp_path)
    with pytest.raises(weir.WeirError, match="cannot load"):
        weir.load(tmp_path, verify=False)
    for keys, reason in ((dict(weir=2), "version"), (dict(inputs=["input_ids"]), "inputs"),
                         (dict(inputs=["input_ids", "positions"]), '"inputs" has 2 entries in the manifest and 5 in the program'),
                         (dict(plans=["default", "plane"]), r'"plans\[1\]" is "plane" in the manifest and "plain" in the program'),
                         (dict(knobs=[]), '"knobs" has 0 entries'),
                         (dict(model={"name": "other"}), '"model" is'),
                         (dict(records=[{"name": "seen", "output": 1, "features": ["12/res/412"]}]),
                          r'"records\[0\].features\[0\]" is "12/res/412"'),
                         (dict(program={"path": "../steered/program.pt2"}), "outside"),
                         (dict(program={"path": "other.pt2"}), "no such file")):
        (tmp_path / "program.pt2").write_bytes((folder / "program.pt2").read_bytes())
        (tmp_path / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())
        change(tmp_path, **keys)
        with pytest.raises(weir.WeirError, match=reason):
            weir.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(weir.WeirError, match="not valid JSON"):
        weir.load(tmp_path)


@pytest.fixture
def weirc(tmp_path, monkeypatch):
    """Puts a script in weirc's place; returns what sets its answer. It writes its arguments to seen.json."""
    path = tmp_path / "build" / "bin" / "weirc"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("WEIR_BUILD", str(tmp_path / "build"))

    def answers(stdout: str, stderr: str = "", status: int = 0):
        path.write_text(f"#!{sys.executable}\nimport json, sys\n"
                        f"json.dump(sys.argv[1:], open({str(tmp_path / 'seen.json')!r}, 'w'))\n"
                        f"sys.stdout.write({stdout!r}); sys.stderr.write({stderr!r}); sys.exit({status})\n")
        path.chmod(0o755)

    return answers


def test_compile_calls_weirc_build(weirc, tmp_path):
    weirc(json.dumps({"ok": True, "output": "out", "report": {"sites": []}}))
    assert weir.compile(Path("a.yaml"), "out", model="m.pt2", engine="aot", remarks=True, quiet=False)["report"] == {"sites": []}
    assert json.loads((tmp_path / "seen.json").read_text()) == [
        "build", "a.yaml", "-o", "out", "--json", "--model", "m.pt2", "--engine", "aot", "--remarks"]


def test_compile_raises_what_weirc_says(weirc):
    messages = [{"severity": "error", "message": "unknown key 'polices'", "file": "a.yaml", "line": 3, "column": 1,
                 "notes": [{"severity": "note", "message": "did you mean 'policies'?"}]},
                {"severity": "error", "message": "second"}]
    weirc(json.dumps({"ok": False, "diagnostics": messages}), status=2)
    with pytest.raises(weir.CompileError) as error:
        weir.compile("a.yaml", "out")
    assert str(error.value) == ("a.yaml:3:1: error: unknown key 'polices'\nnote: did you mean 'policies'?\nerror: second")
    assert error.value.diagnostics == messages
    weirc("", "unknown option --x\n", status=1)
    with pytest.raises(weir.CompileError, match="^unknown option --x$"):
        weir.compile("a.yaml", "out", x=1)
    weirc("", status=3)
    with pytest.raises(weir.CompileError, match="status 3"):
        weir.compile("a.yaml", "out")


def test_a_tool_that_is_not_built(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIR_BUILD", str(tmp_path))
    with pytest.raises(weir.WeirError, match="has no bin/weirc"):
        weir.tool("weirc")
