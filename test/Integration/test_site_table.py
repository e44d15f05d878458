# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What sites.safetensors says, done by weir.sites on live models: the numbers of the reference, for rows and for
tokens that are flattened as a server flattens them."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import hooks
import hypothesis
import pytest
import specs
import torch
from conftest import EFFORT
from engines import Built
from models import Tally
from safetensors.torch import load_file, save_file
from test_equivalence_tables import many_plans
from test_equivalence_tiny import prepared, references
from weir.sites import Edits, History, Rows, SiteTable, SiteTableError


def run_live(model, edits: Edits, program: Built, batch: specs.Batch, row: int, flat: bool):
    """Logits [S, V] and records of one row of a batch on the Hugging Face model."""
    ids = torch.tensor([batch.ids[row]])
    count = ids.shape[1]
    plan = torch.tensor([-1 if batch.plans[row] is None else program.plans.index(batch.plans[row])])
    knobs = torch.tensor([[batch.knobs[row].get(name, default) for name, default in program.knobs.items()]]).view(1, -1)
    positions, length = torch.arange(count).unsqueeze(0), torch.tensor([batch.prompt_lengths[row]])
    history = History(ids.expand(count, -1) if flat else ids)
    if flat:
        plan, knobs, length, positions = plan.expand(count), knobs.expand(count, -1), length.expand(count), positions.T
    step = edits.begin(Rows(plan, knobs, positions, length, history))

    def edit(layer, kind, x):
        value = x.view(count, 1, -1) if flat else x
        return step.edit((kind, layer), value).view(x.shape)

    with torch.no_grad(), hooks.hooked(model, model.config, [(layer, kind) for kind, layer in edits.table.sites], edit):
        logits = model(ids, use_cache=False).logits[0]
    return logits, {name: values.view(count, -1) for name, values in step.records.items()}, step


def check_live(case, tiny, folder: Path, tally: Tally, flat: bool):
    reference, program = prepared(case, tiny, folder)
    table = SiteTable.open(program.folder)
    if table.refused:  # named, and so left to the program
        assert {entry["policy"] for entry in table.refused} == {
            name for name, policy in reference.spec.data["policies"].items() if policy["do"] == "substitute"}
        return
    edits = Edits(table, count=True)
    names = [record["name"] for record in program.manifest["records"]]
    for row, want in enumerate(references(reference, case.batches[1])):
        logits, records, step = run_live(tiny.model, edits, program, case.batches[1], row, flat)
        kept = [records[name].unsqueeze(0) for name in names if name in records]
        columns = [columns for name, columns in zip(names, program.columns) if name in records]
        by_feature = {column: values[0, :, index] for values, each in zip(kept, columns) for index, column in enumerate(each)}
        # Records behind the edits of a site, and of whole values, are those of the program alone.
        wanted = {column: values for column, values in want.records.items() if column in by_feature}
        tally.compare(logits, by_feature, hooks.Result(**{**vars(want), "records": wanted}))
        if case.batches[1].plans[row] is None:
            assert not any(edited.any() for edited in step.edited.values())


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_random_specs_on_a_live_model(family, tiny):
    model, tally = tiny(family), Tally()

    @hypothesis.settings(max_examples=5 * EFFORT)
    @hypothesis.given(specs.cases(specs.Shape(family, tuple(model.kinds))), hypothesis.strategies.booleans())
    def check(case, flat):
        with tempfile.TemporaryDirectory() as folder:
            check_live(case, model, Path(folder), tally, flat)

    check()
    tally.assert_enough()


def test_random_tables_on_a_live_model(tiny):
    """Many plans of one form: rows of tables, which flattened tokens look up each for itself."""
    model, tally = tiny("llama"), Tally()

    @hypothesis.settings(max_examples=5 * EFFORT)
    @hypothesis.given(many_plans(specs.Shape("llama", tuple(model.kinds))), hypothesis.strategies.booleans())
    def check(case, flat):
        with tempfile.TemporaryDirectory() as folder:
            check_live(case, model, Path(folder), tally, flat)

    check()
    tally.assert_enough()


SPEC = """\
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [res], layers: 0..2}
knobs:
  faith: {default: 1, range: [0, 4]}
policies:
  calm: {on: [1/res/3, 1/res/7], do: scale, factor: 0.5, times: faith, tokens: generated}
  push: {on: [1/res/3], do: add, strength: 4, tokens: {skip_first: 2}}
  watch: {on: [0/res/1], do: record}
plans:
  calm: [calm]
  quiet: [calm]
  push: [push]
  both: [push, watch]
"""


@pytest.fixture(scope="module")
def built(tiny, tmp_path_factory):
    """A built folder, and what its spec was written with."""
    case, folder = specs.Case("llama", 3, hooks.read(SPEC), ()), tmp_path_factory.mktemp("table")
    spec = case.write(folder, tiny("llama").sizes)
    return Built(spec, tiny("llama").archive, folder / "steered"), spec


