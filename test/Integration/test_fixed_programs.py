# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs with one plan compiled in (`weirc build --fixed`): the numbers of the ordinary program with that plan."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
import specs
import torch
import weir
from conftest import EFFORT
from engines import TOOLS, Built
from hypothesis import strategies as st
from models import Tally, apart
from test_equivalence_tables import many_plans
from test_equivalence_tiny import SAME_PROGRAM, prepared, references

NEITHER = {"plan", "knobs"}


def used_knobs(spec, plan: str) -> set[str]:
    """The knobs that the policies of a plan multiply by."""
    policies = [spec.policies[name] for name in spec.plans[plan]]
    return {knob for policy in policies for where in (policy, policy.get("strength"))
            if isinstance(where, dict) and (knob := where.get("times"))}


def check_fixed(case, model, folder: Path, plan: str, tally: Tally):
    """The plan, fixed at the knobs of the first row, against hooks and against the ordinary program."""
    reference, ordinary = prepared(case, model, folder)
    knobs = {name: value for name, value in case.batches[0].knobs[0].items()
             if name in used_knobs(reference.spec, plan)}
    fixed = Built(ordinary.spec, model.archive, folder / "fixed", stats=case.seed % 2 == 0, fixed=plan, knobs=knobs)
    assert not NEITHER & set(fixed.manifest["inputs"])
    assert fixed.manifest["plans"] == [plan]
    assert {knob["name"] for knob in fixed.manifest["fixed"]["knobs"]} == used_knobs(reference.spec, plan)
    for batch in case.batches:
        count = len(batch.ids)
        batch = replace(batch, plans=[plan] * count, knobs=[knobs] * count)
        want, _ = ordinary.run(batch)
        got, records = fixed.run(batch)
        again, _ = fixed.run_in_python(batch)
        for row, hooked in enumerate(references(reference, batch)):
            tally.compare(got[row], records[row], hooked)
            length = hooked.doubtful
            assert apart(got[row, :length], want[row, :length]) <= SAME_PROGRAM
            assert torch.equal(got[row, :len(batch.ids[row])], again[row, :len(batch.ids[row])])
        if fixed.counts:
            ordinary.run(batch)
            fixed.run(batch)
            named = {(entry["policy"], entry["site"]) for entry in fixed.stats}
            assert [entry for entry in ordinary.stats if (entry["policy"], entry["site"]) in named] == fixed.stats \
                or any(hooked.doubtful < len(row) for hooked, row in zip(references(reference, batch), batch.ids))


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_random_specs_with_one_plan_fixed(family, tiny):
    model, tally = tiny(family), Tally()

    @hypothesis.settings(max_examples=2 * EFFORT)
    @hypothesis.given(specs.cases(specs.Shape(family, tuple(model.kinds))), st.data())
    def check(case, data):
        plan = data.draw(st.sampled_from(sorted(case.data["plans"])))
        with tempfile.TemporaryDirectory() as folder:
            try:
                check_fixed(case, model, Path(folder), plan, tally)
            except AssertionError as error:
                error.add_note(f"plan {plan} of\n{specs.text(case.data)}")
                raise

    check()
    tally.assert_enough()


def test_a_plan_of_tables_fixed(tiny):
    """What was a row of a table is edits of its own again."""
    model, tally = tiny("llama"), Tally()

    @hypothesis.settings(max_examples=2 * EFFORT)
    @hypothesis.given(many_plans(specs.Shape("llama", tuple(model.kinds))), st.data())
    def check(case, data):
        plan = data.draw(st.sampled_from(sorted(case.data["plans"])))
        with tempfile.TemporaryDirectory() as folder:
            check_fixed(case, model, Path(folder), plan, tally)
            assert "by its plan" not in (Path(folder) / "fixed" / "report.md").read_text()

    check()
    tally.assert_enough()


