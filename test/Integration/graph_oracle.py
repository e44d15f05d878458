# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What graphs of a spec mean, written a second time: whole tables of cosines, every edge of a match, and
walks that go on until nothing is new. Nothing of Weir is used, only the YAML and decoder rows."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy
from scipy.optimize import linear_sum_assignment

ORDER = {"head": 0, "att": 1, "mid": 2, "mlp": 3, "res": 4}  # in which a layer computes its sites


@dataclass(frozen=True, order=True)
class Node:
    layer: int
    site: str
    index: int

    def __str__(self):
        return f"{self.layer}/{self.site}/{self.index}"

    @property
    def place(self):
        return self.layer, self.site

    @staticmethod
    def parse(text: str) -> Node:
        layer, site, index = text.rpartition(":")[2].split("/")
        return Node(int(layer), site, int(index))


@dataclass(frozen=True)
class Graph:
    nodes: frozenset
    edges: dict  # (earlier node, later node) -> similarity
    targets: frozenset

    @staticmethod
    def of(nodes, edges, targets):
        return Graph(frozenset(nodes), dict(edges), frozenset(targets) & frozenset(nodes))


def span(value) -> tuple[int, int]:
    first, _, last = str(value).partition("..")
    return int(first), int(last or first)


def mersenne_twister(seed: int):
    """The numbers of std::mt19937_64, by Matsumoto's and Nishimura's recurrence."""
    size, middle, whole = 312, 156, (1 << 64) - 1
    state = [seed]
    for i in range(1, size):
        state.append((6364136223846793005 * (state[-1] ^ (state[-1] >> 62)) + i) & whole)
    while True:
        for i in range(size):
            x = (state[i] & ~0x7FFFFFFF & whole) | (state[(i + 1) % size] & 0x7FFFFFFF)
            state[i] = state[(i + middle) % size] ^ (x >> 1) ^ (0xB5026F5AA96619E9 if x & 1 else 0)
        for x in state:
            x ^= (x >> 29) & 0x5555555555555555
            x ^= (x << 17) & 0x71D67FFFEDA60000
            x ^= (x << 37) & 0xFFF7EEE000000000
            yield x ^ (x >> 43)


