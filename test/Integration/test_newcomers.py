# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What somebody meets who uses the tools for the first time: what they say, what they leave, and what they count."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import warnings
import zipfile
from pathlib import Path

import families
import numpy
import pytest
import random_dictionaries
import torch
import weir
import yaml
from engines import TOOLS
from matches import Case
from weir.errors import WeirWarning
from weir.programs import FIRST_PLAN

SPEC = """\
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [res], layers: 0..2}
  lines: {format: directions, path: lines.npy, sites: [res], layers: 1}
knobs:
  loud: {default: 1, range: [-8, 8]}
policies:
  push: {on: "lines:1/res/0", do: add, strength: 4, times: loud, tokens: {skip_first: 1}}
  never: {on: "sae:1/res/3", do: ablate, when: {feature: "sae:0/res/2", above: 1000}}
  watch: {on: ["lines:1/res/0", "sae:0/res/2"], do: record}
  behind: {on: "lines:1/res/0", do: record, after: true}
  acts: {gate: push, do: record}
plans:
  steered: [push, watch, behind, acts]
  idle: [never]
  seen: [watch]
"""
IDS = [[5, 6, 7, 8], [9, 10, -1, -1]]


def run(tool: str, *arguments, code: int = 0, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([TOOLS / tool, *map(str, arguments)], capture_output=True, text=True, **options)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("newcomer")
    random = numpy.random.default_rng(3)
    for layer in range(3):
        random_dictionaries.write_sae(folder / f"sae/res.{layer}", random, 32, 7.0, architecture="standard", normalize="none",
                                      metadata={"hook_name": f"blocks.{layer}.hook_resid_post"})
    lines = random.standard_normal((4, 32)).astype(numpy.float32)
    lines[2], lines[3] = 0, numpy.nan
    numpy.save(folder / "lines.npy", lines)
    (folder / "tiny.pt2").symlink_to(families.exported("llama"))
    (folder / "spec.yaml").write_text(SPEC)
    numpy.save(folder / "ids.npy", numpy.array(IDS))
    run("weirc", "build", folder / "spec.yaml", "-o", folder / "counted", "--stats")
    return folder


# What was edited.

def edited(folder: Path, *options, code: int = 0) -> tuple[dict, subprocess.CompletedProcess]:
    """{(policy, site): tokens of each row}, and what weir-run said."""
    done = run("weir-run", folder / "counted", "--ids", folder / "ids.npy", "--stats", "--json", *options, code=code)
    stats = json.loads(done.stdout)["stats"]
    assert stats["tokens"] == [4, 2]
    assert all(entry["tokens"] == sum(entry["rows"]) for entry in stats["edited"])
    return {(entry["policy"], entry["site"]): entry["rows"] for entry in stats["edited"]}, done


def test_tokens_are_counted_by_policy_and_site(folder):
    assert edited(folder)[0] == {("push", "1/res"): [3, 1], ("never", "1/res"): [0, 0]}
    assert edited(folder, "--plan", "none,steered")[0]["push", "1/res"] == [0, 1]
    # A knob for each row: 0 edits nothing.
    assert edited(folder, "--knob", "loud=0,2")[0]["push", "1/res"] == [0, 1]
    text = run("weir-run", folder / "counted", "--ids", folder / "ids.npy", "--stats")
    assert text.stderr == ("edited, of 6 tokens:\npolicy  site      tokens\npush    1/res          4\n"
                           "never   1/res          0\n") and not text.stdout


def test_a_plan_that_edits_nothing_fails(folder):
    edited(folder, "--assert-steered")
    edited(folder, "--assert-steered", "--plan", "none,steered")
    for options, reason in [
            (("--plan", "steered,idle"), "error: not steered: row 1: the plan 'idle' edited none of 2 tokens\n"),
            (("--knob", "loud=0,1"), "error: not steered: row 0: the plan 'steered' edited none of 4 tokens\n"),
            (("--plan", "none"), "error: nothing is steered: no row follows a plan that edits\n"),
            (("--plan", "seen"), "error: nothing is steered: no row follows a plan that edits\n")]:
        assert edited(folder, "--assert-steered", *options, code=3)[1].stderr.endswith(reason)


def test_programs_that_do_not_count_say_so(folder, tmp_path):
    run("weirc", "build", folder / "spec.yaml", "-o", tmp_path / "plain")
    outputs = json.loads((tmp_path / "plain/manifest.json").read_text())["outputs"]
    assert outputs == ["logits", "watch.res.0", "watch.res.1", "behind.res.1", "acts"], "and have no output for it"
    for option in ("--stats", "--assert-steered"):
        said = run("weir-run", tmp_path / "plain", "--ids", folder / "ids.npy", option, code=1).stderr
        assert said == (f"weir-run: error: {option}: the program does not say which tokens it edits: build it with `weirc build "
                        "--stats`\n")
    said = run("weir-run", folder / "tiny.pt2", "--ids", folder / "ids.npy", "--assert-steered", code=1).stderr
    assert "the program edits nothing" in said
    program = weir.load(tmp_path / "plain")
    with pytest.raises(weir.WeirError, match="weirc build --stats"):
        program.stats.edited


def test_the_same_counts_in_python(folder):
    program = weir.load(folder / "counted")
    rows = [[token for token in row if token >= 0] for row in IDS]
    program(rows)
    assert program.stats.tokens == 6
    assert program.stats.edited == {"push": {"1/res": 4}, "never": {"1/res": 0}}
    program.stats.assert_steered()
    program(rows, plan=["steered", "idle"])
    assert program.stats.edited["push"] == {"1/res": 7}
    with pytest.raises(weir.WeirError, match="'idle' edited none"):
        program.stats.assert_steered()
    program.stats.reset()
    program(rows, plan=None)
    assert program.stats.tokens == 6 and program.stats.edited["push"] == {"1/res": 0}
    with pytest.raises(weir.WeirError, match="nothing is steered"):
        program.stats.assert_steered()


# What is followed and recorded where nothing is said.

def test_one_default_plan_everywhere(folder, tmp_path):
    program = weir.load(folder / "counted")
    row = IDS[0]
    first, none = (program([row], plan=plan).logits for plan in ("steered", "none"))
    assert torch.equal(program([row]).logits, first) and not torch.equal(first, none)
    assert torch.equal(program([row], plan=None).logits, none)
    numpy.save(tmp_path / "ids.npy", numpy.array([row]))
    for options, want in (((), first), (("--plan", "none"), none)):
        run("weir-run", folder / "counted", "--ids", tmp_path / "ids.npy", "--logits", tmp_path / "out.npy", *options)
        assert torch.equal(torch.from_numpy(numpy.load(tmp_path / "out.npy")), want)
    defaults = {name: parameter.default for name, method in inspect.getmembers(weir.Program, inspect.isfunction)
                for parameter in inspect.signature(method).parameters.values() if parameter.name == "plan"}
    assert defaults and all(default in (FIRST_PLAN, inspect.Parameter.empty) for default in defaults.values()), defaults


def test_records_before_and_behind_edits_and_where_a_policy_acts(folder):
    program = weir.load(folder / "counted")
    assert program.records == {"watch.res.0": ["sae:0/res/2"], "watch.res.1": ["lines:1/res/0"],
                               "behind.res.1": ["lines:1/res/0"], "acts": ["gate:push"]}
    records = program([IDS[0]], knobs={"loud": 2}).records
    before, behind = records["watch.res.1"][0, :, 0], records["behind.res.1"][0, :, 0]
    assert records["acts"][0, :, 0].tolist() == [0, 1, 1, 1]
    # A direction's activation is the product with it, divided by its squared norm: 4 x 2 of it were added.
    torch.testing.assert_close(behind - before, torch.tensor([0.0, 8, 8, 8]), rtol=1e-4, atol=1e-4)


def test_records_of_rows_without_any_are_told(folder, tmp_path):
    options = ("--ids", folder / "ids.npy", "--record", tmp_path / "records.npz")
    assert run("weir-run", folder / "counted", *options, "--plan", "steered").stderr == ""
    assert run("weir-run", folder / "counted", *options, "--plan", "seen,idle").stderr == (
        "weir-run: warning: --record: the plan of row 1 records nothing, so that the values are zeros\n")
    program = weir.load(folder / "counted")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unsteered = program([[5]], plan="none")
        program([[5], [6]], plan=["idle", "seen"]).records["watch.res.0"]
    with pytest.warns(WeirWarning, match="no row follows a plan that records"):
        unsteered.records["watch.res.0"]


# Input.

def test_a_model_without_a_tokenizer_says_what_to_give(folder):
    said = run("weir-run", folder / "counted", "-p", "I think", code=1).stderr
    assert "the program has no tokenizer, so that it cannot read a text; give token ids with --ids" in said


def with_policy(folder: Path, policy: str) -> Path:
    path = folder / "one.yaml"
    path.write_text(SPEC.split("policies:")[0] + f"policies:\n  one: {policy}\n")
    return path


@pytest.mark.parametrize("command", [("check", "--model"), ("explain", "--model"), ("build", "-o", "out", "--model")])
def test_rows_that_are_not_finite_or_zero(folder, tmp_path, command):
    def said(policy: str, code: int) -> str:
        name, *options = command
        return run("weirc", name, with_policy(folder, policy), *options, folder / "tiny.pt2", code=code, cwd=tmp_path).stderr

    for policy in ('{on: "lines:1/res/3", do: add, strength: 1, times: loud}',
                   '{on: "lines:1/res/3", do: record}',
                   '{on: "lines:1/res/0", do: add, strength: 1, when: {feature: "lines:1/res/3", above: 0}}'):
        errors = said(policy, 2)
        assert "lines.npy" in errors and "NaN" in errors and errors.count("error:") == 1
        assert "one.yaml:5:3:" in errors and "note: for this policy" in errors
    errors = said('{on: "lines:1/res/2", do: add, strength: 1, times: loud}', 0)
    assert "one.yaml:9:13: warning: the decoder row of lines:1/res/2 is zero: nothing is written along it" in \
        errors.replace("of 1/res/2", "of lines:1/res/2")
    assert "zero" not in said('{on: "lines:1/res/0", do: add, strength: 1, times: loud}', 0)


def test_tokens_that_the_program_has_no_room_for_are_told(folder, tmp_path):
    """Of a policy that never acts, and of positions that are not there; a spec for longer programs stays one."""
    policies = ("start: {on: 'lines:1/res/0', do: add, strength: 4, tokens: {from: 24}}",
                "skip: {on: 'lines:1/res/0', do: add, strength: 4, tokens: {skip_first: 30, part: generated}}",
                "list: {on: 'lines:1/res/0', do: add, strength: 4, tokens: {positions: [99, 1, 24]}}",
                "one: {on: 'lines:1/res/0', do: add, strength: 4, tokens: {positions: [24]}}",
                "fits: {on: 'lines:1/res/0', do: add, strength: 4, tokens: {from: 23, to: 5000}}")
    head = SPEC[:SPEC.index("knobs:")].replace("sae/", f"{folder}/sae/").replace("lines.npy", f"{folder}/lines.npy")
    (tmp_path / "spec.yaml").write_text(head + "policies:\n" + "".join(f"  {policy}\n" for policy in policies))
    said = json.loads(run("weirc", "check", tmp_path / "spec.yaml", "--model", folder / "tiny.pt2", "--json").stdout)["diagnostics"]
    told = [entry for entry in said if "positions" in entry["message"]]
    rest = ", and a row of this program has 24 positions, 0 to 23"
    assert [entry["message"] for entry in told] == [
        "policy 'start' never acts: its tokens begin at position 24" + rest,
        "policy 'skip' never acts: its tokens begin at position 30" + rest,
        "policy 'list' does not act at all of its positions: 2 of 3 are beyond the end, up to 99" + rest,
        "policy 'one' never acts: its position is 24" + rest]
    lines = (tmp_path / "spec.yaml").read_text().splitlines()
    for entry, (policy, pointed) in zip(told, zip(policies, ("24", "30", "99", "24"))):
        assert entry["severity"] == "warning" and lines[entry["line"] - 1].strip() == policy
        assert lines[entry["line"] - 1][entry["column"] - 1:].startswith(pointed)
    # Not thousands of lines.
    many = "".join(f"  p{number}: {{on: 'lines:1/res/0', do: record, tokens: {{from: 24}}}}\n" for number in range(30))
    (tmp_path / "spec.yaml").write_text(head + "policies:\n" + many)
    said = run("weirc", "check", tmp_path / "spec.yaml", "--model", folder / "tiny.pt2").stderr
    assert said.count("never acts") == 20 and "10 more policies have tokens beyond the positions of the program" in said


def test_names_of_features_need_no_dictionary_of_their_own(folder, tmp_path):
    """What only has a name is no part of the program; where its file is missing, that is said."""
    spec = SPEC.replace("layers: 0..2", "layers: 0..3").replace('"sae/', f'"{folder}/sae/').replace("lines.npy", f"{folder}/lines.npy")
    (tmp_path / "spec.yaml").write_text(spec.replace("model: {program: tiny.pt2}", f"model: {{program: {folder}/tiny.pt2}}")
                                        + "labels: {'sae:2/res/1': heard, 'sae:3/res/1': lost}\n")
    said = run("weirc", "build", tmp_path / "spec.yaml", "-o", tmp_path / "out").stderr
    assert re.search(r"warning: cannot tell whether the dictionary has the feature 3/res/1, which has a name: .*res\.3: no such", said)
    assert not re.search(r"sae.res.[23]", (tmp_path / "out/manifest.json").read_text())


def test_an_error_of_a_dictionary_is_told_once(folder, tmp_path):
    for layer in (0, 2):
        (tmp_path / f"sae/res.{layer}").mkdir(parents=True)
    policy = "{on: [" + ", ".join(f'"sae:{layer}/res/{index}"' for layer in (0, 2) for index in range(5)) + "], do: record}"
    path = with_policy(folder, policy)
    (tmp_path / "one.yaml").write_text(path.read_text().replace("loud: {default", "unused: {default"))
    said = run("weirc", "check", tmp_path / "one.yaml", "--model", folder / "tiny.pt2", code=2).stderr
    assert said.count("error:") == 2, said


def test_pyyaml_can_read_and_write_a_spec(tmp_path):
    text = SPEC.replace("on:", '"on":')
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(text), sort_keys=False))
    run("weirc", "check", path)
    path.write_text(yaml.safe_dump(yaml.safe_load(SPEC), sort_keys=False))
    said = run("weirc", "check", path, code=2).stderr
    assert "to YAML 1.1, and so to PyYAML, 'on' is true; write \"on\" in quotes" in said
    assert "must have the key 'on'" not in said


