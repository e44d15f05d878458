# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs in bf16, run by weir-run's reference engine, against hooks.

A bf16 number has 8 bits of mantissa and is rounded after every operator, so there is no logit that
two right programs agree on. What is asked instead is that steering adds no error of its own: the
same weights with the same hooks in f32 say what is right, the hooks in bf16 say what bf16 costs
transformers, and a program may cost half as much again (its cache and masks round in other places).
Errors are root mean squares over all tokens of all rows, which chance moves little. The specs have
no jumps: where an activation is either side of a threshold, bf16 decides by its rounding.
"""

from __future__ import annotations

import copy

import families
import hooks
import numpy
import pytest
import specs
import torch
import test_equivalence_smollm2 as smollm2_tests
from engines import Built
from weir.export import cached

smollm2 = smollm2_tests.smollm2  # the fixture

WORSE_THAN_HOOKS = 1.5

TINY = """
weir: 1
model: {program: tiny.pt2}
dictionaries:
  free: {format: directions, path: "free/{site}.{layer}.npy", sites: [att, mlp, res], layers: 0..2}
knobs:
  mood: {default: 1, range: [-4, 4]}
policies:
  push: {on: 2/res/5, do: add, strength: {value: 1.5, schedule: exponential, rate: -0.3, times: mood}, layers: cumulative}
  pin: {on: [1/res/1, 1/mlp/0], do: set, value: 2, tokens: {skip_first: 2}}
  flip: {on: [0/att/4, 1/res/3], do: scale, factor: -1.5}
  cap: {on: [2/mlp/1, 2/mlp/4], do: clamp, max: 0.5, norm: preserve, tokens: generated}
  move: {on: [1/mlp/3], to: [1/mlp/5], do: transfer}
  remove: {on: [2/res/2, 2/res/3], do: project_out}
plans:
  first: [push, pin, remove]
  second: [flip, cap, move]
"""
SMOLLM2 = """
weir: 1
model: {program: smollm2.pt2}
dictionaries:
  sae: {format: sae_lens, path: "%s/dictionaries/{site}.{layer}", sites: [res, mlp, att], layers: 9..16}
policies:
  push: {on: 11/res/558, do: add, strength: 45, tokens: {skip_first: 1}}
  music: {on: [12/res/999, 13/res/525], do: add, strength: {value: 12, schedule: exponential}, layers: cumulative, norm: preserve}
  remove: {on: [15/res/1268, 15/res/408, 15/mlp/9], do: project_out, tokens: {skip_first: 1}}
plans:
  first: [push, remove]
  second: [music, remove]
""" % smollm2_tests.FOLDER


def check(path, model, archive, batch, folder):
    """`model` is in f32 with weights that bf16 holds exactly."""
    exact, rounded = hooks.Reference(path, model), hooks.Reference(path, copy.deepcopy(model).to(torch.bfloat16))
    program = Built(path, archive, folder / "program")
    got, _ = program.run(batch)
    error, cost, effect, size = torch.zeros(4, dtype=torch.double)
    for row, (ids, plan, length, knobs) in enumerate(zip(batch.ids, batch.plans, batch.prompt_lengths, batch.knobs)):
        want = exact.run(ids, plan, length, knobs).logits.double()
        error += (got[row, : len(ids)] - want).square().sum()
        cost += (rounded.run(ids, plan, length, knobs).logits - want).square().sum()
        effect += (exact.run(ids, None, length).logits - want).square().sum()
        size += want.square().sum()
    assert 0 < error <= WORSE_THAN_HOOKS**2 * cost, f"error {(error / size).sqrt():.2e}, hooks {(cost / size).sqrt():.2e}"
    # Or leaving steering out would pass.
    assert effect > 10 * cost

    unsteered = specs.Batch(batch.ids, [None] + batch.plans[1:], batch.prompt_lengths, batch.knobs)
    tokens = unsteered.padded()
    with torch.no_grad():
        want = torch.export.load(archive).module()(
            tokens.clamp(min=0), torch.where(tokens < 0, -1, torch.arange(tokens.shape[1])))
    assert torch.equal(program.run(unsteered)[0][0, : len(batch.ids[0])], want[0, : len(batch.ids[0])])


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_tiny(family, tiny, tmp_path):
    random = numpy.random.default_rng(3)
    ids = [random.integers(3, families.VOCABULARY, length).tolist() for length in (20, 13, 7)]
    batch = specs.Batch(ids, ["first", "second", "first"], [9, 4, 7], [{"mood": -1.5}] * 3)
    path = specs.Case(family, 4, hooks.read(TINY), ()).write(tmp_path, tiny(family).sizes)
    model = families.model(family, torch.bfloat16).float()
    model.set_attn_implementation("eager")
    check(path, model, families.exported(family, "bf16"), batch, tmp_path)


def test_smollm2(smollm2, tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(SMOLLM2)
    batch = specs.Batch([smollm2.texts[0][:20], smollm2.texts[2][:15]], ["first", "second"], [9, 15], [{}] * 2)
    model = copy.deepcopy(smollm2.model)
    model.is_quantized = False  # its file is, its weights are floats
    model = model.to(torch.bfloat16).float()
    check(path, model, cached("smollm2", dtype="bf16"), batch, tmp_path)
