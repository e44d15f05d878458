# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What weir-run feeds to a program with plans, knobs and records, and its ways to fail.

The program is written by hand. Its logits are the inputs, so that every one of them can be read."""

from __future__ import annotations

import hashlib
import json
import subprocess

import numpy
import pytest
import tokenizers
import torch
from engines import TOOLS
from weir import aot

LETTERS = "abcdefghijkl"
VOCABULARY = len(LETTERS) + 1  # and <eos>
MAX_BATCH, MAX_LENGTH = 3, 9


class Echo(torch.nn.Module):
    """Logit j of a token: 10 at (sum of the row's ids so far + plan) mod 12, plus what the other inputs are at 0..3.
    Records the token's id and whether it belongs to the prompt."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(MAX_BATCH, MAX_LENGTH + 1, dtype=torch.long), persistent=False)
        self.weight = torch.nn.Parameter(torch.eye(VOCABULARY))

    def forward(self, input_ids, positions, prompt_length, plan, knobs):
        batch = input_ids.shape[0]
        slots = torch.where(positions < 0, MAX_LENGTH, positions)
        self.seen.index_put_((torch.arange(batch).unsqueeze(1), slots), input_ids)
        before = torch.arange(MAX_LENGTH) <= positions.unsqueeze(2)
        total = (self.seen[:batch, :MAX_LENGTH].unsqueeze(1) * before).sum(2)
        chosen = torch.nn.functional.one_hot((total + plan.unsqueeze(1)) % 12, VOCABULARY).float() * 10
        inside = (positions < prompt_length.unsqueeze(1)).float()
        settings = torch.stack([inside, plan.unsqueeze(1).expand_as(positions).float()], 2)
        settings = torch.cat([settings, knobs.unsqueeze(1).expand(-1, positions.shape[1], -1)], 2) / 16
        logits = (chosen + torch.nn.functional.pad(settings, (0, VOCABULARY - 4))) @ self.weight
        return logits, torch.stack([input_ids.float(), inside], 2)


def tokenizer() -> str:
    vocabulary = {letter: index for index, letter in enumerate(LETTERS)} | {"<eos>": len(LETTERS)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    made.add_special_tokens(["<eos>"])
    return made.to_str()


STEERING = {
    "weir": 1, "dictionaries": [], "sites": [{"site": "res", "layer": 0}], "plans": ["first", "second"],
    "model": {"name": "echo", "family": "echo", "dtype": "f32", "weights": "a" * 64, "graph": "b" * 64},
    "knobs": [{"name": "faith", "default": 1, "min": 0, "max": 8}, {"name": "sky", "default": 0.5, "min": -1, "max": 1}],
    "inputs": ["input_ids", "positions", "prompt_length", "plan", "knobs"], "outputs": ["logits", "watch"],
    "records": [{"name": "watch", "output": 1, "features": ["id", "prompt"]}]}


def write_manifest(folder, **changes):
    files = {key: {"path": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
             for key, name in (("program", "program.pt2"), ("aot", "program.aot.pt2")) if (folder / name).exists()}
    (folder / "manifest.json").write_text(json.dumps({**files, **STEERING, **changes}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steered")
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    length = torch.export.Dim("length", min=1, max=MAX_LENGTH)
    long = dict(dtype=torch.long)
    with torch.no_grad():
        exported = torch.export.export(
            Echo(), (torch.zeros(2, 3, **long), torch.zeros(2, 3, **long), torch.ones(2, **long), torch.zeros(2, **long),
                     torch.zeros(2, 2)),
            dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length}, {0: batch}, {0: batch}, {0: batch}))
    info = {"weir": 1, "model": "echo", "family": "echo", "hidden_size": 1, "layers": 1, "heads": 1, "head_dim": 1,
            "vocab_size": VOCABULARY, "max_batch": MAX_BATCH, "max_length": MAX_LENGTH, "dtype": "f32", "bos": None,
            "eos": [len(LETTERS)], "chat_template": None}
    # One with templates that have names, none of them for every chat; one without templates.
    (folder / "bare").mkdir()
    named = {"short": "{{ messages[0].content }}", "tool_use": "{{ messages[0].content }}{{ tools[0].name }}"}
    for path, templates in ((folder / "bare" / "program.pt2", {}), (folder / "program.pt2", {"chat_templates": named})):
        torch.export.save(exported, path,
                      extra_files={"weir.json": json.dumps(info | templates), "weir.steering.json": json.dumps(STEERING),
                                   "tokenizer.json": tokenizer(), "tokenizer_config.json": "{}"})
    aot.package(folder / "program.pt2", folder / "program.aot.pt2")
    write_manifest(folder)
    return folder


def run(folder, *options, code=0):
    done = subprocess.run([TOOLS / "weir-run", folder, *map(str, options)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


ENGINES = pytest.mark.parametrize("engine", ["reference", "aot"])


@ENGINES
def test_inputs_reach_their_rows(folder, tmp_path, engine):
    numpy.save(tmp_path / "ids.npy", numpy.array([[1, 2, 3], [4, -1, -1], [5, 6, -1], [7, 0, 0]]))
    for prefill in (3, 1):
        run(folder, "--engine", engine, "--ids", tmp_path / "ids.npy", "--prompt-length", "2,1,1,0",
            "--plan", "second,none,first,second", "--knob", "faith=8", "--knob=sky=-0.25", "--prefill", prefill,
            "--logits", tmp_path / "logits.npy", "--record", tmp_path / "records.npz")
        logits = numpy.load(tmp_path / "logits.npy")
        assert logits.shape == (4, 3, VOCABULARY) and logits.dtype == numpy.float32
        chosen, settings = logits.argmax(2), logits % 10 * 16
        assert chosen[0].tolist() == [2, 4, 7] and chosen[1, 0] == 3 and chosen[2, :2].tolist() == [5, 11]
        assert chosen[3].tolist() == [8, 8, 8]
        assert settings[0, :, 0].tolist() == [1, 1, 0] and settings[3, :, 0].tolist() == [0, 0, 0]
        assert settings[[0, 2, 3], 0, 1].tolist() == [1, 0, 1]
        assert (settings[0, :, 2] == 8).all()
        assert not logits[1, 1:].any() and not logits[2, 2:].any()
        watch = numpy.load(tmp_path / "records.npz")["watch"]
        assert watch.shape == (4, 3, 2)
        assert watch[0].tolist() == [[1, 1], [2, 1], [3, 0]] and watch[2].tolist() == [[5, 1], [6, 0], [0, 0]]


@ENGINES
def test_text_plans_knobs_and_records(folder, tmp_path, engine):
    rows = [{"prompt": "bc"}, {"prompt": "b", "plan": "second", "knobs": {"sky": 1}}, {"prompt": "d", "plan": "none"},
            {"prompt": "f<eos>", "plan": "first", "knobs": {"faith": 2}}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = run(folder, "--engine", engine, "--prompts", tmp_path / "rows.jsonl", "-n", 3, "--knob", "faith=3", "--json",
               "--record", tmp_path / "records.npz")
    out = json.loads(done.stdout)
    assert out["engine"] == engine and out["weir"] == 1
    expected = []
    for ids, plan in (([1, 2], 0), ([1], 1), ([3], -1), ([5, 12], 0)):
        ids = list(ids)
        for _ in range(3):
            ids.append((sum(ids) + plan) % 12)
        expected.append(ids)
    assert [row["tokens"] for row in out["rows"]] == [ids[-3:] for ids in expected]
    assert [row["plan"] for row in out["rows"]] == ["first", "second", "none", "first"]
    assert [row["knobs"] for row in out["rows"]] == [
        {"faith": 3, "sky": 0.5}, {"faith": 3, "sky": 1}, {"faith": 3, "sky": 0.5}, {"faith": 2, "sky": 0.5}]
    arrays = numpy.load(tmp_path / "records.npz")
    assert arrays["prompt_length"].tolist() == [2, 1, 1, 2]
    assert arrays["input_ids"].tolist() == [ids + [-1] * (5 - len(ids)) for ids in expected]
    for row, ids in enumerate(expected):
        watch = arrays["watch"][row]
        assert watch[: len(ids), 0].tolist() == ids
        assert watch[:, 1].tolist() == [1.0] * arrays["prompt_length"][row] + [0.0] * (5 - arrays["prompt_length"][row])


def test_a_knob_and_a_plan_for_each_row(folder, tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_bytes(b"\xef\xbb\xbfb\nbc\n\n")  # as editors of Windows write it, with an empty line at the end
    done = run(folder, "--prompts", rows, "-n", 1, "--plan", "second,none", "--knob", "faith=2,8", "--knob", "sky=1", "--json")
    out = json.loads(done.stdout)["rows"]
    assert [row["prompt"] for row in out] == ["b", "bc"] and [row["plan"] for row in out] == ["second", "none"]
    assert [row["knobs"] for row in out] == [{"faith": 2, "sky": 1}, {"faith": 8, "sky": 1}]
    assert "--knob gives 3 values of 'faith' for 2 rows" in run(folder, "--prompts", rows, "--knob", "faith=1,2,3", code=1).stderr
    assert "row 1: knob 'faith' is 9; its range is 0..8" in run(folder, "--prompts", rows, "--knob", "faith=1,9", code=1).stderr

    (tmp_path / "rows.jsonl").write_bytes(b'\xef\xbb\xbf{"prompt": "b"}\n\n{"prompt": "bc", "knobs": {"faith": 3}}\n')
    done = run(folder, "--prompts", tmp_path / "rows.jsonl", "-n", 1, "--knob", "faith=2", "--json")
    assert [row["knobs"]["faith"] for row in json.loads(done.stdout)["rows"]] == [2, 3]
    for options in (("--plan", "second,none"), ("--knob", "faith=2,8")):
        said = run(folder, "--prompts", tmp_path / "rows.jsonl", *options, code=1).stderr
        assert f"{tmp_path}/rows.jsonl: line 2 is empty; with a plan or a knob for each row every line has to be one" in said
    said = run(folder, "--prompts", tmp_path / "rows.jsonl", "--knob", "sky=9", code=1).stderr
    assert "row 0: knob 'sky' is 9" in said
    (tmp_path / "rows.jsonl").write_text('{"prompt": "b"}\n\n{"prompt": "bc", "plan": "third"}\n')
    assert "row 1 (line 3): there is no plan 'third'" in run(folder, "--prompts", tmp_path / "rows.jsonl", code=1).stderr


def test_the_engine_is_chosen_by_what_is_there(folder):
    out = json.loads(run(folder, "-p", "b", "-n", 1, "--json").stdout)
    assert out["engine"] == "aot"


def test_one_file_of_the_folder_is_opened_with_its_manifest(folder):
    out = json.loads(run(folder / "program.pt2", "-p", "b", "-n", 1, "--plan", "second", "--json").stdout)
    assert out["rows"][0]["plan"] == "second"


@pytest.mark.parametrize("options, reason", [
    (("-p", "b", "--plan", "third"), "there is no plan 'third'; the program has first, second, and none"),
    (("-p", "b", "--plan", "first,second"), "--plan names 2 plans for 1 rows"),
    (("-p", "b", "--knob", "hope=1"), "there is no knob 'hope'; the program has faith, sky"),
    (("-p", "b", "--knob", "faith=9"), "knob 'faith' is 9; its range is 0..8"),
    (("-p", "b", "--knob", "faith"), "'faith' is not of the form name=number"),
    (("-p", "b", "--knob", "faith=nan"), "knob 'faith' cannot be 'nan': a finite number is needed"),
    (("-p", "b", "--knob", "faith=1", "--knob", "faith=1"), "knob 'faith' is given twice"),
    (("-p", "b" * 9), "the prompt has 9 tokens; the program holds 9"),
    (("-p", ""), "row 0: the prompt has no token"),
    (("-p", "b", "--chat"), "the model has no chat template that is taken without a name; choose one with "
                            "--chat-template: short, tool_use"),
    (("-p", "b", "--chat", "--chat-template", "long"), "the model has no chat template 'long'; choose one"),
    (("-p", "b", "--chat-template", "short"), "--chat-template needs --chat"),
    (("-p", "b", "--chat", "--continue"), "--continue needs --prompts with a .jsonl file"),
    (("-p", "b", "--temperature", "1", "--top-p", "0"), "--top-p has to be above 0"),
    (("-p", "b", "--repetition-penalty", "0"), "--repetition-penalty has to be above 0"),
    (("-p", "b", "--stop", ""), "row 0: a stop string has at least one character"),
])
def test_bad_input(folder, options, reason):
    assert reason in run(folder, *options, code=1).stderr


def test_chat_templates_have_names(folder, tmp_path):
    (row,) = json.loads(run(folder, "-p", "b", "--chat", "--chat-template", "short", "-n", 1, "--json").stdout)["rows"]
    assert row["prompt"] == "b"
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "c"}], "tools": [{"name": "d"}]}) + "\n")
    (row,) = json.loads(run(folder, "--prompts", path, "-n", 1, "--json").stdout)["rows"]
    assert row["prompt"] == "cd"
    assert "--continue goes on with an assistant's message" in run(folder, "--prompts", path, "--continue", code=1).stderr
    assert "the model has no chat template" in run(folder / "bare" / "program.pt2", "-p", "b", "--chat", "--no-verify",
                                                      code=1).stderr


def test_bad_ids(folder, tmp_path):
    def error(array, *options) -> str:
        numpy.save(tmp_path / "ids.npy", numpy.array(array))
        return run(folder, "--ids", tmp_path / "ids.npy", "--logits", tmp_path / "out.npy", *options, code=1).stderr

    assert "a [b, S] int64 array" in error([[0.5]])
    assert "a [b, S] int64 array" in error([1, 2])
    assert "row 0: id 13 is outside the vocabulary of 13" in error([[13]])
    assert "row 1: padding (-1) is allowed on the right only" in error([[1, 2], [-1, 2]])
    assert "rows of 10 tokens; the program holds 9" in error([[1] * 10])
    assert "--prompt-length has 2 numbers for 1 rows" in error([[1]], "--prompt-length", "1,2")
    assert "row 0: a prompt of 3 tokens, but the row has 2" in error([[1, 2, -1]], "--prompt-length", 3)
    assert "row 1: a prompt of 2 tokens, but the row has 1" in error([[1, 2], [3, -1]], "--prompt-length", 2)
    assert not (tmp_path / "out.npy").exists()


def test_failures_while_writing(folder, tmp_path):
    numpy.save(tmp_path / "ids.npy", numpy.array([[1]]))
    done = run(folder, "--ids", tmp_path / "ids.npy", "--logits", tmp_path / "absent" / "out.npy", code=2)
    assert "absent" in done.stderr


def test_manifests_that_do_not_fit(folder, tmp_path):
    def error(**changes) -> str:
        for name in ("program.pt2", "program.aot.pt2"):
            if not (tmp_path / name).exists():
                (tmp_path / name).write_bytes((folder / name).read_bytes())
        write_manifest(tmp_path, **changes)
        return run(tmp_path, "-p", "b", code=1).stderr

    assert "its SHA-256 is" in error(program={"path": "program.pt2", "sha256": "0" * 64})
    assert "must stay inside the folder" in error(program={"path": "../program.pt2", "sha256": "0" * 64})
    assert "no such file" in error(program={"path": "absent.pt2", "sha256": "0" * 64}).lower()
    assert "version 2 is not known" in error(weir=2)
    (tmp_path / "manifest.json").unlink()
    alone = run(tmp_path / "program.pt2", "-p", "b", "-n", 1, "--no-verify", "--plan", "second", "--json").stdout
    assert json.loads(alone)["rows"][0]["plan"] == "second"
    # The record's hash of the weights is no hash of these.
    assert "the weights are not those of the model that was steered" in run(tmp_path / "program.pt2", "-p", "b", code=1).stderr


@pytest.mark.parametrize("changes, reason", [
    (dict(plans=["first", "third"]), '"plans[1]" is "third" in the manifest and "second" in the program'),
    (dict(plans=["first"]), '"plans" has 1 entries in the manifest and 2 in the program'),
    (dict(plans=[], knobs=[], inputs=["input_ids", "positions"]), '"inputs" has 2 entries in the manifest and 5 in the program'),
    (dict(knobs=[{**STEERING["knobs"][0], "max": 800}, STEERING["knobs"][1]]),
     '"knobs[0].max" is 800 in the manifest and 8 in the program'),
    (dict(knobs=STEERING["knobs"][::-1]), '"knobs[0].default" is 0.5 in the manifest and 1 in the program'),
    (dict(outputs=["logits", "seen"]), '"outputs[1]" is "seen" in the manifest and "watch" in the program'),
    (dict(records=[{**STEERING["records"][0], "features": ["id", "prompts"]}]),
     '"records[0].features[1]" is "prompts" in the manifest and "prompt" in the program'),
    (dict(sites=[]), '"sites" has 0 entries in the manifest and 1 in the program'),
    (dict(dictionaries=[{"name": "sae", "sha256": "c" * 64}]), '"dictionaries" has 1 entries'),
    (dict(model={**STEERING["model"], "name": "smollm2"}), '"model.name" is "smollm2" in the manifest and "echo" in the program'),
    (dict(model={**STEERING["model"], "weights": "c" * 64}), '"model.weights" is'),
    (dict(model=None), '"model" is only in the program'),
    (dict(spec={"path": "spec.yaml", "sha256": "c" * 64}), '"spec" is only in the manifest'),
])
def test_manifest_and_program_have_to_agree(folder, tmp_path, changes, reason):
    for name in ("program.pt2", "program.aot.pt2"):
        (tmp_path / name).symlink_to(folder / name)
    write_manifest(tmp_path, **changes)
    done = run(tmp_path, "-p", "b", code=1)
    assert "manifest.json does not fit its program" in done.stderr and reason in done.stderr
