# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A laid out flow graph as SVG: inside a page, or as a file of its own.

Sites differ by shape as well as by colour. Everything that comes from a spec or a text goes through `escape`.
"""

from __future__ import annotations

import html
import math
from dataclasses import replace
from importlib import resources

from .about import visible
from .graph import SITES, FlowGraph, decimals
from .layout import GUTTER, Layout, edge_label, text_width


_BEYOND = 4000
# Stands at the beginning of every picture and page: such a file may be replaced.
MARK = "flow graphs, drawn by Weir"


def escape(text: str) -> str:
    """A text between tags, or in quotes as an attribute."""
    return html.escape(visible(text), quote=True)


def asset(name: str) -> str:
    """A file of this package."""
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def shape(site: str, width: float, height: float) -> str:
    """The `d` of a path around the origin: a rounded rectangle for the residual stream, a hexagon for an MLP, a pill for
    attention, a parallelogram between them, a cut-off rectangle for heads; anything else is a rectangle with a notch."""
    w, h = width / 2, height / 2
    if site == "res":
        r = min(4.0, h / 2)
        return f"M{r - w:g} {-h:g}H{w - r:g}q{r:g} 0 {r:g} {r:g}V{h - r:g}q0 {r:g} {-r:g} {r:g}H{r - w:g}q{-r:g} 0 {-r:g} {-r:g}" \
               f"V{r - h:g}q0 {-r:g} {r:g} {-r:g}z"
    if site == "att":
        return f"M{h - w:g} {-h:g}H{w - h:g}a{h:g} {h:g} 0 0 1 0 {2 * h:g}H{h - w:g}a{h:g} {h:g} 0 0 1 0 {-2 * h:g}z"
    cut = min(9.0, h * 0.55, w * 0.6)
    if site == "mlp":
        return f"M{-w:g} 0L{cut - w:g} {-h:g}H{w - cut:g}L{w:g} 0L{w - cut:g} {h:g}H{cut - w:g}z"
    if site == "mid":
        return f"M{cut - w:g} {-h:g}H{w:g}L{w - cut:g} {h:g}H{-w:g}z"
    if site == "head":
        return f"M{-w:g} {-h:g}H{w - cut:g}L{w:g} {cut - h:g}V{h:g}H{cut - w:g}L{-w:g} {h - cut:g}z"
    return f"M{-w:g} {-h:g}H{w:g}V{h:g}H{-w:g}L{cut - w:g} 0z"


def edge_width(similarity: float) -> float:
    """In pixels, from 0.8 to 7."""
    return 0.8 + 6.2 * min(1.0, max(0.0, similarity)) ** 1.6


def site_class(site: str) -> str:
    return f"s-{site}" if site in SITES else "s-other"


def describe(graph: FlowGraph, node: int, label: str | None) -> str:
    """What a screen reader says of a node."""
    feature = graph.features[node]
    return ", ".join([*([visible(label)] if label else []), f"feature {feature.index}", feature.place,
                      *([f"dictionary {feature.dictionary}"] if feature.dictionary else []),
                      *(["target"] if node in graph.target else [])])


def _bands(layout: Layout) -> list[str]:
    # Wider than the picture: a page that has more room shows more of them.
    width = layout.size[0] + 2 * _BEYOND
    parts = ['<g class="bands">']
    for index, band in enumerate(layout.bands):
        parts.append(f'<rect class="band b{index % 2}" x="{-_BEYOND}" y="{band.top:.1f}" width="{width:.1f}" '
                     f'height="{band.bottom - band.top:.1f}"/>')
    return [*parts, "</g>"]


def _gutter(layout: Layout) -> list[str]:
    parts = ['<g class="gutter">']
    for index, band in enumerate(layout.bands):
        parts.append(f'<rect class="band b{index % 2}" x="0" y="{band.top:.1f}" width="{GUTTER - 8}" '
                     f'height="{band.bottom - band.top:.1f}"/>')
        parts.append(f'<text x="16" y="{(band.top + band.bottom) / 2:.1f}" dy=".35em">layer {band.layer}</text>')
    return [*parts, "</g>"]


def _edges(graph: FlowGraph, layout: Layout) -> list[str]:
    # The strongest on top.
    parts = ['<g class="edges">']
    parts += [f'<path class="e" stroke-width="{edge_width(similarity):.2f}" d="{path}"/>'
              for similarity, path in zip(graph.similarity.tolist(), layout.paths)]
    parts.append('</g><g class="numbers">')
    for edge, at in enumerate(layout.label_at):
        if at is not None:
            similarity, effect = edge_label(graph, edge)
            more = f'<tspan class="effect" dx="5">{effect}</tspan>' if effect else ""
            parts.append(f'<text class="l" data-edge="{edge}" x="{at[0]:.1f}" y="{at[1]:.1f}" dy=".35em">{similarity}{more}</text>')
    return [*parts, "</g>"]


def _nodes(graph: FlowGraph, layout: Layout, labels: list[str | None], interactive: bool) -> list[str]:
    targets = set(graph.target)
    shapes: dict[tuple[str, float], str] = {}
    parts = ['<g class="nodes">']
    for node, feature in enumerate(graph.features):
        width = layout.width[node]
        outline = shapes.get((feature.site, width))
        if outline is None:
            outline = shapes[feature.site, width] = shape(feature.site, width, layout.height)
        is_target = node in targets
        attributes = f'class="n {site_class(feature.site)}{" target" if is_target else ""}" ' \
                     f'transform="translate({layout.x[node]:.1f} {layout.y[node]:.1f})"'
        if interactive:
            attributes += f' role="button" tabindex="-1" aria-label="{escape(describe(graph, node, labels[node]))}"'
        parts.append(f"<g {attributes}>")
        if not interactive:
            parts.append(f"<title>{escape(feature.name)}: {escape(describe(graph, node, labels[node]))}</title>")
        if is_target:
            around = 8 if layout.is_small else 5
            parts.append(f'<path class="ring" d="{shape(feature.site, width + around, layout.height + around)}"/>')
        parts.append(f'<path class="o" d="{outline}"/>')
        if layout.is_small:
            lines = layout.lines[node]
            if len(lines) == 1:
                parts.append(f'<text class="i" dy=".35em">{escape(lines[0])}</text>')
            else:
                kind = "t" if labels[node] is None else "w"
                parts.append(f'<text class="i" y="-7" dy=".35em">{escape(lines[0])}</text>'
                             f'<text class="{kind}" y="8.5" dy=".35em">{escape(lines[1])}</text>')
        parts.append("</g>")
    return [*parts, "</g>"]


def labels_of(graph: FlowGraph, about: dict[str, dict]) -> list[str | None]:
    """The names of features, out of the graph or else out of what is known of them."""
    return [label or about.get(feature.name, {}).get("label") for feature, label in zip(graph.features, graph.labels)]


def svg(graph: FlowGraph, layout: Layout, about: dict[str, dict], *, interactive: bool) -> str:
    """The element of a page, with nodes that can be focused, or the same as a picture."""
    width, height = layout.size
    labels = labels_of(graph, about)
    body = [*_bands(layout), *_edges(graph, layout), *_nodes(graph, layout, labels, interactive), *_gutter(layout)]
    density = "" if layout.is_small else " large"
    role = 'role="group"' if interactive else 'role="img"'
    return (f'<svg class="graph{density}" {role} aria-label="flow graph {escape(graph.name)}" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}">' + "".join(body) + "</svg>")


#===---- Legend ------------------------------------------------------------------------------------===#

def legend(graph: FlowGraph) -> list[tuple[str, str, float]]:
    """(SVG of a sign 34 by 18, what it means, about how wide the words are), for what there is in the graph."""
    present = {feature.site for feature in graph.features}
    signs = [(f'<g class="n {site_class(site)}" transform="translate(17 9)"><path class="o" d="{shape(site, 28, 15)}"/></g>',
              SITES.get(site, site)) for site in [*(s for s in SITES if s in present), *sorted(present - SITES.keys())]]
    if graph.target:
        site = graph.features[graph.target[0]].site
        signs.append((f'<g class="n target {site_class(site)}" transform="translate(17 9)"><path class="ring" '
                      f'd="{shape(site, 30, 17)}"/><path class="o" d="{shape(site, 24, 11)}"/></g>', "target"))
    if len(graph.similarity):
        low, high = float(graph.similarity.min()), float(graph.similarity.max())
        for value in dict.fromkeys([decimals(low), decimals(high)]):
            signs.append((f'<path class="e" stroke-width="{edge_width(float(value)):.2f}" d="M3 9H31"/>', f"similarity {value}"))
    if any(not math.isnan(effect) for effect in graph.effect.tolist()):
        signs.append(('<text class="l" x="17" y="9" dy=".35em"><tspan class="effect">0.4</tspan></text>', "causal effect"))
    return [(sign, escape(words), text_width(visible(words), 12)) for sign, words in signs]


#===---- A file of its own -------------------------------------------------------------------------===#

def standalone(graph: FlowGraph, layout: Layout, about: dict[str, dict]) -> str:
    """An SVG file, light and dark, with its name above and its legend below. It loads nothing."""
    width, height = max(layout.size[0], 420.0), layout.size[1]  # room for the legend
    inner = svg(graph, replace(layout, size=(width, height)), about, interactive=False).replace("<svg ", '<svg y="44" ', 1)
    signs, x, line = [], 16.0, 0
    for sign, words, wide in legend(graph):
        if x + 42 + wide > width - 10 and x > 16:
            x, line = 16.0, line + 1
        signs.append(f'<g transform="translate({x:.0f} {line * 26})">{sign}<text class="k" x="40" y="9" dy=".35em">{words}</text></g>')
        x += 42 + wide + 18
    total = height + 44 + 26 * (line + 1) + 22
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {MARK} -->\n'
            f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" viewBox="0 0 {width:.0f} {total:.0f}" '
            f'width="{width:.0f}" height="{total:.0f}">'
            f'<title>{escape(graph.name)}</title><style>{asset("drawing.css")}</style>'
            f'<rect class="paper" width="100%" height="100%"/><text class="name" x="16" y="28">{escape(graph.name)}</text>'
            f'{inner}<g class="legend" transform="translate(0 {height + 58:.0f})">{"".join(signs)}</g></svg>\n')