def test_what_a_table_names(built, tiny):
    program, _ = built
    table = SiteTable.open(program.folder)
    assert table.sites == [("res", 0), ("res", 1)] and table.edited == [("res", 1)] and table.widths["res", 1] == 32
    assert [plan.name for plan in table.plans] == ["calm", "quiet", "push", "both"]
    assert table.plan("calm").knobs == ("faith",) and not table.plan("push").knobs
    assert (table.knobs[0].min, table.knobs[0].max) == (0, 4) and not table.refused
    assert table.model == program.manifest["model"]
    assert [policy.edits for policy in table.plan("both").policies] == [True, False]
    # By which a server tells another model.
    weights = dict(tiny("llama").model.named_parameters())
    for name, probe in table.tensors.items():
        if name.startswith("model/") and not name.endswith("lm_head.weight"):
            values = weights[name.removeprefix("model/")].detach().flatten()
            torch.testing.assert_close(probe, values[:: len(values) // 16][:16], rtol=0, atol=0)


def test_digests_are_of_what_plans_do(built, tiny, tmp_path):
    program, spec = built
    digests = {plan.name: plan.digest for plan in SiteTable.open(program.folder).plans}
    assert digests["calm"] == digests["quiet"] and len(set(digests.values())) == 3
    # Another number of another policy, other names and another order leave it; a dictionary's numbers do not.
    shutil.copytree(spec.parent / "sae", tmp_path / "sae")
    other = tmp_path / "other.yaml"
    other.write_text(SPEC.replace("strength: 4", "strength: 5").replace("  calm: [calm]\n", "").replace("quiet", "still"))
    again = {plan.name: plan.digest for plan in SiteTable.open(Built(other, tiny("llama").archive, tmp_path / "a").folder).plans}
    assert again["still"] == digests["calm"] and again["push"] != digests["push"]
    weights = tmp_path / "sae" / "res.1" / "sae_weights.safetensors"
    tensors = load_file(weights)
    tensors["W_enc"][0, 3] += 1
    save_file(tensors, weights)
    changed = {plan.name: plan.digest for plan in SiteTable.open(Built(other, tiny("llama").archive, tmp_path / "b").folder).plans}
    assert not set(changed.values()) & set(again.values())


def test_what_replaces_layers_is_named(tiny, tmp_path):
    data = hooks.read(SPEC)
    data["policies"]["short"] = {"do": "substitute", "layers": 1, "form": "drop"}
    data["plans"]["short"] = ["short"]
    case = specs.Case("llama", 3, data, ())
    try:
        program = Built(case.write(tmp_path, tiny("llama").sizes), tiny("llama").archive, tmp_path / "steered")
    except AssertionError as error:
        pytest.fail(str(error))
    refused, = SiteTable.open(program.folder).refused
    assert refused["policy"] == "short" and "replaces layers" in refused["why"]


@pytest.mark.parametrize("damage, said", [
    (lambda file: file.unlink(), "build the spec again"),
    (lambda file: file.write_bytes(file.read_bytes()[:100]), "is no site table"),
    (lambda file: file.write_bytes(b""), "is no site table"),
    (lambda file: save_file({"x": torch.zeros(2)}, file), "does not say what is done"),
    (lambda file: save_file({}, file, metadata={"weir": json.dumps({"weir_sites": 7})}), "of version 7"),
    (lambda file: save_file({}, file, metadata={"weir": json.dumps({"weir_sites": 1, "sites": 3})}), "is no site table"),
])
def test_files_that_are_no_tables(built, tmp_path, damage, said):
    folder = shutil.copytree(built[0].folder, tmp_path / "steered")
    damage(Path(folder) / "sites.safetensors")
    with pytest.raises(SiteTableError, match=said):
        SiteTable.open(folder)


def test_operations_of_a_later_version_are_refused(built):
    table = SiteTable.open(built[0].folder)
    table.document["sites"][1]["ops"][0]["op"] = "read_backwards"
    with pytest.raises(SiteTableError, match="'read_backwards'"):
        Edits(table)


def test_damaged_operations_are_refused_before_a_request(built):
    """Whatever is missing from an operation, or of another type, is an error of the table, or changes nothing."""
    table = SiteTable.open(built[0].folder)
    operations = [op for site in table.document["sites"] for op in site["ops"]] + table.document["prelude"]
    refused = 0
    for op in operations:
        for name, value in list(op.items()):
            for other in (None, "no such", [], {"tensor": "no such"}, 10**6):
                if other is None:
                    del op[name]
                else:
                    op[name] = other
                try:
                    Edits(table)
                except SiteTableError as error:
                    assert str(table.path) in str(error)
                    refused += 1
                op[name] = value
    assert refused > 3 * len(operations)
    Edits(table)
