# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Flow graphs as one HTML file that loads nothing: no script, font or picture of anywhere else, which its
Content-Security-Policy holds it to. The scripts and styles that may run are named there by their hashes, so that nothing
from a spec or a text could, whatever it says."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import string

from . import drawing
from .about import visible
from .drawing import asset, escape
from .graph import FlowGraph
from .layout import Layout
from .story import tell

# Up to so many features of a graph stand in a table for print.
TABLE_NODES = 500
_DECIMALS = 4


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _json(value) -> str:
    """JSON inside of a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _graph_data(graph: FlowGraph, about: dict[str, dict]) -> dict:
    edges = [[source, destination, round(similarity, _DECIMALS), None if math.isnan(effect) else round(effect, _DECIMALS)]
             for source, destination, similarity, effect in zip(graph.source.tolist(), graph.destination.tolist(),
                                                               graph.similarity.tolist(), graph.effect.tolist())]
    story = [[part if isinstance(part, str) else [part.node, part.text] for part in paragraph] for paragraph in tell(graph, about)]
    return {"name": graph.name, "target": graph.target, "edges": edges, "story": story,
            "nodes": [[feature.name, label, feature.place] for feature, label in
                      zip(graph.features, drawing.labels_of(graph, about))]}


def _about_data(graphs: list[FlowGraph], about: dict[str, dict]) -> dict:
    wanted = {feature.name for graph in graphs for feature in graph.features}
    result = {}
    for name in sorted(wanted & about.keys()):
        row = about[name]
        kept = {key: row[key] for key in ("density", "mean", "largest", "promotes", "neighbours") if row.get(key) is not None}
        if row.get("contexts"):
            kept["contexts"] = [{**{key: one.get(key) for key in ("document", "source", "position", "tokens")},
                                 "activations": [round(value, 3) for value in one["activations"]]} for one in row["contexts"]]
        result[name] = kept
    return result


def _legend(graph: FlowGraph) -> str:
    return "".join(f'<span><svg width="34" height="18" aria-hidden="true">{sign}</svg>{words}</span>'
                   for sign, words, _ in drawing.legend(graph))


def _section(index: int, graph: FlowGraph, layout: Layout, about: dict[str, dict]) -> str:
    return (f'<section class="view" data-graph="{index}"{" hidden" if index else ""}><div class="scroll">'
            f'{drawing.svg(graph, layout, about, interactive=True)}</div><div class="legend">{_legend(graph)}</div></section>')


def _table(graph: FlowGraph, about: dict[str, dict]) -> str:
    """For print: what the pointer shows on a screen."""
    if len(graph) > TABLE_NODES:
        return ""
    rows = []
    order = sorted(range(len(graph)), key=lambda node: (graph.features[node].layer, graph.features[node].site,
                                                        graph.features[node].index))
    labels = drawing.labels_of(graph, about)
    for node in order:
        known = about.get(graph.features[node].name, {})
        tokens = " ".join(visible(one["token"].strip()) for one in (known.get("promotes") or [])[:6])
        first = (known.get("contexts") or [None])[0]
        context = "".join(visible(token) for token in first["tokens"]) if first else ""
        rows.append(f"<tr><td>{escape(graph.features[node].name)}</td><td>{escape(labels[node] or '')}</td>"
                    f"<td>{escape(tokens)}</td><td>{escape(context)}</td></tr>")
    return (f"<table><caption>{escape(graph.name)}</caption><thead><tr><th>feature</th><th>name</th><th>promotes</th>"
            f"<th>fires most in</th></tr></thead><tbody>{''.join(rows)}</tbody></table>")


def page(graphs: list[FlowGraph], layouts: list[Layout], about: dict[str, dict] | None = None) -> str:
    """The text of the file. `about` says more of features, as about.py reads it."""
    about = about or {}
    title = ", ".join(visible(graph.name) for graph in graphs)
    heading = escape(title)
    if len(graphs) > 1:
        options = "".join(f'<option value="{index}">{escape(graph.name)}</option>' for index, graph in enumerate(graphs))
        heading = f'<select id="which" aria-label="graph">{options}</select>'
    style = asset("drawing.css") + asset("page.css")
    script = asset("page.js")
    data = {"graphs": [_graph_data(graph, about) for graph in graphs], "about": _about_data(graphs, about)}
    sections = "\n".join(_section(index, graph, layout, about) for index, (graph, layout) in enumerate(zip(graphs, layouts)))
    return string.Template(asset("page.html")).substitute(
        mark=drawing.MARK, title=escape(title), heading=heading, style=style, style_hash=_hash(style), script=script, script_hash=_hash(script),
        sections=sections, tables=f'<div class="tables">{"".join(_table(graph, about) for graph in graphs)}</div>',
        data=_json(data))
