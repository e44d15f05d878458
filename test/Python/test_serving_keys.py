# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Keys of the prefix cache: what they say is edited in a block is what the site table's operations edit."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weir.sites import Edits, History, Rows, SiteTable
from weir_vllm.keys import block_key, shares

LENGTH = 24
markers = st.fixed_dictionaries({}, optional={"after": st.lists(st.integers(0, 4), min_size=1, max_size=2),
                                              "until": st.lists(st.integers(0, 4), min_size=1, max_size=2)})
between = st.fixed_dictionaries({"opens": st.lists(st.integers(0, 4), min_size=1, max_size=2),
                                 "closes": st.lists(st.integers(0, 4), min_size=1, max_size=2)})
scopes = st.fixed_dictionaries(
    {"set": st.sampled_from(["all", "prompt", "generated", "last", "sampled"])},
    optional={"positions": st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=5, unique=True),
              "from": st.integers(0, LENGTH), "to": st.integers(0, LENGTH), "skip_first": st.integers(1, 5),
              "markers": st.builds(lambda a, b: a | b, markers, st.one_of(st.just({}), between)).filter(bool),
              "over": st.integers(1, 9), "half": st.sampled_from([0.5, 2.0, 64.0])})
rows = st.lists(st.integers(0, 9), min_size=LENGTH, max_size=LENGTH)


def by_the_table(scope: dict, ids: list[int], length: int) -> torch.Tensor:
    """The shares [LENGTH] that the operations of a table give."""
    prelude = [{"op": "tokens", "in": ["positions", "prompt_length"], "scope": scope, "out": 0}]
    if "markers" in scope:
        prelude.append({"op": "marked", "in": ["positions", "history"], "markers": scope["markers"], "out": 1})
    if "over" in scope or "half" in scope:
        prelude.append({"op": "ramp", "in": ["positions", "prompt_length", "history"], "scope": scope, "out": 2})
    edits = Edits(SiteTable(Path("table"), {"sites": [], "policies": [], "plans": [], "prelude": prelude}, {}))
    step = edits.begin(Rows(torch.tensor([0]), torch.zeros(1, 0), torch.arange(LENGTH).unsqueeze(0), torch.tensor([length]),
                            History(torch.tensor([ids]))))
    held = step.values[0] & step.values.get(1, torch.tensor(True))
    share = step.values.get(2, torch.tensor(1.0)).expand(1, LENGTH, 1)
    return torch.where(held, share, 0.0)[0, :, 0]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(scopes, rows, st.integers(1, LENGTH), st.integers(0, LENGTH - 8))
def test_a_key_says_what_the_operations_edit(scope, ids, length, start):
    want = by_the_table(scope, ids, length)
    got = shares(scope, numpy.array(ids[: start + 8]), start, start + 8, length)
    torch.testing.assert_close(torch.from_numpy(got).float(), want[start: start + 8], rtol=1e-5, atol=0)


def key(said: dict, start: int, stop: int, length: int = 16, ids=tuple(range(LENGTH))):
    return block_key(said, ids, start, stop, length)


@pytest.mark.parametrize("scope, edited", [({}, [True] * 3), ({"set": "generated"}, [False, False, True]),
                                           ({"set": "prompt"}, [True, True, False]), ({"set": "last"}, [False, True, False]),
                                           ({"markers": {"after": [9]}}, [False, True, True])])
def test_blocks_without_an_edit_are_those_of_everybody(scope, edited):
    said = {"key": "k", "scopes": [scope]}
    assert [key(said, start, start + 8) is not None for start in (0, 8, 16)] == edited


def test_what_makes_keys_differ():
    said = {"key": "k", "scopes": [{"set": "generated"}]}
    assert key(said, 16, 24) == key(dict(said), 16, 24) and key(said, 16, 24).startswith("k:")
    assert key(said, 16, 24, length=20) != key(said, 16, 24), "other tokens of the block are edited"
    assert key(said, 16, 24, length=24) is None, "in the next turn it is a prompt"
    assert key(said | {"key": "other"}, 16, 24) != key(said, 16, 24)
    ramped = {"key": "k", "scopes": [{"set": "generated", "over": 64}]}
    assert key(ramped, 16, 24) != key(said, 16, 24) and key(ramped, 16, 24, length=8) != key(ramped, 16, 24)
    # Two policies are not one that holds at the same tokens.
    assert key({"key": "k", "scopes": [{}, {"set": "prompt"}]}, 0, 8) == key({"key": "k", "scopes": [{}, {}]}, 0, 8)
    assert key({"key": "k", "scopes": [{"set": "prompt"}, {}]}, 16, 24) != key({"key": "k", "scopes": [{}, {"set": "prompt"}]}, 16, 24)