SPEC = """\
weir: 1
model: {program: model.pt2}
dictionaries:
  n: {format: neurons, sites: [mlp], layers: 0..2}
  nowhere: {format: sae_lens, path: "missing/{layer}", sites: [res], layers: 0..2}
knobs:
  much: {default: 1, range: [0, 4]}
  other: {default: 1}
policies:
  more: {on: n:1/mlp/3, do: add, strength: 4, times: much}
  late: {on: n:1/mlp/4, do: add, strength: 4, tokens: generated}
  quiet: {on: n:1/mlp/5, do: ablate}
  missing: {on: nowhere:1/res/0, do: scale, factor: 2, times: other}
  watch: {on: n:1/mlp/3, do: record}
  gate: {gate: quiet, do: record}
plans:
  calm: [quiet]
  plain: []
  more: [more, late, watch, gate]
  broken: [missing]
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fixed") / "spec.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def more(written, tiny) -> Built:
    return Built(written, tiny("llama").archive, written.parent / "more", stats=True, fixed="more", knobs={"much": 2.5})


@pytest.fixture(scope="module")
def more_alone(more, written, tiny) -> Built:
    """The same; all that it needs is in the archive."""
    if "kernels" not in more.manifest:
        return more
    return Built(written, tiny("llama").archive, written.parent / "alone", stats=True, fixed="more", knobs={"much": 2.5},
                 lower="aten")


def build(spec: Path, model: Path, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run([TOOLS / "weirc", "build", spec, "--model", model, "-o", spec.parent / "wrong", *arguments],
                          capture_output=True, text=True)


def test_what_only_other_plans_need_is_not_opened(more):
    """The dictionary of `broken` is not there."""
    assert [entry["name"] for entry in more.manifest["dictionaries"]] == ["n.mlp.1"]
    assert [policy["name"] for policy in more.manifest["policies"]] == ["more", "late", "quiet", "watch", "gate"] \
        or [policy["name"] for policy in more.manifest["policies"]] == ["more", "late", "watch", "gate"]
    assert more.manifest["fixed"]["knobs"] == [{"name": "much", "value": 2.5}]


def test_a_fixed_program_needs_the_length_of_the_prompt_only_where_it_counts(more, written, tiny):
    assert more.manifest["inputs"] == ["input_ids", "positions", "prompt_length"]
    calm = Built(written, tiny("llama").archive, written.parent / "calm", fixed="calm")
    assert calm.manifest["inputs"] == ["input_ids", "positions"]


def test_a_fixed_plan_without_policies_is_the_model_to_the_bit(written, tiny):
    plain = Built(written, tiny("llama").archive, written.parent / "plain", fixed="plain")
    batch = specs.Batch([[5, 9, 11, 3], [7, 4]], ["plain"] * 2, [2, 1], [{}] * 2)
    got, _ = plain.run_in_python(batch)
    module = torch.export.load(tiny("llama").archive).module()
    ids = batch.padded()
    with torch.no_grad():
        want = module(ids.clamp(min=0), torch.where(ids < 0, -1, torch.arange(4)))
    for row, length in enumerate((4, 2)):
        assert torch.equal(got[row, :length], want[row, :length])


def test_tokens_are_counted_and_asserted(more):
    batch = specs.Batch([[5, 9, 11, 3], [7, 4]], ["more"] * 2, [2, 1], [{}] * 2)
    _, records = more.run(batch)
    counted = {entry["policy"]: entry["rows"] for entry in more.stats}
    assert counted == {"more": [4, 2], "late": [2, 1]}
    # The plan has not the policy whose gate is recorded.
    assert not any(values.any() for row in records for column, values in row.items() if column[0] == "gate")
    done = subprocess.run([TOOLS / "weir-run", more.folder, "--ids", more.folder.with_name("more-ids.npy"),
                           "--assert-steered"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    program = weir.load(more.folder)
    program(batch.ids)
    assert program.stats.edited["more"] == {"1/mlp": 6}
    program.stats.assert_steered()


def test_another_plan_or_a_knob_is_an_error(more):
    ids = more.folder.with_name("more-ids.npy")
    more.run(specs.Batch([[5, 9]], ["more"], [2], [{}]))

    def run(*arguments):
        return subprocess.run([TOOLS / "weir-run", more.folder, "--ids", ids, "--stats", *arguments], capture_output=True,
                              text=True)

    for name in ("calm", "none"):
        done = run("--plan", name)
        assert done.returncode == 1
        assert f"the plan 'more' is compiled in for every row, so that none can follow '{name}'" in done.stderr
    assert run("--plan", "more").returncode == 0
    done = run("--knob", "much=1")
    assert done.returncode == 1 and "knob 'much' is compiled in as 2.5" in done.stderr
    program = weir.load(more.folder)
    assert program.fixed == {"much": 2.5} and "compiled in for every row, much = 2.5" in repr(program)
    for wrong in ("calm", None, -1):
        with pytest.raises(weir.WeirError, match="the plan 'more' is compiled in for every row"):
            program([[5, 9]], plan=wrong)
    with pytest.raises(weir.WeirError, match="knob much is compiled in as 2.5"):
        program([[5, 9]], knobs={"much": 1})
    assert torch.equal(program([[5, 9]]).logits, program([[5, 9]], plan="more").logits)


def test_the_archive_alone_says_what_is_fixed(more, more_alone, tmp_path):
    archive = tmp_path / "program.pt2"
    archive.write_bytes((more_alone.folder / "program.pt2").read_bytes())
    assert weir.load(archive).fixed == {"much": 2.5}
    done = subprocess.run([TOOLS / "weir-run", archive, "--ids", more.folder.with_name("more-ids.npy"), "--plan", "calm",
                           "--stats"], capture_output=True, text=True)
    assert "compiled in for every row" in done.stderr


def test_a_manifest_that_says_otherwise_is_refused(more_alone, tmp_path):
    more = more_alone
    for name in ("program.pt2", "spec.yaml", "report.md"):
        (tmp_path / name).write_bytes((more.folder / name).read_bytes())
    manifest = {**more.manifest, "fixed": {"knobs": [{"name": "much", "value": 3}]}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    done = subprocess.run([TOOLS / "weir-run", tmp_path, "--ids", more.folder.with_name("more-ids.npy"), "--stats"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and '"fixed.knobs[0].value" is 3 in the manifest and 2.5 in the program' in done.stderr
    with pytest.raises(weir.WeirError, match="fixed.knobs"):
        weir.load(tmp_path)
    del manifest["fixed"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert subprocess.run([TOOLS / "weir-run", tmp_path, "--ids", more.folder.with_name("more-ids.npy"), "--stats"],
                          capture_output=True).returncode == 1
    with pytest.raises(weir.WeirError):
        weir.load(tmp_path)


@pytest.mark.parametrize("arguments, message", [
    (["--fixed", "clam"], "--fixed: there is no plan 'clam'; the spec has calm, plain, more, broken"),
    (["--fixed", "none"], "--fixed: there is no plan 'none'; the spec has calm, plain, more, broken"),
    (["--fixed", "more", "--knob", "much=9"], "--knob: knob 'much' is fixed at 9, outside of its range, 0 to 4"),
    (["--fixed", "more", "--knob", "other=1"], "--knob: knob 'other' is fixed, but no policy of plan 'more' uses it"),
    (["--fixed", "more", "--knob", "mch=1"], "--knob: there is no knob 'mch'; the spec has much, other"),
    (["--fixed", "more", "--knob", "much"], "--knob: a knob is fixed as NAME=NUMBER, not 'much'; the spec has much, other"),
    (["--fixed", "more", "--knob", "much=nan"], "--knob: a knob is fixed as NAME=NUMBER, not 'much=nan'; the spec has much, other"),
    (["--fixed", "more", "--knob", "much=1", "--knob", "much=2"], "--knob: knob 'much' is fixed twice"),
])
def test_wrong_plans_and_knobs(written, tiny, arguments, message):
    """They are the command's: no line of the spec is to blame, but for a note where a knob's range is."""
    done = build(written, tiny("llama").archive, *arguments)
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if ": error: " in line or ": note: " in line]
    assert said[0] == f"weirc: error: {message}"
    where = {"much=9": "spec.yaml:7:3: note: the knob", "other=1": "spec.yaml:8:3: note: the knob"}.get(arguments[-1])
    assert len(said) == (2 if where else 1) and (not where or said[1].endswith(where)), done.stderr
    assert not (written.parent / "wrong").exists()


def test_a_knob_needs_a_plan(written, tiny):
    done = build(written, tiny("llama").archive, "--knob", "much=1")
    assert done.returncode == 1 and "--fixed" in done.stderr


@pytest.mark.usefixtures("warm_python")
def test_a_package_of_a_fixed_program(written, tiny):
    """It is compared with the reference engine while it is made."""
    program = Built(written, tiny("llama").archive, written.parent / "package", engine="aot", fixed="more")
    batch = specs.Batch([[5, 9, 11, 3], [7, 4]], ["more"] * 2, [2, 1], [{}] * 2)
    want, _ = program.run(batch)
    got, _ = program.run(batch, engine="aot")
    for row, length in enumerate((4, 2)):
        assert apart(got[row, :length], want[row, :length]) < 1e-3