# What tools say and leave.

def test_explained_ir_is_for_weir_opt(folder):
    done = run("weirc", "explain", folder / "spec.yaml", "--ir")
    assert "# Steering report" in done.stderr and "# Steering report" not in done.stdout
    parsed = run("weir-opt", input=done.stdout).stdout
    assert "steer.patch" in parsed
    printed = json.loads(run("weirc", "explain", folder / "spec.yaml", "--ir", "--json").stdout)
    assert printed["ok"] and "steer.patch" in printed["ir"] and printed["report"]["sites"]


def test_a_module_is_exported_with_its_recipes(folder, tmp_path):
    """Stage by stage through the tools' texts and streams: the program that one build writes."""
    explained = run("weirc", "explain", folder / "spec.yaml", "--ir").stdout
    lowered = run("weir-opt", "--weir-lower-to-aten", input=explained).stdout
    assert "fx.constant #flow.rows" in lowered
    archive = ("--export-pt2", "--archive", folder / "tiny.pt2")
    run("weir-translate", *archive, "--base", folder, "-o", tmp_path / "out.pt2", input=lowered)
    run("weirc", "build", folder / "spec.yaml", "-o", tmp_path / "built")
    ours, built = (torch.export.load(path) for path in (tmp_path / "out.pt2", tmp_path / "built/program.pt2"))
    inputs = (torch.tensor(IDS).clamp(min=0), torch.tensor([[0, 1, 2, 3], [0, 1, -1, -1]]), torch.tensor([4, 2]),
              torch.tensor([0, -1]), torch.ones(2, 1))
    assert all(map(torch.equal, ours.module()(*inputs), built.module()(*inputs)))
    assert ours.graph_module.code == built.graph_module.code
    for name in "state_dict", "constants":
        got, want = getattr(ours, name), getattr(built, name)
        assert got.keys() == want.keys() and all(torch.equal(got[key], want[key]) for key in want)
    said = run("weir-translate", *archive, "-o", tmp_path / "none.pt2", input=lowered, code=1, cwd=tmp_path).stderr
    assert "sae/res." in said and not (tmp_path / "none.pt2").exists()


