# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random specs with many plans, whose policies differ in numbers only and become rows of tables:
compiled programs against hooks, row against batch, tokens at once and one by one."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import zipfile
from pathlib import Path

import families
import hooks
import hypothesis
import pytest
import specs
import torch
from conftest import EFFORT
from engines import TOOLS, Built
from hypothesis import strategies as st
from models import Tally, apart
from test_equivalence_fixed import MARKERS
from test_equivalence_tiny import check_whole, references

PLANS = 12
FEATURE = re.compile(r"((?:\w+:)?(\d+)/(\w+))/(\d+)")


class Variants:
    """Policies of the form of a given one: other features of the same dictionaries, other numbers."""

    def __init__(self, draw, drawing):
        self.draw, self.drawing = draw, drawing

    def count(self, site: str) -> int:
        name = site.partition(":")[0] if ":" in site else next(iter(self.drawing.collections))
        return self.drawing.counts[name]

    def features(self, selected: list, taken: set) -> list:
        """Other features of the same sites, none of them twice."""
        found = []
        for each in selected:
            match = FEATURE.fullmatch(each) if isinstance(each, str) else None
            if match:
                site = match.group(1)
                index = self.draw(st.integers(0, self.count(site) - 1).filter(
                    lambda index: (site.rpartition(":")[2], index) not in taken))
                taken.add((site.rpartition(":")[2], index))
                each = f"{site}/{index}"
            found.append(each)
        return found

    def number(self, value: float) -> float:
        return value * self.draw(st.sampled_from([-1.0, 0.5, 1.0, 1.5]))

    def condition(self, condition: dict) -> dict:
        for key in ("any", "all"):
            if key in condition:
                return {key: [self.condition(each) for each in condition[key]]}
        shift = self.draw(st.sampled_from([-0.1, 0.0, 0.1]))
        return {key: self.features([value], set())[0] if key == "feature" else value + shift
                for key, value in condition.items()}

    def tokens(self, scope):
        if not isinstance(scope, dict):
            return self.draw(st.sampled_from(["prompt", "generated", "last", "sampled"])) if scope != "all" else scope
        scope, shift = dict(scope), self.draw(st.integers(0, 3))
        if "positions" in scope:
            scope["positions"] = sorted({position + shift for position in scope["positions"]})
        for end in ("from", "to"):
            if end in scope:
                scope[end] += shift
        # Other markers of the same kinds, none of them for two things.
        frequent = self.drawing.shape.frequent
        other = dict(zip(frequent, self.draw(st.permutations(frequent))))

        def renamed(markers):
            return [renamed(each) for each in markers] if isinstance(markers, list) else other[markers]

        scope |= {key: renamed(scope[key]) for key in ("after", "until", "between") if key in scope}
        if "ramp" in scope:
            scope["ramp"] = {"over": self.draw(st.integers(2, 8))}
        if "decay" in scope:
            scope["decay"] = {"half": self.draw(st.sampled_from([0.5, 1, 3, 64]))}
        return scope

    def of(self, policy: dict) -> dict:
        policy, taken = copy.deepcopy(policy), set()
        for key in ("on", "to"):
            if key in policy:
                policy[key] = self.features(policy[key], taken)
        # Features that are the same by another way of naming them would be named twice.
        if any(not isinstance(each, str) for each in policy["on"]):
            policy["on"] = [each for each in policy["on"] if not isinstance(each, str)]
        for key in ("value", "factor"):
            if key in policy:
                policy[key] = self.number(policy[key])
        if "strength" in policy:
            if isinstance(policy["strength"], dict):
                key = "dose" if "dose" in policy["strength"] else "value"
                policy["strength"][key] = self.number(policy["strength"][key])
            else:
                policy["strength"] = self.number(policy["strength"])
        if "tokens" in policy:
            policy["tokens"] = self.tokens(policy["tokens"])
        if "when" in policy:
            policy["when"] = self.condition(policy["when"])
        if "times" in policy:
            policy["times"] = self.draw(st.sampled_from(sorted(self.drawing.knobs)))
        return policy


