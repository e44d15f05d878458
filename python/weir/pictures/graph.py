# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Flow graphs out of the JSON that weirc writes:

    {"graphs": {NAME: {"target": [FEATURE, …], "nodes": [{"feature": FEATURE, "label": null}, …],
                       "edges": [{"from": FEATURE, "to": FEATURE, "similarity": 0.54, "effect": null}, …]}}}

A FEATURE is "layer/site/index", or "dictionary:layer/site/index". Edges lead to what a model computes later. Similarities
and effects are 1 at most; a graph may have no target, such as a difference that took it away.
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

from ..errors import InputError
from ..files import read_text
from .about import no_number, object_of, short, visible

if TYPE_CHECKING:
    import numpy

MOST_NODES, MOST_EDGES = 100_000, 1_000_000
# No cosine, correlation or effect is above, rounding included; and no mean squared error, less than zero, is below.
_LARGEST, _LEAST = 1.001, -1e30
# In the order in which a layer computes them.
SITES = {"head": "attention heads", "att": "attention", "mid": "between attention and MLP", "mlp": "MLP",
         "res": "residual stream"}
# The same of all sites: within a layer, what stands here later is computed later.
_ORDER = {site: place for place, site in enumerate(("emb", "head", "att", "mid", "mlp_in", "neuron", "mlp", "res"))}
_FEATURE = re.compile(r"(?:([^:/\x00-\x1f]{1,200}):)?(0|[1-9][0-9]{0,5})/([a-z][a-z0-9_]{0,30})/(0|[1-9][0-9]{0,11})")


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
            raise ValueError(f"{shown(name)} is no feature; features are such as 11/res/743 or sae:11/res/743")
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


def shown(value) -> str:
    """A value of JSON in a message."""
    return short(repr(value), 60)


def decimals(value: float) -> str:
    """A similarity or an effect, as it is told."""
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:.3g}"


def _number(value, where: str) -> float:
    """A finite number up to 1, or NaN for null."""
    if value is None:
        return math.nan
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)
    except OverflowError:  # of an integer
        number = math.inf
    if math.isnan(number):
        raise InputError(f"{where} is {shown(value)}, not a number")
    if not _LEAST <= number <= _LARGEST:
        raise InputError(f"{where} is {shown(value)}; it is a number up to 1")
    return number


def _list(value, where: str) -> list:
    if not isinstance(value, list):
        raise InputError(f"{where} must be a list")
    return value


def _leads_on(source: Feature, destination: Feature) -> bool:
    """Whether a model may compute the one before the other. Of sites that are not known, this is not known either."""
    if source.layer != destination.layer or source.site == destination.site:
        return source.layer < destination.layer
    places = _ORDER.get(source.site), _ORDER.get(destination.site)
    return None in places or places[0] < places[1]


def _check_order(edges: list[tuple], features: list[Feature], where: str):
    """There is no way back, over sites that are not known either."""
    leads = graphlib.TopologicalSorter()
    for source, destination, *_ in edges:
        leads.add(destination, source)
    try:
        leads.prepare()
    except graphlib.CycleError as error:
        way = [features[node].name for node in error.args[1]]
        through = [*way[:4], "…", way[-1]] if len(way) > 6 else way
        raise InputError(f"{where}: {' -> '.join(through)} is a cycle; edges lead from earlier features to later ones") from error


def called(name: str) -> str:
    """Where a graph stands in the file."""
    return f"graphs.{short(visible(name), 60)}"


def of(name: str, data) -> FlowGraph:
    """A graph out of its JSON object. Raises InputError that says where it is none."""
    import numpy

    if not isinstance(data, dict):
        raise InputError(f"{called(name)} must be an object with target, nodes and edges")
    where = f"{called(name)}.nodes"
    numbers, features, labels = {}, [], []
    for index, node in enumerate(_list(data.get("nodes"), where)):
        label = node.get("label") if isinstance(node, dict) else None
        try:
            feature = Feature.parse(node["feature"] if isinstance(node, dict) else node)
        except (KeyError, ValueError) as error:
            raise InputError(f"{where}[{index}]: {error if isinstance(error, ValueError) else 'feature is missing'}") from error
        if label is not None and not isinstance(label, str):
            raise InputError(f"{where}[{index}]: label is {shown(label)}, not a text")
        if feature.name in numbers:
            raise InputError(f"{where}[{index}]: {feature.name} is there twice")
        numbers[feature.name] = index
        features.append(feature)
        labels.append(label or None)
    if not features:
        raise InputError(f"{where}: there is no node")
    if len(features) > MOST_NODES:
        raise InputError(f"{where}: {len(features)} nodes; pictures have at most {MOST_NODES}")

    def number(feature, place: str) -> int:
        if not isinstance(feature, str) or feature not in numbers:
            raise InputError(f"{place}: {shown(feature)} is no node of the graph")
        return numbers[feature]

    target = _list(data.get("target"), f"{called(name)}.target")
    edges, seen = [], set()
    given = _list(data.get("edges"), f"{called(name)}.edges")
    if len(given) > MOST_EDGES:
        raise InputError(f"{called(name)}.edges: {len(given)} edges; pictures have at most {MOST_EDGES}")
    for index, edge in enumerate(given):
        place = f"{called(name)}.edges[{index}]"
        if not isinstance(edge, dict):
            raise InputError(f"{place} must be an object with from, to and similarity")
        ends = number(edge.get("from"), f"{place}.from"), number(edge.get("to"), f"{place}.to")
        if ends[0] == ends[1]:
            raise InputError(f"{place} leads from {edge['from']} to itself")
        if ends in seen:
            raise InputError(f"{place}: the edge from {edge['from']} to {edge['to']} is there twice")
        seen.add(ends)
        if not _leads_on(features[ends[0]], features[ends[1]]):
            raise InputError(f"{place} leads from {edge['from']} to {edge['to']}, which a model does not compute later")
        similarity = _number(edge.get("similarity"), f"{place}.similarity")
        if math.isnan(similarity):
            raise InputError(f"{place}: similarity is missing")
        edges.append((*ends, similarity, _number(edge.get("effect"), f"{place}.effect")))
    _check_order(edges, features, f"{called(name)}.edges")
    columns = list(zip(*edges)) or [(), (), (), ()]
    return FlowGraph(name, features, labels,
                     list(dict.fromkeys(number(one, f"{called(name)}.target[{index}]") for index, one in enumerate(target))),
                     numpy.array(columns[0], dtype=numpy.int64), numpy.array(columns[1], dtype=numpy.int64),
                     numpy.array(columns[2], dtype=numpy.float64), numpy.array(columns[3], dtype=numpy.float64))


def loads(text: str, what: str) -> list[FlowGraph]:
    """The graphs of a JSON text; `what` names it in errors."""
    try:
        data = json.loads(text, parse_constant=no_number, object_pairs_hook=object_of)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is not valid JSON: {error}") from error
    graphs = data.get("graphs") if isinstance(data, dict) else None
    if not isinstance(graphs, dict) or not graphs:
        raise InputError(f'{what} has no graph: {{"graphs": {{NAME: …}}}} is expected')
    try:
        return [of(name, one) for name, one in graphs.items()]
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


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