def test_report_and_remarks_name_what_selectors_chose(folder):
    policy = '{on: {antagonists: "sae:1/res/3", count: 2}, do: ablate, tokens: prompt}'
    done = run("weirc", "explain", with_policy(folder, policy), "--model", folder / "tiny.pt2", "--json", "--remarks")
    printed = json.loads(done.stdout)
    (entry,) = printed["report"]["policies"]
    assert entry["policy"] == "one" and entry["count"] == 2 and len(entry["features"]) == 2
    remarks = [each["message"] for each in printed["diagnostics"] if each["severity"] == "remark"]
    chosen = ", ".join(feature.removeprefix("sae:") for feature in entry["features"])
    assert len(remarks) == 1 and f"selects {chosen}" in remarks[0], remarks


def test_one_feature_is_read_once(folder):
    policies = """{on: "sae:1/res/3", do: ablate, when: {feature: "sae:0/res/2", above: 0}}
  two: {on: "sae:0/res/2", do: record}"""
    done = run("weirc", "explain", with_policy(folder, policies), "--model", folder / "tiny.pt2", "--ir")
    assert done.stdout.count("steer.read") == 2
    assert "| 1 feature of sae.res.0 | output two.res.0<br>conditions |" in done.stderr.replace(
        "conditions<br>output two.res.0", "output two.res.0<br>conditions")


