# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random specs on tiny models of every family: compiled programs against hooks (see hooks.py)."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import families
import hooks
import hypothesis
import pytest
import specs
import torch
import yaml
from conftest import EFFORT, seeded
from engines import Built
from models import Tally, apart

every_family = pytest.mark.parametrize("family", families.CONFIGS)

# The same program on the same tokens, once in a batch or at once and once alone or in pieces: only
# the order of sums in products of other shapes differs.
SAME_PROGRAM = 2e-5


def prepared(case: specs.Case, tiny, folder: Path):
    """Writes the case to `folder` and compiles it: (reference, program)."""
    path = case.write(folder, tiny.sizes)
    spec = hooks.Spec(path, tiny.model)
    path.write_text(specs.text({**spec.data, "plans": specs.without_conflicts(spec)}))
    return hooks.Reference(path, tiny.model), Built(path, tiny.archive, folder / "program", stats=case.seed % 2 == 0)


def with_knobs_of_row_0(batch: specs.Batch) -> specs.Batch:
    return replace(batch, knobs=[batch.knobs[0]] * len(batch.ids))


def row_of(batch: specs.Batch, row: int) -> specs.Batch:
    return specs.Batch(*([getattr(batch, name)[row]] for name in ("ids", "plans", "prompt_lengths", "knobs")))


def references(reference, batch) -> list[hooks.Result]:
    """What a row gives does not depend on who asks."""
    return [reference.known(*row) for row in zip(batch.ids, batch.plans, batch.prompt_lengths, batch.knobs)]


def check_against_hooks(program, reference, case, tally):
    """weir-run with one setting of the knobs, and the program in Python with one for each row."""
    batch = with_knobs_of_row_0(case.batches[0])
    for run, batch in ((program.run, batch), (program.run_in_python, case.batches[1])):
        logits, records = run(batch)
        for row, want in enumerate(references(reference, batch)):
            tally.compare(logits[row], records[row], want)


def check_runners_agree(program, case):
    """weir-run and PyTorch run the same operators one by one."""
    batch = with_knobs_of_row_0(case.batches[0])
    (ours, our_records), (theirs, their_records) = program.run(batch), program.run_in_python(batch)
    for row, ids in enumerate(batch.ids):
        assert torch.equal(ours[row, : len(ids)], theirs[row, : len(ids)])
        for column, values in our_records[row].items():
            assert torch.equal(values[: len(ids)], their_records[row][column][: len(ids)])


def check_counts(program, reference, case):
    """Which tokens each policy edits at each site, and weir-run's sums of them."""
    batch = with_knobs_of_row_0(case.batches[0])
    program.run(batch)
    program.run_in_python(batch)
    for row, want in enumerate(references(reference, batch)):
        for at, edited in program.edited[row].items():
            length = want.doubtful
            expected = want.edited.get(at, torch.zeros(len(batch.ids[row]), dtype=torch.bool))
            assert torch.equal(edited[:length], expected[:length]), f"{at[0]} at {at[1]}"
            assert not edited[len(batch.ids[row]):].any(), "padding is no token"
        assert all(at in program.edited[row] for at, edited in want.edited.items() if edited[:want.doubtful].any())
    for entry in program.stats:
        layer, _, site = entry["site"].partition("/")
        assert entry["rows"] == [int(edited[entry["policy"], (int(layer), site)].sum()) for edited in program.edited]
        assert entry["tokens"] == sum(entry["rows"])


def check_rows_alone(program, reference, case):
    """A row of a ragged batch with mixed plans and knobs is the row by itself."""
    batch = case.batches[1]
    logits, _ = program.run_in_python(batch)
    for row, want in enumerate(references(reference, batch)):
        alone, _ = program.run_in_python(row_of(batch, row))
        distance = apart(logits[row, : want.doubtful], alone[0, : want.doubtful])
        assert distance <= SAME_PROGRAM, f"row {row} alone is {distance:.2e} apart"


def check_decoding(program, reference, case):
    """Prompt, then token by token with the cache: what one pass over everything gives."""
    batch = with_knobs_of_row_0(case.batches[0])
    (whole, whole_records), (pieces, records) = program.run(batch), program.run(batch, prefill=min(batch.prompt_lengths))
    for row, want in enumerate(references(reference, batch)):
        distance = apart(pieces[row, : want.doubtful], whole[row, : want.doubtful])
        assert distance <= SAME_PROGRAM, f"row {row} token by token is {distance:.2e} apart"
        for column, values in whole_records[row].items():
            torch.testing.assert_close(records[row][column][: want.doubtful], values[: want.doubtful], rtol=1e-4, atol=1e-4)


def check_whole(case, model, tally, also=None):
    """A random spec, run in every way; `also` is called with the program and the reference."""
    with tempfile.TemporaryDirectory() as folder:
        reference, program = prepared(case, model, Path(folder))
        try:
            check_against_hooks(program, reference, case, tally)
            check_runners_agree(program, case)
            check_rows_alone(program, reference, case)
            check_decoding(program, reference, case)
            if also:
                also(program, reference)
        except AssertionError as error:
            error.add_note(specs.text(reference.spec.data))
            raise


@every_family
def test_random_specs(family, tiny):
    model, tally = tiny(family), Tally()

    @seeded(family)
    @hypothesis.settings(max_examples=4 * EFFORT)
    @hypothesis.given(specs.cases(specs.Shape(family, tuple(model.kinds))))
    def check(case):
        def counted(program, reference):
            if program.counts:
                check_counts(program, reference, case)

        check_whole(case, model, tally, counted)

    check()
    tally.assert_enough()


def test_random_specs_with_crosscoders(tiny):
    """One of seven formats, so that few examples for each family seldom draw it."""
    model, tally, used = tiny("gpt2"), Tally(), set()

    @hypothesis.settings(max_examples=8 * EFFORT)
    @hypothesis.given(specs.cases(specs.Shape("gpt2", tuple(model.kinds), form="crosscoder")))
    def check(case):
        with tempfile.TemporaryDirectory() as folder:
            reference, program = prepared(case, model, Path(folder))
            spec = reference.spec
            used.update(spec.policies[name]["do"] for names in spec.plans.values() for name in names
                        if "on" in spec.policies[name]
                        and any(feature.dictionary == "crosscoder" for feature in spec.features(name, "on")))
            try:
                check_against_hooks(program, reference, case, tally)
                check_decoding(program, reference, case)
            except AssertionError as error:
                error.add_note(specs.text(spec.data))
                raise

    check()
    tally.assert_enough()
    assert used == {"add", "project_out"}
