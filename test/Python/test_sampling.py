# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Choosing tokens, against transformers; test/Integration/test_generate.py compares it with weir-run."""

from __future__ import annotations

from collections import Counter

import numpy
import pytest
import torch
import weir
from hypothesis import given, settings
from hypothesis import strategies as some
from transformers import RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper
from weir.sampling import Sampling, choose, penalized, uniform

V = 40
ids = some.lists(some.integers(0, V - 1), min_size=1, max_size=12)
logits_of = some.integers(0, 2**32 - 1).map(
    lambda seed: torch.randn(V, generator=torch.Generator().manual_seed(seed)) * 5)


@settings(deadline=None, derandomize=True)
@given(logits_of, ids, some.lists(some.integers(0, V - 1), max_size=12), some.floats(0.1, 5))
def test_the_repetition_penalty_is_that_of_transformers(logits, prompt, generated, penalty):
    penalty = float(numpy.float32(penalty))
    want = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([prompt + generated]), logits[None].clone())[0]
    got = penalized(logits.numpy(), Sampling(repetition_penalty=penalty), prompt, generated)
    assert numpy.array_equal(got, want.numpy())


@settings(deadline=None, derandomize=True)
@given(logits_of, ids, ids, some.floats(-2, 2), some.floats(0.5, 2))
def test_the_frequency_penalty_counts_generated_tokens_and_comes_second(logits, prompt, generated, penalty, repetition):
    first = penalized(logits.numpy(), Sampling(repetition_penalty=repetition), prompt, generated)
    got = penalized(logits.numpy(), Sampling(repetition_penalty=repetition, frequency_penalty=penalty), prompt, generated)
    counts = Counter(generated)
    want = [first[token] - penalty * counts[token] for token in range(V)]
    numpy.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
    untouched = [token for token in range(V) if token not in {*prompt, *generated}]
    assert numpy.array_equal(got[untouched], logits.numpy()[untouched])


@settings(deadline=None, derandomize=True, max_examples=30)
@given(logits_of, some.floats(0.2, 3), some.integers(0, V + 5), some.sampled_from([1.0, 0.9, 0.5, 0.1]))
def test_what_can_be_drawn_is_what_transformers_leaves(logits, temperature, top_k, top_p):
    scores = logits[None]
    for warper in (TemperatureLogitsWarper(temperature), *([TopKLogitsWarper(top_k)] if top_k else []),
                   *([TopPLogitsWarper(top_p)] if top_p < 1 else [])):
        scores = warper(torch.tensor([[0]]), scores)
    probabilities = scores.softmax(-1)[0]
    options = Sampling(temperature, top_p, top_k, seed=7)
    drawn = Counter(choose(logits.numpy(), options, [], [0] * step) for step in range(400))
    assert all(probabilities[token] > 0 for token in drawn)
    for token in range(V):
        expected = float(probabilities[token])
        assert abs(drawn[token] / 400 - expected) < 0.12, token


def test_the_stream_of_random_numbers_is_that_of_weir_run():
    # As in test/Unit/Runtime/SamplerTest.cpp.
    assert [uniform(0, 0), uniform(0, 1), uniform(42, 7)] == [0.6524484863740322, 0.7012121095215252, 0.7347204584623639]


def test_ties_and_edges():
    tied = numpy.array([1, 3, 3, 2], dtype=numpy.float32)
    assert choose(tied, Sampling(), [], []) == 1
    assert choose(tied, Sampling(1, top_k=1), [], []) == 1
    assert choose(numpy.array([-numpy.inf, 0], dtype=numpy.float32), Sampling(1), [], []) == 1


@pytest.mark.parametrize("options, reason", [
    (dict(temperature=-1), "temperature is -1; it has to be 0 or more"), (dict(temperature="1"), "temperature is '1'"),
    (dict(top_p=0), "top_p is 0"), (dict(top_p=float("nan")), "top_p is nan"), (dict(top_k=1.5), "top_k is 1.5"),
    (dict(top_k=-1), "top_k is -1"), (dict(repetition_penalty=0), "repetition_penalty is 0"),
    (dict(frequency_penalty=float("inf")), "frequency_penalty is inf"), (dict(seed=-1), "seed is -1"),
    (dict(seed=True), "seed is True")])
def test_options_out_of_their_range(options, reason):
    with pytest.raises(weir.WeirError, match=reason):
        Sampling(**options)


@pytest.mark.parametrize("logits, reason", [([0, numpy.nan], "the logit of token 1 is NaN"),
                                            ([numpy.inf, 0], "the logit of token 0 is infinite")])
def test_logits_that_are_no_distribution(logits, reason):
    with pytest.raises(weir.WeirError, match=reason):
        choose(numpy.array(logits, dtype=numpy.float32), Sampling(), [], [])
    with pytest.raises(weir.WeirError, match="all logits"):
        choose(numpy.array([-numpy.inf] * 2, dtype=numpy.float32), Sampling(1), [], [])