def test_looking_at_a_cache_makes_none(tmp_path):
    for command in ("ls", "verify", "gc"):
        said = run("weirc", "cache", command, "--cache", tmp_path / "new", code=2).stderr
        assert f"there is no cache at '{tmp_path}/new'" in said
        home = dict(os.environ, HOME=str(tmp_path), XDG_CACHE_HOME="", WEIR_CACHE="")
        assert "0 entries: there is no cache at" in run("weirc", "cache", command, env=home).stdout
    assert not list(tmp_path.iterdir())


def test_unknown_commands_get_a_hint():
    assert run("weirc", "chek", "spec.yaml", code=1).stderr == "weirc: unknown command 'chek'; did you mean 'check'?\n"
    said = run("weirc", "frobnicate", code=1).stderr
    assert said.startswith("weirc: unknown command 'frobnicate'; there is ") and "'build'" in said


def test_misspelt_options_and_folders_get_a_hint(folder):
    said = run("weirc", "check", folder / "spec.yaml", "--modell", "x", code=1).stderr
    assert "There is no option '--modell'; did you mean '--model'?" in said
    for arguments in (("vet", folder / "counted"), ("explain", folder / "spec.yaml", "--model", folder / "counted")):
        said = run("weirc", *arguments, code=2).stderr
        assert f"{folder}/counted: not a regular file but a folder; give the program in it, {folder}/counted/program.pt2" in said
    assert "give a .pt2 file" in run("weirc", "vet", folder, code=2).stderr