@st.composite
def many_plans(draw, shape: specs.Shape) -> specs.Case:
    """One to three forms; each plan has a policy of some of them, and now and then one of another plan."""
    drawing = specs._Drawing(draw, shape)
    drawing.collection("sae", "sae_lens")
    if drawing.one_in(2):
        drawing.collection("other", "sae_lens")
    forms = [drawing.policy() for _ in range(draw(st.integers(1, 3)))]
    variants, policies, plans = Variants(draw, drawing), {}, {}
    for plan in range(PLANS):
        members = plans[f"q{plan}"] = []
        for number, form in enumerate(forms):
            if drawing.one_in(8):
                continue
            name = f"p{number}x{plan}"
            if plan and drawing.one_in(8):
                name = f"p{number}x{draw(st.integers(0, plan - 1))}"
            if name not in policies:
                policies[name] = variants.of(form)
            members.append(name)
    if not policies:
        policies["p0"] = forms[0]
    data = {"weir": 1, "model": {"program": f"{shape.family}.pt2"}, "dictionaries": drawing.collections}
    if drawing.knobs:
        data["knobs"] = drawing.knobs
    data |= {"policies": policies, "plans": plans}
    batches = tuple(drawing.batch(list(plans)) for _ in range(2))
    # An odd seed: what counts its edits has no tables (see `prepared`).
    return specs.Case(shape.family, 2 * draw(st.integers(0, 10**6)) + 1, data, batches)


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_random_specs_with_many_plans(family, tiny):
    model, tally, tabulated = tiny(family), Tally(), []

    @hypothesis.settings(max_examples=3 * EFFORT)
    @hypothesis.given(many_plans(specs.Shape(family, tuple(model.kinds))))
    def check(case):
        check_whole(case, model, tally, lambda program, reference: tabulated.append(
            "by its plan, out of" in (program.folder / "report.md").read_text()))

    check()
    tally.assert_enough()
    assert any(tabulated), "no plan became a row of a table"


def written(folder: Path, policies: list[str], plans: list[str]) -> Path:
    path = folder / "spec.yaml"
    path.write_text("\n".join([
        "weir: 1", "model: {program: model.pt2}", "dictionaries:", "  n: {format: neurons, sites: [mlp], layers: 0..2}",
        "policies:", *(f"  p{i}: {text}" for i, text in enumerate(policies)),
        "plans:", *(f"  q{i}: [{text}]" for i, text in enumerate(plans))]) + "\n")
    return path


def calls(program: Path) -> int:
    with zipfile.ZipFile(program) as archive:
        name = next(name for name in archive.namelist() if name.endswith("models/model.json"))
        return len(json.loads(archive.read(name))["graph_module"]["graph"]["nodes"])


@pytest.fixture(scope="module")
def sizes(tiny, tmp_path_factory):
    """Calls that a number of plans add to the model, each plan with three policies of eight features at most."""
    folder, model = tmp_path_factory.mktemp("sizes"), tiny("llama").archive

    def build(count: int) -> Built:
        policies = []
        for i in range(count):
            some = ", ".join(f"1/mlp/{(i + j) % 24}" for j in range(1 + i % 8))
            policies += [f"{{on: [{some}], do: set, value: {i % 7}, tokens: {{from: {i % 5}}}}}",
                         f"{{on: [1/mlp/{24 + i % 24}], do: scale, factor: 0.{1 + i % 8}, "
                         f"when: {{feature: 0/mlp/{i % 48}, above: 0.{i % 9}}}}}",
                         f"{{on: [2/mlp/{i % 48}], do: add, strength: {1 + i % 3}}}"]
        plans = [", ".join(f"p{3 * i + j}" for j in range(3)) for i in range(count)]
        return Built(written(folder, policies, plans), model, folder / f"of-{count}")

    return {count: build(count) for count in (32, 256)}, calls(model)


def test_added_calls_do_not_depend_on_the_number_of_plans(sizes):
    built, model = sizes
    added = {count: calls(program.folder / "program.pt2") - model for count, program in built.items()}
    assert len(set(added.values())) == 1 and 0 < added[32] < 150, added


def test_a_row_without_a_plan_is_the_model_to_the_bit(sizes, tiny):
    built, _ = sizes
    batch = specs.Batch([[5, 9, 11, 3], [7, 4], [8, 8, 8]], [None, None, "q200"], [2, 1, 3], [{}] * 3)
    logits, _ = built[256].run(batch)
    folder = built[256].folder.parent
    spec = written(folder, ["{on: 1/mlp/0, do: ablate}"], ["p0"])
    plain, _ = Built(spec, tiny("llama").archive, folder / "plain").run(
        specs.Batch(batch.ids, [None] * 3, [2, 1, 3], [{}] * 3))
    for row in (0, 1):
        assert torch.equal(logits[row, : len(batch.ids[row])], plain[row, : len(batch.ids[row])])
    assert not torch.equal(logits[2, :3], plain[2, :3])


def test_a_remark_says_what_was_tabulated(sizes):
    built, _ = sizes
    folder = built[32].folder.parent
    spec = written(folder, [f"{{on: 1/mlp/{i}, do: ablate}}" for i in range(8)], [f"p{i}" for i in range(8)])
    done = subprocess.run([TOOLS / "weirc", "explain", spec, "--model", families.exported("llama"), "--remarks"],
                          capture_output=True, text=True, check=True)
    for i in range(8):
        assert re.search(rf"spec.yaml:{6 + i}:\d+: remark: .*policy 'p{i}' became a row of a table at 1/mlp, one of 8",
                         done.stdout + done.stderr), done.stdout + done.stderr