@functools.cache
def random_directions(width: int) -> numpy.ndarray:
    """[2048, width], as docs/graphs.md says."""
    bits = mersenne_twister(0x77656972)
    count = 2048 * width
    uniform = numpy.array([((next(bits) >> 11) + 0.5) * 2.0**-53 for _ in range(2 * ((count + 1) // 2))]).reshape(-1, 2)
    radius, angle = numpy.sqrt(-2 * numpy.log(uniform[:, 0])), 2 * numpy.pi * uniform[:, 1]
    normal = numpy.stack([radius * numpy.cos(angle), radius * numpy.sin(angle)], 1).reshape(-1)[:count]
    directions = normal.astype(numpy.float32).astype(numpy.float64).reshape(2048, width)
    return directions / numpy.linalg.norm(directions, axis=1, keepdims=True)


class Oracle:
    """`rows(layer, site)`: decoder rows [F, d] of the one dictionary that everything is about. `effects`: what was measured, by
    (earlier node, later node); an edge that no token has a case of is not in it."""

    def __init__(self, data: dict, collection: dict, rows, features=None, effects=None):
        self.data, self.collection, self.rows = data, collection, rows
        self.effects = effects or {}
        self.features = features or {}  # lists by name, as nodes
        self.edges_of = functools.cache(self._edges_of)
        self.graph = functools.cache(self._graph)
        self.weights = functools.cache(self._weights)

    # Matches.

    def places(self, match: dict) -> list[tuple[int, str]]:
        first, last = span(match.get("layers", self.collection["layers"]))
        return [(layer, site) for layer in range(first, last + 1) for site in match.get("sites", self.collection["sites"])]

    def pairs(self, match: dict):
        """(looked up, found) places."""
        places = self.places(match)
        for layer, site in places:
            if match["method"] == "permutation":
                if (layer + 1, site) in places:
                    yield (layer, site), (layer + 1, site)
            elif any(kind == "res" for _, kind in places):
                if site == "res":
                    for other in ((layer - 1, "res"), (layer, "mlp"), (layer, "att")):
                        if other in places:
                            yield (layer, site), other
            elif (layer - 1, site) in places:
                yield (layer, site), (layer - 1, site)

    def _edges_of(self, name: str) -> dict:
        """(earlier node, later node) -> similarity, of all that a match has."""
        match, edges = self.data["matches"][name], {}
        backward = match["method"] == "top_k"
        assert match.get("similarity", "cosine" if backward else "mse") == "cosine"
        for source, target in self.pairs(match):
            a, b = (rows / numpy.linalg.norm(rows, axis=1, keepdims=True)
                    for rows in (numpy.asarray(self.rows(*place), numpy.float64) for place in (source, target)))
            table = a @ b.T
            if backward:
                best = numpy.argsort(-table, axis=1, kind="stable")[:, : match.get("k", 1)]
                found = [(i, j) for i in range(len(a)) for j in best[i]]
            else:
                found = list(zip(*linear_sum_assignment(-table)))
            for i, j in found:
                ends = Node(*source, int(i)), Node(*target, int(j))
                if table[i, j] > 0:
                    edges[ends[::-1] if backward else ends] = float(table[i, j])
        return edges

    # Graphs.

    def nodes(self, selection) -> list[Node]:
        if isinstance(selection, list):
            return [node for each in selection for node in self.nodes(each)]
        if isinstance(selection, str):
            return [Node.parse(selection)]
        if "features" in selection:
            return self.features[selection["features"]]
        return self.part(selection)

    def keeps(self, graph: dict, ends: tuple[Node, Node], similarity: float) -> bool:
        node, keep = ends[0], graph.get("keep", {})
        for threshold in (keep, keep.get(node.site) if isinstance(keep, dict) else None):
            if not isinstance(threshold, dict):
                threshold = {} if threshold is None else {"similarity": threshold}
            if "similarity" in threshold and similarity < float(threshold["similarity"]):
                return False
            if "null" in threshold and similarity < self.null(node.place, float(threshold["null"])):
                return False
            if "effect" in threshold and not self.effects.get(ends, -numpy.inf) >= float(threshold["effect"]):
                return False
        return True

    def null(self, place, q: float) -> float:
        """What this share of random directions does not reach at a dictionary."""
        rows = numpy.asarray(self.rows(*place), numpy.float64)
        cosines = random_directions(rows.shape[1]) @ (rows / numpy.linalg.norm(rows, axis=1, keepdims=True)).T
        return float(numpy.quantile(cosines.max(axis=1), q))

    def _graph(self, name: str) -> Graph:
        entry = self.data["graphs"][name]
        if "path" in entry:
            return self.path(entry)
        for key in ("union", "intersection", "difference"):
            if key in entry:
                return self.combine(key, [self.graph(each) for each in entry[key]])
        edges = self.edges_of(entry["match"])
        first, last = span(entry.get("layers", "0..9999"))
        targets = set(self.nodes(entry["from"]))
        found = {}
        for backward in (True, False):
            if entry.get("direction", "backward") not in ("both", "backward" if backward else "forward"):
                continue
            seen, todo = set(targets), list(targets)
            while todo:
                node = todo.pop()
                near = [(earlier if backward else later, (earlier, later), similarity)
                        for (earlier, later), similarity in edges.items() if node == (later if backward else earlier)]
                for place in {other.place for other, _, _ in near}:
                    if not first <= place[0] <= last:
                        continue
                    at = sorted((entry for entry in near if entry[0].place == place),
                                key=lambda entry: (-entry[2], entry[0].index))
                    for other, ends, similarity in at[: entry.get("width", 1)]:
                        if self.keeps(entry, ends, similarity):
                            found[ends] = similarity
                            if other not in seen:
                                seen.add(other)
                                todo.append(other)
        return Graph.of({*targets, *(node for ends in found for node in ends)}, found, targets)

    def combine(self, key: str, graphs: list[Graph]) -> Graph:
        first, *others = graphs
        targets = set().union(*(graph.targets for graph in graphs))
        if key == "union":
            return Graph.of(set().union(*(graph.nodes for graph in graphs)),
                            {ends: s for graph in graphs for ends, s in graph.edges.items()}, targets)
        if key == "intersection":
            nodes = set.intersection(*(set(graph.nodes) for graph in graphs))
            return Graph.of(nodes, {ends: s for ends, s in first.edges.items()
                                    if all(ends in graph.edges for graph in others)}, targets)
        nodes = first.nodes.difference(*(graph.nodes for graph in others))
        return Graph.of(nodes, {ends: s for ends, s in first.edges.items() if set(ends) <= nodes}, first.targets)

    def path(self, entry: dict) -> Graph:
        first, last = sorted(self.nodes(entry["path"]), key=lambda node: (node.layer, ORDER[node.site]))
        after = {}
        for (earlier, later), similarity in self.edges_of(entry["match"]).items():
            after.setdefault(earlier, []).append((later, similarity))

        @functools.cache
        def best(node):
            """(product, the nodes from here on) of the strongest way to the end, or nothing."""
            if node == last:
                return 1.0, (last,)
            ways = [(way[0] * similarity, (node, *way[1])) for later, similarity in after.get(node, ())
                    if (way := best(later)) is not None]
            return max(ways, key=lambda way: way[0], default=None)

        way = best(first)
        if way is None:
            return Graph.of((), {}, ())
        edges = self.edges_of(entry["match"])
        return Graph.of(way[1], {ends: edges[ends] for ends in zip(way[1], way[1][1:])}, {last})

    # Parts and weights.

    def steps(self, graph: Graph) -> dict:
        steps, row = {target: 0 for target in graph.targets}, set(graph.targets)
        while row:
            row = {other for ends in graph.edges for node, other in (ends, ends[::-1]) if node in row} - set(steps)
            steps |= {node: max(steps.values()) + 1 for node in row}
        return steps

    def part(self, selector: dict) -> list[Node]:
        graph = self.graph(selector["graph"])
        nodes = set(graph.nodes)
        if selector.get("roots"):
            nodes -= {later for _, later in graph.edges}
        if selector.get("leaves"):
            nodes -= {earlier for earlier, _ in graph.edges}
        if "steps" in selector:
            steps = self.steps(graph)
            nodes = {node for node in nodes if steps.get(node, 10**9) <= selector["steps"]}
        first, last = span(selector.get("layers", "0..9999"))
        sites = selector.get("sites", ORDER)
        kind = {"res": 0, "mlp": 1, "att": 2, "mid": 3, "head": 4}
        return sorted((node for node in nodes if first <= node.layer <= last and node.site in sites),
                      key=lambda node: (node.layer, kind[node.site], node.index))

    def _weights(self, name: str, of: str = "similarity") -> dict:
        """The largest product of similarities, or effects, on a way between a node and a target."""
        graph, weights = self.graph(name), {}
        factors = graph.edges if of == "similarity" else {ends: max(0.0, self.effects.get(ends, 0.0)) for ends in graph.edges}
        for toward in (True, False):
            @functools.cache
            def best(node, toward=toward):
                ways = [1.0] if node in graph.targets else []
                for (earlier, later), similarity in factors.items():
                    here, there = (earlier, later) if toward else (later, earlier)
                    if here == node and (rest := best(there)) is not None:
                        ways.append(similarity * rest)
                return max(ways, default=None)

            for node in graph.nodes:
                if (weight := best(node)) is not None:
                    weights[node] = max(weight, weights.get(node, 0))
        return weights