def test_an_action_that_does_not_exist_is_told_which_do(folder):
    said = run("weirc", "check", with_policy(folder, '{on: "sae:1/res/3", do: frobnicate}'), code=2).stderr
    assert "unknown action 'frobnicate'" in said and "'record'" in said and "'substitute'" in said


def test_an_export_without_weights_is_one_line(folder):
    program = run("weir-translate", "--import-pt2", folder / "tiny.pt2").stdout
    said = run("weir-translate", "--export-pt2", input=program, code=1)
    assert "--export-pt2 needs --archive, the archive with the program's weights" in said.stderr
    assert len(said.stderr) < 500 and not said.stdout


def test_a_link_to_no_spec_is_no_missing_spec(folder, tmp_path):
    artefact = tmp_path / "linked"
    run("weirc", "build", folder / "spec.yaml", "-o", artefact)
    (artefact / "spec.yaml").unlink()
    run("weir-run", artefact, "--ids", folder / "ids.npy", "--logits", tmp_path / "out.npy")
    (artefact / "spec.yaml").symlink_to(tmp_path / "absent")
    said = run("weir-run", artefact, "--ids", folder / "ids.npy", "--logits", tmp_path / "out.npy", code=1).stderr
    assert "spec.yaml" in said


def test_a_package_that_cannot_be_loaded_leaves_nothing(folder, tmp_path):
    (tmp_path / "tiny.pt2").write_bytes((folder / "tiny.pt2").read_bytes())
    with zipfile.ZipFile(tmp_path / "tiny.aot.pt2", "w") as package:
        package.writestr("tiny/data/aotinductor/model/wrapper.so", b"no library")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    run("weir-run", tmp_path / "tiny.pt2", "--engine", "aot", "--ids", folder / "ids.npy", "--logits", tmp_path / "out.npy",
        code=1, env=dict(os.environ, TMPDIR=str(temporary)))
    assert not list(temporary.iterdir())


