# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The flow graphs of a spec, as `weirc graph` builds them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy

from .compiler import weirc


@dataclass(frozen=True)
class Graph:
    """A graph of N features and E edges, which lead from what a model computes earlier to what it computes later.

    features      N texts such as "11/res/743", or "sae:11/res/743" where there are several dictionaries, by layer
    labels        N names, None for a feature without one
    targets       positions of the features that the graph is about, int64
    sources, ends positions of the two ends of each edge, int64 [E]
    similarities  float64 [E]
    effects       float64 [E]: the causal effect, NaN where it was not measured
    """

    features: list[str]
    labels: list[str | None]
    targets: numpy.ndarray
    sources: numpy.ndarray
    ends: numpy.ndarray
    similarities: numpy.ndarray
    effects: numpy.ndarray


def _graph(data: dict) -> Graph:
    features = [node["feature"] for node in data["nodes"]]
    position = {feature: number for number, feature in enumerate(features)}

    def positions(names) -> numpy.ndarray:
        return numpy.array([position[name] for name in names], numpy.int64)

    edges = data["edges"]
    # None becomes NaN.
    return Graph(features, [node["label"] for node in data["nodes"]], positions(data["target"]),
                 positions(edge["from"] for edge in edges), positions(edge["to"] for edge in edges),
                 numpy.array([edge["similarity"] for edge in edges], numpy.float64),
                 numpy.array([edge["effect"] for edge in edges], numpy.float64))


def graph(spec: str | os.PathLike, name: str | None = None, **options) -> dict[str, Graph]:
    """Builds the graphs that `spec` declares, or the one called `name`, and returns them by name.

    `options` are those of `weirc graph --help`: model="a.pt2", cache="folder", threads=2, output="graphs.dot", …
    Raises CompileError with all messages when the spec, the model or a dictionary is refused.
    """
    names = [] if name is None else [name]
    return {each: _graph(data) for each, data in weirc("graph", os.fspath(spec), *names, shows_progress=True, **options)["graphs"].items()}
