# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What operators of weir-vllm do at a site on a device that captures graphs, as far as a CPU shows it: one recording serves
every step, nothing is decided on the host, and all that is computed is on the device."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis
import numpy
import pytest
import serving
import specs
import torch
import weir
from engines import Built
from serving_like_gpu import Recording
from test_equivalence_fixed import EVERYTHING, written
from test_equivalence_tables import many_plans
from weir.sites import Edits, Rows
from weir_vllm import models
from weir_vllm.runtime import Runtime, Scheduled
from weir_vllm.settings import Folder

TOKENS = 48  # of a graph; steps have less, and the rest is padding


def folders(tiny, folder: Path) -> list[Path]:
    """One with every operation for single plans, and some with tables of many plans of one form."""
    model = tiny("llama")
    weir.compile(written(EVERYTHING, model, folder), folder / "everything", model=model.archive)
    found = [folder / "everything"]

    @hypothesis.settings(max_examples=3, phases=[hypothesis.Phase.generate])
    @hypothesis.given(many_plans(specs.Shape("llama", tuple(model.kinds))))
    def draw(case):
        place = Path(tempfile.mkdtemp(dir=folder))
        found.append(Built(case.write(place, model.sizes), model.archive, place / "steered").folder)

    draw()
    return found


@pytest.fixture(scope="module")
def built(tiny, tmp_path_factory):
    models.register()
    found = [Folder.open("", str(path)) for path in folders(tiny, tmp_path_factory.mktemp("device"))]
    assert any(op["op"].startswith("row_") for folder in found for site in folder.table.document["sites"] for op in site["ops"])
    assert not any(folder.table.refused for folder in found)
    return found


def step_of(folder: Folder, random: numpy.random.Generator) -> list[Scheduled]:
    """Requests under random plans, or none, somewhere in their prompts or answers."""
    scheduled, left = [], TOKENS - int(random.integers(0, 9))
    while left > 0:
        count = min(left, int(random.integers(1, 12)))
        left -= count
        first, plans = int(random.integers(0, 20)), folder.table.plans
        ids = numpy.array(serving.random_ids(random, first + count))
        said = None
        if plans and random.random() < 0.8:
            knobs = [float(numpy.clip(random.normal(), knob.min, knob.max)) for knob in folder.table.knobs]
            said = {"table": folder.identity, "plan": int(random.integers(len(plans))), "knobs": knobs}
        scheduled.append(Scheduled(said, count, first, int(random.integers(1, 24)), lambda ids=ids: ids))
    return scheduled


def run(runtime: Runtime, values: dict):
    for number, site in enumerate(runtime.sites):
        runtime.edit(*values[site], number)


def test_one_recording_serves_every_step(built):
    """It is made of a step without plans, after another one. What it gives for any other, and counts, is what is computed for
    that one, to the bit; padding is left alone."""
    random, edited = numpy.random.default_rng(1), 0
    for folder in built:
        sites, device = folder.table.sites, torch.device("cpu")
        usual, graphed = Runtime([folder], TOKENS, device, sites), Runtime([folder], TOKENS, device, sites)
        graphed.skips, graphed.present = False, list(graphed.tables.values())
        static = {site: [torch.ones(TOKENS, folder.table.widths[site]) for _ in range(2)] for site in sites}
        graphed.begin_dummy()
        run(graphed, {site: [part.clone() for part in parts] for site, parts in static.items()})
        with Recording() as graph:
            run(graphed, static)
        for _ in range(4):
            scheduled = step_of(folder, random)
            count = sum(each.count for each in scheduled)
            values = {site: [torch.from_numpy(random.normal(size=(TOKENS, folder.table.widths[site])).astype("float32"))
                             for _ in range(2)] for site in sites}
            want = {site: [part[:count].clone() for part in parts] for site, parts in values.items()}
            for site in sites:
                for to, part in zip(static[site], values[site]):
                    to.copy_(part)
            usual.begin(scheduled)
            graphed.begin(scheduled)
            run(usual, want)
            graph.replay()
            for site in sites:
                # Products over more rows may be summed in another order.
                torch.testing.assert_close(static[site][0][:count], want[site][0], rtol=1e-5, atol=1e-5)
                assert static[site][0][count:].equal(values[site][0][count:])
                edited += int((want[site][0] != values[site][0][:count]).any(1).sum())
        usual.begin_dummy()
        assert graphed.counted() == usual.counted()
    assert edited > 500


def test_a_host_that_decides_is_seen():
    """The recording sees what a capture would fail at."""
    for decide in (lambda x: x.sum().item(), lambda x: bool((x > 0).any()), lambda x: x + torch.tensor([1.0]),
                   lambda x: x.nonzero(), lambda x: x[x > 0]):
        with pytest.raises(AssertionError, match="on the host"), Recording():
            decide(torch.ones(2))


def test_everything_is_computed_on_the_device(built):
    """By tensors on a device that has no data: one of another device, or a number that is asked for, is an error."""
    def on_device(*shape, dtype=torch.int64):
        return torch.zeros(shape, dtype=dtype, device="meta")

    class Found:
        def find(self, first, positions, markers, query):
            return on_device(*positions.shape)

    for wrong in (lambda x: x + torch.ones(2), lambda x: bool(x[0])):
        with pytest.raises((RuntimeError, NotImplementedError)):
            wrong(on_device(2))
    for folder in built:
        edits = Edits(folder.table, "meta", count=True)
        step = edits.begin(Rows(on_device(TOKENS), on_device(TOKENS, len(folder.table.knobs), dtype=torch.float32),
                                on_device(TOKENS, 1), on_device(TOKENS), Found()))
        for site in edits.sites:
            after = step.wide(site, on_device(TOKENS, 1, folder.table.widths[site], dtype=torch.float32))
            assert after is None or after.device.type == "meta"
        assert all(edited.device.type == "meta" for edited in step.edited.values())
