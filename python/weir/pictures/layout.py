# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where the nodes of a flow graph lie: layers are ranks, from the first at the top to the last.

Graphviz's `dot` chooses the order within ranks and draws the edges around nodes. It is slow for thousands of nodes: 3,000
with 9,000 edges take it 9 s, 10,000 more than a minute. Such graphs are drawn as small marks in lines of equal length, in
an order found here by barycentres, which dot begins with as well.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import unicodedata
from dataclasses import dataclass

from ..errors import WeirError, first_line
from .about import fires_on, promotes, short, visible
from .graph import SITES, FlowGraph, decimals

# Up to these dot takes under a second.
DOT_NODES, DOT_EDGES = 1200, 2500
DOT_SECONDS = 60
# Up to this many edges have their numbers beside them.
LABELLED_EDGES = 60
GUTTER = 86  # to the left of all nodes, where the layers are named
_MARGIN = 22
_MARK, _MARK_STEP, _MARK_ROW = 9.0, 13.0, 16.0  # of large graphs


@dataclass(frozen=True)
class Band:
    """A layer: from `top` to `bottom`."""

    layer: int
    top: float
    bottom: float


@dataclass(frozen=True)
class Layout:
    """All lengths are in CSS pixels, from the upper left corner.

    x, y        the centres of the nodes
    width, height  of each node
    paths       for each edge the `d` of an SVG path
    label_at    for each edge where its numbers stand, or None
    lines       for each node its text, of one or two lines; none in large graphs
    size        width and height of all
    """

    x: list[float]
    y: list[float]
    width: list[float]
    height: float
    paths: list[str]
    label_at: list[tuple[float, float] | None]
    lines: list[tuple[str, ...]]
    bands: list[Band]
    size: tuple[float, float]

    @property
    def is_small(self) -> bool:
        """Whether nodes have their text inside."""
        return bool(self.lines)


def text_width(text: str, size: float) -> float:
    """About how wide a text is in a wide sans-serif font of a size in pixels; rather too much."""
    width = 0.0
    for character in text:
        if unicodedata.east_asian_width(character) in "WF":
            width += 1.05
        elif unicodedata.combining(character):
            continue
        elif character in "iljI.,:;|!'`()[] ft":
            width += 0.4
        elif character in "mwMW@%—…":
            width += 1.0
        else:
            width += 0.64
    return width * size


def edge_label(graph: FlowGraph, edge: int) -> tuple[str, str]:
    """The similarity, and the effect if it is known."""
    effect = graph.effect[edge]
    return decimals(graph.similarity[edge]), "" if math.isnan(effect) else decimals(effect)


def node_lines(graph: FlowGraph, about: dict[str, dict]) -> list[tuple[str, ...]]:
    """What stands in each node: its index, and below that its label, or in quotes the token that it fires at or, without
    contexts, promotes."""
    result = []
    for feature, label in zip(graph.features, graph.labels):
        known = about.get(feature.name, {})
        first = f"{short(feature.dictionary, 10)}:{feature.index}" if feature.dictionary else str(feature.index)
        name = label or known.get("label")
        tokens = fires_on(known) or promotes(known)
        if name:
            result.append((first, short(visible(name), 18)))
        elif tokens:
            result.append((first, f"“{short(visible(tokens[0]), 14)}”"))
        else:
            result.append((first,))
    return result


def rows_of(graph: FlowGraph) -> list[tuple[int, list[int]]]:
    """The nodes by rows, from the top: (layer, nodes). A layer's modules are in the row above its residual stream; if edges
    join its modules, each is in a row of its own."""
    order = {site: index for index, site in enumerate(SITES)}
    last = order["res"]
    by_layer: dict[int, list[int]] = {}
    for node, feature in enumerate(graph.features):
        by_layer.setdefault(feature.layer, []).append(node)
    joined = set()
    for source, destination in zip(graph.source.tolist(), graph.destination.tolist()):
        one, other = graph.features[source], graph.features[destination]
        if one.layer == other.layer and "res" not in (one.site, other.site):
            joined.add(one.layer)
    rows = []
    for layer in sorted(by_layer):
        groups: dict[int, list[int]] = {}
        for node in by_layer[layer]:
            place = order.get(graph.features[node].site, last - 1)
            groups.setdefault(place if layer in joined or place == last else 0, []).append(node)
        rows += [(layer, sorted(groups[place], key=lambda node: (graph.features[node].index, node)))
                 for place in sorted(groups)]
    return rows