def test_where_edits_are_counted_none_is_a_row_of_a_table(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("counted")
    spec = written(folder, [f"{{on: 2/mlp/{i}, do: add, strength: {1 + i}}}" for i in range(8)], [f"p{i}" for i in range(8)])
    built = Built(spec, tiny("llama").archive, folder / "program", stats=True)
    assert "by its plan" not in (built.folder / "report.md").read_text()
    built.run(specs.Batch([[5, 9, 11, 3], [7, 4], [8, 8, 8]], ["q3", None, "q5"], [2, 1, 3], [{}] * 3))
    counted = {entry["policy"]: entry["rows"] for entry in built.stats if entry["tokens"]}
    assert counted == {"p3": [4, 0, 0], "p5": [0, 0, 3]}


@pytest.mark.usefixtures("warm_python")
def test_a_package_of_many_plans(tiny, tmp_path_factory):
    """AOTInductor: every kind of reading that tables have, at sizes that stay free."""
    folder = tmp_path_factory.mktemp("package")
    policies = [f"{{on: [1/mlp/{i}{', 1/mlp/%d' % (i + 24) if i % 3 else ''}], do: set, value: {i % 7}, "
                f"tokens: {{from: {i % 5}}}, when: {{feature: 0/mlp/{i}, above: 0.0{i % 9}}}}}" for i in range(16)]
    policies += [f"{{on: 2/mlp/{i}, do: add, strength: {1 + i % 3}}}" for i in range(16)]
    spec = written(folder, policies, [f"p{i}, p{16 + i}" for i in range(16)])
    built = Built(spec, tiny("llama").archive, folder / "program", engine="aot")
    batch = specs.Batch([[5, 9, 11, 3], [7, 4], [8, 8, 8]], ["q3", None, "q12"], [2, 1, 3], [{}] * 3)
    reference, _ = built.run(batch)
    package, _ = built.run(batch, engine="aot")
    for row, ids in enumerate(batch.ids):
        assert apart(package[row, : len(ids)], reference[row, : len(ids)]) < 1e-3


def test_markers_and_ramps_are_data_of_a_plan(tiny, tmp_path):
    """Nine plans of two forms whose markers, beginnings and shares differ, three to a batch, at once and one by one;
    with nine more the program has no more operations."""
    model, tally, sizes = tiny("llama"), Tally(), []
    marks = [[4, 5], [6, 9], [8, 3], [5, 7], [9, 6], [3, 4], [6, 8], [9, 4], [8, 5]]
    for plans in (9, 18):
        policies = {}
        for index in range(plans):
            first, second = marks[index % 9]
            ramp = {"decay": {"half": 1 + index}} if index % 3 else {"ramp": {"over": 2 + index}}
            policies[f"push{index}"] = {
                "on": f"1/res/{index}", "do": "add", "strength": 1.5, "times": "k",
                "tokens": {"after": [first, second][: 1 + index % 2], **({"part": "sampled"} if index % 2 else {"from": 3}), **ramp}}
            policies[f"scale{index}"] = {
                "on": [f"2/mlp/{index % 12}", f"2/mlp/{index % 12 + 12}"], "do": "scale", "factor": -2,
                "tokens": {"between": [first, second], "until": 7 if second != 7 else 6, "ramp": {"over": 2 + index % 4}}}
        data = {"weir": 1, "model": {"program": "tiny.pt2"}, "knobs": {"k": {"default": 0.5}},
                "dictionaries": {"sae": {"format": "sae_lens", "path": "sae/{site}.{layer}", "sites": ["mlp", "res"], "layers": "0..2"}},
                "policies": policies, "plans": {f"q{index}": [f"push{index}", f"scale{index}"] for index in range(plans)}}
        (tmp_path / str(plans)).mkdir()
        path = specs.Case("llama", 4, data, ()).write(tmp_path / str(plans), model.sizes)
        program = Built(path, model.archive, path.parent / "program")
        assert "by its plan, out of" in (program.folder / "report.md").read_text()
        sizes.append(calls(program.folder / "program.pt2"))
    assert sizes[0] == sizes[1]
    reference = hooks.Reference(path, model.model)
    for index in range(0, 9, 3):
        batch = specs.Batch(MARKERS, [f"q{index + row}" for row in range(3)], [6, 8, 3], [{}, {"k": 1.0}, {"k": -1.0}])
        whole, _ = program.run_in_python(batch)
        pieces = [program.run_in_python(batch, *step)[0] for step in ((0, 3), *((at, at + 1) for at in range(3, 16)))]
        for row, want in enumerate(references(reference, batch)):
            tally.compare(whole[row], {}, want)
            tally.compare(torch.cat([logits[row] for logits in pieces]), {}, want)
    tally.assert_enough()
