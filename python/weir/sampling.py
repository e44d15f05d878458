# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Choosing the next token as weir-run does (lib/Runtime/Sampler.cpp): the same logits, options and seed give the same
token."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy

from .errors import WeirError

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Sampling:
    """How a row's tokens are chosen.

    temperature         0 takes the most likely token
    top_p               sample from the most likely tokens that make up this probability, in (0, 1]
    top_k               sample from this many most likely tokens; 0 is all
    repetition_penalty  above 1, tokens of the prompt and the new text are less likely: their logits are divided by it
                        where they are above 0, and multiplied elsewhere
    frequency_penalty   is taken from a token's logit for each time that it is in the new text
    seed                of the row's stream of random numbers, from 0 to 2**64 - 1

    Raises WeirError for a number that is out of its range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    seed: int = 0

    def __post_init__(self):
        for name, needed, whole, is_right in (
                ("temperature", "0 or more", False, lambda value: value >= 0),
                ("top_p", "above 0 and at most 1", False, lambda value: 0 < value <= 1),
                ("top_k", "a whole number, 0 or more", True, lambda value: value >= 0),
                ("repetition_penalty", "above 0", False, lambda value: value > 0),
                ("frequency_penalty", "a finite number", False, lambda value: True),
                ("seed", "a whole number from 0 to 2**64 - 1", True, lambda value: 0 <= value <= _MASK)):
            value = getattr(self, name)
            is_number = isinstance(value, (int, numpy.integer) if whole else (int, float, numpy.integer, numpy.floating))
            if isinstance(value, bool) or not is_number or not math.isfinite(value) or not is_right(value):
                raise WeirError(f"{name} is {value!r}; it has to be {needed}")


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def uniform(seed: int, step: int) -> float:
    """The number in [0, 1) that decides the token `step` of a row: 53 bits of SplitMix64."""
    state = _mix((int(seed) + _GAMMA) & _MASK)
    return (_mix((state + (step + 1) * _GAMMA) & _MASK) >> 11) * 2.0**-53


def penalized(logits: numpy.ndarray, options: Sampling, prompt: list[int], generated: list[int]) -> numpy.ndarray:
    """Logits [V] float32 in which what was there before is less likely; see `Sampling`. The repetition penalty is
    transformers', the frequency penalty that of inference servers."""
    logits = numpy.array(logits, dtype=numpy.float32)
    if options.repetition_penalty != 1 and (prompt or generated):
        seen = numpy.unique(numpy.array([*prompt, *generated], dtype=numpy.int64))
        penalty, before = numpy.float32(options.repetition_penalty), logits[seen]
        logits[seen] = numpy.where(before < 0, before * penalty, before / penalty)
    if options.frequency_penalty != 0 and generated:
        seen, counts = numpy.unique(numpy.array(generated, dtype=numpy.int64), return_counts=True)
        logits[seen] -= numpy.float32(options.frequency_penalty) * counts.astype(numpy.float32)
    return logits


def choose(logits: numpy.ndarray, options: Sampling, prompt: list[int], generated: list[int]) -> int:
    """The next token of a row for its logits [V] float32.

    Raises WeirError where logits are NaN or infinite.
    """
    with numpy.errstate(over="ignore"):
        logits = penalized(logits, options, prompt, generated)
    if (wrong := numpy.isnan(logits) | (logits == numpy.inf)).any():
        at = int(wrong.argmax())
        raise WeirError(f"the logit of token {at} is {'NaN' if numpy.isnan(logits[at]) else 'infinite'}")
    best = int(logits.argmax())  # the lowest id of equals
    if options.temperature <= 0:
        return best
    if logits[best] == -numpy.inf:
        raise WeirError("all logits are -infinity")
    weights = numpy.exp((logits.astype(numpy.float64) - float(logits[best])) / options.temperature)
    order = numpy.arange(len(weights))
    if 0 < options.top_k < len(order) or options.top_p < 1:
        order = numpy.lexsort((order, -weights))  # ties: lower ids first
        total = weights.cumsum()[-1]
        if 0 < options.top_k < len(order):
            order = order[:options.top_k]
            total = weights[order].cumsum()[-1]
        if options.top_p < 1:
            enough = weights[order].cumsum() >= options.top_p * total
            order = order[:int(enough.argmax()) + 1 if enough.any() else len(order)]
    sums = weights[order].cumsum()
    beyond = sums > uniform(options.seed, len(generated)) * sums[-1]
    if not beyond.any():
        return int(order[numpy.flatnonzero(weights[order])[-1]])
    return int(order[int(beyond.argmax())])