def place(graph: FlowGraph, about: dict[str, dict] | None = None) -> Layout:
    """Lays a graph out. Raises WeirError where dot is not installed or fails."""
    rows = rows_of(graph)
    if len(graph) > DOT_NODES or len(graph.source) > DOT_EDGES:
        return _in_lines(graph, rows)
    return _by_dot(graph, rows, node_lines(graph, about or {}))


#===---- By dot ------------------------------------------------------------------------------------===#

def _dot_source(graph: FlowGraph, rows, widths: list[float], height: float, labelled: bool) -> str:
    """Node numbers are the only names in it, so that nothing has to be escaped. A point of dot is a pixel here."""
    inch = 72
    few = len(graph) <= 60
    lines = ["digraph {", f"nodesep={(26 if few else 10) / inch}; ranksep={(34 if few else 40) / inch}; splines=true;",
             "node [shape=box, fixedsize=true, label=\"\"];",
             "edge [arrowhead=none, tailport=s, headport=n, fontsize=14, fontname=\"DejaVu Sans\"];"]
    for row, (_, nodes) in enumerate(rows):
        # A node before the others of each row; those make a chain that keeps rows in order.
        lines.append(f"r{row} [width=0.01, height={height / inch}];")
        lines.append("{rank=same; " + f"r{row}; " + " ".join(f"{node};" for node in nodes) + "}")
        if row:
            lines.append(f"r{row - 1} -> r{row} [style=invis, weight=0, tailport=c, headport=c];")
    lines += [f"{node} [width={width / inch:.4f}, height={height / inch:.4f}];" for node, width in enumerate(widths)]
    for edge, (source, destination) in enumerate(zip(graph.source.tolist(), graph.destination.tolist())):
        label = f', label="{" ".join(edge_label(graph, edge))}"' if labelled else ""
        # A chain of like features is a straight line.
        weight = 1 + round(4 * max(0.0, float(graph.similarity[edge])) ** 2) + (
            4 if graph.features[source].site == graph.features[destination].site == "res" else 0)
        lines.append(f"{source} -> {destination} [weight={weight}{label}];")
    return "\n".join([*lines, "}"])


def run_dot(source: str) -> str:
    """What `dot -Tplain` says of a graph."""
    program = shutil.which("dot")
    if not program:
        raise WeirError("the program dot is not on PATH, which lays graphs out: install Graphviz (on Debian `apt install "
                        "graphviz`)")
    try:
        done = subprocess.run([program, "-Tplain"], input=source, capture_output=True, text=True, timeout=DOT_SECONDS,
                              env={**os.environ, "LC_ALL": "C.UTF-8"})
    except subprocess.TimeoutExpired as error:
        raise WeirError(f"dot has not laid the graph out after {DOT_SECONDS} s") from error
    except OSError as error:
        raise WeirError(f"{program}: {error.strerror}") from error
    if done.returncode != 0:
        raise WeirError(f"{program} failed: {first_line(RuntimeError(done.stderr)) if done.stderr else done.returncode}")
    return done.stdout


def _by_dot(graph: FlowGraph, rows, lines: list[tuple[str, ...]]) -> Layout:
    height = 38.0 if any(len(one) > 1 for one in lines) else 26.0
    widths = [max(46.0, 22 + max(text_width(one[0], 12.5), *(text_width(more, 11.5) for more in one[1:]), 0.0))
              for one in lines]
    labelled = len(graph.source) <= LABELLED_EDGES
    total, at, curves = 0.0, {}, {}
    for line in run_dot(_dot_source(graph, rows, widths, height, labelled)).splitlines():
        words = line.split(" ")
        if words[0] == "graph":
            total = float(words[3]) * 72
        elif words[0] == "node":
            at[words[1]] = float(words[2]) * 72, total - float(words[3]) * 72
        elif words[0] == "edge" and not words[1].startswith("r"):
            count = int(words[3])
            numbers = [float(word) * 72 for word in words[4:4 + 2 * count]]
            points = list(zip(numbers[::2], (total - y for y in numbers[1::2])))
            # With a label: its text, which has a space if it has an effect, and its place before "solid".
            label = None
            if labelled:
                end = words.index("solid")
                label = float(words[end - 2]) * 72, total - float(words[end - 1]) * 72
            curves[int(words[1]), int(words[2])] = points, label
    left = min(x - widths[int(node)] / 2 for node, (x, _) in at.items() if not node.startswith("r"))
    left = min([left, *(x for points, _ in curves.values() for x, _ in points)])
    dx, dy = GUTTER + _MARGIN - left, _MARGIN
    x = [at[str(node)][0] + dx for node in range(len(graph))]
    y = [at[str(node)][1] + dy for node in range(len(graph))]
    paths, labels = [], []
    right = max(x[node] + widths[node] / 2 for node in range(len(graph)))
    for ends in zip(graph.source.tolist(), graph.destination.tolist()):
        points, label = curves[ends]
        right = max([right, *(px + dx for px, _ in points)])
        coordinates = [f"{px + dx:.1f} {py + dy:.1f}" for px, py in points]
        paths.append(f"M{coordinates[0]}C{' '.join(coordinates[1:])}")
        labels.append(None if label is None else (label[0] + dx, label[1] + dy))
        if label is not None:
            right = max(right, label[0] + dx + 34)
    return Layout(x, y, widths, height, paths, labels, lines, _bands(graph, y, height / 2 + 17), (right + _MARGIN, total + 2 * _MARGIN))