def test_operators_can_be_allowed_for_vetting_and_in_python(tmp_path):
    class Spectrum(torch.nn.Module):
        def forward(self, input_ids, positions):
            return torch.fft.fft(input_ids.float()[..., None].repeat(1, 1, 4)).real + positions[..., None]

    batch, length = torch.export.Dim("batch", min=1, max=3), torch.export.Dim("length", min=1, max=8)
    ids = torch.zeros(2, 2, dtype=torch.long)
    exported = torch.export.export(Spectrum(), (ids, ids.clone()), dynamic_shapes=({0: batch, 1: length},) * 2)
    info = {"weir": 1, "vocab_size": 4, "max_batch": 3, "max_length": 8}
    path = tmp_path / "spectrum.pt2"
    torch.export.save(exported, path, extra_files={"weir.json": json.dumps(info)})
    called = {node.target for node in exported.graph.nodes if node.op == "call_function"}
    unknown = sorted(str(target) for target in called if "fft" in str(target))
    assert "aten.fft_fft.default" in unknown
    assert "aten.fft_fft.default" in run("weirc", "vet", path, code=2).stderr
    assert "--allow-operator" in run("weirc", "vet", path, "--allow-operator", "x", code=1).stderr
    said = run("weirc", "vet", path, *(f"--allow-operator={name}" for name in unknown)).stderr
    assert "warning:" in said and "aten.fft_fft.default" in said
    with pytest.raises(weir.WeirError, match="aten.fft_fft.default"):
        weir.load(path)
    with pytest.warns(WeirWarning, match="aten.fft_fft.default"):
        program = weir.load(path, allow_operators=unknown)
    assert torch.equal(program([[3, 1]]).logits[0, :, 0], torch.tensor([12.0, 5.0]))


