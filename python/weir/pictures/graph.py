# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Flow graphs out of the JSON that weirc writes:

    {"graphs": {NAME: {"target": [FEATURE, …], "nodes": [{"feature": FEATURE, "label": null}, …],
                       "edges": [{"from": FEATURE, "to": FEATURE, "similarity": 0.54, "effect": null}, …]}}}

A FEATURE is "layer/site/index", or "dictionary:layer/site/index".
"""

from __future__ import annotations

import collections
import graphlib
import json
import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WeirError
from ..files import read_text

if TYPE_CHECKING:
    import numpy

MOST_NODES = 100_000
# In the order in which a layer computes them.
SITES = {"head": "attention heads", "att": "attention", "mid": "between attention and MLP", "mlp": "MLP",
         "res": "residual stream"}
_FEATURE = re.compile(r"(?:([^:/\x00-\x1f]{1,200}):)?(\d{1,6})/([a-z][a-z0-9_]{0,30})/(\d{1,12})")


@dataclass(frozen=True)
class Feature:
    """A feature's name and its parts. `dictionary` is empty where the spec has one only."""

    name: str
    dictionary: str
    layer: int
    site: str
    index: int

    @classmethod
    def parse(cls, name: str) -> Feature:
        """Raises ValueError for what is no name of a feature."""
        match = _FEATURE.fullmatch(name) if isinstance(name, str) else None
        if not match:
            raise ValueError(f"{name!r} is no feature; features are such as 11/res/743 or sae:11/res/743")
        return cls(name, match[1] or "", int(match[2]), match[3], int(match[4]))

    @property
    def place(self) -> str:
        """Such as "residual stream, layer 11"."""
        return f"{SITES.get(self.site, self.site)}, layer {self.layer}"


@dataclass(frozen=True)
class FlowGraph:
    """A graph. Nodes are numbered as they stand in the file.

    name        of the graph in the spec
    features    of the n nodes
    labels      [n], a name given to a feature, or None
    target      node numbers
    source      [e] int64 node numbers; an edge leads from an earlier feature to a later one
    destination [e] int64
    similarity  [e] float64, cosine
    effect      [e] float64, the mean change of the destination's activation without the source; NaN: not measured
    """

    name: str
    features: list[Feature]
    labels: list[str | None]
    target: list[int]
    source: "numpy.ndarray"
    destination: "numpy.ndarray"
    similarity: "numpy.ndarray"
    effect: "numpy.ndarray"

    def __len__(self) -> int:
        return len(self.features)

    @property
    def layers(self) -> list[int]:
        return sorted({feature.layer for feature in self.features})

    @cached_property
    def inward(self) -> list[list[int]]:
        """Of each node, the edges that lead to it, the most similar first."""
        return self._edges_by(self.destination)

    @cached_property
    def outward(self) -> list[list[int]]:
        """Of each node, the edges that lead away from it, the most similar first."""
        return self._edges_by(self.source)

    def _edges_by(self, ends) -> list[list[int]]:
        result = [[] for _ in self.features]
        for edge in sorted(range(len(ends)), key=lambda edge: (-self.similarity[edge], edge)):
            result[ends[edge]].append(edge)
        return result