def _bands(graph: FlowGraph, y: list[float], around: float) -> list[Band]:
    """A band for each layer; where two meet, in the middle between them."""
    tops, bottoms = {}, {}
    for feature, at in zip(graph.features, y):
        tops[feature.layer] = min(tops.get(feature.layer, math.inf), at)
        bottoms[feature.layer] = max(bottoms.get(feature.layer, -math.inf), at)
    layers = sorted(tops)
    result = []
    for index, layer in enumerate(layers):
        top, bottom = tops[layer] - around, bottoms[layer] + around
        if index:
            top = (bottoms[layers[index - 1]] + tops[layer]) / 2
        if index + 1 < len(layers):
            bottom = (bottoms[layer] + tops[layers[index + 1]]) / 2
        result.append(Band(layer, top, bottom))
    return result


#===---- Large graphs ------------------------------------------------------------------------------===#

def _in_lines(graph: FlowGraph, rows) -> Layout:
    """Nodes as marks, rows broken into lines of the same number of nodes."""
    import numpy

    n = len(graph)
    row_of = numpy.zeros(n, dtype=numpy.int64)
    for row, (_, nodes) in enumerate(rows):
        row_of[nodes] = row
    # Where in its row a node is, from 0 to 1: each sweep puts it at the mean of the nodes before it, or behind it.
    share = numpy.zeros(n)
    for _, nodes in rows:
        share[nodes] = (numpy.arange(len(nodes)) + 0.5) / len(nodes)
    weight = numpy.maximum(graph.similarity, 0.01)
    for sweep in range(8):
        ends, others = (graph.destination, graph.source) if sweep % 2 == 0 else (graph.source, graph.destination)
        for row in range(len(rows)) if sweep % 2 == 0 else reversed(range(len(rows))):
            nodes = numpy.array(rows[row][1])
            edges = numpy.flatnonzero(row_of[ends] == row)
            total = numpy.bincount(ends[edges], weight[edges], n)[nodes]
            mean = numpy.bincount(ends[edges], weight[edges] * share[others[edges]], n)[nodes]
            wanted = numpy.where(total > 0, mean / numpy.maximum(total, 1e-12), share[nodes])
            order = numpy.argsort(wanted, kind="stable")
            share[nodes[order]] = (numpy.arange(len(nodes)) + 0.5) / len(nodes)
    # A little wider than high.
    columns = max(40, math.ceil(math.sqrt(n * 1.6)))
    x, y = numpy.zeros(n), numpy.zeros(n)
    bottom = float(_MARGIN)
    previous = None
    for layer, nodes in rows:
        bottom += 0 if previous is None else 14 if previous == layer else 26
        previous = layer
        lines = math.ceil(len(nodes) / columns)
        used = math.ceil(len(nodes) / lines)
        ordered = numpy.array(nodes)[numpy.argsort(share[nodes], kind="stable")]
        # By columns: what is near in the order is near on the page.
        index = numpy.arange(len(nodes))
        column = index // lines
        x[ordered] = GUTTER + _MARGIN + (column + 0.5 + (columns - used) / 2) * _MARK_STEP
        y[ordered] = bottom + (index % lines + 0.5) * _MARK_ROW
        bottom += lines * _MARK_ROW
    xs, ys = [round(one, 1) for one in x.tolist()], [round(one, 1) for one in y.tolist()]
    half = _MARK / 2
    paths = [f"M{xs[source]:g} {ys[source] + half:g}L{xs[destination]:g} {ys[destination] - half:g}"
             for source, destination in zip(graph.source.tolist(), graph.destination.tolist())]
    return Layout(xs, ys, [_MARK] * n, _MARK, paths, [None] * len(paths), [], _bands(graph, ys, _MARK_ROW),
                  (GUTTER + 2 * _MARGIN + columns * _MARK_STEP, bottom + _MARGIN))