def test_help_of_the_language_server_needs_room():
    with open("/dev/full", "w") as full:
        done = subprocess.run([TOOLS / "weir-lsp-server", "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "weir-lsp-server: error: cannot write to standard output: No space left on device" in done.stderr


# A feature along matches.

def test_a_feature_is_followed_as_a_chain(tmp_path):
    case = Case(tmp_path)
    tables = {}
    done = subprocess.run([*case.command("--follow", "1/res/5", "--json"), "--export", tmp_path / "all.csv"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for line in (tmp_path / "all.csv").read_text().splitlines()[1:]:
        matching, source, index, target, found, rank, similarity, steps = line.split(",")
        if steps == "1":
            tables.setdefault(matching, []).append((source, int(index), target, int(found), float(similarity)))
    # The most similar neighbours, looked up in the pairs themselves.
    backward = {"flow": True, "parts": True, "permutation": False}

    def next_to(matching, at, back):
        pairs = [((target, found), similarity) if back == backward[matching] else ((source, index), similarity)
                 for source, index, target, found, similarity in tables[matching]
                 if ((source, index) if back == backward[matching] else (target, found)) == at]
        pairs = [pair for pair in pairs if pair[1] > 0 or matching == "permutation"]
        return max(pairs, key=lambda pair: pair[1], default=None)

    def chain(matching, back):
        at, links = ("res.1", 5), []
        while found := next_to(matching, at, back):
            at = found[0]
            links.append(found)
        return links

    chains = {each["matching"]: each for each in json.loads(done.stdout)["chains"]}
    assert set(chains) == set(backward)
    for matching, each in chains.items():
        assert each["feature"] == "1/res/5"
        for key, back in (("predecessors", True), ("successors", False)):
            want = [("/".join([site.split(".")[1], site.split(".")[0], str(index)]), similarity)
                    for (site, index), similarity in chain(matching, back)]
            assert [(link["feature"], link["similarity"]) for link in each[key]] == [
                (name, pytest.approx(similarity)) for name, similarity in want], (matching, key)
    assert any(each["predecessors"] for each in chains.values()) and any(each["successors"] for each in chains.values())
    text = subprocess.run(case.command("--follow", "1/res/5"), capture_output=True, text=True)
    assert "> 1/res/5" in text.stdout.splitlines()
    for wrong, code, reason in (("1/res", 1, "'1/res' is no feature: a feature is layer/site/index"),
                                ("9/res/1", 2, "no match has the site 9/res"),
                                ("1/res/99", 2, "there is no feature 99 at 1/res")):
        done = subprocess.run(case.command("--follow", wrong), capture_output=True, text=True)
        assert done.returncode == code and reason in done.stderr, done.stderr


def test_an_error_of_an_archive_names_it_once(folder, tmp_path):
    """Readers of archives name the file, those of what stands in it do not."""
    for missing, reason in (("extra/weir.json", "no record 'extra/weir.json'"), (None, "extra/weir.json: ")):
        path = tmp_path / "other.pt2"
        with zipfile.ZipFile(folder / "tiny.pt2") as source, zipfile.ZipFile(path, "w") as out:
            for info in source.infolist():
                data = source.read(info)
                if info.filename.endswith("extra/weir.json"):
                    if missing:
                        continue
                    data = b"{}"
                out.writestr(info.filename, data)
        said = run("weirc", "check", folder / "spec.yaml", "--model", path, code=2).stderr
        assert reason in said and said.count("other.pt2") == 1, said