def _number(value, where: str, name: str) -> float:
    """A finite number, or NaN for null."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise WeirError(f"{where}: {name} is {value!r}, not a number")
    return float(value)


def _list(value, where: str) -> list:
    if not isinstance(value, list):
        raise WeirError(f"{where} must be a list")
    return value


def _check_order(edges: list[tuple], features: list[Feature], where: str):
    """Edges lead to what is computed later, so that there is no way back."""
    leads = graphlib.TopologicalSorter()
    for source, destination, *_ in edges:
        leads.add(destination, source)
    try:
        leads.prepare()
    except graphlib.CycleError as error:
        way = [features[node].name for node in error.args[1]]
        shown = [*way[:4], "…", way[-1]] if len(way) > 6 else way
        raise WeirError(f"{where}: {' -> '.join(shown)} is a cycle; edges lead from earlier features to later ones") from error


def of(name: str, data) -> FlowGraph:
    """A graph out of its JSON object. Raises WeirError that says where it is none."""
    import numpy

    if not isinstance(data, dict):
        raise WeirError(f"graphs.{name} must be an object with target, nodes and edges")
    where = f"graphs.{name}.nodes"
    numbers, features, labels = {}, [], []
    for index, node in enumerate(_list(data.get("nodes"), where)):
        label = node.get("label") if isinstance(node, dict) else None
        try:
            feature = Feature.parse(node["feature"] if isinstance(node, dict) else node)
        except (KeyError, ValueError) as error:
            raise WeirError(f"{where}[{index}]: {error if isinstance(error, ValueError) else 'feature is missing'}") from error
        if label is not None and not isinstance(label, str):
            raise WeirError(f"{where}[{index}]: label is {label!r}, not a text")
        if feature.name in numbers:
            raise WeirError(f"{where}[{index}]: {feature.name} is there twice")
        numbers[feature.name] = index
        features.append(feature)
        labels.append(label or None)
    if not features:
        raise WeirError(f"{where}: there is no node")
    if len(features) > MOST_NODES:
        raise WeirError(f"{where}: {len(features)} nodes; pictures have at most {MOST_NODES}")

    def number(feature, place: str) -> int:
        if not isinstance(feature, str) or feature not in numbers:
            raise WeirError(f"{place}: {feature!r} is no node of the graph")
        return numbers[feature]

    target = _list(data.get("target"), f"graphs.{name}.target")
    edges, seen = [], set()
    for index, edge in enumerate(_list(data.get("edges"), f"graphs.{name}.edges")):
        place = f"graphs.{name}.edges[{index}]"
        if not isinstance(edge, dict):
            raise WeirError(f"{place} must be an object with from, to and similarity")
        ends = number(edge.get("from"), f"{place}.from"), number(edge.get("to"), f"{place}.to")
        if ends[0] == ends[1]:
            raise WeirError(f"{place} leads from {edge['from']} to itself")
        if ends in seen:
            raise WeirError(f"{place}: the edge from {edge['from']} to {edge['to']} is there twice")
        seen.add(ends)
        similarity = _number(edge.get("similarity"), place, "similarity")
        if math.isnan(similarity):
            raise WeirError(f"{place}: similarity is missing")
        edges.append((*ends, similarity, _number(edge.get("effect"), place, "effect")))
    _check_order(edges, features, f"graphs.{name}.edges")
    columns = list(zip(*edges)) or [(), (), (), ()]
    return FlowGraph(name, features, labels,
                     list(dict.fromkeys(number(one, f"graphs.{name}.target[{index}]") for index, one in enumerate(target))),
                     numpy.array(columns[0], dtype=numpy.int64), numpy.array(columns[1], dtype=numpy.int64),
                     numpy.array(columns[2], dtype=numpy.float64), numpy.array(columns[3], dtype=numpy.float64))


def _no_number(text: str):
    raise ValueError(f"{text} is no number of JSON")


def loads(text: str, what: str) -> list[FlowGraph]:
    """The graphs of a JSON text; `what` names it in errors."""
    try:
        data = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise WeirError(f"{what} is not valid JSON: {error}") from error
    graphs = data.get("graphs") if isinstance(data, dict) else None
    if not isinstance(graphs, dict) or not graphs:
        raise WeirError(f'{what} has no graph: {{"graphs": {{NAME: …}}}} is expected')
    try:
        return [of(name, one) for name, one in graphs.items()]
    except WeirError as error:
        raise WeirError(f"{what}: {error}") from error


def read(path: str | Path) -> list[FlowGraph]:
    """The graphs of a JSON file."""
    return loads(read_text(path, limit=1 << 30), str(path))


def reached(graph: FlowGraph, starts: list[int], *, backward: bool, forward: bool, kept=None) -> set[int]:
    """The nodes that lead to `starts` (backward), and those that they lead to (forward), themselves included; over the
    edges of which `kept` [e] is true, or all."""
    result = set(starts)
    for wanted, edges, ends in ((backward, graph.inward, graph.source), (forward, graph.outward, graph.destination)):
        if not wanted:
            continue
        found, queue = set(starts), collections.deque(starts)
        while queue:
            for edge in edges[queue.popleft()]:
                end = int(ends[edge])
                if (kept is None or kept[edge]) and end not in found:
                    found.add(end)
                    queue.append(end)
        result |= found
    return result
