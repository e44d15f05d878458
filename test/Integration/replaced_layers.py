# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What takes the place of layers, for the reference of the tests: SAE Match's pruning (arXiv 2410.07656) and its
baselines, in f64, with permutations by SciPy. It reads the YAML and the dictionaries of `dictionaries.py`."""

from __future__ import annotations

import functools
import math

import numpy
import torch
from scipy.optimize import linear_sum_assignment


def layers_of(policy: dict) -> tuple[int, int]:
    """The first and the last layer that a policy replaces."""
    first, _, last = str(policy["layers"]).partition("..")
    return int(first), int(last or first)


def _units(dictionary, fold: str) -> torch.Tensor:
    """[F]: what is divided out of a feature's activation, 1 where that is not positive."""
    if fold == "threshold":
        unit = dictionary.theta
    elif fold == "decoder_norm":
        unit = 1 / dictionary.rows.norm(dim=1)
    else:
        assert fold == "none"
        unit = torch.ones(dictionary.features, dtype=torch.float64)
    return torch.where((unit > 0) & unit.isfinite(), unit, 1.0)


def _similarities(a: torch.Tensor, b: torch.Tensor, kind: str) -> numpy.ndarray:
    if kind == "cosine":
        return (torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T).numpy()
    if kind == "dot":
        return (a @ b.T).numpy()
    assert kind == "mse"
    # Row by row: all differences at once are gigabytes for a real dictionary.
    return -torch.stack([(row - b).square().mean(dim=1) for row in a]).numpy()


class Replacement:
    """What a policy puts in the place of layers."""

    def __init__(self, spec, name: str):
        self.spec, self.policy = spec, spec.policies[name]
        self.first, self.last = layers_of(self.policy)
        self.form = self.policy.get("form", "permutation")
        self.at, self.source = (self.last, "res"), (self.first - 1, "res")

    def covers(self, place: tuple[int, str]) -> bool:
        """Whether a place is inside of what is replaced, and never computed where nothing else needs it."""
        layer, _ = place
        return self.first <= layer <= self.last and place != self.at

    def _dictionary(self, layer: int):
        return self.spec.dictionary(self.collection, layer, "res")

    @functools.cached_property
    def match(self) -> dict:
        return self.spec.data["matches"][self.policy["match"]]

    @functools.cached_property
    def collection(self) -> str:
        named = self.match if self.form in ("permutation", "quantile") else self.policy
        return named.get("dictionary", next(iter(self.spec.collections)))

    @functools.cached_property
    def carried(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(rows [F, d] that stand for the features before the layers, bias [d])."""
        fold = self.match.get("fold", "none")
        features = self._dictionary(self.first - 1).features
        to, errors = numpy.arange(features), numpy.full(features, -math.inf)
        for layer in range(self.first - 1, self.last):
            sides = []
            for each in (self._dictionary(layer), self._dictionary(layer + 1)):
                unit = _units(each, fold)
                sides.append(each.rows * unit[:, None])
            similarity = _similarities(*sides, self.match.get("similarity", "mse"))
            rows, columns = linear_sum_assignment(similarity, maximize=True)
            step, error = numpy.full(similarity.shape[0], -1), numpy.full(similarity.shape[0], math.inf)
            step[rows], error[rows] = columns, -similarity[rows, columns]
            errors = numpy.where(to >= 0, numpy.maximum(errors, error[to]), math.inf)
            to = numpy.where(to >= 0, step[to], -1)
        before, behind = self._dictionary(self.first - 1), self._dictionary(self.last)
        matched = torch.from_numpy(to >= 0)
        found = torch.from_numpy(numpy.where(to >= 0, to, 0))
        scale = _units(behind, fold)[found] / _units(before, fold)
        carried = torch.where(matched[:, None], behind.rows[found] * scale[:, None], 0.0)
        if self.form == "quantile":
            limit = numpy.quantile(errors[to >= 0], self.policy["quantile"]) if (to >= 0).any() else -math.inf
            carried = torch.where(torch.from_numpy((to < 0) | (errors > limit))[:, None], before.rows, carried)
        return carried, behind.b_dec

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x [S, d] behind the layer before those that are replaced: (what comes behind these [S, d], the tokens [S] at
        which rounding can turn a feature on or off)."""
        if self.form == "drop":
            return x, torch.zeros(len(x), dtype=torch.bool)
        layer = self.last if self.form == "encode_decode_current" else self.first - 1
        dictionary = self._dictionary(layer)
        f, uncertain = dictionary.encode(x), dictionary.jumps(x).any(dim=1)
        if self.form.startswith("encode_decode"):
            return dictionary.decode(f, x), uncertain
        rows, bias = self.carried
        return f @ rows + bias, uncertain
