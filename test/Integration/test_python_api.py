# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir.compile and weir.load on a real spec, against a hook in transformers."""

from __future__ import annotations

import families
import numpy
import pytest
import torch
import weir

SPEC = """
weir: 1
model: {program: absent.pt2}
dictionaries:
  rows: {format: directions, path: rows.npy, sites: [res], layers: 1}
knobs:
  faith: {default: 1.0, range: [0, 8]}
policies:
  push:
    on: {features: [1/res/2]}
    do: add
    strength: {value: 1.5, times: faith}
    tokens: generated
  watch:
    on: {features: [1/res/0, 1/res/2]}
    do: record
plans:
  both: [push, watch]
  silent: [watch]
"""
IDS = [[5, 6, 7, 8, 9, 10], [11, 12, 13]]
PROMPT = [4, 1]


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    return torch.randn(3, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def program(rows, tmp_path_factory) -> weir.Program:
    folder = tmp_path_factory.mktemp("api")
    numpy.save(folder / "rows.npy", rows.numpy())
    (folder / "spec.yaml").write_text(SPEC)
    result = weir.compile(folder / "spec.yaml", folder / "steered", model=families.exported("llama"))
    assert [(site["site"]) for site in result["report"]["sites"]] == ["1/res"]
    return weir.load(folder / "steered")


@torch.no_grad()
def hooked(row: int, strength: float, rows: torch.Tensor):
    """Logits [S, V] of a row, and block 1's output [S, d] before strength * rows[2] is added to it
    behind the prompt."""
    model = families.model("llama")
    seen = []

    def add(module, arguments, output):
        seen.append(output[0].clone())
        output[:, PROMPT[row] :] += strength * rows[2]
        return output

    model.model.layers[1].register_forward_hook(add)
    return model(torch.tensor([IDS[row]])).logits[0], seen[0]


def test_what_the_program_says_of_itself(program):
    assert program.plans == ["both", "silent"]
    assert program.knobs == {"faith": {"default": 1.0, "min": 0.0, "max": 8.0}}
    assert list(program.records) == ["watch.res.1"] and len(program.records["watch.res.1"]) == 2
    assert program.info["max_batch"] == families.MAX_BATCH


@pytest.mark.parametrize("plan, knobs, strengths", [
    ("both", None, [1.5, 1.5]),
    (["both", "silent"], {"faith": 2}, [3, 0]),
    (["silent", "both"], [{}, {"faith": 8}], [0, 12]),
    ([None, 0], {"faith": 0.5}, [0, 0.75]),
])
def test_plans_and_knobs_by_name_against_a_hook(program, rows, plan, knobs, strengths):
    got = program(IDS, plan=plan, knobs=knobs, prompt_length=PROMPT)
    steered = [plan] * 2 if isinstance(plan, str) else plan
    for row, strength in enumerate(strengths):
        length = len(IDS[row])
        want, before = hooked(row, strength, rows)
        torch.testing.assert_close(got.logits[row, :length], want, rtol=0, atol=1e-4)
        coefficients = before @ rows[[0, 2]].T / rows[[0, 2]].square().sum(1)
        if steered[row] is None:
            coefficients = torch.zeros_like(coefficients)
        torch.testing.assert_close(got.records["watch.res.1"][row, :length], coefficients, rtol=0, atol=1e-4)


def test_token_by_token_as_in_one_pass(program):
    whole = program(IDS, plan="both", prompt_length=PROMPT)
    program([ids[:1] for ids in IDS], plan="both", prompt_length=PROMPT)
    for at in range(1, 6):
        ids = torch.tensor([[ids[at] if at < len(ids) else 0] for ids in IDS])
        positions = torch.tensor([[at if at < len(ids) else -1] for ids in IDS])
        step = program(ids, positions, plan="both", prompt_length=PROMPT)
        for row in range(2):
            if at < len(IDS[row]):
                torch.testing.assert_close(step.logits[row, 0], whole.logits[row, at], rtol=0, atol=5e-5)


def test_an_unsteered_batch_is_the_model_bit_for_bit(program):
    plain = weir.load(families.exported("llama"))
    assert torch.equal(program(IDS, plan=None).logits, plain(IDS).logits)


def test_a_refused_spec_names_its_place(tmp_path):
    (tmp_path / "spec.yaml").write_text(SPEC.replace("policies:", "polices:"))
    with pytest.raises(weir.CompileError, match=r"spec\.yaml:8:1: error: ") as error:
        weir.compile(tmp_path / "spec.yaml", tmp_path / "out", model=families.exported("llama"))
    assert any("policies" in str(message) for message in error.value.diagnostics)
    assert not (tmp_path / "out").exists()
